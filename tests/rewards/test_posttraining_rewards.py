"""From judges' answers to rewards."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.judging.digits import expected_score
from tests.golden import posttraining
from training.posttraining.rewards import Answer, RewardSpec, WrongReward, combine

GOLDEN = posttraining()


@dataclass(frozen=True)
class Said:
    mu: float
    sigma: float | None = None
    low: float = 0.0
    high: float = 5.0


def answers(*scores: float | None) -> list[Answer | None]:
    return [None if score is None else Said(score) for score in scores]


ONE_GROUP = np.zeros(4, dtype=np.int64)
SPEC = RewardSpec()


def test_it_works() -> None:
    found = combine(SPEC, {"judge": answers(2.5, 5.0, None, 0.0)}, ONE_GROUP)
    assert found == pytest.approx([0.5, 0.9933, math.nan, 0.0067], abs=1e-4, nan_ok=True)


def test_the_map() -> None:
    told = GOLDEN["reward_map"]
    assert SPEC.map(np.array(told["s"])) == pytest.approx(told["r"], rel=1e-4)
    assert np.array(SPEC.curve(11)) == pytest.approx(np.array([told["s"], told["r"]]).T, rel=1e-4)
    near = np.array(told["s"])
    slope = (SPEC.map(near + 1e-6) - SPEC.map(near - 1e-6)) / 2e-6
    assert slope == pytest.approx(told["dr_ds"], rel=1e-4)
    assert replace(SPEC, alpha=100.0, beta=500.0).map(np.array([0.0, 5.0])).tolist() == [pytest.approx(0), 0.5]


def test_a_judge_that_tells_probabilities() -> None:
    """A released recipe rewards with the expected score over 5; here the same score comes from the digits' own
    probabilities, and a straight map is the reader's to choose."""
    told = GOLDEN["judge_expected_score"]
    for logits, wanted, reward in zip(
        told["logits_of_tokens_0..5"], told["expected_0_5"], told["edit_r1_reward(/5)"], strict=True
    ):
        rows = np.array(logits) - np.log(np.sum(np.exp(logits)))
        written = int(np.argmax(rows))
        tops = [{"token": str(digit), "logprob": float(row)} for digit, row in enumerate(rows)]
        place = {"token": str(written), "logprob": float(rows[written]), "top_logprobs": tops}
        before, after = ({"token": text, "logprob": 0.0, "top_logprobs": list[Any]()} for text in ('{"score": ', "}"))
        found = expected_score({"content": [before, place, after]}, 0, 5, float(written))
        assert found is not None and found.score == pytest.approx(wanted, rel=1e-4)
        assert found.score / 5 == pytest.approx(reward, rel=1e-4)


def test_other_scales_and_doubt() -> None:
    hundred: list[Answer | None] = [Said(50, None, 0, 100), Said(100, None, 0, 100)]
    signed: list[Answer | None] = [Said(0, None, -1, 1), Said(1, None, -1, 1)]
    groups = np.zeros(2, dtype=np.int64)
    assert combine(SPEC, {"a": hundred}, groups) == pytest.approx(combine(SPEC, {"a": signed}, groups))
    assert combine(SPEC, {"a": hundred}, groups) == pytest.approx(SPEC.map(np.array([2.5, 5.0])))
    careful = RewardSpec(k=2.0)
    doubting: list[Answer | None] = [Said(80, 10, 0, 100), Said(80, None, 0, 100)]
    assert combine(careful, {"a": doubting}, groups) == pytest.approx(SPEC.map(np.array([3.0, 4.0])))


def test_several_judges_and_one_that_is_silent() -> None:
    spec = RewardSpec(weights={"a": 3.0, "b": 1.0, "c": 0.0})
    judged = {"a": answers(4.0, 4.0, None, 2.0), "b": answers(0.0, None, 1.0, 2.0), "c": answers(None, 5.0, None, None)}
    found = combine(spec, judged, ONE_GROUP)
    assert found == pytest.approx(SPEC.map(np.array([3.0, math.nan, math.nan, 2.0])), nan_ok=True)
    even = combine(SPEC, {"a": answers(4.0), "b": answers(1.0)}, ONE_GROUP[:1])
    assert even == pytest.approx([0.5])


def test_the_share_of_its_group_that_it_beats() -> None:
    groups = np.array([7, 7, 7, 7, 3, 3, 5])
    judged = {"a": answers(1.0, 3.0, 3.0, None, 0.5, 4.0, 2.0)}
    found = combine(RewardSpec(win_rate=True), judged, groups)
    assert found == pytest.approx([0.0, 0.75, 0.75, math.nan, 0.0, 1.0, 0.5], nan_ok=True)


def test_preservation_beside_the_judges() -> None:
    judged, groups = {"a": answers(2.5, 2.5, 2.5, 2.5)}, ONE_GROUP
    decibels = np.array([15.0, 25.0, math.inf, math.nan])
    added = combine(RewardSpec(preservation=0.4), judged, groups, decibels)
    assert added == pytest.approx([0.3, 0.5, 0.7, 0.5])
    times = combine(RewardSpec(preservation=0.5, form="times"), judged, groups, decibels)
    assert times == pytest.approx([0.0, 0.5 * math.sqrt(0.5), 0.5, 0.5])
    silent = combine(RewardSpec(preservation=0.4), {"a": answers(None, 2.5)}, groups[:2], decibels[:2])
    assert silent == pytest.approx([math.nan, 0.5], nan_ok=True)  # what is preserved is no judgement
    for missing in (None, decibels[:2]):
        with pytest.raises(ValueError, match="must be told for each sample"):
            combine(RewardSpec(preservation=0.4), judged, groups, missing)


def test_what_cannot_be_combined() -> None:
    with pytest.raises(ValueError, match="No judge with a weight above 0"):
        combine(RewardSpec(weights={"a": 0.0, "b": 1.0}), {"a": answers(1.0)}, ONE_GROUP[:1])
    with pytest.raises(ValueError, match="one answer for each sample"):
        combine(SPEC, {"a": answers(1.0)}, ONE_GROUP)
    broken: list[Answer | None] = [Said(math.nan), Said(3, None, 1, 1), Said(3, math.inf)]
    assert np.isnan(combine(RewardSpec(k=1.0), {"a": broken}, ONE_GROUP[:3])).all()


def test_json() -> None:
    spec = RewardSpec(alpha=3.0, k=1.0, weights={"a": 2.0}, win_rate=True, preservation=0.2, form="times")
    assert RewardSpec.from_json(spec.to_json()) == spec
    assert RewardSpec.from_json({}) == SPEC


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"gamma": 1}, "no setting gamma. Its settings are: alpha, beta"),
        ([], "must be an object"),
        ({"alpha": 0}, "alpha must be a number from 0.01 to 100; it is 0"),
        ({"beta": True}, "beta must be a number"),
        ({"k": -1}, "k must be"),
        ({"k": math.nan}, "k must be"),
        ({"weights": {"a": -1}}, "a number from 0 to 1000 for each judge"),
        ({"weights": [1]}, "for each judge"),
        ({"weights": {"a": 0, "b": 0}}, "All judges have the weight 0"),
        ({"win_rate": 1}, "true or false"),
        ({"preservation": 2}, "preservation must be"),
        ({"form": "max"}, "one of add, times"),
        ({"preserved_low": 40}, "preserved_high must be above preserved_low"),
    ],
)
def test_refusals(value: Any, words: str) -> None:
    with pytest.raises(WrongReward, match=words):
        RewardSpec.from_json(value)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_missing_answer_changes_no_other_reward(data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 10))
    scores = data.draw(st.lists(st.floats(0, 5), min_size=count, max_size=count))
    gone = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    groups = np.array(data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count)))
    spec = RewardSpec(win_rate=data.draw(st.booleans()))
    judged = {"a": answers(*(None if lost else score for score, lost in zip(scores, gone, strict=True)))}
    found = combine(spec, judged, groups)
    left = [place for place in range(count) if not gone[place]]
    assert np.isnan(found[gone]).all()
    if left:
        without = combine(spec, {"a": answers(*(scores[place] for place in left))}, groups[left])
        assert found[left] == pytest.approx(without)
        assert ((without >= 0) & (without <= 1)).all()
