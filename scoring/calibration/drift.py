"""Drift: a fixed set of candidates of a task, scored anew for each version and each month, past the cache.

A service changes its model without a word. The same pictures under the same prompt then get other scores, and old and
new scores cannot be compared. The anchors show it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.assign import seeded
from annotation.models import Candidate, Task
from scoring.asking import selections
from scoring.asking.jobs import start_scoring
from scoring.calibration.figures import number
from scoring.calibration.triples import people_of
from scoring.models import Activation, Anchor, Calibration, DriftCheck, Judge, PromptVersion
from scoring.stats.correlate import complete, pearson
from webapp.accounts.models import User
from webapp.jobs.models import Job

ANCHORS = 40
LEVELS = 5  # of people's scores from which anchors are drawn alike


@transaction.atomic
def choose_anchors(*, calibration: Calibration, count: int = ANCHORS) -> int:
    """Make the anchors of the calibration's task, once: from all levels of people's scores alike, drawn by its seed.
    Raises ValidationError where they are there: a changed set shows no drift."""
    task = calibration.prompt.task
    if task is None:
        raise ValidationError(_("This prompt is for every task; anchors belong to one."))
    Task.objects.select_for_update().get(pk=task.pk)  # of two people one chooses
    if Anchor.objects.filter(task=task).exists():
        raise ValidationError(
            _("The anchors of this task are chosen. They stay, or old and new could not be compared.")
        )
    people = people_of(calibration)
    if not people.candidates.size:
        raise ValidationError(_("No score of people counts in this calibration, so there is nothing to choose from."))
    order = people.candidates[np.argsort(people.human, kind="stable")]
    chance, chosen = seeded("anchors", calibration.seed), list[int]()
    for some in np.array_split(order, LEVELS):
        chosen += chance.sample([int(pk) for pk in some], min(len(some), count // LEVELS))
    Anchor.objects.bulk_create([Anchor(task=task, candidate_id=pk) for pk in sorted(chosen)])
    return len(chosen)


def start_check(*, task: Task, version: PromptVersion, judge: Judge, by: User | None) -> Job | None:
    """Score the anchors by this version for this month; None where that was begun already. Raises ValidationError."""
    anchors = list(Anchor.objects.filter(task=task).values_list("candidate", flat=True))
    if not anchors:
        raise ValidationError(_("This task has no anchors yet. Choose them on a calibration's page."))
    month = timezone.localdate().replace(day=1)
    with transaction.atomic():
        check, is_new = DriftCheck.objects.get_or_create(task=task, version=version, judge=judge, month=month)
        if not is_new and _stands(check, len(anchors)):
            return None
        selection = selections.of_candidates(anchors)
        job = start_scoring(
            versions=[version], judge=judge, selection=selection, by=by, fresh=f"drift {month}", drift=check
        )
        check.job = job
        check.save(update_fields=["job"])
    return job


def _stands(check: DriftCheck, anchors: int) -> bool:
    """Whether the check is done, or its job is at it. One whose job failed, was stopped or is gone begins anew; what it
    was answered is not asked again."""
    return len(check.scores) >= anchors or bool(check.job and check.job.is_active)


def check_all() -> int:
    """A check of every active scorer that has anchors and none for this month yet. Returns how many were begun."""
    begun = 0
    rows = Activation.objects.filter(ended_at=None).select_related("task", "version__prompt", "judge")
    for active in rows.filter(task__in=Anchor.objects.values("task")):
        try:
            begun += start_check(task=active.task, version=active.version, judge=active.judge, by=None) is not None
        except ValidationError:  # its endpoint is gone; the page of the task says that there is no check
            continue
    return begun


@dataclass(frozen=True)
class CheckRow:
    """A check, and how it differs from ``before``: the last one, of whatever version, or of the same in another month.

    ``mean_change``, ``largest``: over the anchors that both scored, in points. ``pcc``: between the two.
    """

    check: DriftCheck
    before: DriftCheck | None
    scored: int
    missing: int
    mean: float | None
    mean_change: float | None
    largest: float | None
    pcc: float | None

    @property
    def same_version(self) -> bool:
        """The same prompt and judge: what differs is the judge's own doing."""
        before = self.before
        return before is not None and (before.version_id, before.judge_id) == (
            self.check.version_id,
            self.check.judge_id,
        )


def rows_of(task: Task) -> list[CheckRow]:
    """All checks of the task, newest first; each against the one of the same version and judge before it, or else the
    last one before it."""
    checks = list(
        DriftCheck.objects.filter(task=task).select_related("version__prompt", "judge", "job").order_by("month", "id")
    )
    anchors = [str(pk) for pk in Anchor.objects.filter(task=task).values_list("candidate", flat=True)]
    rows = [_row(check, _before(check, checks[:place]), anchors) for place, check in enumerate(checks)]
    return rows[::-1]


def _before(check: DriftCheck, earlier: Sequence[DriftCheck]) -> DriftCheck | None:
    same = [one for one in earlier if (one.version_id, one.judge_id) == (check.version_id, check.judge_id)]
    found = same or list(earlier)
    return found[-1] if found else None


def _row(check: DriftCheck, before: DriftCheck | None, anchors: list[str]) -> CheckRow:
    now = _scores(check, anchors)
    (both, was), _lost = complete(now, _scores(before, anchors)) if before else ([now[:0], now[:0]], 0)
    change = both - was
    known = now[np.isfinite(now)]
    return CheckRow(
        check=check,
        before=before,
        scored=int(known.size),
        missing=len(anchors) - int(known.size),
        mean=number(float(known.mean())) if known.size else None,
        mean_change=number(float(change.mean())) if change.size else None,
        largest=number(float(change[np.argmax(np.abs(change))])) if change.size else None,
        pcc=number(pearson(was, both)) if change.size else None,
    )


def _scores(check: DriftCheck, anchors: list[str]) -> np.typing.NDArray[np.float64]:
    found = [check.scores.get(key) for key in anchors]
    return np.array([np.nan if score is None else score for score in found], dtype=np.float64)


def page(task: Task) -> dict[str, object]:
    active = Activation.objects.filter(task=task, ended_at=None).select_related("version__prompt", "judge").first()
    candidates = Candidate.objects.filter(pk__in=Anchor.objects.filter(task=task).values("candidate"))
    anchors = list(candidates.select_related("image", "editor", "case__dataset").order_by("pk"))
    rows = rows_of(task)
    judges = [active.judge] if active else []
    notices = [row.notice for row in (*judges, *(row.check.judge for row in rows))]
    notices += [candidate.case.dataset.notice for candidate in anchors]
    return {
        "task": task,
        "active": active,
        "rows": rows,
        "anchors": anchors,
        "notices": " ".join(dict.fromkeys(filter(None, notices))),
    }
