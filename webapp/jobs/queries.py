"""Reads of jobs."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Case, Count, Min, Q, QuerySet, When
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone
from django.utils.translation import gettext as _

from webapp.jobs import presence
from webapp.jobs.machine import Machine
from webapp.jobs.models import ACTIVE, CLAIMED, Job, State

LOG_BYTES = 20_000
PARTS_ORDER = (State.RUNNING, State.CANCELLING, State.FAILED, State.CANCELLED, State.QUEUED, State.SUCCEEDED)
PARTS_SHOWN = 12


@dataclass(frozen=True)
class QueueHealth:
    """Parts of a shared job count one by one here: each of them keeps a worker busy."""

    queue: str
    machines: list[Machine] | None  # None: Redis does not answer
    waiting: int
    running: int
    waiting_since: datetime | None  # of the job that has waited longest

    @property
    def workers(self) -> list[str] | None:
        return None if self.machines is None else [machine.worker for machine in self.machines]

    @property
    def seconds_waiting(self) -> float | None:
        return None if self.waiting_since is None else (timezone.now() - self.waiting_since).total_seconds()


def queue_health(queue: str) -> QueueHealth:
    """One query. ``enqueued_at`` is no measure of how long a job waits: it moves when its message is sent again."""
    waits, running = Q(state=State.QUEUED), Q(state__in=CLAIMED)
    since = Greatest("created_at", Coalesce("heartbeat_at", "created_at"))  # made, or given up by its last worker
    counts = Job.objects.filter(queue=queue, state__in=ACTIVE).aggregate(
        waiting=Count("pk", filter=waits & Q(is_shared=False)),
        running=Count("pk", filter=running & Q(is_shared=False)),
        waiting_since=Min(since, filter=waits & Q(parent=None)),
    )
    return QueueHealth(queue=queue, machines=presence.machines(queue), **counts)


def at_work() -> QuerySet[Job]:
    """Jobs and parts that workers have in their hands, each with the job that it is a part of."""
    return Job.objects.filter(state__in=CLAIMED, is_shared=False).select_related("parent").order_by("id")


def is_silent(job: Job) -> bool:
    """Whether the worker that has this job gave no sign of life of it for too long."""
    limit = timedelta(seconds=settings.JOB_STALE_SECONDS)
    return job.state in CLAIMED and bool(job.heartbeat_at and timezone.now() - job.heartbeat_at > limit)


def trouble(job: Job) -> str:
    """Why a job does not move, with what to do; empty if all is well. Never a spinner without a reason."""
    if not job.is_active:
        return ""
    alive = presence.workers(job.queue)
    if alive is None:
        return _("Redis does not answer, so no job can start. Start it again; the job is not lost.")
    if is_silent(job):
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
