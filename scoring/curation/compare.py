"""A scored data set before and after a choice: how far the mean moves, and what loses more than its share. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from scoring.stats.bootstrap import draws, percentile_interval
from scoring.stats.grouped import Codes, Flags, Floats, sums

BLOCKS = 1000
"""Source images are drawn one by one up to this many, in this many groups beyond: the interval is as wide."""
CHANCE = 2.0
"""Standard deviations of a draw by lot, below which a loss is none of chance."""


@dataclass(frozen=True, slots=True)
class Shift:
    """Means and medians of the scores before and after, and the interval of the difference of the means.

    NaN where there is nothing to compute it from.
    """

    count_before: int
    count_after: int
    mean_before: float
    mean_after: float
    median_before: float
    median_after: float
    low: float
    high: float

    @property
    def gain(self) -> float:
        return self.mean_after - self.mean_before

    @property
    def has_interval(self) -> bool:
        return not math.isnan(self.low)


def shift(value: Floats, kept: Flags, source: Codes, *, resamples: int = 1000, seed: int = 0) -> Shift:
    """The shift by a choice; columns of shape (candidates,).

    95 % percentile bootstrap of source images, all candidates of one together. The choice itself stays as it is: the
    interval says how much depends on which source images are in the set, not what another choice would give.
    """
    after = value[kept]
    ends = [_mean_median(value), _mean_median(after)]
    gain = ends[1][0] - ends[0][0]
    clusters = np.unique(source, return_inverse=True)[1] % BLOCKS
    count = int(clusters.max(initial=-1)) + 1
    found = np.full(resamples, np.nan)
    if count > 1 and len(after):
        columns = (np.ones(len(value)), value, kept.astype(np.float64), np.where(kept, value, 0.0))
        totals = np.stack([sums(clusters, column, count) for column in columns], axis=1)
        for rows, weights in draws(count, resamples, seed, count):
            n, total, chosen, best = (weights @ totals).T
            with np.errstate(invalid="ignore", divide="ignore"):
                found[rows] = best / chosen - total / n
    interval, _reason = percentile_interval(found, gain, count, 0.95)
    (mean, median), (mean_after, median_after) = ends
    return Shift(len(value), len(after), mean, mean_after, median, median_after, interval.low, interval.high)


def _mean_median(values: Floats) -> tuple[float, float]:
    return (float(values.mean()), float(np.median(values))) if len(values) else (math.nan, math.nan)


class Lost(StrEnum):
    """What became of a part of the set."""

    FAIR = ""
    MORE = "more"  # it lost more than its share, by more than chance
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the set before and after. ``fair``: what a draw by lot would leave of it. Shares of the whole, 0 to 1;
    NaN where the whole is empty."""

    name: str
    before: int
    after: int
    share_before: float
    share_after: float
    fair: float
    lost: Lost

    @property
    def percent_before(self) -> float:
        return 100 * self.share_before

    @property
    def percent_after(self) -> float | None:
        return None if math.isnan(self.share_after) else 100 * self.share_after


def parts(names: Sequence[str], before: Sequence[int], after: Sequence[int]) -> list[Part]:
    """The parts of a set beside what a draw by lot of as many would leave of each (hypergeometric)."""
    whole, left = sum(before), sum(after)
    found = []
    for name, there, stays in zip(names, before, after, strict=True):
        fair = left * there / whole if whole else math.nan
        shares = (there / whole if whole else math.nan, stays / left if left else math.nan)
        found.append(Part(name, there, stays, *shares, fair, _lost(there, stays, whole, left)))
    return found


def _lost(there: int, stays: int, whole: int, left: int) -> Lost:
    if there and not stays:
        return Lost.ALL
    if whole < 2:
        return Lost.FAIR
    rate = left / whole
    spread = math.sqrt(there * rate * (1 - rate) * max(whole - there, 0) / (whole - 1))
    return Lost.MORE if stays < there * rate - CHANCE * spread - 1e-9 else Lost.FAIR


def distance(found: Sequence[Part]) -> float:
    """Total variation distance of the shares before and after: the share of the set that would have to change its part
    to undo the change, 0 to 1. NaN for an empty side."""
    return math.fsum(abs(one.share_after - one.share_before) for one in found) / 2 if found else math.nan
