"""The card of a trained base: how it was made and what it can do, written by ``evaluate --card`` beside the weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drawnworld.edits import TASKS
from training.gpu.drawn.pairs import TRAIN_SERIES, WRONG_SHARE


def card(training: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """Markdown from what ``train`` wrote into training.json and what ``evaluate`` measured."""
    recipe, name = training["recipe"], training["base"]
    return f"""# The CPU editor, base "{name}"

A flow-matching editor of the drawn world: pictures of 64 x 64 pixels, and instructions over its words. It was trained
from nothing by this repository and knows nothing else. docs/cpu-editor.md tells the whole.

    python -m training.gpu.drawn.train --base {name} --out var/drawn-{name} --threads {training["threads"]}
    python -m training.gpu.drawn.evaluate --model var/drawn-{name} --card

| | |
|---|---|
| file | editor.safetensors, fp16, SHA-256 {report["sha256"]} |
| data | {recipe["pairs"]:,} pairs of the drawn world, series {TRAIN_SERIES}, {WRONG_SHARE:.0%} with a wrong target |
| training | {recipe["steps"]:,} steps of {recipe["batch"]} pairs, seed {recipe["seed"]} |
| cost | {float(training["cpu_seconds"]):,.0f} CPU-seconds, {training["threads"]} thread(s), torch {training["torch"]} |
| held out | {report["cases"]} cases of series {report["series"]}, {report["draws"]} images each |
| noise seed | 1000 d + n for draw d of case n |
| licence | Apache-2.0, as the repository |

The measure is the true score of the drawn world, 0 to 5. It favours blurred, average pictures, so read it with the
sharpness (1: as sharp as the exact targets). The reward is the mean of sigmoid(2 s - 5).

{figures(report)}"""


def figures(report: Mapping[str, Any]) -> str:
    """A table with a line for each number of sampling steps."""
    columns = ("steps", "true score", "reward", "below 1", "sharpness", *TASKS)
    lines = [_line(columns), _line("---" for _ in columns)]
    for steps, row in report["steps"].items():
        tasks = [f"{row['tasks'][task]:.2f}" for task in TASKS]
        numbers = (f"{row['score']:.2f}", f"{row['reward']:.3f}", f"{row['below_1']:.0%}", f"{row['sharpness']:.2f}")
        lines.append(_line((str(steps), *numbers, *tasks)))
    return "".join(lines)


def _line(cells: Any) -> str:
    return f"| {' | '.join(cells)} |\n"
