"""Putting an object into a picture so that it belongs there: scaled to its box, toned to its place, with a shadow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import ndimage

from training.gpu.classical_ops.colour import Floats, floats, in_range, luma, saturate
from training.gpu.classical_ops.masks import blurred, mixed
from training.gpu.classical_ops.params import WrongParams, number, numbers
from training.gpu.classical_ops.pictures import decode_picture
from training.gpu.classical_ops.shapes import draw_shape

Box = tuple[int, int, int, int]  # left, top, width, height in pixels; may reach beyond the picture


def box_in_pixels(params: Mapping[str, Any], shape: tuple[int, ...]) -> Box:
    """``params["box"]``: [left, top, width, height] as shares of the picture. Raises WrongParams."""
    left, top, width, height = numbers(params.get("box"), "box", 4, -1, 1)
    if width < 0.005 or height < 0.005:
        raise WrongParams(f"the box {params['box']!r} is too small")
    return round(left * shape[1]), round(top * shape[0]), round(width * shape[1]), round(height * shape[0])


def make_object(params: Mapping[str, Any], size: tuple[int, int], rng: np.random.Generator) -> Floats:
    """The object filling ``size`` (height, width), (h, w, 4). ``params``: {"draw": shape, "color": "#rrggbb"} or
    {"picture": data URI with transparency}; "grey": true takes the colour out, "turn" turns it by that many degrees
    counter-clockwise inside its box. Raises WrongParams."""
    if "picture" in params:
        drawn = resized(decode_picture(params["picture"]), size)
    else:
        drawn = draw_shape(params.get("draw"), size, params.get("color", "#c83232"), rng)
    if "turn" in params:
        full = np.concatenate([drawn[..., :3] * drawn[..., 3:], drawn[..., 3:]], axis=-1)
        full = ndimage.rotate(full, number(params, "turn", 0, -180, 180), reshape=False, order=1)
        drawn = np.concatenate([full[..., :3] / np.maximum(full[..., 3:], 1e-4), full[..., 3:]], axis=-1)
    if params.get("grey"):
        drawn[..., :3] = saturate(drawn[..., :3], 0)
    return drawn


def resized(rgba: Floats, size: tuple[int, int]) -> Floats:
    """Scaled to (height, width), colour weighed by coverage so that edges keep their colour."""
    full = np.concatenate([rgba[..., :3] * rgba[..., 3:], rgba[..., 3:]], axis=-1)
    factors = (size[0] / rgba.shape[0], size[1] / rgba.shape[1])
    for axis in (0, 1):
        if factors[axis] < 1:
            full = ndimage.gaussian_filter1d(full, 0.35 / factors[axis], axis=axis, mode="nearest")
    scaled = ndimage.zoom(full, (*factors, 1), order=1, mode="nearest", grid_mode=True)
    scaled[..., :3] /= np.maximum(scaled[..., 3:], 1e-4)
    return in_range(scaled)


def on_canvas(rgba: Floats, box: Box, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """The object at its place in an otherwise empty picture: colour (h, w, 3) and coverage (h, w)."""
    left, top, width, height = box
    canvas = np.zeros((*shape[:2], 4), np.float32)
    rows = slice(max(top, 0), min(top + height, shape[0]))
    columns = slice(max(left, 0), min(left + width, shape[1]))
    if rows.start < rows.stop and columns.start < columns.stop:
        canvas[rows, columns] = rgba[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    return canvas[..., :3], canvas[..., 3]


def harmonised(colour: Floats, covered: Floats, picture: Floats) -> Floats:
    """The object's contrast and tint drawn a little towards its surroundings, and its grain to theirs."""
    around = blurred(covered, 12) * (covered < 0.05)
    if around.sum() < 1:
        return colour
    scene = (picture * around[..., None]).sum(axis=(0, 1)) / around.sum()
    tint = scene / max(float(luma(floats(scene))), 0.05)
    toned = colour * (1 + 0.12 * (tint - 1)) * np.clip(0.86 + 0.3 * float(luma(floats(scene))), 0.86, 1.06)
    detail = picture - blurred(picture, 1.0)
    grain = float((np.abs(detail).mean(axis=-1) * around).sum() / around.sum())
    noise = np.random.default_rng(0).standard_normal(covered.shape)[..., None]
    return in_range(toned + min(grain, 0.02) * 0.8 * noise)


def with_shadow(picture: Floats, covered: Floats, kind: object, strength: float) -> Floats:
    """The ground darkened by the object. ``kind`` "drop": a soft shadow to the lower right, as on a table; "contact":
    dark right below it, as of something that stands; None: none, as in the air. Raises WrongParams."""
    if kind is None:
        return picture
    rows = np.flatnonzero((covered > 0.5).any(axis=1))
    if not len(rows):
        return picture
    size = float(np.sqrt((covered > 0.5).sum()))
    if kind == "drop":
        shade = 0.5 * blurred(ndimage.shift(covered, (0.05 * size, 0.05 * size), order=1), 0.05 * size)
    elif kind == "contact":
        foot = covered.copy()
        foot[: rows[-1] - max(2, int(0.08 * size))] = 0
        shade = 0.8 * blurred(ndimage.shift(foot, (0.03 * size, 0.02 * size), order=1), 0.06 * size)
    else:
        raise WrongParams(f"a shadow is drop, contact or absent, not {kind!r}")
    return mixed(picture, np.zeros_like(picture), in_range(shade * strength))
