"""A layout's groups as an import of our own form, in the job's folder: pictures linked or written, labels beside.

Nothing is decoded here: names, sizes and images are checked by the importer, which reads what lies here.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.utils.text import slugify
from django.utils.translation import gettext as _

from annotation.curation.splits import Piece
from annotation.models import Task
from training.rewards.groups import Entry, Group, to_line
from training.rewards.layouts import Item, LayoutError, Made, Picture
from training.sets.dividing import divide, strictest
from webapp.jobs.folder import JobError, JobRun

LOOK = 100  # groups between two looks at "stop"


@dataclass
class Staged:
    """The import as it lies in the job's folder. ``tasks``: names of the files that are no task here, with counts."""

    folder: Path
    lines: Path
    pieces: list[tuple[Piece, str]] = field(default_factory=list)
    splits: dict[str, str] = field(default_factory=dict)  # of sources
    tasks: Counter[str] = field(default_factory=Counter)
    moved: int = 0


def stage(run: JobRun, staged: Staged, reader: Any, folder: Path, task: str) -> None:
    """Write the layout's groups as an import of our own form: pictures linked or written, a line of labels a group."""
    shutil.rmtree(staged.folder, ignore_errors=True)
    staged.folder.mkdir()
    known = set(Task.objects.values_list("pk", flat=True))
    pictures = _Pictures(staged.folder, folder.resolve())
    try:
        with staged.lines.open("w") as lines, (staged.folder / "candidates.jsonl").open("w") as candidates:
            for number, item in enumerate(reader.read(folder)):
                if number % LOOK == 0:
                    run.progress(number, 0, _("Reading the files"))
                    run.check()
                row = _staged_item(item, pictures, staged, known, task)
                candidates.writelines(_line(one) for one in row.pop("candidates"))
                lines.write(_line(row))
    except LayoutError as error:
        raise JobError(_("Nothing was imported. %(problem)s") % {"problem": error}) from None


def _staged_item(item: Item, pictures: _Pictures, staged: Staged, known: set[str], task: str) -> dict[str, Any]:
    if item.task not in known:
        staged.tasks[item.task] += 1
        if not task:
            message = _(
                "Nothing was imported. “%(key)s” names no task that is known here. Choose a task for such cases."
            )
            raise JobError(message % {"key": item.key})
    used = item.task if item.task in known else task
    _check(item)
    source, sha = pictures.put(item.source, f"{_safe(item.key)}/source")
    made = [_made(item, place, one, pictures) for place, one in enumerate(_distinct(item.candidates))]
    staged.pieces.append((Piece(sha, used), item.split))
    entries = tuple(Entry(f"{one['editor']} {one['seed']}", sha_of, one["editor"]) for one, sha_of in made)
    group = Group(item.key, sha, sha, item.instruction, used, "", entries, item.labels)
    raters = {key: list(rows) for key, rows in item.raters.items()}
    return {"group": to_line(group), "source": source, "raters": raters, "candidates": [one for one, _sha in made]}


def _check(item: Item) -> None:
    """What a layout says of a group must fit its candidates. Raises LayoutError."""
    count = len(item.candidates)
    for one in item.labels.values():
        places = [place for i, j, _outcome in one.pairs for place in (i, j)]
        places += [place for pair in one.excluded | one.both_bad for place in pair]
        wrong = any(not 0 <= place < count for place in places)
        if wrong or len(one.ranks) not in (0, count) or len(one.mos) not in (0, count):
            raise LayoutError(_("the labels of “%(key)s” do not fit its candidates.") % {"key": item.key})
    if any(not 0 <= place < count for rows in item.raters.values() for _who, place, _score in rows):
        raise LayoutError(_("the scores of “%(key)s” do not fit its candidates.") % {"key": item.key})


def _made(item: Item, place: int, one: Made, pictures: _Pictures) -> tuple[dict[str, Any], str]:
    name, sha = pictures.put(one.image, f"{_safe(item.key)}/{place}-{one.editor}")
    return {"case": item.key, "editor": one.editor, "file": name, "seed": one.seed}, sha


def _distinct(candidates: tuple[Made, ...]) -> Iterator[Made]:
    """Editors by short names, and seeds that tell the candidates of one editor apart."""
    taken: set[tuple[str, int]] = set()
    for one in candidates:
        editor, seed = slugify(one.editor).strip("-_")[:64] or "unknown", one.seed
        while (editor, seed) in taken:
            seed += 1
        taken.add((editor, seed))
        yield Made(editor, one.image, seed)


def _safe(key: str) -> str:
    """A folder's name from a group's key, for messages about the pictures that came without a name."""
    return slugify(key)[:80] + "-" + hashlib.sha256(key.encode()).hexdigest()[:8]


class _Pictures:
    """Puts pictures beneath the staged folder, each file once: under its own name, where it has one."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder, self.root = folder, root
        self._named: dict[Path, tuple[str, str]] = {}

    def put(self, picture: Picture, name: str) -> tuple[str, str]:
        """The picture's name beneath the staged folder, and the SHA-256 of its content."""
        if isinstance(picture, bytes):
            return self._write(picture, f"inside/{name}"), hashlib.sha256(picture).hexdigest()
        if picture not in self._named:
            self._named[picture] = self._link(picture)
        return self._named[picture]

    def _write(self, data: bytes, name: str) -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return name

    def _link(self, picture: Path) -> tuple[str, str]:
        inside = picture.resolve().relative_to(self.root).as_posix()
        path = self.folder / "files" / inside
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            try:
                os.link(picture.resolve(), path, follow_symlinks=False)
            except OSError:  # another disk, or a file system without links
                shutil.copyfile(picture, path, follow_symlinks=False)
        with path.open("rb") as file:
            return f"files/{inside}", hashlib.file_digest(file, "sha256").hexdigest()


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"


def splits_of(staged: Staged, seed: int) -> dict[str, str]:
    """Splits of the files are kept, where they have any: a source that is in two of them is in the stricter one."""
    if not any(split for _piece, split in staged.pieces):
        return divide(staged.pieces, seed)
    given: dict[str, set[str]] = defaultdict(set)
    for piece, split in staged.pieces:
        given[piece.source].add(split or "train")
    staged.moved = sum(len(splits) > 1 for splits in given.values())
    return {source: strictest(splits) for source, splits in given.items()}


def write_cases(staged: Staged) -> None:
    with (staged.folder / "cases.jsonl").open("w") as file:
        for row in lines_of(staged):
            group = row["group"]
            case = {"key": group["key"], "source": row["source"], "instruction": group["instruction"]}
            file.write(_line({**case, "task": group["task"], "split": staged.splits[group["source_key"]]}))


def lines_of(staged: Staged) -> Iterator[dict[str, Any]]:
    with staged.lines.open() as file:
        for line in file:
            yield json.loads(line)
