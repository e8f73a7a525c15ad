"""Writes of the way in: guidelines, reference items, and an annotator's steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.assign import seeded
from annotation.entry import marking, viewing
from annotation.models import (
    Candidate,
    EntryDecision,
    GuidelineExample,
    Guidelines,
    Item,
    ItemCandidate,
    Member,
    Purpose,
    Reference,
    Study,
    Unit,
)
from annotation.protocols import PAIRWISE, RANKING, RATING
from webapp.accounts.models import User

MOST_EXAMPLES = 200
LARGEST_GROUP = 23
WITH_REFERENCE = (Purpose.TRAINING, Purpose.QUALIFICATION, Purpose.GOLD, Purpose.ATTENTION)


@dataclass(frozen=True)
class Example:
    """A picture that shows what ``score`` means in ``dimension``."""

    candidate: Candidate
    dimension: str
    score: float
    words: str = ""


@transaction.atomic
def publish_guidelines(
    *, study: Study, text: str, by: User | None, examples: Sequence[Example] | None = None, note: str = ""
) -> Guidelines:
    """A new version of the study's guidelines, which everybody reads before they get more work.

    ``examples``: None keeps those of the version before. Raises ValidationError where there is nothing to read, nothing
    changed, or an example does not belong to the study.
    """
    locked = Study.objects.select_for_update().get(pk=study.pk)
    before = _newest(locked)
    shown = _examples(before) if examples is None else list(examples)
    _check_guidelines(locked, before, text, shown)
    version = Guidelines(
        study=locked, number=before.number + 1 if before else 1, text=text, note=note.strip(), created_by=by
    )
    version.full_clean()
    version.save()
    GuidelineExample.objects.bulk_create(
        GuidelineExample(
            guidelines=version, candidate=one.candidate, dimension=one.dimension, score=one.score, words=one.words
        )
        for one in shown
    )
    study.guidelines = locked.guidelines = text
    locked.save(update_fields=["guidelines"])
    return version


def _newest(study: Study) -> Guidelines | None:
    """The newest version. A text that was written without one becomes the first, so that it is not lost."""
    newest = study.guideline_versions.order_by("-number").first()
    if newest is None and study.guidelines.strip():
        newest = Guidelines.objects.create(
            study=study, number=1, text=study.guidelines, created_by_id=study.created_by_id
        )
    return newest


def _examples(version: Guidelines | None) -> list[Example]:
    rows = version.examples.select_related("candidate") if version else ()
    return [Example(row.candidate, row.dimension, row.score, row.words) for row in rows]


def _key(example: Example) -> tuple[int, str, float, str]:
    return example.candidate.pk, example.dimension, example.score, example.words


def _check_guidelines(study: Study, before: Guidelines | None, text: str, examples: list[Example]) -> None:
    if not text.strip() and not examples:
        raise ValidationError(_("Guidelines need words or an example."))
    if len(examples) > MOST_EXAMPLES:
        raise ValidationError(_("Guidelines have at most %(most)d examples.") % {"most": MOST_EXAMPLES})
    same = before and before.text == text and sorted(map(_key, _examples(before))) == sorted(map(_key, examples))
    if same:
        raise ValidationError(_("Nothing has changed, so there is no new version."))
    dimensions = {dimension.key: dimension for dimension in study.protocol.dimensions}
    for example in examples:
        asked = dimensions.get(example.dimension)
        if asked is None:
            raise ValidationError(_("This study does not ask for %(key)s.") % {"key": example.dimension})
        if not asked.low <= example.score <= asked.high:
            words = _("%(label)s goes from %(low)g to %(high)g.")
            raise ValidationError(words % {"label": asked.label, "low": asked.low, "high": asked.high})
        if example.candidate.case.dataset_id != study.dataset_id:
            raise ValidationError(_("An example is a candidate of the study's data set."))


@transaction.atomic
def add_reference(
    *,
    study: Study,
    candidates: Sequence[Candidate],
    purpose: str,
    answer: dict[str, Any],
    by: User | None,
    feedback: str = "",
    instruction: str = "",
    dimension: str = "",
) -> Reference:
    """An item with its right answer, for training, qualification, gold or attention.

    ``dimension``: of a ranking, whose passes are one dimension each. Everybody may get the unit, so it has places for
    all. Raises ValidationError.
    """
    protocol = study.protocol
    dimension = dimension or (protocol.unit_dimensions[0] if protocol.kind == RANKING else "")
    _check_candidates(study, candidates, purpose)
    keys = [candidate.pk for candidate in candidates]
    try:
        marking.check_reference(protocol, keys, dimension, answer)
    except marking.UnusableReference as error:
        raise ValidationError(str(error)) from error
    if protocol.kind == RANKING:
        answer = {**answer, "dimension": dimension}
    item = Item.objects.create(study=study, case=candidates[0].case)
    ItemCandidate.objects.bulk_create([ItemCandidate(item=item, candidate_id=key) for key in keys])
    place = seeded("reference", study.seed, item.pk).random()
    unit = Unit.objects.create(
        study=study, item=item, dimension=dimension, purpose=purpose, target=Unit.EVERYBODY, shuffle=place
    )
    made = Reference(unit=unit, answer=answer, feedback=feedback.strip(), instruction=instruction.strip())
    made.full_clean()
    made.save()
    return made


def _check_candidates(study: Study, candidates: Sequence[Candidate], purpose: str) -> None:
    if purpose not in WITH_REFERENCE:
        raise ValidationError(_("A reference item is for training, qualification, gold or attention."))
    least, most = {RATING: (1, 1), PAIRWISE: (2, 2), RANKING: (2, LARGEST_GROUP)}[study.protocol.kind]
    if not least <= len({candidate.pk for candidate in candidates}) == len(candidates) <= most:
        counts = str(least) if least == most else _("%(least)d to %(most)d") % {"least": least, "most": most}
        raise ValidationError(_("An item of this study has %(count)s candidates.") % {"count": counts})
    if len({candidate.case_id for candidate in candidates}) > 1:
        raise ValidationError(_("The candidates of an item belong to one case."))
    if candidates[0].case.dataset_id != study.dataset_id:
        raise ValidationError(_("The candidates belong to the study's data set."))


@transaction.atomic
def withdraw_reference(*, reference: Reference) -> None:
    """Give the item to nobody any more. What was answered to it stays.

    A place that comes back, as a lease runs out, is then no place for others.
    """
    units = Unit.objects.filter(item=reference.unit.item_id)
    units.filter(taken__gt=0).update(target=F("taken"))
    units.filter(taken=0).update(target=0)


# An annotator's steps -----------------------------------------------------------------------------------------------


def agree(*, member: Member) -> None:
    """The annotator agrees to the consent text. The text cannot change: it is in the protocol."""
    Member.objects.filter(pk=member.pk, consented_at=None).update(consented_at=timezone.now())


def read_guidelines(*, member: Member, number: int) -> None:
    """The annotator has read version ``number``; an older page that is sent late takes nothing back."""
    Member.objects.filter(pk=member.pk, guidelines_read__lt=number).update(guidelines_read=number)


@transaction.atomic
def decide(*, member: Member, kind: str, note: str, by: User) -> EntryDecision:
    """Give one more try, or let somebody in without viewing check, training and qualification. It is kept who did."""
    decision = EntryDecision(member=member, kind=kind, note=note.strip(), by=by)
    decision.full_clean()
    decision.save()
    if kind == EntryDecision.Kind.LET_IN:
        now = timezone.now()
        for step in ("viewed_at", "trained_at", "qualified_at"):
            Member.objects.filter(pk=member.pk, **{step: None}).update(**{step: now})
    return decision


@transaction.atomic
def check_viewing(*, member: Member, measures: viewing.Measures, answers: dict[str, str]) -> viewing.Result:
    """Keep the outcome of one attempt at the viewing check; with it the charts of the next attempt change."""
    tries = int(member.viewing.get("tries", 0))
    result = viewing.judge(measures, member.study.protocol.entry.least_width, digits_of(member), answers)
    record = {**result.record, "problems": list(result.problems), "tries": tries + 1}
    Member.objects.filter(pk=member.pk).update(viewing=record)
    member.viewing = record
    if result.passed:
        Member.objects.filter(pk=member.pk, viewed_at=None).update(viewed_at=timezone.now())
    return result


def digits_of(member: Member) -> dict[str, str]:
    """The digits that the member's charts show at this attempt."""
    return viewing.digits(member.study.seed, member.uid, int(member.viewing.get("tries", 0)))
