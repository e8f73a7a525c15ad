"""Label Studio's JSON export: results of the tags Rating and Ranker. Pure.

The layout follows the tags' documentation (labelstud.io/tags/rating, /tags/ranker, /guide/task_format) and the sources
of Label Studio: a list of tasks with ``data`` and ``annotations``; an annotation has ``completed_by``,
``was_cancelled`` and ``result``; a result has ``from_name``, ``to_name``, ``type`` and ``value``.

- Rating: ``{"rating": 4}``. The dimension is the control's name (``from_name``).
- Ranker: ``{"ranker": ["b", "a"]}``, or ``{"ranker": {CONTROL: ["b", "a"]}}`` in newer releases, best first; or by
  buckets, ``{"ranker": {"rank-1": ["b"], "rank-2": ["a", "c"]}}``: their names end in the rank, and those who share a
  bucket are tied. The bucket "_" holds what nobody sorted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from annotation.importing.problems import quoted
from scoring.elsewhere.found import MOST_RANKS, RANKINGS, RATINGS, SHOWN, Column, Found, Problems, Refused

LAYOUT = "Label Studio, JSON"
EXTRAS = ("group", "editor", "task", "split", "seed")
ITEM_NAMES = ("item", "candidate", "uid")
LEFT = "_"
RANKED_BUCKET = re.compile(r"(?:.*\D)?(\d{1,4})", re.DOTALL)
REGION = ("x", "y", "width", "height", "start", "end", "points", "startOffset")
MOST_RATING = 1000


@dataclass(slots=True)
class _Reading:
    """Rows of both kinds, the first problems, and what was passed over."""

    problems: Problems = field(default_factory=Problems)
    ratings: list[dict[str, Any]] = field(default_factory=list)
    ranks: list[dict[str, Any]] = field(default_factory=list)
    passed: Counter[str] = field(default_factory=Counter)
    ids: dict[str, int] = field(default_factory=dict)


def read_label_studio(tasks: list[Any]) -> Found:
    """Raises Refused with task and annotation of everything that is wrong."""
    reading = _Reading()
    for number, task in enumerate(tasks, start=1):
        _task(task, number, reading)
    reading.problems.raise_if_any()
    if reading.ratings and reading.ranks:
        raise Refused(["The file holds ratings and rankings. A set has one kind: export the project once for each."])
    if not reading.ratings and not reading.ranks:
        there = f" It has {', '.join(sorted(reading.passed)[:SHOWN])}." if reading.passed else ""
        raise Refused([f"No annotation has a result of the tags Rating or Ranker.{there}"])
    rows = reading.ratings or reading.ranks
    kind = RATINGS if reading.ratings else RANKINGS
    keys = ["annotator", *(("item", "dimension") if reading.ratings else ("group", "dimension", "candidate"))]
    extras = _extras(rows, [name for name in EXTRAS if name not in keys])
    columns = {name: Column.of([row[name] for row in rows]) for name in (*keys, *extras)}
    values = np.array([row["value"] for row in rows], dtype=np.float64)
    return Found(
        LAYOUT, kind, columns, values, lambda wanted: [rows[n]["place"] for n in wanted], tuple(_told(reading))
    )


def _extras(rows: list[dict[str, Any]], names: list[str]) -> list[str]:
    """Optional columns that are filled in every row. Raises Refused for one that is filled in some."""
    filled = {name: sum(row.get(name) is not None for row in rows) for name in names}
    for name, count in filled.items():
        if 0 < count < len(rows):
            row = next(row for row in rows if row.get(name) is None)
            raise Refused([f"{row['place']}: {name} is missing; fill it in everywhere or nowhere."], len(rows) - count)
    return [name for name, count in filled.items() if count]


def _told(reading: _Reading) -> Iterator[str]:
    """The kinds that are there most often: a file can name as many as it has results."""
    for what, count in sorted(reading.passed.most_common(SHOWN)):
        yield f"Passed over: {count:,} × {what}."
    if (more := len(reading.passed) - SHOWN) > 0:
        yield f"Passed over: {more:,} more kinds of results."


def _task(task: Any, number: int, reading: _Reading) -> None:
    where = f"task {number}"
    if not isinstance(task, dict) or not isinstance(task.get("annotations"), list):
        reading.problems.add(f"{where}: it must be an object with data and a list of annotations.")
        return
    data = task.get("data")
    if not isinstance(data, dict):
        reading.problems.add(f"{where}: data must be an object.")
        return
    name = _text(task.get("id")) or str(number)
    where = f"task {number} (id {name[:40]})"
    if name in reading.ids:
        reading.problems.add(f"{where}: the id is that of task {reading.ids[name]} already.")
        return
    reading.ids[name] = number
    about: dict[str, Any] = {extra: _text(data.get(extra)) for extra in EXTRAS}
    about["name"] = next((text for key in ITEM_NAMES if (text := _text(data.get(key)))), name)
    about["items"] = _listed(data)
    if task.get("predictions"):
        reading.passed["predictions of models"] += 1
    for place, annotation in enumerate(task["annotations"], start=1):
        _annotation(annotation, about, f"{where}, annotation {place}", reading)


def _text(value: Any) -> str | None:
    """A text or a whole number as a name, None for everything else."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value).strip() or None


def _listed(data: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The objects with an id that stand in the lists of a task's data: what a Ranker sorts."""
    lists = [value for value in data.values() if isinstance(value, list)]
    objects = [entry for one in lists for entry in one if isinstance(entry, dict)]
    return {name: entry for entry in objects if (name := _text(entry.get("id")))}


def _annotation(annotation: Any, about: Mapping[str, Any], where: str, reading: _Reading) -> None:
    if not isinstance(annotation, dict) or not isinstance(annotation.get("result"), list):
        reading.problems.add(f"{where}: it must be an object with a list “result”.")
        return
    if annotation.get("was_cancelled"):
        reading.passed["skipped annotations"] += 1
        return
    by = annotation.get("completed_by")
    annotator = _text(by.get("id") if isinstance(by, dict) else by)  # not the address: a number is enough
    if annotator is None:
        reading.problems.add(f"{where}: completed_by must be the annotator's number, or an object with their id.")
        return
    for result in annotation["result"]:
        _result(result, {**about, "annotator": annotator, "place": where}, reading)


def _result(result: Any, about: dict[str, Any], reading: _Reading) -> None:
    where = about["place"]
    if not isinstance(result, dict):
        reading.problems.add(f"{where}: each result must be an object.")
        return
    kind, control, value = result.get("type"), _text(result.get("from_name")), result.get("value")
    if kind not in ("rating", "ranker"):
        reading.passed[f"results of type {quoted(str(kind), 40)}"] += 1
    elif control is None:
        reading.problems.add(f"{where}: from_name is missing; it names the dimension.")
    elif not isinstance(value, dict):
        reading.problems.add(f"{where}, {quoted(control, 40)}: value must be an object.")
    elif kind == "rating":
        _rating(result, value, {**about, "dimension": control}, reading)
    else:
        _ranking(value, {**about, "dimension": control}, reading)


def _rating(result: dict[str, Any], value: dict[str, Any], about: dict[str, Any], reading: _Reading) -> None:
    where, score = f"{about['place']}, {quoted(about['dimension'], 40)}", value.get("rating")
    if any(key in value for key in REGION):
        reading.problems.add(f"{where}: this rates a region of an item (perRegion). Only whole items can be imported.")
    elif isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= MOST_RATING:
        reading.problems.add(f"{where}: rating must be a number from 0 to {MOST_RATING}.")
    else:
        part = _text(result.get("item_index"))  # perItem: one of several images of the task
        item = about["name"] if part is None else f"{about['name']}/{part}"
        reading.ratings.append({**about, "item": item, "value": float(score)})


def _ranking(value: dict[str, Any], about: dict[str, Any], reading: _Reading) -> None:
    where = f"{about['place']}, {quoted(about['dimension'], 40)}"
    try:
        ranked = list(_ranks(value.get("ranker"), about["dimension"]))
    except ValueError as error:
        reading.problems.add(f"{where}: {error}")
        return
    names = [name for name, _rank in ranked]
    if len(set(names)) < len(names):
        reading.problems.add(f"{where}: an item stands there twice.")
        return
    if len(reading.ranks) + len(ranked) > MOST_RANKS:
        raise Refused([f"The file has more than {MOST_RANKS:,} ranks, the limit for JSON. Use long CSV."])
    group = about["group"] or about["name"]
    for name, rank in ranked:
        entry = about["items"].get(name, {})
        own = {extra: _text(entry.get(extra)) or about[extra] for extra in ("editor", "seed")}
        row = {**about, **own, "group": group, "candidate": f"{group}/{name}", "value": float(rank)}
        reading.ranks.append(row)


def _ranks(value: Any, control: str) -> Iterator[tuple[str, int]]:
    """Names with their ranks, 1 is best. Raises ValueError with a sentence."""
    if isinstance(value, dict) and set(value) - {LEFT} == {control}:
        value = value[control]
    if isinstance(value, list):
        for rank, name in enumerate(value, start=1):
            yield _name(name), rank
        return
    if not isinstance(value, dict) or not value:
        raise ValueError("value.ranker must be a list of ids, best first, or an object of buckets.")
    for bucket, names in value.items():
        if bucket == LEFT:
            continue
        found = RANKED_BUCKET.fullmatch(bucket)
        if found is None:
            raise ValueError(f"the bucket {quoted(bucket, 40)} has no rank: let its name end in one, as in “rank-2”.")
        if not isinstance(names, list):
            raise ValueError(f"the bucket {quoted(bucket, 40)} must be a list of ids.")
        for name in names:
            yield _name(name), int(found[1])


def _name(value: Any) -> str:
    name = _text(value)
    if name is None:
        raise ValueError("an id must be a text or a whole number.")
    return name
