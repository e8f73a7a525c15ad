"""Intervals of a scorer's agreement with people by drawing whole source images, and two scorers on the same triples.

All triples of a source image are drawn together, because their scores go together: intervals from single triples would
be too narrow. Percentile bootstrap of clusters (Davison and Hinkley 1997, 3.8); for two scorers both see the same
draws.

One resample is a row of counts, how often each cluster was drawn. Pearson's r and the distances are functions of sums
per cluster, so one product of counts and sums gives them for all resamples. For Spearman's every resample is ranked
anew: in the order of the scores, the running sum of the counts gives the mean rank of each tie, exactly as if the drawn
rows were written out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtri

from scoring.stats.correlate import NO_TRIPLES, complete, is_constant, midranks, pearson, undefined
from scoring.stats.grouped import EDGE, Codes, Floats, ratio, sums

FIGURES = ("pcc", "srcc", "mae", "rmse", "bias", "within_one")
DIFFERENCES = {"pcc": 1, "srcc": 1, "mae": -1}
"""Figures in which two scorers are compared, and whether more of it is better."""
BLOCK = 1_000_000
"""Cells (resamples by triples) worked on at a time: a few arrays of 8 MB."""
USABLE = 0.9
"""An interval needs this share of the resamples; those where the figure is undefined are no random part of them."""
FEW_CLUSTERS = 10

ONE_CLUSTER = "everything comes from one source image, so there is nothing to draw"
TOO_OFTEN = "it is undefined in too many resamples: only {usable} of {resamples} resamples have it"

Replicates = dict[str, Floats]
"""Figure to its value in each resample, shape (resamples,); NaN where it is undefined."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Percentile interval from ``usable`` resamples; NaN where it is not determined."""

    low: float
    high: float
    usable: int


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Intervals of every figure in FIGURES; ``reasons`` has a sentence for each that is NaN."""

    n: int
    clusters: int
    resamples: int
    intervals: Mapping[str, Interval]
    reasons: Mapping[str, str]

    @property
    def few_clusters(self) -> bool:
        """Fewer than ten source images: intervals tend to be too narrow."""
        return self.clusters < FEW_CLUSTERS


def bootstrap(
    human: Floats,
    scorer: Floats,
    cluster: Codes | None = None,
    *,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Bootstrap:
    """Intervals of FIGURES when clusters are drawn with replacement; columns of shape (triples,).

    ``cluster``: any integer per source image; None takes each triple for its own. Rows with a score that is not finite
    are left out. The same seed gives the same draws. Raises ValueError for columns of different lengths.
    """
    (human, scorer), codes, _ = _rows([human, scorer], cluster)
    found = replicates(human, [scorer], codes, resamples=resamples, seed=seed)[0]
    return _summary(human, scorer, codes, found, confidence)


Verdict = Literal["better", "worse", "not distinguishable", "not determined"]


@dataclass(frozen=True, slots=True)
class Difference:
    """Second minus first: the value, its interval, and in which share of resamples second is better (ties a half)."""

    value: float
    low: float
    high: float
    better: float
    usable: int


@dataclass(frozen=True, slots=True)
class ScorerComparison:
    """Two scorers on the ``n`` triples that both scored; ``left_out`` rows lacked a score.

    ``differences`` by figure: pcc, srcc, mae. ``verdict`` is about second and rests on the interval of the PCC
    difference. ``detectable``: the true PCC difference that a study of this size shows in 80 % of cases, from the
    spread over resamples. ``first`` and ``second`` come from the same draws. ``reasons``: a sentence for each NaN
    difference.
    """

    n: int
    left_out: int
    first: Bootstrap
    second: Bootstrap
    differences: Mapping[str, Difference]
    verdict: Verdict
    detectable: float
    reasons: Mapping[str, str]

    def triples_for(self, difference: float) -> float:
        """Triples that show a true PCC difference in 80 % of cases, roughly: the spread goes as 1/√n. NaN: unknown."""
        return self.n * (self.detectable / abs(difference)) ** 2 if difference else math.nan


def compare(
    human: Floats,
    first: Floats,
    second: Floats,
    cluster: Codes | None = None,
    *,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> ScorerComparison:
    """Is ``second`` better than ``first`` on the same triples? Paired; arguments and errors as in ``bootstrap``."""
    (human, first, second), codes, left_out = _rows([human, first, second], cluster)
    one, other = replicates(human, [first, second], codes, resamples=resamples, seed=seed)
    before, after = _summary(human, first, codes, one, confidence), _summary(human, second, codes, other, confidence)
    differences, reasons = {}, {}
    for figure, sign in DIFFERENCES.items():
        value = _figure(figure, human, second) - _figure(figure, human, first)
        gap = other[figure] - one[figure]
        interval, reason = percentile_interval(gap, value, before.clusters, confidence)
        differences[figure] = Difference(value, interval.low, interval.high, _wins(gap * sign), interval.usable)
        if reason:
            reasons[figure] = before.reasons.get(figure) or after.reasons.get(figure) or reason
    return ScorerComparison(
        n=human.size,
        left_out=left_out,
        first=before,
        second=after,
        differences=differences,
        verdict=_verdict(differences["pcc"]),
        detectable=_detectable(other["pcc"] - one["pcc"], differences["pcc"], confidence),
        reasons=reasons,
    )


def _figure(figure: str, human: Floats, scorer: Floats) -> float:
    """The point estimate of one of DIFFERENCES."""
    if figure == "mae":
        return float(np.mean(np.abs(scorer - human))) if human.size else math.nan
    return pearson(human, scorer) if figure == "pcc" else pearson(midranks(human), midranks(scorer))


def _wins(gain: Floats) -> float:
    gain = gain[np.isfinite(gain)]
    if gain.size == 0:
        return math.nan
    return float(np.mean(np.where(np.abs(gain) <= EDGE, 0.5, gain > 0)))


def _verdict(difference: Difference) -> Verdict:
    if math.isnan(difference.low):
        return "not determined"
    if difference.low > EDGE:
        return "better"
    return "worse" if difference.high < -EDGE else "not distinguishable"


def _detectable(gap: Floats, difference: Difference, confidence: float) -> float:
    """(z of the interval + z of 80 %) standard errors."""
    if math.isnan(difference.low):
        return math.nan
    return float((ndtri((1 + confidence) / 2) + ndtri(0.8)) * np.nanstd(gap, ddof=1))


def _rows(columns: Sequence[Floats], cluster: Codes | None) -> tuple[list[Floats], Codes, int]:
    """The complete rows and their cluster codes 0..clusters-1."""
    arrays = [np.asarray(column, dtype=np.float64) for column in columns]
    names = np.arange(arrays[0].size) if cluster is None else np.asarray(cluster)
    if names.shape != arrays[0].shape:
        raise ValueError("The columns must be rows of numbers of one length.")
    kept, left_out = complete(*arrays)
    known = np.logical_and.reduce([np.isfinite(array) for array in arrays])
    return kept, np.unique(names[known], return_inverse=True)[1], left_out


def _summary(human: Floats, scorer: Floats, codes: Codes, found: Replicates, confidence: float) -> Bootstrap:
    clusters = int(codes.max(initial=-1)) + 1
    intervals, reasons = {}, {}
    correlates = human.size > 2 and not is_constant(human) and not is_constant(scorer)
    for figure in FIGURES:
        known = correlates if figure in ("pcc", "srcc") else human.size > 0
        value = 0.0 if known else math.nan
        intervals[figure], reason = percentile_interval(found[figure], value, clusters, confidence)
        if reason:
            reasons[figure] = reason if known else undefined(human, scorer)
    return Bootstrap(human.size, clusters, found["pcc"].size, intervals, reasons)


def percentile_interval(values: Floats, estimate: float, clusters: int, confidence: float) -> tuple[Interval, str]:
    """Interval of a figure from its resampled values, or why there is none. ``estimate``: on all rows, or NaN."""
    defined = values[np.isfinite(values)]
    if math.isnan(estimate) or clusters < 2 or not defined.size or defined.size < USABLE * values.size:
        reason = TOO_OFTEN.format(usable=defined.size, resamples=values.size)
        reason = NO_TRIPLES if clusters == 0 else ONE_CLUSTER if clusters == 1 else reason
        return Interval(math.nan, math.nan, defined.size), reason
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Interval(float(low), float(high), defined.size), ""


def draws(clusters: int, resamples: int, seed: int, width: int) -> Iterator[tuple[slice, Floats]]:
    """How often each cluster is drawn: blocks of resamples and counts of shape (block, clusters), sums ``clusters``.

    ``width``: cells that a resample takes, for the size of the blocks. The draws do not depend on the blocks.
    """
    generator = np.random.default_rng(seed)
    step = max(1, BLOCK // max(width, 1))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = generator.integers(0, clusters, (rows, clusters))
        drawn += np.arange(rows)[:, None] * clusters
        counted = np.bincount(drawn.ravel(), minlength=rows * clusters).reshape(rows, clusters)
        yield slice(start, start + rows), counted.astype(np.float64)


def replicates(
    human: Floats, scorers: Sequence[Floats], cluster: Codes, *, resamples: int, seed: int
) -> list[Replicates]:
    """FIGURES of each scorer in every resample, the same draws for all. Finite columns; codes 0..clusters-1."""
    found = [{figure: np.full(resamples, np.nan) for figure in FIGURES} for _ in scorers]
    if human.size == 0:
        return found
    clusters = int(cluster.max()) + 1
    totals = [_totals(human, scorer, cluster, clusters) for scorer in scorers]
    people, orders = _Order.of(human), [_Order.of(scorer) for scorer in scorers]
    for rows, weights in draws(clusters, resamples, seed, human.size):
        per_row = weights[:, cluster]
        ranks = people.ranks(per_row)
        for mine, sums_, order in zip(found, totals, orders, strict=True):
            _from_sums(mine, rows, weights @ sums_)
            if human.size > 2:
                mine["srcc"][rows] = _weighted_r(per_row, ranks, order.ranks(per_row))
    if human.size < 3:
        for mine in found:
            mine["pcc"][:] = np.nan
    return found


def product_sums(first: Floats, second: Floats, cluster: Codes, clusters: int) -> Floats:
    """Per cluster n, Σx, Σy, Σx², Σy², Σxy of the columns less their means; shape (clusters, 6), for ``pearson_of``."""
    x, y = first - first.mean(), second - second.mean()
    columns = (np.ones(x.size), x, y, x * x, y * y, x * y)
    return np.stack([sums(cluster, column, clusters) for column in columns], axis=1)


def pearson_of(totals: Floats) -> Floats:
    """Pearson's r from sums n, Σx, Σy, Σx², Σy², Σxy in the last axis; NaN where a column has one value."""
    n, x, y, xx, yy, xy = np.moveaxis(totals[..., :6], -1, 0)
    spread_x, spread_y = xx - x * x / n, yy - y * y / n
    # Beside the second moment, what rounding leaves of equal values is this small; real spreads are not.
    varied = (spread_x > 1e-12 * xx) & (spread_y > 1e-12 * yy)
    r = ratio(xy - x * y / n, np.where(varied, np.sqrt(np.maximum(spread_x, 0) * np.maximum(spread_y, 0)), 0.0))
    return np.clip(r, -1, 1)


def _totals(human: Floats, scorer: Floats, cluster: Codes, clusters: int) -> Floats:
    error = scorer - human
    near = (np.abs(error) <= 1 + EDGE).astype(np.float64)
    distances = [sums(cluster, column, clusters) for column in (np.abs(error), error * error, error, near)]
    return np.column_stack([product_sums(human, scorer, cluster, clusters), *distances])


def _from_sums(found: Replicates, rows: slice, totals: Floats) -> None:
    n = totals[:, 0]
    found["pcc"][rows] = pearson_of(totals)
    found["mae"][rows] = totals[:, 6] / n
    found["rmse"][rows] = np.sqrt(totals[:, 7] / n)
    found["bias"][rows] = totals[:, 8] / n
    found["within_one"][rows] = totals[:, 9] / n


@dataclass(frozen=True, slots=True)
class _Order:
    """A column in ascending order: ``order`` of its rows, the ``last`` place of each tie, and each row's ``tie``."""

    order: Codes
    last: Codes
    tie: Codes

    @classmethod
    def of(cls, values: Floats) -> _Order:
        _, tie, frequency = np.unique(values, return_inverse=True, return_counts=True)
        return cls(np.argsort(tie, kind="stable"), np.cumsum(frequency) - 1, tie)

    def ranks(self, weights: Floats) -> Floats:
        """Midranks less their mean, where row i stands ``weights[..., i]`` times; the shape of ``weights``."""
        below_or_in = np.cumsum(weights[:, self.order], axis=1)[:, self.last]
        below = np.concatenate([np.zeros((len(weights), 1)), below_or_in[:, :-1]], axis=1)
        return ((below + below_or_in - below_or_in[:, -1:]) / 2)[:, self.tie]


def _weighted_r(weights: Floats, x: Floats, y: Floats) -> Floats:
    """Correlation of columns with weighted mean 0, row by row; NaN where one is all zero."""
    weighted = weights * x
    spread = np.einsum("rn,rn->r", weighted, x) * np.einsum("rn,rn,rn->r", weights, y, y)
    return np.clip(ratio(np.einsum("rn,rn->r", weighted, y), np.sqrt(spread)), -1, 1)
