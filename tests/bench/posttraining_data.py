"""What the measurement of post-training needs: cases of the drawn world, rewards by name, given examples, and looks.

Cases to train on are of a series of their own; the cases that the gains are measured on are the held-out cases of the
CPU editor. No editor, judge or reward model has learned from either.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from drawnworld.edits import TASKS, Pair, draw_pair
from drawnworld.flaws import ATTEMPTS
from drawnworld.questions import suggestions
from drawnworld.score import true_score
from training.gpu.drawn.evaluate import edge_sharpness
from training.gpu.editors import EditCase
from training.gpu.posttrain.adapter import Adapter, Condition
from training.gpu.posttrain.cases import TRAIN, Example, RunCase
from training.gpu.posttrain.rewarding.truth import NAME as TRUTH

SERIES = 83  # of drawnworld.edits.draw_pair
CASES = 512
NOISE = 0  # the held-out case n starts from the noise of seed n, in every look
GIVEN = 160  # cases with given examples
QUESTIONS = 3  # good ones that the demo judge is asked for each task: docs/embedded-judge.md
TRUE, MODEL, JUDGE, BOTH = "truth", "model", "judge", "both"
REWARDS = (TRUE, MODEL, JUDGE, BOTH)


def train_pairs(count: int = CASES) -> list[Pair]:
    return [draw_pair(SERIES, index, TASKS[index % len(TASKS)]) for index in range(count)]


def case_of(pair: Pair, key: str) -> EditCase:
    params = {"scene": pair.scene.to_json(), "edit": pair.edit.to_json()}
    source, words = Image.fromarray(pair.source), pair.edit.instruction
    return EditCase(source, Image.fromarray(pair.mask.astype(np.uint8) * 255), words, pair.edit.task, params, key)


def run_cases(pairs: Sequence[Pair]) -> list[RunCase]:
    return [RunCase(number, TRAIN, case_of(pair, f"bench-{number:04}")) for number, pair in enumerate(pairs)]


def reward_specs(reward: str, models: Sequence[str]) -> list[dict[str, Any]]:
    """Entries of job.json for one of REWARDS; ``models``: folders of trained reward models."""
    found: list[dict[str, Any]] = []
    if reward == TRUE:
        found.append({"name": TRUTH, "kind": "truth"})
    if reward in (MODEL, BOTH):
        for number, folder in enumerate(models):
            settings = {"model": "trial", "number": number + 1, "dimension": "overall", "folder": folder}
            found.append({"name": f"reward model {number + 1}", "kind": "reward", "settings": settings})
    if reward in (JUDGE, BOTH):
        found.append({"name": "demo judge", "kind": "drawn", "prompt": {task: _prompt(task) for task in TASKS}})
    return found


def _prompt(task: str) -> dict[str, Any]:
    good = suggestions(task)[:QUESTIONS]
    text = {"preamble": "Judge the edit.", "rubric": "0 is worst, 5 is best.", "low": 0, "high": 5}
    return {"text": {**text, "questions": [words for _, words in good]}, "questions": [key for key, _ in good]}


def given(pairs: Sequence[Pair], editors: Sequence[Any], folder: Path) -> list[Example]:
    """Groups of many editors: two edits by each of ``editors``, and four with planted faults, ranked by the true score
    of the drawn world as people would rank them."""
    import random

    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for number, pair in enumerate(pairs):
        case, chance = case_of(pair, f"bench-{number:04}"), random.Random(f"{SERIES}/{number}/given")
        made = [np.asarray(one.image) for editor in editors for one in editor.edit(case, [2 * number, 2 * number + 1])]
        made += [ATTEMPTS[name](pair, chance).image for name in chance.sample(sorted(ATTEMPTS), 4)]
        scores = np.array([true_score(pair.source, pair.target, pair.mask, one).score for one in made])
        ranks = (-scores).argsort().argsort() + 1.0
        for place, (pixels, score, rank) in enumerate(zip(made, scores, ranks, strict=True)):
            path = folder / f"{number:04}-{place}.png"
            Image.fromarray(pixels).save(path)
            reward = float(1 / (1 + np.exp(5 - 2 * score)))
            found.append(Example(case.key, path, reward, float(rank), f"editor {place}"))
    return found


def edited(adapter: Adapter, conditions: Sequence[Condition], steps: int, batch: int = 64) -> list[NDArray[np.uint8]]:
    """One edit of each case by the ODE, from the noise of its own number."""
    found: list[NDArray[np.uint8]] = []
    for start in range(0, len(conditions), batch):
        told = list(conditions[start : start + batch])
        with torch.no_grad():
            x = torch.cat([adapter.noise(one, [NOISE + start + place]) for place, one in enumerate(told)])
            sigmas = adapter.sigmas(told[0], steps)
            for now, after in pairwise(sigmas):
                x = x + (after - now) * adapter.velocity(x, now.expand(len(x)), told)
        found += [np.asarray(picture) for picture in adapter.decode(x, told)]
    return found


def look(adapter: Adapter, pairs: Sequence[Pair], conditions: Sequence[Condition], steps: int) -> dict[str, Any]:
    """True scores of the drawn world, one a case, and how sharp the edits are (1: as the exact targets)."""
    made = edited(adapter, conditions, steps)
    scores = [true_score(p.source, p.target, p.mask, one).score for p, one in zip(pairs, made, strict=True)]
    return {"scores": [round(score, 4) for score in scores], "sharpness": round(edge_sharpness(pairs, made), 4)}
