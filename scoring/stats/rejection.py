"""Which annotators are rejected, and why, in words.

The printed rule (more than 5 % of one's ratings are outliers; EditHF-1M, section 3.3) throws honest people out: with
15 ratings an item they exceed 2 stds in 3.3 % of their ratings by chance. So a rejection here needs three things: a
rate above the cap, a minimum number of ratings, and a rate that chance does not explain (one-sided binomial test
against the cap).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import bdtrc

from scoring.stats.grouped import Counts, Flags, Floats, ratio
from scoring.stats.outliers import Bt500Counts


@dataclass(frozen=True, slots=True)
class RejectionRule:
    """Cap on the share of outliers, fewest ratings to be judged on, and significance level of the binomial test."""

    cap: float = 0.05
    minimum_ratings: int = 20
    significance: float = 0.01


@dataclass(frozen=True, slots=True)
class Rejection:
    """Per rater: rejected or not, and a sentence for everyone whose rate is above the cap."""

    rejected: Flags
    reasons: dict[int, str]


def reject_by_rate(ratings: Counts, outliers: Counts, rule: RejectionRule) -> Rejection:
    """Reject raters whose share of outliers is above the cap, on enough ratings, and beyond chance."""
    share = ratio(outliers, ratings)
    p_value = chance(ratings, outliers, rule.cap)
    above = share > rule.cap
    enough = ratings >= rule.minimum_ratings
    rejected = above & enough & (p_value < rule.significance)
    reasons = {}
    for rater in np.flatnonzero(above).tolist():
        found = f"{outliers[rater]} of {ratings[rater]} ratings are outliers ({share[rater]:.1%}, cap {rule.cap:.1%})"
        if not enough[rater]:
            reasons[rater] = f"kept: {found}, but fewer than {rule.minimum_ratings} ratings are too few to judge"
        elif not rejected[rater]:
            reasons[rater] = f"kept: {found}, but chance explains it (p = {p_value[rater]:.2g})"
        else:
            reasons[rater] = f"rejected: {found}, and chance does not explain it (p = {p_value[rater]:.2g})"
    return Rejection(rejected, reasons)


def chance(ratings: Counts, outliers: Counts, rate: float) -> Floats:
    """P(X >= outliers) for X binomial(ratings, rate): the one-sided p-value, 1 where there is no outlier."""
    p_value = np.ones(ratings.shape)
    some = outliers > 0
    p_value[some] = bdtrc(outliers[some] - 1.0, ratings[some], rate)
    return p_value


def reject_by_bt500(ratings: Counts, found: Bt500Counts, cap: float = 0.05, balance: float = 0.3) -> Rejection:
    """ITU-R BT.500: reject if (P + Q)/N > cap and |P - Q|/(P + Q) < balance, N the rater's own number of ratings.

    A rater whose extremes lie on one side is biased, not erratic, and stays. No binomial test: the standard has none.
    """
    total = found.high + found.low
    share = ratio(total, ratings)
    lean = ratio(np.abs(found.high - found.low), total)
    above = share > cap
    rejected = above & (lean < balance)
    reasons = {}
    for rater in np.flatnonzero(above).tolist():
        numbers = (
            f"{found.high[rater]} ratings above and {found.low[rater]} below the limits of BT.500 "
            f"({share[rater]:.1%} of {ratings[rater]}, cap {cap:.1%})"
        )
        verdict = f"rejected: {numbers}, on both sides" if rejected[rater] else f"kept: {numbers}, on one side"
        reasons[rater] = f"{verdict} (imbalance {lean[rater]:.2f}, limit {balance:g})"
    return Rejection(rejected, reasons)
