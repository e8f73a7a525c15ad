"""What stands between an annotator and live work.

A step is left out where its study has none: no consent text, no guidelines, no viewing check, no items for training or
for the qualification. Simulated annotators see no pages, so nothing stands in their way.
"""

from enum import StrEnum
from typing import Any

from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from annotation.models import EntryDecision, Exclusion, Guidelines, Member, Purpose, QualificationTry, Unit


class Step(StrEnum):
    CONSENT = "consent"
    GUIDELINES = "guidelines"  # not read yet, or changed since
    VIEWING = "viewing"
    TRAINING = "training"
    QUALIFICATION = "qualification"
    FAILED = "failed"  # out of tries


def with_facts(members: QuerySet[Member]) -> QuerySet[Member]:
    """Members with what ``step_of`` must know of their study, in the same query: it is asked at every key press."""
    in_force = Exclusion.objects.filter(study=OuterRef("study"), annotator=OuterRef("user"), lifted_at=None)
    versions = Guidelines.objects.filter(study=OuterRef("study")).order_by("-number").values("number")[:1]
    return members.annotate(
        is_excluded=Exists(in_force),
        newest_guidelines=Coalesce(Subquery(versions), 0),
        has_training=Exists(_given(Purpose.TRAINING)),
        has_qualification=Exists(_given(Purpose.QUALIFICATION)),
    )


def is_excluded(member: Member) -> bool:
    """Whether a person excluded this annotator's judgements from the study. Queries as ``step_of``."""
    _know(member)
    return bool(member.is_excluded)  # type: ignore[attr-defined]


def _know(member: Member) -> None:
    if not hasattr(member, "newest_guidelines"):
        facts = with_facts(Member.objects.filter(pk=member.pk)).get()
        for name in ("is_excluded", "newest_guidelines", "has_training", "has_qualification"):
            setattr(member, name, getattr(facts, name))


def _given(purpose: Purpose) -> QuerySet[Unit]:
    """Units of the outer member's study that are still given out."""
    return Unit.objects.filter(study=OuterRef("study"), purpose=purpose, target=Unit.EVERYBODY)


def step_of(member: Member) -> Step | None:
    """What this annotator must do before live work, or None. One query, or none for a member of ``with_facts``."""
    if member.user.is_simulated:
        return None
    _know(member)
    entry = member.study.protocol.entry
    if entry.consent and member.consented_at is None:
        return Step.CONSENT
    if newest_guidelines(member) > member.guidelines_read:
        return Step.GUIDELINES
    if entry.viewing and member.viewed_at is None:
        return Step.VIEWING
    return _practice(member)


def _practice(member: Member) -> Step | None:
    if member.has_training and member.trained_at is None:  # type: ignore[attr-defined]
        return Step.TRAINING
    if not member.has_qualification or member.qualified_at is not None:  # type: ignore[attr-defined]
        return None
    return Step.QUALIFICATION if tries_left(member) > 0 else Step.FAILED


def newest_guidelines(member: Member) -> int:
    """The number of the newest guidelines; 0: none. A text that has no version yet is the first one."""
    return member.newest_guidelines or int(bool(member.study.guidelines.strip()))  # type: ignore[attr-defined]


def with_tries(members: QuerySet[Member]) -> QuerySet[Member]:
    """Members with what ``tries_left`` counts, for lists."""
    given = EntryDecision.objects.filter(member=OuterRef("pk"), kind=EntryDecision.Kind.TRY)
    used = QualificationTry.objects.filter(member=OuterRef("pk"), finished_at__isnull=False)
    return members.annotate(tries_given=_count(given), tries_used=_count(used))


def _count(rows: QuerySet[Any]) -> Coalesce:
    return Coalesce(Subquery(rows.order_by().values("member").annotate(n=Count("id")).values("n")), 0)


def tries_left(member: Member) -> int:
    """Tries that this annotator has not finished: those of the protocol and those given by hand."""
    if not hasattr(member, "tries_used"):
        member = with_tries(Member.objects.filter(pk=member.pk).select_related("study")).get()
    return member.study.protocol.entry.tries + member.tries_given - member.tries_used  # type: ignore[attr-defined,no-any-return]


def may_work(member: Member) -> bool:
    """Whether nothing stands between this annotator and live work."""
    return step_of(member) is None
