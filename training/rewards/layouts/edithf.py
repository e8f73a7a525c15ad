"""EditHF-1M: mean opinion scores 0 to 100 and mean ranks in three dimensions, in tables for each split.

The folders are those of the data set's card on the Hugging Face hub (sparkling621/EditHF-1M): source/CATEGORY/1.jpg,
edited/EDITOR/CATEGORY/1.jpg, scores/ and rank/ with train.csv, validation.csv and test.csv. The card does not name the
columns of the tables, and we have not seen them: the names below are ours, and columns.json beside the folders says
which column of the files is which, such as {"edited": "image_path", "quality": "MOS_visual"}.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from training.rewards.groups import DEV, TEST, TRAIN, Dimension, Labels
from training.rewards.layouts import Item, LayoutError, Made
from training.rewards.reading import Line, free_key, lines_of, settings_of

NAME = "edithf"
LABEL = "EditHF-1M, EBench-18K (scores 0 to 100 and ranks in three dimensions)"
ABOUT = (
    "Folders scores/ and rank/ (one of them is enough) with train.csv, validation.csv and test.csv, beside source/ and "
    "edited/. Columns: edited, instruction, quality, alignment, preservation, and, where they are there, source, "
    "editor and task. Other names go into columns.json."
)
LOW, HIGH = 0.0, 100.0
DIMENSIONS = (
    Dimension("quality", "Visual quality", LOW, HIGH),
    Dimension("alignment", "Editing alignment", LOW, HIGH),
    Dimension("preservation", "Attribute preservation", LOW, HIGH),
)
KEYS = tuple(dimension.key for dimension in DIMENSIONS)
TABLES = {"train": TRAIN, "validation": DEV, "val": DEV, "test": TEST}
SCORES, RANKS = "scores", "rank"
LARGEST = 1000.0  # a rank
COLUMNS = ("edited", "instruction", *KEYS, "source", "editor", "task")
NEEDED = ("edited", "instruction")


@dataclass(slots=True)
class _Found:
    source: Path
    task: str
    editors: dict[Path, str] = field(default_factory=dict)
    marks: dict[str, dict[Path, dict[str, float]]] = field(default_factory=lambda: {SCORES: {}, RANKS: {}})
    splits: set[str] = field(default_factory=set)


Groups = dict[tuple[Path, str], _Found]


def read(folder: Path) -> Iterator[Item]:
    columns = _columns(folder)
    tables = [
        (kind, split, path)
        for kind in (SCORES, RANKS)
        for name, split in TABLES.items()
        if (path := folder / kind / f"{name}.csv").exists()
    ]
    if not tables:
        raise LayoutError("There is no scores/train.csv or rank/train.csv (or validation.csv, test.csv).")
    groups: Groups = {}
    for kind, split, path in tables:
        for line in lines_of(folder, path, [columns[name] for name in NEEDED]):
            _add(groups, folder, kind, split, _named(line, columns, kind))
    if not groups:
        raise LayoutError("The tables have no rows.")
    taken: set[str] = set()
    for (source, instruction), found in groups.items():
        key = source.relative_to(folder).with_suffix("").as_posix()
        yield _item(found, free_key(key, taken), instruction)


def _columns(folder: Path) -> dict[str, str]:
    given = settings_of(folder / "columns.json")
    wrong = [str(name) for name, column in given.items() if name not in COLUMNS or not isinstance(column, str)]
    if wrong:
        raise LayoutError(f"columns.json: {', '.join(wrong)[:200]} is not known. Names here: {', '.join(COLUMNS)}.")
    return {name: given.get(name, name) for name in COLUMNS}


def _named(line: Line, columns: Mapping[str, str], kind: str) -> Line:
    """The row under our names, with the table in its place: train.csv is there twice."""
    cells = {name: line.cells[column] for name, column in columns.items() if column in line.cells}
    if not set(KEYS) & set(cells):
        raise line.wrong(f"there is no column of a dimension: {', '.join(columns[key] for key in KEYS)}.")
    return Line(cells, f"{kind}/{line.where}")


def _add(groups: Groups, folder: Path, kind: str, split: str, line: Line) -> None:
    edited = line.picture(folder, "edited")
    parts = edited.relative_to(folder).parts  # edited, EDITOR, CATEGORY …, 1.jpg
    if len(parts) < 4 and not {"source", "editor"} <= set(line.cells):
        raise line.wrong("edited must look like edited/EDITOR/CATEGORY/1.jpg, or name source and editor, too.")
    if line.text("source", ""):
        source = line.picture(folder, "source")
    else:
        source = line.beneath(folder, "/".join(("source", *parts[2:])))
    task = line.text("task", parts[-2] if len(parts) > 3 else "", most=64)
    found = groups.setdefault((source, line.text("instruction")), _Found(source, task))
    found.splits.add(split)
    found.editors.setdefault(edited, line.text("editor", parts[1] if len(parts) > 1 else "unknown", most=64))
    low, high = (LOW, HIGH) if kind == SCORES else (1.0, LARGEST)
    marks = {key: value for key in KEYS if (value := line.number(key, low, high)) is not None}
    if edited in found.marks[kind]:
        raise line.wrong("this image has a row in these tables already.")
    found.marks[kind][edited] = marks


def _item(found: _Found, key: str, instruction: str) -> Item:
    def column(kind: str, dimension: str) -> tuple[float | None, ...]:
        values = tuple(found.marks[kind].get(picture, {}).get(dimension) for picture in found.editors)
        return values if any(value is not None for value in values) else ()

    return Item(
        key=key,
        source=found.source,
        instruction=instruction,
        task=found.task.lower().replace("_", "-").replace(" ", "-"),
        candidates=tuple(Made(editor, picture) for picture, editor in found.editors.items()),
        labels={one: Labels(ranks=column(RANKS, one), mos=column(SCORES, one)) for one in KEYS},
        split=next(split for split in (TEST, DEV, TRAIN) if split in found.splits),
    )
