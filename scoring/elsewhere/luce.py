"""Plackett-Luce strengths of the candidates within each group, from all annotators' orders of it. Pure.

One order of four images has no finite strengths by itself: the best never lost. So every candidate also gets half a win
and half a loss against a made-up one (Firth, Kosmidis and Turner 2019), which determines all and pulls them together.
Where the plain model is determined, its strengths stand beside those.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scoring.stats.grouped import Counts, Floats
from scoring.stats.plackett import plackett_luce
from scoring.stats.ranks import RankResult

PSEUDO = 0.5
MOST_GROUPS = 2_000
MOST_CANDIDATES = 30


@dataclass(frozen=True, slots=True)
class GroupStrengths:
    """Per cell: ``strength`` with pseudo-comparisons and ``alone`` without; NaN where not determined or not fitted.

    Of ``groups``, ``plain`` are determined without pseudo-comparisons, ``joined`` with; ``left_out`` were not fitted.
    """

    strength: Floats
    alone: Floats
    groups: int
    plain: int
    joined: int
    left_out: int


def group_strengths(result: RankResult) -> GroupStrengths:
    """For the first MOST_GROUPS groups of up to MOST_CANDIDATES candidates."""
    panel = result.panel
    strength, alone = np.full(panel.cell_group.size, np.nan), np.full(panel.cell_group.size, np.nan)
    starts = np.searchsorted(panel.cell_group, np.arange(panel.groups + 1))
    rows = np.split(np.argsort(panel.ranking_group[panel.ranking], kind="stable"), _ends(result))
    fitted = 0
    for group, mine in enumerate(rows[:MOST_GROUPS]):
        start, size = int(starts[group]), int(starts[group + 1] - starts[group])
        if not 1 < size <= MOST_CANDIDATES:
            continue
        fitted += 1
        orders = _orders(panel.ranking[mine].tolist(), (panel.cell[mine] - start).tolist(), panel.rank[mine].tolist())
        strength[start : start + size] = plackett_luce(orders, size, pseudo=PSEUDO).strength
        if len(orders) > 1 or len(orders[0]) == 1:  # in one order alone, who is first never lost
            alone[start : start + size] = plackett_luce(orders, size).strength
    known = [int(np.unique(panel.cell_group[np.isfinite(one)]).size) for one in (alone, strength)]
    return GroupStrengths(strength, alone, panel.groups, known[0], known[1], panel.groups - fitted)


def _ends(result: RankResult) -> Counts:
    per_group = np.bincount(result.panel.ranking_group[result.panel.ranking], minlength=result.panel.groups)
    return np.cumsum(per_group)[:-1]


def _orders(ranking: list[int], cell: list[int], rank: list[float]) -> list[list[list[int]]]:
    """Each ranking's tiers, best first."""
    found: dict[int, dict[float, list[int]]] = {}
    for one, code, place in zip(ranking, cell, rank, strict=True):
        found.setdefault(one, {}).setdefault(place, []).append(code)
    return [[tiers[place] for place in sorted(tiers)] for tiers in found.values()]
