"""Which hidden units an annotator gets now. They look like any others, and come at places that only the seed knows."""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import Count, Exists, Max, OuterRef

from annotation.answers import EXCUSES
from annotation.assign import dimension_order, seeded
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


def due(member: Member, done: int, held: int) -> list[list[Unit]]:
    """The hidden items that belong before the member's next live ones: at most one of each kind, each as its units,
    their places not yet taken. ``done`` and ``held``: what this annotator has finished in the study, and has before
    them.

    One query where nothing is due, none where the study hides nothing. Call it in the transaction that lends.
    """
    every = _every(member.study.protocol.checks)
    if not any(every.values()):
        return []
    had = _had(member)
    items = []
    for purpose, often in every.items():
        if schedule.owed(often, done + held + 1, *_seed(member, purpose)) > had.get(purpose, 0):
            unit = _repeat(member) if purpose == Purpose.REPEAT else _known(member, purpose)
            items += [_whole(member, unit)] if unit else []
    return items


def total(member: Member, mine: int, still_open: int) -> int:
    """How many units there are for this annotator in all: ``mine``, finished or held, what is open, and the hidden ones
    to come. Two queries where the study hides something."""
    every = _every(member.study.protocol.checks)
    if not any(every.values()):
        return mine + still_open
    had = _had(member)
    live, size = max(0, mine - sum(had.values())) + still_open, len(member.study.protocol.unit_dimensions)
    units = Unit.objects.filter(study=member.study).order_by().values_list("purpose")
    there = dict(units.filter(purpose__in=[Purpose.GOLD, Purpose.ATTENTION]).annotate(count=Count("id")))
    there[Purpose.REPEAT] = max(0, live // size - APART)
    kinds = [(often, there.get(purpose, 0), purpose.value) for purpose, often in every.items()]
    return max(mine + still_open, schedule.with_hidden(live, kinds, size, member.study.seed, member.position))


def _seed(member: Member, purpose: Purpose) -> tuple[object, ...]:
    return member.study.seed, member.position, purpose.value


def _had(member: Member) -> Mapping[str, int]:
    """How many hidden units of each purpose this annotator was given."""
    purposes = [*_every(Checks()), Purpose.BESIDE]
    mine = Assignment.objects.filter(study=member.study, annotator=member.user, unit__purpose__in=purposes)
    return dict(mine.order_by().values_list("unit__purpose").annotate(count=Count("id")))


def _known(member: Member, purpose: Purpose) -> Unit | None:
    """A gold item or attention check that this annotator never had, by chance."""
    had = Assignment.objects.filter(unit=OuterRef("pk"), annotator=member.user)
    units = Unit.objects.filter(study=member.study, purpose=purpose).exclude(Exists(had))
    given_out = units.filter(target=Unit.EVERYBODY)  # without what was withdrawn
    keys = list(given_out.order_by("pk").values_list("pk", flat=True)[:LOOKED_AT])
    if not keys:
        return None
    return Unit.objects.get(pk=seeded("which", *_seed(member, purpose), len(keys)).choice(keys))


def _repeat(member: Member) -> Unit | None:
    """One of the annotator's own live units once more: by chance, not among their last items, no item a second time.

    All who repeat a unit share one unit for it, in a round of its own.
    """
    mine = Assignment.objects.filter(study=member.study, annotator=member.user)
    units = APART * len(member.study.protocol.unit_dimensions)
    latest = mine.order_by("-id").values_list("unit__item", flat=True)[:units]
    recent = list(dict.fromkeys(latest))[:APART]
    again = mine.filter(unit__item=OuterRef("unit__item"), unit__purpose=Purpose.REPEAT)
    given = Judgement.objects.filter(study=member.study, annotator=member.user, unit__purpose=Purpose.LIVE)
    given = given.exclude(flag__in=EXCUSES).exclude(unit__item__in=recent).exclude(Exists(again))
    keys = list(given.order_by("-id").values_list("unit", flat=True)[:LOOKED_AT])
    if not keys:
        return None
    unit = Unit.objects.get(pk=seeded("which", *_seed(member, Purpose.REPEAT), len(keys)).choice(keys))
    return _of_purpose(unit, unit.dimension, Purpose.REPEAT)


def _whole(member: Member, unit: Unit) -> list[Unit]:
    """A hidden unit with its group's other dimensions, in this annotator's order: a live group is several passes, too.
    Without those that they had beside another hidden unit of the group."""
    order = dimension_order(member.study.protocol.unit_dimensions, member.position)
    if len(order) < 2:
        return [unit]
    beside = [_of_purpose(unit, key, Purpose.BESIDE) for key in order if key != unit.dimension]
    had = Assignment.objects.filter(unit__in=beside, annotator=member.user).values_list("unit", flat=True)
    return sorted(
        [unit, *(one for one in beside if one.pk not in set(had))], key=lambda one: order.index(one.dimension)
    )


def _of_purpose(unit: Unit, dimension: str, purpose: Purpose) -> Unit:
    """The unit of the same item for that dimension and purpose, which everybody shares. It is made where it is new."""
    same = Unit.objects.filter(item=unit.item_id, dimension=dimension)
    found = same.filter(purpose=purpose).first()
    if found:
        return found
    last = same.aggregate(last=Max("round"))["last"] or 0
    return Unit.objects.create(
        study_id=unit.study_id,
        item_id=unit.item_id,
        dimension=dimension,
        round=last + 1,
        purpose=purpose,
        target=Unit.EVERYBODY,
        shuffle=unit.shuffle,
    )
