"""Long CSV: a rating or a rank a line, and ImagenHub's ratings in that form. Pure."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from annotation.importing.problems import quoted
from scoring.elsewhere.found import RANKINGS, RATINGS, SHOWN, Column, Found, Place, Refused, joined
from scoring.stats.csvfile import BadTable, KeyedTable, lines_of, read_csv

RATING_COLUMNS = ("annotator", "item", "dimension", "score")
RANKING_COLUMNS = ("annotator", "group", "dimension", "candidate", "rank")
IMAGENHUB_COLUMNS = ("task", "uid", "model", "rater", "dim", "score")
RATING_EXTRAS = ("group", "editor", "task", "split", "seed")
RANKING_EXTRAS = ("editor", "task", "split", "seed")
LEVELS = (0.0, 0.5, 1.0)
"""ImagenHub's scale."""


def read_ratings(path: Path) -> Found:
    table, told = _read(path, RATING_COLUMNS, RATING_EXTRAS)
    return Found("Long CSV, ratings", RATINGS, _columns(table), table.numbers["score"], _lines(path), told)


def read_rankings(path: Path) -> Found:
    table, told = _read(path, RANKING_COLUMNS, RANKING_EXTRAS)
    return Found("Long CSV, rankings", RANKINGS, _columns(table), table.numbers["rank"], _lines(path), told)


def read_imagenhub(path: Path) -> Found:
    """An item is what one model made for one uid of a task; the uid's items are a group."""
    table, told = _read(path, IMAGENHUB_COLUMNS, ())
    given, score = _columns(table), table.numbers["score"]
    off = np.flatnonzero(~np.isin(score, LEVELS))
    if off.size:
        rows = off[:SHOWN].tolist()
        places = zip(_lines(path)(rows), rows, strict=True)
        said = [f"{place}: score {score[row]:g} is none of ImagenHub's 0, 0.5 and 1." for place, row in places]
        raise Refused(said, int(off.size))
    columns = {
        "annotator": given["rater"],
        "item": joined([given["task"], given["uid"], given["model"]]),
        "dimension": given["dim"],
        "group": joined([given["task"], given["uid"]]),
        "editor": given["model"],
        "task": given["task"],
    }
    return Found("ImagenHub, long CSV", RATINGS, columns, score, _lines(path), told)


def _read(path: Path, wanted: Sequence[str], extras: Sequence[str]) -> tuple[KeyedTable, tuple[str, ...]]:
    try:
        table = read_csv(path, wanted[:-1], wanted[-1], optional=extras)
    except BadTable as error:
        raise Refused([f"{problem}." for problem in error.problems], error.count) from None
    passed = [name for name in header_of(path) if name not in (*wanted, *extras)]
    names = ", ".join(quoted(name, 40) for name in passed[:SHOWN])
    return table, (f"Columns that were passed over: {names}.",) if passed else ()


def header_of(path: Path) -> list[str]:
    """The first line's cells, as far as they can be read."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        try:
            return [cell.strip() for cell in next(csv.reader(file), [])]
        except csv.Error:
            return []


def _columns(table: KeyedTable) -> dict[str, Column]:
    return {name: Column(table.codes[name], table.names[name]) for name in table.codes}


def _lines(path: Path) -> Place:
    def place(rows: Sequence[int]) -> list[str]:
        line = lines_of(path, rows)
        return [f"line {line[row]}" for row in rows]

    return place
