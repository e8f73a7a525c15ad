"""Lending units to annotators. A lease lasts 20 minutes and every action renews it."""

from collections import Counter
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone

from annotation import assign
from annotation.models import Assignment, ItemCandidate, Member, Study, Unit
from annotation.protocols import RANKING

LEASE = timedelta(minutes=20)
RECENT = 40  # assignments that count for the mix of editors
LEASED, EXPIRED, DONE = Assignment.State.LEASED, Assignment.State.EXPIRED, Assignment.State.DONE


def hold(member: Member, *, want: int, have: list[str]) -> list[Assignment]:
    """Assignments for the page to fill up to ``want``: running leases that it does not have, then new ones."""
    now = timezone.now()
    mine = Assignment.objects.filter(study=member.study, annotator=member.user)
    running = list(mine.filter(state=LEASED).order_by("id"))
    held = {str(a.uid) for a in running if str(a.uid) in have}
    given = [a for a in running if str(a.uid) not in have][: max(0, want - len(held))]
    while len(held) + len(given) < want:
        assignment = lease_one(member, now)
        if assignment is None:
            break
        given.append(assignment)
    return given


def renew(member: Member, now: datetime) -> None:
    """Activity on one item keeps all of the annotator's leases in this study, those fetched ahead too."""
    Assignment.objects.filter(study=member.study, annotator=member.user, state=LEASED).update(leased_until=now + LEASE)


def expire(study: Study, now: datetime) -> int:
    """Take back leases that ran out, so that others can have the units. What was answered in them stays."""
    count = 0
    stale = Assignment.objects.filter(study=study, state=LEASED, leased_until__lt=now)
    for pk, unit in list(stale.values_list("pk", "unit_id")[:200]):
        with transaction.atomic():
            if Assignment.objects.filter(pk=pk, state=LEASED, leased_until__lt=now).update(state=EXPIRED):
                Unit.objects.filter(pk=unit).update(taken=F("taken") - 1)
                count += 1
    return count


def take_place(unit_id: int) -> bool:
    """One of the unit's free places, or False: the condition and the count are one statement, so two cannot get one."""
    return bool(Unit.objects.filter(pk=unit_id, taken__lt=F("target")).update(taken=F("taken") + 1))


@transaction.atomic
def lease_one(member: Member, now: datetime) -> Assignment | None:
    """Lease the next unit to this annotator: their own lost one, the rest of their group, or a new one. None: none left."""
    Member.objects.select_for_update().get(pk=member.pk)  # two pages of one annotator take turns
    expire(member.study, now)
    return _revive(member, now) or _go_on_with_group(member, now) or _lease_new(member, now)


def _revive(member: Member, now: datetime) -> Assignment | None:
    lost = Assignment.objects.filter(
        study=member.study, annotator=member.user, state=EXPIRED, unit__taken__lt=F("unit__target")
    )
    for assignment in lost.order_by("id")[:5]:
        if take_place(assignment.unit_id):
            assignment.state, assignment.leased_until = LEASED, now + LEASE
            assignment.save(update_fields=["state", "leased_until"])
            return assignment
    return None


def _open_units(member: Member) -> QuerySet[Unit]:
    """Units with a free place that this annotator never had."""
    had = Assignment.objects.filter(unit=OuterRef("pk"), annotator=member.user)
    return Unit.objects.filter(study=member.study, taken__lt=F("target")).exclude(Exists(had))


def _go_on_with_group(member: Member, now: datetime) -> Assignment | None:
    """The other dimensions of the group that the annotator had last, while they remember it."""
    study = member.study
    if study.protocol.kind != RANKING:
        return None
    last = Assignment.objects.filter(study=study, annotator=member.user).order_by("-id").values("unit__item")[:1]
    return _lease_among(list(_open_units(member).filter(item__in=last)), member, now)


def _lease_new(member: Member, now: datetime) -> Assignment | None:
    study = member.study
    count = Assignment.objects.filter(study=study, annotator=member.user).count()
    seed = (study.seed, member.user_id, count)
    start = assign.seeded("window", *seed).random()
    units = _open_units(member).order_by("shuffle")
    window = list(units.filter(shuffle__gte=start)[: assign.WINDOW])
    if len(window) < assign.WINDOW:
        window += units.filter(shuffle__lt=start)[: assign.WINDOW - len(window)]
    editors = _editors_of([unit.item_id for unit in window])
    seen = _seen_editors(member)
    while window:
        offers = [assign.Offer(unit.pk, unit.taken, editors[unit.item_id]) for unit in window]
        chosen = assign.choose(offers, seen, *seed)
        item = next(unit.item_id for unit in window if unit.pk == chosen.unit)
        leased = _lease_among(list(_open_units(member).filter(item=item)), member, now)
        if leased:
            return leased
        window = [unit for unit in window if unit.item_id != item]
    return None


def _lease_among(units: list[Unit], member: Member, now: datetime) -> Assignment | None:
    """Lease one of an item's open units, in the annotator's own order of the dimensions."""
    order = assign.dimension_order(member.study.protocol.unit_dimensions, member.position)
    for unit in sorted(units, key=lambda unit: (unit.round, order.index(unit.dimension))):
        if take_place(unit.pk):
            return _assign(unit, member, now)
    return None


def _assign(unit: Unit, member: Member, now: datetime) -> Assignment:
    keys = sorted(ItemCandidate.objects.filter(item=unit.item_id).values_list("candidate_id", flat=True))
    return Assignment.objects.create(
        study=member.study,
        unit=unit,
        annotator=member.user,
        order=assign.shuffled(keys, member.study.seed, member.user_id, unit.pk),
        leased_until=now + LEASE,
    )


def _editors_of(items: list[int]) -> dict[int, tuple[int, ...]]:
    found: dict[int, tuple[int, ...]] = dict.fromkeys(items, ())
    for item, editor in ItemCandidate.objects.filter(item__in=items).values_list("item", "candidate__editor"):
        found[item] += (editor,)
    return found


def _seen_editors(member: Member) -> Counter[int]:
    """How often each editor was among this annotator's recent items."""
    recent = Assignment.objects.filter(study=member.study, annotator=member.user).order_by("-id")[:RECENT]
    items = list(recent.values_list("unit__item", flat=True))
    return Counter(ItemCandidate.objects.filter(item__in=items).values_list("candidate__editor", flat=True))


def remaining(member: Member, at_most: int) -> int:
    """How many units this annotator could still get, counted no further than ``at_most``."""
    return _open_units(member)[:at_most].count()




def held(member: Member) -> int:
    """How many leases this annotator has in the study."""
    return Assignment.objects.filter(study=member.study, annotator=member.user, state=LEASED).count()
