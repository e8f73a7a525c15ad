"""Leases: how units go to people, one after the other and in a race, and what the database itself forbids."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.utils import timezone

from annotation import leases
from annotation.models import Assignment, Event, Item, Judgement, Mark, Member, Study, Unit
from annotation.protocols import PRESETS
from annotation.studies import set_state
from scoring.services import ask_more_raters
from tests import judging
from tests.judging import by_worth, judge, member_of, ranked, rated, submit
from webapp.accounts.models import User

GOOD = rated({"overall": 4})
RANK = PRESETS["group-rank"]


def people(count: int) -> list[User]:
    return [User.objects.create(username=f"annotator-{number}", role="annotator") for number in range(count)]


def rating(cases: int, editors: int, raters: int, members: int) -> tuple[Study, list[Member]]:
    """A study of ``cases * editors`` units on one scale."""
    users = people(members)
    protocol = replace(PRESETS["hp-score"], raters=raters)
    made = judging.study(judging.dataset(cases, editors), "hp-score", users, protocol=protocol)
    return made, [member_of(made, user) for user in users]


def ranking(cases: int, members: int, **changes: Any) -> tuple[Study, list[Member]]:
    users = people(members)
    made = judging.study(judging.dataset(cases, 3), "group-rank", users, protocol=replace(RANK, **changes))
    return made, [member_of(made, user) for user in users]


def take(member: Member, count: int = 1, turn: int = 0) -> list[Assignment]:
    return leases.lease(member, count=count, turn=turn)


def run_out(**rows: Any) -> None:
    """Let the clock pass the leases."""
    Assignment.objects.filter(**rows).update(leased_until=timezone.now() - timedelta(seconds=1))


def books_are_right(study: Study) -> None:
    """``taken`` and ``done`` of every unit are what its assignments and judgements say."""
    for unit in study.units.all():
        held = unit.assignments.filter(state="leased").count()
        counted = unit.judgements.filter(is_extra=False).count()
        assert (unit.taken, unit.done) == (held + counted, counted)


# One after the other ------------------------------------------------------------------------------------------------


def test_it_works(db: None) -> None:
    study, (one, *_others) = rating(cases=3, editors=2, raters=2, members=2)
    lent = take(one, count=4)
    assert len({assignment.unit_id for assignment in lent}) == 4
    assert all(timedelta(minutes=19) < row.leased_until - timezone.now() <= timedelta(minutes=20) for row in lent)
    assert sorted(study.units.values_list("taken", flat=True)) == [0, 0, 1, 1, 1, 1]
    books_are_right(study)


def test_nobody_gets_a_unit_twice_and_everybody_gets_all(db: None) -> None:
    study, members = rating(cases=4, editors=3, raters=2, members=3)
    given = Counter({member.pk: judge(study, member.user, lambda _assignment: GOOD) for member in members[:2]})
    assert set(given.values()) == {12}
    assert take(members[2]) == []
    assert set(study.units.values_list("taken", "done")) == {(2, 2)}
    books_are_right(study)


def test_people_begin_at_different_places(db: None) -> None:
    _study, members = rating(cases=30, editors=1, raters=9, members=8)
    assert len({take(member)[0].unit_id for member in members}) > 4


def test_editors_are_mixed_for_everybody(db: None) -> None:
    """12 judgements of units of four editors: each annotator sees each editor about three times."""
    study, members = rating(cases=10, editors=4, raters=3, members=6)
    for member in members:
        judge(study, member.user, lambda _assignment: GOOD, limit=12)
        theirs = Mark.objects.filter(judgement__annotator=member.user)
        seen = Counter(theirs.values_list("candidate__editor", flat=True))
        assert len(seen) == 4
        assert set(seen.values()) <= {2, 3, 4}


def test_the_order_is_a_seeded_permutation_of_the_items_candidates(db: None) -> None:
    study, members = ranking(cases=6, members=4)
    orders = set()
    for member in members[:3]:
        for assignment in take(member, count=18):
            here = list(assignment.unit.item.candidates.order_by("pk").values_list("pk", flat=True))
            assert sorted(assignment.order) == here
            orders.add(tuple(here.index(candidate) for candidate in assignment.order))
    assert len(orders) == 6  # all orders of three occur
    given = [(row.unit_id, row.order) for row in members[0].user.assignments.order_by("pk")]
    members[0].user.assignments.all().delete()
    study.units.update(taken=0)
    assert [(row.unit_id, row.order) for row in take(members[0], count=18)] == given


# Time ---------------------------------------------------------------------------------------------------------------


def test_a_lease_that_ran_out_stays_until_somebody_needs_the_unit(db: None) -> None:
    study, (one, other) = rating(cases=2, editors=1, raters=1, members=2)
    (first,) = take(one)
    run_out()
    (second,) = take(other)
    assert second.unit_id != first.unit_id
    assert Assignment.objects.get(pk=first.pk).state == "leased"
    (third,) = take(other, turn=1)
    assert third.unit_id == first.unit_id
    assert Assignment.objects.get(pk=first.pk).state == "expired"
    assert take(other, turn=2) == []
    books_are_right(study)


def test_a_running_lease_is_not_taken_back(db: None) -> None:
    _study, (one, other) = rating(cases=1, editors=1, raters=1, members=2)
    take(one)
    assert take(other) == []
    assert leases.expire(one.study, timezone.now() + timedelta(minutes=19)) == 0
    assert leases.expire(one.study, timezone.now() + timedelta(minutes=21)) == 1


def test_activity_renews_all_leases_of_the_annotator_and_nobody_elses(db: None) -> None:
    _study, (one, other) = rating(cases=4, editors=1, raters=2, members=2)
    mine, theirs = take(one, count=2), take(other)
    soon = timezone.now() + timedelta(minutes=5)
    Assignment.objects.update(leased_until=soon)
    leases.renew(leases.mine(one), timezone.now())
    until = dict(Assignment.objects.values_list("pk", "leased_until"))
    assert all(until[row.pk] > soon + timedelta(minutes=14) for row in mine)
    assert until[theirs[0].pk] == soon


def test_a_lost_lease_comes_back_only_while_its_unit_is_free(db: None) -> None:
    study, (one, other) = rating(cases=2, editors=1, raters=1, members=2)
    lost = take(one, count=2)
    run_out()
    leases.expire(study, timezone.now())
    (taken,) = take(other)
    back = leases.revive([row for row in leases.mine(one) if row.state == "expired"])
    assert [row.unit_id for row in back] == [row.unit_id for row in lost if row.unit_id != taken.unit_id]
    books_are_right(study)


def test_a_lost_lease_comes_back_once(db: None) -> None:
    """Two requests of one page may both have read that the lease was lost."""
    study, (one, _other) = rating(cases=1, editors=1, raters=2, members=2)
    take(one)
    run_out()
    leases.expire(study, timezone.now())
    first, second = leases.mine(one), leases.mine(one)
    leases.revive(first)
    leases.revive(second)
    books_are_right(study)


def test_late_work_takes_a_free_place_else_it_is_extra(db: None) -> None:
    study, (one, other, third) = rating(cases=1, editors=1, raters=2, members=3)
    for member in (one, other):
        take(member)
    run_out()
    assert take(third)  # one needed place: both leases that ran out are taken back, one of their places is given away
    late = [submit(member, Assignment.objects.get(annotator=member.user), GOOD) for member in (one, other)]
    assert [judgement.is_extra for judgement in late] == [False, True]
    books_are_right(study)


# Groups -------------------------------------------------------------------------------------------------------------


def test_a_groups_dimensions_go_to_one_person_in_an_order_that_rotates(db: None) -> None:
    study, members = ranking(cases=4, members=3)
    expected = [
        ["quality", "alignment", "preservation"],
        ["alignment", "preservation", "quality"],
        ["preservation", "quality", "alignment"],
    ]
    for member, order in zip(members, expected, strict=True):
        for _group in range(4):
            passes = [take(member)[0] for _dimension in range(3)]
            assert len({row.unit.item_id for row in passes}) == 1
            assert [row.unit.dimension for row in passes] == order
            for row in passes:
                submit(member, row, ranked([["A"], ["B"], ["C"]]))
    assert set(study.units.values_list("done", flat=True)) == {3}


def test_each_pass_of_a_group_is_shuffled_anew(db: None) -> None:
    _study, (one, *_others) = ranking(cases=8, members=1)
    passes = take(one, count=24)
    same = sum(first.order == second.order for first, second in zip(passes[::3], passes[1::3], strict=True))
    assert same <= 5  # by chance one in six


def test_a_group_half_taken_by_others_is_finished_by_those_who_come(db: None) -> None:
    """Leasing several at once does not split a group over what is asked for: the rest of it comes first next time."""
    _study, (one, *_others) = ranking(cases=2, members=2)
    first = take(one, count=2)
    rest = take(one, count=2, turn=2)
    assert len({row.unit.item_id for row in [*first, rest[0]]}) == 1
    assert rest[1].unit.item_id != rest[0].unit.item_id


@pytest.mark.parametrize("first", [1, 2])
def test_more_than_there_is_gives_each_pass_of_the_last_group_once(db: None, first: int) -> None:
    study, (one, *_others) = ranking(cases=1, members=1)
    lent = [*take(one, count=first), *take(one, count=4, turn=first)]
    assert [row.unit.dimension for row in lent] == ["quality", "alignment", "preservation"]
    books_are_right(study)


def test_leases_taken_back_while_leasing_do_not_bring_a_unit_twice(db: None) -> None:
    """One unit is free. What is taken back in the middle of the call is of no use: this annotator had it before."""
    study, (one, other) = rating(cases=2, editors=1, raters=2, members=2)
    (had,) = take(one)
    submit(one, had, GOOD)
    free = study.units.exclude(pk=had.unit_id).get()
    study.units.filter(pk=free.pk).update(target=0)
    take(other)
    study.units.filter(pk=free.pk).update(target=2)
    run_out(annotator=other.user)
    assert [row.unit_id for row in take(one, count=2)] == [free.pk]
    books_are_right(study)


def test_contested_groups_go_to_more_people_once(db: None) -> None:
    study, members = ranking(cases=2, members=8, raters=2, extra_raters=3)
    torn, agreed = study.items.order_by("pk")

    def vote(side: int) -> Callable[[Assignment], judging.Answer]:
        def answer(assignment: Assignment) -> judging.Answer:
            sign = side if assignment.unit.item_id == torn.pk and assignment.unit.dimension == "quality" else 1
            return ranked(by_worth(assignment, lambda candidate: sign * candidate))

        return answer

    judge(study, members[0].user, vote(1))
    assert ask_more_raters(study=study) == 0  # nothing is finished yet
    judge(study, members[1].user, vote(-1))
    assert ask_more_raters(study=study) == 1
    assert ask_more_raters(study=study) == 0
    contested = study.units.filter(target=5)
    assert [(unit.item_id, unit.dimension) for unit in contested] == [(torn.pk, "quality")]
    for number, member in enumerate(members[2:]):
        assert judge(study, member.user, vote(-1 if number % 2 else 1)) == (1 if number < 3 else 0)
    assert contested.get().done == 5
    assert ask_more_raters(study=study) == 0  # still contested, and asked once
    assert [item.pk for item in Item.objects.filter(is_contested=True)] == [torn.pk]
    assert study.units.get(item=agreed, dimension="quality").target == 2


def test_without_extra_raters_nobody_is_asked(db: None) -> None:
    study, members = ranking(cases=1, members=2, raters=2, extra_raters=0)
    for sign, member in zip((1, -1), members, strict=True):
        judge(study, member.user, lambda row, sign=sign: ranked(by_worth(row, lambda candidate: sign * candidate)))  # type: ignore[misc]
    assert ask_more_raters(study=study) == 0
    assert set(study.units.values_list("target", flat=True)) == {2}


def test_the_last_answer_counts_as_the_last_one_after_its_lease_ran_out(
    db: None, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    """Nobody answers the unit again, so what follows on a full unit must follow on the late answer."""
    told: list[int] = []
    monkeypatch.setattr("annotation.followups.FOLLOWUPS", {"tells": told.append})
    study, (one, other) = rating(cases=1, editors=1, raters=2, members=2)
    (late,), (first,) = take(one), take(other)
    with django_capture_on_commit_callbacks(execute=True):
        submit(other, first, GOOD)
    run_out()
    leases.expire(study, timezone.now())
    assert told == []
    with django_capture_on_commit_callbacks(execute=True):
        assert submit(one, late, GOOD).is_extra is False
    assert told == [late.unit_id]
    books_are_right(study)


# Closing ------------------------------------------------------------------------------------------------------------


def test_what_comes_after_closing_is_kept_and_marked_extra(db: None) -> None:
    study, (one, other) = rating(cases=2, editors=1, raters=2, members=2)
    before, after = take(one, count=2)
    submit(one, before, GOOD)
    set_state(study=study, state="closed")
    assert submit(member_of(study, one.user), after, GOOD).is_extra
    books_are_right(study)
    set_state(study=study, state="open")
    assert submit(member_of(study, other.user), take(member_of(study, other.user))[0], GOOD).is_extra is False


# What the database forbids ------------------------------------------------------------------------------------------


def refused(write: Callable[[], object], constraint: str) -> None:
    with pytest.raises(IntegrityError) as error, transaction.atomic():
        write()
    if connection.vendor == "postgresql":
        assert constraint in str(error.value)


def test_the_database_refuses_a_second_judgement(db: None) -> None:
    study, (one, other) = rating(cases=1, editors=1, raters=2, members=2)
    judgement = submit(one, take(one)[0], GOOD)
    foreign = take(other)[0]
    values = {"study": study, "unit": judgement.unit, "annotator": one.user, "answer": {}}
    refused(lambda: Judgement.objects.create(assignment=foreign, **values), "judgement_once")
    refused(lambda: Judgement.objects.bulk_create([Judgement(assignment=foreign, **values)]), "judgement_once")
    other_unit = values | {"annotator": other.user}
    refused(lambda: Judgement.objects.create(assignment=judgement.assignment, **other_unit), "assignment_id")


def test_the_database_refuses_an_overtaken_unit(db: None) -> None:
    study, (one, *_others) = rating(cases=1, editors=1, raters=1, members=1)
    take(one)
    refused(lambda: study.units.update(taken=F("taken") + 1), "unit_not_overtaken")
    refused(lambda: study.units.update(target=0), "unit_not_overtaken")
    refused(lambda: study.units.update(done=2), "unit_done_was_taken")
    item = study.items.get()
    refused(lambda: Unit.objects.create(study=study, item=item, target=1, shuffle=0.5), "unit_once")


def test_the_database_refuses_a_second_assignment_member_event_and_mark(db: None) -> None:
    study, (one, *_others) = rating(cases=1, editors=1, raters=2, members=1)
    (lent,) = take(one)
    judgement = submit(one, lent, GOOD)
    mark, stored = judgement.marks.get(), lent.events.get()
    same = {"study": study, "unit": lent.unit, "annotator": one.user, "order": [], "leased_until": timezone.now()}
    refused(lambda: Assignment.objects.create(**same), "assignment_once")
    refused(lambda: Member.objects.create(study=study, user=one.user, position=3), "member_once")
    refused(lambda: Event.objects.create(assignment=lent, key=stored.key, seq=9, kind="open"), "event_once")
    copy = {"judgement": judgement, "candidate": mark.candidate}
    refused(lambda: Mark.objects.create(**copy, dimension="overall", score=1), "mark_once")
    refused(lambda: Mark.objects.create(**copy, dimension="other"), "mark_says_something")
    refused(lambda: Mark.objects.create(**copy, dimension="other", rank=0.5), "mark_rank_from_one")
