"""Measures the demo judge on held-out cases: python -m training.gpu.drawn_judge.evaluate --card

Answers are compared with the truth, scores with the true score of the drawn world. Attempts at one case are not
independent: every interval is a percentile bootstrap over cases.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PillowImage

from drawnworld.edits import TASKS, Pair
from drawnworld.flaws import ATTEMPTS
from drawnworld.questions import FAMILIES, families_of, suggestions
from drawnworld.render import Image
from drawnworld.score import true_score
from training.gpu.drawn_judge.answering import Answerer
from training.gpu.drawn_judge.card import card
from training.gpu.drawn_judge.data import KEYS, held_out_cases, true_answers
from training.gpu.drawn_judge.others import TRAINED, UNSEEN
from training.gpu.drawn_judge.weights import FOLDER, TRAINING, load_weights

CASES, RESAMPLES = 320, 1000
BAD = "striped"  # the question that is added where the table says "bad"
Floats = NDArray[np.float64]
SETS: dict[str, Callable[[str], list[str]]] = {
    "bare": lambda task: [],
    "+1": lambda task: [key for key, _ in suggestions(task)[:1]],
    "+2": lambda task: [key for key, _ in suggestions(task)[:2]],
    "+2 and bad": lambda task: [*SETS["+2"](task), BAD],
    "all good": lambda task: [key for key, _ in suggestions(task)],
}


@dataclass(frozen=True, slots=True)
class Judged:
    """What the judge made of n attempts: ``good`` and ``unseen`` (n, families), by the plainest wording and by the mean
    over the unseen ones, NaN where it declined; ``truth`` likewise; ``score`` the true ones, 0..5; ``case`` (n,)."""

    task: NDArray[np.str_]
    case: NDArray[np.int64]
    impression: Floats
    good: Floats
    unseen: Floats
    truth: Floats
    score: Floats
    right_task: NDArray[np.bool_]


def planted(cases: Sequence[Pair]) -> list[tuple[int, Image]]:
    """The candidates of the six planted editors, as in a data set of the drawn world: (case, picture)."""
    return [
        (index, attempt(pair, random.Random(f"held out/{index}/{editor}")).image)
        for index, pair in enumerate(cases)
        for editor, attempt in ATTEMPTS.items()
    ]


def trained_editors(cases: Sequence[Pair], draws: int = 1) -> list[tuple[int, Image]]:
    """Edits by the two CPU editors."""
    from training.gpu.drawn.sample import sample
    from training.gpu.drawn.weights import FOLDER as EDITORS
    from training.gpu.drawn.weights import base_names
    from training.gpu.drawn.weights import load_weights as load_editor

    made: list[tuple[int, Image]] = []
    for base in base_names():
        pipeline, _ = load_editor(EDITORS / base)
        for start in [start for _ in range(draws) for start in range(0, len(cases), 32)]:
            batch = range(start, min(start + 32, len(cases)))
            sources = [PillowImage.fromarray(cases[index].source) for index in batch]
            words, seeds = [cases[index].edit.instruction for index in batch], [len(made) + n for n in batch]
            images = sample(pipeline, sources, words, seeds, 8)
            made += [(index, np.asarray(image)) for index, image in zip(batch, images, strict=True)]
    return made


def judge_all(answerer: Answerer, cases: Sequence[Pair], attempts: Sequence[tuple[int, Image]]) -> Judged:
    rows = []
    for index, edited in attempts:
        pair = cases[index]
        families = families_of(pair.edit.task)
        texts = [text for family in families for text in (family.wordings[0], *family.unseen)]
        verdict = answerer.verdict(pair.edit.instruction, texts, pair.source, edited)
        good, unseen = np.full(len(KEYS), np.nan), np.full(len(KEYS), np.nan)
        for place, family in enumerate(families):
            number = KEYS.index(family.key)
            given = [_number(answer.good) for answer in verdict.answers[3 * place : 3 * place + 3]]
            good[number], unseen[number] = given[0], _mean(given[1:])
        truth = np.array(
            [t if not FAMILIES[k].fault else 1 - t for k, t in zip(KEYS, true_answers(pair, edited), strict=True)]
        )
        true = true_score(pair.source, pair.target, pair.mask, edited).score
        right = verdict.task == pair.edit.task
        rows.append((pair.edit.task, index, verdict.impression, good, unseen, truth, true, right))
    return Judged(*(np.array(column) for column in zip(*rows, strict=True)))


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else np.nan


def composite(judged: Judged, keys: Sequence[str]) -> Floats:
    """The judge's score for a prompt with these questions, 0..1: as answering.Verdict.mean."""
    columns = [judged.impression, *(judged.good[:, KEYS.index(key)] for key in keys)]
    return np.asarray(np.nanmean(np.stack(columns), axis=0))


def correlation(first: Floats, second: Floats, case: NDArray[np.int64]) -> dict[str, Any]:
    """Pearson's r with its interval over cases, and n; r is None where either side does not vary."""
    known = ~(np.isnan(first) | np.isnan(second))
    first, second, case = first[known], second[known], case[known]
    found: dict[str, Any] = {"r": _r(first, second), "n": len(first)}
    groups = [np.flatnonzero(case == one) for one in np.unique(case)]
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(RESAMPLES if found["r"] is not None else 0):
        chosen = np.concatenate([groups[one] for one in rng.integers(0, len(groups), len(groups))])
        drawn.append(_r(first[chosen], second[chosen]))
    known_r = [value for value in drawn if value is not None]
    if known_r:
        found["low"], found["high"] = (round(float(value), 3) for value in np.quantile(known_r, [0.025, 0.975]))
    return found


def _r(first: Floats, second: Floats) -> float | None:
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return round(float(np.corrcoef(first, second)[0, 1]), 3)


def prompts(judged: Judged) -> dict[str, dict[str, Any]]:
    """By task, the correlation of each set of questions with the true score."""
    table: dict[str, dict[str, Any]] = {}
    for task in TASKS:
        here = judged.task == task
        part = Judged(*(getattr(judged, name)[here] for name in Judged.__slots__))
        table[task] = {
            name: correlation(composite(part, keys(task)), part.score, part.case) for name, keys in SETS.items()
        }
    return table


def answers(judged: Judged) -> dict[str, dict[str, Any]]:
    """By family, the correlation of the answers with the truth: the plainest wording, and unseen ones."""
    table = {}
    for number, key in enumerate(KEYS):
        truth = judged.truth[:, number]
        table[key] = {
            "known": correlation(judged.good[:, number], truth, judged.case),
            "unseen": correlation(judged.unseen[:, number], truth, judged.case),
        }
    return table


def declined(answerer: Answerer) -> dict[str, Any]:
    """How many questions of each sort are declined for their words, and how unseen wordings are misread."""

    def share(texts: Sequence[str]) -> str:
        return f"{sum(bool(answerer.understand(text, '').why_not) for text in texts)} of {len(texts)}"

    unseen = [(family.key, text) for family in FAMILIES.values() for text in family.unseen]
    read = {(key, text): answerer.understand(text, "") for key, text in unseen}
    wrong = [f"{text} ({one.family or 'declined'})" for (key, text), one in read.items() if one.family != key]
    return {
        "known wordings": share([text for family in FAMILIES.values() for text in family.wordings]),
        "unseen wordings": share([text for _, text in unseen]),
        "others, trained": share(TRAINED),
        "others, unseen": share(UNSEEN),
        "unseen wordings misread": wrong,
        "others judged": [text for text in UNSEEN if not answerer.understand(text, "").why_not],
    }


def measure(answerer: Answerer, count: int, editors: bool) -> dict[str, Any]:
    cases = held_out_cases(count)
    judged = judge_all(answerer, cases, planted(cases))
    report: dict[str, Any] = {"measure": "true score of the drawn world", "cases": count}
    report |= {"tasks_right": round(float(judged.right_task.mean()), 4), "declined": declined(answerer)}
    report |= {"prompts": prompts(judged), "answers": answers(judged)}
    if editors:
        drawn = judge_all(answerer, cases, trained_editors(cases))
        report["editors"] = {"prompts": prompts(drawn), "answers": answers(drawn)}
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=FOLDER, help="a folder with weights")
    parser.add_argument("--cases", type=int, default=CASES)
    parser.add_argument("--editors", action="store_true", help="also judge what the CPU editors make")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--card", action="store_true", help="write README.md beside the weights")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    network, digest = load_weights(arguments.model)
    report = {"sha256": digest, **measure(Answerer(network), arguments.cases, arguments.editors or arguments.card)}
    print(json.dumps(report, indent=1))
    if arguments.card:
        training = json.loads((arguments.model / TRAINING).read_text(encoding="utf-8"))
        (arguments.model / "README.md").write_text(card(training, report), encoding="utf-8")


if __name__ == "__main__":
    main()
