"""The benchmark of EditScore (also called EditReward-Bench by its authors): pairs in three dimensions.

Source: https://huggingface.co/datasets/EditScore/EditReward-Bench (its card: "Formats: arrow", 13 subtasks) and
``evaluation.py``, ``calculate_statistics.py`` of VectorSpaceLab/EditScore at 6e0f1b9, which name the columns and count
a pair as right where the first output has the higher score. The published files were not at hand: only their columns
are verified, by that code.

``**/*.arrow`` or ``**/*.parquet``: one pair and dimension a row, ``key`` (two names, which tell candidates apart),
``instruction``, ``input_image``, ``output_images`` (the better one first), ``task_type``, ``dimension``
(prompt_following, consistency, overall).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from annotation.importing.problems import quoted
from training.rewards.groups import Dimension, Labels
from training.rewards.layouts import Item, LayoutError
from training.rewards.layouts._reading import found, made, pair_of, picture, table_lines
from training.rewards.reading import Line

NAME = "editscore_bench"
LABEL = "EditScore's benchmark"
ABOUT = "Arrow or Parquet files: one pair and dimension a row, the better candidate first."
DIMENSIONS = (
    Dimension("prompt_following", "Prompt following", 0, 1),
    Dimension("consistency", "Consistency", 0, 1),
    Dimension("overall", "Overall", 0, 1),
)
KEYS = frozenset(dimension.key for dimension in DIMENSIONS)
TEXTS = ("key", "instruction", "task_type", "dimension")
PICTURES = ("input_image", "output_images")
TASKS = {
    "background_change": "background",
    "color_alter": "color",
    "style_change": "style",
    "subject-add": "add",
    "subject-remove": "remove",
    "subject-replace": "swap",
    "material_alter": "material",
    "motion_change": "pose",
    "ps_human": "retouch",
    "text_change": "text-replace",
    "tone_transfer": "mood",
    "extract": "extract",
}


Names = tuple[str, str]  # of the two candidates
Pairs = dict[Names, dict[str, int]]  # by sorted names and dimension, 1 where the first of the names is better, else -1


def read(folder: Path) -> Iterator[Item]:
    """A pair of two names is one item, with the dimensions in which it was judged. Labels are read first and pictures
    second, because the rows of a pair may be far apart and all pictures do not fit into memory."""
    tables = [*found(folder, "**/*.parquet"), *found(folder, "**/*.arrow")]
    if not tables:
        raise LayoutError("The folder holds none of the files of this layout: *.arrow, *.parquet.")
    waiting = _pairs(tables)
    count = 0
    for line in table_lines(tables, (*TEXTS, *PICTURES)):
        names = _names(line)
        if said := waiting.pop((min(names), max(names)), None):
            yield _item(folder, f"pair-{count:05}", line, said)
            count += 1


def _pairs(tables: list[Path]) -> Pairs:
    pairs: Pairs = {}
    for line in table_lines(tables, TEXTS):
        first, second = _names(line)
        dimension = line.text("dimension")
        if dimension not in KEYS:
            raise line.wrong(f"dimension is {quoted(dimension)}; known are {', '.join(sorted(KEYS))}.")
        said = pairs.setdefault((min(first, second), max(first, second)), {})
        outcome = 1 if first < second else -1
        if first == second or said.setdefault(dimension, outcome) != outcome:
            raise line.wrong("this pair is one candidate twice, or was judged the other way round before.")
    return pairs


def _names(line: Line) -> Names:
    first, second = pair_of(line, "key")
    if not isinstance(first, str) or not isinstance(second, str):
        raise line.wrong("key must be a list of two names.")
    return first, second


def _item(folder: Path, key: str, line: Line, said: dict[str, int]) -> Item:
    first, second = _names(line)
    turned = 1 if first < second else -1  # labels are by sorted names, candidates in the order of this row
    shown = [picture(line, one, folder) for one in pair_of(line, "output_images")]
    return Item(
        key=key,
        source=picture(line, line.cells["input_image"], folder),
        instruction=line.text("instruction"),
        task=TASKS.get(line.text("task_type", ""), ""),
        candidates=made(["", ""], shown),
        labels={dimension: Labels(pairs=((0, 1, outcome * turned),)) for dimension, outcome in said.items()},
    )
