"""Pictures as the network sees them: scenes of 64 x 64 pixels, however large they were stored. Pure."""

from __future__ import annotations

import numpy as np
from PIL import Image as PillowImage

from drawnworld.render import Image
from drawnworld.scene import PAIRS, SIZE

NEAR = 14  # of 255: how far a stored background may be from its colour, in each channel
BACKGROUND = 0.5  # share of a source's pixels that must be of one background; objects leave more than seven tenths


class NotDrawn(Exception):
    """The picture is no scene of the drawn world. The message completes "Picture A ..."."""


def scene_pixels(picture: PillowImage.Image) -> Image:
    """The picture as (64, 64, 3) uint8. Enlarged scenes are brought back by the mean over each pixel's area, which
    undoes a whole-numbered enlargement exactly. Raises NotDrawn for other shapes and for fewer pixels."""
    width, height = picture.size
    if width != height or width < SIZE:
        raise NotDrawn(f"has {width} x {height} pixels; scenes of the drawn world are squares of {SIZE} or more")
    if width != SIZE:
        picture = picture.resize((SIZE, SIZE), PillowImage.Resampling.BOX)
    return np.asarray(picture.convert("RGB"), np.uint8)


def source_pixels(picture: PillowImage.Image) -> Image:
    """As ``scene_pixels``, for a source: no scene has less than half of its pixels in the two colours of one
    background. Raises NotDrawn for another picture, such as a photograph."""
    pixels = scene_pixels(picture)
    if max(_share(pixels, pair) for pair in PAIRS) < BACKGROUND:
        raise NotDrawn("is no scene of the drawn world")
    return pixels


def _share(pixels: Image, pair: str) -> float:
    """How many of the pixels have a colour of that background."""
    colours = np.array(PAIRS[pair], np.int16)
    distance = np.abs(pixels[:, :, None].astype(np.int16) - colours).max(axis=3)
    return float((distance.min(axis=2) <= NEAR).mean())
