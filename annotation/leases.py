"""Lending units to annotators. A lease lasts 20 minutes and every action renews it."""

from collections import Counter
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone

from annotation import assign
from annotation.models import Assignment, ItemCandidate, Member, Study, Unit
from annotation.protocols import RANKING

LEASE = timedelta(minutes=20)
RECENT = 60  # images shown lately that count for the mix of editors
SLACK = timedelta(minutes=1)  # renewing more often would only cost writes
EXPIRED_AT_ONCE = 200
LEASED, EXPIRED, DONE = Assignment.State.LEASED, Assignment.State.EXPIRED, Assignment.State.DONE


def unfinished(member: Member) -> tuple[list[Assignment], list[Assignment]]:
    """This annotator's leases, and those that they lost to the clock; oldest first.

    A lease that ran over its time stays theirs until somebody else needs the unit.
    """
    mine = Assignment.objects.filter(study=member.study, annotator=member.user, state__in=[LEASED, EXPIRED])
    rows = list(mine.select_related("unit").order_by("id"))
    return [row for row in rows if row.state == LEASED], [row for row in rows if row.state == EXPIRED]


def hold(member: Member, leased: list[Assignment], *, want: int, have: list[str], turn: int) -> list[Assignment]:
    """Assignments that fill the page up to ``want``: leases that it does not have yet, then new ones.

    ``leased`` gets the new ones too. ``turn`` counts this annotator's items so far; it seeds the choice.
    """
    on_page = sum(str(assignment.uid) in have for assignment in leased)
    given = [assignment for assignment in leased if str(assignment.uid) not in have][: max(0, want - on_page)]
    while on_page + len(given) < want:
        assignment = lease_one(member, turn=turn + len(given))
        if assignment is None:
            break
        given.append(assignment)
        leased.append(assignment)
    return given


def revive(lost: list[Assignment]) -> list[Assignment]:
    """Of the leases that an annotator lost, those whose units are still free: theirs again, with what they had done."""
    now, back = timezone.now(), []
    for assignment in lost:
        with transaction.atomic():
            if take_place(assignment.unit_id):
                assignment.state, assignment.leased_until = LEASED, now + LEASE
                assignment.save(update_fields=["state", "leased_until"])
                back.append(assignment)
    return back


def renew(leased: list[Assignment], now: datetime) -> None:
    """Activity on one item keeps all of the annotator's leases in the study, those fetched ahead too."""
    if any(assignment.leased_until < now + LEASE - SLACK for assignment in leased):
        keys = [assignment.pk for assignment in leased]
        Assignment.objects.filter(pk__in=keys, state=LEASED).update(leased_until=now + LEASE)


def expire(study: Study, now: datetime) -> int:
    """Take back leases that ran out, so that others can have the units. What was answered in them stays."""
    count = 0
    stale = Assignment.objects.filter(study=study, state=LEASED, leased_until__lt=now)
    for pk, unit in list(stale.values_list("pk", "unit_id")[:EXPIRED_AT_ONCE]):
        with transaction.atomic():
            if Assignment.objects.filter(pk=pk, state=LEASED, leased_until__lt=now).update(state=EXPIRED):
                Unit.objects.filter(pk=unit).update(taken=F("taken") - 1)
                count += 1
    return count


def take_place(unit_id: int) -> bool:
    """One of the unit's free places, or False: the condition and the count are one statement, so two cannot get one."""
    return bool(Unit.objects.filter(pk=unit_id, taken__lt=F("target")).update(taken=F("taken") + 1))


@transaction.atomic
def lease_one(member: Member, *, turn: int) -> Assignment | None:
    """Lease one more unit to this annotator: the rest of their group, or a new one. None: there is none.

    Leases of others that ran out are taken back only when open units run short: until then they harm nobody.
    """
    now = timezone.now()
    if connection.features.has_select_for_update:
        Member.objects.select_for_update().get(pk=member.pk)  # two pages of one annotator take turns
    assignment = _go_on_with_group(member, now) or _lease_new(member, now, turn)
    if assignment is None and expire(member.study, now):
        assignment = _lease_new(member, now, turn)
    return assignment


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


def _lease_new(member: Member, now: datetime, turn: int) -> Assignment | None:
    study = member.study
    seed = (study.seed, member.user_id, turn)
    start = assign.seeded("window", *seed).random()
    units = _open_units(member).order_by("shuffle")
    window = list(units.filter(shuffle__gte=start)[: assign.WINDOW])
    if len(window) < assign.WINDOW:
        window += units.filter(shuffle__lt=start)[: assign.WINDOW - len(window)]
    editors = _editors_of([unit.item_id for unit in window])
    seen = _seen_editors(member) if window else Counter()
    while window:
        offers = [assign.Offer(unit.pk, unit.taken, editors[unit.item_id]) for unit in window]
        chosen = assign.choose(offers, seen, *seed)
        item = next(unit.item_id for unit in window if unit.pk == chosen.unit)
        together = [unit for unit in window if unit.item_id == item]
        if study.protocol.kind == RANKING:  # the group's first pass goes by this annotator's own order of dimensions
            together = list(_open_units(member).filter(item=item))
        leased = _lease_among(together, member, now)
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
    shown = ItemCandidate.objects.filter(
        item__units__assignments__annotator=member.user, item__units__assignments__study=member.study
    )
    recent = shown.order_by("-item__units__assignments__id")[:RECENT]
    return Counter(recent.values_list("candidate__editor", flat=True))


def remaining(member: Member, at_most: int) -> int:
    """How many units this annotator could still get, counted no further than ``at_most``."""
    return _open_units(member)[:at_most].count()
