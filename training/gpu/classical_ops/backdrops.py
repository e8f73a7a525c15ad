"""New backgrounds: drawn from noise and gradients, or a small photograph blown up out of focus."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import ndimage

from training.gpu.classical_ops.colour import Floats, floats, in_range, parse_colour
from training.gpu.classical_ops.masks import blurred, mixed
from training.gpu.classical_ops.params import WrongParams, choice, number
from training.gpu.classical_ops.pictures import decode_picture

Backdrop = Callable[[tuple[int, int], Mapping[str, Any], np.random.Generator], Floats]


def make_backdrop(size: tuple[int, int], params: Mapping[str, Any], rng: np.random.Generator) -> Floats:
    """(h, w, 3) of that size. ``params``: {"draw": name, "colors": ["#rrggbb", ...]} or {"picture": data URI,
    "blur": share of the width}. Raises WrongParams."""
    if "picture" in params:
        picture = decode_picture(params["picture"])[..., :3]
        scale = max(size[0] / picture.shape[0], size[1] / picture.shape[1])
        large = ndimage.zoom(picture, (scale, scale, 1), order=1, mode="nearest", grid_mode=True)
        top, left = (large.shape[0] - size[0]) // 2, (large.shape[1] - size[1]) // 2
        window = large[max(top, 0) : max(top, 0) + size[0], max(left, 0) : max(left, 0) + size[1]]
        missing = ((0, size[0] - window.shape[0]), (0, size[1] - window.shape[1]), (0, 0))
        return in_range(blurred(np.pad(window, missing, mode="edge"), number(params, "blur", 0.006, 0, 0.2) * size[1]))
    return in_range(BACKDROPS[choice(params, "draw", BACKDROPS)](size, params, rng))


def gradient(size: tuple[int, int], params: Mapping[str, Any], rng: np.random.Generator) -> Floats:
    """From the first colour at the top to the last at the bottom, with a little grain against banding."""
    stops = _colours(params, "#f2f2f0", "#c9ccd0")
    place = np.linspace(0, len(stops) - 1, size[0])
    column = np.stack([np.interp(place, range(len(stops)), stops[:, channel]) for channel in range(3)], axis=-1)
    return floats(np.repeat(column[:, None], size[1], axis=1) + rng.normal(0, 0.006, (*size, 1)))


def studio(size: tuple[int, int], params: Mapping[str, Any], rng: np.random.Generator) -> Floats:
    """A paper backdrop, lighter in the middle."""
    first, last = _colours(params, "#f4f3f0", "#a9adb3")[[0, -1]]
    y, x = np.mgrid[-1 : 1 : size[0] * 1j, -1 : 1 : size[1] * 1j]
    far = np.clip(np.hypot(x, y + 0.15) / 1.3, 0, 1)
    return floats(first + (last - first) * far[..., None] + rng.normal(0, 0.006, (*size, 1)))


def stars(size: tuple[int, int], params: Mapping[str, Any], rng: np.random.Generator) -> Floats:
    """A night sky: a deep gradient, a faint milky band, stars of all brightnesses."""
    sky = gradient(size, {"colors": params.get("colors", ["#050a1e", "#14234f"])}, rng)
    y, x = np.mgrid[0 : 1 : size[0] * 1j, 0 : 1 : size[1] * 1j]
    band = np.exp(-(((y - 0.25 - 0.5 * x) / 0.16) ** 2)) * (1 + 0.5 * fractal(size, 0.3, rng))
    sky = sky + 0.11 * np.clip(band, 0, 2)[..., None] * np.array((0.8, 0.85, 1.0))
    points = np.zeros((*size, 3), np.float32)
    count = size[0] * size[1] // 420
    rows, columns = rng.integers(size[0], size=count), rng.integers(size[1], size=count)
    tint = 1 + rng.uniform(-0.2, 0.2, (count, 3)) * (1, 0.3, 1)
    points[rows, columns] = tint * (0.2 + 3.0 * rng.random(count) ** 7)[:, None]
    return floats(sky + blurred(points, 0.6) * 2.6 + blurred(points, 1.8) * 1.6)


def sunset(size: tuple[int, int], params: Mapping[str, Any], rng: np.random.Generator) -> Floats:
    """A burning evening sky with lit clouds; ``horizon`` (0..1) is where it is brightest."""
    colours = params.get("colors", ["#2b2a5c", "#8a3f6f", "#e8663c", "#ffc163", "#f7a052"])
    sky = gradient(size, {"colors": colours}, rng)
    horizon = number(params, "horizon", 0.75, 0, 1)
    y = np.linspace(0, 1, size[0])[:, None]
    stretched = fractal((size[0] * 3, max(size[1] // 2, 2)), 0.35, rng)
    clouds = ndimage.zoom(stretched, (size[0] / stretched.shape[0], size[1] / stretched.shape[1]), order=1)
    share = np.clip(0.6 * clouds - 0.1, 0, 0.75) * np.clip(1.2 - abs(y - horizon + 0.3), 0, 1)
    lit = np.array((1.0, 0.62, 0.45)) * (0.6 + 0.45 * y[..., None])
    return mixed(sky, np.broadcast_to(floats(lit), sky.shape), floats(share))


def clouds(size: tuple[int, int], params: Mapping[str, Any], rng: np.random.Generator) -> Floats:
    """White clouds in a sky of the given colours (top, bottom), with grey undersides."""
    sky = gradient(size, {"colors": params.get("colors", ["#3f7ac4", "#c4dcf0"])}, rng)
    body = blurred(fractal(size, 0.45, rng), 0.004 * max(size))
    share = np.clip((body - 0.25) * 1.3, 0, 1) ** 1.4
    form = blurred(body, 0.02 * max(size))
    under = np.clip(form - ndimage.shift(form, (-0.05 * size[0], 0), mode="nearest"), -0.6, 0.6)
    white = np.clip(0.93 + 0.22 * under - 0.07 * np.clip(form, 0, 2), 0.5, 1)
    return mixed(sky, floats(np.repeat(white[..., None], 3, axis=-1)), floats(share))


def lights(size: tuple[int, int], params: Mapping[str, Any], rng: np.random.Generator) -> Floats:
    """A city at night far out of focus: discs of light on a dark ground."""
    picture = gradient(size, {"colors": params.get("colors", ["#0b0d1d", "#1e1830"])}, rng)
    y, x = np.mgrid[0 : size[0], 0 : size[1]]
    palette = np.array(((1.0, 0.72, 0.35), (1.0, 0.45, 0.3), (0.5, 0.75, 1.0), (1.0, 0.9, 0.7), (0.9, 0.4, 0.7)))
    for _ in range(70):
        radius = rng.uniform(0.018, 0.05) * max(size)
        across, down = rng.random() * size[1], rng.random() * size[0]
        disc = np.clip(radius - np.hypot(x - across, y - down) + 0.5, 0, 1) * rng.uniform(0.06, 0.38)
        picture = picture + floats(disc[..., None] * palette[rng.integers(len(palette))])
    return picture


def felt(size: tuple[int, int], params: Mapping[str, Any], rng: np.random.Generator) -> Floats:
    """Cloth of one colour: fibres and soft folds of light."""
    colour = _colours(params, "#1f6b3a")[0]
    fibre = blurred(floats(rng.standard_normal(size)), 0.7)
    tone = 1 + 0.10 * fibre / max(float(fibre.std()), 1e-6) + 0.07 * fractal(size, 0.6, rng)
    return floats(colour * tone[..., None])


def meadow(size: tuple[int, int], params: Mapping[str, Any], rng: np.random.Generator) -> Floats:
    """Greens far out of focus, light above, a few blossoms as soft discs."""
    base = gradient(size, {"colors": params.get("colors", ["#cfe3b0", "#7fae55", "#3f7432"])}, rng)
    picture = base * (1 + 0.16 * blurred(fractal(size, 0.25, rng), 0.01 * max(size)))[..., None]
    y, x = np.mgrid[0 : size[0], 0 : size[1]]
    for _ in range(40):
        radius = rng.uniform(0.01, 0.035) * max(size)
        across, down = rng.random() * size[1], (0.2 + 0.8 * rng.random()) * size[0]
        disc = np.clip((radius - np.hypot(x - across, y - down)) / 3 + 0.5, 0, 1) * rng.uniform(0.15, 0.45)
        bloom = ((1.0, 0.95, 0.7), (1.0, 0.8, 0.3), (0.95, 0.7, 0.85))[rng.integers(3)]
        picture = picture + (np.array(bloom) - picture) * disc[..., None]
    return floats(picture)


BACKDROPS: dict[str, Backdrop] = {
    "gradient": gradient,
    "studio": studio,
    "stars": stars,
    "sunset": sunset,
    "clouds": clouds,
    "lights": lights,
    "felt": felt,
    "meadow": meadow,
}


def fractal(size: tuple[int, ...], share: float, rng: np.random.Generator) -> Floats:
    """Noise of unit deviation with structure from that share of the larger side down to pixels."""
    total = np.zeros(size)
    for octave in range(6):
        cells = [max(2, round(side / (share * max(size)) * 2**octave)) + 3 for side in size]
        layer = ndimage.zoom(
            rng.standard_normal(cells), [side / (cell - 3) for side, cell in zip(size, cells, strict=True)]
        )
        total += layer[: size[0], : size[1]] * 0.55**octave
        if min(side / cell for side, cell in zip(size, cells, strict=True)) < 3:
            break
    return floats(total / max(float(total.std()), 1e-6))


def _colours(params: Mapping[str, Any], *default: str) -> Floats:
    given = params.get("colors") or default
    if not isinstance(given, (list, tuple)):
        raise WrongParams("colors must be a list of colours, each #rrggbb")
    return np.stack([parse_colour(colour) for colour in given])
