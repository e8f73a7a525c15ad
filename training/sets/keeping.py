"""Keeping a training set: groups go by once, and become a manifest, figures and pages of pairs in the storage."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.core.files import File
from django.core.files.storage import default_storage
from django.utils.translation import gettext as _

from training.models import LabelledSet, SetState
from training.rewards.groups import Dimension, Group, Header, read_groups, write_set
from training.sets.facts import Facts, Row
from webapp.jobs.folder import JobError, JobRun

LOOK = 500  # groups between two looks at "stop"
REJECTED = "rejected"
RATERS = "raters"  # scores of single people, where the files had them


def file_of(labelled_set: LabelledSet, name: str) -> str:
    """A file of the set, by its name in the storage."""
    return f"labelled-sets/{labelled_set.uid}/{name}"


def files_of(labelled_set: LabelledSet) -> list[str]:
    """All of the set's files, by their names in the storage: also those of an attempt that did not end."""
    try:
        names = default_storage.listdir(file_of(labelled_set, ""))[1]
    except FileNotFoundError:
        return []
    return [file_of(labelled_set, name) for name in names]


def pairs_name(place: int) -> str:
    """The file of a dimension's pairs, by the dimension's place in the set: its key is other people's word."""
    return f"pairs-{place}.jsonl"


@dataclass(frozen=True)
class Written:
    """A set that lies in the job's folder, and is not in the storage yet."""

    path: Path
    facts: Facts
    content_hash: str


def write(run: JobRun, dimensions: Sequence[Dimension], groups: Iterable[Group], header: Header, total: int) -> Written:
    """Write the manifest into the job's outputs. JobError where there is nothing to learn from.

    The header names the content hash, which is known at the end: so the groups are written twice.
    """
    facts, scratch, path = Facts(dimensions), run.outputs / "scratch.jsonl.gz", run.outputs / "set.jsonl.gz"
    write_set(scratch, header, _watched(groups, facts.see, run, total))
    if not facts.dimensions:
        raise JobError(nothing())
    content_hash = facts.content_hash()
    done = Header(header.name, facts.dimensions, content_hash, header.notice)
    write_set(path, done, read_groups(scratch))
    scratch.unlink()
    return Written(path, facts, content_hash)


def nothing() -> str:
    return _("Nothing to learn from: no case has two usable candidates that people ranked, compared or rated.")


def _watched(groups: Iterable[Group], see: Callable[[Group], None], run: JobRun, total: int) -> Iterator[Group]:
    for number, group in enumerate(groups):
        if number % LOOK == 0:
            run.progress(number, max(number, total), _("Writing the groups"))
            run.check()
        see(group)
        yield group


def keep(labelled_set: LabelledSet, written: Written, more: dict[str, Any], raters: Iterable[Row] = ()) -> LabelledSet:
    """Put the files into the storage and make the row ready. ``more``: what else the card says."""
    facts = written.facts
    for place, dimension in enumerate(facts.dimensions):
        _store_rows(labelled_set, pairs_name(place), facts.largest[dimension.key].rows())
    _store_rows(labelled_set, f"{REJECTED}.jsonl", facts.rejected)
    _store_rows(labelled_set, f"{RATERS}.jsonl", raters)
    with written.path.open("rb") as file:
        labelled_set.manifest = _store(labelled_set, "set.jsonl.gz", File(file))
    written.path.unlink()
    labelled_set.content_hash = written.content_hash
    labelled_set.dimensions = [asdict(one) for one in facts.dimensions]
    labelled_set.groups, labelled_set.candidates = sum(facts.groups.values()), facts.candidates
    labelled_set.facts = {**facts.to_json(), **more}
    labelled_set.state = SetState.READY
    labelled_set.full_clean(exclude=["facts", "origin", "dimensions"])
    labelled_set.save()
    return labelled_set


def _store(labelled_set: LabelledSet, name: str, file: File[Any]) -> str:
    full = file_of(labelled_set, name)
    default_storage.delete(full)  # of an attempt that did not end
    return default_storage.save(full, file)


def _store_rows(labelled_set: LabelledSet, name: str, rows: Iterable[Row]) -> None:
    """Keep rows as JSON lines; no file for none."""
    with tempfile.TemporaryFile() as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
        if file.tell():
            file.seek(0)
            _store(labelled_set, name, File(file))


def rows_of(labelled_set: LabelledSet, name: str) -> Iterator[Row]:
    """The rows of one of the set's files; none where there is no such file."""
    try:
        with default_storage.open(file_of(labelled_set, name)) as file:
            for line in file:
                yield json.loads(line)
    except FileNotFoundError:
        return


def fail(labelled_set: LabelledSet) -> None:
    LabelledSet.objects.filter(pk=labelled_set.pk).exclude(state=SetState.READY).update(state=SetState.FAILED)
