"""EditReward-Data: pairs of edits, each scored 1 to 4 for instruction following and for visual quality.

Two forms are read. Parquet, as the card on the Hugging Face hub lists its columns (TIGER-Lab/EditReward-Data,
README at 32910be): key, instruction, source_img, left_output_image, right_output_image, left_model, right_model and
the scores. JSON lists of paths, as the training guide of the repository TIGER-AI-Lab/EditReward shows them: prompt,
path_src, path1, path2, model1, model2, model1_dim1_score and so on, dimension 1 being instruction following.

Labels are the scores: pairs and ties follow from them in each dimension. The vote of a row is the order of the sums.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.rewards.groups import DEV, TEST, TRAIN, Dimension, Labels
from training.rewards.layouts import Item, LayoutError, Made, Picture
from training.rewards.reading import Line, Parquet, Spot, files_of, free_key, lines_of

NAME = "editreward"
LABEL = "EditReward-Data (two dimensions, 1 to 4)"
ABOUT = (
    "Parquet files with the pictures inside, as the hub has them, or train.json (and test.json) with the paths of "
    "pictures beneath the folder."
)
LOW, HIGH = 1.0, 4.0
DIMENSIONS = (
    Dimension("following", "Instruction following", LOW, HIGH),
    Dimension("quality", "Visual quality", LOW, HIGH),
)
SEED = re.compile(r"(?P<editor>.+?)_seed(?P<seed>[0-9]{1,15})")
SPLIT_NAMES = ((TEST, ("test",)), (DEV, ("valid", "dev")))

SIDES = ("left", "right")
SCORES = {"following": "{}_instruction_following_score", "quality": "{}_quality_aesthetic_score"}
SMALL = ("key", "instruction", *(f"{side}_model" for side in SIDES))
PARQUET = (*SMALL, *(name.format(side) for side in SIDES for name in SCORES.values()))
PICTURES = ("source_img", *(f"{side}_output_image" for side in SIDES))
PATHS = ("prompt", "path_src", "path1", "path2", "model1", "model2")


@dataclass(slots=True)
class _Found:
    """A group while the rows are read: where its pictures lie, and every score that a candidate was given."""

    source: Any
    instruction: str
    where: str
    candidates: dict[tuple[str, str], Any] = field(default_factory=dict)
    scores: dict[tuple[str, str], dict[str, list[float]]] = field(default_factory=dict)

    def add(self, who: tuple[str, str], picture: Any, scores: dict[str, float | None]) -> None:
        self.candidates.setdefault(who, picture)
        kept = self.scores.setdefault(who, {dimension.key: [] for dimension in DIMENSIONS})
        for key, score in scores.items():
            if score is not None:
                kept[key].append(score)


Groups = dict[tuple[str, str, str], _Found]  # by split, key and instruction


def read(folder: Path) -> Iterator[Item]:
    if parquet := files_of(folder, ".parquet"):
        return _from_parquet(parquet)
    if tables := files_of(folder, ".json", ".jsonl"):
        return _from_paths(folder, tables)
    raise LayoutError("There is neither a .parquet file nor a train.json in the folder.")


def split_of(path: Path) -> str:
    """By the file's name; the training part is left open, so that a development part can be dealt from it."""
    return next((split for split, starts in SPLIT_NAMES if path.name.lower().startswith(starts)), "")


def _from_parquet(paths: list[Path]) -> Iterator[Item]:
    table = Parquet(paths, PARQUET, PICTURES)
    groups: Groups = {}
    for line, file, block, row in table.lines():
        key, instruction = line.text("key", most=200), line.text("instruction")
        name = (split_of(paths[file]), key, instruction)
        found = groups.setdefault(name, _Found(Spot(file, block, row, "source_img"), instruction, line.where))
        for side in SIDES:
            who = (line.text(f"{side}_model", most=200), "")
            scores = {key: line.number(column.format(side), LOW, HIGH) for key, column in SCORES.items()}
            found.add(who, (Spot(file, block, row, f"{side}_output_image"), line.where), scores)
    yield from _items(
        groups, lambda found: table.picture(found.source, found.where), lambda spot: table.picture(spot[0], spot[1])
    )


def _from_paths(folder: Path, paths: list[Path]) -> Iterator[Item]:
    groups: Groups = {}
    for path in paths:
        for line in lines_of(folder, path, PATHS):
            _add_paths(groups, folder, split_of(path), line)
    yield from _items(groups, lambda found: found.source, lambda picture: picture)


def _add_paths(groups: Groups, folder: Path, split: str, line: Line) -> None:
    source, instruction = line.picture(folder, "path_src"), line.text("prompt")
    key = source.relative_to(folder).with_suffix("").as_posix()
    found = groups.setdefault((split, key, instruction), _Found(source, instruction, line.where))
    for side in (1, 2):
        picture = line.picture(folder, f"path{side}")
        scores = {
            dimension.key: line.number(f"model{side}_dim{number}_score", LOW, HIGH)
            for number, dimension in enumerate(DIMENSIONS, start=1)
        }
        found.add((line.text(f"model{side}", most=200), str(picture)), picture, scores)


def _items(groups: Groups, source: Any, picture: Any) -> Iterator[Item]:
    if not groups:
        raise LayoutError("The tables have no rows.")
    taken: set[str] = set()
    for (split, key, instruction), found in groups.items():
        yield Item(
            key=free_key(key, taken),
            source=source(found),
            instruction=instruction,
            task="",
            candidates=tuple(_made(who[0], picture(where)) for who, where in found.candidates.items()),
            labels={one.key: Labels(mos=_means(found, one.key)) for one in DIMENSIONS},
            split=split or (TRAIN if any(other for other, _key, _text in groups) else ""),
        )


def _made(model: str, image: Picture) -> Made:
    """The files name an editor and its seed in one word, such as qwen_edit_seed2025."""
    match = SEED.fullmatch(model)
    return Made(match["editor"], image, int(match["seed"])) if match else Made(model, image)


def _means(found: _Found, key: str) -> tuple[float | None, ...]:
    """A candidate stands in many rows with one score; where rows differ, their mean counts."""
    given = (found.scores[who][key] for who in found.candidates)
    return tuple(round(sum(scores) / len(scores), 6) if scores else None for scores in given)
