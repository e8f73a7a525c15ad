"""Reads of jobs."""

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db.models import Case, When
from django.utils import timezone
from django.utils.translation import gettext as _

from webapp.jobs import presence
from webapp.jobs.models import CLAIMED, Job, State

LOG_BYTES = 20_000
PARTS_ORDER = (State.RUNNING, State.CANCELLING, State.FAILED, State.CANCELLED, State.QUEUED, State.SUCCEEDED)
PARTS_SHOWN = 12


@dataclass(frozen=True)
class QueueHealth:
    queue: str
    workers: list[str] | None  # None: Redis does not answer
    waiting: int
    running: int


def queue_health(queue: str) -> QueueHealth:
    jobs = Job.objects.filter(queue=queue, is_shared=False)
    return QueueHealth(
        queue=queue,
        workers=presence.workers(queue),
        waiting=jobs.filter(state=State.QUEUED).count(),
        running=jobs.filter(state__in=CLAIMED).count(),
    )


def trouble(job: Job) -> str:
    """Why a job does not move, with what to do; empty if all is well. Never a spinner without a reason."""
    if not job.is_active:
        return ""
    alive = presence.workers(job.queue)
    if alive is None:
        return _("Redis does not answer, so no job can start. Start it again; the job is not lost.")
    silent = job.heartbeat_at and timezone.now() - job.heartbeat_at > timedelta(seconds=settings.JOB_STALE_SECONDS)
    if job.state in CLAIMED and silent:
        return _(
            "The worker %(worker)s has stopped answering. "
            "The job goes on from its last saved place as soon as a worker is free."
        ) % {"worker": job.worker}
    if job.state == State.QUEUED and not alive:
        return _("No worker listens to the queue “%(queue)s”. Start one; the job then begins by itself.") % {
            "queue": job.queue
        }
    return ""


def seconds_left(job: Job) -> float | None:
    """Time left at the rate of this attempt; None before there is a rate."""
    done = job.done - job.done_at_start
    if job.state not in CLAIMED or done <= 0 or not job.started_at or not job.total:
        return None
    return (timezone.now() - job.started_at).total_seconds() / done * (job.total - job.done)


def parts(job: Job) -> list[Job]:
    """Parts of a shared job: those at work, those that went wrong, and the next to come."""
    order = Case(*(When(state=state, then=place) for place, state in enumerate(PARTS_ORDER)))
    return list(job.parts.order_by(order, "id")[:PARTS_SHOWN])


def rate(job: Job) -> float | None:
    """Pieces of work a second in this attempt, in whatever the job counts; None before there is one."""
    done = job.done - job.done_at_start
    if done <= 0 or not job.started_at:
        return None
    return done / max(0.001, ((job.finished_at or timezone.now()) - job.started_at).total_seconds())


def log_tail(job: Job) -> str:
    """The end of the log; whole lines."""
    try:
        with (job.folder / "log.txt").open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - LOG_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return text if size <= LOG_BYTES else text.partition("\n")[2]
