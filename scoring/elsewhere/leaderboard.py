"""Editors beside each other, by dimension and by task: means, wins, Bradley-Terry and Plackett-Luce. Pure.

The unit is a cell: what one editor made for one group (a case), in one dimension. Cells of a group are compared with
each other only; a cell with the same figure is a tie.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from scoring.stats.grouped import Codes, Counts, Flags, Floats, counts, ratio, sums
from scoring.stats.pairs import preference_pairs, ranking_scores
from scoring.stats.plackett import plackett_luce
from scoring.stats.strength import Strengths, comparisons, editor_strengths

ALL = ""
"""The task of a board over all tasks."""
RESAMPLES = 200
MOST_EDITORS = 60
MOST_ORDERS = 5_000
MOST_IN_ORDER = 30
MOST_BOARDS = 150
"""Tasks are not told apart where there would be more boards: so many help nobody."""
MOST_PAIRS = 20_000_000
"""Pairs of cells on a board; a group of 10,000 has more."""
DIGITS = 9
"""Means that differ by less are the same but for rounding."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Per cell: codes of ``group``, ``editor``, ``task``, ``dimension``; ``figure``: a mean score or a mean rank.

    ``place``: lower is better, so -score, or the rank. Per judgement: ``row_cell``, ``row_annotator``, ``row_place``.
    """

    group: Codes
    editor: Codes
    task: Codes
    dimension: Codes
    figure: Floats
    place: Floats
    row_cell: Codes
    row_annotator: Codes
    row_place: Floats
    editors: list[str]
    tasks: list[str]
    dimensions: list[str]


def boards(cells: Cells, *, resamples: int = RESAMPLES, seed: int = 0) -> list[dict[str, Any]]:
    """One board for each task and dimension, and over all tasks where there are several."""
    found = []
    few = (len(cells.tasks) + 1) * len(cells.dimensions) <= MOST_BOARDS
    tasks: list[int | None] = list(range(len(cells.tasks))) if few else []
    for task in [*tasks, *([None] if len(tasks) != 1 else [])]:
        for dimension in range(len(cells.dimensions)):
            here = cells.dimension == dimension
            if task is not None:
                here &= cells.task == task
            if here.any():
                name = ALL if task is None else cells.tasks[task]
                found.append(
                    {"task": name, "dimension": cells.dimensions[dimension], **_board(cells, here, resamples, seed)}
                )
    return found


def _board(cells: Cells, here: Flags, resamples: int, seed: int) -> dict[str, Any]:
    chosen = np.flatnonzero(here)
    chosen = chosen[np.lexsort((np.round(cells.place[chosen], DIGITS), cells.group[chosen]))]
    editors, editor = np.unique(cells.editor[chosen], return_inverse=True)
    _, group = np.unique(cells.group[chosen], return_inverse=True)
    sizes: Counts = counts(group, int(group.max()) + 1)
    made = _compared(cells, chosen, editor, group, resamples=resamples, seed=seed)
    items = counts(editor, editors.size)
    rows = {
        "n": items,
        "mean": ratio(sums(editor, cells.figure[chosen], editors.size), items),
        "wins": made.wins,
        "strength": made.bradley.strength,
        "low": made.bradley.low,
        "high": made.bradley.high,
        "luce": made.luce.strength,
    }
    order = np.lexsort((ratio(sums(editor, cells.place[chosen], editors.size), items), -np.nan_to_num(made.wins)))
    names = [cells.editors[code] for code in editors]
    table = [{"editor": names[k], **{key: values[k].item() for key, values in rows.items()}} for k in order]
    return {"groups": int(sizes.size), "compared": int(np.count_nonzero(sizes > 1)), "rows": table, "notes": made.notes}


@dataclass(frozen=True, slots=True)
class _Compared:
    """Per editor: mean ``wins`` a group, and strengths; ``notes`` say what is missing."""

    wins: Floats
    bradley: Strengths
    luce: Strengths
    notes: list[str]


def _compared(cells: Cells, chosen: Codes, editor: Codes, group: Codes, *, resamples: int, seed: int) -> _Compared:
    editors, n = int(editor.max()) + 1, chosen.size
    sizes: Counts = counts(group, int(group.max()) + 1)
    unknown = _unknown(editors)
    if float((sizes.astype(np.float64) ** 2).sum()) > MOST_PAIRS:
        note = f"the groups are too large to compare: together they have more than {MOST_PAIRS // 2:,} pairs"
        return _Compared(unknown.strength, unknown, unknown, [note])
    decided, ties = preference_pairs(sizes, np.round(cells.place[chosen], DIGITS))
    won = sums(decided.better, np.ones(decided.better.size), n)
    won += 0.5 * (sums(ties.better, np.ones(ties.better.size), n) + sums(ties.worse, np.ones(ties.worse.size), n))
    wins = ranking_scores(editor, won, editors)
    if editors > MOST_EDITORS:
        note = f"strengths are fitted for at most {MOST_EDITORS} editors; there are {editors}"
        return _Compared(wins, unknown, unknown, [note])
    if editors == 1:
        return _Compared(wins, unknown, unknown, [])
    outcomes = comparisons(decided, ties, group, editor)
    bradley = editor_strengths(outcomes, editors, resamples=resamples, seed=seed)
    luce, note = _plackett(cells, chosen, editor, group)
    return _Compared(wins, bradley, luce, [note] if note else _not_determined(bradley, luce))


def _unknown(size: int) -> Strengths:
    unknown = np.full(size, np.nan)
    return Strengths(unknown, unknown, unknown, np.nan, 0, 0)


def _not_determined(bradley: Strengths, luce: Strengths) -> list[str]:
    missing = [
        name
        for name, made in (("Bradley-Terry", bradley), ("Plackett-Luce", luce))
        if not np.isfinite(made.strength).all()
    ]
    if not missing:
        return []
    return [
        f"{' and '.join(missing)}: not determined; an editor won, lost or tied everything, or some never met in a group"
    ]


def _plackett(cells: Cells, chosen: Codes, editor: Codes, group: Codes) -> tuple[Strengths, str]:
    """Strengths from every annotator's own order of a group's editors; a sentence where they were not fitted."""
    size = int(editor.max()) + 1
    orders: list[list[list[int]]] = []
    groups: list[int] = []
    for number, tiers in _orders(cells, chosen, editor, group):
        if sum(map(len, tiers)) > len({code for tier in tiers for code in tier}):
            return _unknown(size), "Plackett-Luce was not fitted: an editor has several candidates in a group"
        if len(orders) == MOST_ORDERS or sum(map(len, tiers)) > MOST_IN_ORDER:
            limits = f"more than {MOST_ORDERS:,} orders, or one of more than {MOST_IN_ORDER} editors"
            return _unknown(size), f"Plackett-Luce was not fitted: there are {limits}"
        orders.append(tiers)
        groups.append(number)
    return plackett_luce(orders, size, groups=groups), ""


def _orders(cells: Cells, chosen: Codes, editor: Codes, group: Codes) -> Iterator[tuple[int, list[list[int]]]]:
    """(group, tiers of editors) of every annotator and group, best first. A repeated judgement counts as its mean."""
    position = np.full(cells.group.size, -1, dtype=np.int64)
    position[chosen] = np.arange(chosen.size)
    rows = np.flatnonzero(position[cells.row_cell] >= 0)
    key = cells.row_annotator[rows].astype(np.int64) * chosen.size + position[cells.row_cell[rows]]
    distinct, code = np.unique(key, return_inverse=True)
    place = np.round(ratio(sums(code, cells.row_place[rows], distinct.size), counts(code, distinct.size)), DIGITS)
    annotator, cell = distinct // chosen.size, distinct % chosen.size
    order = np.lexsort((place, annotator, group[cell]))
    last: tuple[int, int] | None = None
    tiers: list[list[int]] = []
    before = np.nan
    for k in order.tolist():
        who = (int(group[cell[k]]), int(annotator[k]))
        if who != last and last is not None:
            yield last[0], tiers
        if who != last:
            last, tiers, before = who, [], np.nan
        if place[k] != before:
            tiers.append([])
        tiers[-1].append(int(editor[cell[k]]))
        before = place[k]
    if last is not None:
        yield last[0], tiers
