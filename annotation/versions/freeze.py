"""Freezing: the job that makes a version of a data set as it is now."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.files import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Max
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.library import Group, content
from annotation.models import Dataset, DatasetVersion
from annotation.versions import manifest
from annotation.versions.facts import Facts
from annotation.versions.manifest import Written
from webapp.accounts.models import User
from webapp.jobs import services as jobs
from webapp.jobs.folder import JobError, JobRun
from webapp.jobs.kinds import JobKind
from webapp.jobs.models import Job

LOOK = 500  # cases between two looks at "stop"


def start_freeze(*, dataset: Dataset, by: User | None, note: str = "") -> Job:
    title = _("Freeze a version of %(name)s") % {"name": dataset.name}
    return jobs.start(kind="freeze", title=title, config={"dataset": str(dataset.uid), "note": note[:500]}, by=by)


def freeze(*, dataset: Dataset, run: JobRun, by: User | None, note: str) -> tuple[DatasetVersion, bool]:
    """The version with the content of now, and whether it is new: the same content makes no second one."""
    path = run.outputs / "manifest.jsonl.gz"
    facts = Facts()
    written = manifest.write(path, _watched(dataset, run), facts.see)
    if not written.cases:
        raise JobError(_("The data set has no cases yet. Import some before you freeze a version."))
    if known := dataset.versions.filter(content_hash=written.content_hash).first():
        return known, False
    run.progress(written.cases, written.cases, _("Comparing with the version before"))
    name = _store(dataset, path, written)
    draft = DatasetVersion(dataset=dataset, content_hash=written.content_hash, manifest=name, created_by=by)
    draft.note, draft.cases, draft.candidates = note, written.cases, written.candidates
    draft.facts = {**facts.to_json(dataset), "changes": _changes(dataset, draft)}
    return _save(draft)


def _watched(dataset: Dataset, run: JobRun) -> Iterator[Group]:
    """The data set's rows, with a look now and then at whether the job was asked to stop."""
    total = dataset.cases.count()
    for number, group in enumerate(content(dataset)):
        if number % LOOK == 0:
            run.progress(number, max(number, total), _("Writing the manifest"))
            run.check()
        yield group


def _store(dataset: Dataset, path: Path, written: Written) -> str:
    """Keep the manifest under its content hash. One that is there was left by an attempt that did not end."""
    name = f"versions/{dataset.uid}/{written.content_hash}.jsonl.gz"
    default_storage.delete(name)
    with path.open("rb") as file:
        return default_storage.save(name, File(file))


def _changes(dataset: Dataset, draft: DatasetVersion) -> dict[str, Any]:
    before = dataset.versions.order_by("-number").first()
    if before is None:
        return {}
    return {"since": before.number, **manifest.difference(manifest.read(before), manifest.read(draft))}


@transaction.atomic
def _save(draft: DatasetVersion) -> tuple[DatasetVersion, bool]:
    """Give the version the next number; who freezes the same content at the same time gets that one."""
    dataset = Dataset.objects.select_for_update().get(pk=draft.dataset_id)
    if known := dataset.versions.filter(content_hash=draft.content_hash).first():
        return known, False
    draft.number = 1 + (dataset.versions.aggregate(last=Max("number"))["last"] or 0)
    draft.full_clean(exclude=["facts"])
    draft.save()
    return draft, True


# The job ------------------------------------------------------------------------------------------------------------


def _work(run: JobRun, job: Job) -> dict[str, Any]:
    dataset = _dataset(run.config)
    if dataset is None:
        raise JobError(_("The data set was deleted."))
    version, new = freeze(dataset=dataset, run=run, by=job.created_by, note=run.config["note"])
    (run.outputs / "manifest.jsonl.gz").unlink()
    return {"version": str(version.uid), "number": version.number, "new": new}


def _dataset(config: dict[str, Any]) -> Dataset | None:
    return Dataset.objects.filter(uid=config["dataset"]).first()


def _links(job: Job) -> list[tuple[str, str]]:
    dataset = _dataset(job.config)
    links = [(dataset.name, dataset.get_absolute_url())] if dataset else []
    version = DatasetVersion.objects.filter(uid=job.summary["version"]).first() if job.summary else None
    if version:
        same = _("No new version: the content is that of version %(n)d")
        text = _("Version %(n)d") if job.summary["new"] else same
        links.append((text % {"n": version.number}, reverse("version", args=[version.uid])))
    return links


KIND = JobKind(name="freeze", label=gettext_lazy("Freeze a version"), work=_work, links=_links)
