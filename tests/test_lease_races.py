"""Many people at once, in threads on a database of its own: nobody overtakes, nothing is counted twice or lost."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from annotation.library import load_tasks
from annotation.models import Assignment, Event, Judgement, Member
from tests import judging
from tests.judging import event, member_of, submit
from tests.test_leases import GOOD, books_are_right, ranking, rating, run_out, take

race = pytest.mark.django_db(transaction=True)


@pytest.fixture
def tasks(transactional_db: None) -> None:
    load_tasks()  # the database was emptied by the test before


def all_at_once(works: list[Callable[[], None]]) -> list[BaseException]:
    """Run every piece of work in a thread of its own, started together; returns what they raised."""
    start, raised = threading.Barrier(len(works)), []

    def run(work: Callable[[], None]) -> None:
        try:
            start.wait()
            work()
        except BaseException as error:
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def take_all(member: Member, count: int) -> Callable[[], None]:
    def work() -> None:
        turn = 0
        while lent := take(member, count, turn):
            turn += len(lent)

    return work


@race
@pytest.mark.parametrize("count", [1, 4])
def test_a_race_for_few_units_overtakes_none(tasks: None, count: int) -> None:
    """8 people want 12 units each; there are places for 3 people a unit."""
    study, members = rating(cases=6, editors=2, raters=3, members=8)
    assert all_at_once([take_all(member, count) for member in members]) == []
    assert set(study.units.values_list("taken", flat=True)) == {3}
    assert Assignment.objects.count() == 36
    books_are_right(study)


@race
def test_a_race_for_groups_overtakes_none(tasks: None) -> None:
    study, members = ranking(cases=4, members=6)
    assert all_at_once([take_all(member, 3) for member in members]) == []
    assert set(study.units.values_list("taken", flat=True)) == {3}
    books_are_right(study)


@race
def test_two_pages_of_one_person_get_different_units(tasks: None) -> None:
    study, (one, *_others) = rating(cases=8, editors=1, raters=3, members=1)
    assert all_at_once([take_all(member_of(study, one.user), 2) for _page in range(4)]) == []
    assert Assignment.objects.count() == 8
    assert set(study.units.values_list("taken", flat=True)) == {1}


@race
def test_leases_that_ran_out_are_given_away_once_in_a_race(tasks: None) -> None:
    study, members = rating(cases=4, editors=1, raters=2, members=8)
    for member in members[:2]:
        assert len(take(member, count=4)) == 4
    run_out()
    assert all_at_once([take_all(member, 2) for member in members[2:]]) == []
    assert Assignment.objects.filter(state="expired").count() == 8
    assert set(study.units.values_list("taken", flat=True)) == {2}
    books_are_right(study)


@race
def test_answers_that_come_together_are_all_counted(tasks: None) -> None:
    study, members = rating(cases=3, editors=2, raters=6, members=6)
    lent = [(member, take(member, count=6)) for member in members]

    def send_all(member: Member, rows: list[Assignment]) -> Callable[[], None]:
        return lambda: [submit(member, row, GOOD) for row in rows] and None

    assert all_at_once([send_all(member, rows) for member, rows in lent]) == []
    assert set(study.units.values_list("taken", "done")) == {(6, 6)}
    assert Judgement.objects.filter(is_extra=False).count() == 36
    books_are_right(study)


@race
def test_batches_that_touch_the_same_units_in_other_orders_wait_for_each_other(tasks: None) -> None:
    """Answers that waited off line come in one batch, each annotator's in an order of its own."""
    study, members = rating(cases=6, editors=1, raters=6, members=6)
    batches = []
    for number, member in enumerate(members):
        rows = sorted(take(member, count=6), key=lambda row: row.unit_id, reverse=bool(number % 2))
        batches.append((member, [event(row, "submit", answer=GOOD) for row in rows]))
    works = [lambda member=member, rows=rows: judging.send(member, *rows) and None for member, rows in batches]  # type: ignore[misc]
    assert all_at_once(works) == []
    assert set(study.units.values_list("taken", "done")) == {(6, 6)}


@race
def test_one_batch_sent_several_times_at_once_is_one_judgement(tasks: None) -> None:
    """A page that got no answer sends again while the first request may still be at work."""
    study, (one, *_others) = rating(cases=1, editors=1, raters=3, members=1)
    (lent,) = take(one)
    batch = [event(lent, "open"), event(lent, "submit", 2, answer=GOOD)]
    outcomes: list[Any] = []
    works = [lambda: outcomes.append(judging.send(member_of(study, one.user), *batch)) for _page in range(6)]
    assert all_at_once(works) == []
    assert all(outcome.saved == [row["key"] for row in batch] for outcome in outcomes)
    assert Judgement.objects.get().revisions == 0
    assert Event.objects.count() == 2
    assert study.units.values_list("taken", "done").get() == (1, 1)
