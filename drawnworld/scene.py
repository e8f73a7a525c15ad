"""Scenes as data: up to three objects on a 2 x 2 grid before a background."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

SIZE, CELL = 64, 32  # pixels: a scene's side, a grid cell's side

KINDS = ("circle", "square", "triangle", "cross", "ring")
COLOURS = {
    "red": (214, 48, 44),
    "green": (44, 150, 62),
    "blue": (42, 84, 214),
    "yellow": (240, 206, 40),
    "purple": (140, 58, 176),
    "orange": (242, 132, 32),
}
PATTERNS = ("plain", "stripes", "checks", "dots")
PAIRS = {
    "sand": ((232, 220, 194), (186, 158, 112)),
    "sky": ((206, 224, 240), (126, 166, 208)),
    "mint": ((214, 236, 220), (130, 184, 150)),
    "rose": ((242, 218, 222), (206, 142, 158)),
    "slate": ((128, 136, 150), (66, 74, 88)),
}
PLACES = ("top left", "top right", "bottom left", "bottom right")
LIGHTS = ("left", "right", "top", "bottom", "warm", "cold")
STYLES = ("sketch", "poster", "negative", "mosaic")


class SceneError(ValueError):
    """The data does not describe a scene of the drawn world."""


def _known(value: str, allowed: Collection[str], field: str) -> None:
    if value not in allowed:
        raise SceneError(f"{field} is {value!r}; it must be one of {', '.join(allowed)}.")


@dataclass(frozen=True, slots=True)
class Thing:
    """One object: its kind and colour, its grid cell (0 to 3, row by row) and its jitter in pixels (-1, 0 or 1)."""

    kind: str
    colour: str
    cell: int
    dx: int = 0
    dy: int = 0

    def __post_init__(self) -> None:
        _known(self.kind, KINDS, "kind")
        _known(self.colour, COLOURS, "colour")
        if self.cell not in range(4) or self.dx not in (-1, 0, 1) or self.dy not in (-1, 0, 1):
            raise SceneError(
                f"An object's cell is 0 to 3 and its jitter -1 to 1, not {self.cell}, {self.dx}, {self.dy}."
            )


@dataclass(frozen=True, slots=True)
class Scene:
    """A whole picture. ``blurred`` is the background's blur; ``light`` and ``style`` are empty where there is none."""

    things: tuple[Thing, ...]
    pattern: str
    pair: str
    blurred: bool = False
    light: str = ""
    style: str = ""

    def __post_init__(self) -> None:
        _known(self.pattern, PATTERNS, "pattern")
        _known(self.pair, PAIRS, "pair")
        _known(self.light, ("", *LIGHTS), "light")
        _known(self.style, ("", *STYLES), "style")
        for field in ("kind", "colour", "cell"):
            values = [getattr(thing, field) for thing in self.things]
            if len(set(values)) < len(values):
                raise SceneError(f"Two objects of a scene share their {field}: {values}.")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Scene:
        """The scene that ``to_json`` wrote. Raises SceneError for anything else."""
        record = _record(cls, data)
        if not isinstance(record.get("things"), (list, tuple)):
            raise SceneError("A scene's things must be a list.")
        return cls(**{**record, "things": tuple(thing_from_json(thing) for thing in record["things"])})


def thing_from_json(data: Mapping[str, Any]) -> Thing:
    return Thing(**_record(Thing, data))


def _record(cls: type[Scene | Thing], data: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise SceneError(f"A {cls.__name__.lower()} must be a JSON object, not {data!r}.")
    unknown = set(data) - {field.name for field in fields(cls)}
    needed = {"kind", "colour", "cell"} if cls is Thing else {"things", "pattern", "pair"}
    if unknown or needed - set(data):
        raise SceneError(
            f"A {cls.__name__.lower()} lacks {sorted(needed - set(data))} or has unknown {sorted(unknown)}."
        )
    return dict(data)


def sample_scene(rng: random.Random, *, most: int = 3) -> Scene:
    """A scene of 1 to ``most`` objects with distinct kinds, colours and cells."""
    count = rng.randint(1, most)
    kinds = rng.sample(KINDS, count)
    colours = rng.sample(tuple(COLOURS), count)
    cells = rng.sample(range(4), count)
    things = tuple(
        Thing(kind, colour, cell, rng.randint(-1, 1), rng.randint(-1, 1))
        for kind, colour, cell in zip(kinds, colours, cells, strict=True)
    )
    return Scene(things, rng.choice(PATTERNS), rng.choice(tuple(PAIRS)))
