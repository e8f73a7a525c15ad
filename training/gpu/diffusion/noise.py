"""Where an image's randomness comes from: a generator of its own, so that no other image in its batch matters."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def noise_seed(seed: int) -> int:
    """The seed of the initial noise, as a database keeps it: 63 bits. Usual seeds stay what they are."""
    return seed % 2**63


def generators(seeds: Sequence[int]) -> list[torch.Generator]:
    """One generator an image, on the CPU: its numbers are the same whatever GPU the model runs on.

    ``pipeline(..., generator=torch.Generator("cpu").manual_seed(noise_seed))`` gives the same noise by hand.
    """
    return [torch.Generator("cpu").manual_seed(noise_seed(seed)) for seed in seeds]
