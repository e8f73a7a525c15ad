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
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

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
    done, failures = len(items) - len(missing), 0
    run.progress(done, len(items), f"{done} of {len(items)} images were made before." if done else "")
    for _, group in groupby(missing, key=lambda item: item.editor):  # an editor is loaded once, its items follow
        batch = list(group)
        run.check()
        editor = _load(batch[0])
        for item in batch:
            run.check()
            try:
                _make(run, editor, item)
            except CannotEdit as error:
                failures += 1
                run.emit("item_failed", key=item.key, reason=str(error))
                if failures == len(items):
                    raise JobError(f"None of the {len(items)} images could be made. The last reason: {error}") from None
            done += 1
            run.progress(done, len(items), f"{item.module}, image {done} of {len(items)}")
    return {"images": len(items) - failures, "failed": failures}


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


def _make(run: JobRun, editor: Editor, item: Item) -> None:
    """Make one image. One seed a call, so that a stop or a crash costs one image at most."""
    start = time.perf_counter()
    made = _edit(editor, read_case(run.folder, item.case), item.seed)
    file = f"outputs/{item.number}.png"
    _save(made, run.folder / file)
    run.emit(
        "image",
        key=item.key,
        file=file,
        seed=made.seed,
        noise_seed=made.noise_seed,
        settings=dict(made.settings),
        seconds=round(time.perf_counter() - start, 3),
    )


def _edit(editor: Editor, case: EditCase, seed: int) -> EditedImage:
    try:
        (made,) = editor.edit(case, [seed])
    except CannotEdit:
        raise
    except Exception as error:  # an editor's fault in one case must not cost the others; the log has the traceback
        traceback.print_exc()
        raise CannotEdit(f"The editor failed ({type(error).__name__}): {error}. The log has the details.") from error
    return made


def _save(made: EditedImage, path: Path) -> None:
    temporary = path.with_name(path.name + ".part")
    with temporary.open("wb") as file:
        made.image.save(file, format="PNG")
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
