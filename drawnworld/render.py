"""Drawing a scene: the same data gives the same bytes. Stamps, backgrounds and lights are drawn once and kept."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from drawnworld.scene import CELL, COLOURS, PAIRS, SIZE, Scene, Thing

Image = NDArray[np.uint8]  # (64, 64, 3), sRGB
Mask = NDArray[np.bool_]  # (64, 64), True where an edit may change pixels
Floats = NDArray[np.float32]

RADIUS = 11.0  # pixels; with a jitter of 1 an object stays 4 pixels inside its cell
SAMPLES = 4  # sub-pixels a side, for smooth edges
BLUR_PASSES = 14  # of a 3 x 3 box: a blur of about 3 pixels, which leaves a trace of the pattern


def render(scene: Scene) -> Image:
    """The scene's picture, (64, 64, 3) uint8."""
    canvas = background(scene.pattern, scene.pair, scene.blurred).copy()
    for thing in scene.things:
        paint, through = stamp(thing.kind, thing.colour, thing.dx, thing.dy)
        window = canvas[cell_window(thing.cell)]
        window *= through
        window += paint
    if scene.light:
        canvas *= light_gain(scene.light)
    if scene.style:
        canvas = _styled(canvas, scene.style)
    return (np.clip(canvas, 0, 1) * 255 + 0.5).astype(np.uint8)


def cell_window(cell: int) -> tuple[slice, slice]:
    top, left = CELL * (cell // 2), CELL * (cell % 2)
    return slice(top, top + CELL), slice(left, left + CELL)


def coverage(things: tuple[Thing, ...]) -> Floats:
    """How much of each pixel the objects cover, (64, 64), 0 to 1."""
    covered = np.zeros((SIZE, SIZE), np.float32)
    for thing in things:
        covered[cell_window(thing.cell)] += alpha(thing.kind, thing.dx, thing.dy)
    return covered


@cache
def alpha(kind: str, dx: int, dy: int) -> Floats:
    """An object's coverage of its cell, (32, 32), 0 to 1."""
    fine = (np.arange(CELL * SAMPLES, dtype=np.float64) + 0.5) / SAMPLES - CELL / 2
    x, y = (fine - dx)[None, :] / RADIUS, (fine - dy)[:, None] / RADIUS
    inside = _inside(kind, x, y).reshape(CELL, SAMPLES, CELL, SAMPLES)
    covered: Floats = inside.mean(axis=(1, 3), dtype=np.float32)
    return covered


def _inside(kind: str, x: NDArray[np.float64], y: NDArray[np.float64]) -> Mask:
    """Which points, in radii from the centre, belong to the shape."""
    distance = np.hypot(x, y)
    if kind == "circle":
        return np.asarray(distance <= 0.95)
    if kind == "ring":
        return np.asarray((distance <= 1) & (distance >= 0.55))
    if kind == "square":
        return np.asarray(np.maximum(abs(x), abs(y)) <= 0.82)
    if kind == "cross":
        return np.asarray((np.maximum(abs(x), abs(y)) <= 1) & (np.minimum(abs(x), abs(y)) <= 0.33))
    return np.asarray((y <= 0.8) & (abs(x) <= (y + 1) * 0.55))  # triangle


@cache
def stamp(kind: str, colour: str, dx: int, dy: int) -> tuple[Floats, Floats]:
    """An object shaded from the upper left: its paint times coverage (32, 32, 3) and what shows through (32, 32, 1)."""
    covered = alpha(kind, dx, dy)[..., None]
    place = (np.arange(CELL, dtype=np.float32) - CELL / 2 + 0.5) / RADIUS
    shade = 1 - 0.14 * (place[None, :] - dx / RADIUS) - 0.2 * (place[:, None] - dy / RADIUS)
    paint = np.clip(_rgb(COLOURS[colour]) * shade[..., None], 0, 1)
    return (paint * covered).astype(np.float32), 1 - covered


@cache
def background(pattern: str, pair: str, blurred: bool) -> Floats:
    """A background without objects, (64, 64, 3), 0 to 1."""
    first, second = (_rgb(colour) for colour in PAIRS[pair])
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    if pattern == "stripes":
        chosen = (x + y) % 16 < 8
    elif pattern == "checks":
        chosen = (x // 8 + y // 8) % 2 == 0
    elif pattern == "dots":
        chosen = np.hypot(x % 10 - 4.5, y % 10 - 4.5) > 2.6
    else:
        chosen = np.ones((SIZE, SIZE), np.bool_)
    picture = np.where(chosen[..., None], first, second).astype(np.float32)
    return _box_blurred(picture, BLUR_PASSES) if blurred else picture


@cache
def light_gain(light: str) -> Floats:
    """What a light multiplies each pixel by, (64, 64, 3)."""
    if light in ("warm", "cold"):
        tint = (1.16, 1.0, 0.70) if light == "warm" else (0.74, 0.94, 1.18)
        return np.broadcast_to(np.array(tint, np.float32), (SIZE, SIZE, 3)).copy()
    ramp = np.linspace(1.3, 0.45, SIZE, dtype=np.float32)
    if light in ("right", "bottom"):
        ramp = ramp[::-1]
    field = np.broadcast_to(ramp[None, :] if light in ("left", "right") else ramp[:, None], (SIZE, SIZE))
    return np.repeat(field[..., None], 3, axis=2)


def _styled(canvas: Floats, style: str) -> Floats:
    canvas = np.clip(canvas, 0, 1)
    if style == "negative":
        return 1 - canvas
    if style == "poster":
        return np.round(canvas * 3) / np.float32(3)
    if style == "mosaic":
        tiles = canvas.reshape(SIZE // 4, 4, SIZE // 4, 4, 3).mean(axis=(1, 3))
        return np.repeat(np.repeat(tiles, 4, axis=0), 4, axis=1)
    grey = np.pad(canvas @ np.array((0.299, 0.587, 0.114), np.float32), 1, mode="edge")  # sketch: dark edges on paper
    edge = abs(grey[2:, 1:-1] - grey[:-2, 1:-1]) + abs(grey[1:-1, 2:] - grey[1:-1, :-2])
    return np.repeat(np.clip(0.96 - 1.6 * edge, 0.1, 1)[..., None], 3, axis=2)


def _box_blurred(picture: Floats, passes: int) -> Floats:
    for _ in range(passes):
        padded = np.pad(picture, ((1, 1), (1, 1), (0, 0)), mode="edge")
        rows = padded[:-2] + padded[1:-1] + padded[2:]
        picture = ((rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9).astype(np.float32)
    return picture


def _rgb(colour: tuple[int, int, int]) -> Floats:
    return np.array(colour, np.float32) / np.float32(255)
