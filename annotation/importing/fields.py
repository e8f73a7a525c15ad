"""One row's cells as checked values. Every reading method notes what is wrong and goes on with an empty value."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection
from typing import Any

from annotation.importing.limits import Limits
from annotation.importing.names import name_fault, normal, text_fault
from annotation.importing.problems import printable, quoted
from annotation.importing.rows import Row, Table, strict_json

_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]*")
_WHOLE = re.compile(r"[+-]?[0-9]{1,30}")
MAX_SEED = 2**63 - 1
MAX_DEPTH = 20


class RowReader:
    """Reads the cells of ``row``. ``ok`` turns false at the first problem."""

    def __init__(self, table: Table, row: Row, limits: Limits) -> None:
        self.table, self.row, self.limits = table, row, limits
        self.ok = True

    def problem(self, field: str, sentence: str) -> None:
        self.ok = False
        self.table.problem(sentence, self.row.line, field)

    def text(self, field: str, max_length: int, *, required: bool = False, lines: bool = False) -> str:
        """Text without the white space around it; ``lines`` allows line feeds."""
        value = self.row.cells.get(field)
        if value is None:
            if required:
                self.problem(field, "This is missing. Every row needs it.")
            return ""
        if not isinstance(value, str):
            self.problem(field, f"This is {_kind(value)}; it must be text in quotation marks.")
            return ""
        value = value.replace("\r\n", "\n").strip()
        fault = text_fault(value, lines=lines)
        if fault is None and required and not value:
            fault = "This is empty. Every row needs it."
        if fault is None and len(value) > max_length:
            fault = f"This is {len(value):,} characters long; the limit is {max_length:,}."
        if fault is not None:
            self.problem(field, fault)
            return ""
        return value

    def key(self, field: str) -> str:
        """The key of a case, in one form whatever the system that wrote it."""
        return normal(self.text(field, self.limits.max_key, required=True))

    def path(self, field: str, *, required: bool = False) -> str:
        """A path inside the import, in the form that a source lists."""
        value = normal(self.text(field, self.limits.max_path, required=required))
        if value and (fault := name_fault(value, self.limits.max_path)):
            self.problem(field, fault)
            return ""
        return value

    def slug(self, field: str) -> str:
        value = self.text(field, self.limits.max_slug, required=True)
        if value and not _SLUG.fullmatch(value):
            self.problem(field, f"{quoted(value)} is no slug. Use small letters, digits, - and _ only.")
            return ""
        return value

    def choice(self, field: str, known: Collection[str], what: str, default: str = "") -> str:
        """One of ``known``; without a ``default`` the cell is required."""
        value = self.text(field, self.limits.max_slug, required=not default)
        if not value or value in known:
            return value or default
        # A closest match costs more than all other checks together, so none is looked for beyond the list.
        self.problem(field, "" if self.table.problems.full else _unknown(value, known, what))
        return default

    def seed(self, field: str) -> int:
        value = self.row.cells.get(field, 0)
        if self.row.is_csv and isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_SEED:
            self.problem(field, f"The seed must be a whole number from 0 to {MAX_SEED}; this is {_shown(value)}.")
            return 0
        return value

    def json_object(self, field: str) -> dict[str, Any]:
        """A JSON object; in CSV it is written as text."""
        value = self.row.cells.get(field, {})
        if self.row.is_csv and isinstance(value, str):
            try:
                value = strict_json(value)
            except ValueError as error:
                self.problem(field, f"This cannot be read as JSON: {error}.")
                return {}
        if not isinstance(value, dict):
            self.problem(field, f'This is {_kind(value)}; it must be a JSON object, such as {{"radius": 3}}.')
            return {}
        if fault := self._json_fault(value):
            self.problem(field, fault)
            return {}
        return value

    def _json_fault(self, value: dict[str, Any]) -> str | None:
        if fault := _content_fault(value):
            return fault
        length = len(json.dumps(value))
        if length > self.limits.max_json:
            return f"This is {length:,} characters of JSON; the limit is {self.limits.max_json:,}."
        return None


def _content_fault(value: object) -> str | None:
    """What keeps a JSON value from being stored: its depth, or text (names included) that a database refuses."""
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        below: list[object] = []
        for item in level:
            if isinstance(item, str) and (fault := text_fault(item, lines=True)):
                return fault
            if isinstance(item, dict):
                below += [*item.keys(), *item.values()]
            elif isinstance(item, list):
                below += item
        if not below:
            return None
        level = below
    return f"This is nested more than {MAX_DEPTH} deep."


def _kind(value: object) -> str:
    kinds = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object", str: "text"}
    return kinds.get(type(value), "no text")


def _shown(value: object) -> str:
    return quoted(value, 40) if isinstance(value, str) else printable(json.dumps(value), 40)


def _unknown(value: str, known: Collection[str], what: str) -> str:
    said = f"{quoted(value)} is no known {what}."
    if close := difflib.get_close_matches(value.lower(), sorted(known), n=3):
        return f"{said} Did you mean {' or '.join(close)}?"
    if len(known) <= 12:
        return f"{said} Known: {', '.join(sorted(known))}."
    return f"{said} The list of tasks has the {len(known)} known ones."
