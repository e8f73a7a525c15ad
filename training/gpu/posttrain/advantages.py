"""Advantages: how much better a sample is than the others of its group (GRPO, arXiv:2402.03300, section 4.1.2).

A group is known by its integer id alone. Two sources with the same instruction would merge by their texts.
A missing reward is NaN: it takes part in no statistics and its sample in no loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

GROUP, GLOBAL = "group", "global"
FLOOR, EPS, CLIP = 1e-3, 1e-4, 5.0
NOTHING = 1e-8
"""A spread below this is rounding."""


@dataclass(frozen=True, slots=True)
class Advantages:
    """``values`` (N,) float32, 0 where not ``kept`` (N,). ``zero_spread``: share of the groups with two rewards or more
    whose spread is below the floor. ``missing``: share of the rewards that are missing."""

    values: Tensor
    kept: Tensor
    zero_spread: float
    missing: float


@dataclass(frozen=True, slots=True)
class _Groups:
    """Rewards by group: ``code`` (N,) 0..groups-1, ``known`` (N,), ``count``, ``mean`` and ``std`` (groups,)."""

    code: Tensor
    known: Tensor
    count: Tensor
    mean: Tensor
    std: Tensor


def of_groups(
    rewards: Tensor,
    groups: Tensor,
    spread: str = GROUP,
    *,
    floor: float = FLOOR,
    eps: float = EPS,
    clip: float = CLIP,
) -> Advantages:
    """(R - mean of the group) / (spread + eps), clamped to ± clip; ``rewards`` (N,), ``groups`` (N,) of integers.

    ``spread``: "group", that of the sample's own group, where groups below the ``floor`` are not kept; or "global",
    that of all rewards, the floor at least. Standard deviations are of the population (divided by n).
    Raises ValueError for shapes or ids that do not fit.
    """
    rewards, found = _check(rewards, groups, spread)
    least = max(floor, NOTHING)
    several = found.count > 1
    flat = found.std < least
    if spread == GROUP:
        kept = found.known & ~(flat | ~several)[found.code]
        divisor = found.std[found.code]
    else:
        kept = found.known
        known = rewards[found.known]
        divisor = (known.std(unbiased=False) if known.numel() else rewards.new_zeros(())).clamp(min=floor)
    values = (rewards - found.mean[found.code]) / (divisor + eps)
    return _result(values.clamp(-clip, clip), kept, found, flat & several)


def gdpo(
    rewards: Mapping[str, Tensor],
    weights: Mapping[str, float],
    groups: Tensor,
    *,
    floor: float = FLOOR,
    eps: float = EPS,
    clip: float = CLIP,
) -> Advantages:
    """Several rewards, each brought to its own spread within the group before they are added, then the sum over the
    batch to mean 0 and spread 1 (GDPO, arXiv:2601.05242). ``rewards`` by name (N,), ``weights`` by name.

    A sample that lacks one of the rewards is not kept; nor is a group in which every reward's spread is below the
    floor. Raises ValueError for names, shapes or ids that do not fit.
    """
    if not rewards or set(rewards) != set(weights):
        raise ValueError("Every reward needs a weight, and there must be one reward at least.")
    whole = torch.stack([one.to(torch.float64) for one in rewards.values()]).sum(0)  # NaN where one is missing
    total = torch.zeros_like(whole)
    flat, several = None, None
    for name, given in rewards.items():
        one, found = _check(torch.where(whole.isfinite(), given.to(torch.float64), torch.nan), groups, GROUP)
        total += weights[name] * (one - found.mean[found.code]) / (found.std[found.code] + eps)
        flat = (found.std < max(floor, NOTHING)) & (True if flat is None else flat)
        several = found.count > 1
    assert flat is not None and several is not None
    kept = found.known & ~(flat | ~several)[found.code]
    known = total[kept]
    if known.numel():
        total = (total - known.mean()) / (known.std(unbiased=False) + eps)
    return _result(total.clamp(-clip, clip), kept, found, flat & several)


def _result(values: Tensor, kept: Tensor, found: _Groups, flat: Tensor) -> Advantages:
    several = int((found.count > 1).sum())
    return Advantages(
        values=torch.where(kept, values, 0.0).to(torch.float32),
        kept=kept,
        zero_spread=float(flat.sum()) / several if several else 0.0,
        missing=float((~found.known).double().mean()) if found.known.numel() else 0.0,
    )


def _check(rewards: Tensor, groups: Tensor, spread: str) -> tuple[Tensor, _Groups]:
    """The rewards in float64 and their groups' statistics."""
    if spread not in (GROUP, GLOBAL):
        raise ValueError(f"The spread is {GROUP} or {GLOBAL}, not {spread!r}.")
    if rewards.dim() != 1 or rewards.shape != groups.shape:
        raise ValueError("There must be one reward and one group id for each sample.")
    if groups.is_floating_point() or groups.dtype == torch.bool:
        raise ValueError("Groups are known by integer ids.")
    rewards = rewards.detach().to(torch.float64)
    known = rewards.isfinite()
    ids, code = torch.unique(groups, return_inverse=True)
    filled = torch.where(known, rewards, 0.0)
    count = torch.zeros(len(ids), dtype=torch.float64, device=rewards.device).index_add(0, code, known.double())
    some = count.clamp(min=1)
    mean = torch.zeros_like(count).index_add(0, code, filled) / some
    square = torch.where(known, (filled - mean[code]) ** 2, 0.0)
    std = (torch.zeros_like(count).index_add(0, code, square) / some).sqrt()
    return rewards, _Groups(code, known, count, mean, std)
