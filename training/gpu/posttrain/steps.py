"""One step of the path from noise to picture, random or not, and how probable its outcome was.

x and v are (samples, ...); sigma and sigma_next (samples,) or 0-dim, with sigma_next < sigma. Everything is computed
in float32 at least: bfloat16 alone moves a ratio of two policies by as much as the range that clips it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

SDE, CPS, DANCE = "sde", "cps", "dance"


@dataclass(frozen=True, slots=True)
class Step:
    """The outcome is ``mean`` + ``noise_std`` z. ``std`` is the dynamics' own: of the SDE it is per unit of time
    (noise_std = std √-dt), of CPS it is noise_std itself. Both broadcast against ``mean``."""

    mean: Tensor
    std: Tensor
    noise_std: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        return self.mean + self.noise_std * noise


def ode(x: Tensor, v: Tensor, sigma: Tensor, sigma_next: Tensor) -> Tensor:
    """Euler's step of dx = v dσ."""
    x, v, sigma, sigma_next = _wide(x, v, sigma, sigma_next)
    return x + v * (sigma_next - sigma)


def sde(
    x: Tensor, v: Tensor, sigma: Tensor, sigma_next: Tensor, *, noise_level: float, sigma_max: Tensor | float
) -> Step:
    """The step of the SDE with the marginals of the ODE (Flow-GRPO, arXiv:2505.05470, equations 8 and 9).

    std = a √(σ / (1 - σ̃)); ``sigma_max``: σ̃ where σ is 1, the second value of the schedule; elsewhere σ̃ is σ. The
    last step of a schedule has noise too: leave it to the ODE.
    """
    sigma = torch.as_tensor(sigma)
    bounded = torch.where(sigma == 1, torch.as_tensor(sigma_max, dtype=sigma.dtype, device=sigma.device), sigma)
    return _diffused(x, v, sigma, sigma_next, noise_level * torch.sqrt(sigma / (1 - bounded)))


def dance(x: Tensor, v: Tensor, sigma: Tensor, sigma_next: Tensor, *, noise_level: float) -> Step:
    """The same SDE with one std at all times (DanceGRPO, arXiv:2505.07818)."""
    return _diffused(x, v, sigma, sigma_next, torch.full_like(torch.as_tensor(sigma), noise_level))


def _diffused(x: Tensor, v: Tensor, sigma: Tensor, sigma_next: Tensor, std: Tensor) -> Step:
    """dx = [v + std² (x + (1 - σ) v) / (2σ)] dσ + std dw: whatever the std, the marginals are those of the ODE."""
    x, v, sigma, sigma_next, std = _wide(x, v, sigma, sigma_next, std)
    dt = sigma_next - sigma
    half = std * std / (2 * sigma)
    mean = x * (1 + half * dt) + v * (1 + half * (1 - sigma)) * dt
    return Step(mean, std, std * torch.sqrt(-dt))


def cps(x: Tensor, v: Tensor, sigma: Tensor, sigma_next: Tensor, *, noise_level: float) -> Step:
    """The step that keeps the share of noise at sigma_next exactly (Flow-CPS, arXiv:2509.05952).

    ``noise_level`` 0 is the ODE, 1 replaces all noise.
    """
    x, v, sigma, sigma_next = _wide(x, v, sigma, sigma_next)
    std = sigma_next * math.sin(noise_level * math.pi / 2)
    picture, noise = x - sigma * v, x + (1 - sigma) * v
    mean = picture * (1 - sigma_next) + noise * torch.sqrt(sigma_next * sigma_next - std * std)
    return Step(mean, std, std)


def transition(
    dynamics: str,
    x: Tensor,
    v: Tensor,
    sigma: Tensor,
    sigma_next: Tensor,
    *,
    noise_level: float,
    sigma_max: Tensor | float,
) -> Step:
    """The random step of those dynamics, "sde", "cps" or "dance". Raises ValueError for others."""
    if dynamics == SDE:
        return sde(x, v, sigma, sigma_next, noise_level=noise_level, sigma_max=sigma_max)
    if dynamics == CPS:
        return cps(x, v, sigma, sigma_next, noise_level=noise_level)
    if dynamics == DANCE:
        return dance(x, v, sigma, sigma_next, noise_level=noise_level)
    raise ValueError(f"The dynamics are {SDE}, {CPS} or {DANCE}, not {dynamics!r}.")


def log_prob(sample: Tensor, mean: Tensor, std: Tensor, mask: Tensor | None = None) -> Tensor:
    """(samples,): logarithm of the density of N(mean, std²), the MEAN over all axes but the first.

    The papers print a sum; with the mean the ratio of two policies is the true one to the power 1/elements, and
    clip ranges are 1e-5 to 1e-4. ``mask`` (samples, tokens): 1 for what counts, 0 for padding. Not finite where std
    is 0.
    """
    sample = sample.detach()
    each = -((sample - mean) ** 2) / (2 * std * std) - torch.log(std) - 0.5 * math.log(2 * math.pi)
    return _mean(each, mask)


def unscaled_log_prob(sample: Tensor, mean: Tensor, mask: Tensor | None = None) -> Tensor:
    """(samples,): minus the mean squared distance, as released for CPS, with neither constants nor 1/(2 std²)."""
    return _mean(-((sample.detach() - mean) ** 2), mask)


def policy_log_prob(dynamics: str, sample: Tensor, step: Step, mask: Tensor | None = None) -> Tensor:
    """(samples,): what the ratio of two policies is made of, for those dynamics."""
    if dynamics == CPS:
        return unscaled_log_prob(sample, step.mean, mask)
    return log_prob(sample, step.mean, step.noise_std, mask)


def _wide(x: Tensor, v: Tensor, *sigmas: Tensor) -> tuple[Tensor, ...]:
    """At least float32, and sigmas with as many axes as x."""
    kind = torch.promote_types(x.dtype, torch.float32)
    return (
        x.to(kind),
        v.to(kind),
        *(beside(torch.as_tensor(sigma, dtype=kind, device=x.device), x) for sigma in sigmas),
    )


def beside(per_sample: Tensor, like: Tensor) -> Tensor:
    """Axes of length 1 behind the axis of the samples, so that it goes with ``like``; a 0-dim one stays."""
    if not per_sample.dim():
        return per_sample
    return per_sample.reshape(per_sample.shape + (1,) * (like.dim() - per_sample.dim()))


def _mean(each: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return each.flatten(1).mean(1)
    mask = beside(mask.to(each.dtype), each).expand_as(each)
    return (each * mask).flatten(1).sum(1) / mask.flatten(1).sum(1)
