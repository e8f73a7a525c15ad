"""Bootstrap intervals of opinion scores over annotators and items at once.

The intervals beside a score (Student t) take the item's ratings for independent draws. But the same annotators rate
many items, so the mean over an editor's items does not get surer with every item: it needs annotators, too. Here both
are drawn with replacement, each on its own, and a rating counts as often as its annotator times its item was drawn
(the two-way or pigeonhole bootstrap; McCullagh 2000, Owen 2007).

What a method takes from an annotator is taken anew in every draw: the mean and the spread of the z-scores, and the
bias of the subject models, over the items that were drawn. The inconsistencies υ, which are weights, stay as they were
found: an annotator who is drawn twice would look like two who always agree. So do rejections.

All draws of a dimension are products of one sparse matrix of ratings and a table of how often who was drawn.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from scoring.stats.grouped import EDGE, Floats, deviate, ratio, sums
from scoring.stats.mos import MosResult
from scoring.stats.table import Panel
from scoring.stats.zscore import rescale

BLOCK = 4_000_000
"""Cells (units by resamples) worked on at a time: some arrays of 32 MB."""
USABLE = 0.9
"""An interval needs this share of the resamples; those in which nobody rated the item are no random part of them."""

Draws = NDArray[np.float64]
"""How often each annotator or item was drawn, shape (annotators or items, resamples)."""


@dataclass(frozen=True, slots=True)
class GroupMean:
    """Mean score of a group of items (those of an editor) in a dimension, over ``items`` that have a score."""

    group: Hashable
    dimension: str
    mean: float
    low: float
    high: float
    items: int


@dataclass(frozen=True, slots=True)
class MosIntervals:
    """Per unit, as in ``MosResult.panel``: limits of its score; NaN with fewer than two ratings or in too few draws.

    ``groups``: the means of the groups that were asked for, in the order of their first item, by dimension.
    """

    low: Floats
    high: Floats
    groups: tuple[GroupMean, ...]
    resamples: int


def mos_intervals(
    result: MosResult,
    *,
    groups: Sequence[Hashable] | None = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> MosIntervals:
    """Percentile intervals of all scores of a result, by any method, and of the mean score of each group of items.

    ``groups``: one per item of the result's table (``result.table.items``), such as its editor; None in it: no group.
    The same seed gives the same draws. Raises ValueError for a wrong number of groups.
    """
    n_items = len(result.table.items)
    if groups is not None and len(groups) != n_items:
        raise ValueError(f"there are {n_items} items, but {len(groups)} groups")
    generator = np.random.default_rng(seed)
    people = _draws(generator, len(result.table.annotators), resamples)
    items = _draws(generator, n_items, resamples)
    values = _Values.of(result, people, items)
    panel, tail = result.panel, (1 - confidence) / 2
    low, high = np.full(panel.units, np.nan), np.full(panel.units, np.nan)
    member, names = _members(groups, panel, result.table.dimensions.to_pylist())
    total, weight = np.zeros((len(names), resamples)), np.zeros((len(names), resamples))
    for units in np.array_split(np.arange(panel.units), max(1, panel.units * resamples // BLOCK)):
        scores = values.scores(units)
        low[units], high[units] = _percentiles(scores, tail)
        if names:
            drawn = np.where(np.isfinite(scores), items[panel.unit_item[units]], 0.0)
            total += member[units].T @ (drawn * np.nan_to_num(scores))
            weight += member[units].T @ drawn
    single = result.scored.n < 2
    low[single], high[single] = np.nan, np.nan
    limits = _percentiles(ratio(total, weight), tail)
    return MosIntervals(low, high, _means(result, member, names, limits), resamples)


def _draws(generator: np.random.Generator, size: int, resamples: int) -> Draws:
    drawn = (
        generator.multinomial(size, np.full(size, 1 / max(size, 1)), resamples) if size else np.empty((resamples, 0))
    )
    return np.ascontiguousarray(drawn.T, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Values:
    """Rows that make the scores, less ``centre``: value·weight and weight by unit and rater. Per rater and draw: how
    often ``drawn``, and what the method would take from their values: ``shift`` and ``scale``.
    """

    centre: float
    weighted: csr_array
    weight: csr_array
    drawn: Draws
    shift: Draws
    scale: Draws

    @classmethod
    def of(cls, result: MosResult, people: Draws, items: Draws) -> _Values:
        panel, rows, model = result.panel, result.scored.values, result.scored.model
        zscore = result.settings.method == "zscore"
        centre = rescale(np.zeros(1))[0][0] if zscore else 0.0
        weights = np.ones(rows.score.size) if model is None else model.inconsistency[rows.rater] ** -2.0
        drawn = people[panel.rater_annotator]
        shift, scale = np.zeros_like(drawn), np.ones_like(drawn)
        if zscore:
            shift, scale = _drift(rows, items)
        elif model is not None:
            shift, _ = _drift(rows.with_rows(rows.unit, rows.rater, rows.score - model.score[rows.unit]), items)
        straight = scale == 0  # Always the same score on the items drawn: no z-score in this draw.
        return cls(
            centre=centre,
            weighted=_by_unit(rows, (rows.score - centre) * weights),
            weight=_by_unit(rows, weights),
            drawn=np.where(straight, 0.0, drawn),
            shift=shift,
            scale=np.where(straight, 1.0, scale),
        )

    def scores(self, units: NDArray[np.int64]) -> Floats:
        """Scores of some units in every draw, shape (units, resamples); NaN where none of its annotators was drawn."""
        often, weight = self.drawn / self.scale, self.weight[units]
        total = self.weighted[units] @ often - weight @ (often * self.shift)
        return self.centre + ratio(total, weight @ self.drawn)


def _drift(rows: Panel, items: Draws) -> tuple[Draws, Draws]:
    """Per rater and draw of items: by how much their mean moves, and the quotient of their new and old std.

    0 and 1 for a rater none of whose items was drawn: their ratings are then in no group mean.
    """
    n, _, deviation = deviate(rows.rater, rows.score, rows.raters)
    drawn = items[rows.unit_item]
    number, first, second = (_by_unit(rows, deviation**power).T @ drawn for power in (0, 1, 2))
    shift = ratio(first, number)
    variance = ratio(second, number) - shift**2
    whole = ratio(sums(rows.rater, deviation**2, rows.raters), n)[:, None]
    share = ratio(np.where(variance > EDGE * whole, variance, 0.0), np.broadcast_to(whole, variance.shape))
    return np.nan_to_num(shift), np.sqrt(np.where(number > 0, np.nan_to_num(share), 1.0))


def _by_unit(rows: Panel, values: Floats) -> csr_array:
    return csr_array(coo_array((values, (rows.unit, rows.rater)), shape=(rows.units, rows.raters)))


def _percentiles(replicates: Floats, tail: float) -> tuple[Floats, Floats]:
    """Limits of every row, NaN where fewer than nine tenths of the draws have a value."""
    low, high = np.full(len(replicates), np.nan), np.full(len(replicates), np.nan)
    usable = np.isfinite(replicates).sum(axis=1)
    rows = np.flatnonzero((usable > 0) & (usable >= USABLE * replicates.shape[1]))
    if rows.size:
        low[rows], high[rows] = np.nanquantile(replicates[rows], [tail, 1 - tail], axis=1)
    return low, high


def _members(
    groups: Sequence[Hashable] | None, panel: Panel, dimensions: Sequence[str]
) -> tuple[csr_array, list[tuple[Hashable, str]]]:
    """Which unit belongs to which (group, dimension), shape (units, groups), and their names."""
    of_item = [None] * int(panel.unit_item.max(initial=-1) + 1) if groups is None else list(groups)
    numbers: dict[tuple[Hashable, int], int] = {}
    rows, columns = [], []
    for unit, (item, dimension) in enumerate(zip(panel.unit_item.tolist(), panel.unit_dimension.tolist(), strict=True)):
        if of_item[item] is not None:
            rows.append(unit)
            columns.append(numbers.setdefault((of_item[item], dimension), len(numbers)))
    shape = (panel.units, len(numbers))
    member = csr_array(coo_array((np.ones(len(rows)), (np.array(rows, int), np.array(columns, int))), shape=shape))
    return member, [(group, dimensions[dimension]) for group, dimension in numbers]


def _means(
    result: MosResult, member: csr_array, names: list[tuple[Hashable, str]], limits: tuple[Floats, Floats]
) -> tuple[GroupMean, ...]:
    scored = np.isfinite(result.scored.mos)
    number = member.T @ scored.astype(np.float64)
    mean = ratio(member.T @ np.where(scored, result.scored.mos, 0.0), number)
    columns = zip(names, mean.tolist(), limits[0].tolist(), limits[1].tolist(), number.tolist(), strict=True)
    return tuple(GroupMean(group, name, m, low, high, int(n)) for (group, name), m, low, high, n in columns)
