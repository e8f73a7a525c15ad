"""How well people agree with each other: the most that a scorer can be asked for.

An item's observed mean of k raters is truth plus error. If two such means, from other people each time, correlate at ρ
(the reliability of the mean), a scorer that knew the truth would correlate with the observed mean at √ρ, and none can
do better but by luck: **√ρ is the ceiling of a scorer that is compared with the mean of k raters**. ρ itself is what a
second panel of the same size would reach, and the leave-one-out figure what one more person reaches. A scorer above the
latter agrees with people better than a person does; that is possible, and no error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from scoring.stats.bootstrap import draws, pearson_of, percentile_interval, product_sums
from scoring.stats.correlate import SAME_PEOPLE, complete, fisher_mean, pearson
from scoring.stats.grouped import Codes, Floats, counts, ranges, ratio, sums

TOO_FEW = "fewer than 3 items were scored by two people"
DISAGREE = "two halves of the raters agree less than by chance, so their means have no reliability"
FEW_SHARED = "no annotator scored 4 items together with others and used more than one value"
INTERVALS = ("reliability_low", "reliability_high", "ceiling_low", "ceiling_high")


@dataclass(frozen=True, slots=True)
class Ceiling:
    """Agreement among people, from ``units`` items of which ``shared`` have two raters or more. NaN: see ``reasons``.

    ``raters``: ratings of an item, the harmonic mean over all items, since errors go as 1/k. ``half``: correlation of
    the means of two random halves of each item's raters. ``reliability``: of the mean of ``raters``, from it by
    Spearman-Brown. ``ceiling``: its square root. Both have percentile intervals from drawing items; raters stay as they
    are. ``leave_one_out``: an annotator against the mean of the others, averaged over ``annotators`` of them. It has no
    interval: the annotators' correlations lean on one another.
    """

    units: int
    shared: int
    raters: float
    half: float
    reliability: float
    reliability_low: float
    reliability_high: float
    ceiling: float
    ceiling_low: float
    ceiling_high: float
    leave_one_out: float
    annotators: int
    reasons: Mapping[str, str]


def human_ceiling(
    rater: Codes,
    unit: Codes,
    score: Floats,
    *,
    cluster: Codes | None = None,
    splits: int = 20,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Ceiling:
    """From one row a score: codes of the rater and of the unit (an item in a dimension), shape (scores,).

    Rows that are not finite are left out; repeats of a rater on a unit are averaged first. ``cluster``: the source
    image of each unit, shape (units,), for the intervals; None takes each unit for its own. Halves come from a random
    order of the raters, ``splits`` times: on a complete panel the same people are on the same side throughout, so that
    their biases cancel as they do in the mean. Of an odd number of raters one sits out. Spearman 1910, Brown 1910.

    Raises ValueError for columns of different lengths.
    """
    rater, unit, score, kept = _merged(rater, unit, score)
    n = counts(unit, kept.size)
    shared = n > 1
    loo, annotators = leave_one_out(rater, unit, score)
    raters = float(kept.size / np.sum(1 / n)) if kept.size else math.nan
    first, second, per_half = _halves(rater, unit, score, splits, seed)
    correlations = np.array([pearson(first[:, split], second[:, split]) for split in range(splits)])
    half = float(np.nanmean(correlations)) if np.isfinite(correlations).any() else math.nan
    factor = raters / per_half
    reliability = float(spearman_brown(half, factor)) if half >= 0 else math.nan
    _, codes = np.unique((kept if cluster is None else np.asarray(cluster)[kept])[shared], return_inverse=True)
    drawn = spearman_brown(np.maximum(_resampled(first, second, codes, resamples, seed), 0), factor)
    clusters = int(codes.max(initial=-1)) + 1
    interval, why_no_interval = percentile_interval(drawn, reliability, clusters, confidence)
    return Ceiling(
        units=kept.size,
        shared=int(np.count_nonzero(shared)),
        raters=raters,
        half=half,
        reliability=reliability,
        reliability_low=interval.low,
        reliability_high=interval.high,
        ceiling=math.sqrt(reliability),
        ceiling_low=math.sqrt(interval.low),
        ceiling_high=math.sqrt(interval.high),
        leave_one_out=loo,
        annotators=annotators,
        reasons=_reasons(int(np.count_nonzero(shared)), half, why_no_interval, loo),
    )


def spearman_brown(r: float | Floats, factor: float) -> Floats:
    """Reliability of ``factor`` times as many ratings, r at least 0: f·r/(1 + (f - 1)·r)."""
    reliability: Floats = factor * np.asarray(r) / (1 + (factor - 1) * np.asarray(r))
    return reliability


def leave_one_out(rater: Codes, unit: Codes, score: Floats) -> tuple[float, int]:
    """Fisher mean of each annotator's correlation with the mean of the others, and how many annotators it rests on.

    Weights n - 3 for n shared units; an annotator needs 4 of them. One row a rater and unit.
    """
    units = int(unit.max(initial=-1)) + 1
    n, total = counts(unit, units), sums(unit, score, units)
    together = n[unit] > 1
    rater, unit, score = rater[together], unit[together], score[together]
    others = (total[unit] - score) / (n[unit] - 1)
    order = np.argsort(rater, kind="stable")
    size = np.bincount(rater)
    parts = np.split(order, np.cumsum(size)[:-1]) if size.size else []
    found = fisher_mean(np.array([pearson(score[rows], others[rows]) for rows in parts]), size)
    return found.value, found.used


def _merged(rater: Codes, unit: Codes, score: Floats) -> tuple[Codes, Codes, Floats, Codes]:
    """One row a rater and unit with codes from 0, repeats averaged; and the units' own codes."""
    (score, raters, units), _ = complete(score, rater.astype(np.float64), unit.astype(np.float64))
    people, rater = np.unique(raters, return_inverse=True)
    kept, unit = np.unique(units, return_inverse=True)
    key, first, code = np.unique(unit * max(people.size, 1) + rater, return_index=True, return_inverse=True)
    mean = sums(code, score, key.size) / counts(code, key.size)
    return rater[first], unit[first], mean, kept.astype(np.int64)


def _halves(rater: Codes, unit: Codes, score: Floats, splits: int, seed: int) -> tuple[Floats, Floats, float]:
    """Means of both halves, shape (units with two raters, splits), and the harmonic mean of raters in a half."""
    units, people = int(unit.max(initial=-1)) + 1, int(rater.max(initial=-1)) + 1
    n = counts(unit, units)
    size = n // 2
    shared = size > 0
    generator = np.random.default_rng(seed)
    means = np.empty((2, int(np.count_nonzero(shared)), splits))
    for split in range(splits):
        order = np.lexsort((generator.permutation(people)[rater], unit))
        side = ranges(n) // np.maximum(size, 1)[unit[order]]
        for half in (0, 1):
            mine = order[side == half]
            means[half, :, split] = sums(unit[mine], score[mine], units)[shared] / size[shared]
    per_half = float(means.shape[1] / np.sum(1 / size[shared])) if shared.any() else math.nan
    return means[0], means[1], per_half


def _resampled(first: Floats, second: Floats, codes: Codes, resamples: int, seed: int) -> Floats:
    """Mean over the splits of the correlation of halves, in each resample of clusters; shape (resamples,)."""
    found = np.full(resamples, np.nan)
    if codes.size == 0:
        return found
    clusters = int(codes.max()) + 1
    totals = np.stack(
        [product_sums(first[:, split], second[:, split], codes, clusters) for split in range(first.shape[1])]
    )
    for rows, weights in draws(clusters, resamples, seed, clusters):
        r = np.stack([pearson_of(weights @ split) for split in totals])
        known = np.isfinite(r)
        found[rows] = ratio(np.where(known, r, 0).sum(axis=0), known.sum(axis=0))
    return found


def _reasons(shared: int, half: float, why_no_interval: str, loo: float) -> dict[str, str]:
    """Field name to the sentence why it is NaN."""
    found: dict[str, str] = {}
    if not half >= 0:
        why = DISAGREE if half < 0 else TOO_FEW if shared < 3 else SAME_PEOPLE
        found = dict.fromkeys(("reliability", "ceiling", *INTERVALS), why)
        if math.isnan(half):
            found["half"] = why
    elif why_no_interval:
        found = dict.fromkeys(INTERVALS, why_no_interval)
    if math.isnan(loo):
        found["leave_one_out"] = FEW_SHARED
    return found
