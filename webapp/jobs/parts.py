"""A job that many workers share: a row without a process, whose parts are jobs of their own.

Every part is claimed, watched, reaped and resumed as any job is, so two workers, on one machine or on two, never do the
same piece. A message names the whole job; the worker that gets it takes the next part that waits and sends the message
on, behind what else the queue holds: no job keeps a queue to itself.
"""

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, F, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from webapp.jobs import presence
from webapp.jobs.models import ACTIVE, CLAIMED, RESUMABLE, Job, State

Plan = Sequence[tuple[dict[str, Any], int]]  # of each part: its configuration, and how many pieces of work it has
AT_ONCE = 16


def make(whole: Job, plan: Plan) -> None:
    """The parts of a new job."""
    rows = [
        Job(
            kind=whole.kind,
            queue=whole.queue,
            title=f"{whole.title[:180]}, {number}/{len(plan)}",
            config=config,
            created_by=whole.created_by,
            parent=whole,
            total=pieces,
        )
        for number, (config, pieces) in enumerate(plan, start=1)
    ]
    Job.objects.bulk_create(rows, batch_size=500)
    settle(whole)


def waiting(whole: Job) -> list[Job]:
    """The next parts that wait, a few at a time: more than one worker may reach for the first."""
    return list(whole.parts.filter(state=State.QUEUED).order_by("id")[:AT_ONCE])


def messages(whole: Job) -> int:
    """How many more workers can join in now."""
    running = whole.parts.filter(state__in=CLAIMED).count()
    idle = len(presence.workers(whole.queue) or []) - running
    return min(len(waiting(whole)), max(idle, 0 if running else 1))


@transaction.atomic
def settle(whole: Job) -> None:
    """Bring the whole in line with its parts: progress, state, words.

    Whoever changes a part calls this afterwards, and the reaper for those who died before they could. Of two at once
    the second waits for the whole's row, and so sees what the first has seen and more.
    """
    rows, now = Job.objects.filter(pk=whole.pk), timezone.now()
    rows.select_for_update().first()
    sums = whole.parts.aggregate(done=Sum("done"), total=Sum("total"))
    rows.update(done=sums["done"] or 0, total=sums["total"] or 0)
    states = dict(whole.parts.order_by().values_list("state").annotate(number=Count("id")))
    if states.keys() & set(CLAIMED):
        rows.filter(state=State.QUEUED).update(state=State.RUNNING, message="", started_at=now)
    if not states.keys() & set(ACTIVE):
        rows.filter(state__in=ACTIVE).update(finished_at=now, **_outcome(whole, states))


def _outcome(whole: Job, states: dict[str, int]) -> dict[str, Any]:
    state, message = State.SUCCEEDED, ""
    if states.get(State.CANCELLED):
        state, message = State.CANCELLED, _("Stopped. Resume goes on from here.")
    elif failed := states.get(State.FAILED):
        state = State.FAILED
        first = whole.parts.filter(state=State.FAILED).order_by("id").values_list("message", flat=True)[0]
        words = _("%(failed)d of %(all)d parts failed. The first one: %(reason)s")
        message = words % {"failed": failed, "all": sum(states.values()), "reason": first}
    return {"state": state, "message": message, "summary": _summed(whole)}


def _summed(whole: Job) -> dict[str, Any]:
    """The parts' summaries, number by number."""
    total: dict[str, Any] = {}
    for summary in whole.parts.values_list("summary", flat=True):
        for name, value in summary.items():
            total[name] = total.get(name, 0) + value
    return total


def cancel(whole: Job) -> None:
    """Parts that wait are cancelled at once; those at work are asked to stop. Raises ValidationError."""
    if not Job.objects.filter(pk=whole.pk, state__in=ACTIVE).update(state=State.CANCELLING):
        raise ValidationError(_("This job has ended already."))
    whole.parts.filter(state=State.QUEUED).update(state=State.CANCELLED, finished_at=timezone.now())
    whole.parts.filter(state=State.RUNNING).update(state=State.CANCELLING)
    settle(whole)
    whole.refresh_from_db()


def resume(whole: Job) -> None:
    """Parts that did not succeed wait again."""
    again = {"state": State.QUEUED, "crashes": 0, "finished_at": None, "message": ""}
    whole.parts.filter(state__in=RESUMABLE).update(**again)
    Job.objects.filter(pk=whole.pk).update(started_at=None, done_at_start=F("done"))
