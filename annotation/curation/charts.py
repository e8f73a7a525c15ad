"""Bars for the charts of the balance page: positions in percent of an SVG, as text, whatever the page's language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

FOOT = 82.0  # percent: the baseline; names stand below it, by turns higher and lower, so that neighbours do not meet
HIGHER, LOWER = "90%", "98%"


@dataclass(frozen=True)
class Bar:
    x: str
    y: str
    width: str
    height: str
    value: int


@dataclass(frozen=True)
class Column:
    """One place of the chart: its name, where the name stands, and a bar for each series."""

    name: str
    middle: str
    base: str
    bars: list[Bar]
    is_set_apart: bool = False


def columns(names: Sequence[str], series: Sequence[Sequence[int]], set_apart: str = "") -> list[Column]:
    """A column for each name with a bar for each series, beside each other; the tallest bar fills the chart.

    ``set_apart`` names the column that is drawn in another colour.
    """
    tallest = max((value for values in series for value in values), default=0) or 1
    step = 100 / max(len(names), 1)
    wide = 0.8 * step / max(len(series), 1)
    found = []
    for place, name in enumerate(names):
        left = place * step + 0.1 * step
        bars = [_bar(left + turn * wide, 0.92 * wide, values[place], tallest) for turn, values in enumerate(series)]
        middle, base = f"{(place + 0.5) * step:.3f}%", LOWER if place % 2 else HIGHER
        found.append(Column(name, middle, base, bars, is_set_apart=name == set_apart))
    return found


def _bar(left: float, wide: float, value: int, tallest: int) -> Bar:
    high = FOOT * value / tallest
    return Bar(f"{left:.3f}%", f"{FOOT - high:.3f}%", f"{wide:.3f}%", f"{high:.3f}%", value)
