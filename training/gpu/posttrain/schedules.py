"""Schedules of sigma as diffusers' FlowMatchEulerDiscreteScheduler makes them: 1 is noise, 0 the picture.

Functions of tensors of shape (steps,), without the closing 0; ``schedule`` gives the whole, (steps + 1,).
The shift by resolution: Esser et al. 2024, "Scaling Rectified Flow Transformers", equation 23, and its
exponential form in FLUX.1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

EXPONENTIAL, LINEAR = "exponential", "linear"


def linear_sigmas(steps: int, last: float | None = None) -> Tensor:
    """(steps,) evenly from 1 down to ``last``, which is 1/steps where it is not given."""
    return torch.linspace(1.0, 1.0 / steps if last is None else last, steps, dtype=torch.float64)


def shifted(sigmas: Tensor, shift: float) -> Tensor:
    """Towards noise by a constant factor: s σ / (1 + (s - 1) σ)."""
    return shift * sigmas / (1 + (shift - 1) * sigmas)


def time_shifted(sigmas: Tensor, mu: float, kind: str = EXPONENTIAL) -> Tensor:
    """Towards noise by ``mu``, which is the logarithm of the factor where ``kind`` is exponential. Needs σ > 0."""
    if kind not in (EXPONENTIAL, LINEAR):
        raise ValueError(f"A shift of time is {EXPONENTIAL} or {LINEAR}, not {kind!r}.")
    factor = math.exp(mu) if kind == EXPONENTIAL else mu
    return factor / (factor + (1 / sigmas - 1))


def mu_of(tokens: int, config: Mapping[str, Any]) -> float:
    """The shift for a picture of that many tokens: a line through the scheduler's two (tokens, shift) points."""
    low, high = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    least, most = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    return float(least + (most - least) * (tokens - low) / (high - low))


def with_terminal(sigmas: Tensor, shift_terminal: float) -> Tensor:
    """Stretched so that the last one is ``shift_terminal``; the first stays where it is 1."""
    return 1 - (1 - sigmas) * (1 - shift_terminal) / (1 - sigmas[-1])


def closed(sigmas: Tensor) -> Tensor:
    """(steps + 1,) in float32 with the closing 0."""
    return torch.cat([sigmas.to(torch.float32), torch.zeros(1)])


def schedule(config: Mapping[str, Any], steps: int, tokens: int) -> Tensor:
    """(steps + 1,) of a scheduler with that configuration.

    With dynamic shifting the sigmas begin as the line of FLUX and Qwen-Image, and ``tokens`` decides the shift.
    Without it they are SD3's: a line down to the least trained sigma, which was shifted once already.
    """
    if config.get("use_dynamic_shifting"):
        kind = config.get("time_shift_type", EXPONENTIAL)
        sigmas = time_shifted(linear_sigmas(steps), mu_of(tokens, config), kind)
    else:
        shift = float(config.get("shift", 1.0))
        least = shifted(torch.tensor(1 / config.get("num_train_timesteps", 1000), dtype=torch.float64), shift)
        sigmas = shifted(linear_sigmas(steps, float(least)), shift)
    terminal = config.get("shift_terminal")
    return closed(with_terminal(sigmas, terminal) if terminal else sigmas)
