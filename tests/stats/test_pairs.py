"""Pairs, ties, wins, ranking scores, overall, and the cross-check against opinion scores."""

from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.stats.pairs import Pairs, cross_check, large_gaps_first, overall, preference_pairs, ranking_scores
from scoring.stats.ranks import rank_groups
from scoring.stats.table import Rankings
from tests.stats.test_ranks import group_of


def listed(pairs: Pairs) -> list[tuple[int, int, float]]:
    return list(zip(pairs.better.tolist(), pairs.worse.tolist(), pairs.gap.tolist(), strict=True))


def test_it_works() -> None:
    pairs, ties = preference_pairs(np.array([3, 2]), np.array([1.0, 2.5, 2.5, 1.0, 2.0]))
    assert listed(pairs) == [(0, 1, 1.5), (0, 2, 1.5), (3, 4, 1.0)]
    assert listed(ties) == [(1, 2, 0.0)]


@given(st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=7), min_size=1, max_size=6))
def test_pairs_equal_plain_loops(groups: list[list[int]]) -> None:
    groups = [sorted(group) for group in groups]
    sizes = np.array([len(group) for group in groups])
    pairs, ties = preference_pairs(sizes, np.array(list(chain.from_iterable(groups)), dtype=float))
    expected, start = [], 0
    for group in groups:
        expected += [(start + i, start + j, float(group[j] - group[i])) for i, j in combinations(range(len(group)), 2)]
        start += len(group)
    assert sorted(listed(pairs) + listed(ties)) == sorted(expected)
    assert (pairs.gap > 0).all()
    assert (ties.gap == 0).all()


def test_large_gaps_come_first_and_equal_ones_keep_their_order() -> None:
    pairs = Pairs(np.arange(4), np.arange(4) + 10, np.array([1.0, 3.0, 1.0, 2.0]))
    assert large_gaps_first(pairs).better.tolist() == [1, 3, 0, 2]


@pytest.mark.parametrize("seed", range(5))
def test_wins_are_counted_over_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    result = rank_groups(Rankings.from_rows(group_of(*rng.integers(1, 4, (3, 7)).astype(float).tolist())))
    pairs, ties = preference_pairs(result.panel.sizes, result.mean_rank)
    wins = np.bincount(pairs.better, minlength=7).astype(float)
    for side in (ties.better, ties.worse):
        wins += np.bincount(side, minlength=7) / 2
    assert result.wins.tolist() == wins.tolist()
    assert wins.sum() == 21


def test_ranking_scores_of_editors() -> None:
    scores = ranking_scores(np.array([0, 1, 2, 0, 1]), np.array([2.0, 0.5, 0.5, 1.0, 0.0]), 4)
    assert scores[:3].tolist() == [1.5, 0.25, 0.5]
    assert np.isnan(scores[3])


def test_overall_weights() -> None:
    found = overall([np.array([1.0, 5.0]), np.array([2.0, np.nan]), np.array([3.0, 5.0])])
    assert found[0] == pytest.approx(0.3 + 0.8 + 0.9)
    assert np.isnan(found[1])
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        overall([np.array([1.0])])


MOS = np.array([60.0, 70.0, 61.0, np.nan])
LOW, HIGH = MOS - 4, MOS + 4


def test_cross_check_finds_pairs_that_the_scores_contradict() -> None:
    pairs = Pairs(np.array([0, 1, 0, 0]), np.array([1, 0, 2, 3]), np.ones(4))
    found = cross_check(pairs, MOS, LOW, HIGH)
    assert found.inconsistent.tolist() == [True, False, False, False]
    assert found.checked.tolist() == [True, True, True, False]


def test_cross_check_with_touching_intervals_or_a_tolerance() -> None:
    pairs = Pairs(np.array([0]), np.array([1]), np.ones(1))
    assert not cross_check(pairs, MOS, MOS - 5, MOS + 5).inconsistent.any()
    assert cross_check(pairs, MOS, LOW, HIGH, tolerance=9.9).inconsistent.all()
    assert not cross_check(pairs, MOS, LOW, HIGH, tolerance=10.0).inconsistent.any()


def test_cross_check_without_intervals_says_nothing() -> None:
    pairs = Pairs(np.array([0]), np.array([1]), np.ones(1))
    unknown = np.full(4, np.nan)
    found = cross_check(pairs, MOS, unknown, unknown)
    assert not found.checked.any()
    assert not found.inconsistent.any()
