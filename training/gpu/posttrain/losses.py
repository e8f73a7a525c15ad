"""The objectives of post-training, each a value per sample and its mean over the samples that are kept.

Predictions are (samples, ...), values (samples,). ``kept`` (samples,) of booleans: None keeps all. The frozen policy's
tensors (old, base) must come without a gradient. v = noise - x0 at x = (1 - t) x0 + t noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from training.gpu.posttrain.steps import beside

ADVANTAGE_CLIP = 5.0


@dataclass(frozen=True, slots=True)
class Loss:
    """``loss``: scalar. ``values`` (samples,). ``ratio`` (samples,) of the two policies, ``clipped`` the share of kept
    samples outside the range (or masked), ``divergence`` (samples,) of the two steps, and for pairs ``margin``
    (samples,), above 0 where the pair is in the right order. Only ``loss`` and ``values`` carry a gradient."""

    loss: Tensor
    values: Tensor
    ratio: Tensor | None = None
    clipped: Tensor | None = None
    divergence: Tensor | None = None
    margin: Tensor | None = None


def grpo(
    log_prob: Tensor,
    old_log_prob: Tensor,
    advantages: Tensor,
    clip_range: float | tuple[float, float],
    *,
    advantage_clip: float = ADVANTAGE_CLIP,
    kept: Tensor | None = None,
) -> Loss:
    """max(-A ratio, -A clamp(ratio, 1 - low, 1 + high)), A clamped (Flow-GRPO, arXiv:2505.05470, equation 5).

    All (samples,); a single ``clip_range`` is both sides.
    """
    return _clipped(torch.exp(log_prob - old_log_prob), advantages, clip_range, advantage_clip, kept)


def guard(
    mean_new: Tensor,
    mean_old: Tensor,
    noise_std: Tensor,
    noise: Tensor,
    advantages: Tensor,
    *,
    clip_range: float | tuple[float, float],
    dt: Tensor | float = 1.0,
    advantage_clip: float = ADVANTAGE_CLIP,
    kept: Tensor | None = None,
) -> Loss:
    """GRPO-Guard (arXiv:2510.22319): the logarithm of the ratio less its mean on the old policy, times noise_std.

    What remains is the mean of noise (mean_new - mean_old), which has mean 0 and one scale at all steps. ``noise``
    (samples, ...): z of the step, ``dt`` its length in sigma; the loss is divided by |dt|, so that all steps weigh the
    same. With dt = 1 it is not.
    """
    gap = mean_new - mean_old
    ratio = torch.exp(_per_sample(noise * gap))
    found = _clipped(ratio, advantages, clip_range, advantage_clip, kept)
    values = found.values / torch.as_tensor(dt, dtype=ratio.dtype, device=ratio.device).abs()
    divergence = _per_sample(gap * gap / (2 * noise_std * noise_std)).detach()
    return Loss(masked_mean(values, kept), values, found.ratio, found.clipped, divergence)


def dppo(
    mean_new: Tensor,
    mean_old: Tensor,
    noise_std: Tensor,
    noise: Tensor,
    advantages: Tensor,
    *,
    threshold: float,
    advantage_clip: float = ADVANTAGE_CLIP,
    kept: Tensor | None = None,
) -> Loss:
    """Flow-DPPO: -A ratio, without a sample whose step has diverged past the ``threshold`` and is being pushed on.

    The divergence is that of two Gaussians of one spread, the mean of (mean_new - mean_old)² / (2 noise_std²). A sample
    that is pulled back stays.
    """
    advantages = advantages.clamp(-advantage_clip, advantage_clip)
    scaled = (mean_new - mean_old) / noise_std
    each = _per_sample(scaled * scaled / 2)
    ratio = torch.exp(_per_sample(noise * scaled) - each)
    divergence, known = each.detach(), ratio.detach()
    onwards = ((advantages > 0) & (known > 1)) | ((advantages < 0) & (known < 1))
    masked = onwards & (divergence > threshold)
    values = torch.where(masked, 0.0, -advantages * ratio)
    return Loss(masked_mean(values, kept), values, known, masked_mean(masked.to(known.dtype), kept), divergence)


def kl_velocity(v: Tensor, v_base: Tensor) -> Tensor:
    """(samples,): mean squared distance of the velocities. It depends on no step, so it serves every objective."""
    return _per_sample((v - v_base) ** 2)


def kl_flow_grpo(mean: Tensor, mean_base: Tensor, std: Tensor) -> Tensor:
    """(samples,): mean of (mean - mean_base)² / (2 std²). With ``Step.std`` it is that of the released Flow-GRPO, which
    leaves dt out; with ``Step.noise_std`` the divergence of the two steps."""
    return _per_sample((mean - mean_base) ** 2 / (2 * std * std))


def nft(
    v: Tensor,
    v_old: Tensor,
    x0: Tensor,
    noise: Tensor,
    t: Tensor,
    *,
    advantages: Tensor,
    beta: float = 1.0,
    adv_clip: float = ADVANTAGE_CLIP,
    kept: Tensor | None = None,
) -> Loss:
    """DiffusionNFT (arXiv:2509.16117, equation 5): r of the positive policy's error and 1 - r of the negative one's.

    r = 1/2 + A / (2 adv_clip), clamped. The two policies lie ``beta`` to both sides of the old one. As released, errors
    are those of the predicted picture, each divided by its own mean absolute value, and the whole is multiplied by
    adv_clip. Where v equals v_old the loss says nothing of the rewards; its gradient does.
    """
    time = beside(t, x0)
    x = (1 - time) * x0 + time * noise
    positive = _adaptive(x - time * (beta * v + (1 - beta) * v_old) - x0)
    negative = _adaptive(x - time * ((1 + beta) * v_old - beta * v) - x0)
    r = (advantages.clamp(-adv_clip, adv_clip) / adv_clip / 2 + 0.5).clamp(0, 1)
    values = adv_clip * (r * positive + (1 - r) * negative) / beta
    return Loss(masked_mean(values, kept), values)


def awm(
    v: Tensor,
    v_old: Tensor,
    x0: Tensor,
    noise: Tensor,
    t: Tensor,
    *,
    advantages: Tensor,
    clip_range: float | tuple[float, float] = 1e-4,
    weighting: str = "uniform",
    advantage_clip: float = ADVANTAGE_CLIP,
    kept: Tensor | None = None,
) -> Loss:
    """Advantage-weighted matching (arXiv:2509.25050): GRPO with minus the flow-matching error as the log-probability.

    ``weighting``: one of WEIGHTINGS. Raises ValueError for another.
    """
    if weighting not in WEIGHTINGS:
        raise ValueError(f"The weighting is one of {', '.join(WEIGHTINGS)}, not {weighting!r}.")
    target, weigh = noise - x0, WEIGHTINGS[weighting]
    new = -weigh(_per_sample((v - target) ** 2), t)
    old = -weigh(_per_sample((v_old - target) ** 2), t)
    return grpo(new, old, advantages, clip_range, advantage_clip=advantage_clip, kept=kept)


EDGE = 1e-10
WEIGHTINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "uniform": lambda error, t: error,
    "t": lambda error, t: t * error,
    "t2": lambda error, t: t * t * error,
    "huber": lambda error, t: t * ((error + EDGE) ** 0.5 - EDGE**0.5),
    "ghuber": lambda error, t: t * ((error + EDGE) ** 0.25 - EDGE**0.25) / 0.25,
}
"""Weight of the flow-matching error (samples,) at t (samples,)."""


def dpo(
    v_w: Tensor,
    v_l: Tensor,
    ref_w: Tensor,
    ref_l: Tensor,
    *,
    target_w: Tensor,
    target_l: Tensor,
    beta: float | Tensor,
    kept: Tensor | None = None,
) -> Loss:
    """Flow-DPO (arXiv:2501.13918, equation 4; Diffusion-DPO, arXiv:2311.12908), w the winner, l the loser of a pair.

    Both were noised with the same noise to the same t. Errors are means over elements; with sums divide ``beta`` by
    their number. ``beta``: a number, or (samples,). At the reference the loss is ln 2.
    """
    winner = _per_sample((v_w - target_w) ** 2) - _per_sample((ref_w - target_w) ** 2)
    loser = _per_sample((v_l - target_l) ** 2) - _per_sample((ref_l - target_l) ** 2)
    margin = -0.5 * beta * (winner - loser)
    values = -logsigmoid(margin)
    return Loss(masked_mean(values, kept), values, margin=margin.detach())


def sft(v: Tensor, target: Tensor, weights: Tensor | None = None, *, kept: Tensor | None = None) -> Loss:
    """Flow matching to given pictures; ``weights`` (samples,) >= 0 make the mean a weighted one."""
    values = _per_sample((v - target) ** 2)
    if weights is None:
        return Loss(masked_mean(values, kept), values)
    weights = weights if kept is None else torch.where(kept, weights, 0.0)
    total = weights.sum()
    return Loss((values * weights).sum() / torch.where(total > 0, total, 1.0), values)


def masked_mean(values: Tensor, kept: Tensor | None) -> Tensor:
    """Mean of the kept values; 0 with a gradient of 0 where none is kept."""
    if kept is None:
        return values.mean()
    return torch.where(kept, values, 0.0).sum() / kept.sum().clamp(min=1)


def _clipped(
    ratio: Tensor,
    advantages: Tensor,
    clip_range: float | tuple[float, float],
    advantage_clip: float,
    kept: Tensor | None,
) -> Loss:
    low, high = clip_range if isinstance(clip_range, tuple) else (clip_range, clip_range)
    advantages = advantages.clamp(-advantage_clip, advantage_clip)
    values = torch.maximum(-advantages * ratio, -advantages * ratio.clamp(1 - low, 1 + high))
    known = ratio.detach()
    outside = ((known < 1 - low) | (known > 1 + high)).to(known.dtype)
    return Loss(masked_mean(values, kept), values, known, masked_mean(outside, kept))


def _adaptive(error: Tensor) -> Tensor:
    """(samples,): mean square over mean absolute value, the latter without a gradient."""
    weight = error.detach().abs().flatten(1).mean(1).clamp(min=1e-5)
    return _per_sample(error**2) / weight


def _per_sample(each: Tensor) -> Tensor:
    return each.flatten(1).mean(1)
