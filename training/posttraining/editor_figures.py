"""Figures of benchmarks of editors: means by task, the overall one, and the change against a base. Pure: numpy alone.

A score belongs to an edited image, a *sample*: a case × an editor × a seed. The seeds of a case are averaged first, so
that a case counts once. ``means`` below has a row for each editor and a column for each case, NaN where there is no
score: what is missing is left out and counted, never taken for 0.

* A task's figure is the mean over its cases. The overall one is the plain mean over tasks: so the printed overall
  HP-scores (HP-Edit, table 1) follow from the printed tasks, and so GEdit-Bench takes groups.
* GEdit-Bench: O = √(SC·PQ) for each sample, on a scale from 0 to 10, before anything is averaged.
* The change against the base is taken within cases that both have, then averaged in the same way.
* Intervals draw whole source images with replacement (percentile bootstrap of clusters), the same for all editors. A
  draw without any image of a small task takes the mean over the other tasks: the interval gets wider, not narrower.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scoring.stats.bootstrap import draws, percentile_interval
from scoring.stats.grouped import Codes, Flags, Floats, counts, ratio, sums

RESAMPLES = 1000
TOP = 10.0  # the scale of GEdit-Bench
EDGE = 1e-12
NOTHING = "there is no score"
A_TASK_WITHOUT = "a task has no score"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over ``n`` cases of ``sources`` source images; NaN where it is not determined, and ``reason`` says why."""

    value: float
    low: float
    high: float
    n: int
    sources: int
    reason: str = ""

    @property
    def known(self) -> bool:
        return math.isfinite(self.value)

    @property
    def verdict(self) -> str:
        """Of a change: better, worse, open (the interval has 0 in it), or empty without an interval."""
        if not math.isfinite(self.low):
            return ""
        return "better" if self.low > EDGE else "worse" if self.high < -EDGE else "open"


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one editor: an estimate for each task in order, and the overall one."""

    tasks: tuple[Estimate, ...]
    overall: Estimate


# From samples to cases -----------------------------------------------------------------------------------------------


def on_scale(value: Floats, low: float, high: float, top: float = TOP) -> Floats:
    """A score from ``low`` to ``high`` drawn in a straight line onto 0 to ``top``. Raises ValueError for no scale."""
    if not low < high:
        raise ValueError(f"{low} to {high} is no scale.")
    return (np.asarray(value, dtype=np.float64) - low) * (top / (high - low))


def joint(consistency: Floats, quality: Floats) -> Floats:
    """O = √(SC·PQ) for each sample, both from 0 to 10; NaN where one is missing. Raises ValueError for scores below 0.

    0 in one of them makes 0: a beautiful picture without the edit is worth nothing.
    """
    first, second = np.asarray(consistency, dtype=np.float64), np.asarray(quality, dtype=np.float64)
    if (first < 0).any() or (second < 0).any():
        raise ValueError("SC and PQ are 0 or more.")
    return np.sqrt(first * second)


def case_means(values: Floats) -> Floats:
    """Mean over the seeds of each editor and case: (editors, cases, seeds) to (editors, cases). NaN without any."""
    known = np.isfinite(values)
    return ratio(np.where(known, values, 0.0).sum(axis=-1), known.sum(axis=-1))


def in_all(means: Floats) -> Flags:
    """The intersection set: cases for which every editor has a score, shape (cases,)."""
    return np.asarray(np.isfinite(means).all(axis=0))


def changes(means: Floats, base: int) -> Floats:
    """Each editor's score less the base's, within cases; shape of ``means``, NaN where one of the two is missing."""
    return np.asarray(means - means[base])


# Means and intervals -------------------------------------------------------------------------------------------------


def figures(
    means: Floats,
    task: Codes,
    source: Codes,
    tasks: int,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    confidence: float = 0.95,
) -> list[Figures]:
    """The figures of each row of ``means`` (rows, cases). ``task``, ``source``: codes of the cases, tasks from 0.

    Give ``changes(means, base)`` for differences: the same seed gives the same draws, so they are paired anyhow. An
    overall figure needs every one of the ``tasks``: without one of them it would be about something else. Raises
    ValueError where the shapes do not fit.
    """
    if means.ndim != 2 or task.shape != means.shape[1:] or source.shape != means.shape[1:]:
        raise ValueError("A task and a source image are needed for every case.")
    if not means.shape[1] or not tasks:
        empty = Estimate(math.nan, math.nan, math.nan, 0, 0, NOTHING)
        return [Figures((empty,) * tasks, empty) for _row in means]
    codes = np.unique(source, return_inverse=True)[1]
    totals, numbers = _by_source(means, task, codes, tasks)
    drawn = _resampled(totals, numbers, resamples, seed)
    return [_row(totals[:, row], numbers[:, row], drawn[:, row], confidence) for row in range(means.shape[0])]


def _by_source(means: Floats, task: Codes, source: Codes, tasks: int) -> tuple[Floats, Floats]:
    """Sums and numbers of cases, shape (sources, rows, tasks)."""
    rows, size = means.shape[0], int(source.max()) + 1
    totals, numbers = np.zeros((size, rows, tasks)), np.zeros((size, rows, tasks))
    cell = source.astype(np.int64) * tasks + task
    for row in range(rows):
        known = np.isfinite(means[row])
        totals[:, row] = sums(cell[known], means[row, known], size * tasks).reshape(size, tasks)
        numbers[:, row] = counts(cell[known], size * tasks).reshape(size, tasks)
    return totals, numbers


def _resampled(totals: Floats, numbers: Floats, resamples: int, seed: int) -> Floats:
    """Means by task when sources are drawn anew, shape (resamples, rows, tasks); NaN where none was drawn."""
    size, shape = totals.shape[0], totals.shape[1:]
    flat, among = totals.reshape(size, -1), numbers.reshape(size, -1)
    found = np.full((resamples, flat.shape[1]), np.nan)
    for block, weights in draws(size, resamples, seed, size + 2 * flat.shape[1]):
        found[block] = ratio(weights @ flat, weights @ among)
    return found.reshape(resamples, *shape)


def _row(totals: Floats, numbers: Floats, drawn: Floats, confidence: float) -> Figures:
    """``totals``, ``numbers`` (sources, tasks); ``drawn`` (resamples, tasks)."""
    values = ratio(totals.sum(axis=0), numbers.sum(axis=0))
    found = tuple(
        _estimate(float(values[place]), drawn[:, place], numbers[:, [place]], NOTHING, confidence)
        for place in range(values.size)
    )
    overall = float(values.mean())
    why = NOTHING if not numbers.any() else A_TASK_WITHOUT
    known = np.isfinite(drawn)
    means = ratio(np.where(known, drawn, 0.0).sum(axis=1), known.sum(axis=1))
    return Figures(found, _estimate(overall, means, numbers, why, confidence))


def _estimate(value: float, drawn: Floats, numbers: Floats, why: str, confidence: float) -> Estimate:
    sources = int(numbers.any(axis=1).sum())
    interval, reason = percentile_interval(drawn, value, sources, confidence)
    reason = why if math.isnan(value) else reason
    return Estimate(value, interval.low, interval.high, int(numbers.sum()), sources, reason)


# A gallery's order ---------------------------------------------------------------------------------------------------


def by_change(change: Floats, keys: Sequence[int], upwards: bool) -> list[int]:
    """Places of the cases with a known change, the greatest gain first, or the greatest loss (``upwards``).

    Equal changes stand in the order of ``keys``, so that a page can go on after a key.
    """
    known = np.flatnonzero(np.isfinite(change))
    sign = 1 if upwards else -1
    return sorted(known.tolist(), key=lambda place: (sign * change[place], keys[place]))
