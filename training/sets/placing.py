"""A training set as a job's input: the groups as JSON lines, and the copies for viewing of their pictures beside it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from django.core.files.storage import default_storage
from django.utils.translation import gettext as _

from annotation.models import StoredImage
from training.models import LabelledSet, SetState
from training.rewards.groups import Entry, Group, Header, WrongSet, parse_groups, write_set
from webapp.jobs.folder import JobError

CHUNK = 200  # groups whose pictures are looked up at once
SET = "set.jsonl"
IMAGES = "images"


def place(labelled_set: LabelledSet, folder: Path, heartbeat: Callable[[], object]) -> Path:
    """Write ``folder``/inputs/set.jsonl with its pictures in inputs/images, and return its path. Allows repeats.

    Pictures are copies for viewing: one format and no metadata, whoever made them. They are hard links where the
    storage is a folder of this disk, else copies. ``heartbeat`` is called now and then: large sets take a while.
    Raises JobError.
    """
    inputs = folder / "inputs"
    (inputs / IMAGES).mkdir(parents=True, exist_ok=True)
    path, part = inputs / SET, inputs / f"{SET}.part"
    header, groups = open_set(labelled_set)
    write_set(part, header, _placed(groups, inputs, heartbeat))
    part.replace(path)
    return path


def open_set(labelled_set: LabelledSet) -> tuple[Header, Iterator[Group]]:
    """The manifest's header and its groups, as they are read. Raises JobError, also while the groups are read."""
    if labelled_set.state != SetState.READY:
        raise JobError(_("The training set “%(name)s” is not ready.") % {"name": labelled_set.name})
    rows = _rows(labelled_set)
    header, _none = next(rows)
    return header, (group for _header, group in rows if group is not None)


def _rows(labelled_set: LabelledSet) -> Iterator[tuple[Header, Group | None]]:
    try:
        with default_storage.open(labelled_set.manifest) as file:
            yield from parse_groups(file, labelled_set.manifest)
    except FileNotFoundError as error:
        message = _("The manifest of %(name)s is gone from the storage. Restore labelled-sets/ from a backup.")
        raise JobError(message % {"name": labelled_set.name}) from error
    except WrongSet as error:
        message = _("The manifest of %(name)s is damaged. Restore labelled-sets/ from a backup. %(error)s")
        raise JobError(message % {"name": labelled_set.name, "error": error}) from error


def _placed(groups: Iterable[Group], inputs: Path, heartbeat: Callable[[], object]) -> Iterator[Group]:
    rows = iter(groups)
    while chunk := list(islice(rows, CHUNK)):
        heartbeat()
        wanted = {sha for group in chunk for sha in (group.source, *(entry.image for entry in group.candidates))}
        names = dict(StoredImage.objects.filter(sha256__in=wanted).values_list("sha256", "view"))
        if missing := sorted(wanted - names.keys()):
            message = _("%(count)d pictures of the set are no longer here, such as %(sha)s. Import them again.")
            raise JobError(message % {"count": len(missing), "sha": missing[0][:16]})
        for sha, name in names.items():
            link(name, inputs / _path(sha, name))
        yield from (_with_paths(group, names) for group in chunk)


def _path(sha: str, name: str) -> str:
    return f"{IMAGES}/{sha}{Path(name).suffix}"


def _with_paths(group: Group, names: Mapping[str, str]) -> Group:
    entries = tuple(Entry(one.key, _path(one.image, names[one.image]), one.editor) for one in group.candidates)
    source = _path(group.source, names[group.source])
    about = (group.source_key, group.instruction, group.task, group.split)
    return Group(group.key, source, *about, entries, group.labels)


def link(name: str, path: Path) -> None:
    """A stored file at ``path``: a hard link where the storage is a folder of this disk, else a copy.

    Raises JobError.
    """
    if path.exists():
        return
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    try:
        _linked_or_copied(name, part)
    except FileNotFoundError as error:
        raise JobError(_("The picture %(name)s is gone from the storage.") % {"name": name}) from error
    part.replace(path)


def _linked_or_copied(name: str, path: Path) -> None:
    try:
        os.link(default_storage.path(name), path)
    except FileNotFoundError:
        raise
    except (NotImplementedError, OSError):  # a storage without paths, another disk, a file system without links
        with default_storage.open(name) as stored, path.open("wb") as file:
            shutil.copyfileobj(stored, file)
