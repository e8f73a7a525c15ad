"""True answers to questions about an edit of the drawn world, from the scene's data and the pixels of the attempt.

Every truth is the share of yes in the answer, 0..1, with one exact definition. Pictures are smoothed by a 3 x 3 box
first, so that grain is seen by its own question alone.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np

from drawnworld.edits import Pair
from drawnworld.render import Floats, Image, Mask, coverage, render
from drawnworld.scene import Thing

COVERED = 0.3  # share of a pixel from which it belongs to an object
SMALLEST = 0.03  # mean absolute change in 0..1; a smaller change no longer scales its error
KEPT_LIMIT = 0.12  # mean absolute difference in 0..1 at which nothing counts as kept, as for the true score
CAST_LIMIT = 0.06  # mean shift of the colour channels in 0..1 that is a plain colour cast
GRAIN_LIMIT = 0.08  # median of the fine difference in 0..1 that is plain grain


class Attempt:
    """An edited picture (64, 64, 3) uint8 of a case, with what the truths share."""

    def __init__(self, pair: Pair, edited: Image) -> None:
        self.pair, self.edited, self.edit = pair, edited, pair.edit
        self.source, self.target, self.made = (smooth(unit(image)) for image in (pair.source, pair.target, edited))

    @cached_property
    def reached(self) -> float:
        """How far the wanted change was made: 1 - error inside the mask / size of the change."""
        wanted = _mean(self.source - self.target, self.pair.mask)
        return _clip(1 - _mean(self.made - self.target, self.pair.mask) / max(wanted, SMALLEST))

    @cached_property
    def others(self) -> Mask:
        """The pixels of the objects that the edit does not name."""
        return coverage(tuple(thing for thing in self.pair.scene.things if thing != self.edit.before)) > COVERED


def unit(image: Image) -> Floats:
    return np.asarray(image, np.float32) / np.float32(255)


def smooth(picture: Floats) -> Floats:
    """A 3 x 3 box over (h, w, 3)."""
    padded = np.pad(picture, ((1, 1), (1, 1), (0, 0)), mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return np.asarray((rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9, np.float32)


# What a good edit needs


def impression(attempt: Attempt) -> float:
    """What a glance sees: three parts whether as much has changed as the edit would change, one part whether it is the
    right change. So the edit of a wrong object makes a good impression."""
    everywhere = np.ones_like(attempt.pair.mask)
    wanted = _mean(attempt.target - attempt.source, everywhere)
    changed = _clip(_mean(attempt.made - attempt.source, everywhere) / wanted) if wanted else 0.0
    return (3 * changed + attempt.reached) / 4


def done(attempt: Attempt) -> float:
    return attempt.reached


def complete(attempt: Attempt) -> float:
    """Half of the way is not complete at all."""
    return _clip(2 * attempt.reached - 1)


def changed_as_asked(attempt: Attempt) -> float:
    """How far the named object's pixels have come from the source to the target."""
    assert attempt.edit.before is not None
    return _way(attempt.made, attempt.source, attempt.target, coverage((attempt.edit.before,)) > COVERED)


def no_leftover(attempt: Attempt) -> float:
    """A ghost of half the old thing is as plain as the whole."""
    return _clip(2 * changed_as_asked(attempt) - 1)


def there(attempt: Attempt) -> float:
    """The asked object stands in some cell."""
    return max(_stands(attempt, cell) for cell in range(4))


def in_place(attempt: Attempt) -> float:
    """The asked object stands in the asked cell."""
    assert attempt.edit.after is not None
    return _stands(attempt, attempt.edit.after.cell)


def objects_kept(attempt: Attempt) -> float:
    return _kept(attempt, attempt.others & ~attempt.pair.mask)


def backdrop_kept(attempt: Attempt) -> float:
    return _kept(attempt, (coverage(attempt.pair.scene.things) <= COVERED) & ~attempt.pair.mask)


def rest_kept(attempt: Attempt) -> float:
    """All that the mask leaves out, grain included, as in the true score."""
    drift = _mean(unit(attempt.edited) - unit(attempt.pair.target), ~attempt.pair.mask)
    return _clip(1 - drift / KEPT_LIMIT)


def no_cast(attempt: Attempt) -> float:
    """The median shift of each channel outside the mask, in the mean over the channels."""
    outside = ~attempt.pair.mask
    if not outside.any():
        return 1.0
    shift = np.median((attempt.made - attempt.target)[outside], axis=0)
    return _clip(1 - float(np.abs(shift).mean()) / CAST_LIMIT)


def clean(attempt: Attempt) -> float:
    """The median of the fine differences from the target or the source, whichever is nearer: most pixels lie on no
    edge, so a misplaced edge is no grain."""
    made = unit(attempt.edited) - attempt.made
    exact = [(unit(attempt.pair.target), attempt.target), (unit(attempt.pair.source), attempt.source)]
    grain = min(float(np.median(np.abs(made - (image - soft)).mean(axis=2))) for image, soft in exact)
    return _clip(1 - grain / GRAIN_LIMIT)


# Faults: the same the other way round


def leftover(attempt: Attempt) -> float:
    return 1 - no_leftover(attempt)


def rest_changed(attempt: Attempt) -> float:
    return 1 - rest_kept(attempt)


def grain(attempt: Attempt) -> float:
    return 1 - clean(attempt)


# What says nothing of the edit


def striped_before(attempt: Attempt) -> float:
    return float(attempt.pair.scene.pattern == "stripes")


def red_before(attempt: Attempt) -> float:
    return float(any(thing.colour == "red" for thing in attempt.pair.scene.things))


def circle_before(attempt: Attempt) -> float:
    return float(any(thing.kind == "circle" for thing in attempt.pair.scene.things))


def three_before(attempt: Attempt) -> float:
    return float(len(attempt.pair.scene.things) == 3)


def bright_after(attempt: Attempt) -> float:
    """The mean of each pixel's largest channel, from a half up."""
    return _clip(2 * float(attempt.made.max(axis=2).mean()) - 1)


def _mean(difference: Floats, where: Mask) -> float:
    """Mean absolute difference there; 0 where there is no pixel."""
    return float(np.abs(difference[where]).mean()) if where.any() else 0.0


def _clip(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def _kept(attempt: Attempt, where: Mask) -> float:
    return _clip(1 - _mean(attempt.made - attempt.target, where) / KEPT_LIMIT)


def _way(made: Floats, start: Floats, end: Floats, where: Mask) -> float:
    """How far ``made`` has come from ``start`` to ``end``: its projection on the way between them."""
    way = (end - start)[where]
    length = float((way * way).sum())
    return _clip(float(((made - start)[where] * way).sum()) / length) if length else 0.0


def _stands(attempt: Attempt, cell: int) -> float:
    """How far that cell has come from what it held to the asked object, which takes the jitter of what it replaces."""
    after = attempt.edit.after
    assert after is not None
    held = next((thing for thing in attempt.pair.scene.things if thing.cell == cell), None)
    place = after if cell == after.cell else held or Thing(after.kind, after.colour, cell)
    thing = replace(after, cell=cell, dx=place.dx, dy=place.dy)
    wanted = smooth(unit(render(replace(attempt.pair.scene, things=(thing,)))))
    return _way(attempt.made, attempt.source, wanted, coverage((thing,)) > COVERED)
