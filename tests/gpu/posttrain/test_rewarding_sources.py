"""Sources of reward that need no service: the truth, a reward model, the embedded judge; and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from drawnworld.score import true_score
from scoring.judging.contract import JudgeError, Reply, Request, Status
from scoring.judging.render import parse
from tests.gpu.posttrain.rewarding import OTHER, PAIR, PROMPT, samples
from tests.gpu.reward.saved import saved
from training.gpu.judges.transformers import TransformersJudge
from training.gpu.posttrain.rewarding import KINDS, Judged, judges, load_source, load_sources
from training.gpu.posttrain.rewarding.judges import JudgeSource, read_prompts
from training.gpu.posttrain.rewarding.model import RewardSource
from training.gpu.posttrain.rewarding.truth import NAME
from training.gpu.reading import read_picture
from training.gpu.reward.network import Example
from training.gpu.reward.scorer import Scored, Scorer
from training.gpu.vlm.model import Written
from webapp.jobs.folder import JobError

TRUTH = {"name": NAME, "kind": "truth", "settings": {}}
DRAWN = {"name": "demo judge", "kind": "drawn", "settings": {}, "prompt": {"color": PROMPT}}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("job") / "model")


def mus(found: Sequence[Judged | None]) -> list[float | None]:
    return [None if one is None else one.mu for one in found]


class Passes:
    """A scorer that notes the candidates of the groups of each pass."""

    def __init__(self, scorer: Scorer, change: Callable[[Scored], Scored] = lambda one: one) -> None:
        self.scorer, self.change = scorer, change
        self.passes: list[list[int]] = []
        self.told, self.low, self.high = scorer.told, scorer.low, scorer.high

    def score(self, examples: Sequence[Example]) -> list[list[Scored]]:
        self.passes.append([len(example.candidates) for example in examples])
        return [[self.change(one) for one in group] for group in self.scorer.score(examples)]


# The truth -----------------------------------------------------------------------------------------------------------


def test_the_truth_works(tmp_path: Path) -> None:
    source = load_source(TRUTH, tmp_path)
    found = source.judge([*samples(), *samples(OTHER, "b", 2)])
    bright = np.asarray(samples()[1].picture)
    assert found[0] == Judged(5.0, None, 0.0, 5.0) and mus(found)[2] == 0.0
    assert mus(found)[1] == pytest.approx(true_score(PAIR.source, PAIR.target, PAIR.mask, bright).score)
    assert found[3] == found[0]


def test_what_nobody_knows_the_truth_of_is_missing(tmp_path: Path) -> None:
    source = load_source(TRUTH, tmp_path)
    good, *_rest = samples()
    strange = replace(good, case=replace(good.case, params={}, key="other"))
    large = replace(good, picture=good.picture.resize((128, 128)))
    assert source.judge([strange, large, good]) == [None, None, Judged(5.0, None, 0.0, 5.0)]
    (first, second) = source.take_reasons()  # type: ignore[attr-defined]
    assert "not of the drawn world" in first and "128 × 128" in second


# A reward model ------------------------------------------------------------------------------------------------------


def test_a_reward_model_takes_each_case_as_one_group_in_one_pass(model: Path) -> None:
    """Scores are the model's own, with its doubt, on the dimension's scale; whatever the order of the samples."""
    passes = Passes(Scorer.load(model, "cpu"))
    source = RewardSource("mine", passes, "alignment")
    first, second = samples(), samples(OTHER, "b", 2)
    mixed = [first[0], second[0], first[1], second[1], first[2], second[2]]
    found = source.judge(mixed)
    assert passes.passes == [[3, 3]]
    example = Example("a", PAIR.edit.instruction, first[0].case.source, tuple(one.picture for one in first))
    (own,) = passes.scorer.score([example])
    assert mus(found[::2]) == pytest.approx([one.mu["alignment"] for one in own], abs=1e-5)
    assert [one.sigma for one in found[::2] if one] == pytest.approx([one.sigma["alignment"] for one in own], abs=1e-5)
    assert {(one.low, one.high) for one in found if one} == {(1.0, 5.0)}


def test_groups_are_told_apart_by_their_number(model: Path) -> None:
    """Two groups of one case are two: its words and its key are the same."""
    passes = Passes(Scorer.load(model, "cpu"))
    RewardSource("mine", passes, "overall").judge([*samples(group=1), *samples(group=2)])
    assert passes.passes == [[3, 3]]


def test_a_model_that_lacks_the_dimension_overall_gives_all_together(model: Path) -> None:
    def without(one: Scored) -> Scored:
        return replace(one, mu={"alignment": one.mu["alignment"]}, sigma={"alignment": one.sigma["alignment"]})

    passes = Passes(Scorer.load(model, "cpu"), without)
    passes.told = {**passes.told, "dimensions": passes.told["dimensions"][:1]}
    (judged, *_rest) = RewardSource("mine", passes, "overall").judge(samples())
    assert judged and (judged.low, judged.high) == (passes.low, passes.high)


def test_a_picture_that_the_model_does_not_take_is_missing_alone(model: Path) -> None:
    source = RewardSource("mine", Scorer.load(model, "cpu"), "alignment")
    some = samples()
    some[1] = replace(some[1], picture=Image.new("RGB", (48, 80)))
    found = source.judge(some)
    assert [one is None for one in found] == [False, True, False] and sum(source.take_reasons().values()) == 1


def test_no_finite_number_is_missing_and_never_a_score(model: Path) -> None:
    passes = Passes(Scorer.load(model, "cpu"), lambda one: replace(one, mu={**one.mu, "alignment": math.nan}))
    source = RewardSource("mine", passes, "alignment")
    assert source.judge(samples()) == [None] * 3
    assert "no finite number" in next(iter(source.take_reasons()))


def test_a_mistake_of_the_program_is_no_missing_answer(model: Path) -> None:
    def broken(_one: Scored) -> Scored:
        raise RuntimeError("a mistake")

    with pytest.raises(RuntimeError, match="a mistake"):
        RewardSource("mine", Passes(Scorer.load(model, "cpu"), broken), "alignment").judge(samples())


def test_a_reward_model_is_loaded_from_the_jobs_folder(model: Path) -> None:
    settings = {"model": "m", "number": 1, "dimension": "alignment", "folder": "model", "device": "cpu"}
    source = load_source({"name": "mine", "kind": "reward", "settings": settings, "weight": 2}, model.parent)
    assert all(source.judge(samples()))


# The embedded judge, and what all that read prompts have in common -----------------------------------------------


def test_the_embedded_judge_works(tmp_path: Path) -> None:
    source = load_source(DRAWN, tmp_path)
    good, _bright, same = source.judge(samples())
    assert good and same and good.mu > same.mu + 1 and (good.low, good.high, good.sigma) == (0.0, 5.0, None)
    assert list(tmp_path.iterdir()) == []  # pictures do not stay


def test_a_task_without_a_prompt_is_missing(tmp_path: Path) -> None:
    source = load_source(DRAWN, tmp_path)
    found = source.judge([*samples(OTHER, "b"), samples()[0]])
    assert [one is None for one in found] == [True, True, True, False]
    assert source.take_reasons() == {"The judge has no prompt for the task “add”.": 3}  # type: ignore[attr-defined]


class Scripted:
    """A judge that answers by a function, and keeps what it was asked, with the pictures as it read them."""

    threads = 0

    def __init__(self, reply: Callable[[Request], Reply], batch: int = 2) -> None:
        self.reply, self.batch = reply, batch
        self.asked: list[Request] = []
        self.calls: list[int] = []
        self.pictures: list[tuple[Image.Image, Image.Image]] = []

    def judge(self, requests: Sequence[Request]) -> list[Reply]:
        self.calls.append(len(requests))
        for one in requests:
            self.asked.append(one)
            paths = Path(one.source), Path(one.edited)
            self.pictures.append((read_picture(paths[0], "a"), read_picture(paths[1], "b")))
        return [self.reply(one) for one in requests]


def parsed(score: float, **more: Any) -> Reply:
    return Reply(Status.PARSED, score, **more)


def source_of(judge: Scripted, tmp_path: Path, **more: Any) -> JudgeSource:
    return JudgeSource("s", judge, read_prompts(DRAWN), scratch=tmp_path, **more)


def test_a_judge_sees_the_very_pixels_and_the_cases_own_words(tmp_path: Path) -> None:
    judge = Scripted(lambda request: parsed(3))
    some = samples()
    some[2] = replace(some[2], picture=Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), "uint8")))
    assert mus(source_of(judge, tmp_path, requirements={"a": "Keep the sky."}).judge(some)) == [3, 3, 3]
    assert judge.calls == [2, 1]
    for one, (before, after), request in zip(some, judge.pictures, judge.asked, strict=True):
        assert before.tobytes() == one.case.source.tobytes() and after.tobytes() == one.picture.tobytes()
        assert parse(request.text).instruction == PAIR.edit.instruction and "Keep the sky." in request.text
        assert (request.low, request.high, request.questions) == (0, 5, ("done",))
    assert len({request.key for request in judge.asked}) == 3


def test_the_doubt_is_the_standard_deviation_of_the_digits(tmp_path: Path) -> None:
    digits = {"0": 0.0, "1": 0.0, "2": 0.25, "3": 0.5, "4": 0.25, "5": 0.0}
    judge = Scripted(lambda request: parsed(3, distribution=digits))
    (one, *_rest) = source_of(judge, tmp_path).judge(samples())
    assert one and one.mu == 3.0 and one.sigma == pytest.approx(math.sqrt(0.5))


def test_of_several_passes_the_mean_of_those_with_a_score_counts(tmp_path: Path) -> None:
    """The doubt is that of the mixture: 2 for sure and 4 for sure lie one apart from their mean."""
    replies = [
        parsed(2, distribution={"2": 1.0}),
        Reply(Status.FAILED, kind="unreadable"),
        parsed(4, distribution={"4": 1.0}),
    ]
    judge = Scripted(lambda request: replies[request.turn])
    (one, *_rest) = source_of(judge, tmp_path, passes=3).judge(samples())
    assert one == Judged(3.0, 1.0, 0.0, 5.0) and len({request.key for request in judge.asked}) == 9


def test_an_answer_without_a_score_is_missing_with_the_judges_reason(tmp_path: Path) -> None:
    judge = Scripted(lambda request: Reply(Status.REFUSED, note="I do not judge people."))
    source = source_of(judge, tmp_path)
    assert source.judge(samples()) == [None] * 3 and source.take_reasons() == {"I do not judge people.": 3}


def test_a_judge_that_cannot_go_on_gives_missing_rewards_and_is_asked_again(tmp_path: Path) -> None:
    down = [True]

    def reply(_request: Request) -> Reply:
        if down[0]:
            raise JudgeError("The key is wrong.")
        return parsed(4)

    judge = Scripted(reply)
    source = source_of(judge, tmp_path)
    assert source.judge(samples()) == [None] * 3 and source.take_reasons() == {"The key is wrong.": 3}
    assert judge.calls == [2]
    down[0] = False
    assert mus(source.judge(samples())) == [4, 4, 4] and not source.take_reasons()


@pytest.mark.parametrize(("kind", "asked"), [("server", 1), ("picture", 3)])
def test_a_service_that_gave_no_answer_for_long_is_left_alone_for_the_rest_of_the_call(
    kind: str, asked: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture that it cannot read says nothing of the service."""
    monkeypatch.setattr(judges, "PATIENCE", -1.0)
    service = Scripted(lambda request: Reply(Status.FAILED, kind=kind, note="No."))
    service.threads = 1
    source = source_of(service, tmp_path)
    assert source.judge(samples()) == [None] * 3 and source.take_reasons() == {"No.": 3}
    assert len(service.asked) == asked


def test_what_a_judge_does_wrong_otherwise_surfaces_and_leaves_no_pictures(tmp_path: Path) -> None:
    def reply(_request: Request) -> Reply:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        source_of(Scripted(reply), tmp_path).judge(samples())
    assert list(tmp_path.iterdir()) == []


# Refusals at the start -------------------------------------------------------------------------------------------


def test_every_kind_has_its_module() -> None:
    assert set(KINDS) == {"reward", "drawn", "transformers", "endpoint", "http", "truth"}


REWARD = {"model": "m", "number": 1, "folder": "model", "device": "cpu"}
MODEL = {"name": "mine", "kind": "reward", "settings": REWARD}
BAD = {**PROMPT, "text": {**PROMPT["text"], "preamble": "Of {sky}."}}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("truth", "must be an object"),
        ({**TRUTH, "note": 1}, "no field note"),
        ({**TRUTH, "name": " "}, "needs a name"),
        ({**TRUTH, "kind": "os"}, "which there is not"),
        ({**TRUTH, "kind": ["truth"]}, "which there is not"),
        ({**TRUTH, "settings": [1]}, "must be an object"),
        ({**TRUTH, "settings": {"a": 1}}, "has no settings"),
        ({**TRUTH, "name": "quality"}, "its name must say so"),
        ({**DRAWN, "prompt": {}}, "choose one for at least one task"),
        ({**DRAWN, "prompt": {"add": {}}}, "prompt for the task “add” cannot be used"),
        ({**DRAWN, "prompt": {"add": BAD}}, "no placeholder {sky}"),
        ({**DRAWN, "prompt": {"add": {**PROMPT, "questions": ["a", "b"]}}}, "number of keys"),
        ({**DRAWN, "prompt": {"add": {**PROMPT, "text": {**PROMPT["text"], "low": 5}}}}, "whole numbers"),
        ({**DRAWN, "passes": 0}, "1 to 32 times"),
        ({**DRAWN, "requirements": {"a": 1}}, "must be texts"),
        ({**DRAWN, "settings": {"a": 1}}, "has no settings"),
        ({**DRAWN, "kind": "transformers"}, "cannot be used"),
        ({**DRAWN, "kind": "endpoint"}, "Name the judge's endpoint"),
        ({**DRAWN, "kind": "endpoint", "settings": {"endpoint": "none"}}, "no endpoint “none” for this job"),
        ({**DRAWN, "kind": "http", "settings": {}}, "Name the scoring service's endpoint"),
        ({**DRAWN, "kind": "http", "settings": {"url": "http://x"}}, "no setting url"),
        ({**DRAWN, "kind": "http", "settings": {"endpoint": "none", "seconds": True}}, "“seconds” must be"),
        ({**DRAWN, "kind": "http", "settings": {"endpoint": "none"}}, "no endpoint “none” for this job"),
        ({**MODEL, "settings": {**REWARD, "path": "x"}}, "no setting path"),
        ({**MODEL, "settings": {}}, "folder is not named"),
        ({**MODEL, "settings": {**REWARD, "folder": "none"}}, "not on this machine"),
        ({**MODEL, "settings": {**REWARD, "folder": "."}}, "reward.json"),
        ({**MODEL, "settings": {**REWARD, "fingerprint": "0" * 64}}, "another model's"),
        ({**MODEL, "settings": {**REWARD, "dimension": "mood"}}, "no dimension 'mood'"),
    ],
)
def test_wrong_settings_are_refused_in_words(spec: Any, words: str, model: Path) -> None:
    with pytest.raises(JobError, match=words.replace("{", r"\{")):
        load_source(spec, model.parent)


def test_two_sources_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="Two sources of reward have the name"):
        load_sources([TRUTH, TRUTH], tmp_path)
    assert [source.name for source in load_sources([TRUTH, DRAWN], tmp_path)] == [NAME, "demo judge"]


# A local VLM ---------------------------------------------------------------------------------------------------------


class Hesitant:
    """A model that is about to write 3, or 4 with a quarter of the probability; by the digits alone."""

    name = "tiny"

    def write(self, prompts: Sequence[Any], _most: int, start: str = "") -> list[Written]:
        digits = (("3", math.log(0.75)), ("4", math.log(0.25)))
        return [Written("3", ("3",), (digits,), 9, 1, True) for _prompt in prompts]


def test_a_local_vlm_gives_the_mean_and_the_spread_of_its_digits(tmp_path: Path) -> None:
    settings = {"model": "owner/tiny", "score_by": "digits-only", "batch": 2}
    judge = TransformersJudge(settings, Hesitant())  # type: ignore[arg-type]
    found = JudgeSource("vlm", judge, read_prompts(DRAWN), scratch=tmp_path).judge(samples())
    assert [one and (one.mu, one.sigma) for one in found] == [pytest.approx((3.25, math.sqrt(3 / 16)))] * 3
