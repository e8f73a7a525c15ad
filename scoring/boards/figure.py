"""A figure: a chart with its numbers beside it, and why there is none where there is none. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from scoring.boards.shapes import Chart
from scoring.writers import csv_line

DASH = "–"
Value = str | int | float | None


@dataclass(frozen=True)
class Shown:
    """A cell of the table on the page. ``href``: the rows behind the number."""

    text: str
    href: str = ""
    is_number: bool = True


@dataclass(frozen=True)
class Table:
    """``rows``: the first value is the row's name. None or NaN: no figure. ``hrefs``: by (row, column)."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Value]]
    digits: int = 3
    hrefs: dict[tuple[int, int], str] = field(default_factory=dict)

    @property
    def shown(self) -> Iterator[list[Shown]]:
        for row, values in enumerate(self.rows):
            yield [
                Shown(say(value, self.digits), self.hrefs.get((row, place), ""), not isinstance(value, str))
                for place, value in enumerate(values)
            ]

    @property
    def has_gaps(self) -> bool:
        return any(value is None or value != value for values in self.rows for value in values)  # noqa: PLR0124


@dataclass(frozen=True)
class Figure:
    """``name``: its place in addresses, unique on its page. ``note``: how to read it. ``gaps``: what a dash means.
    ``empty``: why there is nothing to draw."""

    name: str
    title: str
    table: Table
    chart: Chart | None = None
    note: str = ""
    gaps: str = ""
    empty: str = ""


def say(value: Value, digits: int = 3) -> str:
    """A value as the page shows it; what does not exist is a dash."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return DASH
    if isinstance(value, float):
        return f"{value:.{digits}f}"
    return f"{value:,}" if isinstance(value, int) else value


def csv_of(figure: Figure, notice: str) -> Iterator[str]:
    """The figure's numbers as CSV, line by line; empty: no figure. ``notice``: what is demo or simulated, on each."""
    more: tuple[str, ...] = ("notice",) if notice else ()
    yield csv_line((*figure.table.columns, *more))
    for row in figure.table.rows:
        values = ("" if value is None or value != value else value for value in row)  # noqa: PLR0124
        yield csv_line((*values, *((notice,) if notice else ())))
