"""Which ratings are outliers: four rules, each a pure function of a panel.

The rule as printed (|r - mean| > 2 std over the item's ratings; EditHF-1M, section 3.3) cannot fire on five ratings:
the largest possible |r - mean|/std among n values is (n - 1)/sqrt(n) with the sample std, 1.79 at n = 5. Hence the
others. Stds are sample stds (n - 1), except in BT.500. Rules return one flag per row of the panel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scoring.stats.grouped import EDGE, Counts, Flags, deviate, gather, moments, ratio, sums
from scoring.stats.table import Panel
from scoring.stats.zscore import zscores

MULTIPLIER = 2.0
"""Deviations of more than this many stds are outliers."""
FLOOR_SHARE = 1.25
"""Floor of the leave-one-out std, in pooled within-item stds. A rating's distance from the mean of n - 1 others has
sqrt(n/(n - 1)) stds, 1.22 at n = 3; with a floor of 0.5 every honest annotator of a simulated study was rejected."""
LITERAL_NEEDS = 6
"""Fewest ratings of an item on which a deviation of more than 2 sample stds is possible: (n - 1)/sqrt(n) > 2."""
BT500_NEEDS = 5
"""Fewest ratings on which a deviation of 2 population stds is possible: sqrt(n - 1) >= 2."""


def literal(panel: Panel, multiplier: float = MULTIPLIER) -> Flags:
    """As printed: |r - mean_j| > multiplier * std_j over all ratings of item j."""
    per_unit, deviation = moments(panel.unit, panel.score, panel.units)
    limit = multiplier * (1 + EDGE) * np.nan_to_num(per_unit.std())
    return np.abs(deviation) > gather(limit, panel.unit)


def leave_one_out(panel: Panel, multiplier: float = MULTIPLIER, floor_share: float = FLOOR_SHARE) -> Flags:
    """Compare r with mean and std of the *other* ratings of its item; needs at least two others.

    The std is floored at ``floor_share`` times the dimension's pooled within-item std: a few others who happen to agree
    would otherwise condemn everyone else.
    """
    per_unit, deviation = moments(panel.unit, panel.score, panel.units)
    n = per_unit.n[panel.unit].astype(np.float64)
    # With x the deviation from the mean of all n: the others' mean lies x·n/(n-1) away, and their sum of squares around
    # it is SS - x²·n/(n-1).
    others_squares = gather(per_unit.squares, panel.unit) - deviation**2 * ratio(n, n - 1)
    others_std = np.sqrt(np.maximum(ratio(others_squares, n - 2), 0))
    squares = sums(panel.unit_dimension, per_unit.squares, panel.dimensions)
    degrees = sums(panel.unit_dimension, np.maximum(per_unit.n - 1.0, 0), panel.dimensions)
    floor = floor_share * np.sqrt(ratio(squares, degrees))[panel.unit_dimension]
    limit = multiplier * (1 + EDGE) * np.maximum(others_std, gather(floor, panel.unit))
    flags: Flags = np.abs(deviation) * ratio(n, n - 1) > limit
    return flags


def pooled(panel: Panel, multiplier: float = MULTIPLIER) -> Flags:
    """Residual of a rating's z-score from its item's mean z-score, against the residuals' std over the dimension.

    Items with one rating have a residual of 0 by construction and take no part. Nor do raters without a z-score (one
    rating, or always the same score).
    """
    z = zscores(panel)
    n, _, residual = deviate(z.panel.unit, z.panel.score, panel.units)
    per_rater = sums(z.panel.rater, residual * residual, panel.raters)
    squares = sums(panel.rater_dimension, per_rater, panel.dimensions)
    rows = sums(panel.unit_dimension, np.where(n > 1, n, 0), panel.dimensions)
    std = np.sqrt(ratio(squares, rows - 1))
    # Residuals of panels that agree up to rounding are rounding errors, not disagreement; z has unit size.
    std[~(std > EDGE)] = np.inf
    limit = multiplier * (1 + EDGE) * std[panel.rater_dimension]
    outlying = np.abs(residual) > gather(limit, z.panel.rater)
    if outlying.size == panel.score.size:
        return outlying
    flags = np.zeros(panel.score.size, dtype=bool)
    flags[z.kept] = outlying
    return flags


@dataclass(frozen=True, slots=True)
class Bt500Counts:
    """Per rater: P, ratings at or above the upper limit of their item, and Q, ratings at or below the lower one."""

    high: Counts
    low: Counts
    flags: Flags


def bt500(panel: Panel, ddof: int = 0) -> Bt500Counts:
    """Count ratings outside the limits of ITU-R BT.500 (observer screening).

    Limits are mean ± 2 std where the item's kurtosis m4/m2² lies in 2..4, else mean ± sqrt(20) std. An item with equal
    ratings screens nobody. The std is sqrt(m2), that of the kurtosis; ``ddof=1`` takes the sample std instead, with
    which nobody is rejected on the public panel where the reference rejects one person (docs/statistics.md).
    """
    per_unit, deviation = moments(panel.unit, panel.score, panel.units)
    fourth = sums(panel.unit, deviation**4, panel.units)
    kurtosis = ratio(fourth * per_unit.n, per_unit.squares**2)
    normal = (kurtosis >= 2 - EDGE) & (kurtosis <= 4 + EDGE)
    limit = np.where(normal, 2.0, np.sqrt(20.0)) * per_unit.std(ddof) * (1 - EDGE)
    limit[~(per_unit.squares > 0)] = np.inf
    row_limit = gather(limit, panel.unit)
    above, below = deviation >= row_limit, deviation <= -row_limit
    return Bt500Counts(
        high=np.bincount(panel.rater[above], minlength=panel.raters),
        low=np.bincount(panel.rater[below], minlength=panel.raters),
        flags=above | below,
    )


def units_below(panel: Panel, needed: int) -> int:
    """Number of units with fewer ratings than ``needed``."""
    return int(np.count_nonzero(np.bincount(panel.unit, minlength=panel.units) < needed))
