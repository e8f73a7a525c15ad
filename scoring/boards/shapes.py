"""What a chart is made of: paths and words in a box, which one template draws. Pure.

Series differ by colour, by mark and by dash, so that none of the three alone carries a meaning. The colours are those
of Okabe and Ito (2008), which people with any colour vision tell apart; yellow is left out: on white nobody sees it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

SERIES = 7  # colours, marks and dashes that the stylesheet knows
LONGEST = 26  # characters of a name beside a chart
LETTER = 6.2  # width of a letter of 11 px, about
KEY = 20.0  # height of a line of the legend
MOST = 240  # points of a line: more cannot be seen
TICKS = 5

T = TypeVar("T")


@dataclass(frozen=True)
class Shape:
    """``d``: the path's data. ``kind``: classes of the stylesheet. ``title``: what it says when one points at it."""

    d: str
    kind: str
    title: str = ""


@dataclass(frozen=True)
class Words:
    """Text at a place. ``anchor``: start, middle or end. ``href``: the rows behind a number."""

    x: float
    y: float
    text: str
    kind: str = ""
    anchor: str = "middle"
    href: str = ""


@dataclass(frozen=True)
class Key:
    """A line of the legend: its mark in a box of 28 by 12."""

    name: str
    shapes: list[Shape]


@dataclass
class Chart:
    """``label`` says in words what is drawn, for those who do not see it."""

    width: float
    height: float
    label: str
    shapes: list[Shape] = field(default_factory=list)
    words: list[Words] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)

    @property
    def size(self) -> str:
        """A class of the stylesheet: how wide the chart is at least, so that its words stay readable."""
        return "wide" if self.width > 520 else "middle" if self.width > 340 else "narrow"

    @property
    def shown_width(self) -> float:
        """In CSS pixels, where there is room for it."""
        return self.width * 1.25

    @property
    def legend(self) -> list[tuple[float, float, Key]]:
        """The keys below the drawing and their places, in lines as wide as the chart."""
        placed, x, y = [], 8.0, self.height + 6
        for one in self.keys:
            wide = 42 + LETTER * len(short(one.name))
            if x > 8 and x + wide > self.width:
                x, y = 8.0, y + KEY
            placed.append((round(x, 1), round(y, 1), one))
            x += wide
        return placed

    @property
    def full_height(self) -> float:
        """With the legend."""
        return self.legend[-1][1] + KEY if self.keys else self.height

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str, *, title: str = "") -> None:
        self.shapes.append(Shape(f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}", kind, title))

    def box(self, x: float, y: float, width: float, height: float, kind: str, *, title: str = "") -> None:
        self.shapes.append(Shape(f"M{x:.1f} {y:.1f}h{width:.1f}v{height:.1f}h{-width:.1f}z", kind, title))

    def mark(self, x: float, y: float, series: int, title: str = "") -> None:
        self.shapes.append(Shape(mark(x, y, series), f"mark c{series % SERIES}", title))

    def say(self, x: float, y: float, text: str, kind: str = "", anchor: str = "middle", *, href: str = "") -> None:
        self.words.append(Words(round(x, 1), round(y, 1), text, kind, anchor, href))


def mark(x: float, y: float, series: int, radius: float = 4) -> str:
    """The path of a series' own mark: circle, square, triangle, diamond, plus, triangle downwards, cross."""
    r, kind = radius, series % SERIES
    if kind == 0:
        return f"M{x - r:.1f} {y:.1f}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0z"
    if kind in (4, 6):
        return _cross(x, y, r, 0 if kind == 4 else math.pi / 4)
    corners = {1: (4, math.pi / 4), 2: (3, -math.pi / 2), 3: (4, 0.0), 5: (3, math.pi / 2)}
    count, turn = corners[kind]
    points = [2 * math.pi * place / count + turn for place in range(count)]
    return "M" + "L".join(f"{x + 1.2 * r * math.cos(a):.1f} {y + 1.2 * r * math.sin(a):.1f}" for a in points) + "z"


def _cross(x: float, y: float, radius: float, turn: float) -> str:
    """Twelve corners: thick enough to have a colour."""
    corner = []
    for arm in range(4):
        for along, across in ((0.4, -0.4), (1.25, -0.4), (1.25, 0.4)):
            angle = turn + arm * math.pi / 2
            a, b = along * radius, across * radius
            corner.append(
                (x + a * math.cos(angle) - b * math.sin(angle), y + a * math.sin(angle) + b * math.cos(angle))
            )
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in corner) + "z"


def key(name: str, series: int, *, line: bool = False) -> Key:
    """The legend's line of a series."""
    kind = f"c{series % SERIES}"
    stroke = [Shape("M0 6H28", f"line {kind}")] if line else []
    return Key(name, [*stroke, Shape(mark(14, 6, series), f"mark {kind}")])


def short(text: str, longest: int = LONGEST) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def room(names: Sequence[str], least: float = 30) -> float:
    """The width that the longest of these names takes beside a chart."""
    return max(least, LETTER * max((len(short(name)) for name in names), default=0) + 10)


# Axes ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scale:
    """From values ``low`` … ``high`` to places ``start`` … ``end``."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) * (self.end - self.start) / ((self.high - self.low) or 1)


def ticks(low: float, high: float, count: int = TICKS) -> list[float]:
    """Round numbers, evenly apart, from at most ``low`` to at least ``high``."""
    if not high - low > 1e-9 * max(abs(low), abs(high), 1e-99):
        low, high = low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2
    rough = (high - low) / count
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * by for by in (1, 2, 2.5, 5, 10) if unit * by >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [place * step for place in range(first, last + 1)]


def tick_text(value: float) -> str:
    return f"{value + 0.0:.4g}" if abs(value) < 1e6 else f"{value:.0e}"


def thin(points: Sequence[T], most: int = MOST) -> list[T]:
    """Every so-manieth, the last one always."""
    step = -(-len(points) // most) or 1
    return list(points[(len(points) - 1) % step :: step])
