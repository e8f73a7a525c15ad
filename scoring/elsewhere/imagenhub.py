"""ImagenHub's own files, ``eval/human_ratings/TASK/TASK_raterN.tsv``: one rater's scores of one task. Pure.

The first line is ``uid`` and the models; a cell is ``[SC, PQ]``, semantic consistency and perceptual quality, each 0,
0.5 or 1. Task and rater stand in the file's name alone. Several files make one set.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from annotation.importing.problems import quoted
from scoring.elsewhere.found import RATINGS, Column, Found, Problems, Refused
from scoring.elsewhere.longcsv import LEVELS
from scoring.elsewhere.unpacking import Plain

LAYOUT = "ImagenHub, TSV of raters"
DIMENSIONS = ("SC", "PQ")
MOST_BYTES = 16 * 1024**2
MOST_MODELS = 200
Row = tuple[str, str, str, str, str, float]
"""Annotator, task, uid, model, dimension, score."""


def read_raters(files: Sequence[Plain]) -> Found:
    """Raises Refused with file, line and model of every cell that is no pair on the scale."""
    problems, rows, places = Problems(), [], []
    names = [task_and_rater(file.name) for file in files]
    twice = sorted({"_".join(name) for name in names if names.count(name) > 1})
    if twice:
        raise Refused([f"Two files are named {', '.join(twice)}. A name says who rated which task."])
    for file, (task, rater) in zip(files, names, strict=True):
        if not rater:
            problems.add(f"{quoted(file.name)}: name the file TASK_RATER.tsv; its name alone says who rated what.")
            continue
        for place, row in _rows(file, task, rater, problems):
            rows.append(row)
            places.append(place)
    problems.raise_if_any()
    return _found(rows, places)


def task_and_rater(name: str) -> tuple[str, str]:
    """Text-Guided_IE_rater1.tsv: task Text-Guided_IE, rater rater1. The rater is empty where the name has no "_"."""
    stem = Path(name).name.rsplit(".", 1)[0]
    task, mark, rater = stem.rpartition("_")
    return (task, rater) if mark and task else (stem, "")


def _found(rows: Sequence[Row], places: Sequence[str]) -> Found:
    if not rows:
        raise Refused(["There is no line with ratings under the first one."])
    annotator, task, uid, model, dimension, score = zip(*rows, strict=True)
    columns = {
        "annotator": Column.of(annotator),
        "item": Column.of([f"{row[1]}/{row[2]}/{row[3]}" for row in rows]),
        "dimension": Column.of(dimension),
        "group": Column.of([f"{t}/{u}" for t, u in zip(task, uid, strict=True)]),
        "editor": Column.of(model),
        "task": Column.of(task),
    }
    return Found(LAYOUT, RATINGS, columns, np.array(score), lambda wanted: [places[row] for row in wanted])


def _rows(file: Plain, task: str, rater: str, problems: Problems) -> Iterator[tuple[str, Row]]:
    lines = _lines(file)
    models = [cell.strip() for cell in lines[0][1:]]
    if len(models) > MOST_MODELS or len(set(models)) < len(models) or not all(models):
        problems.add(f"{file.name}, line 1: it needs 1 to {MOST_MODELS} different names of models after “uid”.")
        return
    for number, cells in enumerate(lines[1:], start=2):
        place = f"{file.name}, line {number}"
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(models) + 1:
            problems.add(f"{place}: {len(cells)} cells; the first line has {len(models) + 1}.")
            continue
        uid = cells[0].strip()
        if not uid:
            problems.add(f"{place}: uid is empty.")
            continue
        for model, cell in zip(models, cells[1:], strict=True):
            pair = pair_of(cell)
            if pair is None:
                problems.add(f"{place}, {quoted(model, 40)}: {quoted(cell, 40)} is no pair such as [0.5, 1].")
                continue
            for dimension, score in zip(DIMENSIONS, pair, strict=True):
                yield place, (rater, task, uid, model, dimension, score)


def _lines(file: Plain) -> list[list[str]]:
    if file.path.stat().st_size > MOST_BYTES:
        raise Refused([f"{file.name} is larger than {MOST_BYTES // 1024**2} MiB."])
    try:
        text = file.path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused([f"{file.name} is not UTF-8 text (byte {error.start + 1:,}). Save it as UTF-8."]) from None
    try:
        lines = list(csv.reader(text.splitlines(), delimiter="\t"))
    except csv.Error as error:
        raise Refused([f"{file.name} cannot be read: {error}."]) from None
    if not lines or not lines[0] or lines[0][0].strip() != "uid" or len(lines[0]) < 2:
        raise Refused([f"{file.name}: the first line must be “uid” and the models' names, with tabs between."])
    return lines


def pair_of(cell: str) -> tuple[float, float] | None:
    """The two scores of a cell such as "[0.5, 1]", or None."""
    if len(cell) > 40:
        return None
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, list) or len(value) != 2:
        return None
    if any(isinstance(one, bool) or not isinstance(one, int | float) or one not in LEVELS for one in value):
        return None
    return float(value[0]), float(value[1])
