"""Judgements of single units, made as rows: what a study page's annotators would have left behind."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.db.models import F
from django.utils import timezone

from annotation.answers import letters, mean_ranks
from annotation.models import Assignment, Event, Judgement, Mark, Study, Unit
from annotation.protocols import PRESETS
from scoring.reannotation.services import follow_up
from tests.judging import dataset
from tests.judging import study as make_study
from webapp.accounts.models import User


def study(preset: str = "group-rank", *, cases: int = 1, editors: int = 3, owner: Any = None, **protocol: Any) -> Study:
    chosen = replace(PRESETS[preset], **protocol)
    return make_study(dataset(cases=cases, editors=editors, owner=owner), preset, protocol=chosen, by=owner)


def annotators(count: int, role: str = "annotator", **more: Any) -> list[User]:
    first = User.objects.count()
    return [User.objects.create(username=f"person-{first + n}", role=role, **more) for n in range(count)]


def give(unit: Unit, user: Any, *, scores: Mapping[str, float] | None = None, order: Sequence[Sequence[int]] = (),
         **values: Any) -> Judgement:  # fmt: skip
    """One judgement: ``scores`` of the unit's one candidate by dimension, or an ``order`` of places in the group.

    ``order`` holds tiers of positions in the sorted keys of the item's candidates, best first.
    """
    shown = sorted(unit.item.entries.values_list("candidate_id", flat=True))
    names = letters(len(shown))
    made = Assignment.objects.create(
        study=unit.study, unit=unit, annotator=user, state="done", order=shown, leased_until=timezone.now()
    )
    tiers = [[names[place] for place in tier] for tier in order]
    answer = {"scores": dict(scores)} if scores else {"order": tiers}
    row = {"study": unit.study, "unit": unit, "assignment": made, "annotator": user, "answer": answer, "seconds": 4.0}
    judgement = Judgement.objects.create(**{**row, **values})
    dimension = unit.dimension or unit.study.protocol.dimensions[0].key
    ranks = mean_ranks(tiers)
    Mark.objects.bulk_create(
        [Mark(judgement=judgement, candidate_id=shown[0], dimension=d, score=s) for d, s in (scores or {}).items()]
        + [
            Mark(judgement=judgement, candidate_id=shown[names.index(n)], dimension=dimension, rank=ranks[n])
            for n in ranks
        ]
    )
    Event.objects.create(assignment=made, key=judgement.uid, seq=1, kind="submit", data={"answer": answer})
    if not judgement.is_extra:
        Unit.objects.filter(pk=unit.pk).update(taken=F("taken") + 1, done=F("done") + 1)
    return judgement


def unit_of(made: Study, dimension: str = "", place: int = 0) -> Unit:
    found = made.units.filter(dimension=dimension).select_related("study__dataset", "item").order_by("item_id")
    return found[place]


UP, DOWN = [[0], [1], [2]], [[2], [1], [0]]


def torn_group(raters: int = 3, extra: int = 3, owner: Any = None, people: Sequence[Any] = ()) -> Unit:
    """A full unit of a group of three on whose quality the annotators are of two minds."""
    made = study(raters=raters, extra_raters=extra, owner=owner)
    unit = unit_of(made, "quality")
    for number, user in enumerate(people or annotators(raters)):
        give(unit, user, order=UP if number % 2 else DOWN)
    return Unit.objects.select_related("study__dataset", "item").get(pk=unit.pk)


def contested_group(owner: Any = None) -> Unit:
    """The same with two annotators, and the one more who was asked did not settle it: DOWN, UP, DOWN."""
    unit = torn_group(raters=2, extra=1, owner=owner)
    follow_up(unit.pk)
    give(unit, *annotators(1), order=DOWN)
    follow_up(unit.pk)
    return Unit.objects.select_related("study__dataset", "item").get(pk=unit.pk)
