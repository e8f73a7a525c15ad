"""Figures of editors as papers print them: facts of others, with their source, never computed here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("printed.json")


@dataclass(frozen=True)
class Table:
    """A table of a paper: ``columns`` of figures by name, ``rows`` of a model and its values, to the letter."""

    paper: str
    title: str
    address: str
    table: str
    about: str
    note: str
    columns: list[str]
    rows: list[tuple[str, list[str]]]


@cache
def _file() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def tables_for(style: str) -> list[Table]:
    """Every printed table with figures of this style, in the order of the file."""
    told = _file()
    mine = [row for row in told["rows"] if row["benchmark"] == style]
    keys = dict.fromkeys((row["paper"], row["table"]) for row in mine)
    return [_table(told, paper, table, mine) for paper, table in keys]


def _table(told: dict[str, Any], paper: str, table: str, rows: list[dict[str, Any]]) -> Table:
    mine = [row for row in rows if (row["paper"], row["table"]) == (paper, table)]
    columns = list(dict.fromkeys(name for row in mine for name in row["values"]))
    source = told["papers"][paper]
    return Table(
        paper=paper,
        title=source["title"],
        address=source["address"],
        table=table,
        about=told["tables"][paper][table],
        note=source["note"],
        columns=columns,
        rows=[(row["model"], [row["values"].get(name, "–") for name in columns]) for row in mine],
    )
