"""Learning from examples: the editor's own samples, which are made once, and given ones."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.gpu.posttrain.drawn_run import adapter, give_examples, job_folder, quick, tint, tints, train_cases
from training.gpu.posttrain.asking import TooManyMissing
from training.gpu.posttrain.cases import WrongInput, read_cases, read_examples
from training.gpu.posttrain.offline import NothingToLearn, Offline, lessons_of
from training.gpu.posttrain.online import Direct
from training.gpu.posttrain.rewarding import Sample
from training.gpu.posttrain.rollout import LEAST_SIGMA
from training.posttraining.config import DPO, GIVEN, SFT, Config


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


class Counting:
    def __init__(self) -> None:
        self.keys: list[str] = []

    def __call__(self, samples: Sequence[Sample]) -> list[float]:
        self.keys += [one.case.key for one in samples]
        return tints(samples)


def offline(folder: Path, config: Config, reward: Any = tints) -> Offline:
    return Offline(config, adapter(), train_cases(), folder / "pool", Direct(reward))


def test_dpo_begins_at_ln_2_and_comes_to_prefer_the_better(tmp_path: Path) -> None:
    """The smallest loss of a pair is known: at the reference the logistic of 0."""
    found = offline(tmp_path, quick(objective=DPO, learning_rate=3e-3, dpo_beta=500.0, examples=8))
    told = found.prepare()
    assert told == {"candidates": 16, "lessons": 4, "missing": 0.0}
    events = [found.round(number) for number in range(8)]
    assert events[0]["loss"] == pytest.approx(math.log(2), abs=1e-6) and events[0]["right"] == 0
    assert sum(one["loss"] for one in events[-3:]) / 3 < 0.6 and events[-1]["right"] >= 0.75
    assert events[0]["images"] == 16 and set(events[1]["seconds"]) == {"update"} and found.learner.steps == 8


def test_the_pairs_are_the_best_and_the_worst_of_a_case(tmp_path: Path) -> None:
    found = offline(tmp_path, quick(objective=DPO))
    found.prepare()
    for place, best, worst in found.lessons:
        assert worst is not None
        condition = found.conditions[place]
        good, bad = (tint(found.adapter.decode(one[None], [condition])[0]) for one in (best, worst))
        slots = [found._slot(place, number) for number in range(4)]
        every = torch.cat([found.adapter.noise(condition, [slot.seed]) for slot in slots])
        assert len(every) == 4 and len({slot.seed for slot in slots}) == 4 and good > bad
        pool = [tint(one) for one in found.adapter.decode(_pool(found, place), [condition] * 4)]
        assert good == pytest.approx(max(pool)) and bad == pytest.approx(min(pool))


def _pool(found: Offline, place: int) -> torch.Tensor:
    from training.gpu import state

    return state.read(found._file(place))[0]["latents"]


def test_fine_tuning_learns_from_the_best_alone(tmp_path: Path) -> None:
    found = offline(tmp_path, quick(objective=SFT, top=0.25, examples=8, learning_rate=3e-3))
    assert found.prepare()["lessons"] == 4  # of four samples of each task the best one
    events = [found.round(number) for number in range(8)]
    assert events[-1]["loss"] < events[0]["loss"] and events[0]["right"] is None and events[0]["images"] == 8
    everything = offline(tmp_path, quick(objective=SFT, top=1.0))
    assert everything.prepare()["lessons"] == 16


def test_what_is_sampled_is_not_sampled_again(tmp_path: Path) -> None:
    config, first, second = quick(objective=DPO), Counting(), Counting()
    stopped = offline(tmp_path, config, first)
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise InterruptedError

    stopped.check = check
    with pytest.raises(InterruptedError):
        stopped.prepare()
    done = {path.name for path in (tmp_path / "pool").iterdir()}
    assert done == {"100.safetensors"}  # three passes were made, and two of them are still with the judge
    found = offline(tmp_path, config, second)
    found.prepare()
    assert "case-0" not in second.keys and len(second.keys) == 12
    whole = offline(tmp_path / "whole", config)
    whole.prepare()
    for (place, best, worst), other in zip(found.lessons, whole.lessons, strict=True):
        assert place == other[0] and torch.equal(best, other[1])
        assert worst is not None and other[2] is not None and torch.equal(worst, other[2])


def test_missing_judgements_are_left_out_and_a_case_without_any_is_tried_again(tmp_path: Path) -> None:
    config = quick(objective=DPO, most_missing=0.5)

    def down(samples: Sequence[Sample]) -> list[float]:
        return [math.nan if one.case.key == "case-2" else tint(one.picture) for one in samples]

    found = offline(tmp_path, config, down)
    assert found.prepare() == {"candidates": 12, "lessons": 3, "missing": 0.25}
    assert not (tmp_path / "pool" / "102.safetensors").exists()
    assert offline(tmp_path, config).prepare()["lessons"] == 4
    strict = offline(tmp_path / "other", quick(objective=DPO, most_missing=0.2), down)
    with pytest.raises(TooManyMissing, match=r"25% of the judgements of the samples .* only what is missing is made"):
        strict.prepare()


def test_what_it_has_begun_to_learn_from_stays(tmp_path: Path) -> None:
    """A judge that was silent on a case speaks again: a run that goes on must not learn from other pairs."""

    def down(samples: Sequence[Sample]) -> list[float]:
        return [math.nan if one.case.key == "case-2" else tint(one.picture) for one in samples]

    config = quick(objective=DPO, most_missing=0.5)
    offline(tmp_path, config, down).prepare()
    later = offline(tmp_path, config)
    later.learner.steps = 1
    assert later.prepare()["lessons"] == 3


@pytest.mark.parametrize("batch", [3, 16])
def test_the_samples_of_a_case_are_judged_together(batch: int, tmp_path: Path) -> None:
    """A share of wins compares them with each other."""
    calls: list[Counter[str]] = []

    def reward(samples: Sequence[Sample]) -> list[float]:
        calls.append(Counter(one.case.key for one in samples))
        return tints(samples)

    assert offline(tmp_path, quick(objective=DPO, batch=batch), reward).prepare()["candidates"] == 16
    assert [set(one.values()) for one in calls] == [{4}] * len(calls) and sum(map(len, calls)) == 4


def test_a_run_without_a_lesson_is_refused_in_words(tmp_path: Path) -> None:
    found = offline(tmp_path, quick(objective=DPO, poor=0.99))
    with pytest.raises(NothingToLearn, match=r"No pair is left .* of 16 edits .* Lower “poor” \(now 0.99\)"):
        found.prepare()


def test_given_examples_are_learned_from(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", quick())
    give_examples(folder)
    cases = read_cases(folder / "inputs")
    examples = read_examples(folder / "inputs", cases)
    train = [one for one in cases if one.split == "train"]
    config = quick(objective=DPO, data=GIVEN, half=True)
    found = Offline(config, adapter(), train, tmp_path / "pool", examples=examples)
    assert found.prepare()["lessons"] == 4 and not (tmp_path / "pool").exists()
    expected = found.adapter.latents([train[0].case.source], [found.conditions[0]])[0]
    place, _, worst = found.lessons[0]
    assert place == 0 and worst is not None and torch.equal(worst, expected)  # the source itself was the bad one
    assert found.round(0)["loss"] == pytest.approx(math.log(2), abs=1e-6)


def test_lessons_come_each_once_before_any_again() -> None:
    config = quick(objective=DPO, examples=3)
    drawn = [one for number in range(7) for one in lessons_of(config, 7, number)]
    assert [sorted(drawn[turn * 7 : turn * 7 + 7]) for turn in range(3)] == [list(range(7))] * 3
    assert sorted(lessons_of(quick(objective=DPO, examples=5), 2, 0)) in ([0, 0, 0, 1, 1], [0, 0, 1, 1, 1])


def test_noise_levels_cover_the_range_and_pairs_share_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = offline(tmp_path, quick(objective=DPO, examples=4))
    found.prepare()
    asked: list[torch.Tensor] = []
    plain = found.adapter.velocity

    def velocity(x: torch.Tensor, t: torch.Tensor, told: Any) -> torch.Tensor:
        asked.append(t)
        return plain(x, t, told)

    monkeypatch.setattr(found.adapter, "velocity", velocity)
    found.round(0)
    levels = torch.cat([one[: len(one) // 2] for one in asked[::2]])
    assert all(torch.equal(one[: len(one) // 2], one[len(one) // 2 :]) for one in asked)
    assert [math.floor((float(one) - LEAST_SIGMA) / (1 - LEAST_SIGMA) * 4) for one in levels] == [0, 1, 2, 3]


ROWS = {
    "no JSON": ("{", r"cases.jsonl, line 2: no JSON"),
    "no object": ("[1]", "line 2: the line must be an object"),
    "an id": ('{"id": "7"}', "line 2: id must be a whole number; it is '7'"),
    "a split": ('{"id": 7, "split": "test"}', "split must be one of train, look"),
    "a path": ('{"id": 7, "split": "look", "source": "../../etc/passwd"}', "is no file of the job's inputs"),
    "a picture": ('{"id": 7, "split": "look", "source": "cases.jsonl"}', "the picture cases.jsonl cannot be read"),
    "no source": ('{"id": 7, "split": "look", "source": null}', "None is no file of the job's inputs"),
    "words": ('{"id": 7, "split": "look", "source": "images/1.png", "instruction": ""}', "instruction must be a text"),
    "params": ('{"id": 7, "split": "look", "params": [1]}', "params must be an object"),
}


@pytest.mark.parametrize("what", ROWS)
def test_wrong_cases_are_refused_with_their_line(what: str, tmp_path: Path) -> None:
    inputs = job_folder(tmp_path / "job", quick()) / "inputs"
    row, words = ROWS[what]
    first = (inputs / "cases.jsonl").read_text().splitlines()[0]
    (inputs / "cases.jsonl").write_text(f"{first}\n{row}\n")
    with pytest.raises(WrongInput, match=words):
        read_cases(inputs)
    (inputs / "cases.jsonl").write_text(f"{first}\n{first}\n")
    with pytest.raises(WrongInput, match="two cases with the number 100"):
        read_cases(inputs)


EXAMPLES: dict[str, tuple[dict[str, Any], str]] = {
    "a case": ({"case": "unheard"}, "there is no case 'unheard'"),
    "nothing known": ({"score": None}, "neither a score nor a rank"),
    "a score": ({"score": "good"}, "score must be a number or null; it is 'good'"),
    "a path": ({"image": "/etc/passwd"}, "is no file of the job's inputs"),
    "looked at": ({"case": "case-5"}, "no example of a case that is trained on"),
}


@pytest.mark.parametrize("what", EXAMPLES)
def test_wrong_examples_are_refused_with_their_line(what: str, tmp_path: Path) -> None:
    import json

    inputs = job_folder(tmp_path / "job", quick()) / "inputs"
    changes, words = EXAMPLES[what]
    row = {"case": "case-1", "image": "images/1.png", "score": 0.5, "rank": None, "name": "a", **changes}
    (inputs / "examples.jsonl").write_text(json.dumps(row))
    with pytest.raises(WrongInput, match=words):
        read_examples(inputs, read_cases(inputs))
