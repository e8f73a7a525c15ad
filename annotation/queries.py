"""Reads of the library and of studies."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, QuerySet, Sum
from django.utils.translation import gettext as _

from annotation.entry import gate
from annotation.entry.gate import Step
from annotation.models import PRACTICE, Case, Dataset, Judgement, Member, Purpose, Study, StudyState, Task, Unit
from webapp.accounts.models import User


@dataclass(frozen=True)
class Work:
    """One study on the page "My work". ``closed``: why this person cannot work there now; empty where they can."""

    study: Study
    done: int
    closed: str


def work_of(user: User) -> list[Work]:
    """The studies that this person is a member of, open ones first, with what they did."""
    members = gate.with_tries(gate.with_facts(Member.objects.filter(user=user))).order_by("-id")
    given = Judgement.objects.filter(annotator=user).exclude(unit__purpose__in=PRACTICE).order_by()
    counts = dict(given.values_list("study").annotate(count=Count("id")))
    rows = [
        Work(member.study, counts.get(member.study_id, 0), _closed(member))
        for member in members.select_related("study__dataset", "user")
    ]
    return sorted(rows, key=lambda row: bool(row.closed))


def _closed(member: Member) -> str:
    if member.study.state != StudyState.OPEN:
        return member.study.get_state_display()
    if gate.is_excluded(member):
        return _("Ended")
    if member.paused_at:
        return str(StudyState.PAUSED.label)
    return _("Not qualified") if gate.step_of(member) == Step.FAILED else ""


def tasks_of(dataset: Dataset) -> list[tuple[Task, int]]:
    """The tasks that occur, with their number of cases."""
    counts = dict(dataset.cases.values_list("task").annotate(count=Count("id")).order_by())
    return [(task, counts[task.pk]) for task in Task.objects.filter(pk__in=counts)]


def studies() -> QuerySet[Study]:
    return Study.objects.select_related("dataset", "created_by")


def study_progress(studies: Sequence[Study]) -> list[dict[str, int]]:
    """Of each study: units of work in all, finished and in work, extra answers, people, and simulated annotators.
    Three queries."""
    units = Unit.objects.filter(study__in=studies, purpose=Purpose.LIVE).order_by().values_list("study")
    sums = {row[0]: row[1:] for row in units.annotate(wanted=Sum("target"), held=Sum("taken"), ready=Sum("done"))}
    live = Judgement.objects.filter(study__in=studies, unit__purpose=Purpose.LIVE)
    extra = _count_by_study(live.filter(is_extra=True))
    kinds = Member.objects.filter(study__in=studies).order_by().values_list("study", "user__is_simulated")
    members = {row[:2]: row[2] for row in kinds.annotate(count=Count("id"))}
    rows = [(study.pk, *sums.get(study.pk, (0, 0, 0))) for study in studies]
    return [
        {
            "target": target,
            "done": done,
            "in_work": taken - done,
            "extra": extra.get(pk, 0),
            "members": members.get((pk, False), 0),
            "simulated": members.get((pk, True), 0),
        }
        for pk, target, taken, done in rows
    ]


def _count_by_study(rows: QuerySet[Any]) -> dict[int, int]:
    return dict(rows.order_by().values_list("study").annotate(count=Count("id")))


def attributions() -> QuerySet[Case, Any]:
    """Pictures with a named author or licence: one case for each distinct note."""
    return Case.objects.exclude(attribution="").values("attribution", "licence").distinct().order_by("attribution")
