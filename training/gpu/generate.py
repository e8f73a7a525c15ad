"""Jobs of the kind "generate": candidate images of cases, made by editors.

Reads ``inputs/items.jsonl``, one image to make a line; writes ``outputs/<line>.png`` and an "image" event for each.
An image counts as made once its event is written and its file exists, so a job that was stopped or killed goes on
with the first image that is missing.

An "item_failed" event marks an image that could not be made. Where IN_A_ROW images fail one after another for the same
reason, and not for one of their own, the editor is broken, not the cases: the job ends, and none of them is marked. An
"in_vain" event names them, so that a resume tries them last.
"""

from __future__ import annotations

import json
import os
import re
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any

from PIL import Image

from annotation.checks import check
from training.gpu.editors import (
    CannotEdit,
    EditCase,
    EditedImage,
    Editor,
    EditorError,
    EditorFailed,
    OutOfMemory,
    check_editor_name,
    load_editor,
)
from training.gpu.reading import read_picture
from webapp.jobs.folder import JobError, JobRun, JobStopped

IN_A_ROW = 20  # failures for the same reason, without a success between them, that end the job
DRAIN_SECONDS = 15.0  # what is under way at a stop is paid for: it is waited for, less than until the kill
TICK_SECONDS = 0.25  # between two looks whether the job is to stop


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


Made = list[tuple[Image.Image, EditedImage]]  # source and edit of each item of a batch


def generate(run: JobRun) -> dict[str, Any]:
    """Make every image that is missing. Raises JobError where the list or an editor is wrong, JobStopped when asked."""
    items = read_items(run.inputs / "items.jsonl", run.config.get("items"))
    missing = _missing(run, items)
    work = _Work(run, len(items), len(items) - len(missing))
    run.progress(work.done, work.total, f"{work.done} of {work.total} images were made before." if work.done else "")
    for _, group in groupby(missing, key=lambda item: item.editor):  # an editor is loaded once, its items follow
        mine = list(group)
        run.check()
        editor = _load(mine[0])
        if getattr(editor, "threads", 0):
            work.at_once(editor, mine)
        else:
            work.in_batches(editor, mine)
    work.mark_row()
    return {"images": work.total - work.failures, "failed": work.failures}


def _missing(run: JobRun, items: list[Item]) -> list[Item]:
    """By editor and line; last what an earlier attempt ended with, lest it keep every attempt from the rest."""
    made = {past["key"] for past in run.past_events("image") if (run.folder / past["file"]).is_file()}
    in_vain = {key for past in run.past_events("in_vain") for key in past["keys"]}
    missing = [item for item in items if item.key not in made]
    return sorted(missing, key=lambda item: (item.editor, item.key in in_vain, item.number))


@dataclass
class _Work:
    """The images of a job: how many there are, were made and could not be made. ``row``: the latest failures for one
    and the same reason, which are not marked yet."""

    run: JobRun
    total: int
    done: int
    failures: int = 0
    row: list[tuple[Item, str]] = field(default_factory=list)

    def in_batches(self, editor: Editor, items: list[Item]) -> None:
        """Batch by batch. Where one fails its images are tried one by one: one bad case must not cost the others."""
        most, place = max(1, getattr(editor, "batch", 1)), 0
        while place < len(items):
            self.run.check()
            batch = _batch(editor, items[place : place + most])
            made = _tried(self.run.folder, editor, batch)
            if isinstance(made, OutOfMemory) and len(batch) > 1:
                most = (len(batch) + 1) // 2  # for all that follows, too: a second time would cost as much again
                continue
            if isinstance(made, CannotEdit) and len(batch) > 1:
                self._one_by_one(editor, batch)
            else:
                self._take(batch, made)
            place += len(batch)

    def _one_by_one(self, editor: Editor, batch: Sequence[Item]) -> None:
        for item in batch:
            self.run.check()
            self._take([item], _tried(self.run.folder, editor, [item]))

    def at_once(self, editor: Editor, items: list[Item]) -> None:
        """As many at once as the editor has threads, each kept as it comes. What is under way when an image ends the
        job is kept first; when the job is asked to stop, only what comes soon."""
        done: SimpleQueue[tuple[Item, Made | Exception]] = SimpleQueue()
        waiting, running, end, until = iter(items), 0, None, float("inf")
        while True:
            if self.run.stopping or end:
                getattr(editor, "stop", lambda: None)()
                until = min(until, monotonic() + DRAIN_SECONDS) if self.run.stopping else until
            else:
                for item in islice(waiting, editor.threads - running):  # type: ignore[attr-defined]
                    _start(self.run.folder, editor, item, done)
                    running += 1
            if not running or monotonic() > until:
                break
            try:
                item, made = done.get(timeout=TICK_SECONDS)
            except Empty:
                continue
            running -= 1
            end = self._took(item, made) or end
        self.run.check()
        if end:
            raise end

    def _took(self, item: Item, made: Made | Exception) -> Exception | None:
        """Keep what came; what ends the job, where it does."""
        if not isinstance(made, list | CannotEdit):
            return None if isinstance(made, JobStopped) else made
        try:
            self._take([item], made)
        except JobError as error:
            return error
        return None

    def _take(self, batch: Sequence[Item], made: Made | CannotEdit) -> None:
        if isinstance(made, CannotEdit):
            self._failed(batch[0], made)
            return
        self.mark_row()
        for item, (source, image) in zip(batch, made, strict=True):
            self._keep(item, source, image)

    def _keep(self, item: Item, source: Image.Image, made: EditedImage) -> None:
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
            seconds=round(made.seconds, 3),
            fault=finding.fault if finding else "",
            note=finding.note if finding else "",
        )
        self._step(item)

    def _failed(self, item: Item, error: CannotEdit) -> None:
        """A case that the editor refuses is marked at once. Other failures wait until it is clear that they are no run:
        that of a broken editor is not marked, so that a resume tries its images again."""
        if not isinstance(error, EditorFailed):
            self._mark(item, str(error))
            return
        if self.row and _alike(self.row[-1][1]) != _alike(str(error)):
            self.mark_row()
        self.row.append((item, str(error)))
        if len(self.row) >= IN_A_ROW:
            row, self.row = self.row, []
            self.run.emit("in_vain", keys=[item.key for item, _ in row])
            raise JobError(
                f"{len(row)} images in a row could not be made by {item.module}, all for the same reason: {error} "
                "They are not marked as failed. Mend the cause, then resume the job: it tries them again."
            )

    def mark_row(self) -> None:
        """The latest failures were no run: mark them."""
        row, self.row = self.row, []
        for item, reason in row:
            self._mark(item, reason)

    def _mark(self, item: Item, reason: str) -> None:
        self.failures += 1
        self.run.emit("item_failed", key=item.key, reason=reason)
        if self.failures == self.total:
            raise JobError(f"None of the {self.total} images could be made. The last reason: {reason}")
        self._step(item)

    def _step(self, item: Item) -> None:
        self.done += 1
        self.run.progress(self.done, self.total, f"{item.module}, image {self.done} of {self.total}")


def _alike(reason: str) -> str:
    """The reason without its numbers: how much memory was free differs from image to image."""
    return re.sub(r"\d+", "0", reason)


def _batch(editor: Editor, items: Sequence[Item]) -> list[Item]:
    """What of these goes to the editor in one call: seeds of one case, or all for an editor with ``edit_many``."""
    if hasattr(editor, "edit_many"):
        return list(items)
    return list(next(groupby(items, key=lambda item: item.case))[1])


def _start(folder: Path, editor: Editor, item: Item, done: SimpleQueue[tuple[Item, Made | Exception]]) -> None:
    """Make one image in a thread, which ends with the process: an answer that never comes must not hold it up."""

    def make() -> None:
        try:
            done.put((item, _tried(folder, editor, [item])))
        except Exception as error:  # JobError and JobStopped, for the thread that keeps the images
            done.put((item, error))

    Thread(target=make, daemon=True).start()


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


def _tried(folder: Path, editor: Editor, batch: Sequence[Item]) -> Made | CannotEdit:
    """The source and the edit of each item, in order, or why there are none: an error without the traceback and cause
    it had, which would keep the editor's tensors in memory."""
    try:
        return _edit(folder, editor, batch)
    except (JobError, JobStopped):
        raise
    except CannotEdit as error:
        return type(error)(str(error))
    except Exception as error:  # an editor's fault in one case must not cost the others; the log has the traceback
        traceback.print_exc()
        return EditorFailed(f"The editor failed ({type(error).__name__}): {error}. The log has the details.")


def _edit(folder: Path, editor: Editor, batch: Sequence[Item]) -> Made:
    cases: list[EditCase] = []
    for place, item in enumerate(batch):
        same = place and item.case == batch[place - 1].case
        cases.append(cases[-1] if same else read_case(folder, item.case))
    seeds = [item.seed for item in batch]
    many = getattr(editor, "edit_many", None)
    made = many(cases, seeds) if many else editor.edit(cases[0], seeds)
    return [(case.source, image) for case, image in zip(cases, made, strict=True)]


def _save(image: Image.Image, path: Path) -> None:
    temporary = path.with_name(path.name + ".part")
    with temporary.open("wb") as file:
        image.save(file, format="PNG")
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def read_case(folder: Path, case: Mapping[str, Any]) -> EditCase:
    """The case with its images; relative paths are inside the job folder. Raises CannotEdit for what cannot be read."""
    source = read_picture(folder / case["source"], "source image")
    mask = None
    if case.get("mask"):
        mask = read_picture(folder / case["mask"], "mask").convert("L")
        if mask.size != source.size:
            raise CannotEdit(f"The mask has {mask.size} pixels and the source image {source.size}: they must be equal.")
    words = {name: case.get(name, "") for name in ("key", "description")}
    return EditCase(source, mask, case.get("instruction", ""), case["task"], case.get("params") or {}, **words)
