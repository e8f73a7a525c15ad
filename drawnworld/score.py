"""The true score of the drawn world: how well an edit followed the instruction, and how well it kept the rest.

For tests, benchmarks and simulated annotators only. Wherever it is shown it is called "true score of the drawn world".
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

SMALLEST_CHANGE = 0.06  # mean absolute difference in 0 to 1; below it an edit's size no longer scales its error
DRIFT_LIMIT = 0.12  # mean absolute difference outside the mask at which nothing counts as kept


@dataclass(frozen=True, slots=True)
class TrueScore:
    """``follow`` and ``keep`` in 0 to 1, ``score`` = 5 sqrt(follow keep) in 0 to 5."""

    follow: float
    keep: float
    score: float


def true_score(
    source: NDArray[np.uint8], target: NDArray[np.uint8], mask: NDArray[np.bool_], edited: NDArray[np.uint8]
) -> TrueScore:
    """Score ``edited`` against the exact ``target``; images (h, w, 3) uint8, mask (h, w), True where the edit belongs.

    follow = 1 - error inside the mask / max(size of the change, 0.06); keep = 1 - error outside / 0.12; both clipped to
    0..1. An error is a mean absolute difference in 0..1. A mask of the whole picture leaves nothing to keep: keep is 1.
    Raises ValueError where the shapes differ or the mask is empty.
    """
    if not source.shape == target.shape == edited.shape or source.shape[:2] != mask.shape:
        raise ValueError(
            f"Shapes differ: source {source.shape}, target {target.shape}, mask {mask.shape}, edited {edited.shape}."
        )
    inside = mask.astype(np.bool_)
    if not inside.any():
        raise ValueError("The mask is empty: there is nothing to follow.")
    error = _mean_difference(edited, target, inside)
    size = max(_mean_difference(source, target, inside), SMALLEST_CHANGE)
    outside = ~inside
    drift = _mean_difference(edited, target, outside) if outside.any() else 0.0
    follow, keep = min(max(1 - error / size, 0.0), 1.0), min(max(1 - drift / DRIFT_LIMIT, 0.0), 1.0)
    return TrueScore(follow, keep, 5 * sqrt(follow * keep))


def _mean_difference(first: NDArray[np.uint8], second: NDArray[np.uint8], where: NDArray[np.bool_]) -> float:
    return float(np.abs(first[where].astype(np.int16) - second[where]).mean()) / 255
