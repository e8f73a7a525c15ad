"""Judgements that others published, as a data set with cases and candidates and a labelled set. All or nothing.

A layout (training/rewards/layouts) reads the files; its groups become an import like any other, so that every name,
size and image is checked by the same code; then the labels become the set's manifest.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from annotation.faults import start_checks
from annotation.imports import Progress, import_path
from annotation.models import Candidate, Case, Dataset, Task
from training.models import LabelledSet
from training.rewards.groups import Entry, Group, Header, Labels, from_line, reordered
from training.rewards.layouts import LayoutError, layout
from training.sets import keeping, services
from training.sets.staging import Staged, lines_of, splits_of, stage, write_cases
from webapp.accounts.models import User
from webapp.jobs import services as jobs
from webapp.jobs.folder import JobError, JobRun
from webapp.jobs.models import Job

TRAINING = ("editreward", "edithf", "pairs")  # layouts that the page of training sets offers
CHUNK = 500

Resolved = tuple[Group, list[dict[str, Any]]]
Follower = Callable[[LabelledSet, dict[str, Any]], None]
_followers: dict[str, Follower] = {}


def follow(name: str, follower: Follower) -> None:
    """Register what is done with an imported set whose ``then`` has this name, in the transaction that makes it."""
    _followers[name] = follower


# Start ---------------------------------------------------------------------------------------------------------------


def incoming() -> Path:
    """The folder beneath which folders are imported: EDITLOOP_INCOMING, or var/incoming."""
    return Path(os.environ.get("EDITLOOP_INCOMING") or Path(settings.VAR) / "incoming").resolve()


def folder_of(name: str) -> Path:
    """A folder beneath the incoming folder. Raises ValidationError."""
    root = incoming()
    try:
        found = (root / name).resolve()
    except (OSError, ValueError, RuntimeError):
        raise ValidationError({"folder": _("This is no name of a folder.")}) from None
    if not found.is_relative_to(root) or found == root:
        raise ValidationError({"folder": _("Name a folder beneath the incoming folder, such as editreward.")})
    if not found.is_dir():
        message = _("There is no folder “%(name)s” in the incoming folder. Put the files there, or correct its name.")
        raise ValidationError({"folder": message % {"name": name}})
    return found


@transaction.atomic
def start_import(
    *,
    layout: str,
    folder: str,
    name: str,
    by: User | None,
    task: str = "",
    notice: str = "",
    seed: int = 0,
    then: Mapping[str, Any] | None = None,
) -> LabelledSet:
    """A job that imports a folder of this layout, and the row that it fills. Raises ValidationError.

    ``folder``: beneath the incoming folder. ``task``: of cases whose files name none that is known here.
    ``then``: {"name": of a follower, …}: what is done with the set in the transaction that makes it ready.
    """
    folder_of(folder)
    _layout(layout)
    if task and not Task.objects.filter(pk=task).exists():
        raise ValidationError({"task": _("There is no task “%(task)s”.") % {"task": task}})
    if Dataset.objects.filter(slug=services.slug_of(name)).exists():
        raise ValidationError({"name": _("There is a data set of this name already. Choose another name.")})
    origin = {
        "kind": "import",
        "layout": layout,
        "folder": folder,
        "task": task,
        "seed": seed,
        "then": dict(then or {}),
    }
    made = services.new_row(name=name, origin=origin, by=by)
    made.notice = notice
    title = _("Import %(name)s") % {"name": name}
    made.job = jobs.start(kind=services.KIND, title=title, config={"set": str(made.uid), **origin}, by=by)
    made.full_clean(exclude=["origin", "dimensions", "facts", "studies"])
    services.save_new(made)
    return made


def _layout(name: str) -> Any:
    try:
        return layout(name)
    except LayoutError as error:
        raise ValidationError({"layout": str(error)}) from None


# The job's work ------------------------------------------------------------------------------------------------------


def make(run: JobRun, labelled_set: LabelledSet) -> LabelledSet:
    """Read, check, import, and fill the row."""
    origin = labelled_set.origin
    try:
        folder, reader = folder_of(origin["folder"]), _layout(origin["layout"])
    except ValidationError as error:
        raise JobError(" ".join(error.messages)) from error
    dataset, staged = _dataset_of(labelled_set), Staged(run.folder / "staged", run.folder / "labels.jsonl")
    try:
        stage(run, staged, reader, folder, origin["task"])
        staged.splits = splits_of(staged, origin["seed"])
        write_cases(staged)
        if dataset._state.adding:
            progress = Progress(run.progress, run.check, run.folder / "stored.jsonl")
            import_path(path=staged.folder, dataset=dataset, progress=progress)
        made = _fill(run, labelled_set, dataset, staged, reader)
    except BaseException:
        if not dataset._state.adding:
            dataset.delete()
        raise
    finally:
        shutil.rmtree(staged.folder, ignore_errors=True)
        staged.lines.unlink(missing_ok=True)
    check_outputs(made)
    return made


def check_outputs(labelled_set: LabelledSet) -> None:
    """Start the checks of an imported set's candidates, once: also where an attempt died before it came to that."""
    dataset = labelled_set.dataset
    if dataset and not Job.objects.filter(kind="check", config__dataset=str(dataset.uid)).exists():
        start_checks(dataset=dataset, by=labelled_set.created_by)


def _dataset_of(labelled_set: LabelledSet) -> Dataset:
    """The data set that an earlier attempt of this very job imported before its worker died, or a new one."""
    recipe = {"kind": "labels", "set": str(labelled_set.uid), "layout": labelled_set.origin["layout"]}
    slug = labelled_set.slug
    if found := Dataset.objects.filter(slug=slug).first():
        if found.recipe != recipe:
            raise JobError(_("There is a data set of this name already. Choose another name."))
        return found
    made = Dataset(slug=slug, name=labelled_set.name, notice=labelled_set.notice, recipe=recipe)
    made.created_by = labelled_set.created_by
    return made


def _fill(run: JobRun, labelled_set: LabelledSet, dataset: Dataset, staged: Staged, reader: Any) -> LabelledSet:
    header = Header(labelled_set.name, tuple(reader.DIMENSIONS), notice=labelled_set.notice)
    groups = (group for group, _raters in _groups(dataset, staged))
    written = keeping.write(run, reader.DIMENSIONS, groups, header, len(staged.pieces))
    raters = (row for _group, rows in _groups(dataset, staged) for row in rows)
    more = {
        "layout": reader.LABEL,
        "tasks_unknown": dict(staged.tasks.most_common(20)),
        "left_out": {"moved": staged.moved} if staged.moved else {},
    }
    with transaction.atomic():
        labelled_set.dataset = dataset
        made = keeping.keep(labelled_set, written, more, raters)
        then = labelled_set.origin["then"]
        if follower := _followers.get(then.get("name", "")):
            follower(made, then)
    return made


# Groups of the imported rows -----------------------------------------------------------------------------------------


def _groups(dataset: Dataset, staged: Staged) -> Iterator[Resolved]:
    """The groups under the keys of the rows in the database, with single people's scores."""
    rows = lines_of(staged)
    while chunk := list(islice(rows, CHUNK)):
        yield from _resolved(dataset, chunk, staged.splits)


def _resolved(dataset: Dataset, chunk: list[dict[str, Any]], splits: Mapping[str, str]) -> Iterator[Resolved]:
    keys = [row["group"]["key"] for row in chunk]
    cases = dict(Case.objects.filter(dataset=dataset, key__in=keys).values_list("key", "uid"))
    rows = Candidate.objects.filter(case__dataset=dataset, case__key__in=keys)
    uids = {
        (case, f"{editor} {seed}"): str(uid)
        for case, editor, seed, uid in rows.values_list("case__key", "editor__slug", "seed", "uid")
    }
    for row in chunk:
        group = from_line(row["group"])
        entries = [Entry(uids[group.key, one.key], one.image, one.editor) for one in group.candidates]
        order = sorted(range(len(entries)), key=lambda place: (entries[place].image, entries[place].editor))
        about = (group.source, group.source_key, group.instruction, group.task, splits[group.source_key])
        yield (
            Group(
                str(cases[group.key]),
                *about,
                tuple(entries[place] for place in order),
                {key: reordered(one, order) for key, one in group.labels.items() if one != Labels()},
            ),
            list(_raters(row, str(cases[group.key]), order)),
        )


def _raters(row: dict[str, Any], uid: str, order: list[int]) -> Iterator[dict[str, Any]]:
    """Scores of single people, beside the set and not in it: they are for the human ceiling, never for a model."""
    for key, given in row["raters"].items():
        for who, place, score in given:
            yield {"group": uid, "dimension": key, "rater": who, "candidate": order.index(place), "score": score}
