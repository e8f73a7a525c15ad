"""Jobs of the kind "generate": candidate images of cases, made by editors.

Reads ``inputs/items.jsonl``, one image to make a line; writes ``outputs/<line>.png`` and an "image" event for each.
An image counts as made once its event is written and its file exists, so a job that was stopped or killed goes on
with the first image that is missing.
"""

from __future__ import annotations

import json
import os
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from annotation.checks import check
from training.gpu.editors import (
    CannotEdit,
    EditCase,
    EditedImage,
    Editor,
    EditorError,
    check_editor_name,
    load_editor,
)
from webapp.jobs.folder import JobError, JobRun

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP")
MOST_PIXELS = 64_000_000  # a source beyond it is a bomb or will not fit in memory


@dataclass(frozen=True, slots=True)
class Item:
    """One image to make: line ``number`` (from 0) of the list."""

    number: int
    key: str
    module: str
    settings: Mapping[str, Any]
    seed: int
    case: Mapping[str, Any]

    @property
    def editor(self) -> str:
        return json.dumps([self.module, self.settings], sort_keys=True)


def generate(run: JobRun) -> dict[str, Any]:
    """Make every image that is missing. Raises JobError where the list or an editor is wrong, JobStopped when asked."""
    items = read_items(run.inputs / "items.jsonl", run.config.get("items"))
    made = {past["key"] for past in run.past_events("image") if (run.folder / past["file"]).is_file()}
    missing = sorted((item for item in items if item.key not in made), key=lambda item: (item.editor, item.number))
    work = _Work(run, len(items), len(items) - len(missing))
    run.progress(work.done, work.total, f"{work.done} of {work.total} images were made before." if work.done else "")
    for _, group in groupby(missing, key=lambda item: item.editor):  # an editor is loaded once, its items follow
        mine = list(group)
        run.check()
        editor = _load(mine[0])
        for batch in _batches(editor, mine):
            run.check()
            work.make(editor, batch)
    return {"images": work.total - work.failures, "failed": work.failures}


def _batches(editor: Editor, items: list[Item]) -> Iterator[list[Item]]:
    """What goes to the editor in one call: seeds of one case, or any images for an editor with ``edit_many``."""
    most = max(1, getattr(editor, "batch", 1))
    if hasattr(editor, "edit_many"):
        groups: Iterable[list[Item]] = [items]
    else:
        groups = (list(group) for _, group in groupby(items, key=_id))
    for group in groups:
        for start in range(0, len(group), most):
            yield group[start : start + most]


@dataclass
class _Work:
    """The images of a job: how many there are, were made and could not be made."""

    run: JobRun
    total: int
    done: int
    failures: int = 0

    def make(self, editor: Editor, batch: list[Item]) -> None:
        """Make a batch. Where it fails its images are tried one by one: one bad case must not cost the others."""
        start = time.perf_counter()
        try:
            made = _edit(self.run.folder, editor, batch)
        except CannotEdit as error:
            if len(batch) > 1:
                for item in batch:
                    self.make(editor, [item])
            else:
                self._failed(batch[0], str(error))
            return
        seconds = (time.perf_counter() - start) / len(batch)
        for item, (source, image) in zip(batch, made, strict=True):
            self._keep(item, source, image, seconds)

    def _keep(self, item: Item, source: Image.Image, made: EditedImage, seconds: float) -> None:
        file = f"outputs/{item.number}.png"
        _save(made.image, self.run.folder / file)
        finding = check(source, made.image)
        self.run.emit(
            "image",
            key=item.key,
            file=file,
            seed=made.seed,
            noise_seed=made.noise_seed,
            settings=dict(made.settings),
            seconds=round(seconds, 3),
            fault=finding.fault if finding else "",
            note=finding.note if finding else "",
        )
        self._step(item)

    def _failed(self, item: Item, reason: str) -> None:
        self.failures += 1
        self.run.emit("item_failed", key=item.key, reason=reason)
        if self.failures == self.total:
            raise JobError(f"None of the {self.total} images could be made. The last reason: {reason}")
        self._step(item)

    def _step(self, item: Item) -> None:
        self.done += 1
        self.run.progress(self.done, self.total, f"{item.module}, image {self.done} of {self.total}")


def read_items(path: Path, expected: object = None) -> list[Item]:
    """The list of images to make. Raises JobError with the line number for a line that is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise JobError("The job has no list of images to make: inputs/items.jsonl is missing.") from None
    items = [_parse(number, line) for number, line in enumerate(lines) if line.strip()]
    if isinstance(expected, int) and len(items) != expected:
        raise JobError(f"inputs/items.jsonl has {len(items)} items, but the job was made for {expected}.")
    if len({item.key for item in items}) < len(items):
        raise JobError("inputs/items.jsonl holds a key twice.")
    return items


def _parse(number: int, line: str) -> Item:
    try:
        row = json.loads(line)
        editor, case = row["editor"], row["case"]
        item = Item(
            number, row["key"], check_editor_name(editor["module"]), editor.get("settings") or {}, row["seed"], case
        )
        kinds = ((item.key, str), (item.seed, int), (item.settings, dict), (case["source"], str), (case["task"], str))
        if not all(isinstance(value, kind) for value, kind in kinds):
            raise TypeError("a field has the wrong type")
    except EditorError as error:
        raise JobError(f"inputs/items.jsonl, line {number + 1}: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise JobError(f"inputs/items.jsonl, line {number + 1} is not an item: {error!r}.") from None
    return item


def _load(item: Item) -> Editor:
    try:
        return load_editor(item.module, item.settings)
    except EditorError as error:
        raise JobError(f"The editor {item.module} cannot be loaded: {error}") from None


def _edit(folder: Path, editor: Editor, batch: list[Item]) -> list[tuple[Image.Image, EditedImage]]:
    """The source and the edit of each item, in order."""
    cases = {_id(item): read_case(folder, item.case) for item in batch}
    wanted = [cases[_id(item)] for item in batch]
    seeds = [item.seed for item in batch]
    try:
        many = getattr(editor, "edit_many", None)
        made = many(wanted, seeds) if many else editor.edit(wanted[0], seeds)
    except (CannotEdit, JobError):
        raise
    except Exception as error:  # an editor's fault in one case must not cost the others; the log has the traceback
        traceback.print_exc()
        raise CannotEdit(f"The editor failed ({type(error).__name__}): {error}. The log has the details.") from error
    return [(case.source, image) for case, image in zip(wanted, made, strict=True)]


def _id(item: Item) -> str:
    return json.dumps(item.case, sort_keys=True)


def _save(image: Image.Image, path: Path) -> None:
    temporary = path.with_name(path.name + ".part")
    with temporary.open("wb") as file:
        image.save(file, format="PNG")
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def read_case(folder: Path, case: Mapping[str, Any]) -> EditCase:
    """The case with its images; relative paths are inside the job folder. Raises CannotEdit for what cannot be read."""
    source = read_image(folder / case["source"], "source image").convert("RGB")
    mask = None
    if case.get("mask"):
        mask = read_image(folder / case["mask"], "mask").convert("L")
        if mask.size != source.size:
            raise CannotEdit(f"The mask has {mask.size} pixels and the source image {source.size}: they must be equal.")
    words = {name: case.get(name, "") for name in ("key", "description")}
    return EditCase(source, mask, case.get("instruction", ""), case["task"], case.get("params") or {}, **words)


def read_image(path: Path, name: str) -> Image.Image:
    """The picture as it is meant to be seen (turned by its EXIF tag). Raises CannotEdit with the reason."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise CannotEdit(f"The {name} {path.name} has {image.width} x {image.height} pixels: too many.")
            return ImageOps.exif_transpose(image)
    except FileNotFoundError:
        raise CannotEdit(f"The {name} {path.name} does not exist.") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise CannotEdit(f"The {name} {path.name} cannot be read: {error}.") from None
