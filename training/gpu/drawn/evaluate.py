"""Measures a CPU editor on the held-out cases: python -m training.gpu.drawn.evaluate --model var/drawn-good

The measure is the true score of the drawn world. It favours blurred, average pictures: an editor with fewer sampling
steps can score higher and look worse. So the edge sharpness stands beside it.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from drawnworld.edits import TASKS, Pair
from drawnworld.score import true_score
from training.gpu.drawn.card import card
from training.gpu.drawn.pairs import HELD_OUT_CASES, HELD_OUT_SERIES, held_out_cases
from training.gpu.drawn.sample import sample
from training.gpu.drawn.weights import TRAINING, load_weights

STEPS = (4, 8, 16)
BATCH = 32


def measure(pipeline: Any, cases: Sequence[Pair], steps: int, draws: int = 1) -> dict[str, Any]:
    """``draws`` edits a case; draw d of case n has the noise seed 1000 d + n. Gives the mean true score of the drawn
    world (0..5), the same by task, the mean reward sigmoid(2 s - 5), the share of scores below 1, and edge sharpness
    (1: as sharp as the exact targets)."""
    edited: list[NDArray[np.uint8]] = []
    places = [(draw, start) for draw in range(draws) for start in range(0, len(cases), BATCH)]
    for draw, start in places:
        batch = cases[start : start + BATCH]
        sources = [Image.fromarray(pair.source) for pair in batch]
        seeds = range(1000 * draw + start, 1000 * draw + start + len(batch))
        images = sample(pipeline, sources, [pair.edit.instruction for pair in batch], seeds, steps)
        edited += [np.asarray(image) for image in images]
    return summary(list(cases) * draws, edited)


def summary(cases: Sequence[Pair], edited: Sequence[NDArray[np.uint8]]) -> dict[str, Any]:
    scores = np.array([true_score(p.source, p.target, p.mask, e).score for p, e in zip(cases, edited, strict=True)])
    tasks = np.array([pair.edit.task for pair in cases])
    return {
        "score": round(float(scores.mean()), 3),
        "reward": round(float(np.mean(1 / (1 + np.exp(5 - 2 * scores)))), 3),
        "below_1": round(float(np.mean(scores < 1)), 3),
        "sharpness": round(edge_sharpness(cases, edited), 3),
        "tasks": {task: round(float(scores[tasks == task].mean()), 2) for task in TASKS if (tasks == task).any()},
    }


def edge_sharpness(cases: Sequence[Pair], edited: Sequence[NDArray[np.uint8]]) -> float:
    """How steep the edits are where the exact targets have their edges: the sum of the brightness differences between
    neighbours that differ by more than 0.1 in the target, divided by the target's own. Noise elsewhere adds nothing."""
    got = want = 0.0
    for pair, image in zip(cases, edited, strict=True):
        exact, made = (pixels.astype(np.float64).mean(axis=2) / 255 for pixels in (pair.target, image))
        for axis in (0, 1):
            step = np.diff(exact, axis=axis)
            edges = abs(step) > 0.1
            got += float((np.diff(made, axis=axis) * np.sign(step))[edges].sum())
            want += float(abs(step)[edges].sum())
    return got / want if want else math.nan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a folder with weights")
    parser.add_argument("--cases", type=int, default=HELD_OUT_CASES)
    parser.add_argument("--draws", type=int, default=3, help="edits of each case, with other noise")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--card", action="store_true", help="write README.md beside the weights")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    pipeline, digest = load_weights(arguments.model)
    cases = held_out_cases(arguments.cases)
    report: dict[str, Any] = {"measure": "true score of the drawn world", "series": HELD_OUT_SERIES}
    report |= {"cases": len(cases), "draws": arguments.draws, "sha256": digest, "steps": {}}
    for steps in STEPS:
        start = time.process_time()
        report["steps"][steps] = measure(pipeline, cases, steps, arguments.draws)
        report["steps"][steps]["cpu_seconds"] = round(time.process_time() - start, 1)
    print(json.dumps(report, indent=1))
    if arguments.card:
        training = json.loads((arguments.model / TRAINING).read_text(encoding="utf-8"))
        (arguments.model / "README.md").write_text(card(training, report), encoding="utf-8")


if __name__ == "__main__":
    main()
