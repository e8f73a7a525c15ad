"""Pair files: each row is a source image, an instruction, two edits and a verdict. Our own form, for anybody's pairs.

A table pairs.csv, pairs.jsonl or pairs.json at the top of the folder. Columns: source, instruction, a, b (files beneath
the folder), verdict (a, b, tie or both_bad); and, where they are known: dimension, task, editor_a, editor_b, split.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from training.rewards.groups import DEV, SPLITS, TEST, Dimension, Labels
from training.rewards.layouts import Item, LayoutError, Made
from training.rewards.reading import Line, free_key, lines_of

NAME = "pairs"
LABEL = "Pairs (our own form: CSV or JSON lines)"
ABOUT = (
    "A table pairs.csv, pairs.jsonl or pairs.json at the top of the folder with the columns source, instruction, a, b "
    "and verdict (a, b, tie or both_bad), and, where known, dimension, task, editor_a, editor_b and split."
)
DIMENSIONS = (
    Dimension("overall", "Overall", 0.0, 1.0),
    Dimension("quality", "Visual quality", 0.0, 1.0),
    Dimension("alignment", "Editing alignment", 0.0, 1.0),
    Dimension("preservation", "Attribute preservation", 0.0, 1.0),
    Dimension("following", "Instruction following", 0.0, 1.0),
)
KEYS = tuple(dimension.key for dimension in DIMENSIONS)
NEEDED = ("source", "instruction", "a", "b", "verdict")
VERDICTS = {"a": 1, "b": -1, "tie": 0, "both_bad": 0}
SPLIT_NAMES = {"validation": DEV, "valid": DEV, **{split: split for split in SPLITS}}


@dataclass(slots=True)
class _Found:
    source: Path
    instruction: str
    task: str
    candidates: dict[Path, str] = field(default_factory=dict)  # editors by picture
    verdicts: dict[str, dict[tuple[int, int], list[int]]] = field(default_factory=dict)
    bad: dict[str, dict[tuple[int, int], bool]] = field(default_factory=dict)  # nobody said anything but both bad
    splits: set[str] = field(default_factory=set)

    def place(self, picture: Path, editor: str) -> int:
        self.candidates.setdefault(picture, editor)
        return list(self.candidates).index(picture)


def read(folder: Path) -> Iterator[Item]:
    tables = [path for name in ("csv", "jsonl", "json") if (path := folder / f"pairs.{name}").exists()]
    if len(tables) != 1:
        what = "more than one" if tables else "no"
        raise LayoutError(f"There is {what} table pairs.csv, pairs.jsonl or pairs.json at the top. One is needed.")
    groups: dict[tuple[Path, str], _Found] = {}
    for line in lines_of(folder, tables[0], NEEDED):
        _add(groups, folder, line)
    if not groups:
        raise LayoutError(f"{tables[0].name} has no rows.")
    taken: set[str] = set()
    for found in groups.values():
        key = found.source.relative_to(folder).with_suffix("").as_posix()
        yield _item(found, free_key(key, taken))


def _add(groups: dict[tuple[Path, str], _Found], folder: Path, line: Line) -> None:
    source, instruction = line.picture(folder, "source"), line.text("instruction")
    task = line.text("task", "", most=64)
    found = groups.setdefault((source, instruction), _Found(source, instruction, task))
    first = found.place(line.picture(folder, "a"), line.text("editor_a", "unknown", most=64))
    second = found.place(line.picture(folder, "b"), line.text("editor_b", "unknown", most=64))
    verdict, dimension = line.text("verdict", most=64).lower(), line.text("dimension", "overall", most=64)
    if verdict not in VERDICTS:
        raise line.wrong(f"verdict must be {', '.join(VERDICTS)}; it is {verdict!r}.")
    if dimension not in KEYS:
        raise line.wrong(f"dimension must be one of {', '.join(KEYS)}; it is {dimension!r}.")
    if first == second:
        raise line.wrong("a and b are the same file.")
    split = line.text("split", "", most=64).lower()
    if split and split not in SPLIT_NAMES:
        raise line.wrong(f"split must be train, dev or test; it is {split!r}.")
    found.splits.add(SPLIT_NAMES.get(split, ""))
    outcome = VERDICTS[verdict] if first < second else -VERDICTS[verdict]
    pair = (min(first, second), max(first, second))
    found.verdicts.setdefault(dimension, {}).setdefault(pair, []).append(outcome)
    bad = found.bad.setdefault(dimension, {})
    bad[pair] = bad.get(pair, True) and verdict == "both_bad"


def _item(found: _Found, key: str) -> Item:
    return Item(
        key=key,
        source=found.source,
        instruction=found.instruction,
        task=found.task,
        candidates=tuple(Made(editor, picture) for picture, editor in found.candidates.items()),
        labels={key: Labels(pairs=_pairs(given), both_bad=_bad(found, key)) for key, given in found.verdicts.items()},
        split=next((split for split in (TEST, DEV) if split in found.splits), "".join(sorted(found.splits))),
    )


def _bad(found: _Found, key: str) -> frozenset[tuple[int, int]]:
    return frozenset(pair for pair, bad in found.bad[key].items() if bad)


def _pairs(verdicts: dict[tuple[int, int], list[int]]) -> tuple[tuple[int, int, int], ...]:
    """One outcome a pair: the side that more rows prefer, else a tie."""
    sums = {pair: sum(given) for pair, given in sorted(verdicts.items())}
    return tuple((i, j, (total > 0) - (total < 0)) for (i, j), total in sums.items())
