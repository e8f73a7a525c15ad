"""Read a CSV of judgements into columns: named keys as integer codes, and columns of finite numbers.

Two paths. The fast one is pyarrow's reader on dictionary-encoded columns. Whatever it refuses, and whatever it reads
that is not allowed here, goes to the exact one, which walks the file record by record and knows the line numbers.
"""

from __future__ import annotations

import csv
import os
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from scoring.stats.grouped import Codes, Floats

LISTED = 20
"""So many problems are listed; the rest is counted."""
LARGEST = 1e15
"""Larger numbers are typing errors, and sums of their squares would not be exact enough to mean anything."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
NO_ROWS = "there is a header but no row under it"

Names = Any
"""A pyarrow StringArray (pyarrow ships no types)."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a table: the line of the file (or row in memory, from 1) and the reason in plain words."""

    line: int | None
    reason: str

    def __str__(self) -> str:
        return self.reason if self.line is None else f"line {self.line}: {self.reason}"


class BadTable(ValueError):
    """A table that cannot be used. ``problems`` holds the first ones, ``count`` says how many there are in all."""

    def __init__(self, problems: Sequence[Problem], count: int | None = None) -> None:
        self.problems = list(problems)
        self.count = len(self.problems) if count is None else count
        super().__init__("; ".join(str(problem) for problem in self.problems))


@dataclass(frozen=True, slots=True)
class KeyedTable:
    """Columns of equal length: ``codes[key]`` into ``names[key]``, and ``numbers[value]``."""

    codes: dict[str, Codes]
    names: dict[str, Names]
    numbers: dict[str, Floats]


@dataclass(frozen=True, slots=True)
class _Header:
    """The header's cells as the file spells them, and where the wanted columns stand in it."""

    cells: list[str]
    position: dict[str, int]


@dataclass(slots=True)
class _Found:
    """Problems met so far: the first ones kept, all counted."""

    problems: list[Problem] = field(default_factory=list)
    count: int = 0

    def add(self, line: int | None, reason: str) -> None:
        self.count += 1
        if len(self.problems) < LISTED:
            self.problems.append(Problem(line, reason))

    def raise_if_any(self) -> None:
        if self.count:
            raise BadTable(self.problems, self.count)


@dataclass(slots=True)
class _Encoder:
    """Texts to codes in the order of first appearance, 4 bytes a row."""

    index: dict[str, int] = field(default_factory=dict)
    codes: array[int] = field(default_factory=lambda: array("i"))

    def add(self, text: str) -> None:
        self.codes.append(self.index.setdefault(text, len(self.index)))


def read_csv(
    path: str | os.PathLike[str], keys: Sequence[str], *values: str, optional: Sequence[str] = ()
) -> KeyedTable:
    """Read columns ``keys`` (text) and ``values`` (numbers) of a UTF-8 CSV with a header; other columns are ignored.

    Of the ``optional`` keys those are read that the header has. Raises BadTable, with line numbers, for everything that
    is wrong with the contents, and OSError for a file that cannot be opened.
    """
    header = _read_header(path, [*keys, *values], optional)
    keys = [*keys, *(key for key in optional if key in header.position)]
    try:
        table = _read_fast(path, header, keys, *values)
    except pa.ArrowInvalid:
        return _read_exactly(path, header, keys, *values)
    if not _is_usable(table):
        return _read_exactly(path, header, keys, *values)
    if table.numbers[values[0]].size == 0:
        raise BadTable([Problem(None, NO_ROWS)])
    return table


def lines_of(path: str | os.PathLike[str], rows: Sequence[int]) -> dict[int, int]:
    """Row (from 0, under the header) to the line that it begins on, in a file that ``read_csv`` has read."""
    wanted = set(rows)
    return {row: line for row, (line, _) in enumerate(_records(path), start=-1) if row in wanted}


def from_columns(keys: dict[str, Sequence[Any]], values: Sequence[Any], value: str) -> KeyedTable:
    """The same table from columns in memory; keys are turned into text. Raises BadTable with row numbers (from 1)."""
    texts = {key: list(map(str, column)) for key, column in keys.items()}
    try:
        numbers = np.asarray(values, dtype=np.float64)
        table = _keyed(texts, {value: numbers})
        usable = _is_usable(table)
    except (TypeError, ValueError, pa.ArrowException):
        usable = False
    if not usable:
        _check_rows(zip(*texts.values(), map(str, values), strict=True), [*keys, value])
    return table


def _check_rows(rows: Iterable[Sequence[str]], names: Sequence[str]) -> None:
    found = _Found()
    for row, cells in enumerate(rows, start=1):
        for reason in _reasons(cells, names[:-1], names[-1:]):
            found.add(row, reason)
    found.raise_if_any()


def _is_usable(table: KeyedTable) -> bool:
    """All numbers finite and of sane size, no key blank."""
    sane = all(bool(np.all(np.abs(column) <= LARGEST)) for column in table.numbers.values())
    return sane and not any(_has_blank(names) for names in table.names.values())


def _has_blank(names: Names) -> bool:
    return bool(pc.any(pc.equal(pc.utf8_trim_whitespace(names), "")).as_py())


def _keyed(texts: dict[str, list[str]], numbers: dict[str, Floats]) -> KeyedTable:
    return _from_dictionaries({k: pa.array(t, pa.string()).dictionary_encode() for k, t in texts.items()}, numbers)


def _from_dictionaries(encoded: dict[str, Any], numbers: dict[str, Floats]) -> KeyedTable:
    return KeyedTable(
        codes={key: column.indices.to_numpy(zero_copy_only=False) for key, column in encoded.items()},
        names={key: column.dictionary for key, column in encoded.items()},
        numbers=numbers,
    )


def _records(path: str | os.PathLike[str]) -> Iterator[tuple[int, list[str]]]:
    """Every record with the number of its first line; a byte that is not UTF-8 becomes a lone surrogate."""
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(file)
        line = 1
        for record in reader:
            if record:
                yield line, record
            line = reader.line_num + 1


def _is_utf8(text: str) -> bool:
    return text.isascii() or not any("\udc80" <= character <= "\udcff" for character in text)


def _read_header(path: str | os.PathLike[str], wanted: Sequence[str], optional: Sequence[str] = ()) -> _Header:
    """Find the wanted columns, and the optional ones that are there. Raises BadTable in words where that fails."""
    needed = ",".join(wanted)
    if os.path.exists(path) and not os.path.isfile(path):
        raise BadTable([Problem(None, "this is not a regular file")])
    with open(path, "rb") as file:
        if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            raise BadTable([Problem(None, "the file is UTF-16; save it as UTF-8")])
    try:
        line, cells = next(_records(path), (1, []))
    except csv.Error as error:
        raise BadTable([Problem(1, f"the header cannot be read: {error}")]) from error
    if not cells:
        raise BadTable([Problem(None, f"the file is empty; it needs a header with the columns {needed}")])
    if not all(map(_is_utf8, cells)):
        raise BadTable([Problem(line, "the header is not UTF-8 text; unpack the file or save it as UTF-8")])
    found = [cell.strip() for cell in cells]
    missing = [name for name in wanted if name not in found]
    if missing:
        shown = ",".join(found)[:200]
        raise BadTable([Problem(line, f"no column {', '.join(missing)}; needed: {needed}; the header is: {shown}")])
    wanted = [*wanted, *(name for name in optional if name in found)]
    twice = [name for name in wanted if found.count(name) > 1]
    if twice:
        raise BadTable([Problem(line, f"column {', '.join(twice)} stands in the header more than once")])
    return _Header(cells, {name: found.index(name) for name in wanted})


def _read_fast(path: str | os.PathLike[str], header: _Header, keys: Sequence[str], *values: str) -> KeyedTable:
    """pyarrow's reader, on several threads. Raises pyarrow.ArrowInvalid for what it does not like, without a place."""
    spelled = {name: header.cells[position] for name, position in header.position.items()}
    encoded = pa.dictionary(pa.int32(), pa.string())
    types = {spelled[key]: encoded for key in keys} | {spelled[value]: pa.float64() for value in values}
    table = pacsv.read_csv(
        os.fspath(path),
        read_options=pacsv.ReadOptions(block_size=1 << 24),
        parse_options=pacsv.ParseOptions(newlines_in_values=True),
        convert_options=pacsv.ConvertOptions(
            column_types=types, include_columns=list(types), null_values=[], strings_can_be_null=False
        ),
    )
    columns = {key: table[spelled[key]].unify_dictionaries().combine_chunks() for key in keys}
    return _from_dictionaries(columns, {value: table[spelled[value]].to_numpy() for value in values})


def _reasons(cells: Sequence[str], keys: Sequence[str], values: Sequence[str]) -> Iterator[str]:
    """What is wrong with one record's wanted cells: the keys' and then the numbers'."""
    for name, cell in zip(keys, cells[: len(keys)], strict=True):
        if not cell.strip():
            yield f"{name} is empty"
        elif not _is_utf8(cell):
            yield f"{name} is not UTF-8 text"
    for name, cell in zip(values, map(str.strip, cells[len(keys) :]), strict=True):
        if not cell:
            yield f"{name} is empty"
        elif not NUMBER.fullmatch(cell):
            yield f"{name} is not a number: {ascii(cell[:60]) if not _is_utf8(cell) else repr(cell[:60])}"
        elif abs(float(cell)) > LARGEST:
            yield f"{name} {cell[:60]} is too large (the limit is {LARGEST:g})"


def _read_exactly(path: str | os.PathLike[str], header: _Header, keys: Sequence[str], *values: str) -> KeyedTable:
    """Record by record with line numbers. Reads what pyarrow is too strict about (such as "+3"), or raises BadTable."""
    positions = [header.position[name] for name in (*keys, *values)]
    found = _Found()
    columns = {key: _Encoder() for key in keys}
    numbers = {value: array("d") for value in values}
    records = _records(path)
    line, _ = next(records)
    try:
        for line, record in records:
            if len(record) != len(header.cells):
                found.add(line, f"{len(record)} cells, but the header has {len(header.cells)}")
                continue
            cells = [record[position] for position in positions]
            for reason in _reasons(cells, keys, values):
                found.add(line, reason)
            if found.count == 0:
                for key, cell in zip(keys, cells, strict=False):
                    columns[key].add(cell)
                for value, cell in zip(values, cells[len(keys) :], strict=True):
                    numbers[value].append(float(cell))
    except csv.Error as error:
        found.add(line + 1, f"this record cannot be read: {error}")
    found.raise_if_any()
    if not numbers[values[0]]:
        raise BadTable([Problem(None, NO_ROWS)])
    return KeyedTable(
        codes={key: np.array(column.codes, dtype=np.int32) for key, column in columns.items()},
        names={key: pa.array(list(column.index), pa.string()) for key, column in columns.items()},
        numbers={value: np.array(column) for value, column in numbers.items()},
    )
