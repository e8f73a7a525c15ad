"""A radar chart as points of an SVG: an axis for each task, a polygon for each editor. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 480, 320
CENTRE = (WIDTH / 2, HEIGHT / 2)
RADIUS = 115
LABEL = 1.12  # where a label stands, in radii
RINGS = 5
COLOURS = 6
LEAST = 3  # axes: fewer span no area


@dataclass(frozen=True)
class Axis:
    """``x``, ``y``: its end; ``label_x``, ``label_y``: where its name stands, by ``anchor``."""

    name: str
    x: float
    y: float
    label_x: float
    label_y: float
    anchor: str


@dataclass(frozen=True)
class Shape:
    name: str
    kind: str  # a class of the stylesheet
    points: str
    dots: list[tuple[float, float, str]]


@dataclass(frozen=True)
class Radar:
    axes: list[Axis]
    rings: list[tuple[str, float, str]]  # points, where its number stands above the centre, the number
    shapes: list[Shape]
    left_out: list[str]  # that lack a value
    width: int = WIDTH
    height: int = HEIGHT
    x: float = CENTRE[0]
    y: float = CENTRE[1]


def radar(axes: Sequence[str], series: Sequence[tuple[str, Sequence[float]]], low: float, high: float) -> Radar | None:
    """``series``: a name and a value for each axis, drawn from ``low`` (the centre) to ``high`` (the rim).

    None for fewer than three axes. A series that lacks a value is not drawn, but named: a polygon without a corner
    would say something false.
    """
    if len(axes) < LEAST:
        return None
    count = len(axes)
    places = [place for place, (_name, values) in enumerate(series) if all(map(math.isfinite, values))][:COLOURS]
    rings = []
    for ring in range(1, RINGS + 1):
        share = ring / RINGS
        points = _points([_at(place, count, share) for place in range(count)])
        rings.append((points, round(CENTRE[1] - RADIUS * share, 1), f"{low + share * (high - low):.3g}"))
    return Radar(
        [_axis(name, place, count) for place, name in enumerate(axes)],
        rings,
        [_shape(series[place][0], number, series[place][1], low, high) for number, place in enumerate(places)],
        [name for place, (name, _values) in enumerate(series) if place not in places],
    )


def _at(place: int, count: int, share: float) -> tuple[float, float]:
    """The first axis points up; the others follow clockwise."""
    angle = 2 * math.pi * place / count - math.pi / 2
    reach = RADIUS * share
    return round(CENTRE[0] + reach * math.cos(angle), 1), round(CENTRE[1] + reach * math.sin(angle), 1)


def _axis(name: str, place: int, count: int) -> Axis:
    (x, y), (label_x, label_y) = _at(place, count, 1), _at(place, count, LABEL)
    side = label_x - CENTRE[0]
    anchor = "middle" if abs(side) < RADIUS * 0.1 else "start" if side > 0 else "end"
    return Axis(name, x, y, label_x, label_y, anchor)


def _shape(name: str, number: int, values: Sequence[float], low: float, high: float) -> Shape:
    shares = [min(max((value - low) / (high - low), 0.0), 1.0) for value in values]
    corners = [_at(place, len(values), share) for place, share in enumerate(shares)]
    dots = [(x, y, f"{value:.3g}") for (x, y), value in zip(corners, values, strict=True)]
    return Shape(name, f"s{number % COLOURS}", _points(corners), dots)


def _points(corners: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in corners)
