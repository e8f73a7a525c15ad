"""Output checks: edited images that nobody should judge. Pure; sizes in pixels, brightness from 0 to 1.

Each check compares with the source where that is the honest measure: a white wall edited on a white wall is no blank
output. The thresholds are tested on made examples (tests/test_checks.py).

What they cannot tell: a mosaic that fills the frame looks like noise; an empty output for an object on a plain ground
looks like its removal; noise in a part of the image is left to people.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

SIDE = 256  # longer side at which images are compared
BLACK_MEAN, BLACK_PEAK = 0.02, 0.06  # mean, and the brightest thousandth
FLAT = 4 / 255  # range between the 1st and the 99th percentile of every channel
NOISE_LEAST, NOISE_GAP = 0.35, 0.3  # correlation at the best lag, and how far it lies under the source's
FAINT = 0.02  # standard deviation of a grain that nobody sees
NOISE_SCALES, NOISE_LAGS = range(1, 9), (1, 2, 3, 4)  # pixels a grain; grains
NOISE_KEPT = 0.25  # share of the variance that is between grains, not within them
NOISE_MODES = 0.6  # bimodality coefficient: normal 0.33, even 0.56; ground with flakes, ink on paper: 0.62 to 1
NOISE_CALM, NOISE_HOLES = 0.15, 0.01  # roughness of a window by the whole image's, and the share of windows under it
SHIFTED, REDRAWN = 4 / 255, 12 / 255  # of the 8 x 8 block that changed most: its mean, and its pixels on average
SHIFTED_FULL = 24  # of 255, of the blocks at full size: encoding and scaling move their means by less
GROUND, GROUND_SHARE = 8 / 255, 0.4  # a flat image as near as that to so much of the source is its ground, laid bare
ASPECT = 0.03  # relative difference of width / height
SCALE = 2.0  # times smaller or larger a side

Gray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Finding:
    """``fault`` is one of annotation.models.Fault's values; ``note`` says what was measured."""

    fault: str
    note: str


def check(source: Image.Image, edited: Image.Image) -> Finding | None:
    """The first fault found, or None. Size and aspect come first: the other checks compare the images by points."""
    return _shape(source.size, edited.size) or _content(source, edited)


def _shape(source: tuple[int, int], edited: tuple[int, int]) -> Finding | None:
    (sw, sh), (ew, eh) = source, edited
    sizes = f"{ew} x {eh}, the source {sw} x {sh}"
    if min(ew, eh) < 8 or max(sw / ew, ew / sw, sh / eh, eh / sh) > SCALE:
        return Finding("size", sizes)
    if abs((ew / eh) / (sw / sh) - 1) > ASPECT:
        return Finding("aspect", sizes)
    return None


def _content(source: Image.Image, edited: Image.Image) -> Finding | None:
    ratio = min(1.0, SIDE / max(source.size))
    size = (max(8, round(source.width * ratio)), max(8, round(source.height * ratio)))
    before, after = _array(source, size), _array(edited, size)
    gray_before, gray_after = before.mean(axis=2), after.mean(axis=2)
    found = _black(gray_before, gray_after) or _blank(before, after) or _unchanged(before, after)
    if found and found.fault == "unchanged" and ratio < 1 and _changed_somewhere(source, edited):
        return None
    return found or _noise(gray_before, gray_after)


def _array(image: Image.Image, size: tuple[int, int]) -> Gray:
    """Shape (height, width, 3), values 0 to 1. A box filter: noise must not be smoothed more than by its averaging."""
    small = image.convert("RGB").resize(size, Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float64) / 255


def _is_black(gray: Gray) -> bool:
    return bool(gray.mean() < BLACK_MEAN and np.quantile(gray, 0.999) < BLACK_PEAK)


def _black(before: Gray, after: Gray) -> Finding | None:
    if _is_black(after) and not _is_black(before):
        return Finding("black", f"mean brightness {after.mean():.3f}")
    return None


def _spread(image: Gray) -> float:
    low, high = np.quantile(image.reshape(-1, 3), (0.01, 0.99), axis=0)
    return float((high - low).max())


def _blank(before: Gray, after: Gray) -> Finding | None:
    """Flat, where the source was not nearly as flat, nor the flat ground from which an object was taken."""
    if _spread(after) >= FLAT or _spread(before) < 2 * FLAT:
        return None
    ground = np.abs(before - np.median(after, axis=(0, 1))).max(axis=2) < GROUND
    if ground.mean() >= GROUND_SHARE:
        return None
    return Finding("blank", f"all of it within {_spread(after) * 255:.1f} of 255 levels")


def _unchanged(before: Gray, after: Gray) -> Finding | None:
    """Encoding again changes pixels a little and hardly the mean of a block; an edit does one of them by far."""
    shifted = float(np.abs(_blocks(after - before)).max(initial=0.0))
    redrawn = float(_blocks(np.abs(after - before)).max(initial=0.0))
    if shifted < SHIFTED and redrawn < REDRAWN:
        return Finding("unchanged", f"no block differs by more than {redrawn * 255:.1f} of 255 levels")
    return None


def _changed_somewhere(source: Image.Image, edited: Image.Image) -> bool:
    """Whether a block of 8 x 8 pixels at the source's size has another mean: a small thing in a large photograph."""
    before, after = (image.convert("RGB") for image in (source, edited))
    if after.size != before.size:
        after = after.resize(before.size, Image.Resampling.BICUBIC)
    moved = ImageChops.difference(before.reduce(8), after.reduce(8))
    return max(high for _, high in moved.getextrema()) >= SHIFTED_FULL  # type: ignore[misc]


def _blocks(image: Gray, side: int = 8) -> Gray:
    """Means of blocks; rows and columns that fill no block are left out."""
    height, width = (length // side * side for length in image.shape[:2])
    cut = image[:height, :width].reshape(height // side, side, width // side, side, -1)
    means: Gray = cut.mean(axis=(1, 3))
    return means


def _noise(before: Gray, after: Gray) -> Finding | None:
    """Noise of whatever grain: at the scale of the grain nothing has to do with what is near, all over the image.
    Patterns have: a stripe goes on in one direction, and comes again in the other."""
    for grain in NOISE_SCALES:
        if min(after.shape) < 16 * grain:
            break
        now = _blocks(after, grain)[..., 0]
        order = _order(now)
        if order >= NOISE_LEAST or not _is_grain(now, after) or _has_holes(now):
            continue
        order_before = _order(_blocks(before, grain)[..., 0])
        if order < order_before - NOISE_GAP:
            words = f"nearby points correlate by {order:.2f}, in the source by {order_before:.2f} (grain {grain})"
            return Finding("noise", words)
    return None


def _is_grain(grains: Gray, image: Gray) -> bool:
    """Whether the image is made of grains of this size, of many values. Flakes, stars, dots and strokes are not: they
    are one value on a ground of another, or smaller than the scale at which their places look random."""
    spread = image.std()
    third, fourth = (((image - image.mean()) ** power).mean() / spread**power for power in (3, 4))
    return bool(grains.var() >= NOISE_KEPT * spread**2 and (third**2 + 1) / fourth < NOISE_MODES)


def _has_holes(grains: Gray) -> bool:
    """Whether something calm stands in it: windows, an eighth of the longer side, whose neighbouring points differ by
    far less than unrelated ones would."""
    across, down = np.diff(grains, axis=1)[:-1] ** 2, np.diff(grains, axis=0)[:, :-1] ** 2
    rough = (across + down) / (4 * grains.var())
    side = min(max(4, max(grains.shape) // 8), *rough.shape)
    windows = np.lib.stride_tricks.sliding_window_view(rough, (side, side))[:: max(1, side // 4), :: max(1, side // 4)]
    return bool((windows.mean(axis=(2, 3)) < NOISE_CALM).mean() > NOISE_HOLES)


def _order(gray: Gray) -> float:
    """The strongest correlation, of whatever sign, of points some lags apart in one direction; 1 for a flat image."""
    return max(_correlation(image[:, :-lag], image[:, lag:]) for image in (gray, gray.T) for lag in NOISE_LAGS)


def _correlation(first: Gray, second: Gray) -> float:
    if min(first.std(), second.std()) < FAINT:
        return 1.0
    return abs(float(np.corrcoef(first.ravel(), second.ravel())[0, 1]))
