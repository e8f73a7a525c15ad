"""Lending units to annotators. A lease lasts 20 minutes and every action renews it."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import chain

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from annotation import assign, mixing
from annotation.hidden import placing
from annotation.models import Assignment, Member, Purpose, Study, Unit
from annotation.protocols import RANKING

LEASE = timedelta(minutes=20)
SLACK = timedelta(minutes=1)  # renewing more often would only cost writes
EXPIRED_AT_ONCE = 200
LEASED, EXPIRED, DONE = Assignment.State.LEASED, Assignment.State.EXPIRED, Assignment.State.DONE


def mine(member: Member, uids: Iterable[str] = ()) -> list[Assignment]:
    """This annotator's unfinished assignments in the study, and those with the given UIDs; oldest first.

    A lease that ran over its time stays theirs until somebody else needs the unit.
    """
    wanted = Q(state__in=[LEASED, EXPIRED]) | Q(uid__in=list(uids))
    found = Assignment.objects.filter(wanted, study=member.study, annotator=member.user)
    return list(found.select_related("unit").order_by("id"))


def runs_short(leased: list[Assignment], *, want: int, have: list[str]) -> bool:
    """Whether the page holds at most half of what it wants. Until then it gets none: several cost no more than one."""
    return sum(str(assignment.uid) in have for assignment in leased) <= want // 2


def fill(member: Member, leased: list[Assignment], *, want: int, have: list[str], turn: int) -> list[Assignment]:
    """Assignments that fill the page up to ``want``: leases that it does not have yet, then new ones.

    ``leased`` gets the new ones too. ``turn`` counts this annotator's items so far; it seeds the choice.
    """
    on_page = sum(str(assignment.uid) in have for assignment in leased)
    given = [assignment for assignment in leased if str(assignment.uid) not in have][: want - on_page]
    if missing := want - on_page - len(given):
        new = lease(member, count=missing, turn=turn)
        leased += new
        given += new
    return given


def revive(lost: list[Assignment]) -> list[Assignment]:
    """Of the leases that an annotator lost, those whose units are still free: theirs again, with what they had done."""
    now, back = timezone.now(), []
    for assignment in lost:
        with transaction.atomic():
            still = Assignment.objects.select_for_update().filter(pk=assignment.pk, state=EXPIRED)
            if still and take_place(assignment.unit_id):  # another page of theirs may have it back already
                assignment.state, assignment.leased_until = LEASED, now + LEASE
                assignment.save(update_fields=["state", "leased_until"])
                back.append(assignment)
    return back


def renew(leased: list[Assignment], now: datetime) -> None:
    """Activity on one item keeps all of the annotator's leases in the study, those fetched ahead too."""
    if any(assignment.leased_until < now + LEASE - SLACK for assignment in leased):
        keys = [assignment.pk for assignment in leased]
        Assignment.objects.filter(pk__in=keys, state=LEASED).update(leased_until=now + LEASE)


@transaction.atomic
def expire(study: Study, now: datetime) -> int:
    """Take back leases that ran out, so that others can have the units. What was answered in them stays.

    A lease whose answer is coming in at this moment is left alone.
    """
    count = 0
    stale = Assignment.objects.filter(study=study, state=LEASED, leased_until__lt=now)
    free = stale.select_for_update(skip_locked=True).values_list("pk", "unit_id")
    for pk, unit in list(free[:EXPIRED_AT_ONCE]):
        if Assignment.objects.filter(pk=pk, state=LEASED, leased_until__lt=now).update(state=EXPIRED):
            Unit.objects.filter(pk=unit).update(taken=F("taken") - 1)
            count += 1
    return count


def take_turns(study: Study) -> None:
    """Wait for others who change several units of the study; to be called first in a transaction.

    Two who each hold a unit that the other wants would wait for ever. SQLite has one writer at a time anyway.
    """
    if connection.features.has_select_for_update:
        Study.objects.select_for_update(no_key=True).get(pk=study.pk)


def take_place(unit_id: int) -> bool:
    """One of the unit's free places, or False: the condition and the count are one statement, so two cannot get one."""
    return bool(Unit.objects.filter(pk=unit_id, taken__lt=F("target")).update(taken=F("taken") + 1))


@transaction.atomic
def lease(member: Member, *, count: int, turn: int) -> list[Assignment]:
    """Lease up to ``count`` more units to this annotator: the rest of their group first, then new and hidden ones. A
    hidden group comes whole, and may be a few more.

    ``turn`` counts this annotator's items so far, finished or held; it seeds the choice. Leases of others that ran out
    are taken back only when open units run short: until then they harm nobody.
    """
    now = timezone.now()
    take_turns(member.study)
    rest = _take_rest_of_group(member, count)
    hidden = _take_hidden(member, count - len(rest), turn)
    held = rest + list(chain.from_iterable(hidden))
    new = _take_new(member, count - len(held), turn, held)
    if len(held + new) < count and expire(member.study, now):
        new += _take_new(member, count - len(held + new), turn, held + new)
    return _assign(member, rest + _mingled(member, hidden, new, turn), now)


def _open_units(member: Member) -> QuerySet[Unit]:
    """Units with a free place that this annotator never had."""
    had = Assignment.objects.filter(unit=OuterRef("pk"), annotator=member.user)
    return Unit.objects.filter(study=member.study, purpose=Purpose.LIVE, taken__lt=F("target")).exclude(Exists(had))


def _take_rest_of_group(member: Member, count: int) -> list[Unit]:
    """The other dimensions of the group that the annotator had last, while they remember it."""
    study = member.study
    if study.protocol.kind != RANKING:
        return []
    live = Assignment.objects.filter(study=study, annotator=member.user, unit__purpose=Purpose.LIVE)
    last = live.order_by("-id").values("unit__item")[:1]
    return _take_among(list(_open_units(member).filter(item__in=last)), member, count)


def _take_hidden(member: Member, count: int, turn: int) -> list[list[Unit]]:
    """Checks that are due now, each as a whole."""
    due = placing.due(member, member.done, max(0, turn - member.done)) if count > 0 else []
    return [[unit for unit in item if take_place(unit.pk)] for item in due[:count]]


def _mingled(member: Member, hidden: list[list[Unit]], new: list[Unit], turn: int) -> list[Unit]:
    """Hidden items at places among the new ones that chance decides, and never within a group.

    A page is filled up by a few at a time: always the first of these, they could be counted out.
    """
    chance, order = assign.seeded("mingled", member.study.seed, member.position, turn), list(new)
    may_end = member.study.protocol.kind != RANKING  # there the last group may go on with the next lease
    for item in hidden:
        between = [place for place in range(1, len(order)) if order[place - 1].item_id != order[place].item_id]
        at = chance.choice([0, *between, *([len(order)] if may_end else [])])
        order[at:at] = item
    return order


def _take_new(member: Member, count: int, turn: int, held: list[Unit]) -> list[Unit]:
    """Places in units of items that are new to the annotator, chosen from a window of the study's random order.

    ``held``: taken a moment ago, so that no assignment tells of them yet.
    """
    items = {unit.item_id for unit in held}
    window = [unit for unit in _window(member) if unit.item_id not in items] if count > 0 else []
    if not window:
        return []
    mix = mixing.mix_of(member, window)
    taken: list[Unit] = []
    while window and len(taken) < count:
        chosen = mix.choose(window, member.study.seed, member.position, turn, len(taken))
        item = next(unit.item_id for unit in window if unit.pk == chosen)
        together = [unit for unit in window if unit.item_id == item]
        if member.study.protocol.kind == RANKING:  # all dimensions, in the annotator's own order
            together = list(_open_units(member).filter(item=item))
        taken += _take_among(together, member, count - len(taken))
        window = [unit for unit in window if unit.item_id != item]
    return taken


def _window(member: Member) -> list[Unit]:
    """The first open units, in the study's random order, that this annotator never had.

    Everybody starts at the same end, so people soon share items: without that their scores could not be compared.
    ``reached`` saves looking again at what this annotator had; when units run short, all are looked at once more.
    """
    units = _open_units(member).order_by("shuffle")
    window = list(units.filter(shuffle__gte=member.reached)[: assign.WINDOW])
    if len(window) < assign.WINDOW:
        window = list(units[: assign.WINDOW])
    reached = window[0].shuffle if window else 0.0
    if reached != member.reached:
        member.reached = reached
        Member.objects.filter(pk=member.pk).update(reached=reached)
    return window


def _take_among(units: list[Unit], member: Member, count: int) -> list[Unit]:
    """Places in up to ``count`` of an item's open units, in the annotator's own order of the dimensions."""
    order = assign.dimension_order(member.study.protocol.unit_dimensions, member.position)
    taken: list[Unit] = []
    for unit in sorted(units, key=lambda unit: (unit.round, order.index(unit.dimension))):
        if len(taken) < count and take_place(unit.pk):
            taken.append(unit)
    return taken


def _assign(member: Member, units: list[Unit], now: datetime) -> list[Assignment]:
    if not units:
        return []
    return Assignment.objects.bulk_create(
        Assignment(study=member.study, unit=unit, annotator=member.user, order=order, leased_until=now + LEASE)
        for unit, order in zip(units, mixing.orders_of(member, units), strict=True)
    )


def remaining(member: Member, at_most: int) -> int:
    """How many units this annotator could still get, counted no further than ``at_most``."""
    return _open_units(member)[:at_most].count()
