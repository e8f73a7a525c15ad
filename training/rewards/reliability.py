"""Does a pair that the model says it knows with 80 % turn out so in 80 % of cases?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr, ndtr

from scoring.stats.grouped import Counts, Floats, ratio
from training.rewards.accuracy import Pairs, credit
from training.rewards.estimates import Estimate, Resampling, from_sums, mean_of

BINS = 10


@dataclass(frozen=True, slots=True)
class Curve:
    """A reliability curve: bins of the probability of the side that the model prefers, from ½ to 1.

    ``edges`` (bins + 1,); per bin ``said``, the mean probability, ``right``, the share of pairs in which people agree,
    NaN where ``n`` is 0. ``ece``: mean of |said - right| over pairs (Naeini et al. 2015).
    """

    edges: Floats
    said: Floats
    right: Floats
    n: Counts
    ece: Estimate


def spread_of(sigma_first: Floats, sigma_second: Floats) -> Floats:
    return np.hypot(sigma_first, sigma_second)


def win_probability(difference: Floats, spread: Floats) -> Floats:
    """P(first beats second) = Φ(difference/spread), two independent Gaussians; EditReward (4)."""
    return np.asarray(ndtr(difference / spread), dtype=np.float64)


def curve(pairs: Pairs, probability: Floats, resampling: Resampling, bins: int = BINS) -> Curve:
    """``probability`` (pairs,): P(first beats second). Pairs that people call a tie are left out and counted.

    A pair is seen from the side that the model prefers, so the curve does not depend on which candidate is listed
    first; a probability of exactly ½ prefers nobody and is half right.
    """
    decided = pairs.outcome != 0
    p, outcome = probability[decided], pairs.outcome[decided]
    said = np.maximum(p, 1 - p)
    right = credit(p - 0.5, outcome)
    place = np.clip(((said - 0.5) * 2 * bins).astype(np.int64), 0, bins - 1)
    rows = np.zeros((said.size, 3, bins))
    rows[np.arange(said.size), :, place] = np.stack([np.ones(said.size), said, right], axis=1)
    n, total, agreed = rows.sum(axis=0)
    ece = from_sums(
        rows.reshape(said.size, 3 * bins), pairs.source[decided], _ece, resampling, skipped=int((~decided).sum())
    )
    return Curve(np.linspace(0.5, 1, bins + 1), ratio(total, n), ratio(agreed, n), n.astype(np.int64), ece)


def _ece(totals: Floats) -> Floats:
    n, said, right = np.moveaxis(totals.reshape(*totals.shape[:-1], 3, -1), -2, 0)
    return ratio(np.abs(said - right).sum(axis=-1), n.sum(axis=-1))


def negative_log_likelihood(pairs: Pairs, spread: Floats, resampling: Resampling) -> Estimate:
    """Mean of -log P(what people said) over decided pairs, in nats; log 2 = 0.693 for a model that knows nothing."""
    each = -np.asarray(log_ndtr(pairs.outcome * pairs.difference / spread))
    return mean_of(np.where(pairs.outcome == 0, np.nan, each), pairs.source, resampling)
