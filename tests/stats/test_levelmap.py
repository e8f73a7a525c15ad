"""The monotone map of levels: the best of all monotone maps, kept and read back, and every refusal."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from scoring.stats.grouped import Floats
from scoring.stats.levelmap import LevelMap, fit


def pooled(human: Floats, scorer: Floats) -> Floats:
    """Pool adjacent violators on the means of ties, block by block; the level of each row."""
    scores = np.unique(scorer)
    blocks = [[human[scorer == score]] for score in scores]
    at = 0
    while at + 1 < len(blocks):
        if np.concatenate(blocks[at]).mean() > np.concatenate(blocks[at + 1]).mean():
            blocks[at] += blocks.pop(at + 1)
            at = max(at - 1, 0)
        else:
            at += 1
    level = [np.concatenate(block).mean() for block in blocks for _ in block]
    return np.array(level)[np.searchsorted(scores, scorer)]


def test_it_works() -> None:
    found = fit(np.array([1.0, 2, 1, 4, 5]), np.array([3.0, 3.5, 4, 4.5, 5]))
    assert found.to_json() == [[3, 1], [3.5, 1.5], [4, 1.5], [4.5, 4], [5, 5]]
    assert found.apply(np.array([3, 3.75, 4.25, 5])).tolist() == [1, 1.5, 2.75, 5]
    assert (found.identity, found.flat) == (False, False)


ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 8)), min_size=3, max_size=40)


@given(ROWS)
@settings(max_examples=150, deadline=None)
def test_it_equals_pooled_adjacent_violators(rows: list[tuple[int, int]]) -> None:
    human, scorer = np.array(rows, dtype=float).T
    found = fit(human, scorer)
    if np.unique(scorer).size < 3:
        assert found.identity
    else:
        assert_allclose(found.apply(scorer), pooled(human, scorer), atol=1e-9)


@given(ROWS, st.lists(st.floats(-20, 20), min_size=2, max_size=30))
@settings(max_examples=80, deadline=None)
def test_it_never_turns_two_scores_round_and_stays_in_peoples_range(
    rows: list[tuple[int, int]], new: list[float]
) -> None:
    human, scorer = np.array(rows, dtype=float).T
    found = fit(human, scorer)
    mapped = found.apply(np.sort(new))
    assert (np.diff(mapped) >= -1e-12).all()
    if not found.identity:
        assert human.min() - 1e-9 <= mapped.min() <= mapped.max() <= human.max() + 1e-9
    assert LevelMap.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_it_takes_the_bias_away() -> None:
    rng = np.random.default_rng(0)
    human = rng.uniform(0, 5, 300)
    scorer = np.clip(3 + human / 4 + rng.normal(0, 0.1, 300), 0, 5)
    mapped = fit(human, scorer).apply(scorer)
    assert abs((mapped - human).mean()) < 1e-9
    assert np.abs(mapped - human).mean() < 0.5 * np.abs(scorer - human).mean()


def test_a_scorer_that_falls_with_people_gets_a_flat_map() -> None:
    human = np.arange(6.0)
    found = fit(human, -human)
    assert found.flat
    assert found.to_json() == [[-5, 2.5], [0, 2.5]]


@pytest.mark.parametrize("scorer", [[], [1.0], [2.0, 2, 2, 2], [1.0, 2, 2, np.nan]])
def test_fewer_than_three_scores_change_nothing(scorer: list[float]) -> None:
    found = fit(np.arange(float(len(scorer))), np.array(scorer))
    assert found.identity
    assert not found.flat
    assert found.to_json() == []
    assert LevelMap.from_json([]) == found
    assert found.apply(np.array([-1, 9.5])).tolist() == [-1, 9.5]


def test_rows_without_a_score_are_left_out_and_stay_without() -> None:
    human, scorer = np.array([0.0, 1, 2, 3, np.nan]), np.array([1.0, 2, 3, np.nan, 4])
    found = fit(human, scorer)
    assert found.to_json() == [[1, 0], [2, 1], [3, 2]]
    assert np.isnan(found.apply(scorer)).tolist() == [False, False, False, True, False]


@pytest.mark.parametrize(
    ("knots", "reason"),
    [
        (None, "a list of pairs"),
        ("[[1, 2], [3, 4]]", "a list of pairs"),
        ({"1": 2}, "a list of pairs"),
        ([[1, 2]], "at least two knots"),
        ([[1, 2], [3]], "Knot 2 .* is no pair"),
        ([[1, 2], 3], "Knot 2 .* is no pair"),
        ([[1, 2], "34"], "Knot 2 .* is no pair"),
        ([[1, 2], [3, "4"]], "Knot 2 .* is no pair"),
        ([[1, 2], [3, None]], "Knot 2 .* is no pair"),
        ([[True, 2], [3, 4]], "Knot 1 .* is no pair"),
        ([[1, float("nan")], [3, 4]], "Knot 1 .* is no pair"),
        ([[1, 2], [float("inf"), 4]], "Knot 2 .* is no pair"),
        ([[1, 2], [1, 3]], "Knot 2 .* must ascend"),
        ([[1, 2], [3, 4], [2, 5]], "Knot 3 .* must ascend"),
        ([[1, 2], [3, 4], [4, 3.9]], "Knot 3 .* must not fall"),
    ],
)
def test_broken_maps_are_refused(knots: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        LevelMap.from_json(knots)
