"""What holds for judgements of every layout: names that can be shown, nothing twice, one editor an item. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from annotation.importing.names import text_fault
from annotation.importing.problems import quoted
from scoring.elsewhere.found import KEYS, MOST_TEXT, OF, RANKINGS, RATINGS, SHOWN, Column, Found, Problems, Refused
from scoring.stats.grouped import Codes

MOST_ROWS = 3_000_000
MOST = {"annotator": 50_000, "dimension": 50, "task": 500, "editor": 1_000, "split": 100}
MOST_RANKED = 500
"""Candidates in a group: nobody ranks more, and the pairs grow with the square."""
MOST_PAIRS = 20_000_000
"""Pairs that agreement compares: of annotators on their items, or of candidates over a group's rankings."""


def check(found: Found, *, repeats: bool) -> Found:
    """The same judgements, with what is to be told of them. ``repeats``: that somebody judged a thing twice is meant.

    Raises Refused with everything that is wrong.
    """
    if found.rows > MOST_ROWS:
        raise Refused([f"The file has {found.rows:,} judgements; the limit is {MOST_ROWS:,}. Import it in parts."])
    problems = Problems()
    for name, column in found.columns.items():
        _check_names(found, name, column, problems)
    for owner, attributes in OF[found.kind].items():
        for name in (name for name in attributes if name in found.columns):
            _check_one(found, owner, name, problems)
    problems.raise_if_any()
    if found.kind == RANKINGS:
        _check_sizes(found)
    elif found.kind == RATINGS:
        _check_sharing(found)
    again = _again(found)
    if again.size and not repeats:
        _refuse_repeats(found, again)
    return found.also(*_told_repeats(found, again.size))


def _check_names(found: Found, name: str, column: Column, problems: Problems) -> None:
    if len(column) > MOST.get(name, MOST_ROWS):
        problems.add(f"There are {len(column):,} different values of {name}; the limit is {MOST[name]:,}.")
        return
    for code, text in enumerate(column.texts()):
        fault = text_fault(text)
        if len(text) > MOST_TEXT:
            fault = f"It has {len(text):,} characters; the limit is {MOST_TEXT}."
        if fault:
            row = int(np.flatnonzero(column.codes == code)[0]) if problems.count < SHOWN else 0
            problems.add(f"{found.place([row])[0]}: {name} {quoted(text)}: {fault}")


def _check_one(found: Found, owner: str, name: str, problems: Problems) -> None:
    """Each ``owner`` (an item) has one ``name`` (an editor), as its first row says."""
    own, column = found.columns[owner], found.columns[name]
    _, first = np.unique(own.codes, return_index=True)
    said = np.empty(len(own), dtype=np.int64)
    said[own.codes[first]] = column.codes[first]
    differ = np.flatnonzero(said[own.codes] != column.codes)
    rows = differ[:SHOWN].tolist()
    for row, place in zip(rows, found.place(rows) if rows else [], strict=True):
        who, now = own.names[int(own.codes[row])].as_py(), column.names[int(column.codes[row])].as_py()
        before = column.names[int(said[own.codes[row]])].as_py()
        problems.add(f"{place}: the {owner} {quoted(who)} has {name} {quoted(now)} here and {quoted(before)} above.")
    problems.count += int(differ.size) - len(rows)


def _check_sizes(found: Found) -> None:
    pairs = np.unique(_folded(found, ("group", "candidate")), return_index=True)[1]
    sizes = np.bincount(found.columns["group"].codes[pairs])
    if sizes.max(initial=0) > MOST_RANKED:
        group = found.columns["group"].names[int(sizes.argmax())].as_py()
        raise Refused([f"The group {quoted(group)} has {sizes.max():,} candidates; the limit is {MOST_RANKED}."])

    work = np.bincount(found.columns["group"].codes) * sizes
    if work.max(initial=0) > MOST_PAIRS:
        group = found.columns["group"].names[int(work.argmax())].as_py()
        raise Refused([f"The group {quoted(group)} has too many rankings of too many candidates. Import a part of it."])


def _check_sharing(found: Found) -> None:
    """Kappa needs every pair of annotators who share an item: for a crowd on few items they are too many."""
    per_item = np.bincount(found.columns["item"].codes).astype(np.float64)
    pairs = min(float((per_item**2).sum()), float(len(found.columns["annotator"])) ** 2)
    if pairs > MOST_PAIRS:
        said = f"Up to {pairs:,.0f} pairs of annotators share an item; the limit is {MOST_PAIRS:,}."
        raise Refused([f"{said} Import it in parts."])


def _folded(found: Found, names: Sequence[str]) -> Codes:
    """One code a row for several columns together."""
    code: Codes = np.zeros(found.rows, dtype=np.int64)
    for name in names:
        column = found.columns[name]
        code = np.unique(code * max(len(column), 1) + column.codes, return_inverse=True)[1].astype(np.int64)
    return code


def _again(found: Found) -> Codes:
    """Rows whose judgement stands above already."""
    key = _folded(found, KEYS[found.kind])
    _, first = np.unique(key, return_index=True)
    fresh = np.zeros(key.size, dtype=bool)
    fresh[first] = True
    return np.flatnonzero(~fresh)


def _refuse_repeats(found: Found, again: Codes) -> None:
    names = KEYS[found.kind]
    key = _folded(found, names)
    shown = again[:SHOWN].tolist()
    first = [int(np.flatnonzero(key == key[row])[0]) for row in shown]
    raise Refused(_repeat_lines(found, names, shown, first), int(again.size) + 1)


def _repeat_lines(found: Found, names: Sequence[str], shown: list[int], first: list[int]) -> Iterator[str]:
    yield "Judgements stand there twice. If that is meant, say so on the import: then they are averaged, and counted."
    for row, here, there in zip(shown, found.place(shown), found.place(first), strict=True):
        columns = [found.columns[name] for name in names]
        said = ", ".join(quoted(column.names[int(column.codes[row])].as_py(), 60) for column in columns)
        yield f"{here}: {said} stand on {there} already."


def _told_repeats(found: Found, count: int) -> Iterator[str]:
    if count:
        what = ", ".join(KEYS[found.kind])
        yield f"{count:,} judgements repeat an earlier one of the same {what}. Figures take their mean."
