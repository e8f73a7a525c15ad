"""AURORA-Bench: pairs with a winner or a tie, and single edits with a score.

Source: the repository McGill-NLP/AURORA links the human ratings (2,000 on outputs of 5 models). The names of files and
fields are those with which the evaluation code of ADIEE (SherryXTChen, "AURORABenchPairwiseDataset",
"AURORABenchDataset") and of TIGER-AI-Lab/EditReward (``eval_bench.py``) read them. The files themselves are on a drive
that could not be reached: the scale of the scores (0 no success, 1 in part, 2 full) is **not verified**, and a score
beyond it is refused.

``human_ratings_pairwise.json``: {"prompt", "input", "gens": [2 names], "models": [2 names], "winner": model or "tie"}.
``human_ratings_updated_prompt.json`` or ``human_ratings.json``: {"prompt", "input", "gen", "score", "model"?, "task"?}.
Names are relative to the folder. One of the two suffices; with both, both are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from annotation.importing.problems import quoted
from training.rewards.groups import Dimension, Labels
from training.rewards.layouts import Item, LayoutError
from training.rewards.layouts._reading import found, given, json_lines, made, pair_of
from training.rewards.reading import Line

NAME = "aurora_bench"
LABEL = "AURORA-Bench"
ABOUT = "JSON files of human ratings, with the pictures they name: pairs with winner or tie, and edits with a score."
LOW, HIGH = 0, 2
DIMENSIONS = (Dimension("overall", "Overall", LOW, HIGH),)
PAIRS = "human_ratings_pairwise.json"
POINTS = ("human_ratings_updated_prompt.json", "human_ratings.json")
TIE = "tie"


def read(folder: Path) -> Iterator[Item]:
    pairs, points = found(folder, PAIRS), [path for name in POINTS for path in found(folder, name)]
    if not pairs and not points:
        raise LayoutError(f"The folder holds none of the files of this layout: {PAIRS}, {', '.join(POINTS)}.")
    for path in pairs:
        for count, line in enumerate(json_lines(path)):
            yield _pair(folder, f"pair-{count:04}", line)
    if points:
        yield from _points(folder, json_lines(points[0]))


def _pair(folder: Path, key: str, line: Line) -> Item:
    models, gens = pair_of(line, "models"), pair_of(line, "gens")
    winner = line.text("winner")
    if winner != TIE and (winner not in models or models[0] == models[1]):
        message = f"the winner is {quoted(winner)}; it must be “tie” or one of two different models: "
        raise line.wrong(message + ", ".join(map(str, models)) + ".")
    outcome = 0 if winner == TIE else 1 if winner == models[0] else -1
    return Item(
        key=key,
        source=line.picture(folder, "input"),
        instruction=line.text("prompt"),
        task="",
        candidates=made(models, [line.beneath(folder, str(gen)) for gen in gens]),
        labels={"overall": Labels(pairs=((0, 1, outcome),))},
    )


def _points(folder: Path, lines: Iterator[Line]) -> Iterator[Item]:
    """Edits of one source picture and instruction are one group."""
    groups: dict[tuple[Path, str], list[Line]] = {}
    for line in lines:
        groups.setdefault((line.picture(folder, "input"), line.text("prompt")), []).append(line)
    for count, ((source, instruction), some) in enumerate(groups.items()):
        scores = tuple(given(line.number("score", LOW, HIGH), line, "score") for line in some)
        yield Item(
            key=f"rated-{count:04}",
            source=source,
            instruction=instruction,
            task="",
            candidates=made([line.cells.get("model") for line in some], [line.picture(folder, "gen") for line in some]),
            labels={"overall": Labels(mos=scores)},
        )
