"""Reads of checks, concerns and decisions."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from annotation.entry import gate
from annotation.models import CheckKind, Concern, ConcernState, Decision, DecisionKind, Exclusion, Member, Study
from annotation.screening import columns, rules
from annotation.screening.looking import Look


@dataclass
class Row:
    """One annotator beside the checks. ``kinds``: (passed, failed) of each kind of check, in the order of CheckKind."""

    member: Member
    kinds: list[tuple[int, int]]
    judgements: int = 0
    consistency: float | None = None  # share of repeated items answered alike
    seconds: float | None = None  # median time of a judgement
    longest_run: int = 0
    correlation: float | None = None  # with the others' means
    scores: int = 0  # that it rests on
    concerns: list[Concern] = field(default_factory=list)  # open ones
    exclusion: Exclusion | None = None


def rows_of(study: Study, members: Sequence[Member]) -> list[Row]:
    """The table of annotators × checks for these members; six queries, whatever their number."""
    users = [member.user_id for member in members]
    look = Look(study, columns.work_in(study, users), columns.scores_in(study), {}, {})
    passed = columns.checks_in(study, users, {})
    concerns: dict[int, list[Concern]] = defaultdict(list)
    for concern in Concern.objects.filter(study=study, annotator__in=users, state=ConcernState.OPEN).order_by("id"):
        concerns[concern.annotator_id].append(concern)
    in_force = Exclusion.objects.filter(study=study, annotator__in=users, lifted_at=None)
    excluded = {row.annotator_id: row for row in in_force}
    return [_row(member, look, passed, concerns[member.user_id], excluded.get(member.user_id)) for member in members]


def _row(
    member: Member,
    look: Look,
    passed: dict[tuple[int, str], list[bool]],
    concerns: list[Concern],
    exclusion: Exclusion | None,
) -> Row:
    mine = [passed.get((member.user_id, kind), []) for kind in CheckKind]
    repeats = passed.get((member.user_id, CheckKind.REPEAT), [])
    work = look.work.get(member.user_id, columns.Work())
    r, n = look.correlations.get(member.user_id, (math.nan, 0))
    return Row(
        member=member,
        kinds=[(sum(kind), len(kind) - sum(kind)) for kind in mine],
        judgements=len(work.at),
        consistency=sum(repeats) / len(repeats) if repeats else None,
        seconds=median(work.times()) if work.times() and not work.is_simulated else None,
        longest_run=rules.longest_run(work.answers),
        correlation=r if math.isfinite(r) and n >= rules.LEAST_PAIRED else None,
        scores=n,
        concerns=concerns,
        exclusion=exclusion,
    )


def members_of(study: Study) -> QuerySet[Member]:
    return Member.objects.filter(study=study).select_related("user")


def concerns_of(study: Study, *, is_open: bool) -> QuerySet[Concern]:
    rows = Concern.objects.filter(study=study).select_related("annotator", "decided_by")
    return rows.filter(state=ConcernState.OPEN) if is_open else rows.exclude(state=ConcernState.OPEN)


def decisions_of(study: Study) -> QuerySet[Decision]:
    return Decision.objects.filter(study=study).select_related("annotator", "by", "concern")


def summary(study: Study) -> dict[str, Any]:
    """For other pages: how many concerns wait, who is paused, whose judgements do not count. Three queries."""
    return {
        "open": Concern.objects.filter(study=study, state=ConcernState.OPEN).count(),
        "paused": Member.objects.filter(study=study, paused_at__isnull=False).count(),
        "excluded": Exclusion.objects.filter(study=study, lifted_at=None).count(),
    }


# The annotator's side ------------------------------------------------------------------------------------------------


def unread(member: Member) -> Decision | None:
    """The oldest warning that this annotator has not read yet."""
    told = Decision.objects.filter(study=member.study_id, annotator=member.user_id, kind=DecisionKind.WARN)
    return told.filter(seen_at=None).order_by("id").first()


def halt_of(member: Member) -> str:
    """The sentence that stands in the place of work while somebody is paused or excluded; else empty."""
    if gate.is_excluded(member):
        return _("Your work in this study has ended. Thank you. What you sent is stored.")
    if not member.paused_at:
        return ""
    words = member.paused_words or _("Please wait until you hear from the people who run it.")
    return _("Your work in this study is paused. %(words)s What you sent is stored.") % {"words": words}


def message_step(member: Member) -> dict[str, str] | None:
    """The page that comes before more work while a warning is unread, as the annotation pages show it. One query."""
    if unread(member) is None:
        return None
    return {
        "title": _("A message for you"),
        "sentence": _("Somebody who runs this study wrote to you. Read it before you go on. What you sent is stored."),
        "go": reverse("work_message", args=[member.study.uid]),
    }
