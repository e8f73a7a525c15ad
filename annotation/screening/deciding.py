"""What a person decides about an annotator. Every decision is kept: by whom, when and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.models import (
    Concern,
    ConcernState,
    Decision,
    DecisionKind,
    Exclusion,
    Judgement,
    Member,
    Study,
)
from webapp.accounts.models import User
from webapp.live.streams import publish

STATES = {
    DecisionKind.DISMISS: ConcernState.DISMISSED,
    DecisionKind.WARN: ConcernState.WARNED,
    DecisionKind.PAUSE: ConcernState.PAUSED,
    DecisionKind.EXCLUDE: ConcernState.EXCLUDED,
}
"""The decisions that settle a concern, and its state afterwards."""

TOLD = (DecisionKind.WARN, DecisionKind.PAUSE)  # whose words the annotator reads; a form sends its draft with all


@dataclass(frozen=True)
class _Act:
    study: Study
    annotator: User
    by: User | None
    note: str
    to_annotator: str

    def refuse(self, words: str) -> ValidationError:
        return ValidationError(words % {"name": self.annotator.username})


@transaction.atomic
def decide(*, concern: Concern, kind: str, by: User | None, note: str = "", to_annotator: str = "") -> Decision:
    """Settle an open concern: no reason to act, tell the annotator, pause them, or exclude them.

    Raises ValidationError, and then nothing is done.
    """
    row = Concern.objects.select_for_update().get(pk=concern.pk)
    if row.state != ConcernState.OPEN:
        raise ValidationError(_("This concern was decided already: %(state)s.") % {"state": row.get_state_display()})
    if kind not in STATES:
        raise ValidationError(_("Choose one of the decisions."))
    row.state, row.decided_by, row.decided_at = STATES[DecisionKind(kind)], by, timezone.now()
    row.note = note.strip()
    row.save(update_fields=["state", "decided_by", "decided_at", "note"])
    return act(
        DecisionKind(kind),
        study=row.study,
        annotator=row.annotator,
        by=by,
        note=note,
        to_annotator=to_annotator,
        concern=row,
    )


@transaction.atomic
def act(
    kind: DecisionKind,
    *,
    study: Study,
    annotator: User,
    by: User | None,
    note: str = "",
    to_annotator: str = "",
    concern: Concern | None = None,
) -> Decision:
    """Do what was decided about an annotator, with a concern or without one, and write it down.

    ``to_annotator``: words that they read, of a warning or a pause. Raises ValidationError.
    """
    done = _Act(study, annotator, by, note.strip(), to_annotator.strip())
    if effect := _EFFECTS.get(kind):
        effect(done)
    made = Decision(study=study, annotator=annotator, kind=kind, by=by, concern=concern)
    made.words, made.note = done.to_annotator if kind in TOLD else "", done.note
    made.full_clean()
    made.save()
    return made


def acknowledge(*, member: Member, decision: Decision) -> None:
    """The annotator says that they have read a warning. The first time counts."""
    mine = Decision.objects.filter(pk=decision.pk, study=member.study_id, annotator=member.user_id)
    mine.filter(seen_at=None).update(seen_at=timezone.now())


def _warn(done: _Act) -> None:
    """The annotator reads the words before they get more work."""
    if not done.to_annotator:
        raise ValidationError(_("Write what the annotator should read."))
    _member(done)


def _pause(done: _Act) -> None:
    """No live work until it is lifted. What the annotator sends is stored."""
    member = _member(done)
    if member.paused_at:
        raise done.refuse(_("%(name)s is paused already."))
    member.paused_at, member.paused_words, member.paused_by = timezone.now(), done.to_annotator, done.by
    member.save(update_fields=["paused_at", "paused_words", "paused_by"])


def _lift_pause(done: _Act) -> None:
    member = _member(done)
    if not member.paused_at:
        raise done.refuse(_("%(name)s is not paused."))
    member.paused_at, member.paused_words, member.paused_by = None, "", None
    member.save(update_fields=["paused_at", "paused_words", "paused_by"])


def _member(done: _Act) -> Member:
    member = Member.objects.select_for_update().filter(study=done.study, user=done.annotator).first()
    if member is None:
        raise done.refuse(_("%(name)s is no annotator of this study."))
    return member


def _exclude(done: _Act) -> None:
    """The judgements stop counting for results. They stay."""
    if not done.note:
        raise ValidationError(_("Write down why these judgements should not count: reports show the reason."))
    Study.objects.select_for_update(no_key=True).get(pk=done.study.pk)
    if Exclusion.objects.filter(study=done.study, annotator=done.annotator, lifted_at=None).exists():
        raise done.refuse(_("%(name)s is excluded already."))
    if not Judgement.objects.filter(study=done.study, annotator=done.annotator).exists():
        raise done.refuse(_("%(name)s has judged nothing in this study."))
    Exclusion.objects.create(study=done.study, annotator=done.annotator, reason=done.note, by=done.by)
    _figures_changed(done.study)


def _lift_exclusion(done: _Act) -> None:
    """The judgements count again."""
    in_force = Exclusion.objects.filter(study=done.study, annotator=done.annotator, lifted_at=None)
    if not in_force.update(lifted_at=timezone.now(), lifted_by=done.by):
        raise done.refuse(_("%(name)s is not excluded."))
    _figures_changed(done.study)


def _figures_changed(study: Study) -> None:
    transaction.on_commit(lambda: publish(study.channel, "judgement", {}))


_EFFECTS: dict[DecisionKind, Callable[[_Act], None]] = {
    DecisionKind.WARN: _warn,
    DecisionKind.PAUSE: _pause,
    DecisionKind.LIFT_PAUSE: _lift_pause,
    DecisionKind.EXCLUDE: _exclude,
    DecisionKind.LIFT_EXCLUSION: _lift_exclusion,
}

warn = partial(act, DecisionKind.WARN)
pause = partial(act, DecisionKind.PAUSE)
lift_pause = partial(act, DecisionKind.LIFT_PAUSE)
exclude = partial(act, DecisionKind.EXCLUDE)
lift_exclusion = partial(act, DecisionKind.LIFT_EXCLUSION)
