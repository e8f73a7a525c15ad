"""Masks drawn as data: shapes in pixels of the original photograph, then refined on its colours and edges.

A region is a table with ``shapes`` (a list of {polygon = [[x, y], ...]}, {ellipse = [left, top, right, bottom]} or
{box = [left, top, right, bottom]}, each with ``minus = true`` to cut out), or with ``union`` or ``without`` naming
other regions, and optional steps, done in this order:
    near     [[colour, tolerance], ...]: keep pixels within that CIE L*a*b* distance of one of the colours
    far      the same, but drop those pixels
    snap     pixels: move the border to the strongest edge within that distance (watershed)
    close    pixels: fill gaps up to that size
    holes    true: fill what is enclosed
    largest  true: keep the largest connected part
    grow     pixels to add all around (below 0: to take away)
    invert   true: everything else
    soften   pixels of blur of the border, 0.7 by default
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from skimage.color import rgb2lab
from skimage.segmentation import watershed

Bools = NDArray[np.bool_]
Table = Mapping[str, Any]


def draw_region(photograph: Image.Image, regions: Mapping[str, Table], name: str) -> NDArray[np.uint8]:
    """The mask of that region, (h, w) uint8, 255 inside. Raises KeyError for a region that is not written down."""
    table = regions[name]
    pixels = np.asarray(photograph.convert("RGB"))
    inside = _drawn(photograph.size, table.get("shapes", []))
    for other in table.get("union", []):
        inside |= draw_region(photograph, regions, other) > 127
    for other in table.get("without", []):
        inside &= draw_region(photograph, regions, other) <= 127
    inside = _refined(inside, pixels, table)
    soft = ndimage.gaussian_filter(inside.astype(np.float32), table.get("soften", 0.7), mode="nearest")
    return np.asarray(np.round(soft * 255), np.uint8)


def _drawn(size: tuple[int, int], shapes: list[Table]) -> Bools:
    image = Image.new("1", size)
    pen = ImageDraw.Draw(image)
    for shape in shapes:
        fill = 0 if shape.get("minus") else 1
        if "polygon" in shape:
            pen.polygon([tuple(point) for point in shape["polygon"]], fill=fill)
        elif "ellipse" in shape:
            pen.ellipse(shape["ellipse"], fill=fill)
        else:
            pen.rectangle(shape["box"], fill=fill)
    return np.array(image, np.bool_)


def _refined(inside: Bools, pixels: NDArray[np.uint8], table: Table) -> Bools:
    if "near" in table:
        inside = inside & _near(pixels, table["near"])
    if "far" in table:
        inside = inside & ~_near(pixels, table["far"])
    if "snap" in table:
        inside = _snapped(inside, pixels, table["snap"])
    if "close" in table:
        inside = _closed(inside, table["close"])
    if table.get("holes"):
        inside = np.asarray(ndimage.binary_fill_holes(inside))
    if table.get("largest"):
        parts, _ = ndimage.label(inside)
        inside = parts == np.bincount(parts.ravel())[1:].argmax() + 1
    if grow := table.get("grow"):
        distance = ndimage.distance_transform_edt(~inside if grow > 0 else inside)
        inside = distance <= grow if grow > 0 else distance > -grow
    return ~inside if table.get("invert") else inside


def _near(pixels: NDArray[np.uint8], colours: list[tuple[str, float]]) -> Bools:
    lab = rgb2lab(pixels)
    close = np.zeros(pixels.shape[:2], np.bool_)
    for colour, tolerance in colours:
        rgb = np.array([[[int(colour[place : place + 2], 16) for place in (1, 3, 5)]]], np.uint8)
        close |= np.linalg.norm(lab - rgb2lab(rgb), axis=-1) <= tolerance
    return close


def _snapped(inside: Bools, pixels: NDArray[np.uint8], reach: float) -> Bools:
    """Pixels near the drawn border go to the side from which they are reached without crossing an edge."""
    smooth = ndimage.gaussian_filter(pixels.astype(np.float32), (0.8, 0.8, 0))
    edges = np.hypot(ndimage.sobel(smooth, axis=0), ndimage.sobel(smooth, axis=1)).max(axis=-1)
    markers = np.zeros(inside.shape, np.int32)
    markers[_depth(inside) > reach] = 1
    markers[_depth(~inside) > reach] = 2
    basins = watershed(edges, markers)  # type: ignore[no-untyped-call]
    return np.asarray(basins == 1)


def _depth(inside: Bools) -> NDArray[np.float64]:
    """Distance to the other side; the picture's own border does not count as one."""
    if inside.all():
        return np.full(inside.shape, np.inf)
    return np.asarray(ndimage.distance_transform_edt(inside))


def _closed(inside: Bools, reach: float) -> Bools:
    margin = int(reach) + 1
    padded = np.pad(inside, margin, mode="edge")
    outward = ndimage.distance_transform_edt(~padded) <= reach
    closed = ndimage.distance_transform_edt(outward) > reach
    return np.asarray(closed[margin:-margin, margin:-margin] | inside)
