"""The judge's card: how it was made and what it can do, written by ``evaluate --card`` beside the weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from training.gpu.drawn_judge.attempts import PLANTED_SHARE
from training.gpu.drawn_judge.data import HELD_OUT_SERIES, TRAIN_SERIES


def card(training: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """Markdown from what ``train`` wrote into training.json and what ``evaluate`` measured."""
    recipe, declined = training["recipe"], report["declined"]
    return f"""# The demo judge

A small network that answers questions about edits of the drawn world. It is not a VLM: it was trained from nothing by
this repository and knows nothing else. docs/embedded-judge.md tells the whole.

    python -m training.gpu.drawn_judge.train --out var/drawn-judge --threads {training["threads"]}
    python -m training.gpu.drawn_judge.evaluate --model var/drawn-judge --card

| | |
|---|---|
| file | judge.safetensors, fp16, {training["parameters"]:,} parameters, SHA-256 {report["sha256"]} |
| data | {recipe["cases"]:,} cases of the drawn world, series {TRAIN_SERIES}, {recipe["attempts"]} attempts each, \
{PLANTED_SHARE:.0%} of them by the six planted editors |
| training | {recipe["steps"]:,} steps of {recipe["batch"]} attempts, seed {recipe["seed"]} |
| cost | {float(training["cpu_seconds"]):,.0f} CPU-seconds, {training["threads"]} thread(s), torch {training["torch"]} |
| held out | {report["cases"]} cases of series {HELD_OUT_SERIES}, the candidates of the six planted editors |
| licence | Apache-2.0, as the repository |

The measure is the true score of the drawn world, 0 to 5. Brackets are 95 % intervals, a bootstrap over cases.

## Prompts

The correlation (PCC) of the judge's score with the true score. "+1" and "+2" add the first one and two questions that
are suggested for the task, "bad" asks whether the background of picture A is striped.

{prompt_table(report["prompts"])}
The same for what the two CPU editors make of these cases, which the training never saw:

{prompt_table(report["editors"]["prompts"])}
## Answers

The correlation of the answers with the truth, by family of questions, over all tasks in which it can be asked. Unseen
wordings were kept from the training. The last column is for edits by the CPU editors. A dash: the truth does not vary.

{answer_table(report)}
## What it declines

| questions | declined |
|---|---|
{_rows((name, declined[name]) for name in ("known wordings", "unseen wordings", "others, trained", "others, unseen"))}
Unseen wordings that it takes for another family: {_list(declined["unseen wordings misread"])}.
Questions of no family that it answers all the same: {_list(declined["others judged"])}.
It reads the task from the instruction; {report["tasks_right"]:.1%} right.
"""


def prompt_table(prompts: Mapping[str, Any]) -> str:
    names = tuple(next(iter(prompts.values())))
    head = [("task", "n", *names), ("---",) * (len(names) + 2)]
    rows = [(task, str(row["bare"]["n"]), *(_figure(row[name]) for name in names)) for task, row in prompts.items()]
    return _rows([*head, *rows])


def answer_table(report: Mapping[str, Any]) -> str:
    head = [("family", "n", "known wording", "unseen wordings", "CPU editors"), ("---",) * 5]
    rows = [
        (
            key,
            str(row["known"]["n"]),
            _figure(row["known"]),
            _figure(row["unseen"]),
            _figure(report["editors"]["answers"][key]["known"]),
        )
        for key, row in report["answers"].items()
    ]
    return _rows([*head, *rows])


def _figure(found: Mapping[str, Any]) -> str:
    if found["r"] is None:
        return "–"
    return f"{found['r']:.2f} [{found['low']:.2f}, {found['high']:.2f}]"


def _list(texts: Iterable[str]) -> str:
    return "; ".join(texts) or "none"


def _rows(rows: Iterable[Iterable[str]]) -> str:
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)
