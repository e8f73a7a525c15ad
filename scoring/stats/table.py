"""The tables: ratings (scores of items), rankings (ranks of candidates in a group), triples (people and a scorer)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from scoring.stats.csvfile import LISTED, BadTable, KeyedTable, Names, Problem, from_columns, lines_of, read_csv
from scoring.stats.grouped import Codes, Flags, Floats, compress, counts, sums

RATING_KEYS = ("annotator", "item", "dimension")
RANKING_KEYS = ("annotator", "group", "dimension", "candidate")


@dataclass(frozen=True, slots=True)
class Ratings:
    """Rows (annotator, item, dimension, score): int32 codes into names, float64 scores, all of shape (ratings,).

    Scores are in the units of the input. Build one with ``from_csv`` or ``from_rows``; both raise BadTable.
    """

    annotator: Codes
    item: Codes
    dimension: Codes
    score: Floats
    annotators: Names
    items: Names
    dimensions: Names

    @classmethod
    def from_csv(cls, path: str | os.PathLike[str]) -> Ratings:
        """Columns annotator,item,dimension,score in any order. Raises BadTable or OSError."""
        return cls._from_table(read_csv(path, RATING_KEYS, "score"))

    @classmethod
    def from_rows(cls, rows: Iterable[tuple[object, object, object, object]]) -> Ratings:
        """From tuples (annotator, item, dimension, score); no rows make an empty table. Raises BadTable."""
        columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
        return cls._from_table(from_columns(dict(zip(RATING_KEYS, columns[:3], strict=True)), columns[3], "score"))

    @classmethod
    def _from_table(cls, table: KeyedTable) -> Ratings:
        codes, names = table.codes, table.names
        return cls(
            annotator=codes["annotator"],
            item=codes["item"],
            dimension=codes["dimension"],
            score=table.numbers["score"],
            annotators=names["annotator"],
            items=names["item"],
            dimensions=names["dimension"],
        )


@dataclass(frozen=True, slots=True)
class Rankings:
    """Rows (annotator, group, dimension, candidate, rank), lower ranks are better; codes and names as in Ratings."""

    annotator: Codes
    group: Codes
    dimension: Codes
    candidate: Codes
    rank: Floats
    annotators: Names
    groups: Names
    dimensions: Names
    candidates: Names

    @classmethod
    def from_csv(cls, path: str | os.PathLike[str]) -> Rankings:
        """Columns annotator,group,dimension,candidate,rank in any order. Raises BadTable or OSError."""
        return cls._from_table(read_csv(path, RANKING_KEYS, "rank"))

    @classmethod
    def from_rows(cls, rows: Iterable[tuple[object, object, object, object, object]]) -> Rankings:
        """From tuples (annotator, group, dimension, candidate, rank); no rows make an empty table. Raises BadTable."""
        columns = list(zip(*rows, strict=True)) or [(), (), (), (), ()]
        return cls._from_table(from_columns(dict(zip(RANKING_KEYS, columns[:4], strict=True)), columns[4], "rank"))

    @classmethod
    def _from_table(cls, table: KeyedTable) -> Rankings:
        codes, names = table.codes, table.names
        return cls(
            annotator=codes["annotator"],
            group=codes["group"],
            dimension=codes["dimension"],
            candidate=codes["candidate"],
            rank=table.numbers["rank"],
            annotators=names["annotator"],
            groups=names["group"],
            dimensions=names["dimension"],
            candidates=names["candidate"],
        )


@dataclass(frozen=True, slots=True)
class Triples:
    """Rows (item, human, scorer) with the task and the source image where the table has them, of shape (triples,).

    ``task``: codes into ``tasks``; all 0 and no names without such a column. ``source``: codes of the source images.
    """

    task: Codes
    source: Codes | None
    human: Floats
    scorer: Floats
    tasks: Names | None

    @classmethod
    def from_csv(cls, path: str | os.PathLike[str]) -> Triples:
        """Columns item,human,scorer and perhaps task and source. An item stands once in a task.

        Raises BadTable or OSError.
        """
        table = read_csv(path, ["item"], "human", "scorer", optional=["task", "source"])
        item = table.codes["item"]
        task = table.codes.get("task", np.zeros_like(item))
        _refuse_repeats(path, table, task)
        return cls(
            task=task,
            source=table.codes.get("source"),
            human=table.numbers["human"],
            scorer=table.numbers["scorer"],
            tasks=table.names.get("task"),
        )


def _refuse_repeats(path: str | os.PathLike[str], table: KeyedTable, task: Codes) -> None:
    """Raises BadTable with the lines of every item that stands twice in a task."""
    key = task.astype(np.int64) * len(table.names["item"]) + table.codes["item"]
    _, first, code = np.unique(key, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[code] != np.arange(key.size))
    if not again.size:
        return
    shown = again[:LISTED].tolist()
    line = lines_of(path, [*shown, *first[code[shown]].tolist()])
    where = " in the task {}" if "task" in table.names else ""
    problems = []
    for row in shown:
        name = table.names["item"][int(table.codes["item"][row])].as_py()
        there = where.format(repr(table.names["task"][int(task[row])].as_py()[:60])) if where else ""
        before = line[int(first[code[row]])]
        problems.append(Problem(line[row], f"the item {name[:60]!r} stands{there} on line {before} already"))
    raise BadTable(problems, int(again.size))


@dataclass(frozen=True, slots=True)
class Panel:
    """Ratings with the dimension folded into both codes, since every method works per dimension.

    A **unit** is one item in one dimension, a **rater** one annotator in one dimension. Rows: ``unit``, ``rater``,
    ``score``. Per unit and per rater: the dimension and the code of the item or annotator.
    """

    unit: Codes
    rater: Codes
    score: Floats
    unit_dimension: Codes
    unit_item: Codes
    rater_dimension: Codes
    rater_annotator: Codes
    dimensions: int

    @classmethod
    def of(cls, ratings: Ratings) -> Panel:
        """Units and raters come in the order of dimension, then item or annotator, as they first appear."""
        n_items, n_annotators, n_dimensions = len(ratings.items), len(ratings.annotators), len(ratings.dimensions)
        dimension = ratings.dimension.astype(np.int64)
        unit, unit_keys = compress(dimension * n_items + ratings.item, n_dimensions * n_items)
        rater, rater_keys = compress(dimension * n_annotators + ratings.annotator, n_dimensions * n_annotators)
        return cls(
            unit=unit,
            rater=rater,
            score=ratings.score,
            unit_dimension=unit_keys // max(n_items, 1),
            unit_item=unit_keys % max(n_items, 1),
            rater_dimension=rater_keys // max(n_annotators, 1),
            rater_annotator=rater_keys % max(n_annotators, 1),
            dimensions=n_dimensions,
        )

    @property
    def units(self) -> int:
        """Number of units."""
        return self.unit_item.size

    @property
    def raters(self) -> int:
        """Number of raters."""
        return self.rater_annotator.size

    def keep(self, rows: Flags) -> Panel:
        """The same units and raters with only some of the rows."""
        return self if bool(rows.all()) else self.with_rows(self.unit[rows], self.rater[rows], self.score[rows])

    def with_rows(self, unit: Codes, rater: Codes, score: Floats) -> Panel:
        """The same units and raters with other rows."""
        return replace(self, unit=unit, rater=rater, score=score)


def repeated_units(panel: Panel) -> Flags:
    """Per unit: has some rater rated it more than once? By sorting all pairs; the sort runs without Python's lock."""
    key = panel.rater * panel.units + panel.unit
    key.sort()
    touched = np.zeros(panel.units, dtype=bool)
    touched[key[1:][key[1:] == key[:-1]] % max(panel.units, 1)] = True
    return touched


def merge_repeats(panel: Panel, touched: Flags) -> tuple[Panel, int]:
    """Average the repeats of one rater on one unit; the panel with one row for each, and the number of rows saved.

    ``touched`` flags the units where repeats can be (``repeated_units`` of this panel or of one with more rows).
    """
    if not touched.any():
        return panel, 0
    rows = touched[panel.unit]
    key = panel.rater[rows].astype(np.int64) * panel.units + panel.unit[rows]
    distinct, first, code = np.unique(key, return_index=True, return_inverse=True)
    scores = panel.score[rows]
    # Relative to one of them, so that equal repeats average to exactly their value.
    offset = scores[first]
    mean = offset + sums(code, scores - offset[code], distinct.size) / counts(code, distinct.size)
    merged = panel.with_rows(
        unit=np.concatenate([panel.unit[~rows], distinct % panel.units]),
        rater=np.concatenate([panel.rater[~rows], distinct // panel.units]),
        score=np.concatenate([panel.score[~rows], mean]),
    )
    return merged, key.size - distinct.size
