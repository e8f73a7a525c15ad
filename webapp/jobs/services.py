"""Writes to jobs. Every change of state is a conditional UPDATE: of two racing writers one wins and the other knows."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from webapp.accounts.models import User
from webapp.jobs import kinds, parts
from webapp.jobs.models import ACTIVE, CLAIMED, Job, State, before
from webapp.live.streams import publish

REQUEUE_AFTER = timedelta(minutes=2)  # a waiting job's message may have died with Redis; a second one does no harm


def start(*, kind: str, title: str, config: dict[str, Any], by: User | None, cloned_from: Job | None = None) -> Job:
    """Make a job, in parts where its kind says so, and send it to its queue once this transaction is committed."""
    plan = kinds.get_kind(kind).parts(config)  # before the transaction: a large job takes seconds to cut
    job = Job(
        kind=kind,
        queue=kinds.get_kind(kind).queue,
        title=title[:200],
        config=config,
        created_by=by,
        cloned_from=cloned_from,
        enqueued_at=timezone.now(),
        is_shared=len(plan) > 1,
    )
    job.full_clean(exclude=["config"])
    with transaction.atomic():
        job.save()
        if job.is_shared:
            parts.make(job, plan)
        transaction.on_commit(lambda: enqueue(job))
    return job


def enqueue(job: Job) -> None:
    """Send the job's message, or one for each worker that may join in. Redis away: the reaper sends it later."""
    for _message in range(parts.messages(job) if job.is_shared else 1):
        _send(job)


def _send(job: Job) -> None:
    from kombu.exceptions import OperationalError

    from webapp.jobs import tasks

    try:
        tasks.run_job.apply_async([str(job.uid)], queue=job.queue, retry=False)
    except OperationalError:
        waiting = Job.objects.filter(pk=job.pk, state=State.QUEUED)
        waiting.update(message=_("Redis does not answer. The job starts when it is back."))


def pass_on(*, uid: str) -> None:
    """Send the message of a job that waits, or of one with parts that wait, once more, for another worker."""
    for job in Job.objects.filter(uid=uid, state__in=(State.QUEUED, State.RUNNING)):
        if parts.waiting(job) if job.is_shared else job.state == State.QUEUED:
            _send(job)


def take(*, uid: str, worker: str) -> Job | None:
    """Claim the job of a message, or the next waiting part of a shared one; None if there is nothing to do."""
    job = Job.objects.filter(uid=uid).first()
    if job is None or not job.is_shared:
        return claim(uid=uid, worker=worker)
    while job.state in (State.QUEUED, State.RUNNING) and (found := parts.waiting(job)):
        for part in found:
            if claimed := claim(uid=str(part.uid), worker=worker):
                return claimed
        job.refresh_from_db()
    return None


def claim(*, uid: str, worker: str) -> Job | None:
    """Take a waiting job for ``worker``; None if another worker has it or it was cancelled."""
    now = timezone.now()
    taken = Job.objects.filter(uid=uid, state=State.QUEUED, is_shared=False).update(
        state=State.RUNNING,
        attempt=F("attempt") + 1,
        worker=worker,
        started_at=now,
        heartbeat_at=now,
        finished_at=None,
        done_at_start=F("done"),
        message="",
    )
    if not taken:
        return None
    job = Job.objects.select_related("parent").get(uid=uid)
    announce(job)
    return job


def _mine(job: Job) -> QuerySet[Job]:
    """The job's row, as long as this attempt owns it."""
    return Job.objects.filter(pk=job.pk, attempt=job.attempt, state__in=CLAIMED)


def heartbeat(job: Job) -> str | None:
    """Say that the worker lives. Returns the state now, or None if the job is no longer this attempt's."""
    mine = _mine(job)
    if not mine.update(heartbeat_at=timezone.now()):
        return None
    return mine.values_list("state", flat=True).first()


def report(job: Job, *, done: int, total: int, message: str, events_read: int) -> None:
    """Store how far the job is and tell its page."""
    job.done, job.total, job.message = min(done, total), total, message
    if _mine(job).update(done=job.done, total=total, message=message, events_read=events_read):
        announce(job)


def finish(job: Job, *, state: str, message: str = "", summary: dict[str, Any] | None = None) -> bool:
    """End this attempt in ``state``, or send it to its queue again. False if the job is no longer this attempt's.

    A job that somebody cancelled does not wait again: it is cancelled.
    """
    return _leave(job, _mine(job), state, message, summary=summary or job.summary)


def _leave(job: Job, owned: QuerySet[Job], state: str, message: str, **values: Any) -> bool:
    when = {"enqueued_at" if state == State.QUEUED else "finished_at": timezone.now()}
    if not owned.filter(state__in=before(state)).update(state=state, message=message, **when, **values):
        return state == State.QUEUED and _leave(job, owned, State.CANCELLED, stopped(), **values)
    job.refresh_from_db()
    announce(job)
    if job.state == State.QUEUED:
        _send(job.whole)
    return True


def stopped() -> str:
    return _("Stopped. Resume goes on from here.")


def cancel(*, job: Job) -> Job:
    """Ask a job to stop. A waiting one is cancelled at once; a running one saves its place first."""
    if job.is_shared:
        parts.cancel(job)
        announce(job)
        return job
    waiting = Job.objects.filter(pk=job.pk, state=State.QUEUED)
    running = Job.objects.filter(pk=job.pk, state=State.RUNNING)
    ended = {"state": State.CANCELLED, "finished_at": timezone.now(), "message": stopped()}
    while not (waiting.update(**ended) or running.update(state=State.CANCELLING)):
        job.refresh_from_db()
        if job.state == State.CANCELLING:
            break
        if not job.is_active:
            raise ValidationError(_("This job has ended already."))
    job.refresh_from_db()
    announce(job)
    return job


@transaction.atomic
def resume(*, job: Job) -> Job:
    """Send an ended job to its queue again; it goes on where it stopped."""
    if not job.is_resumable:
        raise ValidationError(_("Only a job that was cancelled or has failed can be resumed."))
    changed = Job.objects.filter(pk=job.pk, state=job.state).update(
        state=State.QUEUED, crashes=0, enqueued_at=timezone.now(), finished_at=None, message=""
    )
    if not changed:
        raise ValidationError(_("Somebody else changed this job a moment ago. Load the page again."))
    if job.is_shared:
        parts.resume(job)
    job.refresh_from_db()
    transaction.on_commit(lambda: announce(job))
    transaction.on_commit(lambda: enqueue(job))
    return job


def clone(*, job: Job, by: User) -> Job:
    """The same job once more. Raises ValidationError where its kind refuses that now."""
    kind = kinds.get_kind(job.kind)
    if kind.for_admins and not by.is_admin:
        raise ValidationError(_("Only an admin may start such a job."))
    if kind.clone is not None:
        return kind.clone(job, by)
    return start(kind=job.kind, title=job.title, config=job.config, by=by, cloned_from=job)


def reap() -> int:
    """Find jobs whose worker died, and waiting jobs whose message was lost. Returns how many were touched."""
    now = timezone.now()
    stale = now - timedelta(seconds=settings.JOB_STALE_SECONDS)
    touched = 0
    claimed = Job.objects.filter(state__in=CLAIMED, is_shared=False)
    for job in claimed.filter(Q(heartbeat_at__lt=stale) | Q(heartbeat_at=None)):
        touched += _reap_one(job)
    lost = Job.objects.filter(parent=None, enqueued_at__lt=now - REQUEUE_AFTER)
    for job in lost.filter(Q(state=State.QUEUED) | Q(state=State.RUNNING, is_shared=True)):
        Job.objects.filter(pk=job.pk).update(enqueued_at=now)
        enqueue(job)
        touched += 1
    for job in Job.objects.filter(state=State.CANCELLING, is_shared=True, enqueued_at__lt=now - REQUEUE_AFTER):
        parts.cancel(job)  # a worker may have put a part back at that very moment
    for job in Job.objects.filter(state__in=ACTIVE, is_shared=True):
        touched += _settled(job)
    return touched


def _settled(whole: Job) -> bool:
    """Whether the whole had not been told of its last part: whoever ended that died at once afterwards."""
    state = whole.state
    parts.settle(whole)
    whole.refresh_from_db()
    if whole.state == state:
        return False
    announce(whole)
    return True


def _reap_one(job: Job) -> bool:
    crashes = job.crashes + 1
    if job.state == State.CANCELLING:
        state, message = State.CANCELLED, _("Stopped; its worker had died.")
    elif crashes < settings.JOB_MAX_CRASHES:
        state = State.QUEUED
        message = _("The worker stopped answering. The job goes on as soon as a worker is free.")
    else:
        state = State.FAILED
        message = _(
            "The worker died %(times)d times during this job, so it is not started again by itself. "
            "Look at the log, then resume it."
        ) % {"times": crashes}
    silent = _mine(job).filter(heartbeat_at=job.heartbeat_at)  # it may speak again before we write
    return _leave(job, silent, state, message, crashes=crashes)


def announce(job: Job) -> None:
    """Tell the job's page, and whoever watches all jobs. A part's change is a change of the whole."""
    if job.parent:
        parts.settle(job.parent)
        job = job.parent
        job.refresh_from_db()
    data = {"state": job.state, "done": job.done, "total": job.total, "message": job.message}
    publish(job.channel, "job", data)
    if job.finished_at and not job.is_active:
        kinds.tell_end(job)
    if job.state not in ACTIVE or not job.done:
        publish("jobs", "job", {"uid": str(job.uid), **data})
