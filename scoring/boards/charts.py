"""The kinds of charts: lines, bars, dots with intervals, heat maps, radars, small multiples. Pure.

Each takes figures and gives a ``Chart``, or None where there is nothing to draw. Values of NaN are left out of a chart;
the table beside it says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scoring.boards.shapes import SERIES, Chart, Scale, Shape, key, room, short, thin, tick_text, ticks

WIDTH, HEIGHT = 480.0, 230.0
LEFT, TOP, RIGHT, BOTTOM = 48.0, 22.0, 14.0, 38.0
ROW = 24.0
CELL = 64.0
SHADES = 5
RINGS = 4
RADIUS = 110.0
LEAST_AXES = 3  # of a radar: fewer span no area
PANEL_WIDTH, PANEL_HEIGHT, COLUMNS = 150.0, 92.0, 4


@dataclass(frozen=True)
class Point:
    """``low`` and ``high``: its interval, NaN where there is none. ``title``: what it says when one points at it."""

    x: float
    y: float
    low: float = math.nan
    high: float = math.nan
    title: str = ""


@dataclass(frozen=True)
class Series:
    name: str
    points: Sequence[Point]


def lines(
    series: Sequence[Series],
    *,
    label: str,
    across: str,
    up: str,
    least: Sequence[float] = (),
    least_across: Sequence[float] = (),
    rule: float | None = None,
) -> Chart | None:
    """Lines with marks and intervals. ``across`` and ``up`` name the axes. ``least``: values of y that are shown at
    least, ``least_across`` of x; ``rule``: a value of y with a line of its own."""
    known = [(place, [p for p in one.points if math.isfinite(p.y)]) for place, one in enumerate(series)]
    points = [point for _place, found in known for point in found]
    if not points:
        return None
    limits = [v for p in points for v in (p.y, p.low, p.high) if math.isfinite(v)]
    xs = [*(p.x for p in points), *least_across]
    x_ticks = ticks(min(xs), max(xs))
    y_ticks = ticks(min([*limits, *least]), max([*limits, *least]))
    made = Chart(WIDTH, HEIGHT, label)
    x = Scale(x_ticks[0], x_ticks[-1], LEFT, WIDTH - RIGHT)
    y = Scale(y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, TOP)
    _upright(made, y, y_ticks, up)
    for value in x_ticks:
        made.say(x(value), HEIGHT - BOTTOM + 15, tick_text(value))
    made.say((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, across, "axis")
    if rule is not None and y.low <= rule <= y.high:
        made.line(LEFT, y(rule), WIDTH - RIGHT, y(rule), "rule")
    for place, found in known:
        _line(made, place, thin(found), x, y)
    if len(series) > 1:
        made.keys = [key(one.name, place, line=True) for place, one in enumerate(series)]
    return made


def _line(made: Chart, place: int, points: Sequence[Point], x: Scale, y: Scale) -> None:
    kind = f"c{place % SERIES}"
    for p in points:
        if math.isfinite(p.low) and math.isfinite(p.high):
            made.line(x(p.x), y(p.low), x(p.x), y(p.high), f"range {kind}")
    if len(points) > 1:
        made.shapes.append(Shape("M" + "L".join(f"{x(p.x):.1f} {y(p.y):.1f}" for p in points), f"line {kind}"))
    for p in points:
        made.mark(x(p.x), y(p.y), place, p.title)


def _upright(made: Chart, y: Scale, marks: Sequence[float], up: str) -> None:
    """The axis of y: a grid line and a number for each mark, and the name above."""
    for value in marks:
        made.line(LEFT, y(value), made.width - RIGHT, y(value), "grid")
        made.say(LEFT - 6, y(value) + 4, tick_text(value), anchor="end")
    made.say(4, 12, up, "axis", "start")


def bars(values: Sequence[tuple[str, float]], *, label: str, up: str) -> Chart | None:
    """A bar for each (name, value), from 0. Names stand under the first, the last, and some between."""
    if not values or max(value for _name, value in values) <= 0:
        return None
    made = Chart(WIDTH, HEIGHT, label)
    marks = ticks(0, max(value for _name, value in values))
    y = Scale(0, marks[-1], HEIGHT - BOTTOM, TOP)
    _upright(made, y, marks, up)
    step = (WIDTH - LEFT - RIGHT) / len(values)
    every = -(-len(values) // 6)
    for place, (name, value) in enumerate(values):
        left = LEFT + step * place
        made.box(left + step * 0.12, y(value), step * 0.76, y(0) - y(value), "bar", title=f"{name}: {tick_text(value)}")
        if place % every == 0:
            made.say(left + step / 2, HEIGHT - BOTTOM + 15, name)
    return made


def dots(
    rows: Sequence[tuple[str, Sequence[Point]]],
    names: Sequence[str] = (),
    *,
    label: str,
    across: str,
    least: Sequence[float] = (),
    rule: float | None = None,
) -> Chart | None:
    """A row for each name with a dot for each series (``names``) and its interval; a point's ``x`` is its value."""
    points = [p for _name, found in rows for p in found if math.isfinite(p.x)]
    if not points:
        return None
    limits = [v for p in points for v in (p.x, p.low, p.high) if math.isfinite(v)]
    marks = ticks(min([*limits, *least]), max([*limits, *least]))
    left = room([name for name, _points in rows])
    series = max(len(found) for _name, found in rows)
    height = max(ROW, 14.0 * series + 6)
    made = Chart(WIDTH, 8 + height * len(rows) + BOTTOM, label)
    x = Scale(marks[0], marks[-1], left, WIDTH - RIGHT)
    bottom = 8 + height * len(rows)
    for value in marks:
        made.line(x(value), 8, x(value), bottom, "grid")
        made.say(x(value), bottom + 15, tick_text(value))
    if rule is not None and x.low <= rule <= x.high:
        made.line(x(rule), 8, x(rule), bottom, "rule")
    made.say((left + WIDTH - RIGHT) / 2, made.height - 6, across, "axis")
    for row, (name, found) in enumerate(rows):
        top = 8 + height * row
        made.say(left - 8, top + height / 2 + 4, short(name), "name", "end")
        for place, p in enumerate(found):
            y = top + height * (place + 1) / (len(found) + 1)
            if math.isfinite(p.low) and math.isfinite(p.high):
                made.line(x(p.low), y, x(p.high), y, f"range c{place % SERIES}")
            if math.isfinite(p.x):
                made.mark(x(p.x), y, place, p.title)
    if len(names) > 1:
        made.keys = [key(name, place) for place, name in enumerate(names)]
    return made


@dataclass(frozen=True)
class Cell:
    """``value`` gives the shade, NaN none; ``text`` stands in the cell and leads to ``href``."""

    value: float
    text: str
    title: str = ""
    href: str = ""


def heat(
    rows: Sequence[tuple[str, Sequence[Cell]]], columns: Sequence[str], *, label: str, limits: tuple[float, float]
) -> Chart | None:
    """A map of cells with their numbers in them; shades go from ``limits[0]`` to ``limits[1]`` in five steps."""
    if not rows or not columns or not any(math.isfinite(c.value) for _name, cells in rows for c in cells):
        return None
    left, top = room([name for name, _cells in rows]), 24.0
    wide = max(CELL, min(110.0, room([short(name, 16) for name in columns])))
    made = Chart(left + wide * len(columns) + 2, top + 30.0 * len(rows) + 2, label)
    for place, name in enumerate(columns):
        made.say(left + wide * (place + 0.5), top - 8, short(name, 16))
    for row, (name, cells) in enumerate(rows):
        y = top + 30 * row
        made.say(left - 8, y + 19, short(name), "name", "end")
        for place, cell in enumerate(cells):
            shade = _shade(cell.value, limits)
            title = f"{name}, {columns[place]}: {cell.title or cell.text}"
            made.box(left + wide * place + 1, y + 1, wide - 2, 28, f"heat h{shade}", title=title)
            dark = " over" if shade == SHADES else ""
            made.say(left + wide * (place + 0.5), y + 19, cell.text, f"number{dark}", href=cell.href)
    return made


def _shade(value: float, limits: tuple[float, float]) -> int:
    """1 (pale) … 5 (dark); 0 for what has no value."""
    if not math.isfinite(value):
        return 0
    low, high = limits
    share = (value - low) / ((high - low) or 1)
    return 1 + min(SHADES - 1, max(0, math.floor(share * SHADES)))


def radar(
    axes: Sequence[str], series: Sequence[tuple[str, Sequence[float]]], limits: tuple[float, float], *, label: str
) -> Chart | None:
    """An axis for each name, a polygon for each series from ``limits[0]`` (the centre) to ``limits[1]`` (the rim).

    None for fewer than three axes. A series that lacks a value is not drawn: a polygon without a corner would say
    something false. At most seven are.
    """
    whole = [(name, values) for name, values in series if all(map(math.isfinite, values))][:SERIES]
    if len(axes) < LEAST_AXES or not whole:
        return None
    made = Chart(WIDTH, 2 * RADIUS + 64, label)
    for ring in range(1, RINGS + 1):
        share = ring / RINGS
        corners = [_at(made, place, len(axes), share) for place in range(len(axes))]
        made.shapes.append(Shape(_closed(corners), "ring"))
    for place, name in enumerate(axes):
        (x, y), (end_x, end_y) = _at(made, place, len(axes), 1), _at(made, place, len(axes), 1.14)
        made.line(made.width / 2, made.height / 2, x, y, "grid")
        side = end_x - made.width / 2
        made.say(end_x, end_y + 4, short(name), anchor="middle" if abs(side) < 12 else "start" if side > 0 else "end")
    low, high = limits
    for place, (name, values) in enumerate(whole):
        shares = [min(max((value - low) / ((high - low) or 1), 0.0), 1.0) for value in values]
        corners = [_at(made, axis, len(axes), share) for axis, share in enumerate(shares)]
        made.shapes.append(Shape(_closed(corners), f"line c{place}", name))
        for (x, y), axis, value in zip(corners, axes, values, strict=True):
            made.mark(x, y, place, f"{name}, {axis}: {value:.3g}")
    for ring in range(1, RINGS + 1):
        y = made.height / 2 - RADIUS * ring / RINGS
        made.say(made.width / 2 + 4, y + 9, f"{low + (high - low) * ring / RINGS:.3g}", "small", "start")
    made.keys = [key(name, place, line=True) for place, (name, _values) in enumerate(whole)]
    return made


def _at(made: Chart, place: int, count: int, share: float) -> tuple[float, float]:
    """The first axis points up; the others follow clockwise."""
    angle = 2 * math.pi * place / count - math.pi / 2
    reach = RADIUS * share
    return made.width / 2 + reach * math.cos(angle), made.height / 2 + reach * math.sin(angle)


def _closed(corners: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in corners) + "z"


def multiples(
    panels: Sequence[tuple[str, Sequence[float]]], steps: Sequence[str], *, label: str, note: str = ""
) -> Chart | None:
    """A small histogram for each (name, shares), all on one scale from 0; ``steps`` name the bars from left to right.
    ``note`` names the scale's end, such as "{} of the answers"."""
    most = max((share for _name, shares in panels for share in shares), default=0)
    if not panels or most <= 0:
        return None
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    made = Chart(columns * PANEL_WIDTH + 8, rows * PANEL_HEIGHT + 20, label)
    for place, (name, shares) in enumerate(panels):
        left = 8 + PANEL_WIDTH * (place % columns)
        top = PANEL_HEIGHT * (place // columns)
        base, tall, wide = top + 76, 54.0, (PANEL_WIDTH - 16) / len(steps)
        made.say(left, top + 14, short(name, 22), "name", "start")
        made.line(left, base, left + PANEL_WIDTH - 16, base, "grid")
        for step, share in enumerate(shares):
            title = f"{name}, {steps[step]}: {100 * share:.0f} %"
            x, high = left + wide * step, tall * share / most
            made.box(x + wide * 0.1, base - high, wide * 0.8, high, "bar", title=title)
        made.say(left, base + 12, short(steps[0], 12), "small", "start")
        made.say(left + PANEL_WIDTH - 16, base + 12, short(steps[-1], 12), "small", "end")
    if note:
        made.say(8, rows * PANEL_HEIGHT + 12, note, "small", "start")
    return made
