"""How a judgement stood the hidden checks that it meets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from annotation.answers import EXCUSES, letters, mean_ranks
from annotation.entry.marking import is_right
from annotation.hidden import expected
from annotation.hidden.controls import Shown, controls_among
from annotation.hidden.expected import Verdict
from annotation.models import Assignment, Check, CheckKind, Control, Judgement, Purpose, Reference
from annotation.protocols import PAIRWISE, RANKING, RATING

Checked = tuple[Judgement, CheckKind, Verdict | None]
"""A judgement, a check on it, and how it stood; None: there is nothing to compare."""

REFERENCES = {Purpose.GOLD: CheckKind.GOLD, Purpose.ATTENTION: CheckKind.ATTENTION}


def may_meet(judgement: Judgement) -> bool:
    """Whether any check may concern this judgement: none does where the study hides nothing."""
    checks = judgement.study.protocol.checks
    hidden = (checks.repeat_every, checks.source_share, checks.duplicate_share)
    return any(hidden) or judgement.unit.purpose in (*REFERENCES, Purpose.REPEAT)


def write(judgement: Judgement) -> set[CheckKind]:
    """Write the checks that this judgement decides, its own and those of answers that are compared with it. Returns
    their kinds. No query where the study hides nothing."""
    kinds = set()
    for about, kind, verdict in list(_checked(judgement)):
        kinds.add(kind)
        if verdict is None:
            Check.objects.filter(judgement=about, kind=kind).delete()
        else:
            values = {"passed": verdict.passed, "found": verdict.found}
            Check.objects.update_or_create(judgement=about, kind=kind, defaults=values)
    return kinds


def _checked(judgement: Judgement) -> Iterator[Checked]:
    purpose = Purpose(judgement.unit.purpose)
    if purpose in REFERENCES:
        yield judgement, REFERENCES[purpose], _with_reference(judgement)
    elif purpose == Purpose.REPEAT:
        yield judgement, CheckKind.REPEAT, _repeated(judgement, _same(judgement, Purpose.LIVE))
    elif purpose == Purpose.LIVE:
        if judgement.revisions and (again := _same(judgement, Purpose.REPEAT)):
            yield again, CheckKind.REPEAT, _repeated(again, judgement)
        yield from _with_controls(judgement)


def _with_reference(judgement: Judgement) -> Verdict | None:
    reference = Reference.objects.filter(unit=judgement.unit).first()
    if reference is None or judgement.flag in EXCUSES:
        return None
    right = is_right(judgement.study.protocol, reference.answer, judgement.answer, _behind(judgement.assignment))
    return Verdict(right, {"expected": reference.answer, "answered": judgement.answer})


def _behind(assignment: Assignment) -> dict[str, int]:
    """The candidate behind each letter."""
    return dict(zip(letters(len(assignment.order)), assignment.order, strict=True))


# The same item twice -------------------------------------------------------------------------------------------------


def _same(judgement: Judgement, purpose: Purpose) -> Judgement | None:
    """The same annotator's judgement of the same item and dimension, given as live work or as a repeat."""
    unit = judgement.unit
    rows = Judgement.objects.filter(study=judgement.study_id, annotator=judgement.annotator_id)
    rows = rows.filter(unit__item=unit.item_id, unit__dimension=unit.dimension, unit__purpose=purpose)
    found = rows.select_related("assignment", "unit").order_by("id").first()
    if found:
        found.study = judgement.study
    return found


def _repeated(again: Judgement, first: Judgement | None) -> Verdict | None:
    if first is None or again.flag in EXCUSES or first.flag in EXCUSES:
        return None
    protocol = again.study.protocol
    if protocol.kind == RATING:
        return expected.same_scores(protocol.dimensions, first.answer["scores"], again.answer["scores"])
    if protocol.kind == RANKING:
        return expected.same_order(_ranks(first), _ranks(again))
    return expected.same_choice(_choice(first), _choice(again))


def _ranks(judgement: Judgement) -> dict[str, float]:
    """Ranks by candidate, controls among them; the keys as text, as JSON has them."""
    behind = _behind(judgement.assignment)
    return {str(behind[letter]): rank for letter, rank in mean_ranks(judgement.answer.get("order") or []).items()}


def _choice(judgement: Judgement) -> str:
    choice = str(judgement.answer["choice"])
    return str(_behind(judgement.assignment).get(choice, choice))


# Controls ------------------------------------------------------------------------------------------------------------


def _with_controls(judgement: Judgement) -> Iterator[Checked]:
    """Checks on the untouched source and on duplicates, where one was shown or, in a rating study, is elsewhere."""
    study, kind = judgement.study, judgement.study.protocol.kind
    if kind == PAIRWISE:
        return
    shown = controls_among(study, judgement.assignment.order)
    excused = judgement.flag in EXCUSES
    if kind == RATING and not shown and study.protocol.checks.duplicate_share:
        yield from _rated_elsewhere(judgement)
    for control in shown:
        find = (_rated_control if kind == RATING else _ranked_control)[control.control]
        yield judgement, CheckKind(control.control), None if excused else find(judgement, control)


def _source_rated(judgement: Judgement, _control: Shown) -> Verdict | None:
    return expected.source_rated(judgement.study.protocol.dimensions, judgement.answer["scores"], judgement.flag)


def _duplicate_rated(judgement: Judgement, control: Shown) -> Verdict | None:
    """Beside what the same annotator said of the original, if they were asked."""
    marks = Judgement.objects.filter(
        study=judgement.study_id,
        annotator=judgement.annotator_id,
        unit__purpose=Purpose.LIVE,
        marks__candidate=control.original,
    )
    first = marks.exclude(flag__in=EXCUSES).order_by("id").first()
    if first is None:
        return None
    return expected.same_scores(judgement.study.protocol.dimensions, first.answer["scores"], judgement.answer["scores"])


def _rated_elsewhere(judgement: Judgement) -> Iterator[Checked]:
    """The check on a duplicate that this annotator rated before its original."""
    again = Judgement.objects.filter(
        study=judgement.study_id,
        annotator=judgement.annotator_id,
        marks__candidate__control=Control.DUPLICATE,
        marks__candidate__duplicate_of__in=judgement.assignment.order,
    )
    for one in again.exclude(flag__in=EXCUSES).select_related("assignment").distinct():
        one.study = judgement.study
        (control,) = controls_among(judgement.study, one.assignment.order)
        yield one, CheckKind.DUPLICATE, _duplicate_rated(one, control)


def _source_ranked(judgement: Judgement, control: Shown) -> Verdict | None:
    return expected.source_ranked(judgement.unit.dimension, _shelves(judgement)[control.candidate])


def _duplicate_ranked(judgement: Judgement, control: Shown) -> Verdict | None:
    if control.original not in judgement.assignment.order:
        return None
    shelves, ranks = _shelves(judgement), _ranks(judgement)
    keys = (control.original, control.candidate)
    first, second = keys
    return expected.same_place((shelves[first], shelves[second]), (ranks[str(first)], ranks[str(second)]))


def _shelves(judgement: Judgement) -> Mapping[Any, float]:
    behind = _behind(judgement.assignment)
    return {behind[letter]: shelf for letter, shelf in judgement.answer["shelves"].items()}


_rated_control = {Control.SOURCE.value: _source_rated, Control.DUPLICATE.value: _duplicate_rated}
_ranked_control = {Control.SOURCE.value: _source_ranked, Control.DUPLICATE.value: _duplicate_ranked}
