"""What a run learns from: inputs/cases.jsonl with its pictures, and where it is given examples, examples.jsonl."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from training.gpu.editors import EditCase
from webapp.jobs.folder import inside

TRAIN, LOOK = "train", "look"
SPLITS = (TRAIN, LOOK)


class WrongInput(Exception):
    """A file of the run's inputs cannot be used. The message is shown to the user."""


@dataclass(frozen=True, slots=True)
class RunCase:
    """One case of a run. ``number``: its row in the web side's database, so an identity that no text decides."""

    number: int
    split: str
    case: EditCase
    source: str = ""

    @property
    def key(self) -> str:
        return self.case.key


@dataclass(frozen=True, slots=True)
class Example:
    """A finished edit of a case: ``score`` on the reward's 0..1 and mean ``rank`` (1 is best), None where not known."""

    case: str
    image: Path
    score: float | None
    rank: float | None
    name: str


def read_cases(folder: Path, name: str = "cases.jsonl") -> list[RunCase]:
    """The run's cases with their pictures in memory. Raises WrongInput with file and line."""
    found = [_case(folder, name, line, row) for line, row in _rows(folder, name)]
    for what in ("number", "key"):
        seen: set[object] = set()
        for one in found:
            if getattr(one, what) in seen:
                raise WrongInput(f"{name} has two cases with the {what} {getattr(one, what)!r}.")
            seen.add(getattr(one, what))
    return found


def read_examples(folder: Path, cases: list[RunCase], name: str = "examples.jsonl") -> list[Example]:
    """The examples that are given, of training cases alone: those the run is judged by are left out. Raises
    WrongInput."""
    splits = {one.key: one.split for one in cases}
    found = []
    for line, row in _rows(folder, name):
        where = f"{name}, line {line}"
        case = _text(row, "case", where)
        if case not in splits:
            raise WrongInput(f"{where}: there is no case {case!r:.100} in cases.jsonl.")
        image = _inside(folder, row.get("image"), where)
        score, rank = (_number(row, key, where) for key in ("score", "rank"))
        if score is None and rank is None:
            raise WrongInput(f"{where}: the example has neither a score nor a rank, so nothing can be learned of it.")
        if splits[case] == TRAIN:
            found.append(Example(case, image, score, rank, str(row.get("name", ""))))
    if not found:
        raise WrongInput(f"{name} has no example of a case that is trained on.")
    return found


def picture(path: Path, where: str = "") -> Image.Image:
    """A picture in RGB. Raises WrongInput."""
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise WrongInput(f"{where or path.name}: the picture {path.name} cannot be read: {error}.") from None


def _case(folder: Path, name: str, line: int, row: Mapping[str, Any]) -> RunCase:
    where = f"{name}, line {line}"
    number, split, params = row.get("id"), row.get("split"), row.get("params") or {}
    if isinstance(number, bool) or not isinstance(number, int):
        raise WrongInput(f"{where}: id must be a whole number; it is {number!r:.100}.")
    if split not in SPLITS:
        raise WrongInput(f"{where}: split must be one of {', '.join(SPLITS)}; it is {split!r:.100}.")
    if not isinstance(params, dict):
        raise WrongInput(f"{where}: params must be an object.")
    source, mask = row.get("source"), row.get("mask")
    edit = EditCase(
        source=picture(_inside(folder, source, where), where),
        mask=picture(_inside(folder, mask, where), where).convert("L") if mask else None,
        instruction=_text(row, "instruction", where),
        task=_text(row, "task", where),
        params=params,
        key=_text(row, "key", where),
        description=str(row.get("description") or ""),
    )
    return RunCase(number, str(split), edit, str(source))


def _rows(folder: Path, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Numbers and objects of the file's lines."""
    path = _inside(folder, name, "job.json")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongInput(f"{name} cannot be read: {error}.") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise WrongInput(f"{name}, line {number}: no JSON: {error}.") from None
        if not isinstance(row, dict):
            raise WrongInput(f"{name}, line {number}: the line must be an object.")
        yield number, row


def _inside(folder: Path, name: object, where: str) -> Path:
    """A path of the inputs, never one that leads out of them."""
    path = inside(folder, name)
    if path is None:
        raise WrongInput(f"{where}: {name!r:.200} is no file of the job's inputs.")
    return path


def _text(row: Mapping[str, Any], key: str, where: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value:
        raise WrongInput(f"{where}: {key} must be a text; it is {value!r:.100}.")
    return value


def _number(row: Mapping[str, Any], key: str, where: str) -> float | None:
    value = row.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise WrongInput(f"{where}: {key} must be a number or null; it is {value!r:.100}.")
    return float(value)
