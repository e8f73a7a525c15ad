"""Figures as papers print them: facts of others, with their source, never computed here.

A file has the papers, what their tables are about, and a row for each model; those of scorers lie beside this module,
those of editors in training/editor_benchmarks/printed.json.
"""

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
    unit: str
    note: str
    columns: list[str]
    rows: list[tuple[str, list[str]]]


@cache
def _read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def tables_for(benchmark: str, file: Path = FILE) -> list[Table]:
    """Every printed table of the file with figures of this benchmark, in the order of the file."""
    told = _read(file)
    mine = [row for row in told["rows"] if row["benchmark"] == benchmark]
    keys = dict.fromkeys((row["paper"], row["table"]) for row in mine)
    return [_table(told, paper, table, [row for row in mine if (row["paper"], row["table"]) == (paper, table)])
            for paper, table in keys]  # fmt: skip


def _table(told: dict[str, Any], paper: str, table: str, mine: list[dict[str, Any]]) -> Table:
    columns = list(dict.fromkeys(name for row in mine for name in row["values"]))
    source = told["papers"][paper]
    return Table(
        paper=paper,
        title=source["title"],
        address=source["address"],
        table=table,
        about=told["tables"][paper][table],
        unit=source.get("unit", ""),
        note=source["note"],
        columns=columns,
        rows=[(row["model"], [row["values"].get(name, "–") for name in columns]) for row in mine],
    )
