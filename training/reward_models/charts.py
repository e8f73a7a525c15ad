"""Line charts as points of an SVG: the pages draw them without a script, live and in the registry alike. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

WIDTH, HEIGHT = 400, 180
LEFT, RIGHT, TOP, BOTTOM = 50, 392, 10, 156
MOST = 240  # points of a line: more cannot be seen
TICKS = 5
COLOURS = 6

Point = tuple[float, float]
T = TypeVar("T")


@dataclass(frozen=True)
class Series:
    """``points`` in order of x. ``ranges``: (x, low, high) around points. ``dots``: points that are marked."""

    name: str
    points: Sequence[Point]
    ranges: Sequence[tuple[float, float, float]] = ()
    dots: Sequence[Point] = ()
    kind: str = ""  # a class of the stylesheet; empty: the colour of its place


@dataclass(frozen=True)
class Tick:
    place: float
    text: str


@dataclass(frozen=True)
class Line:
    """``shown``: "x,y x,y …" of a polyline. ``ranges``: (x, y of the low end, y of the high end)."""

    name: str
    kind: str
    shown: str
    last: float | None
    ranges: list[tuple[float, float, float]] = field(default_factory=list)
    dots: list[tuple[float, float, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Chart:
    lines: list[Line]
    across: list[Tick]
    up: list[Tick]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = RIGHT
    top: int = TOP
    bottom: int = BOTTOM


def chart(
    series: Sequence[Series], *, up: tuple[float, float] | None = None, across: tuple[float, float] | None = None
) -> Chart | None:
    """The chart of these; None where there is no point yet. ``up``, ``across``: ranges that are shown at least."""
    known = [one for one in series if one.points]
    if not known:
        return None
    xs = [x for one in known for x, _y in one.points]
    ys = [y for one in known for _x, y in one.points] + [y for one in known for r in one.ranges for y in r[1:]]
    x_ticks, y_ticks = ticks(*_range(xs, across)), ticks(*_range(ys, up))
    x, y = _scale(x_ticks, LEFT, RIGHT), _scale(y_ticks, BOTTOM, TOP)
    return Chart(
        [_line(one, place, x, y) for place, one in enumerate(known)],
        [Tick(x(value), _text(value)) for value in x_ticks],
        [Tick(y(value), _text(value)) for value in y_ticks],
    )


def _line(one: Series, place: int, x: _Scale, y: _Scale) -> Line:
    return Line(
        one.name,
        one.kind or f"s{place % COLOURS}",
        " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in thin(one.points)),
        one.points[-1][1],
        [(round(x(a), 1), round(y(low), 1), round(y(high), 1)) for a, low, high in thin(one.ranges)],
        [(round(x(a), 1), round(y(b), 1), f"{_text(a)}: {b:.3g}") for a, b in one.dots],
    )


def thin(points: Sequence[T], most: int = MOST) -> list[T]:
    """Every so-manieth, the last one always."""
    step = -(-len(points) // most) or 1
    return list(points[(len(points) - 1) % step :: step])


def ticks(low: float, high: float, count: int = TICKS) -> list[float]:
    """Round numbers, evenly apart, from at most ``low`` to at least ``high``."""
    if not high - low > 1e-9 * max(abs(low), abs(high), 1e-99):
        half = (abs(low) if abs(low) > 1e-99 else 1) / 2  # a number that is next to nothing has no room around it
        low, high = low - half, high + half
    rough = (high - low) / count
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * by for by in (1, 2, 2.5, 5, 10) if unit * by >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [place * step for place in range(first, last + 1)]


class _Scale:
    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.start, self.by = low, start, (end - start) / ((high - low) or 1)

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) * self.by


def _scale(of: Sequence[float], start: float, end: float) -> _Scale:
    return _Scale(of[0], of[-1], start, end)


def _range(values: Iterable[float], least: tuple[float, float] | None) -> tuple[float, float]:
    found = [*values, *(least or ())]
    return min(found), max(found)


def _text(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e6 else f"{value:.0e}"
