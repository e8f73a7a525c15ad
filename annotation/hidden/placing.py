"""Which hidden units an annotator gets now. They look like any others, and come at places that only the seed knows."""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import Count, Exists, F, Max, OuterRef

from annotation.answers import EXCUSES
from annotation.assign import seeded
from annotation.entry.services import PLACES
from annotation.hidden import schedule
from annotation.hidden.controls import prepare
from annotation.models import Assignment, Judgement, Member, Purpose, Unit
from annotation.protocols import Checks

__all__ = ["due", "is_on", "prepare", "total"]

APART = 10  # a repeat comes after at least so many other items
LOOKED_AT = 1000  # of an annotator's latest judgements, to choose a repeat from


def is_on(checks: Checks) -> bool:
    return any(_every(checks).values())


def _every(checks: Checks) -> dict[Purpose, int]:
    return {
        Purpose.GOLD: checks.gold_every,
        Purpose.ATTENTION: checks.attention_every,
        Purpose.REPEAT: checks.repeat_every,
    }


def due(member: Member, done: int, held: int) -> list[Unit]:
    """The hidden units that belong before the member's next live ones: at most one of each kind, their places not yet
    taken. ``done`` and ``held``: what this annotator has finished in the study, and has before them.

    One query where nothing is due, none where the study hides nothing. Call it in the transaction that lends.
    """
    every = _every(member.study.protocol.checks)
    if not any(every.values()):
        return []
    had = _had(member)
    units = []
    for purpose, often in every.items():
        if schedule.owed(often, done + held + 1, *_seed(member, purpose)) > had.get(purpose, 0):
            unit = _repeat(member) if purpose == Purpose.REPEAT else _known(member, purpose)
            units += [unit] if unit else []
    return units


def total(member: Member, mine: int, still_open: int) -> int:
    """How many units there are for this annotator in all: ``mine``, finished or held, what is open, and the hidden ones
    to come. Two queries where the study hides something."""
    every = _every(member.study.protocol.checks)
    if not any(every.values()):
        return mine + still_open
    had = _had(member)
    live = max(0, mine - sum(had.get(purpose, 0) for purpose in every)) + still_open
    units = Unit.objects.filter(study=member.study).order_by().values_list("purpose")
    there = dict(units.filter(purpose__in=[Purpose.GOLD, Purpose.ATTENTION]).annotate(count=Count("id")))
    there[Purpose.REPEAT] = max(0, live - _apart(member))
    kinds = [(often, there.get(purpose, 0), purpose.value) for purpose, often in every.items()]
    return max(mine + still_open, schedule.with_hidden(live, kinds, member.study.seed, member.position))


def _seed(member: Member, purpose: Purpose) -> tuple[object, ...]:
    return member.study.seed, member.position, purpose.value


def _had(member: Member) -> Mapping[str, int]:
    """How many units of each purpose this annotator was given."""
    mine = Assignment.objects.filter(
        study=member.study, annotator=member.user, unit__purpose__in=list(_every(Checks()))
    )
    return dict(mine.order_by().values_list("unit__purpose").annotate(count=Count("id")))


def _known(member: Member, purpose: Purpose) -> Unit | None:
    """A gold item or attention check that this annotator never had, by chance."""
    had = Assignment.objects.filter(unit=OuterRef("pk"), annotator=member.user)
    units = Unit.objects.filter(study=member.study, purpose=purpose).exclude(Exists(had))
    given_out = units.filter(taken__lt=F("target"))  # a reference that was withdrawn has no place left
    keys = list(given_out.order_by("pk").values_list("pk", flat=True)[:LOOKED_AT])
    if not keys:
        return None
    return Unit.objects.get(pk=seeded("which", *_seed(member, purpose), len(keys)).choice(keys))


def _repeat(member: Member) -> Unit | None:
    """One of the annotator's own live units once more: by chance, not among their last items, none a second time.

    All who repeat a unit share one unit for it, in a round of its own.
    """
    mine = Assignment.objects.filter(study=member.study, annotator=member.user)
    latest = mine.order_by("-id").values_list("unit__item", flat=True)[: _apart(member)]
    recent = list(dict.fromkeys(latest))[:APART]
    again = mine.filter(
        unit__item=OuterRef("unit__item"), unit__dimension=OuterRef("unit__dimension"), unit__purpose=Purpose.REPEAT
    )
    given = Judgement.objects.filter(study=member.study, annotator=member.user, unit__purpose=Purpose.LIVE)
    given = given.exclude(flag__in=EXCUSES).exclude(unit__item__in=recent).exclude(Exists(again))
    keys = list(given.order_by("-id").values_list("unit", flat=True)[:LOOKED_AT])
    if not keys:
        return None
    return _once_more(Unit.objects.get(pk=seeded("which", *_seed(member, Purpose.REPEAT), len(keys)).choice(keys)))


def _apart(member: Member) -> int:
    """APART items in units: in a ranking study an item is one unit for each dimension."""
    return APART * len(member.study.protocol.unit_dimensions)


def _once_more(unit: Unit) -> Unit:
    same = Unit.objects.filter(item=unit.item_id, dimension=unit.dimension)
    found = same.filter(purpose=Purpose.REPEAT).first()
    if found:
        return found
    last = same.aggregate(last=Max("round"))["last"]
    return Unit.objects.create(
        study_id=unit.study_id,
        item_id=unit.item_id,
        dimension=unit.dimension,
        round=last + 1,
        purpose=Purpose.REPEAT,
        target=PLACES,
        shuffle=unit.shuffle,
    )
