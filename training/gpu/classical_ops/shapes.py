"""Objects drawn from formulas, for adding and swapping: colour and coverage of a box, lit from the upper left.

A shape is a function of (x, y, colour, rng): x and y run from -1 to 1 over the box, y downwards; it returns layers of
(colour, coverage) from back to front.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.gpu.classical_ops.colour import Floats, floats, in_range, parse_colour
from training.gpu.classical_ops.masks import blurred
from training.gpu.classical_ops.params import WrongParams

Layer = tuple[NDArray[np.floating], NDArray[np.floating] | NDArray[np.bool_]]
Shape = Callable[[Floats, Floats, Floats, np.random.Generator], list[Layer]]

SAMPLES = 3  # sub-pixels a side, for smooth edges
LIGHT = np.array((-0.5, -0.62, 0.6))  # towards the light; x to the right, y down, z to the viewer
WHITE = np.ones(3, np.float32)
DARK = np.array((0.09, 0.08, 0.08), np.float32)
WOOD = np.array((0.45, 0.27, 0.13), np.float32)


def draw_shape(name: object, size: tuple[int, int], colour: object, rng: np.random.Generator) -> Floats:
    """The shape filling a box of ``size`` (height, width), as (h, w, 4) in 0..1, colour not multiplied by coverage.

    Raises WrongParams for a shape or colour that does not exist.
    """
    if not isinstance(name, str) or name not in SHAPES:
        raise WrongParams(f"there is no drawn object {name!r}, only: {', '.join(SHAPES)}")
    height, width = size
    y = (np.arange(height * SAMPLES, dtype=np.float32) + 0.5) / (height * SAMPLES) * 2 - 1
    x = (np.arange(width * SAMPLES, dtype=np.float32) + 0.5) / (width * SAMPLES) * 2 - 1
    across, down = np.broadcast_arrays(x[None, :], y[:, None])
    paint, covered = np.zeros((*across.shape, 3)), np.zeros(across.shape)
    for layer, coverage in SHAPES[name](floats(across), floats(down), parse_colour(colour), rng):
        share = coverage.astype(np.float64)
        rest = covered * (1 - share)
        mixture = layer * share[..., None] + paint * rest[..., None]
        covered = share + rest
        paint = mixture / np.maximum(covered, 1e-6)[..., None]
    full = np.concatenate([paint * covered[..., None], covered[..., None]], axis=-1)
    small = full.reshape(height, SAMPLES, width, SAMPLES, 4).mean(axis=(1, 3))
    small[..., :3] /= np.maximum(small[..., 3:], 1e-6)
    return in_range(small)


def balloon(x: Floats, y: Floats, colour: Floats, rng: np.random.Generator) -> list[Layer]:
    body = (x / 0.95, (y + 0.34) / 0.66 * (1 - 0.06 * x**2))
    string = abs(x - 0.12 * np.sin(5 * y)) < 0.035
    knot = (abs(x) < (y - 0.28) * 1.4) & (y > 0.26) & (y < 0.4)
    return [
        (_flat(x, DARK + 0.4), string & (y > 0.36)),
        (_flat(x, colour * 0.7), knot),
        (_ball(*body, colour, shine=0.9), np.hypot(*body) <= 1),
    ]


def hot_air_balloon(x: Floats, y: Floats, colour: Floats, rng: np.random.Generator) -> list[Layer]:
    low = np.clip((y + 0.1) / 0.62, 0, 1)
    half = np.where(y < -0.1, np.sqrt(np.clip(1 - ((y + 0.1) / 0.9) ** 2, 0, 1)), 1 - 0.78 * low**1.6)
    envelope = (y > -1) & (y < 0.52) & (abs(x) <= half)
    across = x / np.maximum(half, 1e-3)
    gore = np.floor(np.arcsin(np.clip(across, -1, 1)) / np.pi * 9) % 2 == 0
    cloth = np.where(gore[..., None], colour, 0.92 * WHITE) * _shade(across * 0.9, (y + 0.2) / 1.2)[..., None]
    basket = (abs(x) < 0.16) & (y > 0.76) & (y < 0.98)
    ropes = (abs(abs(x) - (0.21 - 0.07 * (y - 0.52) / 0.24)) < 0.02) & (y > 0.5) & (y < 0.78)
    weave = _flat(x, WOOD) * (0.85 + 0.2 * (np.floor(y * 40) % 2))[..., None]
    return [(_flat(x, DARK + 0.15), ropes), (weave, basket), (cloth, envelope)]


def moon(x: Floats, y: Floats, colour: Floats, rng: np.random.Generator) -> list[Layer]:
    radius = np.hypot(x, y) / 0.8
    land = _noise(x.shape, 0.11, rng) + 0.6 * _noise(x.shape, 0.04, rng)
    surface = colour * (0.92 - 0.13 * np.clip(land + 0.2, -0.4, 1.3) - 0.12 * radius**3)[..., None]
    glow = 0.3 * np.clip((1.25 - radius) / 0.25, 0, 1) ** 2
    return [(_flat(x, colour), glow), (surface, radius <= 1)]


def planet(x: Floats, y: Floats, colour: Floats, rng: np.random.Generator) -> list[Layer]:
    body = (x / 0.56, y / 0.86)
    bands = 1 + 0.14 * np.sin(11 * y + 1.5 * x**2) + 0.05 * np.sin(29 * y)
    ring_x, ring_y = x * 0.97 + y * 0.24, (y - x * 0.24) / 0.36
    distance = np.hypot(ring_x, ring_y)
    ring = (distance > 0.74) & (distance < 0.99) & (abs(distance - 0.88) > 0.015)
    ring_paint = (0.6 * colour + 0.36) * (0.85 + 0.2 * np.sin(distance * 60))[..., None]
    globe = _ball(*body, colour, shine=0.15) * bands[..., None]
    return [(ring_paint, ring & (ring_y < 0)), (globe, np.hypot(*body) <= 1), (ring_paint, ring & (ring_y >= 0))]


def butterfly(x: Floats, y: Floats, colour: Floats, rng: np.random.Generator) -> list[Layer]:
    layers: list[Layer] = []
    for centre, size, turn in (((0.46, -0.36), (0.5, 0.56), 0.6), ((0.36, 0.46), (0.36, 0.46), -0.5)):
        along = ((abs(x) - centre[0]) * np.cos(turn) + (y - centre[1]) * np.sin(turn)) / size[0]
        aside = (-(abs(x) - centre[0]) * np.sin(turn) + (y - centre[1]) * np.cos(turn)) / size[1]
        radius = np.hypot(along, aside)
        veins = np.abs(np.sin(6 * np.arctan2(y - 0.05, abs(x)))) ** 0.3
        wing = colour * ((0.75 + 0.35 * (1 - radius)) * (0.8 + 0.2 * veins))[..., None]
        dotted = (radius > 0.84) & (np.sin(np.arctan2(aside, along) * 14) > 0.55)
        layers += [
            (_flat(x, DARK), radius <= 1),
            (wing, radius <= 0.78),
            (_flat(x, 0.95 * WHITE), dotted & (radius < 0.93)),
        ]
    feelers = (abs(abs(x) - 0.28 * (-0.5 - y)) < 0.015) & (y < -0.5) & (y > -0.95)
    body = (x / 0.07, (y - 0.02) / 0.62)
    return [*layers, (_flat(x, DARK), feelers), (_ball(*body, DARK + 0.08, shine=0.3), np.hypot(*body) <= 1)]


def ladybird(x: Floats, y: Floats, colour: Floats, rng: np.random.Generator) -> list[Layer]:
    legs = (abs(np.mod(y + 0.1 * abs(x), 0.45) - 0.2) < 0.035) & (abs(x) > 0.6) & (abs(x) < 0.98) & (abs(y - 0.1) < 0.6)
    shell = (x / 0.82, (y - 0.14) / 0.82)
    spots = np.zeros(x.shape, np.bool_)
    for across, down in ((0.4, -0.2), (0.45, 0.3), (0.22, 0.65)):
        spots |= np.hypot(abs(x) - across, y - down) < 0.15
    spots |= (abs(x) < 0.025) | (np.hypot(x, y + 0.45) < 0.16)
    head = (x / 0.42, (y + 0.7) / 0.28)
    wings = _ball(*shell, colour, shine=0.7)
    inside = np.hypot(*shell) <= 1
    return [
        (_flat(x, DARK), legs),
        (_ball(*head, DARK, shine=0.4), np.hypot(*head) <= 1),
        (wings, inside),
        (_ball(*shell, DARK, shine=0.5), inside & spots),
    ]


def cookie(x: Floats, y: Floats, colour: Floats, rng: np.random.Generator) -> list[Layer]:
    angle = np.arctan2(y, x)
    rim = 0.95 + 0.015 * np.sin(7 * angle + 1) + 0.012 * np.sin(13 * angle)
    radius = np.hypot(x, y) / rim
    crumb = 0.06 * _noise(x.shape, 0.02, rng) + 0.06 * _noise(x.shape, 0.08, rng)
    dough = colour * (1.05 - 0.4 * np.clip(radius, 0, 1) ** 6 - 0.1 * x - 0.14 * y + crumb)[..., None]
    chips = np.zeros(x.shape, np.bool_)
    for turn, reach in zip(np.linspace(0, 2 * np.pi, 9, endpoint=False), (0.3, 0.62, 0.7) * 3, strict=True):
        angle, size = turn + rng.uniform(-0.2, 0.2), rng.uniform(0.09, 0.14)
        across, down = x - reach * np.cos(angle), y - reach * np.sin(angle)
        chips |= np.maximum(abs(across + 0.4 * down), abs(down)) < size
    return [(dough, radius <= 1), (_flat(x, np.array((0.2, 0.1, 0.06), np.float32)), chips & (radius < 0.92))]


def button(x: Floats, y: Floats, colour: Floats, rng: np.random.Generator) -> list[Layer]:
    radius = np.hypot(x, y) / 0.96
    slope = np.clip((radius - 0.68) * 8, -1, 1) * np.clip((0.94 - radius) * 10, -1, 1)
    lit = 1 - 0.32 * slope * (x + 1.2 * y) / np.maximum(radius, 0.2) - 0.12 * y
    holes = np.hypot(abs(x) - 0.2, abs(y) - 0.2) < 0.11
    shine = 0.35 * np.exp(-((x + 0.45) ** 2 + (y + 0.55) ** 2) / 0.02)
    return [(colour * lit[..., None] + shine[..., None], radius <= 1), (_flat(x, DARK), holes)]


def star(x: Floats, y: Floats, colour: Floats, rng: np.random.Generator) -> list[Layer]:
    angle = np.arctan2(x, -(y - 0.05))
    part = np.mod(angle + np.pi / 5, 2 * np.pi / 5) - np.pi / 5
    edge = 0.42 / np.cos(abs(part) - np.pi * 0.4 + 0.115) * 0.95
    radius = np.hypot(x, y - 0.05)
    facet = np.where((part > 0), 1.12, 0.78) + 0.12 * np.cos(angle + 0.8)
    return [(colour * facet[..., None], radius <= np.clip(edge, 0.3, 1))]


def sunglasses(x: Floats, y: Floats, colour: Floats, rng: np.random.Generator) -> list[Layer]:
    lens = (np.abs((abs(x) - 0.53) / 0.44) ** 2.6 + np.abs(y / 0.6) ** 2.6) ** (1 / 2.6)
    bridge = (abs(y + 0.18 + 1.4 * x**2) < 0.09) & (abs(x) < 0.14)
    sheen = 0.16 * np.clip(1 - abs(x * 1.2 + y * 0.4 + 0.2 - np.sign(x) * 0.55) * 3, 0, 1)
    glass = _flat(x, DARK * 0.9) + 0.1 * np.clip(-y, 0, 1)[..., None] + sheen[..., None]
    rim = colour * (1.05 - 0.3 * y)[..., None]
    return [(rim, bridge | (lens <= 1)), (glass, 0.97 * (lens <= 0.86))]


def sailing_boat(x: Floats, y: Floats, colour: Floats, rng: np.random.Generator) -> list[Layer]:
    hull = (y > 0.62) & (y < 0.92) & (abs(x - 0.02) < 0.82 - 0.9 * (y - 0.62))
    mast = (abs(x) < 0.02) & (y > -0.98) & (y < 0.65)
    main_sail = (x < -0.03) & (y < 0.52) & (x > -0.72 * (y + 0.95) / 1.47)
    jib = (x > 0.04) & (y < 0.5) & (x < 0.58 * (y + 0.75) / 1.25)
    cloth = _flat(x, 0.96 * WHITE) * (0.93 + 0.1 * x - 0.06 * np.sin(6 * x + 2 * y))[..., None]
    water = 0.35 * (1 - (y - 0.9) / 0.1) * ((y > 0.9) & (abs(x) < 0.62))
    planks = colour * (1.1 - 0.5 * (y - 0.62) / 0.3)[..., None]
    return [
        (_flat(x, DARK + 0.1), water),
        (_flat(x, WOOD), mast),
        (cloth, main_sail),
        (cloth * 0.93, jib),
        (planks, hull),
    ]


SHAPES: dict[str, Shape] = {
    "balloon": balloon,
    "hot-air-balloon": hot_air_balloon,
    "moon": moon,
    "planet": planet,
    "butterfly": butterfly,
    "ladybird": ladybird,
    "cookie": cookie,
    "button": button,
    "star": star,
    "sunglasses": sunglasses,
    "sailing-boat": sailing_boat,
}


def _flat(like: Floats, colour: Floats) -> Floats:
    return np.broadcast_to(colour, (*like.shape, 3))


def _shade(x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.floating]:
    """Diffuse light on a ball of radius 1 at the origin."""
    depth = np.sqrt(np.clip(1 - x**2 - y**2, 0, 1))
    return 0.45 + 0.65 * np.asarray(np.clip(x * LIGHT[0] + y * LIGHT[1] + depth * LIGHT[2], 0, 1))


def _ball(x: NDArray[np.floating], y: NDArray[np.floating], colour: Floats, *, shine: float) -> NDArray[np.floating]:
    depth = np.sqrt(np.clip(1 - x**2 - y**2, 0, 1))
    facing = np.clip(x * LIGHT[0] * 0.8 + y * LIGHT[1] * 0.8 + depth * 0.78, 0, 1)
    return np.asarray(colour * _shade(x, y)[..., None] + (shine * facing**28)[..., None])


def _noise(shape: tuple[int, ...], share: float, rng: np.random.Generator) -> Floats:
    """Smooth noise of unit deviation, its grains that share of the box."""
    grains = tuple(max(3, round(1 / share)) for _ in shape)
    coarse = rng.standard_normal(grains)
    fine = ndimage.zoom(coarse, [full / part for full, part in zip(shape, grains, strict=True)], order=3, mode="mirror")
    soft = blurred(floats(fine), 1.0)
    return floats(soft / max(float(soft.std()), 1e-6))
