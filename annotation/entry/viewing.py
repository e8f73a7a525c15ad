"""The viewing check: is the window large enough, is the browser's zoom off, can these eyes on this screen tell greys
and colours apart. Pure.

``devicePixelRatio`` alone does not tell zoom from a dense screen: 2 is a dense screen at 100 % or an ordinary one at
200 %. The window's outer width is in the screen's units and its inner width in zoomed ones, so their quotient is the
zoom, whatever the screen. It is believed only if it is near a zoom that browsers have and leaves a pixel density that
screens have; else the zoom is unknown and nobody is refused for it. Limits: docs/way-in.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from annotation.assign import seeded

ZOOMS = (25, 30, 33, 50, 67, 75, 80, 90, 100, 110, 120, 125, 133, 150, 170, 175, 200, 240, 250, 300, 400, 500)
DENSITIES = (1, 1.25, 1.3125, 1.5, 1.75, 2, 2.25, 2.5, 2.625, 2.75, 3, 3.5, 4)
NEAR = 0.04  # window borders and rounding move the quotient by less
GREYS, COLOURS = 8, 3
GREYS_READ = 7  # one slip of the finger is allowed


@dataclass(frozen=True)
class Measures:
    """What the browser says of itself, widths and heights in CSS pixels; ``pinch``: scale of a touch screen's zoom."""

    inner_width: float
    inner_height: float
    outer_width: float
    outer_height: float
    screen_width: float
    screen_height: float
    ratio: float
    pinch: float = 1.0


def zoom_of(measures: Measures) -> int | None:
    """The browser's zoom in per cent, or None where it cannot be told."""
    if min(measures.inner_width, measures.outer_width, measures.ratio) <= 0:
        return None
    quotient = measures.outer_width / measures.inner_width
    zoom = min(ZOOMS, key=lambda level: abs(math.log(100 * quotient / level)))
    if abs(100 * quotient / zoom - 1) > NEAR:
        return None
    density = 100 * measures.ratio / zoom
    return zoom if any(abs(density / usual - 1) < NEAR for usual in DENSITIES) else None


def digits(*seed: object) -> dict[str, str]:
    """The digits of the two charts of one attempt. Without those that are taken for others: 0, 1, 5, 7, 8."""
    chance = seeded("viewing", *seed)
    return {"grey": _digits(chance, GREYS), "colour": _digits(chance, COLOURS)}


def _digits(chance: Any, count: int) -> str:
    return "".join(chance.choice("23469") for _place in range(count))


@dataclass(frozen=True)
class Result:
    """``problems``: keys of what must change, in ``PROBLEMS`` of the form; ``record``: what Member.viewing keeps."""

    problems: tuple[str, ...]
    record: dict[str, Any]

    @property
    def passed(self) -> bool:
        return not self.problems


def judge(measures: Measures, least_width: int, asked: Mapping[str, str], answers: Mapping[str, str]) -> Result:
    """The outcome of one attempt. ``asked``, ``answers``: the digits of the charts "grey" and "colour"."""
    zoom = zoom_of(measures)
    grey, colour = (_read(asked[chart], answers.get(chart, "")) for chart in ("grey", "colour"))
    failed = {
        "zoom": (zoom is not None and zoom != 100) or abs(measures.pinch - 1) > NEAR,
        "width": measures.inner_width < least_width,
        "grey": grey < GREYS_READ,
        "colour": colour < COLOURS,
    }
    record = {
        "window": [measures.inner_width, measures.inner_height],
        "outer": [measures.outer_width, measures.outer_height],
        "screen": [measures.screen_width, measures.screen_height],
        "ratio": measures.ratio,
        "zoom": zoom,
        "density": None if zoom is None else round(100 * measures.ratio / zoom, 3),
        "grey": [grey, GREYS],
        "colour": [colour, COLOURS],
    }
    return Result(tuple(name for name, is_bad in failed.items() if is_bad), record)


def _read(asked: str, answer: str) -> int:
    """How many digits were read, place by place; blanks and commas between them do not matter."""
    typed = [one for one in answer if one.isdigit()]
    return sum(one == other for one, other in zip(asked, typed, strict=False)) if len(typed) <= len(asked) else 0
