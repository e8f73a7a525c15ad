"""What is written about annotators: how they stood hidden checks, and concerns.

Screens open concerns. They exclude nobody, pause nobody and delete nothing: that a person does, in ``deciding``.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from datetime import datetime
from functools import partial

from django.db import transaction
from django.db.models import Max

from annotation.models import (
    CheckKind,
    Concern,
    ConcernState,
    Judgement,
    Study,
)
from annotation.screening import checks, columns, rules, words
from annotation.screening.deciding import decide, exclude, lift_exclusion, lift_pause, pause, warn
from annotation.screening.looking import Look

__all__ = [
    "decide",
    "examine",
    "exclude",
    "lift_exclusion",
    "lift_pause",
    "pause",
    "screen_all",
    "screen_one",
    "since",
    "warn",
]

log = logging.getLogger(__name__)

LOOKS_EVERY = 20  # judgements, on average, between two looks at an annotator's behaviour
LAST = 300  # judgements of theirs that such a look rests on


def examine(judgement: Judgement) -> None:
    """Write how a judgement stood the hidden checks, and open concerns. It never costs the annotator their answer:
    what goes wrong here is logged."""
    if checks.may_meet(judgement):
        try:
            with transaction.atomic():
                kinds = checks.write(judgement)
                _look_at_checks(judgement.study, [judgement.annotator_id], kinds)
        except Exception:
            log.exception("A judgement could not be examined", extra={"judgement": str(judgement.uid)})
    if judgement.pk % LOOKS_EVERY == 0:
        look = partial(screen_one, judgement.study, judgement.annotator_id)
        transaction.on_commit(look, robust=True)


@transaction.atomic
def screen_one(study: Study, annotator: int) -> list[Concern]:
    """Look at one annotator's last judgements. For a look at everybody's whole work see ``screen_all``."""
    scores = columns.scores_in(study, columns.units_of(study, annotator, LAST))
    return _open(study, _look(study, columns.work_in(study, [annotator]), scores).findings([annotator]))


@transaction.atomic
def screen_all(*, study: Study) -> list[Concern]:
    """Look at all annotators; returns the concerns that are open about them for what was found."""
    work = columns.work_in(study)
    found = _look_at_checks(study, work, list(CheckKind))
    return found + _open(study, _look(study, work, columns.scores_in(study)).findings(work))


def _look(study: Study, work: dict[int, columns.Work], scores: rules.Scores) -> Look:
    return Look(study, work, scores, since(study), columns.medians_in(study))


def _look_at_checks(study: Study, annotators: Collection[int], kinds: Iterable[str]) -> list[Concern]:
    settings, wanted = study.protocol.checks, set(kinds)
    if not wanted:
        return []
    passed = columns.checks_in(study, annotators, since(study))
    found = [
        (annotator, rules.failed_checks(kind, rows, allowed=settings.allowed, least=settings.least))
        for (annotator, kind), rows in passed.items()
        if kind in wanted
    ]
    return _open(study, ((annotator, finding) for annotator, finding in found if finding))


def since(study: Study) -> dict[tuple[int, str], datetime]:
    """When a person last decided on a concern of a kind: what came before is settled, and counts no second time."""
    decided = Concern.objects.filter(study=study).exclude(state=ConcernState.OPEN).order_by()
    rows = decided.values_list("annotator", "kind").annotate(last=Max("decided_at"))
    return {(annotator, kind): last for annotator, kind, last in rows if last}


def _open(study: Study, findings: Iterable[tuple[int, rules.Finding]]) -> list[Concern]:
    """A concern for each finding; one that is open already is brought up to date."""
    made = []
    for annotator, finding in findings:
        text, figures = words.sentence(finding), _plain(finding.figures)
        about = {"study": study, "annotator_id": annotator, "kind": finding.kind, "state": ConcernState.OPEN}
        concern, is_new = Concern.objects.get_or_create(**about, defaults={"words": text, "figures": figures})
        if not is_new and concern.figures != figures:
            concern.words, concern.figures = text, figures
            concern.save(update_fields=["words", "figures"])
        made.append(concern)
    return made


def _plain(figures: dict[str, object]) -> dict[str, object]:
    """The figures as the database keeps them: numbers that are no numbers become None."""
    return {name: None if value != value else value for name, value in figures.items()}  # noqa: PLR0124
