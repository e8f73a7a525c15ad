"""A small training set of the drawn world, its labels from the truth with seeded noise: simulated, for tests alone."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from drawnworld.edits import TASKS, draw_pair
from drawnworld.flaws import ATTEMPTS
from drawnworld.score import true_score
from training.rewards.config import Config
from training.rewards.groups import DEV, TEST, TRAIN, Dimension, Entry, Group, Header, Labels, write_set

DIMENSIONS = (Dimension("alignment", "Alignment", 1, 5), Dimension("preservation", "Preservation", 1, 5))
PLANTED = tuple(sorted(ATTEMPTS))
QUICK = Config(steps=6, batch=4, eval_every=3, patience=0, learning_rate=1e-3, device="cpu")


def write_drawn_set(folder: Path, train: int = 16, held_out: int = 6, candidates: int = 4) -> Path:
    """The set's file. Groups by the planted editors; ranks with ties, and MOS in steps of a tenth."""
    (folder / "images").mkdir(parents=True)
    splits = [TRAIN] * train + [DEV] * held_out + [TEST] * held_out
    groups = [_group(folder, number, split, candidates) for number, split in enumerate(splits)]
    header = Header("Small set", DIMENSIONS, "sha-of-the-small-set", "Simulation.")
    write_set(folder / "set.jsonl.gz", header, groups)
    return folder / "set.jsonl.gz"


def _group(folder: Path, number: int, split: str, candidates: int) -> Group:
    pair, rng = draw_pair(77, number, TASKS[number % len(TASKS)]), random.Random(number)
    follow, keep, entries = [], [], []
    for place, editor in enumerate(rng.sample(PLANTED, candidates)):
        image = ATTEMPTS[editor](pair, rng).image
        truth = true_score(pair.source, pair.target, pair.mask, image)
        follow.append(truth.follow + rng.gauss(0, 0.05))
        keep.append(truth.keep + rng.gauss(0, 0.05))
        entries.append(Entry(f"{number}-{place}", save(folder, f"images/{number}-{place}.png", image), editor))
    labels = {"alignment": _labels(follow), "preservation": _labels(keep)}
    source = save(folder, f"images/{number}.png", pair.source)
    words = pair.edit.instruction
    return Group(f"g{number}", source, f"s{number}", words, pair.edit.task, split, tuple(entries), labels)


def _labels(opinions: list[float]) -> Labels:
    levels = [round(10 * min(max(one, 0), 1)) for one in opinions]
    ranks = tuple(1.0 + sum(other > mine for other in levels) for mine in levels)
    return Labels(ranks=ranks, mos=tuple(round(1 + 0.4 * level, 1) for level in levels))


def save(folder: Path, name: str, pixels: Any) -> str:
    Image.fromarray(np.asarray(pixels)).save(folder / name)
    return name


def rewritten(file: Path, name: str, change: Any) -> Path:
    """The same set beside it under another name, each group through ``change``."""
    from training.rewards.groups import read_groups, read_header

    other = file.with_name(name)
    write_set(other, read_header(file), [one for one in map(change, read_groups(file)) if one])
    return other


def job_folder(folder: Path, file: Path, config: Config, **more: Any) -> Path:
    """A job folder whose inputs are the set's folder."""
    folder.mkdir()
    (folder / "inputs").symlink_to(file.parent.resolve())
    told = {"config": config.to_json(), "set": file.name, "init": "", **more}
    (folder / "job.json").write_text(json.dumps({"kind": "reward-train", "config": told, "attempt": 1}))
    return folder


def quick(**changes: Any) -> Config:
    return replace(QUICK, **changes)
