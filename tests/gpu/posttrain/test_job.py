"""The job "posttrain": its events and files, the watch that pauses it, and every refusal in words."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from tests.gpu.posttrain.drawn_run import (
    HELD,
    TINT,
    Tint,
    adapter,
    attempt,
    events,
    give_examples,
    job_folder,
    pipeline,
    quick,
    retell,
    tint,
    use_tiny,
    worked,
)
from training.gpu import run
from training.gpu.diffusion.lora import load as load_lora
from training.gpu.diffusion.settings import Lora
from training.gpu.posttrain import job, lora
from training.gpu.posttrain.online import Online
from training.posttraining.config import DPO, GIVEN
from webapp.jobs.folder import CANCELLED, JobError, read_json

ROUND = {
    "round", "reward", "raw", "loss", "ratio_first", "clip_fraction", "zero_spread", "missing", "kl", "grad_norm", "lr",
    "seconds", "images", "images_per_second", "cpu_seconds",
}  # fmt: skip
LOOK = {
    "round", "judges", "tasks", "distance", "preservation", "grid", "sharpness", "samples", "reward", "warnings",
    "best_round",
}  # fmt: skip


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    use_tiny(monkeypatch)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run, by the way of the worker."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        use_tiny(patch)
        config = quick(rounds=5, learning_rate=3e-2, group=8, look_every=2, look_cases=2)
        folder = job_folder(tmp_path_factory.mktemp("job"), config, held_out=[HELD], watch=True)
        assert worked(folder) == 0
    return folder


def told(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in one.items() if name not in ("event", "time")} for one in events]


def test_it_trains_looks_and_sums_up(done: Path) -> None:
    rounds, looks = told(events(done, "round")), told(events(done, "look"))
    assert [one["round"] for one in rounds] == [1, 2, 3, 4, 5] and all(set(one) == ROUND for one in rounds)
    assert [one["round"] for one in looks] == [0, 2, 4, 5] and all(set(one) == LOOK for one in looks[1:])
    assert all(one["ratio_first"] == 1 for one in rounds)
    assert "look" in rounds[0]["seconds"] and rounds[-1]["cpu_seconds"] > rounds[0]["cpu_seconds"] > 0
    result = read_json(done / "result.json")
    summary = result["summary"]
    assert result["status"] == "succeeded" and not events(done, "watch") and not events(done, "missing")
    assert (summary["rounds"], summary["images"], summary["missing"]) == (5, 5 * 16, 0)
    assert summary["looks"]["last"]["round"] == 5 and summary["best_round"] in (2, 4, 5)
    assert looks[-1]["best_round"] == summary["best_round"], "whoever keeps the LoRA on the way knows which it is"
    assert set(summary["seconds"]) == {"sampling", "reward", "update", "look"}
    assert set(summary["tasks"]) == {"background", "bokeh"} and summary["images_per_second"] > 0
    assert "NaN" not in (done / "events.jsonl").read_text() + (done / "result.json").read_text()


def test_the_base_is_looked_at_first_and_is_what_the_pipeline_makes(done: Path) -> None:
    base = events(done, "look")[0]
    assert base["distance"] == 0
    for judge in base["judges"].values():
        assert (judge["gain"], judge["gain_low"], judge["gain_high"]) == (0, 0, 0) and judge["n"] == 2
    pictures = [Image.open(done / "outputs" / one["before"]) for one in base["samples"]]
    assert base["judges"]["tint"]["mean"] == pytest.approx(5 * sum(map(tint, pictures)) / 2)
    assert [one["case"] for one in base["samples"]] == ["104", "105"] and base["samples"][0]["key"] == "case-4"


def test_gains_are_paired_over_the_fixed_cases(done: Path) -> None:
    looks = events(done, "look")
    for look in looks[1:]:
        pictures = [
            (Image.open(done / "outputs" / s["before"]), Image.open(done / "outputs" / s["after"]))
            for s in look["samples"]
        ]
        gains = [5 * (tint(after) - tint(before)) for before, after in pictures]
        judge = look["judges"]["tint"]
        assert (
            judge["gain"] == pytest.approx(sum(gains) / 2) and judge["gain_low"] <= judge["gain"] <= judge["gain_high"]
        )
        assert look["distance"] > 0 and look["tasks"]["bokeh"]["tint"] == pytest.approx(gains[1])
        assert math.isfinite(look["grid"] + look["sharpness"])
    assert looks[-1]["judges"]["tint"]["gain"] != 0


def test_the_best_lora_makes_the_pictures_of_its_look(done: Path) -> None:
    best = read_json(done / "result.json")["summary"]["looks"]["best"]
    stock = pipeline()
    load_lora(stock, "transformer", Lora(str(done / "outputs" / "lora" / lora.FILE)))
    from training.gpu.drawn.sample import sample
    from training.gpu.posttrain.rollout import seed_of

    source = Image.open(done / "outputs" / best["samples"][0]["source"])
    from tests.gpu.posttrain.drawn_run import run_case

    picture = sample(stock, [source], [run_case(4).case.instruction], [seed_of("look", 104)], 2)[0]
    after = Image.open(done / "outputs" / best["samples"][0]["after"])
    assert max(abs(a - b) for a, b in zip(picture.tobytes(), after.tobytes(), strict=True)) <= 1


def test_a_finished_run_that_is_started_again_does_nothing_more(done: Path) -> None:
    before = len(events(done))
    summary = attempt(done)
    assert summary["rounds"] == 5 and len(events(done)) == before


class Falling(Tint):
    """A judge that likes each look less than the one before."""

    def judge(self, samples: Any) -> Any:
        self.count += 1
        return [type(one)(one.mu - 0.5 * self.count, None, one.low, one.high) for one in super().judge(samples) if one]


class Rising(Falling):
    def judge(self, samples: Any) -> Any:
        return [type(one)(2 * self.count + one.mu, None, one.low, one.high) for one in super().judge(samples)]


def test_the_watch_pauses_the_run_and_goes_on_when_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judges = {"tint": Rising("tint"), "held out": Falling("held out")}
    use_tiny(monkeypatch, judges)
    folder = job_folder(tmp_path / "job", quick(rounds=3, look_every=1), held_out=[HELD], watch=True)
    assert worked(folder) == 0
    result, paused = read_json(folder / "result.json"), events(folder, "watch")[0]
    assert result["status"] == CANCELLED and result["message"] == paused["reason"] != ""
    assert paused["round"] == 1 and paused["trained"]["name"] == "tint" and paused["held"]["name"] == "held out"
    assert paused["trained"]["gain"] > 0 > paused["held"]["gain"] >= paused["held"]["low"]
    retell(folder, {"acknowledged": 1})
    assert worked(folder) == 0
    assert read_json(folder / "result.json")["status"] == CANCELLED and events(folder, "watch")[-1]["round"] == 2
    retell(folder, {"acknowledged": 3, "watch": False})
    assert worked(folder) == 0
    assert [one["round"] for one in events(folder, "round")] == [1, 2, 3] and len(events(folder, "watch")) == 2
    assert read_json(folder / "result.json")["status"] == "succeeded"


def test_missing_judgements_are_told_and_too_many_end_the_run_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_tiny(monkeypatch, {"tint": Tint(gaps=5)})
    folder = job_folder(tmp_path / "job", quick(rounds=2, most_missing=0.4))
    attempt(folder)
    assert [one["missing"] for one in events(folder, "round")] != [0, 0]
    assert {one["where"] for one in events(folder, "missing")} >= {"round"}
    assert all(sum(one["reasons"].values()) > 0 for one in events(folder, "missing"))
    judge = Tint(gaps=0)
    use_tiny(monkeypatch, {"tint": judge})
    other = job_folder(tmp_path / "other", quick(rounds=3))
    plain = Online.round

    def gone(self: Online, number: int) -> dict[str, Any]:
        judge.gaps = 1 if number == 1 else 0
        return plain(self, number)

    monkeypatch.setattr(Online, "round", gone)
    with pytest.raises(JobError, match="100% of the judgements of this round are missing"):
        attempt(other)
    assert events(other, "missing")[-1]["round"] == 2
    monkeypatch.setattr(Online, "round", plain)
    judge.gaps = 0
    assert attempt(other)["rounds"] == 3
    assert [one["round"] for one in events(other, "round")] == [1, 2, 3]


def test_a_run_of_given_examples(tmp_path: Path) -> None:
    config = quick(objective=DPO, data=GIVEN, rounds=2)
    folder = job_folder(tmp_path / "job", config, examples="examples.jsonl")
    give_examples(folder)
    summary = attempt(folder)
    assert events(folder, "prepared")[0]["lessons"] == 4 and summary["images"] == 8
    assert [set(one["seconds"]) >= {"update"} for one in events(folder, "round")] == [True, True]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a setting": ({"config": {"steps": 1}}, "The setting steps must be a whole number from 2 to 100"),
    "an unknown setting": ({"config": {"stepz": 1}}, "There is no setting stepz"),
    "the reward": ({"reward": {"alpha": -1}}, "alpha must be a number"),
    "no judge": ({"rewards": []}, "no judge that gives a reward"),
    "the judge of the reward held out": ({"held_out": [TINT]}, "“tint” gives the reward and is a held-out judge too"),
    "no cases": ({"cases": "other.jsonl"}, "other.jsonl cannot be read"),
    "a path": ({"cases": "../../x"}, "is no file of the job's inputs"),
    "no examples": (
        {"config": {**quick(objective=DPO, data=GIVEN).to_json()}},
        "learns from given examples, and has none",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_trained_is_refused(what: str, tmp_path: Path) -> None:
    changes, words = REFUSED[what]
    folder = job_folder(tmp_path / "job", quick(), **changes)
    with pytest.raises(JobError, match=words):
        attempt(folder)


def test_a_held_out_judge_with_the_trained_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judges = {"tint": Tint(), "held out": Tint("held out")}
    for one in judges.values():
        monkeypatch.setattr(one, "fingerprint", "one model", raising=False)
    use_tiny(monkeypatch, judges)
    with pytest.raises(JobError, match="the same model as “tint”"):
        attempt(job_folder(tmp_path / "job", quick(), held_out=[HELD]))


@pytest.mark.parametrize(("split", "words"), [("train", "no fixed case to look at"), ("look", "no case to train on")])
def test_a_run_needs_cases_of_both_kinds(split: str, words: str, tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", quick())
    path = folder / "inputs" / "cases.jsonl"
    rows = [json.loads(line) | {"split": split} for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(JobError, match=words):
        attempt(folder)


def test_groups_that_processes_cannot_share_are_refused(tmp_path: Path) -> None:
    config = quick(groups=3)
    with pytest.raises(JobError, match="2 processes cannot share 3 groups evenly"):
        job.refuse(config, _cases(tmp_path, config), {"rewards": [TINT]}, 2)


def _cases(folder: Path, config: Any) -> Any:
    from training.gpu.posttrain.cases import read_cases

    return read_cases(job_folder(folder / "job", config) / "inputs")


def test_a_case_that_the_editor_cannot_do_is_named(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", quick())
    path = folder / "inputs" / "cases.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[2]["instruction"] = "add a telephone"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(JobError, match=r"The case case-2 cannot be done by this editor: .*'telephone'.* Leave it out"):
        attempt(folder)


def test_an_editor_that_cannot_be_trained_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from training.gpu.posttrain.adapters import load_adapter

    monkeypatch.setattr(job, "load_adapter", load_adapter)
    folder = job_folder(tmp_path / "job", quick(), editor={"module": "classical", "settings": {}})
    with pytest.raises(JobError, match="The editor classical cannot be post-trained"):
        attempt(folder)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_a_full_memory_is_told_with_what_to_lower(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise error

    monkeypatch.setattr(Online, "round", full)
    folder = job_folder(tmp_path / "job", quick())
    with pytest.raises(JobError, match=r"The memory does not hold a pass. Lower batch \(now 4\).* set checkpointing"):
        attempt(folder)


def test_the_worker_knows_the_kind() -> None:
    assert run.KINDS["posttrain"].__module__ == "training.gpu.run"
    assert adapter().grid == 8
