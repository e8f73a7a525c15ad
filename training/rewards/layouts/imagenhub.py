"""ImagenHub, text-guided image editing: three raters, each with SC and PQ of 0, 0.5 or 1 for every edit.

Source: https://github.com/TIGER-AI-Lab/ImagenHub at 439f72c, ``eval/human_ratings/Text-Guided_IE``: the ratings were
read from there in this form. ``AnalyzeHumanEval.ipynb`` there has the overall score of a rater, √(SC·PQ), which its
means over edits and raters equal (see tests). The layout of pictures, ``results/ImagenHub_Text-Guided_IE`` with
``dataset_lookup.json``, is what ``src/imagen_hub/benchmark/text_guided_ie.py`` writes and evaluation code of others
reads; the pictures themselves were not at hand.

``**/Text-Guided_IE_rater*.tsv``: columns ``uid`` and one for each editor; cells such as ``[0.5, 1]``: SC, then PQ.
``**/dataset_lookup.json``: {uid: {"instruction": …}}; beside it ``input/UID`` and ``EDITOR/UID``.
An edit whose picture is not there is left out where its editor has no folder at all (the notebook leaves out Imagic).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from annotation.importing.problems import quoted
from training.rewards.groups import Dimension, Labels
from training.rewards.layouts import Item, LayoutError
from training.rewards.layouts._reading import first_of, found, made, text_of
from training.rewards.reading import object_of, parsed

NAME = "imagenhub"
LABEL = "ImagenHub (text-guided editing)"
ABOUT = "TSV files of three raters, and the folder of pictures with dataset_lookup.json."
DIMENSIONS = (
    Dimension("overall", "Overall √(SC·PQ)", 0, 1),
    Dimension("alignment", "Semantic consistency", 0, 1),
    Dimension("quality", "Perceptual quality", 0, 1),
)
RATINGS = ("**/Text-Guided_IE_rater*.tsv", "**/*_rater*.tsv")
Scores = Mapping[tuple[str, str], tuple[float, float]]  # (uid, editor) to SC and PQ


def read(folder: Path) -> Iterator[Item]:
    first = first_of(folder, *RATINGS)
    raters = {path.stem.rsplit("_", 1)[-1]: ratings(path) for path in found(first.parent, "*_rater*.tsv")}
    lookup = first_of(folder, "**/dataset_lookup.json")
    editors = list(dict.fromkeys(name for one in raters.values() for _uid, name in one))
    here = [name for name in editors if (lookup.parent / name).is_dir()]
    if not here:
        raise LayoutError(f"Beside {lookup.name} there is no folder of an editor of the ratings: {', '.join(editors)}.")
    for uid, told in object_of(parsed(text_of(lookup), lookup.name), lookup.name).cells.items():
        if rated := [name for name in here if any((uid, name) in one for one in raters.values())]:
            yield _item(lookup.parent, uid, told, rated, raters)


def ratings(path: Path) -> Scores:
    """A rater's file. Raises LayoutError with line and editor of a cell that is no pair on the scale."""
    rows = [line.split("\t") for line in text_of(path).splitlines() if line.strip()]
    if not rows or rows[0][0].strip() != "uid" or len(rows[0]) < 2:
        raise LayoutError(f"{path.name}: the first line must be “uid” and the editors' names, with tabs between.")
    names = [name.strip() for name in rows[0][1:]]
    scores = {}
    for line, cells in enumerate(rows[1:], start=2):
        if len(cells) != len(rows[0]):
            raise LayoutError(f"{path.name}, line {line}: {len(cells)} cells; the first line has {len(rows[0])}.")
        for name, cell in zip(names, cells[1:], strict=True):
            scores[cells[0].strip(), name] = _cell(cell, f"{path.name}, line {line}, {name}")
    return scores


def _cell(cell: str, where: str) -> tuple[float, float]:
    try:
        value = json.loads(cell)
    except ValueError:
        value = None
    on_scale = isinstance(value, list) and len(value) == 2 and all(one in (0, 0.5, 1) for one in value)
    if not on_scale or any(isinstance(one, bool) for one in value):
        raise LayoutError(f"{where}: {quoted(cell)} is no pair of 0, 0.5 or 1, such as [0.5, 1].")
    return float(value[0]), float(value[1])


def overall(semantic: float, perceptual: float) -> float:
    """√(SC·PQ) of one rater, AnalyzeHumanEval.ipynb."""
    return math.sqrt(semantic * perceptual)


def _item(folder: Path, uid: str, told: object, editors: list[str], raters: Mapping[str, Scores]) -> Item:
    line = object_of(told, f"dataset_lookup.json, {quoted(uid)}")
    said = _said(uid, editors, raters)
    return Item(
        key=uid.removesuffix(".jpg"),
        source=line.beneath(folder, f"input/{uid}"),
        instruction=line.text("instruction"),
        task="",
        candidates=made(editors, [line.beneath(folder, f"{name}/{uid}") for name in editors]),
        labels={key: Labels(mos=_means(rows, len(editors))) for key, rows in said.items()},
        raters=said,
    )


def _said(uid: str, editors: list[str], raters: Mapping[str, Scores]) -> dict[str, tuple[tuple[str, int, float], ...]]:
    """By dimension, (rater, candidate, score)."""
    every = [
        (rater, place, scores[uid, name])
        for rater, scores in raters.items()
        for place, name in enumerate(editors)
        if (uid, name) in scores
    ]
    return {
        "overall": tuple((rater, place, overall(*both)) for rater, place, both in every),
        "alignment": tuple((rater, place, both[0]) for rater, place, both in every),
        "quality": tuple((rater, place, both[1]) for rater, place, both in every),
    }


def _means(rows: tuple[tuple[str, int, float], ...], count: int) -> tuple[float | None, ...]:
    given = [[score for _rater, at, score in rows if at == place] for place in range(count)]
    return tuple(sum(scores) / len(scores) if scores else None for scores in given)
