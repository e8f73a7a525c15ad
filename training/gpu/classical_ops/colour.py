"""Colour spaces: sRGB, linear light and CIE L*a*b* (D65), as float32 arrays whose last axis is the channel."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.gpu.classical_ops.params import WrongParams

Floats = NDArray[np.float32]
HEX = re.compile(r"#[0-9a-fA-F]{6}")

# IEC 61966-2-1 primaries to CIE XYZ, and the D65 white point of CIE 15.
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]], np.float32)
FROM_XYZ = np.linalg.inv(TO_XYZ.astype(np.float64)).astype(np.float32)
WHITE = np.array([0.9505, 1.0, 1.089], np.float32)
KNEE = 6 / 29  # where the cube root of L*a*b* goes over into a line


def floats(array: NDArray[Any]) -> Floats:
    """The same numbers as float32 (SciPy and NumPy widen or lose the type on the way)."""
    same: Floats = np.asarray(array, np.float32)
    return same


def in_range(array: NDArray[Any]) -> Floats:
    """Clipped to 0..1, float32."""
    return floats(np.clip(array, 0, 1))


def to_linear(srgb: Floats) -> Floats:
    return np.where(srgb <= 0.04045, srgb / 12.92, ((np.maximum(srgb, 0) + 0.055) / 1.055) ** 2.4).astype(np.float32)


def from_linear(linear: Floats) -> Floats:
    linear = np.maximum(linear, 0)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055).astype(np.float32)


def to_lab(srgb: Floats) -> Floats:
    """L* in 0..100, a* and b* in about -100..100."""
    xyz = to_linear(srgb) @ TO_XYZ.T / WHITE
    root = np.where(xyz > KNEE**3, np.cbrt(xyz), xyz / (3 * KNEE**2) + 4 / 29)
    x, y, z = root[..., 0], root[..., 1], root[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1).astype(np.float32)


def from_lab(lab: Floats) -> Floats:
    """Back to sRGB, clipped to 0..1."""
    y = (lab[..., 0] + 16) / 116
    root = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1)
    xyz = np.where(root > KNEE, root**3, 3 * KNEE**2 * (root - 4 / 29)) * WHITE
    return np.clip(from_linear((xyz @ FROM_XYZ.T).astype(np.float32)), 0, 1)


def luma(picture: Floats) -> Floats:
    """(h, w) brightness as seen, ITU-R BT.601 weights."""
    return (picture @ np.array((0.299, 0.587, 0.114), np.float32)).astype(np.float32)


def parse_colour(text: object) -> Floats:
    """ "#rrggbb" as three numbers in 0..1. Raises WrongParams."""
    if not isinstance(text, str) or not HEX.fullmatch(text):
        raise WrongParams(f"a colour is written #rrggbb, not {text!r}")
    return np.array([int(text[place : place + 2], 16) / 255 for place in (1, 3, 5)], np.float32)


def saturate(picture: Floats, amount: float) -> Floats:
    """Colours pulled from grey (amount above 1) or to grey (below 1)."""
    grey = luma(picture)[..., None]
    return np.clip(grey + (picture - grey) * amount, 0, 1).astype(np.float32)
