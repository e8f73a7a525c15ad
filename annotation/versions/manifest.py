"""The file of a version: every row of the data set as JSON lines, compressed. Equal content is equal bytes.

A line for each case, by key: {"case": {...}, "candidates": [...]}, images by the SHA-256 of their file. The last line,
{"end": {...}}, has the counts and the content hash; without it the file is not whole.
"""

import gzip
import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from django.core.files.storage import default_storage
from django.utils.translation import gettext as _

from annotation.library import ContentHash, Group, Values, identity
from annotation.models import DatasetVersion
from webapp.jobs.folder import JobError


@dataclass(frozen=True)
class Written:
    content_hash: str
    cases: int
    candidates: int


def write(path: Path, groups: Iterable[Group], see: Callable[[Group], None]) -> Written:
    """Write the manifest of ``groups``, which come sorted by key; ``see`` gets each one."""
    content, cases, candidates = ContentHash(), 0, 0
    with path.open("wb") as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
        for group in groups:
            content.add(group)
            cases, candidates = cases + 1, candidates + len(group[1])
            packed.write(_line({"case": group[0], "candidates": group[1]}))
            see(group)
        written = Written(content.hexdigest(), cases, candidates)
        packed.write(_line({"end": written.__dict__}))
    return written


def _line(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def read(version: DatasetVersion) -> Iterator[Group]:
    """The rows of a version. JobError where its file is gone or cut short."""
    try:
        with default_storage.open(version.manifest) as file:
            yield from _groups(file)
    except FileNotFoundError as error:
        message = _("The manifest of %(version)s is gone from the storage. Restore the folder versions/ from a backup.")
        raise JobError(message % {"version": version}) from error
    except (EOFError, ValueError, gzip.BadGzipFile) as error:
        message = _("The manifest of %(version)s is damaged. Restore the folder versions/ from a backup.")
        raise JobError(message % {"version": version}) from error


def _groups(file: IO[bytes]) -> Iterator[Group]:
    with gzip.GzipFile(fileobj=file) as packed:
        for line in io.BufferedReader(packed):
            value = json.loads(line)
            if "end" in value:
                return
            yield value["case"], value["candidates"]
    raise EOFError


# Differences --------------------------------------------------------------------------------------------------------


@dataclass
class Changes:
    added: int = 0
    removed: int = 0
    changed: int = 0


def difference(before: Iterable[Group], after: Iterable[Group]) -> dict[str, dict[str, int]]:
    """How many cases and candidates were added, removed and changed. Both come sorted by key, and are read once.

    A candidate is the same one where case, editor, seed and settings are; it has changed where its image, its noise
    seed or its marks have.
    """
    cases, candidates = Changes(), Changes()
    for old, new in _paired(before, after):
        _note(cases, old and old[0], new and new[0])
        had = {identity(row): row for row in old[1]} if old else {}
        has = {identity(row): row for row in new[1]} if new else {}
        for key in had.keys() | has.keys():
            _note(candidates, had.get(key), has.get(key))
    return {"cases": cases.__dict__, "candidates": candidates.__dict__}


def _note(changes: Changes, old: Values | None, new: Values | None) -> None:
    if old is None:
        changes.added += 1
    elif new is None:
        changes.removed += 1
    elif old != new:
        changes.changed += 1


def _paired(before: Iterable[Group], after: Iterable[Group]) -> Iterator[tuple[Group | None, Group | None]]:
    """The groups of both by key, side by side; None where one has no such case."""
    olds, news = iter(before), iter(after)
    old, new = next(olds, None), next(news, None)
    while old or new:
        if new is None or (old is not None and old[0]["key"] < new[0]["key"]):
            yield old, None
            old = next(olds, None)
        elif old is None or new[0]["key"] < old[0]["key"]:
            yield None, new
            new = next(news, None)
        else:
            yield old, new
            old, new = next(olds, None), next(news, None)
