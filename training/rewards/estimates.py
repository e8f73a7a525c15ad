"""A figure with its interval, by drawing whole source images: candidates of one image are not independent.

Percentile bootstrap of clusters (Davison and Hinkley 1997, 3.8). Where a figure is a function of sums over sources,
one product of counts and sums gives it for all resamples.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scoring.stats.bootstrap import draws, percentile_interval
from scoring.stats.grouped import Codes, Floats, ratio, sums


@dataclass(frozen=True, slots=True)
class Resampling:
    """How intervals are made. The same seed gives the same draws."""

    resamples: int = 1000
    seed: int = 0
    confidence: float = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure over ``n`` pairs, groups, tuples or candidates of ``sources`` images, with its percentile interval.

    ``skipped``: how many more have no such figure. NaN where ``why`` says so; ``note``: what a reader must know.
    """

    value: float
    low: float
    high: float
    n: int
    sources: int
    skipped: int = 0
    why: str = ""
    note: str = ""


Figure = Callable[[Floats], Floats]
"""From sums (..., columns) to the figure (...); NaN where the sums do not determine it."""


def from_sums(
    rows: Floats, source: Codes, figure: Figure, resampling: Resampling, *, skipped: int = 0, note: str = ""
) -> Estimate:
    """``rows`` (n, columns) are summed over each source, (n,), any integers. The figure is one of the grand sums."""
    if rows.shape[0] == 0:
        return Estimate(math.nan, math.nan, math.nan, 0, 0, skipped, "there is nothing to count", note)
    codes = np.unique(source, return_inverse=True)[1]
    sources = int(codes.max()) + 1
    totals = np.stack([sums(codes, column, sources) for column in rows.T], axis=1)
    found = np.empty(resampling.resamples)
    for part, weights in draws(sources, resampling.resamples, resampling.seed, sources + rows.shape[1]):
        found[part] = figure(weights @ totals)
    value = float(figure(totals.sum(axis=0)))
    return with_interval(value, found, sources, resampling, n=rows.shape[0], skipped=skipped, note=note)


def with_interval(
    value: float, found: Floats, sources: int, resampling: Resampling, *, n: int, skipped: int = 0, note: str = ""
) -> Estimate:
    """``found``: the figure in each resample."""
    interval, why = percentile_interval(found, value, sources, resampling.confidence)
    return Estimate(value, interval.low, interval.high, n, sources, skipped, why, note)


def mean_of(
    values: Floats, source: Codes, resampling: Resampling, *, note: str = "", back: Figure | None = None
) -> Estimate:
    """Mean of the finite ``values`` (n,); the others are counted as skipped. ``back`` is applied to the mean."""
    known = np.isfinite(values)
    rows = np.stack([values[known], np.ones(int(known.sum()))], axis=1)

    def figure(totals: Floats) -> Floats:
        means = ratio(totals[..., 0], totals[..., 1])
        return back(means) if back else means

    return from_sums(rows, source[known], figure, resampling, skipped=int((~known).sum()), note=note)
