"""Pictures redrawn: each style is a function of (picture, force, rng) -> picture; force 1 is meant, 2 exaggerated."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.gpu.classical_ops.colour import Floats, floats, in_range, luma, saturate
from training.gpu.classical_ops.masks import blurred, mixed

Style = Callable[[Floats, float, np.random.Generator], Floats]

FINE = 500.0  # pixels: brushes and lines are sized for a picture this large


def pencil(picture: Floats, force: float, rng: np.random.Generator) -> Floats:
    """Lines by dodging (brightness over its own blur), soft hatching in the shadows, paper grain."""
    grey = luma(picture)
    scale = _scale(picture)
    lines = np.clip(grey / np.maximum(blurred(grey, 3.0 * scale * force), 0.02), 0, 1) ** (1.6 * force)
    tone = 0.62 + 0.38 * np.clip(blurred(grey, scale) * 1.5, 0, 1)
    hatch = 1 - 0.16 * force * np.clip(0.55 - grey, 0, 1) * (1 + _strokes(picture.shape[:2], scale, rng))
    paper = 0.97 + 0.02 * blurred(rng.standard_normal(grey.shape).astype(np.float32), 0.7)
    sheet = np.clip(lines * tone**force * hatch * paper, 0, 1)
    return floats(sheet[..., None] * np.array((1.0, 0.985, 0.96), np.float32))


def oil(picture: Floats, force: float, rng: np.random.Generator) -> Floats:
    """Strokes by a Kuwahara filter, a little more colour, relief of the brush along the edges."""
    scale = _scale(picture)
    painted = _kuwahara(_kuwahara(picture, round(3 * scale * force)), round(2 * scale * force))
    bristle = blurred(rng.standard_normal(picture.shape[:2]).astype(np.float32), scale)
    height = luma(painted) + 0.12 * bristle / max(float(bristle.std()), 1e-6)
    relief = ndimage.sobel(height, axis=0) + ndimage.sobel(height, axis=1)
    return in_range(saturate(painted, 1 + 0.25 * force) + 0.05 * force * np.tanh(relief)[..., None])


def watercolour(picture: Floats, force: float, rng: np.random.Generator) -> Floats:
    """Flat washes, light and thin, with darker rims where they end, on grained paper."""
    scale = _scale(picture)
    wash = _kuwahara(blurred(picture, 0.8 * scale), round(4 * scale * force))
    rim = np.hypot(ndimage.sobel(luma(wash), axis=0), ndimage.sobel(luma(wash), axis=1))
    cloud = blurred(rng.standard_normal(picture.shape[:2]).astype(np.float32), 12 * scale)
    grain = blurred(rng.standard_normal(picture.shape[:2]).astype(np.float32), 0.8)
    density = 1 + 0.07 * force * cloud / max(float(cloud.std()), 1e-6) + 0.05 * grain
    thin = floats(1 - (1 - wash) * (0.8 * density)[..., None])
    return in_range(saturate(thin, 1.25) - 0.22 * force * np.clip(rim, 0, 0.8)[..., None])


def poster(picture: Floats, force: float, rng: np.random.Generator) -> Floats:
    """A few flat colours, found by k-means, brightened, with dark outlines."""
    scale = _scale(picture)
    flat = _kuwahara(picture, round(3 * scale))
    colours = _palette(flat, max(3, round(8 / force)), rng)
    labels = _most_common(_distance(flat, colours).argmin(axis=-1), len(colours), 1.6 * scale)
    inks = saturate(colours[None], 1 + 0.6 * force)[0]
    edge = blurred((ndimage.morphological_gradient(labels, size=(3, 3)) > 0).astype(np.float32), 0.6 * scale)
    return in_range(inks[labels] * (1 - 0.5 * edge)[..., None])


def blueprint(picture: Floats, force: float, rng: np.random.Generator) -> Floats:
    """White lines on blue paper with a faint grid."""
    lines = np.clip(_edges(picture, 0.9 * _scale(picture)) * 2.4 * force, 0, 1)
    tone = 0.10 * luma(picture)
    height, width = tone.shape
    step = max(12, round(24 * _scale(picture)))
    grid = ((np.arange(height) % step == 0)[:, None] | (np.arange(width) % step == 0)[None, :]) * 0.08
    ink = np.clip(lines + tone + grid, 0, 1)[..., None]
    return mixed(
        np.broadcast_to(np.array((0.07, 0.22, 0.5), np.float32), picture.shape), np.ones(3, np.float32), ink[..., 0]
    )


def sepia(picture: Floats, force: float, rng: np.random.Generator) -> Floats:
    """Brown tones, softer contrast, dark corners, a little grain."""
    grey = np.clip(0.08 + 0.86 * luma(picture) ** (0.9 / force), 0, 1)
    toned = np.stack([grey**0.8, grey**1.02, grey**1.35], axis=-1) * np.array((1, 0.93, 0.78), np.float32)
    height, width = grey.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    corner = 1 - 0.38 * force * np.clip(np.hypot(x, y) - 0.6, 0, 1) ** 1.5
    grain = 0.03 * force * blurred(rng.standard_normal(grey.shape).astype(np.float32), 0.6)
    return in_range(toned * corner[..., None] + grain[..., None])


def negative(picture: Floats, force: float, rng: np.random.Generator) -> Floats:
    """Light and dark exchanged, in grey, as on a photographic plate."""
    grey = np.clip(luma(picture) * 1.5 * force**2, 0, 1)
    return np.repeat((0.97 - 0.92 * grey)[..., None], 3, axis=-1).astype(np.float32)


def engraving(picture: Floats, force: float, rng: np.random.Generator) -> Floats:
    """Parallel lines that swell in the shadows, bent by the forms, crossed where it is darkest."""
    grey = np.clip(blurred(luma(picture), 0.8), 0, 1)
    scale = _scale(picture) * force
    y, x = np.mgrid[0 : grey.shape[0], 0 : grey.shape[1]].astype(np.float32)
    bend = 6 * scale * blurred(grey, 4 * scale)
    first = 0.5 + 0.5 * np.cos(2 * np.pi * (0.35 * x + y + bend) / (3.4 * scale))
    second = 0.5 + 0.5 * np.cos(2 * np.pi * (x - 0.6 * y + bend) / (3.4 * scale))
    ink = np.clip((first - grey**0.8) * 4, 0, 1) + np.clip((second - grey * 2.4 - 0.1) * 4, 0, 1)
    sheet = np.clip(1 - 0.85 * ink - 0.5 * _edges(picture, scale), 0, 1)
    return floats(sheet[..., None] * np.array((0.98, 0.95, 0.88), np.float32))


def dots(picture: Floats, force: float, rng: np.random.Generator) -> Floats:
    """Pointillism: round touches of slightly varied colour on a ground of like tones, small ones over large ones."""
    scale = _scale(picture)
    canvas = saturate(blurred(picture, 6 * scale), 0.8)
    height, width = picture.shape[:2]
    smooth = blurred(picture, scale)
    for radius, density in ((3.6 * scale * force, 4.5), (2.2 * scale * force, 1.8)):
        count = int(density * height * width / (np.pi * radius**2))
        centres = (rng.random((count, 2)) * (height, width)).astype(np.intp)
        touches = smooth[centres[:, 0], centres[:, 1]] + rng.normal(0, 0.05 * force, (count, 3))
        owner = np.zeros((height, width), np.intp)
        owner[centres[:, 0], centres[:, 1]] = np.arange(1, count + 1)
        distance, nearest = ndimage.distance_transform_edt(owner == 0, return_indices=True)
        covered = distance <= radius * 0.92
        chosen = owner[nearest[0], nearest[1]] - 1
        canvas[covered] = saturate(np.clip(touches, 0, 1)[None].astype(np.float32), 1.3)[0][chosen[covered]]
    return in_range(canvas)


def ink_wash(picture: Floats, force: float, rng: np.random.Generator) -> Floats:
    """Diluted black ink on warm paper: broad greys, dark accents, a trace of the colours."""
    scale = _scale(picture)
    wash = _kuwahara(picture, round(3 * scale * force))
    grey = np.clip(luma(wash), 0, 1)
    tone = np.clip(0.16 + 0.9 * grey**0.75, 0, 1) - 0.55 * force * np.clip(_edges(wash, scale), 0, 0.7)
    cloud = blurred(rng.standard_normal(grey.shape).astype(np.float32), 10 * scale)
    tone = np.clip(tone + 0.025 * cloud / max(float(cloud.std()), 1e-6), 0.04, 1)
    inked = tone[..., None] * np.array((0.985, 0.965, 0.92), np.float32)
    return mixed(inked.astype(np.float32), saturate(wash, 0.6) * tone[..., None], 0.25 / force)


STYLES: dict[str, Style] = {
    "pencil": pencil,
    "oil": oil,
    "watercolour": watercolour,
    "poster": poster,
    "blueprint": blueprint,
    "sepia": sepia,
    "negative": negative,
    "engraving": engraving,
    "dots": dots,
    "ink": ink_wash,
}


def _scale(picture: Floats) -> float:
    return float(max(picture.shape[:2]) / FINE)


def _strokes(shape: tuple[int, ...], scale: float, rng: np.random.Generator) -> Floats:
    """Slanted streaks, about -1 to 1."""
    noise = rng.standard_normal(shape).astype(np.float32)
    length = max(5, round(13 * scale))
    slanted = ndimage.convolve(noise, np.eye(length, dtype=np.float32)[::-1] / length, mode="reflect")
    streaks: Floats = np.clip(slanted / max(float(slanted.std()), 1e-6) / 1.5, -1, 1)
    return streaks


def _edges(picture: Floats, width: float) -> Floats:
    """Strength of the lines, 0 to about 1: the gradient of the slightly blurred brightness."""
    grey = blurred(luma(picture), width)
    gradient = np.hypot(ndimage.sobel(grey, axis=0), ndimage.sobel(grey, axis=1))
    return floats(gradient / max(float(np.percentile(gradient, 98)), 0.05) * 0.8)


def _kuwahara(picture: Floats, radius: int) -> Floats:
    """Each pixel takes the mean of the calmest of the four squares that meet in it (Kuwahara et al. 1976)."""
    size = max(radius, 1) + 1
    grey = luma(picture)
    mean = ndimage.uniform_filter(picture, (size, size, 1), mode="reflect")
    variance = (
        ndimage.uniform_filter(grey**2, size, mode="reflect") - ndimage.uniform_filter(grey, size, mode="reflect") ** 2
    )
    reach = size // 2
    shifts = [(row, column) for row in (-reach, reach) for column in (-reach, reach)]
    calm = np.stack([_shifted(variance, shift) for shift in shifts]).argmin(axis=0)
    squares = np.stack([_shifted(mean, shift) for shift in shifts])
    chosen: Floats = np.take_along_axis(squares, calm[None, ..., None], axis=0)[0]
    return chosen.astype(np.float32)


def _shifted(array: Floats, shift: tuple[int, int]) -> Floats:
    pad = ((abs(shift[0]),) * 2, (abs(shift[1]),) * 2) + ((0, 0),) * (array.ndim - 2)
    padded = np.pad(array, pad, mode="edge")
    rows, columns = abs(shift[0]) + shift[0], abs(shift[1]) + shift[1]
    window: Floats = padded[rows : rows + array.shape[0], columns : columns + array.shape[1]]
    return window


def _palette(picture: Floats, count: int, rng: np.random.Generator) -> Floats:
    """The picture's main colours by k-means on a sample, (count, 3)."""
    pixels = picture.reshape(-1, 3)
    sample = pixels[rng.integers(len(pixels), size=4000)]
    colours = sample[:1]
    while len(colours) < count:  # each next start is the colour farthest from all before it: no hue is missed
        colours = np.concatenate([colours, sample[_distance(sample, colours).min(axis=1).argmax()][None]])
    for _ in range(12):
        label = _distance(sample, colours).argmin(axis=1)
        colours = np.stack(
            [sample[label == i].mean(axis=0) if (label == i).any() else colours[i] for i in range(count)]
        )
    return floats(colours[np.argsort(luma(floats(colours)))])


def _most_common(labels: NDArray[np.intp], count: int, width: float) -> NDArray[np.intp]:
    """Each pixel takes the label that rules around it: no specks."""
    votes = [blurred(floats(labels == label), width) for label in range(count)]
    return np.asarray(np.stack(votes).argmax(axis=0), np.intp)


def _distance(pixels: Floats, colours: Floats) -> Floats:
    """Squared, (..., pixels, colours)."""
    return floats(((pixels[..., None, :] - colours) ** 2).sum(axis=-1))
