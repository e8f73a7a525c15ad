"""Signs that an editor is learning to please its judge: a grid in its pictures, changes outside the edit, distance.

Pictures are (samples, 3, height, width) in 0..1; ``to_tensor`` makes them. Masks are (samples, height, width), 1 where
the edit may change pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d, pad

from training.gpu.posttrain.losses import kl_velocity as distance

__all__ = [
    "Preserved",
    "changed",
    "distance",
    "grid",
    "preservation",
    "preservation_of",
    "sharpness",
    "to_tensor",
]

FAINT = 0.04
"""Largest detail that the grid detector counts: edges of things are larger and would drown what is faint."""
ROUNDING = (1 / 255) ** 2
"""Power of a detail of one level of 255: below it there is nothing to see."""
NEAR = 3
"""Neighbours of a frequency: at most so many steps away in each direction."""
QUIETEST = 1e-6
"""Mean square below which two pictures count as equal: 60 dB."""
WINDOW, SCALES = 7, 3
STEEPEST = 0.05


def to_tensor(pictures: Sequence[Image.Image]) -> Tensor:
    """(samples, 3, height, width) in 0..1, of pictures of one size."""
    return torch.stack([torch.from_numpy(np.array(one.convert("RGB"))) for one in pictures]).permute(0, 3, 1, 2) / 255


def grid(pictures: Tensor, patch: int) -> Tensor:
    """(samples,): how much stronger the frequencies of a grid of ``patch`` pixels are than those beside them.

    The mean over those frequencies, without the even part, of log(power / mean power of the neighbours). About 0 or
    below for a picture without a grid, whatever is in it, and 0 for an even one. Faint details alone count: on a plain
    picture of the drawn world a dot of four levels of 255 in each patch of 8 pixels adds 2, on its edited pictures of
    all kinds half. What a picture is meant to show may repeat too: compare with the base's edits of the same cases.
    Raises ValueError for pictures below 4 x 4 patches.
    """
    rows, columns = (size // patch * patch for size in pictures.shape[-2:])
    if min(rows, columns) < 4 * patch or patch < 2:
        raise ValueError(f"A grid of {patch} pixels needs pictures of at least {4 * patch} x {4 * patch} pixels.")
    pictures = pictures[..., :rows, :columns].to(torch.float32)
    detail = (pictures - avg_pool2d(pad(pictures, (1, 1, 1, 1), mode="replicate"), 3, 1)).clamp(-FAINT, FAINT)
    power = torch.fft.fft2(detail).abs().square().sum(1) / (rows * columns)
    power[:, 0, 0] = 0
    around = _neighbours(power)
    ratio = torch.log((power + ROUNDING) / (around + ROUNDING))[:, :: rows // patch, :: columns // patch]
    return ratio.flatten(1)[:, 1:].mean(1)


def _neighbours(power: Tensor) -> Tensor:
    """Mean power of the frequencies near each, itself left out; the spectrum goes round."""
    near = min(NEAR, *((size - 1) // 2 for size in power.shape[-2:]))
    width = 2 * near + 1
    wrapped = pad(power[:, None], (near, near, near, near), mode="circular")
    return (avg_pool2d(wrapped, width, 1)[:, 0] * width**2 - power).clamp(min=0) / (width**2 - 1)


@dataclass(frozen=True, slots=True)
class Preserved:
    """``decibels`` (samples,): peak signal-to-noise ratio outside the edit, 60 at most. ``structure`` (samples,):
    structural similarity there, 1 where nothing changed. NaN where the edit is the whole picture."""

    decibels: Tensor
    structure: Tensor


def preservation(source: Tensor, edited: Tensor, mask: Tensor | None = None) -> Preserved:
    """How much of the ``source`` is left outside the edit.

    Without a mask the whole picture counts, and a large edit that was asked for counts as a loss: ``changed`` gives a
    mask from the base's edit of the same case. Structural similarity (Wang et al. 2004) stands in for a perceptual
    network: windows of 7 x 7, the mean over up to three scales. Raises ValueError for shapes that do not fit.
    """
    if source.shape != edited.shape or (mask is not None and mask.shape != source.shape[:1] + source.shape[2:]):
        raise ValueError("Source, edited picture and mask must have one size.")
    source, edited = source.to(torch.float32), edited.to(torch.float32)
    outside = torch.ones_like(source[:, 0]) if mask is None else 1 - mask.to(torch.float32)
    error = _mean_where((source - edited).square().mean(1), outside)
    decibels = -10 * torch.log10(error.clamp(min=QUIETEST))
    edited = torch.lerp(source, edited, outside[:, None])  # so that no window at the border sees the edit
    found = []
    for scale in range(SCALES):
        if scale:
            source, edited = avg_pool2d(source, 2), avg_pool2d(edited, 2)
            outside = avg_pool2d(outside[:, None], 2)[:, 0]
        if min(source.shape[-2:]) >= WINDOW:
            found.append(_mean_where(_similarity(source, edited), outside))
    whole = found or [torch.full_like(error, torch.nan)]
    return Preserved(decibels, torch.stack(whole).mean(0))


def preservation_of(
    sources: Sequence[Image.Image], edited: Sequence[Image.Image], masks: Sequence[Image.Image | None]
) -> list[float]:
    """Decibels of pictures of any sizes, one by one; a source and its mask are brought to the size of the edit."""
    found = []
    for source, picture, mask in zip(sources, edited, masks, strict=True):
        before = to_tensor([source.resize(picture.size, Image.Resampling.LANCZOS)])
        inside = None
        if mask is not None:
            fitted = mask.convert("L").resize(picture.size, Image.Resampling.NEAREST)
            inside = torch.from_numpy(np.array(fitted))[None] >= 128
        found.append(float(preservation(before, to_tensor([picture]), inside).decibels))
    return found


def changed(source: Tensor, edited: Tensor, *, threshold: float = 0.05, margin: int = 2) -> Tensor:
    """A mask (samples, height, width) of where an edit changed the source by more than ``threshold``, and ``margin``
    pixels around it: for cases that have none, from the base's own edit."""
    different = ((source - edited).abs().amax(1, keepdim=True) > threshold).to(torch.float32)
    return max_pool2d(different, 2 * margin + 1, 1, margin)[:, 0] > 0


def sharpness(pictures: Tensor) -> Tensor:
    """(samples,): mean brightness difference between neighbours at the steepest twentieth of the pixels, in 0..1."""
    bright = pictures.to(torch.float32).mean(1)
    steep = torch.maximum(
        (bright[:, 1:, :-1] - bright[:, :-1, :-1]).abs(), (bright[:, :-1, 1:] - bright[:, :-1, :-1]).abs()
    )
    flat = steep.flatten(1)
    return flat.topk(max(1, math.ceil(STEEPEST * flat.shape[1])), dim=1).values.mean(1)


def _mean_where(values: Tensor, weight: Tensor) -> Tensor:
    """(samples,), NaN where nothing weighs anything."""
    total = weight.flatten(1).sum(1)
    return (values * weight).flatten(1).sum(1) / torch.where(total > 0, total, torch.nan)


def _similarity(first: Tensor, second: Tensor) -> Tensor:
    """Structural similarity at each pixel (samples, height, width), mean over the channels."""
    half = WINDOW // 2

    def mean(values: Tensor) -> Tensor:
        return avg_pool2d(pad(values, (half,) * 4, mode="reflect"), WINDOW, 1)

    one, other = mean(first), mean(second)
    spread = mean(first * first) - one * one + mean(second * second) - other * other
    together = mean(first * second) - one * other
    bright, dark = 0.01**2, 0.03**2
    above = (2 * one * other + bright) * (2 * together + dark)
    return (above / ((one * one + other * other + bright) * (spread + dark))).mean(1)
