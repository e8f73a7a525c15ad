"""Reads of proposals."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Max, Min, QuerySet

from annotation.models import Dataset, Proposal, ProposalState, Task
from webapp.accounts.models import User

GOLDEN = 0.6180339887498949  # its multiples spread evenly over 0 to 1, however many there are


@dataclass(frozen=True)
class Line:
    """The proposals of one task by state."""

    task: Task
    open: int
    accepted: int
    rejected: int

    @property
    def share_accepted(self) -> float | None:
        """Of those that were reviewed; None where none was."""
        reviewed = self.accepted + self.rejected
        return self.accepted / reviewed if reviewed else None


def lines_of(dataset: Dataset) -> list[Line]:
    """Counts by task and state. Two queries."""
    rows = dataset.proposals.order_by().values_list("task", "state").annotate(count=Count("id"))
    counts = {(task, state): count for task, state, count in rows}
    tasks = Task.objects.filter(pk__in={task for task, _state in counts})
    return [Line(task, *(counts.get((task.pk, state), 0) for state in ProposalState.values)) for task in tasks]


def proposals_of(dataset: Dataset, *, task: str = "", state: str = "") -> QuerySet[Proposal]:
    """With what a list of them shows; each filter is optional."""
    rows = dataset.proposals.select_related("source", "task", "case", "reviewed_by", "job")
    if task:
        rows = rows.filter(task=task)
    return rows.filter(state=state) if state else rows


def to_review(
    dataset: Dataset, by: User, *, task: str = "", without: list[str] | None = None, most: int
) -> list[Proposal]:
    """Open proposals for this person. Everybody starts at another place and goes round, so that two people who review
    at once seldom have the same one; if they do, one of them wins (services.py)."""
    rows = dataset.proposals.filter(state=ProposalState.OPEN)
    if task:
        rows = rows.filter(task=task)
    ends = rows.aggregate(first=Min("id"), last=Max("id"))
    if ends["first"] is None or most <= 0:
        return []
    start = ends["first"] + int((ends["last"] - ends["first"]) * (by.pk * GOLDEN % 1))
    rows = rows.exclude(uid__in=without or []).select_related("source", "task").order_by("id")
    found = list(rows.filter(pk__gte=start)[:most])
    return found + list(rows.filter(pk__lt=start)[: most - len(found)])


def left_to_review(dataset: Dataset, *, task: str = "") -> int:
    rows = dataset.proposals.filter(state=ProposalState.OPEN)
    return (rows.filter(task=task) if task else rows).count()
