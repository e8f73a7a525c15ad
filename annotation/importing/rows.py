"""A manifest's bytes as rows: JSON Lines or CSV, each row with the line on which it begins."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

from annotation.importing.problems import Problems, printable, quoted


@dataclass(frozen=True, slots=True)
class Row:
    """Cells by column. In CSV every value is text; a cell that is empty there, or null in JSON, is left out."""

    line: int
    cells: Mapping[str, object]
    is_csv: bool


@dataclass(slots=True)
class Table:
    """A manifest file: its name, the columns it may and must have, and where its problems go.

    ``whole`` turns false where a row could not be told apart, so that what the file does not say is not known.
    """

    file: str
    columns: tuple[str, ...]
    required: tuple[str, ...]
    max_rows: int
    problems: Problems
    whole: bool = True
    _unknown: set[str] = field(default_factory=set)

    def rows(self, data: bytes) -> Iterator[Row]:
        """All rows that can be told apart; a row whose cells are wrong in kind is still given."""
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            self.lost("The file is UTF-16 or UTF-32. Save it as UTF-8.")
            return
        is_csv = self.file.endswith(".csv")
        # Bytes that are not UTF-8 become surrogates here, so that the line and column that hold them can be named.
        text = io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", "surrogateescape")
        for count, row in enumerate(self._csv_rows(text) if is_csv else self._jsonl_rows(text)):
            if count == self.max_rows:
                self.lost(f"The file has more than {self.max_rows:,} rows. Import it in parts.", row.line)
                return
            yield row

    def problem(self, sentence: str, line: int | None = None, column: str = "") -> None:
        self.problems.add(sentence, self.file, line, column)

    def lost(self, sentence: str, line: int | None = None, column: str = "") -> None:
        """A problem by which rows, or all of them, are not read."""
        self.whole = False
        self.problem(sentence, line, column)

    def _jsonl_rows(self, text: TextIO) -> Iterator[Row]:
        for line, part in enumerate(text, start=1):
            if not part.strip():
                continue
            try:
                value = strict_json(part)
            except ValueError as error:
                self.lost(f"This line cannot be read as JSON: {error}. Write one JSON object a line.", line)
                continue
            if not isinstance(value, dict):
                self.lost("This line is not a JSON object. Write one object a line: {…}.", line)
                continue
            for name in value:
                self._check_column(name, line)
            yield Row(line, {name: cell for name, cell in value.items() if cell is not None}, is_csv=False)

    def _csv_rows(self, text: TextIO) -> Iterator[Row]:
        reader = csv.reader(text, strict=True)
        header: list[str] | None = None
        line = 1
        try:
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    if header is None:
                        header = [name.strip() for name in cells]
                        if not self._check_header(header, line):
                            return
                    elif len(cells) != len(header):
                        self.lost(f"This row has {len(cells)} cells; the first line has {len(header)}.", line)
                    else:
                        yield Row(line, {n: c for n, c in zip(header, cells, strict=True) if c.strip()}, is_csv=True)
                line = reader.line_num + 1
        except csv.Error as error:
            self.lost(f"The CSV cannot be read from here on: {error}. Check the quotation marks.", line)

    def _check_header(self, header: list[str], line: int) -> bool:
        """Whether the rows below can be read. A column too many is a problem, but no hindrance."""
        if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
            self.lost("The columns are not separated by commas. Save the file as CSV with commas.", line)
            return False
        for number, name in enumerate(header, start=1):
            if name:
                self._check_column(name, line)
            else:
                self.problem(f"Column {number} has no name. Name it or delete it.", line)
        twice = [name for name, count in Counter(header).items() if count > 1 and name]
        for name in twice:
            self.lost(f"The column {quoted(name)} is there twice.", line)
        missing = [name for name in self.required if name not in header]
        for name in missing:
            self.lost(f"The column {name} is missing from the first line.", line, name)
        return not twice and not missing

    def _check_column(self, name: str, line: int) -> None:
        # Each unknown name once: with a misspelt field in JSON Lines, every line would say the same.
        if name not in self.columns and name not in self._unknown and len(self._unknown) < self.problems.limit:
            self._unknown.add(name)
            self.problem(f"The column {quoted(name)} is unknown. Allowed: {', '.join(self.columns)}.", line)


def strict_json(text: str) -> Any:
    """``json.loads`` without NaN, infinities, repeated names and bottomless nesting; ValueError says what is wrong."""
    try:
        return json.loads(
            text, parse_constant=_no_constant, parse_float=_finite, parse_int=_short, object_pairs_hook=_unique
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} (character {error.pos + 1})") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"the number {printable(digits, 30)} is too large")
    return value


def _short(digits: str) -> int:
    if len(digits) > 30:
        raise ValueError(f"the number {printable(digits, 30)} is too large")
    return int(digits)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{quoted(name)} is there twice")
        found[name] = value
    return found
