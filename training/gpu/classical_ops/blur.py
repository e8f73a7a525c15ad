"""Lens blur: discs of light, larger with the distance from what is sharp, that do not drag the subject along."""

from __future__ import annotations

import numpy as np
from scipy import ndimage, signal

from training.gpu.classical_ops.colour import Floats, floats, from_linear, in_range, to_linear
from training.gpu.classical_ops.masks import blurred

STEPS = 3  # radii between sharp and the largest


def lens_blur(picture: Floats, region: Floats, radius: float, *, glow: float = 3.0) -> Floats:
    """The picture out of focus with that radius in pixels, as seen in ``region`` (h, w).

    Light is averaged in linear light with highlights raised (``glow``), as a lens does, and only over the region: at
    the subject's rim its colours must not leak into the background. The radius grows from a half at the rim to full.
    """
    weight = np.clip(region, 1e-4, 1)
    linear = to_linear(picture)
    light = linear * (1 + glow * np.clip(linear.max(axis=-1, keepdims=True) - 0.5, 0, 1) ** 2)
    distance = ndimage.distance_transform_edt(region > 0.5)
    depth = np.clip(distance / max(float(np.percentile(distance, 90)), 1.0), 0, 1) ** 0.7
    place = blurred((0.5 + 0.5 * depth).astype(np.float32), radius / 2) * STEPS - 1
    layers = [_disc_mean(light, weight, radius * (step + 1) / STEPS) for step in range(STEPS)]
    result = layers[-1]
    for step in range(STEPS - 1):
        share = np.clip(place - step, 0, 1)[..., None]
        lower = layers[step] if step == 0 else result
        result = lower * (1 - share) + layers[step + 1] * share
    return in_range(from_linear(_unglow(floats(result))))


def _unglow(light: Floats) -> Floats:
    """Brings raised highlights back into range without dimming the rest."""
    peak = light.max(axis=-1, keepdims=True)
    squeezed = np.where(peak > 0.7, 0.7 + 0.3 * (1 - np.exp(-(peak - 0.7) / 0.3)), peak)
    return floats(light * squeezed / np.maximum(peak, 1e-6))


def _disc_mean(light: Floats, weight: Floats, radius: float) -> Floats:
    """Weighted mean over a disc around each pixel, picture mirrored at its border."""
    reach = int(np.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1).astype(np.float32)
    stack = np.concatenate([light * weight[..., None], weight[..., None]], axis=-1)
    padded = np.pad(stack, ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    summed = signal.fftconvolve(padded, disc[..., None], mode="valid", axes=(0, 1))
    return floats(np.maximum(summed[..., :3], 0) / np.maximum(summed[..., 3:], 1e-3))
