"""Reward models as rows for tests: a labelled set, a version with files of no network, a training's events."""

import json
from pathlib import Path
from typing import Any

from django.conf import settings

from training.models import LabelledSet, RewardModel, SetState
from training.rewards.config import Config

DIMENSIONS = [
    {"key": "quality", "label": "Visual quality", "low": 1, "high": 5},
    {"key": "alignment", "label": "Following", "low": 1, "high": 5},
]


def figures(accuracy: float = 0.8) -> dict[str, Any]:
    row = {"accuracy": accuracy, "low": accuracy - 0.05, "high": accuracy + 0.05, "pairs": 90, "ties": 7}
    return {one["key"]: {**row, "srcc": 0.6, "plcc": 0.61} for one in DIMENSIONS}


def calibration() -> dict[str, Any]:
    bins = [{"low": 0.5, "high": 0.55, "predicted": 0.53, "observed": 0.5, "pairs": 12}]
    return {"bins": [*bins, {"low": 0.9, "high": 0.95, "predicted": 0.93, "observed": 0.88, "pairs": 40}], "ece": 0.04}


def metrics(accuracy: float = 0.8) -> dict[str, Any]:
    baselines = {
        "constant": {part: figures(0.5) for part in ("dev", "test")},
        "pixel-difference": {
            **{part: figures(0.61) for part in ("dev", "test")},
            "rule": {"quality": "less change is better"},
        },
    }
    return {
        "dev": figures(accuracy),
        "test": figures(accuracy - 0.02),
        "baselines": baselines,
        "calibration": {"dev": calibration(), "test": calibration()},
        "nll": {"dev": 0.52, "test": 0.55},
        "training": {"steps": 300, "best_step": 225, "cpu_seconds": 61.2, "stopped": "all steps were done"},
    }


def labelled_set(slug: str = "set", **fields: Any) -> LabelledSet:
    given: dict[str, Any] = {
        "name": slug.title(),
        "state": SetState.READY,
        "origin": {"from": "studies"},
        "dimensions": DIMENSIONS,
        "manifest": f"labelled-sets/{slug}/set.jsonl.gz",
        "content_hash": "c" * 64,
        "groups": 70,
        "candidates": 280,
        "facts": {"splits": {"train": 50, "dev": 10, "test": 10}},
    }
    return LabelledSet.objects.create(slug=slug, **{**given, **fields})


def checkpoint(folder: Path, fingerprint: str = "f" * 64, notice: str = "") -> Path:
    """A folder as the trainer leaves it, without weights that mean anything."""
    (folder / "backbone").mkdir(parents=True, exist_ok=True)
    told = {"format": 1, "dimensions": DIMENSIONS, "fingerprint": fingerprint, "notice": notice, "aggregate": "mean"}
    (folder / "reward.json").write_text(json.dumps({**told, "config": Config().to_json()}))
    (folder / "heads.safetensors").write_bytes(b"h" * 100)
    (folder / "backbone" / "network.safetensors").write_bytes(b"n" * 1000)
    return folder


def model(slug: str = "mine", number: int = 1, by: Any = None, **fields: Any) -> RewardModel:
    """A version with its files."""
    name = f"{slug}-{number}"
    checkpoint(Path(settings.MODELS_ROOT) / name)
    given: dict[str, Any] = {
        "name": slug.title(),
        "config": Config().to_json(),
        "metrics": metrics(),
        "dimensions": DIMENSIONS,
        "folder": name,
        "fingerprint": f"{number:064}",
        "size": 1100,
        "created_by": by,
    }
    if "labelled_set" not in fields:
        given["labelled_set"] = LabelledSet.objects.filter(slug="set").first() or labelled_set()
    return RewardModel.objects.create(slug=slug, number=number, **{**given, **fields})


def model_row(by: Any) -> list[Any]:
    """The arguments of a version's address."""
    made = model(by=by)
    return [made.slug, made.number]


def events(steps: int = 40, every: int = 10) -> list[dict[str, Any]]:
    """What a training says, as far as pages read it."""
    rows: list[dict[str, Any]] = []
    for step in range(1, steps + 1):
        loss = 1.0 - step / (2 * steps)
        terms = {"ranking": loss * 0.8, "anchor": loss * 0.2}
        rows.append({"event": "train", "step": step, "loss": loss, "terms": terms, "grad_norm": 1.5, "lr": 1e-3 / step})
        if step % every == 0:
            if step == every:
                known = {name: figures(value) for name, value in (("constant", 0.5), ("pixel-difference", 0.61))}
                by_key = {one["key"]: {name: rows[one["key"]] for name, rows in known.items()} for one in DIMENSIONS}
                rows.append({"event": "baselines", "dimensions": by_key})
            nll = 0.5 + abs(step - 30) / 100
            looked = {"dimensions": figures(0.5 + step / 100), "calibration": calibration()}
            rows.append({"event": "held-out", "step": step, "nll": nll, **looked})
    return rows


def write_events(folder: Path, rows: list[dict[str, Any]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "events.jsonl").open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
