"""Studies with judgements made directly as rows, for tests of what is computed from them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from annotation.models import Assignment, Candidate, Judgement, Mark, Study, Unit
from tests import judging

Scores = Mapping[str, float]


def study(preset: str, people: Sequence[Any], *, cases: int = 3, editors: int = 3, **more: Any) -> Study:
    seeds, notice = more.pop("seeds", 1), more.pop("notice", "")
    data = judging.dataset(cases=cases, editors=editors, seeds=seeds, notice=notice)
    return judging.study(data, preset, people, **more)


def order_of(unit: Unit) -> list[Candidate]:
    return list(unit.item.candidates.order_by("pk"))


def judge(
    made: Study, user: Any, answer: Callable[[Unit, Candidate], Mapping[str, Any]], **more: Any
) -> list[Judgement]:
    """One judgement of every unit: ``answer`` gives {dimension: score} of a rating, {"rank": …, "score": …} else.

    ``more``: columns of the judgements; ``start`` and ``every`` say when they were given.
    """
    start: datetime = more.pop("start", timezone.now())
    every: timedelta = more.pop("every", timedelta(seconds=60))
    units = list(made.units.select_related("item").prefetch_related("item__candidates").order_by("pk"))
    Assignment.objects.bulk_create(
        Assignment(
            study=made,
            unit=unit,
            annotator=user,
            state="done",
            leased_until=start,
            order=[c.pk for c in order_of(unit)],
        )
        for unit in units
    )
    lent = {row.unit_id: row for row in Assignment.objects.filter(study=made, annotator=user)}
    values = {"answer": {}, "seconds": 10.0, **more}
    Judgement.objects.bulk_create(
        Judgement(study=made, unit=unit, assignment=lent[unit.pk], annotator=user, **values) for unit in units
    )
    given = list(Judgement.objects.filter(study=made, annotator=user).order_by("unit_id"))
    marks = []
    for number, (one, unit) in enumerate(zip(given, units, strict=True)):
        one.created_at = start + number * every
        for candidate in order_of(unit):
            marks += _marks(made, one, unit, candidate, answer(unit, candidate))
    Mark.objects.bulk_create(marks)
    Judgement.objects.bulk_update(given, ["created_at"])
    for unit in units:
        done = unit.judgements.count()
        Unit.objects.filter(pk=unit.pk).update(done=done, taken=done, target=max(unit.target, done))
    return given


def _marks(made: Study, one: Judgement, unit: Unit, candidate: Candidate, said: Mapping[str, Any]) -> list[Mark]:
    if made.protocol.kind == "rating":
        return [Mark(judgement=one, candidate=candidate, dimension=key, score=value) for key, value in said.items()]
    dimension = unit.dimension or made.protocol.dimensions[0].key
    return [Mark(judgement=one, candidate=candidate, dimension=dimension, **said)]


def worth(candidate: Candidate) -> int:
    """The number in the editor's slug: editor-2 is better than editor-1."""
    return int(candidate.editor.slug.rsplit("-", 1)[1])
