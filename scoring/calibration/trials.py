"""Trial versions: what programs make to try something, a question more or a question less. People do not see them
among the versions until they accept them."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from scoring.calibration.services import score_versions
from scoring.models import Calibration, PromptVersion
from scoring.prompts.drafts import Draft, added
from scoring.prompts.services import create_from_draft, draft_of, without_question
from webapp.accounts.models import User
from webapp.jobs.models import Job


def trial_of(*, parent: PromptVersion, draft: Draft, note: str, by: User | None) -> PromptVersion:
    """The trial version of this parent with this content; the one that is there already, where there is one."""
    for trial in parent.children.filter(is_trial=True).select_related("prompt").prefetch_related("questions"):
        if draft.says_the_same(draft_of(trial)):
            return trial
    return create_from_draft(parent=parent, draft=draft, note=note, by=by, is_trial=True)


def with_question(*, parent: PromptVersion, text: str, by: User | None) -> PromptVersion:
    """Raises ValidationError for a question that cannot be one."""
    note = _("Tries: %(text)s") % {"text": text}
    return trial_of(parent=parent, draft=added(draft_of(parent), text), note=note[:500], by=by)


@transaction.atomic
def start_ablation(
    *, calibration: Calibration, version: PromptVersion, by: User | None, most_cost: float | None = None
) -> Job:
    """Score the version without each of its questions in turn, on the dev part. Raises ValidationError."""
    if not version.asked:
        raise ValidationError(_("This version asks no question, so there is none to leave out."))
    return score_versions(
        calibration=calibration,
        versions=[version, *_made(version, by).values()],
        by=by,
        most_cost=most_cost,
        dev_only=True,
    )


def ablations_of(version: PromptVersion) -> dict[str, PromptVersion]:
    """By question key, the trial without it, as far as there is one. Two queries."""
    found: dict[str, PromptVersion] = {}
    for child in version.children.select_related("prompt").prefetch_related("questions"):
        draft = draft_of(child)
        for question in version.asked:
            if draft.says_the_same(without_question(version, question.key)):
                found[question.key] = child
    return found


def _made(version: PromptVersion, by: User | None) -> dict[str, PromptVersion]:
    made = {}
    for number, question in enumerate(version.asked, start=1):
        note = _("Without question %(number)d") % {"number": number}
        made[question.key] = trial_of(parent=version, draft=without_question(version, question.key), note=note, by=by)
    return made
