"""Seeds in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def batches(seeds: Sequence[int], most: int) -> Iterator[Sequence[int]]:
    """The seeds in their order, in parts of ``most`` at most."""
    if most < 1:
        raise ValueError("a batch holds at least one image")
    for start in range(0, len(seeds), most):
        yield seeds[start : start + most]
