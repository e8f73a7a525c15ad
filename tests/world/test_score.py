"""The true score of the drawn world against its definition."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawnworld.edits import TASKS, draw_pair
from drawnworld.score import true_score

PAIR = draw_pair(4, 1, "remove")


def flat(value: int, shape: tuple[int, int] = (8, 8)) -> np.ndarray:
    return np.full((*shape, 3), value, np.uint8)


def test_the_exact_edit_scores_five_and_doing_nothing_scores_nothing() -> None:
    best = true_score(PAIR.source, PAIR.target, PAIR.mask, PAIR.target)
    assert (best.follow, best.keep, best.score) == (1, 1, 5)
    nothing = true_score(PAIR.source, PAIR.target, PAIR.mask, PAIR.source)
    assert (nothing.follow, nothing.keep, nothing.score) == (0, 1, 0)


def test_the_formula_by_hand() -> None:
    """Source 100, target 200 inside, edit 175 inside and off by 12 outside: follow 0.75, keep 1 - 12/255/0.12."""
    mask = np.zeros((8, 8), np.bool_)
    mask[:4] = True
    target, edited = flat(100), flat(112)
    target[:4], edited[:4] = 200, 175
    score = true_score(flat(100), target, mask, edited)
    assert score.follow == pytest.approx(0.75)
    assert score.keep == pytest.approx(1 - 12 / 255 / 0.12)
    assert score.score == pytest.approx(5 * sqrt(score.follow * score.keep))


def test_a_small_change_is_measured_against_the_floor() -> None:
    mask = np.ones((8, 8), np.bool_)
    score = true_score(flat(100), flat(101), mask, flat(100))  # nothing done, but only 1/255 was asked
    assert score.follow == pytest.approx(1 - 1 / 255 / 0.06)
    assert score.keep == 1  # the mask is the whole picture: there is nothing to keep


@given(st.integers(0, 10**6), st.sampled_from(TASKS), st.floats(0, 1), st.floats(0, 1))
def test_nearer_to_the_target_is_never_worse(index: int, task: str, first: float, second: float) -> None:
    pair = draw_pair(6, index, task)

    def mixture(share: float) -> float:
        mixed = np.round((1 - share) * pair.source + share * pair.target).astype(np.uint8)
        return true_score(pair.source, pair.target, pair.mask, mixed).score

    low, high = sorted((first, second))
    assert mixture(high) >= mixture(low) - 0.1  # rounding to bytes


@given(st.integers(0, 10**6), st.integers(0, 40))
def test_drift_outside_the_mask_costs_keep_alone(index: int, drift: int) -> None:
    pair = draw_pair(6, index, "remove")
    edited = pair.target.copy()
    outside = edited[~pair.mask].astype(int)
    moved = np.where(outside > 127, outside - drift, outside + drift)
    edited[~pair.mask] = moved
    score = true_score(pair.source, pair.target, pair.mask, edited)
    assert score.follow == 1
    assert score.keep == pytest.approx(max(0, 1 - drift / 255 / 0.12))


def test_other_sizes_work_and_wrong_shapes_are_refused() -> None:
    assert true_score(flat(0, (3, 5)), flat(9, (3, 5)), np.ones((3, 5), np.bool_), flat(9, (3, 5))).score == 5
    with pytest.raises(ValueError, match="Shapes differ"):
        true_score(PAIR.source, PAIR.target, PAIR.mask, flat(0))
    with pytest.raises(ValueError, match="Shapes differ"):
        true_score(PAIR.source, PAIR.target, PAIR.mask[:32], PAIR.target)
    with pytest.raises(ValueError, match="empty"):
        true_score(PAIR.source, PAIR.target, np.zeros_like(PAIR.mask), PAIR.target)
