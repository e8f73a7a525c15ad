"""Pairs and best examples for training without sampling, and gains over cases."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.posttraining.figures import NO_PAIRS, gain, win_rate
from training.posttraining.pairs import Example, global_pairs, self_pairs, top_share
from training.rewards.estimates import Resampling


def case(name: str, scores: Sequence[float], task: str = "add", ranks: Sequence[float] = ()) -> list[Example]:
    ranked = ranks or [math.nan] * len(scores)
    return [Example(name, f"{name}/{n}", task, *told) for n, told in enumerate(zip(scores, ranked, strict=True))]


def test_it_works() -> None:
    (pair,) = self_pairs(case("a", [0.3, 0.9, 0.1]))
    assert (pair.chosen.key, pair.rejected.key, pair.case, pair.task) == ("a/1", "a/2", "a", "add")


def test_self_pairs_drop_poor_cases_and_those_without_a_difference() -> None:
    nan = math.nan
    examples = (
        case("poor", [0.1, 0.19]) + case("same", [0.7, 0.7]) + case("one", [0.9, nan]) + case("good", [0.05, 0.2])
    )
    assert [pair.case for pair in self_pairs(examples, poor=0.2, half=False)] == ["good"]


def test_self_pairs_keep_the_better_half_of_each_task() -> None:
    examples = [one for n in range(5) for one in case(f"a{n}", [0.0, 0.5 + n / 100], "add")]
    examples += [one for n in range(2) for one in case(f"r{n}", [0.0, 0.9 + n / 100], "remove")]
    assert [pair.case for pair in self_pairs(examples)] == ["a2", "a3", "a4", "r1"]
    assert len(self_pairs(examples, half=False)) == 7


def test_self_pairs_of_too_little_difference_are_dropped() -> None:
    examples = case("near", [0.5, 0.6]) + case("far", [0.5, 0.9, 0.8]) + case("just", [0.25, 0.75])
    assert [pair.case for pair in self_pairs(examples, half=False, least_gap=0.4)] == ["far", "just"]
    assert len(self_pairs(examples, half=False)) == 3


def test_ties_go_to_the_smaller_key() -> None:
    (pair,) = self_pairs(case("a", [0.2, 0.8, 0.8, 0.2]))
    assert (pair.chosen.key, pair.rejected.key) == ("a/1", "a/0")
    equal = [one for name in "dcba" for one in case(name, [0.1, 0.6])]
    assert [pair.case for pair in self_pairs(equal)] == ["a", "b"]


def test_global_pairs_go_by_the_ranks_of_people() -> None:
    examples = case("a", [0.9, 0.4, 0.6], ranks=[2.0, 1.3, 2.7])
    examples += case("tied", [0.9, 0.1], ranks=[1.5, 1.5])
    examples += case("poor", [0.1, 0.15], ranks=[1, 2])
    examples += case("unscored", [math.nan] * 2, ranks=[2, 1])
    examples += case("unranked", [0.9, 0.1])
    found = global_pairs(examples, poor=0.2)
    assert [(pair.chosen.key, pair.rejected.key) for pair in found] == [
        ("a/1", "a/2"),
        ("unscored/1", "unscored/0"),
    ]


def test_the_best_share_of_each_task() -> None:
    examples = case("a", [n / 10 for n in range(10)]) + case("r", [0.1, 0.2], "remove") + case("x", [math.nan], "swap")
    assert [one.key for one in top_share(examples, 0.3)] == ["a/7", "a/8", "a/9", "r/1"]
    assert len(top_share(case("many", [n / 100 for n in range(100)]), 0.07)) == 7
    assert len(top_share(examples, 1)) == 12
    for share in (0, 1.1):
        with pytest.raises(ValueError, match="above 0 and at most 1"):
            top_share(examples, share)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["add", "remove"]), st.floats(0, 1)), max_size=25),
    st.randoms(),
)
def test_the_order_of_the_examples_is_of_no_matter(rows: list[tuple[int, str, float]], chance: random.Random) -> None:
    examples = [
        Example(f"{task}{name}", f"{n:02}", task, score, rank=round(score * 4))
        for n, (name, task, score) in enumerate(rows)
    ]
    mixed = chance.sample(examples, len(examples))
    assert self_pairs(examples) == self_pairs(mixed)
    assert global_pairs(examples) == global_pairs(mixed)
    assert top_share(examples, 0.4) == top_share(mixed, 0.4)
    every = {pair.case: pair for pair in self_pairs(examples, poor=0, half=False)}
    for name in {one.case for one in examples}:
        scores = [one.score for one in examples if one.case == name]
        assert (name in every) == (max(scores) > min(scores))
        if name in every:
            assert (every[name].chosen.score, every[name].rejected.score) == (max(scores), min(scores))


# Gains ---------------------------------------------------------------------------------------------------------------


def test_gain_is_paired_over_cases() -> None:
    rng = np.random.default_rng(0)
    before = rng.uniform(0, 5, 200)
    after = before + 0.4 + rng.normal(0, 0.1, 200)
    found = gain(before, after)
    assert 0.35 < found.low < 0.4 < found.high < 0.45 and found.n == 200
    assert found.value == pytest.approx(float(np.mean(after - before)))
    assert gain(before, after) == found
    # Student's interval of the differences, which the bootstrap's must resemble at this number.
    half = 1.97 * float(np.std(after - before, ddof=1)) / math.sqrt(200)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.1)


def test_cases_of_one_source_are_drawn_together() -> None:
    rng = np.random.default_rng(1)
    source = np.repeat(np.arange(20), 10)
    before = np.zeros(200)
    after = 0.3 + np.repeat(rng.normal(0, 1, 20), 10)
    alone, together = gain(before, after), gain(before, after, source)
    assert together.value == pytest.approx(alone.value) and together.sources == 20
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_cases_without_both_scores_are_skipped_and_told() -> None:
    nan = math.nan
    found = gain(np.array([1.0, nan, 2.0, 3.0]), np.array([2.0, 1.0, nan, 3.0]), resampling=Resampling(50))
    assert (found.value, found.n, found.skipped) == (0.5, 2, 2)
    nothing = gain(np.array([nan]), np.array([1.0]))
    assert math.isnan(nothing.value) and nothing.why == NO_PAIRS
    with pytest.raises(ValueError, match="one score before and one after"):
        gain(np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match="one source for each case"):
        gain(np.zeros(2), np.zeros(2), np.zeros(3, dtype=np.int64))


def test_win_rate() -> None:
    after = np.array([1.0] * 7 + [0.0] * 2 + [-1.0] + [math.nan])
    found = win_rate(np.zeros(11), after)
    assert (found.share, found.n, found.wins, found.ties) == (0.8, 10, 7, 2)
    assert (found.low, found.high) == pytest.approx((0.49016, 0.94333), abs=1e-4)  # Wilson's of 8 of 10
    assert math.isnan(win_rate(np.zeros(1), np.array([math.nan])).share)
