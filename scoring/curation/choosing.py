"""The choice among all scored candidates of a data set, on columns of numbers. Pure.

A million candidates are a few arrays of 8 MB. The database gives the columns in one pass (queries.table_of).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.curation.rules import How, Rule
from scoring.stats.grouped import Codes, Flags, Floats

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Table:
    """The candidates that have a score, one a row; columns of shape (n,).

    ``candidate``, ``case``, ``source``, ``editor``: keys of rows. ``task``, ``category``, ``split``: places in
    ``tasks``, ``categories`` (the empty name: uncategorised), ``splits``. ``tie``: a number from the edited image's
    hash, for candidates of equal score.
    """

    candidate: Ints
    case: Ints
    source: Ints
    editor: Ints
    task: Ints
    category: Ints
    split: Ints
    value: Floats
    tie: Ints
    tasks: Sequence[str]
    categories: Sequence[str]
    splits: Sequence[str]

    def __len__(self) -> int:
        return len(self.value)


@dataclass(frozen=True)
class Cut:
    """Where the choice ends among the ``pool`` candidates that compete, ``kept`` of which are kept.

    ``value``: the lowest score that is kept; NaN where nothing is. ``ties``: competing candidates with that score,
    ``ties_kept`` of which are kept.
    """

    value: float
    pool: int
    kept: int
    ties: int
    ties_kept: int

    @property
    def is_by_tie(self) -> bool:
        """Do equal scores stand on both sides of the cut?"""
        return self.ties_kept < self.ties


@dataclass(frozen=True)
class Choice:
    """``pool``: what competes, at most so many of a case as the rule says. ``kept``: what is chosen of it.

    ``cuts``: by task, or one under "" where all tasks compete. ``margin``: how far above its cut a candidate's score
    is; NaN where it does not compete.
    """

    pool: Flags
    kept: Flags
    cuts: dict[str, Cut]
    margin: Floats


def choose(table: Table, rule: Rule) -> Choice:
    """The candidates that the rule keeps. Of equal scores the lower hash goes first, then the older candidate.

    The hash has nothing to do with tasks or editors. Names would: with whole scores, where a score is shared by a fifth
    of all, the first task of the alphabet would take the places.
    """
    ranking = np.lexsort((table.candidate, table.tie, -table.value))
    pool = np.zeros(len(table), dtype=bool)
    pool[ranking] = places(table.case[ranking]) < rule.per_case
    best_first = ranking[pool[ranking]]
    kept = np.zeros(len(table), dtype=bool)
    cuts: dict[str, Cut] = {}
    margin = np.full(len(table), np.nan)
    for name, rows in _scopes(table, rule, best_first):
        count = _count(table, rule, rows, name)
        kept[rows[:count]] = True
        cuts[name] = cut = _cut(table.value[rows], count)
        edge = rule.lowest(name) if rule.how == How.THRESHOLD else cut.value
        margin[rows] = table.value[rows] - edge
    return Choice(pool, kept, cuts, margin)


def places(groups: Codes) -> Ints:
    """The how-manieth row of its group each row is, from 0, in the order of the rows; shape (n,)."""
    by_group = np.argsort(groups, kind="stable")
    together = groups[by_group]
    starts = np.flatnonzero(np.r_[True, together[1:] != together[:-1]]) if len(groups) else np.zeros(0, dtype=np.int64)
    found = np.empty(len(groups), dtype=np.int64)
    found[by_group] = np.arange(len(groups)) - np.repeat(starts, np.diff(np.r_[starts, len(groups)]))
    return found


def _scopes(table: Table, rule: Rule, best_first: Ints) -> list[tuple[str, Ints]]:
    """What competes with what: competing rows, the best first, by task or all together."""
    if not rule.by_task:
        return [("", best_first)]
    task = table.task[best_first]
    return [(name, best_first[task == code]) for code, name in enumerate(table.tasks)]


def _count(table: Table, rule: Rule, rows: Ints, task: str) -> int:
    """How many of these rows, the best first, are kept."""
    if rule.how == How.THRESHOLD:
        return int(np.count_nonzero(table.value[rows] >= rule.lowest(task)))
    return min(len(rows), rule.room(len(rows)))


def _cut(values: Floats, count: int) -> Cut:
    if not count:
        return Cut(math.nan, len(values), 0, 0, 0)
    last = float(values[count - 1])
    same = values == last
    return Cut(last, len(values), count, int(np.count_nonzero(same)), int(np.count_nonzero(same[:count])))


def one_of_each(values: Ints, rows: Ints) -> Ints:
    """Of the rows the first one of each value."""
    return rows[np.unique(values[rows], return_index=True)[1]]
