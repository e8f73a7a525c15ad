"""Short runs on a tiny editor of the drawn world: its pipeline, cases, a job folder, and a reward for red pictures.

The editor is that of training.gpu.drawn with a smaller transformer of random weights: it makes noise, quickly, and the
reward is the tint of the noise.
"""

import dataclasses
import gc
import json
import signal
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FluxTransformer2DModel
from PIL import Image

from drawnworld.edits import TASKS, Pair, draw_pair
from training.gpu.drawn.assemble import POOLED, WIDTH, new_pipeline
from training.gpu.drawn.autoencoder import CHANNELS, fit_autoencoder
from training.gpu.drawn.pairs import to_tensor
from training.gpu.editors import EditCase
from training.gpu.posttrain import job
from training.gpu.posttrain.adapters.drawn import DrawnAdapter
from training.gpu.posttrain.cases import LOOK, TRAIN, RunCase
from training.gpu.posttrain.rewarding import Judged, Rewarder, Sample
from training.posttraining.config import Config
from training.posttraining.rewards import RewardSpec
from webapp.jobs.folder import JobRun, read_events, run_job

SERIES = 4711
TINT, HELD = {"name": "tint", "kind": "tint"}, {"name": "held out", "kind": "tint"}
# Small enough for a second, and with a spread in every group.
QUICK: dict[str, Any] = {
    "size": 64, "dtype": "float32", "device": "cpu", "checkpointing": False,
    "rounds": 3, "groups": 2, "group": 4, "steps": 4, "batch": 4, "look_every": 2, "look_cases": 3, "look_steps": 2,
    "lora_rank": 4, "lora_alpha": 8, "lora_targets": "attention", "least_spread": 1e-6, "learning_rate": 1e-2,
    "samples": 4, "examples": 4, "times": 1, "poor": 0.0, "half": False,
}  # fmt: skip


def quick(**changes: Any) -> Config:
    found = dataclasses.replace(Config(), **{**QUICK, **changes})
    found.check()
    return found


@cache
def pairs(count: int = 7) -> list[Pair]:
    return [draw_pair(SERIES, number, TASKS[number % len(TASKS)]) for number in range(count)]


def run_case(number: int, split: str = TRAIN) -> RunCase:
    pair = pairs()[number]
    source = Image.fromarray(pair.source)
    edit = EditCase(source, None, pair.edit.instruction, pair.edit.task, {}, f"case-{number}")
    return RunCase(100 + number, split, edit, f"images/{number}.png")


def train_cases(count: int = 4) -> list[RunCase]:
    return [run_case(number) for number in range(count)]


@cache
def _pipeline() -> Any:
    pipeline = new_pipeline(3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        transformer: Any = FluxTransformer2DModel(
            patch_size=1, in_channels=4 * CHANNELS, num_layers=1, num_single_layers=1, attention_head_dim=32,
            num_attention_heads=1, joint_attention_dim=WIDTH, pooled_projection_dim=POOLED, guidance_embeds=False,
            axes_dims_rope=(8, 12, 12),
        )  # fmt: skip
    vae = fit_autoencoder(to_tensor(np.stack([pair.target for pair in pairs()])), 0.5)
    pipeline.register_modules(transformer=transformer, vae=vae)
    return pipeline


def pipeline() -> Any:
    """A pipeline of one's own."""
    found = _pipeline()
    transformer = FluxTransformer2DModel.from_config(found.transformer.config)
    transformer.load_state_dict(found.transformer.state_dict())
    parts = {**found.components, "transformer": transformer}
    made = type(found)(**parts)
    made.set_progress_bar_config(disable=True)
    return made


def adapter() -> DrawnAdapter:
    return DrawnAdapter(pipeline())


def tint(picture: Image.Image) -> float:
    """From 0 (blue) to 1 (red)."""
    red, _, blue = pixels(picture).reshape(-1, 3).mean(0) / 255
    return float(red - blue + 1) / 2


def tints(samples: Sequence[Sample]) -> list[float]:
    return [tint(one.picture) for one in samples]


class Tint:
    """A judge of 0 to 5 for red pictures, or for blue ones. ``gaps``: every so many-th sample is missing, all for 1."""

    def __init__(self, name: str = "tint", gaps: int = 0, blue: bool = False) -> None:
        self.name, self.gaps, self.blue, self.count = name, gaps, blue, 0

    def judge(self, samples: Sequence[Sample]) -> list[Judged | None]:
        found: list[Judged | None] = []
        for one in samples:
            self.count += 1
            value = 1 - tint(one.picture) if self.blue else tint(one.picture)
            found.append(None if self.gaps and self.count % self.gaps == 0 else Judged(5 * value, None, 0.0, 5.0))
        return found


def rewarder(source: Tint | None = None) -> Rewarder:
    return Rewarder([source or Tint()], RewardSpec(alpha=20.0, beta=50.0))


def job_folder(folder: Path, settings: Config, **changes: Any) -> Path:
    """A job as the web side writes it: four cases to train on, three to look at."""
    (folder / "inputs" / "images").mkdir(parents=True)
    rows = []
    for number in range(7):
        one = run_case(number, TRAIN if number < 4 else LOOK)
        one.case.source.save(folder / "inputs" / one.source)
        rows.append({
            "key": one.key, "id": one.number, "source": one.source, "mask": "", "instruction": one.case.instruction,
            "task": one.case.task, "params": {}, "description": "", "split": one.split,
        })  # fmt: skip
    (folder / "inputs" / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = {
        "config": settings.to_json(), "editor": {"module": "drawn", "settings": {"base": "rough"}},
        "cases": "cases.jsonl", "rewards": [TINT], "reward": {"alpha": 20.0, "beta": 50.0},
        "held_out": [], "watch": False, "acknowledged": 0,
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


def use_tiny(patch: pytest.MonkeyPatch, judges: Mapping[str, Tint] | None = None) -> None:
    """Have jobs run on the tiny editor, with judges by name."""
    known = judges or {}
    patch.setattr(job, "load_adapter", lambda *_: adapter())
    patch.setattr(job, "load_sources", lambda specs, _: [known.get(one["name"], Tint(one["name"])) for one in specs])


def attempt(folder: Path, run: JobRun | None = None) -> dict[str, Any]:
    """One attempt of a job in this process. Its hold on the folder ends with it, whatever a traceback keeps."""
    run = run or JobRun(folder)
    try:
        return job.posttrain(run)
    finally:
        run._events.close()
        run._owner.close()


def worked(folder: Path) -> int:
    """One attempt by the way of the worker, which writes result.json; its exit status."""
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", None)  # as by hand: there is no supervisor to watch
        status = run_job(folder, job.posttrain)
    signal.signal(signal.SIGTERM, handler)
    gc.collect()  # of the attempt, which holds the folder
    return status


def pixels(picture: Image.Image) -> Any:
    return np.asarray(picture.convert("RGB")).astype(int)
