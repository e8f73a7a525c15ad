"""Confidence intervals of item means."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri, stdtrit

from scoring.stats.grouped import Codes, Counts, Floats, counts, ratio, sums

BLOCK = 4_000_000


def t_interval(mean: Floats, std: Floats, n: Counts, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Student t interval of a mean of n values with sample std; NaN where n < 2. Shapes (items,)."""
    sizes = np.flatnonzero(np.bincount(n))
    several = sizes[sizes > 1]
    quantile = np.full(int(sizes.max(initial=0)) + 1, np.nan)
    quantile[several] = stdtrit(several - 1.0, (1 + confidence) / 2)
    half = quantile[n] * std / np.sqrt(np.maximum(n, 1))
    return mean - half, mean + half


def normal_interval(mean: Floats, standard_error: Floats, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Normal interval around estimates with known standard errors."""
    half = ndtri((1 + confidence) / 2) * standard_error
    return mean - half, mean + half


def bootstrap_interval(
    unit: Codes, value: Floats, units: int, *, confidence: float = 0.95, resamples: int = 1000, seed: int = 0
) -> tuple[Floats, Floats]:
    """Percentile bootstrap interval of each unit's mean: its own values drawn anew with replacement.

    Returns the limits, shape (units,); NaN where a unit has fewer than two values. Works through blocks of units, so
    memory stays near 100 MB whatever the number of resamples.
    """
    order = np.argsort(unit, kind="stable")
    value = value[order]
    n = counts(unit, units)
    start = np.cumsum(n) - n
    low, high = np.full(units, np.nan), np.full(units, np.nan)
    generator = np.random.default_rng(seed)
    tail = (1 - confidence) / 2
    several = np.flatnonzero(n > 1)
    for block in np.array_split(several, max(1, int(n[several].sum()) * resamples // BLOCK)):
        if block.size:
            means = _resampled_means(value, start[block], n[block], resamples, generator)
            low[block], high[block] = np.quantile(means, [tail, 1 - tail], axis=0)
    return low, high


def _resampled_means(value: Floats, start: Counts, n: Counts, resamples: int, generator: np.random.Generator) -> Floats:
    """Means of ``resamples`` draws of each unit's values; shape (resamples, units in the block)."""
    local = np.repeat(np.arange(n.size, dtype=np.int32), n)
    means = np.empty((resamples, n.size))
    for resample in range(resamples):
        drawn = start[local] + (generator.random(local.size) * n[local]).astype(np.int64)
        means[resample] = ratio(sums(local, value[drawn], n.size), n)
    return means
