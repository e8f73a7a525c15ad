"""Filling a hole with texture from around it.

Coarse to fine, each pixel of the hole looks for the known patch that is most like its own surroundings, and takes the
weighted mean of the patches that cover it (Wexler, Shechtman, Irani, "Space-Time Completion of Video", PAMI 2007).
The search is the randomised one of Barnes et al., "PatchMatch", SIGGRAPH 2009: try the neighbours' finds and random
places near the own one. Patches are compared by their 24 largest principal components, for speed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.linalg import splu

from training.gpu.classical_ops.colour import Floats, floats

Bools = NDArray[np.bool_]
Ints = NDArray[np.intp]

PATCH = 7  # pixels a side
HALF = PATCH // 2
COMPONENTS = 24
COARSEST = 40  # pixels: the pyramid stops before the shorter side of the window falls below
NEARBY = 9  # pixels: how far the finest level still searches around what the coarser one found
LARGE = 200  # pixels: the shorter side from which a level trusts the coarser one
GRAIN = 0.7  # pixels; how narrow the last mixture is
FEWEST = 50  # patches to copy from; with fewer the fill is smooth
RIM_BLUR = 4.0  # pixels; how far tone differences along the rim are averaged
MOST_SHIFT = 0.1  # a larger difference at the rim is another object, not another tone
NEARNESS = 0.25  # weight of the distance to the found patch, against drifting to far places for no gain
NEIGHBOURS = ((0, 1), (1, 0), (0, -1), (-1, 0))


@dataclass(frozen=True, slots=True)
class Level:
    """One size of the picture: what is known, where the hole is, what may be copied."""

    known: Floats
    hole: Bools
    usable: Bools


@dataclass(frozen=True, slots=True)
class Sources:
    """What can be copied: patch centres (n, 2), each pixel's place among them or -1, and their features (n, c)."""

    centres: Ints
    number: Ints
    features: Floats
    basis: Floats


def fill_patches(picture: Floats, hole: Bools, rng: np.random.Generator, *, usable: Bools | None = None) -> Floats:
    """The picture with the hole filled; pixels outside the hole are unchanged.

    picture (h, w, 3) in 0..1, hole (h, w). ``usable`` (h, w) marks what may be copied; by default all but the hole.
    Where there is nothing to copy from, the fill is smooth.
    """
    if not hole.any():
        return picture
    free = ~hole if usable is None else usable & ~hole
    window = _window(hole | (free if usable is not None else False), hole)
    filled = _fill(Level(picture[window], hole[window], free[window]), rng)
    result = picture.copy()
    result[window] = np.where(hole[window][..., None], filled, picture[window])
    return np.clip(result, 0, 1)


def fill_smooth(picture: Floats, hole: Bools) -> Floats:
    """The hole filled by the harmonic surface through its rim (Laplace's equation). picture (h, w, channels)."""
    if not hole.any() or hole.all():
        return picture
    count = int(hole.sum())
    number = np.full((hole.shape[0] + 2, hole.shape[1] + 2), -2, np.intp)  # -2: beyond the picture, -1: known
    number[1:-1, 1:-1] = -1
    number[1:-1, 1:-1][hole] = np.arange(count)
    inside = np.argwhere(hole) + 1
    diagonal, right_side = np.zeros(count), np.zeros((count, picture.shape[-1]))
    rows, columns = [], []
    for step in NEIGHBOURS:
        beside = number[inside[:, 0] + step[0], inside[:, 1] + step[1]]
        diagonal += beside > -2
        unknown, rim = beside >= 0, beside == -1
        rows.append(np.flatnonzero(unknown))
        columns.append(beside[unknown])
        right_side[rim] += picture[tuple((inside[rim] + step - 1).T)]
    off = sparse.coo_matrix((-np.ones(sum(map(len, rows))), (np.concatenate(rows), np.concatenate(columns))))
    off.resize(count, count)
    solved = splu((sparse.diags(diagonal) + off).tocsc()).solve(right_side)
    result = picture.copy()
    result[hole] = solved
    return result


def _window(wanted: Bools, hole: Bools) -> tuple[slice, slice]:
    """The box of what is wanted, and enough around the hole to copy from."""
    rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    around = max(48, int(0.8 * max(np.ptp(rows), np.ptp(columns))))
    used_rows, used_columns = np.flatnonzero(wanted.any(axis=1)), np.flatnonzero(wanted.any(axis=0))
    top, left = max(rows[0] - around, 0), max(columns[0] - around, 0)
    return (
        slice(min(top, used_rows[0]), max(rows[-1] + around, used_rows[-1]) + 1),
        slice(min(left, used_columns[0]), max(columns[-1] + around, used_columns[-1]) + 1),
    )


def _fill(finest: Level, rng: np.random.Generator) -> Floats:
    levels = [finest]
    while min(levels[-1].hole.shape) / 2 >= COARSEST and len(levels) < 5:
        levels.append(_coarser(levels[-1]))
    current = fill_smooth(levels[-1].known, levels[-1].hole)
    found: Ints | None = None
    for level in reversed(levels):
        sources = _sources(level)
        if current.shape != level.known.shape:
            current = _doubled(current, level.hole.shape)
        current = np.where(level.hole[..., None], current, level.known)
        if sources is not None:
            current, found = _settled(level, sources, current, found, rng)
        elif level is finest:
            return fill_smooth(finest.known, finest.hole)
    return _grained(finest, _without_seam(finest, current), rng)


def _settled(
    level: Level, sources: Sources, current: Floats, found: Ints | None, rng: np.random.Generator
) -> tuple[Floats, Ints]:
    """Search and vote in turns. The hole and its rim as the patches would have them, and what was found, (h, w, 2).

    Where a coarser level has found places, the last and largest one only looks around them.
    """
    shape = level.hole.shape
    large = found is not None and min(shape) > LARGE
    targets = np.argwhere(ndimage.binary_dilation(level.hole, iterations=HALF))
    places = _start(found, targets, sources.centres, shape, rng)
    rounds = 2 if large else 5
    for turn in range(rounds):
        best, cost = _search(sources, (current, targets, places), NEARBY if large else max(shape) // 2, rng)
        voted = _vote(level, current, (targets, best, cost), GRAIN if turn == rounds - 1 else HALF)
        current = np.where(level.hole[..., None], voted, level.known)
        places = _spread(best, targets, shape)
    return voted, places


def _without_seam(level: Level, voted: Floats) -> Floats:
    """The fill, shifted smoothly so that its tone meets the rim: the patches also say what the rim should look like,
    and how far they are wrong there is spread over the hole."""
    error = level.known - voted
    rim = ndimage.binary_dilation(level.hole, iterations=HALF) & ~level.hole
    counted = floats(rim & (abs(error).max(axis=-1) < MOST_SHIFT))
    weight = ndimage.gaussian_filter(counted, RIM_BLUR)[..., None]
    smooth = ndimage.gaussian_filter(error * counted[..., None], (RIM_BLUR, RIM_BLUR, 0)) / (weight + 0.01)
    shift = fill_smooth(smooth.astype(np.float32), level.hole)
    return (voted + shift).astype(np.float32)


def _grained(level: Level, filled: Floats, rng: np.random.Generator) -> Floats:
    """The fill with as much fine noise as there is around the hole: means of patches lose some."""
    detail = abs(filled - ndimage.uniform_filter(filled, (3, 3, 1), mode="nearest")).mean(axis=-1)
    around = ndimage.binary_dilation(level.hole, iterations=4 * HALF) & ~ndimage.binary_dilation(
        level.hole, iterations=2
    )
    if not around.any():
        return filled
    missing = float(np.median(detail[around]) - np.median(detail[level.hole]))
    return filled + floats(rng.normal(0, 1, filled.shape) * min(max(1.2 * missing, 0.0), 0.03))


def _halved(array: NDArray[Any]) -> Floats:
    """Sums of 2 x 2 pixels."""
    sums: Floats = (array[::2, ::2] + array[1::2, ::2] + array[::2, 1::2] + array[1::2, 1::2]).astype(np.float32)
    return sums


def _coarser(level: Level) -> Level:
    """Half the size. A coarse pixel is hole, or unusable, if any of its four is."""
    height, width = level.hole.shape[0] // 2 * 2, level.hole.shape[1] // 2 * 2
    known = (~level.hole[:height, :width]).astype(np.float32)
    weight = np.maximum(_halved(known), 1e-6)
    small = _halved(level.known[:height, :width] * known[..., None]) / weight[..., None]
    usable = _halved(level.usable[:height, :width].astype(np.float32)) > 3.5
    return Level(small.astype(np.float32), _halved(1 - known) > 0, usable)


def _doubled(small: Floats, shape: tuple[int, ...]) -> Floats:
    rows = np.minimum(np.arange(shape[0]) // 2, small.shape[0] - 1)
    columns = np.minimum(np.arange(shape[1]) // 2, small.shape[1] - 1)
    doubled: Floats = small[rows][:, columns]
    return doubled


def _sources(level: Level) -> Sources | None:
    """What can be copied at that level, or None where it is too little to choose from."""
    whole = ndimage.binary_erosion(level.usable, np.ones((PATCH, PATCH), np.bool_))
    whole[:HALF] = whole[-HALF:] = whole[:, :HALF] = whole[:, -HALF:] = False
    centres = np.argwhere(whole)
    if len(centres) < FEWEST:
        return None
    number = np.full(whole.shape, -1, np.intp)
    number[whole] = np.arange(len(centres))
    view = _patches(level.known)
    some = centres[:: max(1, len(centres) // 4000)]
    sample = view[some[:, 0], some[:, 1]].reshape(len(some), -1)
    _, vectors = np.linalg.eigh(sample.T.astype(np.float64) @ sample)
    basis = vectors[:, -COMPONENTS:].astype(np.float32)
    return Sources(centres, number, _features(view, centres, basis), basis)


def _start(coarse: Ints | None, targets: Ints, centres: Ints, shape: tuple[int, ...], rng: np.random.Generator) -> Ints:
    """First finds: twice the coarser level's, or random ones. (h, w, 2), row and column of the patch to copy."""
    found = np.zeros((*shape, 2), np.intp)
    if coarse is None:
        found[targets[:, 0], targets[:, 1]] = centres[rng.integers(len(centres), size=len(targets))]
        return found
    at = np.minimum(targets // 2, np.array(coarse.shape[:2]) - 1)
    raised = coarse[at[:, 0], at[:, 1]] * 2 + targets % 2
    never = coarse[at[:, 0], at[:, 1]].sum(axis=1) == 0
    raised[never] = centres[rng.integers(len(centres), size=int(never.sum()))]
    found[targets[:, 0], targets[:, 1]] = raised
    return found


def _patches(picture: Floats) -> Floats:
    """A view of the patch around each pixel, (h, w, channels, PATCH, PATCH)."""
    padded = np.pad(picture, ((HALF, HALF), (HALF, HALF), (0, 0)), mode="reflect")
    return np.lib.stride_tricks.sliding_window_view(padded, (PATCH, PATCH), axis=(0, 1))


def _features(view: Floats, at: Ints, basis: Floats) -> Floats:
    """Principal components of the patches at those places, (n, COMPONENTS)."""
    result = np.empty((len(at), COMPONENTS), np.float32)
    for start in range(0, len(at), 20_000):  # in slices: all patches at once would take 147 floats a pixel
        some = at[start : start + 20_000]
        result[start : start + 20_000] = view[some[:, 0], some[:, 1]].reshape(len(some), -1) @ basis
    return result


def _search(
    sources: Sources, state: tuple[Floats, Ints, Ints], widest: int, rng: np.random.Generator
) -> tuple[Ints, Floats]:
    """PatchMatch from ``state`` (picture, targets, places found before), looking up to ``widest`` pixels around a find.

    The best place to copy from for each target, (n, 2), and the squared patch distance, (n,).
    """
    current, targets, found = state
    shape, centres = sources.number.shape, sources.centres
    wanted = _features(_patches(current), targets, sources.basis)
    limit = np.array(shape) - 1
    best = found[targets[:, 0], targets[:, 1]]
    cost = np.full(len(targets), np.inf, np.float32)
    nearness = NEARNESS / float(np.hypot(*shape))

    def consider(places: Ints) -> None:
        places = np.clip(places, 0, limit)
        row = sources.number[places[:, 0], places[:, 1]]
        difference = sources.features[np.maximum(row, 0)] - wanted
        new = np.einsum("nc,nc->n", difference, difference) + nearness * np.hypot(*(places - targets).T)
        better = (row >= 0) & (new < cost)
        best[better], cost[better] = places[better], new[better]

    consider(best.copy())
    for _ in range(3):
        for step in NEIGHBOURS:
            field = _spread(best, targets, shape)
            beside = np.clip(targets - step, 0, limit)
            consider(field[beside[:, 0], beside[:, 1]] + step)
        radius = float(widest)
        while radius >= 1:
            consider(best + rng.integers(-int(radius), int(radius) + 1, best.shape))
            radius /= 3
    lost = ~np.isfinite(cost)
    best[lost], cost[lost] = centres[rng.integers(len(centres), size=int(lost.sum()))], np.float32(1)
    return best, cost


def _spread(values: Ints, targets: Ints, shape: tuple[int, ...]) -> Ints:
    field = np.zeros((*shape, 2), np.intp)
    field[targets[:, 0], targets[:, 1]] = values
    return field


def _vote(level: Level, current: Floats, matches: tuple[Ints, Ints, Floats], reach: float) -> Floats:
    """Each pixel of the hole and its rim: the mean of what the patches that cover it propose, better matches weighing
    more, and patches centred near the pixel: the smaller ``reach`` (pixels), the more grain is kept."""
    targets, found, cost = matches
    height, width = level.hole.shape
    scale = float(np.percentile(cost, 50)) + 1e-5
    weight = np.exp(-cost / (2 * scale)).astype(np.float32) + np.float32(1e-4)
    total = np.zeros((height + 2 * HALF, width + 2 * HALF), np.float32)
    mixed = np.zeros((*total.shape, 3), np.float32)
    for row in range(-HALF, HALF + 1):
        for column in range(-HALF, HALF + 1):
            near = np.float32(np.exp(-(row**2 + column**2) / (2 * reach**2)))
            y, x = targets[:, 0] + row + HALF, targets[:, 1] + column + HALF
            total[y, x] += near * weight  # a shift maps different targets to different pixels: no index comes twice
            mixed[y, x] += near * weight[:, None] * current[found[:, 0] + row, found[:, 1] + column]
    total, mixed = total[HALF:-HALF, HALF:-HALF], mixed[HALF:-HALF, HALF:-HALF]
    voted = mixed / np.maximum(total, 1e-6)[..., None]
    return voted.astype(np.float32)
