"""What a reviewer does with a proposal: accept it, changed or not, reject it, or take the decision back.

Of two reviewers one wins: the change of state is a conditional UPDATE. What one sends twice counts once: a decision
that one has made already is made again with the same outcome.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import count

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.models import Case, Proposal, ProposalState
from webapp.accounts.models import User

OPEN, ACCEPTED, REJECTED = ProposalState.OPEN, ProposalState.ACCEPTED, ProposalState.REJECTED


@dataclass(frozen=True, slots=True)
class Words:
    """What becomes of a proposal's texts in the case."""

    instruction: str
    instruction_zh: str = ""
    description: str = ""
    requirement: str = ""


def words_of(proposal: Proposal) -> Words:
    """The texts as the model wrote them."""
    return Words(proposal.instruction, proposal.instruction_zh, proposal.description, proposal.requirement)


@transaction.atomic
def accept(*, proposal: Proposal, by: User, words: Words | None = None) -> Case:
    """Make the case. Raises ValidationError: no instruction, or somebody else was first."""
    texts = _clean(words or words_of(proposal))
    if case := _mine_already(proposal, by, texts):
        return case
    _decide(proposal, ACCEPTED, by)
    case = _make_case(proposal, texts)
    Proposal.objects.filter(pk=proposal.pk).update(case=case)
    proposal.case = case
    return case


@transaction.atomic
def reject(*, proposal: Proposal, by: User) -> None:
    """Raises ValidationError where somebody else was first."""
    if _is_mine(proposal, by):
        if proposal.state == REJECTED:
            return
        reopen(proposal=proposal, by=by)
    _decide(proposal, REJECTED, by)


@transaction.atomic
def reopen(*, proposal: Proposal, by: User) -> None:
    """Take one's own decision back; a case that was made by it is deleted. Admins take back anybody's.

    Raises ValidationError where something depends on the case already.
    """
    proposal.refresh_from_db()
    if proposal.state == OPEN:
        return
    if proposal.reviewed_by_id != by.pk and not by.is_admin:
        raise ValidationError(_whose(proposal))
    case = proposal.case
    values = {"state": OPEN, "case": None, "reviewed_by": None, "reviewed_at": None}
    same = Proposal.objects.filter(pk=proposal.pk, state=proposal.state, reviewed_by=proposal.reviewed_by_id)
    if not same.update(**values):
        raise ValidationError(_("Somebody else changed this a moment ago. Load the page again."))
    if case is not None:
        _delete_unused(case)
    proposal.refresh_from_db()


def _clean(words: Words) -> Words:
    """The texts without space around them, checked as a case's texts are."""
    texts = Words(**{name: text.strip() for name, text in asdict(words).items()})
    if not texts.instruction:
        raise ValidationError(_("An instruction is needed. Write one, or reject the proposal."))
    if any("\0" in text for text in asdict(texts).values()):
        raise ValidationError(_("The text holds a character that cannot be stored."))
    return texts


def _is_mine(proposal: Proposal, by: User) -> bool:
    proposal.refresh_from_db()
    return proposal.state != OPEN and proposal.reviewed_by_id == by.pk


def _mine_already(proposal: Proposal, by: User, texts: Words) -> Case | None:
    """The case, if this person has accepted it with these texts. Another decision of theirs is taken back first."""
    if not _is_mine(proposal, by):
        return None
    case = proposal.case
    if case is not None and all(getattr(case, name) == text for name, text in asdict(texts).items()):
        return case
    reopen(proposal=proposal, by=by)
    return None


def _decide(proposal: Proposal, state: str, by: User) -> None:
    now = timezone.now()
    taken = Proposal.objects.filter(pk=proposal.pk, state=OPEN).update(state=state, reviewed_by=by, reviewed_at=now)
    proposal.refresh_from_db()
    if not taken:
        raise ValidationError(_whose(proposal))


def _whose(proposal: Proposal) -> str:
    name = proposal.reviewed_by.username if proposal.reviewed_by else _("Somebody")
    said = {"name": name, "state": proposal.get_state_display().lower()}
    return _("%(name)s was first: the proposal is %(state)s. Your decision was not stored.") % said


def _make_case(proposal: Proposal, texts: Words) -> Case:
    """A case of the proposal's source. Split and attribution come from the source's other cases: a picture is in one
    split, whoever wrote the instruction."""
    others = Case.objects.filter(dataset=proposal.dataset_id, source=proposal.source_id).order_by("id")
    splits = sorted(set(others.order_by().values_list("split", flat=True)))
    if len(splits) > 1:
        message = _("This picture's cases are in several splits (%(splits)s). Mend the splits first.")
        raise ValidationError(message % {"splits": ", ".join(splits)})
    sibling = others.first()
    case = Case(
        dataset=proposal.dataset,
        source_id=proposal.source_id,
        task_id=proposal.task_id,
        **asdict(texts),
        **({name: getattr(sibling, name) for name in ("split", "attribution", "licence")} if sibling else {}),
    )
    stem = f"{(sibling.key if sibling else str(proposal.source.sha256)[:12])[:140]}-{proposal.task_id}"
    return _with_key(case, stem)


def _with_key(case: Case, stem: str) -> Case:
    """Save under the first free key of the form stem-number."""
    taken = set(Case.objects.filter(dataset=case.dataset, key__startswith=stem).values_list("key", flat=True))
    for number in count(1):
        case.key = f"{stem}-{number}"
        if case.key in taken:
            continue
        case.full_clean()
        try:
            with transaction.atomic():
                case.save()
        except IntegrityError:  # somebody took it between our look and our insert
            case.pk = None
            continue
        break
    return case


def _delete_unused(case: Case) -> None:
    """Delete a case on which nothing depends. Raises ValidationError where something does."""
    for relation in case._meta.related_objects:
        model = relation.related_model
        if model is not Proposal and model._base_manager.filter(**{relation.field.name: case}).exists():
            message = _("The case %(key)s is in use already (%(what)s), so the decision stays.")
            raise ValidationError(message % {"key": case.key, "what": model._meta.verbose_name_plural})
    case.delete()
