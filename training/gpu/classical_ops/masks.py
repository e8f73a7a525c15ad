"""Where an edit happens: masks as they were stored, and masks made worse on purpose. (h, w) float32, 0 to 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.gpu.classical_ops.colour import Floats, floats, in_range

LEAST_ROUGH = 0.1  # of the larger side
LARGEST = 220.0  # pixels; thicker regions are not spoilt more


def region_size(mask: Floats) -> float:
    """How thick the region is, or what it leaves out, whichever is smaller: about the side of a square as thick."""
    inside = mask > 0.5
    part = inside if inside.sum() <= mask.size / 2 else ~inside
    if not part.any() or part.all():
        return LARGEST
    return min(6 * float(ndimage.distance_transform_edt(part)[part].mean()), LARGEST)


def feathered(mask: Floats, share: float) -> Floats:
    """Edges blurred over that share of the region's size, on both sides of the edge."""
    return blurred(mask, share * region_size(mask))


def grown(mask: Floats, share: float, *, least: float = 0.0) -> Floats:
    """The region grown by that share of its size, and at least by the share ``least`` of the picture's larger side."""
    reach = max(share * region_size(mask), least * max(mask.shape))
    if abs(reach) < 1:
        return mask
    inside = mask > 0.5
    outward = ndimage.distance_transform_edt(~inside) - ndimage.distance_transform_edt(inside)
    return in_range(reach - outward + 0.5)


def roughened(mask: Floats, share: float, rng: np.random.Generator) -> Floats:
    """The region as a hasty hand would cut it: shifted, with bays and bulges, hard edges."""
    size = max(region_size(mask), LEAST_ROUGH * max(mask.shape))  # or nobody would see it on small objects
    shift = rng.choice((-1, 1), 2) * rng.uniform(0.35, 0.7, 2) * share * size
    shifted = ndimage.shift(mask, shift, order=1, mode="nearest")
    noise = blurred(rng.standard_normal(mask.shape).astype(np.float32), share * size)
    noise /= max(float(noise.std()), 1e-6)
    field = blurred(shifted, share * size * 0.6) + 0.22 * noise * _near_edge(shifted, share * size * 2)
    return floats(field > 0.5)


def _near_edge(mask: Floats, reach: float) -> NDArray[np.bool_]:
    inside = mask > 0.5
    distance = ndimage.distance_transform_edt(inside) + ndimage.distance_transform_edt(~inside)
    return np.asarray(distance < reach)


def blurred(array: Floats, sigma: float) -> Floats:
    """Gaussian blur of the first two axes. Wide ones are computed on a reduced picture: nobody sees the difference."""
    step = int(sigma // 4)
    sigmas = (sigma, sigma) + (0.0,) * (array.ndim - 2)
    if step < 2:
        return floats(ndimage.gaussian_filter(array, sigmas, mode="nearest"))
    scale = (1 / step, 1 / step) + (1.0,) * (array.ndim - 2)
    smoothed = ndimage.uniform_filter(array, (step, step) + (1,) * (array.ndim - 2), mode="nearest")
    small = ndimage.zoom(smoothed, scale, order=1, mode="nearest", grid_mode=True)
    small = ndimage.gaussian_filter(small, [value / step for value in sigmas], mode="nearest")
    factors = [full / part for full, part in zip(array.shape, small.shape, strict=True)]
    return floats(ndimage.zoom(small, factors, order=1, mode="nearest", grid_mode=True))


def mixed(before: Floats, after: Floats, alpha: Floats | float) -> Floats:
    """``after`` where alpha is 1, ``before`` where it is 0. alpha (h, w) or one number."""
    weight = alpha[..., None] if isinstance(alpha, np.ndarray) else alpha
    return floats(before + (after - before) * weight)
