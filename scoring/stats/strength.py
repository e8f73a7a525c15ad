"""Strength of editors over a whole study: Bradley-Terry with ties, bootstrap intervals over groups.

Model (Davidson 1970): win, loss and tie of i against j go as π_i : π_j : ν·sqrt(π_i·π_j). Its log-likelihood is concave
in log π and log ν, so Newton's method finds the maximum; evalica's fixed-point iteration for the same model swings for
ever between two points where ties are rare or there are two editors. Whole orders: ``scoring.stats.plackett``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from scoring.stats.grouped import Codes, Flags, Floats, compress
from scoring.stats.pairs import Pairs

TOLERANCE = 1e-10
LIMIT = 200
LONGEST = 2.0
"""Longest Newton step, in units of log π: far from the maximum the quadratic is a bad guide."""
INFINITE = 15.0
"""A log strength or log ν beyond this is on its way to infinity: odds of three million to one."""


@dataclass(frozen=True, slots=True)
class Comparisons:
    """Outcomes between editors, one row each: ``first`` won against ``second``, or ``tied`` with it, in ``group``."""

    group: Codes
    first: Codes
    second: Codes
    tied: Flags


@dataclass(frozen=True, slots=True)
class Strengths:
    """Per editor: natural logarithm of π, mean 0 over editors, and its percentile interval. NaN: not determined.

    ``tie`` is ν, and ``ties`` Plackett-Luce's δ_2 (= ν), δ_3, ... ``usable`` of the ``resamples`` had a finite
    solution; intervals need nine tenths of them.
    """

    strength: Floats
    low: Floats
    high: Floats
    tie: float
    usable: int
    resamples: int
    ties: tuple[float, ...] = ()


def comparisons(pairs: Pairs, ties: Pairs, cell_group: Codes, cell_editor: Codes) -> Comparisons:
    """Pairs of candidates as outcomes between their editors; pairs of one editor with itself are left out."""
    first = cell_editor[np.concatenate([pairs.better, ties.better])]
    second = cell_editor[np.concatenate([pairs.worse, ties.worse])]
    group = cell_group[np.concatenate([pairs.better, ties.better])]
    tied = np.arange(first.size) >= pairs.better.size
    differ = first != second
    return Comparisons(group[differ], first[differ], second[differ], tied[differ])


def editor_strengths(
    outcomes: Comparisons, editors: int, *, resamples: int = 200, confidence: float = 0.95, seed: int = 0
) -> Strengths:
    """Fit the editors 0..editors-1, and again on ``resamples`` draws of whole groups with replacement.

    NaN: an editor that was never compared; and everybody, where the likelihood has no maximum: an editor that never
    lost has no finite strength, and editors that never met, not even through others, cannot be compared.
    """
    codes, present = compress(np.concatenate([outcomes.first, outcomes.second]).astype(np.int64), editors)
    first, second = codes[: outcomes.first.size], codes[outcomes.first.size :]
    among = Comparisons(outcomes.group, first, second, outcomes.tied)
    fitted = _strengths(among, present.size, resamples, confidence, seed)
    spread = np.full((3, editors), np.nan)
    spread[:, present] = fitted.strength, fitted.low, fitted.high
    return replace(fitted, strength=spread[0], low=spread[1], high=spread[2])


def _strengths(outcomes: Comparisons, editors: int, resamples: int, confidence: float, seed: int) -> Strengths:
    """Of editors that all were compared."""
    key = (outcomes.first * editors + outcomes.second) * 2 + outcomes.tied
    _, row = np.unique(outcomes.group, return_inverse=True)
    groups = int(row.max(initial=-1)) + 1
    per_group = csr_array(coo_array((np.ones(key.size), (row, key)), shape=(groups, 2 * editors * editors)))
    unknown = np.full(editors, np.nan)
    fitted = _fit(np.asarray(per_group.sum(axis=0)).ravel(), editors)
    if fitted is None:
        return Strengths(unknown, unknown, unknown, np.nan, 0, 0)
    generator = np.random.default_rng(seed)
    refits = []
    for _ in range(resamples):
        drawn = generator.multinomial(groups, np.full(groups, 1 / groups))
        if (refit := _fit(drawn @ per_group, editors)) is not None:
            refits.append(refit[0])
    low, high = percentiles(refits, resamples, editors, confidence)
    return Strengths(fitted[0], low, high, fitted[1], len(refits), resamples)


def percentiles(refits: Sequence[Floats], resamples: int, editors: int, confidence: float) -> tuple[Floats, Floats]:
    """Percentile limits per editor; NaN unless nine tenths of the resamples had a solution: the rest is not random."""
    if not refits or len(refits) < 0.9 * resamples:
        return np.full(editors, np.nan), np.full(editors, np.nan)
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.array(refits), [tail, 1 - tail], axis=0)
    return low, high


def _fit(kinds: Floats, editors: int) -> tuple[Floats, float] | None:
    """Log strengths with mean 0 and ν from the number of each kind of outcome; None where there is no maximum."""
    counted = kinds.reshape(editors, editors, 2)
    wins, ties = counted[..., 0], counted[..., 1] + counted[..., 1].T
    met = wins + wins.T + ties
    if editors < 2 or connected_components(met > 0, directed=False)[0] > 1:
        return None
    if not wins.any():
        return np.zeros(editors), np.nan
    point = np.zeros(editors + 1)
    point[-1] = 0.0 if ties.any() else -np.inf
    for _ in range(LIMIT):
        step = _newton_step(point, wins, ties, met)
        longest = float(np.abs(step).max())
        point += step * min(1.0, LONGEST / max(longest, TOLERANCE))
        if np.abs(point[np.isfinite(point)]).max() > INFINITE:
            return None
        if longest < TOLERANCE:
            return point[:-1] - point[:-1].mean(), float(np.exp(point[-1]))
    return None


def _newton_step(point: Floats, wins: Floats, ties: Floats, met: Floats) -> Floats:
    """Information matrix to gradient, for (log π, log ν). The step of least length leaves the mean of log π alone."""
    half = (point[:-1, None] - point[None, :-1]) / 2
    tie = np.exp(point[-1])
    total = np.exp(half) + np.exp(-half) + tie
    p_tie = tie / total
    expected = np.exp(half) / total + p_tie / 2
    variance = met * (expected - p_tie / 4 - expected**2)
    with_tie = met * p_tie * (0.5 - expected)
    gradient = np.append((wins + ties / 2 - met * expected).sum(axis=1), (ties - met * p_tie).sum() / 2)
    information = np.zeros((point.size, point.size))
    information[:-1, :-1] = np.diag(variance.sum(axis=1)) - variance
    information[-1, :-1] = information[:-1, -1] = with_tie.sum(axis=1)
    information[-1, -1] = (met * p_tie * (1 - p_tie)).sum() / 2
    step: Floats = np.linalg.lstsq(information, gradient, rcond=1e-12)[0]
    return step
