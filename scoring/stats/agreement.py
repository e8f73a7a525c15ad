"""Agreement of annotators' scores: Krippendorff's alpha, ICC(2,1), ICC(2,k), weighted kappa, Fleiss' kappa.

All work on sparse panels without building a matrix of annotators by items. A figure that the data do not determine is
NaN, never 1: two annotators who share no item do not agree, and neither do two who gave the same score to everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.sparse import csr_array

from scoring.stats.grouped import EDGE, Codes, Counts, Floats, counts, moments, ratio, sums
from scoring.stats.table import Panel, Ratings, merge_repeats, repeated_units

Level = Literal["nominal", "ordinal", "interval"]
LEVELS: tuple[Level, ...] = ("nominal", "ordinal", "interval")


def krippendorff_alpha(unit: Codes, score: Floats, units: int, level: Level) -> float:
    """α = 1 - D_observed/D_expected over units with two scores or more (Krippendorff 2018, chapter 12).

    One row a rater and unit. NaN without such a unit, or if all their scores are equal. Ordinal distances are interval
    distances between midranks of the paired scores, so both use sums of squares and need no matrix of coincidences.
    """
    paired = counts(unit, units)[unit] > 1
    unit, score = unit[paired], score[paired]
    if score.size == 0:
        return np.nan
    values, code, frequency = np.unique(score, return_inverse=True, return_counts=True)
    if values.size == 1:
        return np.nan
    if level == "nominal":
        return _nominal_alpha(unit, code, units, frequency)
    position = values if level == "interval" else np.cumsum(frequency) - frequency / 2
    per_unit, _ = moments(unit, position[code], units)
    # Over ordered pairs of n values, Σ(x - y)² = 2n·Σ(x - mean)².
    observed = np.nansum(2 * ratio(per_unit.n * per_unit.squares, per_unit.n - 1)) / score.size
    mean = float(np.average(position, weights=frequency))
    expected = 2 * float(np.sum(frequency * (position - mean) ** 2)) / (score.size - 1)
    return float(1 - observed / expected)


def _nominal_alpha(unit: Codes, code: Codes, units: int, frequency: Counts) -> float:
    total = float(code.size)
    same, alike = np.unique(unit.astype(np.int64) * frequency.size + code, return_counts=True)
    n = counts(unit, units)
    matching = sums(same // frequency.size, alike.astype(np.float64) ** 2, units)
    observed = float(np.nansum(ratio(n**2 - matching, n - 1))) / total
    expected = (total**2 - float(np.sum(frequency.astype(np.float64) ** 2))) / (total * (total - 1))
    return 1 - observed / expected


def fleiss_kappa(unit: Codes, score: Floats, units: int) -> float:
    """κ = (P - P_e)/(1 - P_e): P the share of agreeing pairs, mean over units (Fleiss 1971). Scores are names to it.

    One row a rater and unit; who rated does not matter. Meant for the same number of scores in every unit; where that
    differs, units with one score are left out and the others count alike. NaN without such a unit, or if all their
    scores are equal. Beside nominal alpha for figures that were published with it.
    """
    paired = counts(unit, units)[unit] > 1
    unit, score = unit[paired], score[paired]
    values, code = np.unique(score, return_inverse=True)
    if values.size < 2:
        return np.nan
    same, alike = np.unique(unit.astype(np.int64) * values.size + code, return_counts=True)
    n = counts(unit, units)
    agreeing = sums(same // values.size, alike.astype(np.float64) * (alike - 1), units)
    observed = float(np.nanmean(ratio(agreeing, n * (n - 1))))
    expected = float(np.sum((counts(code, values.size) / code.size) ** 2))
    return (observed - expected) / (1 - expected)


@dataclass(frozen=True, slots=True)
class Icc:
    """ICC(2,1) of one annotator's scores, ICC(2,k) of the mean of k, from ``items`` scored by all k ``annotators``."""

    single: float
    average: float
    items: int
    annotators: int


def icc(unit: Codes, rater: Codes, score: Floats, raters: int) -> Icc:
    """Two-way random effects, absolute agreement (Shrout and Fleiss 1979), on a block without gaps.

    One row a rater and unit. Missing data: see ``complete_block``. NaN where there is no block of at least 2 by 2, or
    where its scores are all the same.
    """
    block = complete_block(unit, rater, score, raters)
    n, k = block.shape
    if n < 2 or k < 2:
        return Icc(np.nan, np.nan, n, k)
    block = block - block[0, 0]
    if not np.any(block):
        return Icc(np.nan, np.nan, n, k)
    item, annotator, grand = block.mean(axis=1), block.mean(axis=0), block.mean()
    rows = k * float(np.sum((item - grand) ** 2)) / (n - 1)
    columns = n * float(np.sum((annotator - grand) ** 2)) / (k - 1)
    rest = float(np.sum((block - item[:, None] - annotator + grand) ** 2)) / ((n - 1) * (k - 1))
    single = _quotient(rows - rest, rows + (k - 1) * rest + k * (columns - rest) / n)
    return Icc(single, _quotient(rows - rest, rows + (columns - rest) / n), n, k)


def _quotient(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > 0 else np.nan


def complete_block(unit: Codes, rater: Codes, score: Floats, raters: int) -> Floats:
    """Scores of a set of items by annotators who scored all of them, shape (items, annotators).

    Greedy: begin with the annotator of most items, add again and again the one who shares most of the items that are
    left, and keep the step with the most scores. Not always the largest block, but the same one every time.
    """
    chosen = np.zeros(raters, dtype=bool)
    best = np.empty((0, 0))
    left = counts(rater, raters)
    while raters and left.max() > 1:
        mine = np.isin(unit, unit[rater == np.argmax(left)])
        unit, rater, score = unit[mine], rater[mine], score[mine]
        items = np.unique(unit)
        left = counts(rater, raters)
        chosen |= left == items.size
        members = np.flatnonzero(chosen)
        if members.size > 1 and members.size * items.size > best.size:
            rows = chosen[rater]
            best = np.empty((items.size, members.size))
            best[np.searchsorted(items, unit[rows]), np.searchsorted(members, rater[rows])] = score[rows]
        left[chosen] = 0
    return best


@dataclass(frozen=True, slots=True)
class Kappa:
    """Mean quadratic-weighted κ over the ``defined`` ones of the ``pairs`` of annotators who share an item."""

    mean: float
    defined: int
    pairs: int


def weighted_kappa(unit: Codes, rater: Codes, score: Floats, units: int, raters: int) -> Kappa:
    """Cohen's κ with quadratic weights for every pair of annotators, over the items they share (Cohen 1968).

    With weights (x - y)² it needs moments only: 1 - mean (x - y)²/(var x + var y + (mean x - mean y)²), population
    variances, whatever the categories. Undefined for pairs with fewer than two shared items, or whose scores are all
    one value. One row a rater and unit.
    """
    if score.size == 0:
        return Kappa(np.nan, 0, 0)
    # From 1 to 2, so that no sum of products is 0 and all the products have their entries in the same places.
    shifted = 1 + (score - score.min()) / (np.ptp(score) or 1.0)
    ones, first, second = (_matrix(unit, rater, values, units, raters) for values in (shifted**0, shifted, shifted**2))
    n, sum_x, square_x, product = (
        _upper(left @ right.T) for left, right in ((ones, ones), (first, ones), (second, ones), (first, first))
    )
    sum_y, square_y = _upper(ones @ first.T), _upper(ones @ second.T)
    apart = square_x + square_y - 2 * product
    expected = square_x + square_y - 2 * sum_x * sum_y / np.maximum(n, 1)
    usable = (n > 1) & (expected > EDGE * n)
    kappas = 1 - apart[usable] / expected[usable]
    return Kappa(float(kappas.mean()) if kappas.size else np.nan, int(kappas.size), int(n.size))


def _matrix(unit: Codes, rater: Codes, values: Floats, units: int, raters: int) -> csr_array:
    return csr_array((values, (rater, unit)), shape=(raters, units))


def _upper(product: csr_array) -> Floats:
    """Entries above the diagonal, row by row in the order of columns."""
    product.sort_indices()
    rows = np.repeat(np.arange(product.shape[0]), np.diff(product.indptr))
    values: Floats = product.data[product.indices > rows]
    return values


@dataclass(frozen=True, slots=True)
class Agreement:
    """All figures for a set of ratings. ``items`` counts items in a dimension, ``shared`` those with two annotators."""

    alpha: float
    icc: Icc
    kappa: Kappa
    scores: int
    annotators: int
    items: int
    shared: int


@dataclass(frozen=True, slots=True)
class AgreementResult:
    """``pooled`` treats every item in every dimension as a unit of its own; ``dimensions`` are in the table's order."""

    table: Ratings
    level: Level
    pooled: Agreement
    dimensions: list[Agreement]
    repeats: int


def agreement(ratings: Ratings, level: Level) -> AgreementResult:
    """Agreement over all ratings and in each dimension; repeats of an annotator on an item are averaged first."""
    panel = Panel.of(ratings)
    panel, repeats = merge_repeats(panel, repeated_units(panel))
    row_dimension = panel.unit_dimension[panel.unit]
    order = np.argsort(row_dimension, kind="stable")
    ends = np.cumsum(counts(row_dimension, panel.dimensions))
    per_dimension = [_agreement(panel, rows, level) for rows in np.split(order, ends[:-1])] if ends.size else []
    pooled = _agreement(panel, order, level)
    return AgreementResult(ratings, level, pooled, per_dimension, repeats)


def _agreement(panel: Panel, rows: Codes, level: Level) -> Agreement:
    """Over some rows, with annotators the same people in every dimension."""
    _, unit = np.unique(panel.unit[rows], return_inverse=True)
    people, rater = np.unique(panel.rater_annotator[panel.rater[rows]], return_inverse=True)
    score = panel.score[rows]
    n = counts(unit, int(unit.max(initial=-1)) + 1)
    return Agreement(
        alpha=krippendorff_alpha(unit, score, n.size, level),
        icc=icc(unit, rater, score, people.size),
        kappa=weighted_kappa(unit, rater, score, n.size, people.size),
        scores=score.size,
        annotators=people.size,
        items=n.size,
        shared=int(np.count_nonzero(n > 1)),
    )
