"""What leases make of the rules of assignment: links, ranges of quality, places, hidden checks, and what it costs."""

from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F, Value
from django.db.models.functions import Concat
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from annotation import mixing
from annotation.models import Assignment, Candidate, Member, Study, Unit
from tests import judging
from tests.judging import judge, member_of, rated, submit
from tests.test_leases import GOOD, books_are_right, people, ranking, rating, take
from webapp.accounts.models import User

# Who gets what ------------------------------------------------------------------------------------------------------


def parts_of(study: Study) -> int:
    """Into how many parts the annotators fall who share no unit, by brute force."""
    people = [
        set(unit.assignments.values_list("annotator", flat=True)) for unit in study.units.filter(assignments__gt=0)
    ]
    parts: list[set[int]] = []
    for some in people:
        near = [part for part in parts if part & some]
        parts = [part for part in parts if not part & some] + [some.union(*near)]
    return len(parts)


def test_people_who_do_little_hang_together(db: None) -> None:
    """120 places in 60 units for 8 people who judge three each: by chance some would share nothing with anybody."""
    study, members = rating(cases=15, editors=4, raters=2, members=8)
    for member in members:
        judge(study, member.user, lambda _assignment: GOOD, limit=3)
    assert parts_of(study) == 1


def test_a_lease_that_ran_out_is_no_link(db: None) -> None:
    study, (one, other) = rating(cases=10, editors=2, raters=2, members=2)
    (only,) = take(one)
    for turn in range(2):
        take(other, turn=turn)
    assert parts_of(study) == 1
    Assignment.objects.filter(annotator=other.user, unit=only.unit).update(state="expired")
    Assignment.objects.filter(annotator=one.user).exclude(unit=only.unit).update(state="expired")
    again = take(one, turn=1)
    assert again[0].unit.assignments.filter(annotator=other.user, state="leased").exists()


def test_what_is_known_of_quality_is_the_mean_so_far_or_that_of_the_editor(db: None) -> None:
    """Editor 0 got 5 of 5, editor 1 got 1, editor 2 nothing; one image of editor 0 got 2."""
    study, (one, other) = rating(cases=4, editors=3, raters=2, members=2)
    scores = {"editor-0": 5, "editor-1": 1}
    for unit in study.units.order_by("pk"):
        candidate = unit.item.candidates.get()
        if candidate.editor.slug in scores and candidate.case.key in ("case-000", "case-001"):
            odd = (candidate.editor.slug, candidate.case.key) == ("editor-0", "case-001")
            give(one, unit, 2 if odd else scores[candidate.editor.slug])
    images = {row.pk: row for row in Candidate.objects.select_related("editor", "case")}
    known = mixing._quality(study, images, mixing.editors_of(images))
    found = {(images[key].editor.slug, images[key].case.key): value for key, value in known.items()}
    assert found["editor-0", "case-000"] == 1.0
    assert found["editor-0", "case-001"] == 0.4
    assert found["editor-0", "case-003"] == pytest.approx(0.7)
    assert found["editor-1", "case-002"] == 0.2
    assert not [key for key in found if key[0] == "editor-2"]
    mix = mixing.mix_of(other, list(study.units.all()))
    ranges = Counter(offer.range for offer in mix.offers.values())
    assert ranges == {0: 3, 1: 3, 2: 2, None: 4}


def give(member: Member, unit: Unit, score: float) -> None:
    row = Assignment.objects.create(
        study=member.study,
        unit=unit,
        annotator=member.user,
        order=list(unit.item.candidates.values_list("pk", flat=True)),
        leased_until=timezone.now() + timedelta(minutes=5),
    )
    Unit.objects.filter(pk=unit.pk).update(taken=F("taken") + 1)
    submit(member, row, rated({"overall": score}))


def test_sides_of_pairs_are_even_for_every_annotator(db: None) -> None:
    users = people(2)
    study = judging.study(judging.dataset(cases=6, editors=3), "pairwise", users)
    study.units.update(target=2)
    for user in users:
        for turn in range(6):
            take(member_of(study, user), count=3, turn=3 * turn)
    editor = dict(Candidate.objects.values_list("pk", "editor_id"))
    for user in users:
        left = Counter(editor[row.order[0]] for row in user.assignments.all())
        assert set(left.values()) <= {5, 6, 7}, "12 pairs with each editor"
    first = Counter(tuple(sorted(row.order)) for row in Assignment.objects.all() if row.order[0] < row.order[1])
    assert sum(first.values()) == pytest.approx(18, abs=4)


def test_a_lease_costs_the_same_in_a_large_study(db: None) -> None:
    costs = []
    for cases in (8, 40):
        study, members = rating(cases=cases, editors=4, raters=3, members=2)
        for member in members:
            judge(study, member.user, lambda _assignment: GOOD, limit=cases)
        with CaptureQueriesContext(connection) as queries:
            assert len(take(members[0], count=3, turn=cases)) == 3
        costs.append(len(queries))
        User.objects.all().update(username=Concat(F("username"), Value(f"-{cases}")))
    assert costs[0] == costs[1] <= 15, queries.captured_queries


# Hidden checks ------------------------------------------------------------------------------------------------------


@pytest.fixture
def hidden(monkeypatch: pytest.MonkeyPatch) -> list[Unit]:
    """Units that are due, and are no more once they were given out."""
    due: list[Unit] = []

    def tell(member: Member, done: int, held: int) -> list[list[Unit]]:
        return [[unit] for unit in due if not unit.assignments.filter(annotator=member.user).exists()]

    monkeypatch.setattr("annotation.leases.placing.due", tell)
    return due


def hide(study: Study, purpose: str = "gold") -> Unit:
    unit = study.units.order_by("-pk").first()
    assert unit is not None
    unit.purpose, unit.target = purpose, 9
    unit.save()
    return unit


def test_hidden_units_come_among_new_ones_and_count_as_taken(db: None, hidden: list[Unit]) -> None:
    study, (one, _other) = rating(cases=3, editors=2, raters=2, members=2)
    hidden.append(hide(study))
    lent = take(one, count=3)
    assert sorted(row.unit.purpose for row in lent) == ["gold", "live", "live"]
    (gold,) = [row for row in lent if row.unit.purpose == "gold"]
    assert gold.order == list(gold.unit.item.candidates.values_list("pk", flat=True))
    books_are_right(study)
    assert [row.unit.purpose for row in take(one, count=2, turn=3)] == ["live", "live"]


def test_the_place_in_a_batch_tells_no_hidden_unit(db: None, hidden: list[Unit]) -> None:
    study, members = rating(cases=10, editors=2, raters=20, members=12)
    hidden.append(hide(study))
    study.units.filter(pk=hidden[0].pk).update(target=12)
    batches = [[row.unit.purpose for row in take(member, count=3)] for member in members]
    assert len({batch.index("gold") for batch in batches}) > 1, "twelve times the same place: 1 in 177,147"
    assert {len(batch) for batch in batches} == {3}


def test_a_hidden_unit_parts_no_group(db: None, hidden: list[Unit]) -> None:
    study, members = ranking(cases=5, members=4, raters=20)
    gold = hide(study)
    study.units.filter(item=gold.item_id).exclude(pk=gold.pk).delete()
    study.units.filter(pk=gold.pk).update(target=9)
    hidden.append(gold)
    for member in members:
        items = [row.unit.item_id for row in [*take(member, count=5), *take(member, count=2, turn=5)]]
        rest = [item for item in items if item != gold.item_id]
        assert [rest[:3], rest[3:]] == [[rest[0]] * 3, [rest[3]] * 3]
        assert items.index(gold.item_id) in (0, 3)


def test_no_more_hidden_units_than_are_asked_for(db: None, hidden: list[Unit]) -> None:
    study, (one,) = rating(cases=3, editors=2, raters=2, members=1)
    hidden += [hide(study), *study.units.order_by("pk")[:2]]
    assert [row.unit_id for row in take(one)] == [hidden[0].pk]


def test_a_hidden_unit_without_a_free_place_is_left_out(db: None, hidden: list[Unit]) -> None:
    study, (one,) = rating(cases=3, editors=2, raters=2, members=1)
    hidden.append(hide(study))
    study.units.filter(pk=hidden[0].pk).update(target=0)
    assert [row.unit.purpose for row in take(one, count=2)] == ["live", "live"]


def test_a_group_is_finished_before_and_after_a_hidden_one(db: None, hidden: list[Unit]) -> None:
    study, (one,) = ranking(cases=3, members=1)
    first = take(one)[0]
    gold = study.items.exclude(pk=first.unit.item_id).order_by("pk").first()
    assert gold is not None
    gold.units.update(purpose="gold")
    hidden.append(gold.units.order_by("pk")[0])
    rest = take(one, count=4, turn=1)
    assert [row.unit.item_id for row in rest][:3] == [first.unit.item_id, first.unit.item_id, gold.pk]
    assert rest[3].unit.item_id not in (first.unit.item_id, gold.pk)
    assert len({row.unit.item_id for row in [rest[3], *take(one, count=2, turn=5)]}) == 1
