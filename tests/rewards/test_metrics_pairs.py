"""Accuracies of pairs and tuples, sides, reliability: by hand and by brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from training.rewards.accuracy import (
    Pairs,
    best_threshold,
    right_with_ties,
    side_gap,
    sides,
    strict_tuples,
    tuned_ties,
    tuples_of,
    with_ties,
    without_ties,
)
from training.rewards.estimates import Resampling
from training.rewards.reliability import curve, negative_log_likelihood, spread_of, win_probability

SHORT = Resampling(resamples=100)


def pairs(difference: list[float], outcome: list[int], source: list[int] | None = None) -> Pairs:
    return Pairs(np.array(difference), np.array(outcome), np.array(source or range(len(outcome))))


FOUR = pairs([0.4, -0.1, 0.05, 0.0], [1, 1, 0, -1])


def test_three_accuracies_of_the_same_pairs() -> None:
    """Decided: right, wrong, equal. At 0.1: right, called a tie, a tie, called a tie."""
    assert without_ties(FOUR, SHORT).value == pytest.approx(1.5 / 3)
    assert without_ties(FOUR, SHORT, equal="wrong").value == pytest.approx(1 / 3)
    assert without_ties(FOUR, SHORT).skipped == 1
    assert [with_ties(FOUR, t, SHORT).value for t in (0, 0.05, 0.4)] == [0.25, 0.5, 0.25]
    assert best_threshold(FOUR.difference, FOUR.outcome) == (0.05, 0.5)


def test_each_accuracy_says_which_one_it_is() -> None:
    assert "half right" in without_ties(FOUR, SHORT).note
    assert "are wrong" in without_ties(FOUR, SHORT, equal="wrong").note
    assert "fixed before" in with_ties(FOUR, 0.1, SHORT).note
    assert "tuned on these labels" in tuned_ties(FOUR, SHORT).note


@pytest.mark.parametrize("threshold", [-0.1, math.nan])
def test_a_threshold_below_zero_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        with_ties(FOUR, threshold, SHORT)


levels = st.lists(st.tuples(st.integers(-4, 4), st.sampled_from([-1, 0, 1])), min_size=1, max_size=15)


@given(levels)
@settings(max_examples=60, deadline=None)
def test_the_best_threshold_equals_a_search(rows: list[tuple[int, int]]) -> None:
    difference, outcome = (np.array(column) for column in zip(*rows, strict=True))
    searched = [right_with_ties(difference, outcome, t).mean() for t in (0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 5)]
    threshold, accuracy = best_threshold(difference.astype(float), outcome)
    assert accuracy == pytest.approx(max(searched))
    assert right_with_ties(difference, outcome, threshold).mean() == pytest.approx(accuracy)


def test_a_frozen_threshold_is_not_better_than_a_tuned_one() -> None:
    """Tuning flatters: on noise the tuned figure is ahead of a threshold from other noise, in value and interval."""
    generator = np.random.default_rng(0)
    halves = [pairs(generator.normal(size=200).tolist(), generator.integers(-1, 2, 200).tolist()) for _ in range(2)]
    frozen = best_threshold(halves[0].difference, halves[0].outcome)[0]
    honest, flattering = with_ties(halves[1], frozen, SHORT), tuned_ties(halves[1], SHORT)
    assert honest.value < flattering.value
    assert flattering.low > honest.low


def test_tuning_draws_whole_sources() -> None:
    generator = np.random.default_rng(1)
    difference, outcome = generator.normal(size=30), generator.integers(-1, 2, 30)
    single = tuned_ties(pairs(difference.tolist(), outcome.tolist()), SHORT)
    nine = [np.repeat(column, 9).tolist() for column in (difference, outcome, np.arange(30))]
    copied = tuned_ties(pairs(*nine), SHORT)
    assert (single.value, single.low, single.high) == pytest.approx((copied.value, copied.low, copied.high))


@given(levels)
@settings(max_examples=30, deadline=None)
def test_turning_every_pair_changes_no_accuracy(rows: list[tuple[int, int]]) -> None:
    difference, outcome = (np.array(column) for column in zip(*rows, strict=True))
    one, turned = (Pairs(s * difference.astype(float), s * outcome, np.zeros(len(rows))) for s in (1, -1))
    few = Resampling(resamples=2)
    for figure in (without_ties, tuned_ties, lambda p, r: with_ties(p, 1.0, r)):
        assert figure(one, few).value == pytest.approx(figure(turned, few).value, nan_ok=True)


# Sides ---------------------------------------------------------------------------------------------------------------


def test_a_model_that_likes_the_left_has_a_gap() -> None:
    """It adds 2 to whatever is shown on the left; people's choice is at first with every second pair."""
    outcome = np.tile([1, -1], 200)
    swapped = sides(400, seed=0)
    assert 150 < swapped.sum() < 250 and (swapped == sides(400, seed=0)).all() and (swapped != sides(400, 1)).any()
    quality = outcome * 1.0
    leaning = Pairs(quality + np.where(swapped, -2.0, 2.0), outcome, np.arange(400))
    gap = side_gap(leaning, swapped, SHORT)
    assert gap.value == pytest.approx(1) and gap.n == 400
    fair = side_gap(Pairs(quality, outcome, np.arange(400)), swapped, SHORT)
    assert (fair.value, fair.low, fair.high) == (0, 0, 0)


def test_the_gap_by_hand() -> None:
    """People's choices: left, left, right, right, tie; right: yes, no, yes, half."""
    given_pairs = pairs([1, -1, 1, 0, 1], [1, 1, 1, -1, 0])
    gap = side_gap(given_pairs, np.array([False, False, True, False, True]), SHORT)
    assert gap.value == pytest.approx(0.5 - 0.75)
    assert (gap.n, gap.skipped) == (4, 1)


def test_without_a_choice_on_one_side_there_is_no_gap() -> None:
    assert math.isnan(side_gap(pairs([1, 1], [1, 1]), np.zeros(2, dtype=bool), SHORT).value)


# Tuples --------------------------------------------------------------------------------------------------------------


def strict(score: list[float], human: list[float], **how: object) -> float:
    members = np.arange(len(score))[None]
    column = np.zeros(len(score))
    columns = {"group": column, "source": column, "resampling": SHORT}
    return strict_tuples(np.array(score), np.array(human, dtype=float), members, **columns, **how).value


def test_a_tuple_is_right_only_if_every_pair_is() -> None:
    assert strict([4, 3, 2], [9, 5, 1]) == 1
    assert strict([4, 2, 3], [9, 5, 1]) == 0
    assert strict([4, 3, 3], [9, 5, 1]) == 0  # equal scores decide nothing
    assert strict([4, 3, 2, 1.5], [9, 5, 1, 2]) == 0


def test_ties_demanded_and_excluded() -> None:
    """People: A over B = C."""
    assert strict([4, 3, 2.5], [9, 5, 5], threshold=0.6) == 1
    assert strict([4, 3, 2.5], [9, 5, 5], threshold=0.2) == 0  # the tie is not predicted
    assert strict([4, 3, 2.5], [9, 5, 5], threshold=1.0) == 0  # and here neither is A over B
    assert strict([4, 3, 2.5], [9, 5, 5], ties="excluded") == 1
    assert strict([2.7, 3, 2.5], [9, 5, 5], ties="excluded") == 0
    assert math.isnan(strict([4, 3, 2], [5, 5, 5], ties="excluded"))
    assert strict([4, 4, 4], [5, 5, 5]) == 1


def test_a_tuple_with_a_member_that_nobody_judged_is_skipped() -> None:
    assert math.isnan(strict([4, 3, 2], [9, math.nan, 1]))


def test_tuples_of_a_group_count_as_one_group() -> None:
    """Ten triples of a group of five, all wrong, beside one right triple of three."""
    score = np.array([1, 2, 3, 4, 5, 3, 2, 1.0])
    human = np.array([5, 4, 3, 2, 1, 3, 2, 1.0])
    group = np.array([0] * 5 + [1] * 3)
    members = tuples_of(group, 3)
    assert members.shape == (11, 3)
    found = strict_tuples(score, human, members, group=group, source=group, resampling=SHORT)
    assert (found.value, found.n) == (0.5, 2)
    assert "11 tuples" in found.note


def test_large_groups_give_a_sample_of_their_tuples() -> None:
    members = tuples_of(np.zeros(23, dtype=int), 4, most=50, seed=1)
    assert members.shape == (50, 4)
    assert all(len(set(row)) == 4 for row in members.tolist())
    assert (members == tuples_of(np.zeros(23, dtype=int), 4, most=50, seed=1)).all()
    assert tuples_of(np.array([0, 0]), 3).shape == (0, 3)


# Reliability ---------------------------------------------------------------------------------------------------------


def simulated(count: int, claimed: float) -> tuple[Pairs, np.ndarray]:
    """Outcomes come from spread 1; the model claims another one."""
    generator = np.random.default_rng(0)
    difference = generator.normal(0, 1, count)
    outcome = np.where(difference + generator.normal(0, 1, count) > 0, 1, -1)
    return Pairs(difference, outcome, np.arange(count)), np.full(count, claimed)


def test_a_calibrated_model_lies_on_the_diagonal() -> None:
    given_pairs, spread = simulated(20_000, 1.0)
    found = curve(given_pairs, win_probability(given_pairs.difference, spread), SHORT)
    assert found.ece.value < 0.015
    assert np.abs(found.said - found.right).max() < 0.03
    assert found.n.sum() == 20_000 and found.edges.tolist() == pytest.approx(np.linspace(0.5, 1, 11))


def test_too_sure_and_too_modest_models_are_told_apart() -> None:
    sure, spread = simulated(4000, 0.2)
    found = curve(sure, win_probability(sure.difference, spread), SHORT)
    assert found.ece.low > 0.1 and (found.said > found.right)[found.n > 50].all()
    modest, spread = simulated(4000, 5.0)
    found = curve(modest, win_probability(modest.difference, spread), SHORT)
    assert found.ece.low > 0.1 and (found.said < found.right)[found.n > 50].all()


def test_the_curve_by_hand() -> None:
    """Two bins: 0.6 right and 0.6 (listed the other way round) wrong; 0.9 right; exactly ½ is half right."""
    given_pairs = pairs([1, -1, 1, 0, 1], [1, 1, 1, -1, 0])
    found = curve(given_pairs, np.array([0.6, 0.4, 0.9, 0.5, 0.7]), SHORT, bins=2)
    assert found.n.tolist() == [3, 1]
    assert found.said.tolist() == pytest.approx([1.7 / 3, 0.9])
    assert found.right.tolist() == pytest.approx([0.5, 1.0])
    assert found.ece.value == pytest.approx((3 * abs(1.7 / 3 - 0.5) + 0.1) / 4)
    assert (found.ece.n, found.ece.skipped) == (4, 1)


def test_the_curve_does_not_depend_on_who_is_listed_first() -> None:
    given_pairs, spread = simulated(300, 0.7)
    p = win_probability(given_pairs.difference, spread)
    turned = Pairs(-given_pairs.difference, -given_pairs.outcome, given_pairs.source)
    one, other = curve(given_pairs, p, SHORT), curve(turned, 1 - p, SHORT)
    assert one.ece == other.ece and one.right == pytest.approx(other.right, nan_ok=True)


def test_negative_log_likelihood_of_decided_pairs() -> None:
    given_pairs = pairs([0.5, -2.0, 30.0, 1.0], [1, 1, -1, 0])
    spread = spread_of(np.array([0.6] * 4), np.array([0.8] * 4))
    found = negative_log_likelihood(given_pairs, spread, SHORT)
    assert found.value == pytest.approx(-norm.logcdf([0.5, -2.0, -30.0]).mean())
    assert found.skipped == 1
