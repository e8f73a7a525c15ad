"""A reward model behind the judge protocol: one pass a group, scores on the request's scale, and what is refused."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scoring.judging.contract import JudgeError, Reply, Request, Status
from scoring.judging.render import CaseFacts, PromptText, render
from tests.gpu.reward.saved import OTHER, PAIR, saved, written
from training.gpu.judges import check_settings, judge_names, load_judge
from training.gpu.judges.reward import CANNOT, RewardJudge, within
from training.gpu.reward.network import Example
from training.gpu.reward.scorer import Scored, Scorer

SETTINGS: dict[str, Any] = {"model": "mine", "number": 2, "dimension": "alignment", "device": "cpu"}
PROMPT = PromptText("Score it.", (), "5: good.", 1, 5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("judge") / "model")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return written(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def judge(folder: Path) -> RewardJudge:
    loaded = load_judge("reward", {**SETTINGS, "folder": str(folder)})
    assert isinstance(loaded, RewardJudge)
    return loaded


def request(files: dict[str, Path], case: str, edited: str, **changes: Any) -> Request:
    instruction = (PAIR if case == "a" else OTHER).edit.instruction
    text = render(PROMPT, CaseFacts("Colour", instruction))
    made = Request("k", text, str(files[f"{case}-source"]), str(files[edited]), low=1, high=5)
    return replace(made, **changes)


class Watched:
    """A scorer that notes the groups of each pass."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer, self.passes = scorer, []  # type: ignore[var-annotated]
        self.told, self.low, self.high = scorer.told, scorer.low, scorer.high

    def score(self, examples: Sequence[Example]) -> list[list[Scored]]:
        self.passes.append([len(example.candidates) for example in examples])
        return self.scorer.score(examples)


def test_it_works(judge: RewardJudge, files: dict[str, Path]) -> None:
    assert "reward" in judge_names()
    (reply,) = judge.judge([request(files, "a", "a-good")])
    raw = json.loads(reply.raw)
    assert reply.status is Status.PARSED
    assert reply.score == pytest.approx(1 + 4 * within((raw["mu"]["alignment"] - 1) / 4), abs=1e-6)
    assert set(raw["mu"]) == set(raw["sigma"]) == {"alignment", "overall"} and raw["scale"] == [0.5, 52.5]
    assert reply.model.startswith("mine v2 ") and reply.cost == 0.0 and "alignment" in reply.reasoning


def test_candidates_of_one_case_are_one_pass_and_come_back_in_order(judge: RewardJudge, files: dict[str, Path]) -> None:
    asked = [request(files, case, f"{case}-{edit}") for edit in ("good", "bright") for case in ("a", "b")]
    watched = Watched(judge.scorer)
    together = RewardJudge(watched, "alignment", "n").judge(asked)  # type: ignore[arg-type]
    assert watched.passes == [[2], [2]]
    alone = [judge.judge([one])[0] for one in asked]
    found, wanted = ([json.loads(reply.raw)["mu"]["alignment"] for reply in some] for some in (together, alone))
    assert found == pytest.approx(wanted, abs=1e-4)
    assert len({round(value, 3) for value in found}) == 4


def test_the_models_scale_is_brought_to_the_requests(folder: Path, files: dict[str, Path]) -> None:
    """Linearly but near the ends; a score beyond an end stays within the request's scale."""
    own = load_judge("reward", {**SETTINGS, "folder": str(folder), "dimension": "overall"})
    (reply,) = own.judge([request(files, "a", "a-good", low=0, high=9)])
    value = json.loads(reply.raw)["mu"]["overall"]  # people's own overall, from 0 to 100
    assert isinstance(own, RewardJudge)
    assert reply.score == pytest.approx(9 * within(value / 100), abs=1e-5)
    ends = ((-45.0, 0.0409), (0.0, 0.225), (5.0, 0.45), (50.0, 4.5), (95.0, 8.55), (100.0, 8.775), (145.0, 8.9591))
    for mu, wanted in ends:
        scored = Scored({"overall": mu}, {"overall": 1.0}, mu, 1.0, 0, 100)
        found = own._reply(request(files, "a", "a-good", low=0, high=9), scored, 0.0).score
        assert found == pytest.approx(wanted, abs=1e-4)


@given(st.floats(-1000, 1000, width=32), st.floats(-1000, 1000, width=32))
def test_the_order_is_kept_beyond_the_ends(first: float, second: float) -> None:
    """Strictly: two scores of the model that differ never become a tie."""
    low, high = sorted((first, second))
    assume(high - low > 1e-6 * max(1.0, abs(low), abs(high)))
    assert 0 < within(low) < within(high) < 1


def test_the_inner_part_of_the_scale_is_left_as_it_is() -> None:
    assert [within(share) for share in (0.05, 0.3, 0.5, 0.95)] == [0.05, 0.3, 0.5, 0.95]
    for end, step in ((0.05, -1e-6), (0.95, 1e-6)):  # it goes on with the same slope
        assert (within(end + step) - end) / step == pytest.approx(1, abs=1e-3)
    assert within(-0.3) == pytest.approx(1 - within(1.3))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_number_is_no_score(judge: RewardJudge, files: dict[str, Path], value: float) -> None:
    scored = Scored({"alignment": value, "overall": 1.0}, {"alignment": 1.0, "overall": 1.0}, 1.0, 1.0, 1, 5)
    reply = judge._reply(request(files, "a", "a-good"), scored, 0.0)
    assert (reply.status, reply.score, reply.kind) == (Status.FAILED, None, "number")
    assert "no finite number for alignment" in reply.note


def test_a_model_without_an_overall_dimension_brings_all_together(judge: RewardJudge, files: dict[str, Path]) -> None:
    scored = Scored({"a": 1.0, "b": 3.0}, {"a": 1.0, "b": 1.0}, 2.0, 0.7, 1, 5)
    told = {**judge.scorer.told, "dimensions": [{"key": key, "low": 1, "high": 5} for key in "ab"]}
    other = RewardJudge(Scorer(judge.scorer.network, told), "overall", "n")
    assert (other.low, other.high) == (1, 5)
    assert other._reply(request(files, "a", "a-good"), scored, 0.0).score == 2.0


def test_questions_are_answered_as_what_they_are_for_it(judge: RewardJudge, files: dict[str, Path]) -> None:
    (reply,) = judge.judge([request(files, "a", "a-good", questions=("q1", "q2"))])
    assert [(one.question, one.answer) for one in reply.answers] == [("q1", CANNOT), ("q2", CANNOT)]


def test_what_it_does_not_know_is_refused_and_the_others_are_scored(judge: RewardJudge, files: dict[str, Path]) -> None:
    asked = [request(files, "a", name) for name in ("a-good", "photo", "a-bright")]
    asked.append(request(files, "a", "a-good", text="Score it."))
    asked.append(replace(request(files, "a", "a-good"), edited="/nowhere/x.png"))
    replies: list[Reply] = judge.judge(asked)
    kinds = [(reply.status, reply.kind) for reply in replies]
    assert kinds == [
        (Status.PARSED, ""),
        (Status.REFUSED, "picture"),
        (Status.PARSED, ""),
        (Status.REFUSED, "prompt"),
        (Status.FAILED, "picture"),
    ]
    assert "x.png" in replies[4].note and replies[1].note


def test_a_source_that_is_gone_fails_its_group(judge: RewardJudge, files: dict[str, Path]) -> None:
    replies = judge.judge([request(files, "a", "a-good", source="/nowhere/s.png"), request(files, "b", "b-good")])
    assert [reply.status for reply in replies] == [Status.FAILED, Status.PARSED]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": ""}, "needs the setting model"),
        ({"number": "2"}, "needs the number"),
        ({"dimension": None}, "needs the setting dimension"),
        ({"temperature": 1}, "has no setting temperature"),
    ],
)
def test_wrong_settings_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(JudgeError, match=words):
        check_settings("reward", {**SETTINGS, **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"folder": "/nowhere"}, "is not on this machine: /nowhere"),
        ({"folder": ""}, "is not on this machine"),
        ({"dimension": "beauty"}, "no dimension 'beauty', only: overall, alignment"),
        ({"fingerprint": "0" * 64}, "are another model's"),
    ],
)
def test_a_model_that_is_not_it_does_not_load(folder: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(JudgeError, match=words):
        load_judge("reward", {**SETTINGS, "folder": str(folder), **changes})


def test_a_damaged_model_does_not_load(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model")
    (folder / "heads.safetensors").write_bytes(b"x")
    with pytest.raises(JudgeError, match="fingerprint differs"):
        load_judge("reward", {**SETTINGS, "folder": str(folder)})
