"""Kinds of job for tests: the work is a few lines of Python, run as a process of its own like every job's."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

from webapp.jobs import kinds, services
from webapp.jobs.kinds import JobKind
from webapp.jobs.models import Job

PROGRAM = """
import os, signal, subprocess, sys, threading, time
from pathlib import Path
from webapp.jobs.folder import JobError, JobRun, run_job

def work(run):
{work}

sys.exit(run_job(Path(sys.argv[1]), work))
"""


def program(folder: Path, work: str) -> Path:
    """A program whose work on a job folder is ``work``, the body of a function of ``run``."""
    path = folder / f"work-{abs(hash(work))}.py"
    path.write_text(PROGRAM.format(work=indent(work, "    ")))
    return path


@pytest.fixture(name="kind")
def a_kind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., JobKind]:
    """Register a kind called "test" whose work is those lines."""

    def make(work: str = "return {}", **options: Any) -> JobKind:
        path = program(tmp_path, work)
        options = {"command": lambda folder: [sys.executable, str(path), str(folder)], **options}
        made = JobKind(name="test", label="Test", **options)
        monkeypatch.setitem(kinds._kinds, "test", made)
        return made

    return make


@pytest.fixture(name="job")
def a_job(kind: Callable[..., JobKind]) -> Callable[..., Job]:
    """A job of the kind "test" in a state; whatever has a worker is in the hands of "w1", attempt 1."""
    from django.utils import timezone

    kind()

    def make(state: str = "queued", **fields: Any) -> Job:
        made = services.start(kind="test", title="A test", config={"n": 3}, by=None)
        if state != "queued":
            claimed = services.claim(uid=str(made.uid), worker="w1")
            assert claimed is not None
            made = claimed
        fields = {"finished_at": timezone.now(), **fields} if state in ("cancelled", "failed", "succeeded") else fields
        Job.objects.filter(pk=made.pk).update(state=state, **fields)
        made.refresh_from_db()
        return made

    return make


def with_events(kind: JobKind, then: Callable[[Job, list[dict[str, Any]]], None]) -> JobKind:
    """The kind, with something done after its own handling of events."""

    def both(job: Job, events: list[dict[str, Any]]) -> None:
        kind.on_events(job, events)
        then(job, events)

    return replace(kind, on_events=both)
