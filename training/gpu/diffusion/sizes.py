"""The size that an editor works in, and the way back to the source's."""

from __future__ import annotations

import math

from PIL import Image


def on_grid(area: int, ratio: float, multiple: int) -> tuple[int, int]:
    """Width and height of about ``area`` pixels with that ratio (width / height), both multiples of ``multiple``."""
    width = math.sqrt(area * ratio)
    return _round(width, multiple), _round(width / ratio, multiple)


def _round(length: float, multiple: int) -> int:
    return max(multiple, round(length / multiple) * multiple)


def resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The picture in RGB at ``size``; Lanczos keeps edges, and smooths where it makes smaller."""
    image = image.convert("RGB")
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)
