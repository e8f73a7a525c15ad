"""How much better an editor became on fixed cases: gains with intervals. Pure.

Cases are paired: the same case before and after, so that what makes a case easy drops out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scoring.stats.grouped import EDGE, Codes, Floats
from scoring.stats.votes import wilson
from training.rewards.estimates import Estimate, Resampling, mean_of

NO_PAIRS = "no case has a score both before and after"


@dataclass(frozen=True, slots=True)
class Wins:
    """``share``: of ``n`` cases those that became better, ``ties`` a half, with Wilson's interval; NaN for n = 0."""

    share: float
    low: float
    high: float
    n: int
    wins: int
    ties: int


def gain(before: Floats, after: Floats, source: Codes | None = None, resampling: Resampling | None = None) -> Estimate:
    """Mean of after - before (cases,) with its percentile bootstrap interval over cases.

    ``source`` (cases,): integers; cases of one source image are then drawn together. Cases that lack a score on either
    side are skipped and counted. Raises ValueError for columns of different lengths.
    """
    before, after = _columns(before, after)
    if source is not None and np.shape(source) != before.shape:
        raise ValueError("There must be one source for each case.")
    codes: Codes = np.arange(before.size) if source is None else source
    difference = after - before
    if not np.isfinite(difference).any():
        return Estimate(math.nan, math.nan, math.nan, 0, 0, difference.size, NO_PAIRS)
    return mean_of(difference, codes, resampling or Resampling())


def known_mean(values: Sequence[float]) -> float | None:
    """The mean of the finite ones; None where there is none."""
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else None


def win_rate(before: Floats, after: Floats, confidence: float = 0.95) -> Wins:
    """How often after is better than before, over the cases (cases,) that have both."""
    before, after = _columns(before, after)
    difference = after - before
    difference = difference[np.isfinite(difference)]
    n = difference.size
    ties = int((np.abs(difference) <= EDGE).sum())
    wins = int((difference > EDGE).sum())
    if n == 0:
        return Wins(math.nan, math.nan, math.nan, 0, 0, 0)
    low, high = wilson(np.array([wins + ties / 2]), np.array([n]), confidence)
    return Wins((wins + ties / 2) / n, float(low[0]), float(high[0]), n, wins, ties)


def _columns(before: Floats, after: Floats) -> tuple[Floats, Floats]:
    before, after = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    if before.shape != after.shape or before.ndim != 1:
        raise ValueError("There must be one score before and one after for each case.")
    return before, after
