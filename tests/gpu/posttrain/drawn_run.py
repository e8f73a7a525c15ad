"""Short runs on the CPU editor: cases of the drawn world, a job folder with them, and its true score as the reward."""

import dataclasses
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from drawnworld.edits import TASKS, Pair, draw_pair
from training.gpu.editors import EditCase
from training.gpu.posttrain.adapters.drawn import DrawnAdapter, load
from training.gpu.posttrain.cases import LOOK, TRAIN, RunCase
from training.gpu.posttrain.rewarding import Judged, Rewarder, Sample
from training.gpu.posttrain.rewarding.truth import NAME, TruthSource
from training.posttraining.config import DPO, SFT, Config, preset
from training.posttraining.rewards import RewardSpec
from webapp.jobs.folder import JobRun, read_events

SERIES = 4711
TRUTH = {"name": NAME, "kind": "truth"}
HELD = {"name": f"{NAME}, held out", "kind": "truth"}
# Small enough for a second, and with a spread in every group.
QUICK: dict[str, Any] = {
    "rounds": 3, "groups": 2, "group": 4, "steps": 4, "batch": 4, "look_every": 2, "look_cases": 3, "look_steps": 2,
    "lora_rank": 4, "lora_alpha": 8, "lora_targets": "attention", "least_spread": 1e-6, "learning_rate": 1e-2,
    "samples": 4, "examples": 4, "times": 1, "poor": 0.0, "half": False,
}  # fmt: skip


def quick(**changes: Any) -> Config:
    found = dataclasses.replace(preset("fast", "drawn"), **{**QUICK, **changes})
    found.check()
    return found


def offline(objective: str = DPO, **changes: Any) -> Config:
    assert objective in (DPO, SFT)
    return quick(objective=objective, **changes)


@cache
def pairs(count: int = 7) -> list[Pair]:
    return [draw_pair(SERIES, number, TASKS[number % len(TASKS)]) for number in range(count)]


def run_case(number: int, split: str = TRAIN) -> RunCase:
    pair = pairs()[number]
    params = {"scene": pair.scene.to_json(), "edit": pair.edit.to_json()}
    source = Image.fromarray(pair.source)
    edit = EditCase(source, None, pair.edit.instruction, pair.edit.task, params, f"case-{number}")
    return RunCase(100 + number, split, edit, f"images/{number}.png")


def train_cases(count: int = 4) -> list[RunCase]:
    return [run_case(number) for number in range(count)]


def adapter(config: Config | None = None, base: str = "rough") -> DrawnAdapter:
    return load({"base": base}, config or quick())


def truth() -> Rewarder:
    return Rewarder([TruthSource()], RewardSpec())


class Missing:
    """The true score, but for every ``each``-th sample, which is missing."""

    name = "a judge with gaps"

    def __init__(self, each: int) -> None:
        self.each, self.count, self.truth = each, 0, TruthSource()

    def judge(self, samples: Sequence[Sample]) -> list[Judged | None]:
        found = self.truth.judge(samples)
        numbers = range(self.count + 1, self.count + 1 + len(samples))
        self.count += len(samples)
        return [None if number % self.each == 0 else one for number, one in zip(numbers, found, strict=True)]


def job_folder(folder: Path, config: Config, **changes: Any) -> Path:
    """A job as the web side writes it: four cases to train on, three to look at."""
    (folder / "inputs" / "images").mkdir(parents=True)
    rows = []
    for number in range(7):
        one = run_case(number, TRAIN if number < 4 else LOOK)
        one.case.source.save(folder / "inputs" / one.source)
        rows.append({
            "key": one.key, "id": one.number, "source": one.source, "mask": "", "instruction": one.case.instruction,
            "task": one.case.task, "params": dict(one.case.params), "description": "", "split": one.split,
        })  # fmt: skip
    (folder / "inputs" / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = {
        "config": config.to_json(), "editor": {"module": "drawn", "settings": {"base": "rough"}},
        "cases": "cases.jsonl", "rewards": [TRUTH], "reward": {}, "held_out": [], "watch": False, "acknowledged": 0,
        "examples": "", "data_hash": "abc", **changes,
    }  # fmt: skip
    retell(folder, told)
    return folder


def retell(folder: Path, changes: dict[str, Any]) -> None:
    """Write job.json, or change values of its configuration."""
    path = folder / "job.json"
    kept = json.loads(path.read_text())["config"] if path.exists() else {}
    path.write_text(json.dumps({"kind": "posttrain", "config": {**kept, **changes}, "attempt": 1}))


def give_examples(folder: Path) -> None:
    """Examples for cases.jsonl: of each training case the exact target and its source, with scores."""
    rows = []
    for number in range(4):
        for name, pixels, score in (("good", pairs()[number].target, 0.9), ("bad", pairs()[number].source, 0.1)):
            path = f"images/{number}-{name}.png"
            Image.fromarray(pixels).save(folder / "inputs" / path)
            rows.append({"case": f"case-{number}", "image": path, "score": score, "rank": None, "name": name})
    (folder / "inputs" / "examples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def events(folder: Path, name: str = "") -> list[dict[str, Any]]:
    return [one for one in read_events(folder / "events.jsonl")[0] if not name or one["event"] == name]


def job_run(folder: Path) -> JobRun:
    """The process's side of the folder. Its lock lives as long as the object."""
    return JobRun(folder)


def pixels(picture: Image.Image) -> Any:
    return np.asarray(picture.convert("RGB")).astype(int)
