"""Preference pairs from mean ranks, wins of editors, and the cross-check of pairs against opinion scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.stats.concordance import pairs_within
from scoring.stats.grouped import Codes, Counts, Flags, Floats, counts, ratio, sums

OVERALL_WEIGHTS = (0.3, 0.4, 0.3)
"""Quality, alignment, preservation; fits EditHF-1M's printed table within 0.08."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of cells: ``better`` has the lower mean rank, ``gap`` is the difference (0 for a tie)."""

    better: NDArray[np.int64]
    worse: NDArray[np.int64]
    gap: Floats

    def choose(self, rows: Flags | Codes) -> Pairs:
        """Some of the pairs, by flags or in an order."""
        return Pairs(self.better[rows], self.worse[rows], self.gap[rows])


def preference_pairs(sizes: Counts, mean_rank: Floats) -> tuple[Pairs, Pairs]:
    """All n(n - 1)/2 pairs of each group of ``sizes`` cells, whose cells lie together, best mean rank first.

    Returns (pairs, ties): equal mean rank is a tie. Group by group, in the order of the cells.
    """
    better, worse = pairs_within(sizes)
    everything = Pairs(better, worse, mean_rank[worse] - mean_rank[better])
    tied = everything.gap == 0
    return everything.choose(~tied), everything.choose(tied)


def large_gaps_first(pairs: Pairs) -> Pairs:
    """The order in which training takes pairs (EditHF-1M, section 4): large rank gaps first, equal ones as given."""
    return pairs.choose(np.argsort(-pairs.gap, kind="stable"))


def ranking_scores(editor: Codes, wins: Floats, editors: int) -> Floats:
    """Mean number of pairwise wins of each editor's candidates, 0 to n - 1, a tie counting ½ (EditHF-1M, section 3.4).

    ``editor`` and ``wins`` per cell; pass the cells of one dimension. NaN for an editor without candidates.
    """
    return ratio(sums(editor, wins, editors), counts(editor, editors))


def overall(scores: Sequence[Floats], weights: Sequence[float] = OVERALL_WEIGHTS) -> Floats:
    """Weighted sum over dimensions, in the order of the weights; NaN where a dimension is missing.

    Raises ValueError unless there is one weight a dimension.
    """
    return sum((w * column for w, column in zip(weights, scores, strict=True)), start=np.zeros(np.shape(scores[0])))


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """Per pair: could it be checked against opinion scores, and do they contradict it?"""

    checked: Flags
    inconsistent: Flags


def cross_check(pairs: Pairs, mos: Floats, low: Floats, high: Floats, tolerance: float | None = None) -> CrossCheck:
    """Compare pairs with the opinion scores of their cells (arrays per cell, NaN where there is none).

    A pair is inconsistent when the scores have the opposite order and their intervals do not overlap; with a
    ``tolerance``, when they have the opposite order by more than that. Such pairs are for review, not for exports.
    """
    opposite = mos[pairs.worse] - mos[pairs.better]
    if tolerance is None:
        checked = np.isfinite(opposite) & np.isfinite(low[pairs.worse]) & np.isfinite(high[pairs.better])
        return CrossCheck(checked, (opposite > 0) & (low[pairs.worse] > high[pairs.better]))
    return CrossCheck(np.isfinite(opposite), opposite > tolerance)
