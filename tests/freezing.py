"""Versions and their exports for tests, made by the jobs that the product uses."""

from pathlib import Path
from typing import Any

from annotation.models import Dataset, DatasetVersion
from annotation.versions import export, freeze
from annotation.versions.rows import Options
from webapp.jobs.folder import JobRun, write_json
from webapp.jobs.kinds import JobKind
from webapp.jobs.models import Job


def run_of(job: Job) -> JobRun:
    """The process's side of a job, as a worker would start it."""
    job.folder.mkdir(parents=True, exist_ok=True)
    write_json(job.folder / "job.json", {"kind": job.kind, "config": job.config, "attempt": 1})
    return JobRun(job.folder)


def work(kind: JobKind, job: Job) -> dict[str, Any]:
    assert kind.work is not None
    job.summary = kind.work(run_of(job), job)
    job.save()
    return job.summary


def frozen(dataset: Dataset, by: Any = None, note: str = "") -> DatasetVersion:
    """The version that a freeze of now ends with: a new one, or that with the same content."""
    summary = work(freeze.KIND, freeze.start_freeze(dataset=dataset, by=by, note=note))
    return DatasetVersion.objects.select_related("dataset").get(uid=summary["version"])


def exported(version: DatasetVersion, layout: str, options: Options = Options()) -> Path:  # noqa: B008  # frozen
    """The zip that an export job made."""
    job = export.start_export(version=version, layout=layout, options=options, by=None)
    work(export.KIND, job)
    path = export.file_of(job)
    assert path is not None
    return path
