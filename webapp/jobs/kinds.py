"""What a kind of job is: one value, registered by the part of the product that knows the work.

Two sorts: work that needs the database runs as `python -m webapp.jobs.run FOLDER` (give ``work``); model work runs as
a program that knows nothing of Django (give ``command``).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings

from webapp.hooks import services as hooks
from webapp.hooks.events import JOB_FINISHED
from webapp.jobs.folder import JobRun
from webapp.jobs.models import Job

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

    from webapp.accounts.models import User

DEFAULT, GPU = "default", "gpu"


def _nothing(*_arguments: Any) -> None:
    """A kind that has nothing to do at this point."""


def run_here(folder: Path) -> list[str]:
    return [sys.executable, "-m", "webapp.jobs.run", str(folder)]


def run_model(folder: Path) -> list[str]:
    """The program that runs models: by this interpreter, or by that of the GPU environment."""
    return [settings.GPU_PYTHON or sys.executable, "-m", "training.gpu.run", str(folder)]


@dataclass(frozen=True)
class JobKind:
    """One kind of job.

    ``prepare(job)`` writes ``inputs/`` before the process starts (again at every attempt: it must allow that).
    ``on_events(job, events)`` takes the process's events in order; after a crash it can see some of them again.
    ``on_result(job, summary)`` runs once the process has succeeded, before the job is marked so, and allows repeats.
    ``parts(config)`` cuts a job into parts for several workers: the configuration of each, and how much work it has.
    ``on_end(job)`` runs once the job has ended, however it did, and allows repeats.
    ``environment(job)`` is what the process may know but no file may hold: keys of endpoints.
    ``links(job)`` names the pages that the job is about: (label, address).
    ``clone(job, by)`` starts the same once more, where that needs more than the same configuration; raises
    ValidationError. ``for_admins``: others may look, and neither start nor clone one.
    """

    name: str
    label: str | StrPromise  # translated when it is shown
    queue: str = DEFAULT
    work: Callable[[JobRun, Job], dict[str, Any]] | None = None
    command: Callable[[Path], list[str]] = run_here
    prepare: Callable[[Job], None] = _nothing
    on_events: Callable[[Job, list[dict[str, Any]]], None] = _nothing
    on_result: Callable[[Job, dict[str, Any]], None] = _nothing
    on_end: Callable[[Job], object] = _nothing
    parts: Callable[[dict[str, Any]], Sequence[tuple[dict[str, Any], int]]] = lambda _config: []
    environment: Callable[[Job], dict[str, str]] = lambda _job: {}
    links: Callable[[Job], list[tuple[str, str]]] = lambda _job: []
    clone: Callable[[Job, User], Job] | None = None
    for_admins: bool = False
    template: str = ""  # a part of the job page that only this kind has
    style: str = ""  # its stylesheet
    context: Callable[[Job], dict[str, Any]] = lambda _job: {}


_kinds: dict[str, JobKind] = {}


def register(kind: JobKind) -> None:
    _kinds[kind.name] = kind


def tell_end(job: Job) -> None:
    """Tell webhooks, and the job's kind, that a job has ended. A second time it does nothing more."""
    data = {"uid": str(job.uid), "kind": job.kind, "title": job.title, "state": job.state, "message": job.message}
    hooks.announce(JOB_FINISHED, data, key=f"{job.uid} {job.finished_at}")
    if job.kind in _kinds:
        _kinds[job.kind].on_end(job)


def kind_of(job: Job) -> JobKind:
    return _kinds[job.kind]


def get_kind(name: str) -> JobKind:
    return _kinds[name]
