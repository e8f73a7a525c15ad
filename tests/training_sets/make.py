"""Studies with judgements as rows, and the job that makes a training set of them."""

from collections.abc import Callable, Sequence
from typing import Any

from django.contrib.auth import get_user_model
from django.utils import timezone

from annotation.answers import letters
from annotation.models import Assignment, Dataset, Judgement, Mark, Study
from tests import judging
from tests.freezing import work
from training.models import LabelledSet
from training.sets import services
from training.sets.freeze import KIND
from training.sets.wishes import Wish
from webapp.jobs.models import Job

Says = Callable[[int, str], float]  # a candidate's place among all, a dimension: its worth


def people(count: int, names: str = "rater") -> list[Any]:
    users = get_user_model().objects
    made = []
    for n in range(count):
        known = users.filter(username=f"{names}{n}").first()
        made.append(known or users.create(username=f"{names}{n}", role="annotator"))
    return made


def study(data: Dataset, preset: str = "group-rank", **more: Any) -> Study:
    return judging.study(data, preset, **more)


def judged(made: Study, users: Sequence[Any], says: Callable[[int, int, str], Any], **more: Any) -> Study:
    """Everybody answers everything, as rows. ``says(user's number, candidate's key, dimension)``: a worth, or for a
    pair a choice by ``choice(user's number, first, second)``. ``more``: fields of the judgements."""
    units = list(made.units.order_by("pk").prefetch_related("item__entries"))
    for number, user in enumerate(users):
        lent = [_lent(made, unit, user) for unit in units]
        Assignment.objects.bulk_create(lent)
        answers = [_answer(made, one, number, says) for one in lent]
        given = [
            Judgement(study=made, unit_id=one.unit_id, assignment=one, annotator=user, answer=answer, **more)
            for one, (answer, _marks) in zip(lent, answers, strict=True)
        ]
        Judgement.objects.bulk_create(given)
        marks = [
            Mark(judgement=one, **mark) for one, (_answer, some) in zip(given, answers, strict=True) for mark in some
        ]
        Mark.objects.bulk_create(marks)
    return made


def _lent(made: Study, unit: Any, user: Any) -> Assignment:
    order = [entry.candidate_id for entry in unit.item.entries.all()]
    return Assignment(study=made, unit=unit, annotator=user, state="done", order=order, leased_until=timezone.now())


def _answer(made: Study, one: Assignment, number: int, says: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    kind = made.protocol.kind
    if kind == "rating":
        pk = one.order[0]
        keys = [dimension.key for dimension in made.protocol.dimensions]
        return {}, [{"candidate_id": pk, "dimension": key, "score": says(number, pk, key)} for key in keys]
    if kind == "pairwise":
        choice = says(number, *one.order)
        ranks = {"A": (1, 2), "B": (2, 1)}.get(choice, (1.5, 1.5))
        key = made.protocol.dimensions[0].key
        marks = [
            {"candidate_id": pk, "dimension": key, "rank": rank} for pk, rank in zip(one.order, ranks, strict=True)
        ]
        return {"choice": choice}, marks
    key = one.unit.dimension
    worth = {pk: says(number, pk, key) for pk in one.order}
    ranks = ranked(worth)
    flags = {letter: "broken" for letter, pk in zip(letters(len(worth)), one.order, strict=True) if worth[pk] is None}
    return {"flags": flags}, [{"candidate_id": pk, "dimension": key, "rank": ranks[pk]} for pk in one.order]


def ranked(worth: dict[int, Any]) -> dict[int, float]:
    """Ranks by worth, the best first; equal worth shares the mean rank; None is the worst."""
    value = {pk: -1e9 if one is None else one for pk, one in worth.items()}
    return {
        pk: sum(other > mine for other in value.values()) + (sum(other == mine for other in value.values()) + 1) / 2
        for pk, mine in value.items()
    }


def set_row(name: str, by: Any = None, **more: Any) -> LabelledSet:
    """The row of a set that is being made."""
    origin = {"kind": "studies", "studies": [], "wish": Wish().to_json()}
    return LabelledSet.objects.create(
        slug=name.lower().replace(" ", "-"), name=name, origin=origin, created_by=by, **more
    )


def labelled(studies: Sequence[Study], name: str = "Mine", by: Any = None, **wish: Any) -> LabelledSet:
    """The set that a job ends with."""
    made = services.start_from_studies(name=name, studies=studies, wish=Wish(**wish), by=by)
    return done(made)


def done(made: LabelledSet) -> LabelledSet:
    assert made.job is not None
    summary = work(KIND, made.job)
    Job.objects.filter(pk=made.job.pk).update(state="succeeded")
    return LabelledSet.objects.get(uid=summary["set"])
