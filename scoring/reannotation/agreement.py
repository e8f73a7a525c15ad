"""How well the ratings of a single item agree: pure. docs/re-annotation.md says what that can and cannot tell."""

from __future__ import annotations

import numpy as np

from scoring.stats.grouped import Codes, Floats, counts, ranges, ratio, sums


def mean_difference(unit: Codes, score: Floats, units: int) -> Floats:
    """Mean absolute difference over all pairs of a unit's scores, in units of the scores; NaN for fewer than two.

    From sorted scores x_0 ≤ … ≤ x_(n-1): Σ_(i<j) (x_j - x_i) = Σ_i (2i - n + 1)·x_i, so no pairs are made.
    """
    order = np.lexsort((score, unit))
    unit, score = unit[order], score[order]
    n = counts(unit, units)
    weight = 2 * ranges(n) - n[unit] + 1
    return ratio(2 * sums(unit, weight * score, units), n * (n - 1))


def rating_agreement(unit: Codes, score: Floats, low: Floats, high: Floats) -> Floats:
    """1 - 2·D/(high - low) per unit, D the mean absolute difference of two ratings; at least 0, NaN without two.

    ``low`` and ``high`` of shape (units,): the ends of each unit's scale. 1: all the same. 0: people stand at the two
    ends. Ratings drawn evenly from a continuous scale come to 1/3, as Kendall's W does for three random rankings, so
    one threshold serves both. At 0.5 two ratings differ by a quarter of the scale on average.
    """
    return np.maximum(1 - 2 * mean_difference(unit, score, low.size) / (high - low), 0.0)
