"""The worker's side of a job: start its process, carry its events to the database and the page, stop it when asked.

The work runs in a process of its own, in a session of its own: Celery's revoke does not reach a thread pool, a crash
of the work must not take the worker, and SIGKILL must reach everything that the work started.
"""

import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.conf import settings
from django.db import OperationalError, connections
from django.utils.translation import gettext as _

from webapp.jobs import kinds, services
from webapp.jobs.folder import CANCELLED, FAILED, SUCCEEDED, JobError, read_events, read_json, write_json
from webapp.jobs.models import Job, State
from webapp.live.streams import publish

TICK_SECONDS = 0.25
HEARTBEAT_SECONDS = 2.0
EVENTS_AT_ONCE = 16  # at most: fewer where keeping them is slow, as of large images
stopping = threading.Event()  # set when this worker shuts down: running jobs save their place and wait for the next

logger = structlog.get_logger()


def supervise(job: Job) -> None:
    """Run a claimed job to its end. Never raises: whatever happens becomes the job's state and words."""
    logger.info("job started", job=str(job.uid), kind=job.kind, attempt=job.attempt)
    try:
        _prepare(job)
        _Watch(job, _start(job)).run()
    except JobError as error:
        services.finish(job, state=State.FAILED, message=str(error))
    except OSError as error:
        services.finish(job, state=State.FAILED, message=f"{error.strerror or error}: {error.filename or ''}")
    except Exception as error:  # the boundary of the worker: the job's page must say it
        logger.exception("job failed", job=str(job.uid))
        message = _("Unexpected error (%(type)s): %(error)s") % {"type": type(error).__name__, "error": error}
        services.finish(job, state=State.FAILED, message=message)
    finally:
        connections.close_all()


def _prepare(job: Job) -> None:
    for folder in (job.folder, job.folder / "inputs", job.folder / "outputs"):
        folder.mkdir(parents=True, exist_ok=True)
    (job.folder / "result.json").unlink(missing_ok=True)
    kinds.kind_of(job).prepare(job)
    write_json(job.folder / "job.json", {"kind": job.kind, "config": job.config, "attempt": job.attempt})


def _start(job: Job) -> subprocess.Popen[bytes]:
    """The process. We hold the writing end of its standard input: it stops when that closes, so when we die."""
    own = {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(settings.BASE_DIR)}
    environment = {**os.environ, **own, **kinds.kind_of(job).environment(job)}
    with (job.folder / "log.txt").open("ab") as log:
        return subprocess.Popen(
            kinds.kind_of(job).command(job.folder),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=settings.BASE_DIR,
            env=environment,
            start_new_session=True,
        )


@dataclass
class _Watch:
    job: Job
    process: subprocess.Popen[bytes]
    asked_at: float | None = None  # when the process was asked to stop
    reason: str = ""  # why: "cancel", "shutdown" or "taken" (another attempt owns the job)
    last_heartbeat: float = field(default_factory=time.monotonic)
    at_once: int = 2  # events carried between two looks

    def run(self) -> None:
        try:
            while self.process.poll() is None:
                if not self._look():
                    time.sleep(TICK_SECONDS)
            while self._carry_events():
                self._heartbeat()
        finally:
            self._kill()
        self._finish()

    def _look(self) -> bool:
        """One look at the living process. True if more events wait to be carried."""
        more = False
        try:
            more = self._carry_events()
            self._heartbeat()
        except OperationalError as error:  # a database that is away for a moment must not end hours of work
            logger.warning("job not noted", job=str(self.job.uid), error=str(error))
            connections.close_all()
        self._stop_if_asked()
        return more

    def _carry_events(self) -> bool:
        """Carry a few events on; True if there were any. The heartbeat goes on between, however many there are.

        Apply first, then store how far we read: after a crash some are applied twice, none is lost.
        """
        events, offset = read_events(self.job.folder / "events.jsonl", self.job.events_read, self.at_once)
        if offset == self.job.events_read:
            return False
        started = time.monotonic()
        kinds.kind_of(self.job).on_events(self.job, events)
        slow = time.monotonic() - started > HEARTBEAT_SECONDS / 2
        self.at_once = max(1, self.at_once // 2) if slow else min(EVENTS_AT_ONCE, self.at_once * 2)
        latest: dict[str, Any] = {"done": self.job.done, "total": self.job.total, "message": self.job.message}
        for event in events:
            if event["event"] == "progress":
                latest = {key: event[key] for key in latest}
            else:
                publish(self.job.whole.channel, "work", event)
        services.report(self.job, **latest, events_read=offset)
        self.job.events_read = offset
        return True

    def _heartbeat(self) -> None:
        now = time.monotonic()
        if now - self.last_heartbeat < HEARTBEAT_SECONDS:
            return
        self.last_heartbeat = now
        state = services.heartbeat(self.job)
        if state is None:
            self._ask("taken")
        elif state == State.CANCELLING:
            self._ask("cancel")

    def _stop_if_asked(self) -> None:
        if stopping.is_set():
            self._ask("shutdown")
        if self.asked_at is not None and time.monotonic() - self.asked_at > settings.JOB_KILL_SECONDS:
            self._kill()

    def _ask(self, reason: str) -> None:
        if self.asked_at is None:
            self.asked_at, self.reason = time.monotonic(), reason
            self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of zombies
            os.killpg(self.process.pid, number)

    def _kill(self) -> None:
        """The process, and what it started: that may outlive it."""
        self._signal(signal.SIGKILL)
        self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()

    def _finish(self) -> None:
        result = read_json(self.job.folder / "result.json")
        if result is None or result.get("attempt") != self.job.attempt:
            result = {"status": FAILED, "message": _exit_words(self.process.returncode), "summary": {}}
        if result["status"] == SUCCEEDED:
            kinds.kind_of(self.job).on_result(self.job, result["summary"])
            services.finish(self.job, state=State.SUCCEEDED, summary=result["summary"])
        elif self.reason == "shutdown":
            message = _("The worker was shut down. The job goes on when one is started.")
            services.finish(self.job, state=State.QUEUED, message=message)
        elif self.reason or result["status"] == CANCELLED:
            message = services.stopped() if self.reason else result["message"]  # its own: a person is to decide
            services.finish(self.job, state=State.CANCELLED, message=message)
        else:
            services.finish(self.job, state=State.FAILED, message=result["message"], summary=result["summary"])


def _exit_words(status: int) -> str:
    if status == -signal.SIGKILL:
        return _("The process was killed (signal 9). Most often the machine had no memory left.")
    if status < 0:
        return _("The process was ended by signal %(number)d. Look at the log.") % {"number": -status}
    return _("The process ended without a result (status %(status)d). Look at the log.") % {"status": status}
