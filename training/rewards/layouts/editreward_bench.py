"""EditReward-Bench of EditReward: orders of K = 2, 3 or 4 candidates.

Source: https://huggingface.co/datasets/TIGER-Lab/EditReward-Bench (folders 2pair, 3pair, 4pair) with the columns that
``inference_{2,3,4}pair_hf.py`` of TIGER-AI-Lab/EditReward at edb027e reads, and the JSON form that its
``eval_bench.py`` reads. The published files themselves were not at hand: only their columns are verified, by that code.

Parquet, ``**/*.parquet``: one pair a row, ``id``, ``dataset`` (2pair, 3pair, 4pair), ``instruction``, ``source_image``,
``candidate_1``, ``candidate_2``, ``comparison_type`` ("AvsC"), ``ranking`` ("A>C", "A=B"), ``model_1``, ``model_2``.
Rows of one tuple share the part of ``id`` before the first "_" (its first ten characters where there is none).
JSON, ``EditReward_Bench_{2,3,4}pair.json``: ``prompt``, ``path_src``, ``paths_generated`` (K names),
``human_vote.ranking`` ("C>A>B", "A=B=Bad").

A label is read by its signs alone: "A=B" is a tie here, where the released reader takes it for "A>B".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

from annotation.importing.problems import quoted
from training.rewards.groups import Dimension, Labels
from training.rewards.layouts import Item, LayoutError, Picture
from training.rewards.layouts._reading import found, json_lines, made, order_of, picture, table_lines
from training.rewards.reading import Line, object_of

NAME = "editreward_bench"
LABEL = "EditReward-Bench (EditReward)"
ABOUT = "Parquet or JSON files 2pair, 3pair, 4pair: orders of two to four candidates."
DIMENSIONS = (Dimension("overall", "Overall", 1, 4),)
LETTERS = "ABCD"
KINDS = {"2pair": 2, "3pair": 3, "4pair": 4}
COLUMNS = (
    "id",
    "dataset",
    "instruction",
    "source_image",
    "candidate_1",
    "candidate_2",
    "comparison_type",
    "ranking",
    "model_1",
    "model_2",
)
TYPE = re.compile(r"([A-D])vs([A-D])")
JSON_NAME = "EditReward_Bench_{}.json"


def read(folder: Path) -> Iterator[Item]:
    jsons = [(kind, path) for kind in KINDS for path in found(folder, f"**/{JSON_NAME.format(kind)}")]
    tables = found(folder, "**/*.parquet")
    if not jsons and not tables:
        names = ", ".join(JSON_NAME.format(kind) for kind in KINDS)
        raise LayoutError(f"The folder holds none of the files of this layout: *.parquet, {names}.")
    for kind, path in jsons:
        for count, line in enumerate(json_lines(path)):
            yield _listed(folder, kind, count, line)
    if not jsons:
        yield from _tuples(folder, tables)


def _listed(folder: Path, kind: str, count: int, line: Line) -> Item:
    names = line.cells.get("paths_generated")
    if not isinstance(names, list) or len(names) != KINDS[kind]:
        raise line.wrong(f"paths_generated must be a list of {KINDS[kind]} names.")
    told = object_of(line.cells.get("human_vote"), f"{line.where}, human_vote")
    shown: list[tuple[object, Picture]] = [("", line.beneath(folder, str(name))) for name in names]
    labels = order_of(told.text("ranking"), LETTERS[: len(names)], line)
    return _item(f"{kind}-{count:04}", line.picture(folder, "path_src"), line.text("prompt"), shown, labels)


def _item(key: str, source: Picture, instruction: str, shown: list[tuple[object, Picture]], labels: Labels) -> Item:
    candidates = made([model for model, _one in shown], [one for _model, one in shown])
    return Item(key, source, instruction, "", candidates, {"overall": labels})


class _Tuple:
    """A tuple while its pairs come in."""

    def __init__(self, kind: str, line: Line, source: Picture) -> None:
        self.kind, self.source, self.where = kind, source, line.where
        self.instruction = line.text("instruction")
        self.shown: dict[int, tuple[object, Picture]] = {}
        self.pairs: dict[tuple[int, int], int] = {}
        self.both_bad: set[tuple[int, int]] = set()

    @property
    def whole(self) -> bool:
        return len(self.pairs) == len(list(combinations(range(KINDS[self.kind]), 2)))

    def add(self, line: Line, folder: Path) -> None:
        one, other = _places(line, self.kind)
        if (one, other) in self.pairs or line.text("instruction") != self.instruction:
            message = f"this row does not fit the tuple that begins in {self.where}: "
            raise line.wrong(message + "the same pair again, or another instruction.")
        labels = order_of(line.text("ranking"), LETTERS[one] + LETTERS[other], line)
        first, second = (rank or 0 for rank in labels.ranks)
        self.pairs[one, other] = (second > first) - (second < first)
        if labels.both_bad:
            self.both_bad.add((one, other))
        for place, number in ((one, 1), (other, 2)):
            if place not in self.shown:
                shown = picture(line, line.cells[f"candidate_{number}"], folder)
                self.shown[place] = (line.cells[f"model_{number}"], shown)

    def item(self, key: str) -> Item:
        shown = [self.shown[place] for place in range(KINDS[self.kind])]
        pairs = tuple((i, j, outcome) for (i, j), outcome in sorted(self.pairs.items()))
        return _item(key, self.source, self.instruction, shown, Labels(pairs=pairs, both_bad=frozenset(self.both_bad)))


def _places(line: Line, kind: str) -> tuple[int, int]:
    """Places of the two of a row; a 2pair row needs no comparison_type."""
    told = line.text("comparison_type", "")
    if kind == "2pair" and not told:
        return 0, 1
    letters = TYPE.fullmatch(told)
    places = [LETTERS.index(letter) for letter in letters.groups()] if letters else []
    if len(places) != 2 or not places[0] < places[1] < KINDS[kind]:
        raise line.wrong(f"comparison_type is {quoted(told)}; it must be such as “AvsB”.")
    return places[0], places[1]


def _tuples(folder: Path, tables: list[Path]) -> Iterator[Item]:
    """Tuples as soon as all their pairs have come, so that few pictures are held."""
    begun: dict[str, _Tuple] = {}
    done: set[str] = set()
    for line in table_lines(tables, COLUMNS):
        key, kind = _tuple_of(line)
        if key in done:
            raise line.wrong(f"the tuple {quoted(key)} was whole already.")
        one = begun.get(key) or _Tuple(kind, line, picture(line, line.cells["source_image"], folder))
        begun[key] = one
        one.add(line, folder)
        if one.whole:
            done.add(key)
            yield begun.pop(key).item(key)
    if begun:
        one = next(iter(begun.values()))
        raise LayoutError(f"{one.where}: {len(begun)} tuples lack pairs; this is the first.")


def _tuple_of(line: Line) -> tuple[str, str]:
    kind, name = line.text("dataset"), line.text("id")
    if kind not in KINDS:
        raise line.wrong(f"dataset is {quoted(kind)}; known are {', '.join(KINDS)}.")
    part = name if kind == "2pair" else name.split("_", 1)[0] if "_" in name else name[:10]
    return f"{kind}-{part}", kind
