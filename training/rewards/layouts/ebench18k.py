"""EBench-18K: mean opinion scores of 17 editors' edits in three dimensions, as the files of LMM4Edit hold them.

Source: https://github.com/IntMeGroup/LMM4Edit at e5afdf3, ``data/test_{v,e,c}.json`` (and ``train_``), which were read
in this form: 216 test groups of 17 candidates, in each dimension. The pictures are published elsewhere and were not at
hand; their names are taken as they stand in the files, from ``sourceimg_`` or ``targetimg_`` on.

JSON lines: ``query`` (a sentence with the instruction in brackets), ``response`` ("The quality score is 48.95"),
``images`` (source, edit): ``…/sourceimg_h/model00/H_00_04.jpg``, ``…/targetimg_h/model00/H_00_04.jpg``. The file says
the dimension: v visual quality, e editing correspondence, c attribute preservation. ``model00`` is the editor, ``H_00``
the task (13 high-level, 8 low-level), ``04`` the source picture.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from training.rewards.groups import DEV, TEST, TRAIN, Dimension, Labels
from training.rewards.layouts import Item, LayoutError, Made
from training.rewards.layouts._reading import found, json_lines, pair_of
from training.rewards.reading import Line

NAME = "ebench18k"
LABEL = "EBench-18K"
ABOUT = "JSON lines test_v, test_e, test_c (and train_…) with the pictures they name: opinion scores of 0 to 100."
LOW, HIGH = 0, 100
DIMENSIONS = (
    Dimension("quality", "Visual quality", LOW, HIGH),
    Dimension("alignment", "Editing correspondence", LOW, HIGH),
    Dimension("preservation", "Attribute preservation", LOW, HIGH),
)
FILES = {"v": "quality", "e": "alignment", "c": "preservation"}
PARTS = {"test": TEST, "train": TRAIN, "val": DEV}
PROMPT = re.compile(r"editing prompt \[(.*)\], the source image", re.DOTALL)
SCORE = re.compile(r"The quality score is (\d{1,3}(?:\.\d+)?)\.?")
SOURCE = re.compile(r"(?:^|/)(sourceimg_[hl]/(model\d+)/(([HL]_\d+)_\d+)\.\w+)$")
TARGET = re.compile(r"(?:^|/)(targetimg_[hl]/(model\d+)/([HL]_\d+_\d+)\.\w+)$")
TASKS: Mapping[str, str] = {  # from the instructions under each number
    "H_00": "add",
    "H_01": "remove",
    "H_02": "swap",
    "H_03": "color",
    "H_04": "material",
    "H_05": "style",
    "H_06": "pose",
    "H_07": "expression",
    "H_08": "weather",
    "H_09": "background",
    "H_10": "count",
    "H_11": "swap",
    "H_12": "resize",
    "L_00": "deblur",
    "L_01": "denoise",
    "L_02": "weather",
    "L_03": "weather",
    "L_04": "dehaze",
    "L_05": "low-light",
    "L_06": "relight",
    "L_07": "super-resolution",
}


@dataclass
class _Group:
    """A case while its rows come in: the names of its pictures, and scores by dimension and editor."""

    source: str
    instruction: str
    task: str
    part: str
    line: Line
    names: dict[str, str] = field(default_factory=dict)
    scores: dict[str, dict[str, float]] = field(default_factory=dict)


def read(folder: Path) -> Iterator[Item]:
    groups: dict[str, _Group] = {}
    for part in PARTS:
        for letter, dimension in FILES.items():
            for path in found(folder, f"**/{part}_{letter}.json"):
                for line in json_lines(path):
                    _take(groups, line, dimension, part)
    if not groups:
        raise LayoutError("The folder holds none of the files of this layout: test_v.json, test_e.json, test_c.json.")
    for key, group in groups.items():
        yield _item(folder, key, group)


def _take(groups: dict[str, _Group], line: Line, dimension: str, part: str) -> None:
    prompt, said = PROMPT.search(line.text("query")), SCORE.fullmatch(line.text("response"))
    if prompt is None or said is None or not LOW <= float(said[1]) <= HIGH:
        raise line.wrong(f"this is no row with an instruction in brackets and a score of {LOW} to {HIGH}.")
    images = [str(name) for name in pair_of(line, "images")]
    source, target = SOURCE.search(images[0]), TARGET.search(images[1])
    if source is None or target is None or source.group(2, 3) != target.group(2, 3):
        raise line.wrong("the images are no source and edit of one name and editor.")
    editor, key = source[2], source[3]
    group = groups.setdefault(key, _Group(source[1], prompt[1].strip(), TASKS.get(source[4], ""), part, line))
    scores = group.scores.setdefault(dimension, {})
    if editor in scores or group.instruction != prompt[1].strip() or group.part != part:
        raise line.wrong(f"{key} of {editor} is there twice, or with another instruction or part.")
    scores[editor] = float(said[1])
    group.names[editor] = target[1]


def _item(folder: Path, key: str, group: _Group) -> Item:
    editors = sorted(group.names)
    return Item(
        key=key,
        source=group.line.beneath(folder, group.source),
        instruction=group.instruction,
        task=group.task,
        split=PARTS[group.part],
        candidates=tuple(Made(name, group.line.beneath(folder, group.names[name])) for name in editors),
        labels={
            dimension: Labels(mos=tuple(scores.get(name) for name in editors))
            for dimension, scores in group.scores.items()
        },
    )
