"""New light on an old picture: a gradient from one side, a colour, and relief guessed from brightness."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from training.gpu.classical_ops.colour import Floats, floats, from_linear, in_range, luma, parse_colour, to_linear
from training.gpu.classical_ops.masks import blurred
from training.gpu.classical_ops.params import WrongParams, checked, number, numbers

SIDES = {"right": 0.0, "top": 90.0, "left": 180.0, "bottom": 270.0}  # degrees, counter-clockwise


def relight(picture: Floats, params: Mapping[str, Any], strength: float, rng: np.random.Generator) -> Floats:
    """``params``: {"from": side or degrees, "color": "#rrggbb", "dark": 0..1 how dark the far side gets (0.6)}, or with
    "spot": [x, y, radius] (shares of the width and height) a spotlight instead of a side.

    ``strength`` 1 is what was asked for; below it the change is smaller, above it exaggerated. Raises WrongParams.
    """
    colour = to_linear(parse_colour(params.get("color", "#ffffff")))
    colour = (colour / max(float(luma(colour)), 0.05)) ** np.float32(0.75 * strength)
    dark = number(params, "dark", 0.6, 0, 1) * min(strength, 1.4)
    near = _nearness(picture.shape[:2], params, rng)
    gain = max(1 - dark, 0.04) + (dark + 0.35 * strength) * near
    relief = 1 + 0.5 * strength * _relief(picture, params)
    lit = to_linear(picture) * (gain * relief)[..., None] * colour
    return in_range(from_linear(_shoulder(floats(lit), strength)))


def _angle(params: Mapping[str, Any]) -> float:
    side = params.get("from", "left")
    if isinstance(side, str) and side in SIDES:
        return float(np.radians(SIDES[side]))
    if isinstance(side, str):
        raise WrongParams(f"from must be {', '.join(SIDES)} or an angle in degrees, not {side!r}")
    return float(np.radians(checked(side, "from", -360, 360)))


def _nearness(shape: tuple[int, ...], params: Mapping[str, Any], rng: np.random.Generator) -> Floats:
    """1 where the light is nearest, 0 where it is farthest, (h, w)."""
    height, width = shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    if "spot" in params:
        across, down, radius = numbers(params["spot"], "spot", 3, 0, 1)
        distance = np.hypot(x - across * width, y - down * height) / (max(radius, 0.01) * max(width, height))
        return floats(np.exp(-(distance**2) * (1 + rng.uniform(-0.1, 0.1))))
    angle = _angle(params) + rng.uniform(-0.12, 0.12)
    along = (x / width - 0.5) * np.cos(angle) - (y / height - 0.5) * np.sin(angle)
    share = (along - along.min()) / max(float(np.ptp(along)), 1e-6)
    return floats(share**1.3)


def _relief(picture: Floats, params: Mapping[str, Any]) -> Floats:
    """Brightness read as height: slopes towards the light gain, slopes away lose. About -1 to 1, (h, w)."""
    if "spot" in params:
        return np.zeros(picture.shape[:2], np.float32)
    size = max(picture.shape[:2])
    height = blurred(luma(picture), size / 160) + 2 * blurred(luma(picture), size / 40)
    down, across = np.gradient(height)
    slope = -(across * np.cos(_angle(params)) - down * np.sin(_angle(params)))
    return floats(0.6 * np.tanh(slope * size / 45))


def _shoulder(light: Floats, strength: float) -> Floats:
    """Highlights bend instead of burning out, unless the light is exaggerated."""
    if strength > 1.2:
        return light
    return np.where(light > 0.6, 0.6 + 0.4 * np.tanh((light - 0.6) / 0.4), light).astype(np.float32)
