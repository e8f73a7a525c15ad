"""Which cases are hard: the pure rules against what their words say."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.filtering.rules import (
    By,
    Rule,
    TaskRule,
    Verdict,
    bin_number,
    bins,
    cut_of,
    fingerprint,
    verdict,
)
from scoring.stats.levelmap import LevelMap

SCORES = st.floats(0, 5, allow_nan=False)


@st.composite
def knots(draw: st.DrawFn) -> list[list[float]]:
    """Level maps as a fit makes them: scores ascend, levels never fall."""
    scorer = sorted(draw(st.sets(st.integers(0, 500), min_size=2, max_size=12)))
    levels = sorted(draw(st.lists(st.integers(0, 500), min_size=len(scorer), max_size=len(scorer))))
    return [[a / 100, b / 100] for a, b in zip(scorer, levels, strict=True)]


def rule(threshold: float | None = 5, found: list[list[float]] | None = None) -> TaskRule:
    return TaskRule("v", "j", threshold, found)


def test_it_works() -> None:
    assert verdict([2, 5], rule(), By.BEST) == Verdict.DROPPED
    assert verdict([2, 5], rule(), By.MEAN) == Verdict.KEPT
    assert verdict([2, 4.9], rule(), By.BEST) == Verdict.KEPT
    assert verdict([], rule(), By.BEST) == Verdict.UNSCORED
    assert verdict([5], None, By.BEST) == Verdict.UNSCORED
    assert verdict([5], rule(None), By.BEST) == Verdict.KEPT


@given(st.lists(SCORES, min_size=1, max_size=6), SCORES, st.sampled_from(By))
def test_a_case_goes_if_and_only_if_its_score_reaches_the_threshold(
    scores: list[float], threshold: float, by: By
) -> None:
    level = max(scores) if by == By.BEST else math.fsum(scores) / len(scores)
    assert (verdict(scores, rule(threshold), by) == Verdict.DROPPED) == (level >= threshold)


@given(st.lists(SCORES, min_size=1, max_size=6), SCORES, SCORES)
def test_a_higher_threshold_drops_no_more(scores: list[float], one: float, other: float) -> None:
    low, high = sorted([one, other])
    for by in By:
        if verdict(scores, rule(high), by) == Verdict.DROPPED:
            assert verdict(scores, rule(low), by) == Verdict.DROPPED


@given(st.lists(SCORES, min_size=1, max_size=6), SCORES)
def test_by_the_mean_no_case_goes_that_stays_by_the_best(scores: list[float], threshold: float) -> None:
    if verdict(scores, rule(threshold + 1e-9), By.BEST) == Verdict.KEPT:
        assert verdict(scores, rule(threshold + 1e-9), By.MEAN) == Verdict.KEPT


@given(knots(), st.floats(0.01, 5), SCORES)
def test_the_cut_divides_where_the_level_map_reaches_the_threshold(
    found: list[list[float]], threshold: float, score: float
) -> None:
    cut = cut_of(threshold, found)
    level = float(LevelMap.from_json(found).apply([score])[()][0])
    if cut is None:
        assert level < threshold
    elif abs(level - threshold) > 1e-9 and (math.isinf(cut) or abs(score - cut) > 1e-9):
        assert (score >= cut) == (level >= threshold)


@given(knots())
def test_the_cut_at_a_knot_is_the_first_score_of_its_level(found: list[list[float]]) -> None:
    for _score, level in found:
        first = next(score for score, other in found if other == level)
        cut = cut_of(level, found)
        assert cut == (-math.inf if level == found[0][1] else first)


def test_without_a_level_map_the_threshold_is_the_cut() -> None:
    assert cut_of(4.5, None) == cut_of(4.5, []) == 4.5
    assert rule(None).cut is None


@pytest.mark.parametrize("wrong", [[[1, 2]], [[2, 1], [1, 2]], [[1, 3], [2, 1]], "x"])
def test_knots_that_are_no_level_map_are_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="level map"):
        cut_of(3, wrong)  # type: ignore[arg-type]


@given(st.dictionaries(st.sampled_from(["add", "swap"]), st.tuples(st.none() | SCORES, st.none() | knots())))
def test_a_rule_survives_json(tasks: dict[str, tuple[float | None, list[list[float]] | None]]) -> None:
    made = Rule(By.MEAN, False, {name: TaskRule("v", "j", *values) for name, values in tasks.items()})
    assert Rule.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_unscored_cases_stay_only_where_the_rule_says_so() -> None:
    assert Rule(By.BEST, True, {}).kept == (Verdict.KEPT, Verdict.UNSCORED)
    assert Rule(By.BEST, False, {}).kept == (Verdict.KEPT,)


@given(st.tuples(st.integers(0, 8), st.integers(1, 9)).filter(lambda ends: ends[0] < ends[1]), st.data())
def test_every_score_of_a_scale_is_in_one_bin(ends: tuple[int, int], data: st.DataObject) -> None:
    value = data.draw(st.floats(*ends))
    found = bins(*ends)
    one = found[bin_number(value)]
    assert one.low <= value
    assert value == ends[1] if one.high is None else value < one.high
    assert len(found) == (ends[1] - ends[0]) * 2 + 1


def test_the_fingerprint_knows_cases_not_their_order() -> None:
    assert fingerprint(["a", "b"]) == fingerprint(["b", "a"]) != fingerprint(["ab"])
