"""Groups and items on which people disagree go to more annotators by themselves, once, and are contested after that."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from annotation import followups
from annotation.models import Exclusion, Item, Unit
from annotation.studies import add_member
from scoring.reannotation import queries, services
from scoring.reannotation.agreement import mean_difference, rating_agreement
from tests import judging
from tests.scoring_items.make import DOWN, UP, annotators, contested_group, give, study, torn_group, unit_of

SCORES = st.lists(st.integers(0, 50).map(lambda tenths: tenths / 10), min_size=2, max_size=12)


def follow(unit: Unit) -> Unit:
    services.follow_up(unit.pk)
    return Unit.objects.select_related("item", "study").get(pk=unit.pk)


def rated(scores: list[dict[str, float]], **protocol: Any) -> Unit:
    """The full unit of the one item of a rating study, with these annotators' scores."""
    made = study("mos", editors=1, raters=len(scores), **protocol)
    for user, given_scores in zip(annotators(len(scores)), scores, strict=True):
        give(unit_of(made), user, scores=given_scores)
    return unit_of(made)


def all_three(score: float) -> dict[str, float]:
    return {"quality": score, "alignment": 3, "preservation": 3}


# The measure --------------------------------------------------------------------------------------------------------


@given(SCORES)
@hypothesis_settings(max_examples=40, deadline=None)
def test_the_mean_difference_is_that_of_all_pairs(scores: list[float]) -> None:
    pairs = [abs(one - other) for one, other in combinations(scores, 2)]
    found = mean_difference(np.zeros(len(scores), dtype=np.int64), np.array(scores), 1)
    assert found[0] == pytest.approx(np.mean(pairs), abs=1e-12)


def test_agreement_at_its_ends_and_in_the_middle() -> None:
    unit = np.repeat(np.arange(5), [3, 2, 4, 1, 2])
    score = np.array([4, 4, 4, 1, 5, 1, 5, 5, 1, 3, 2, 3], dtype=float)
    low, high = np.full(5, 1.0), np.full(5, 5.0)
    found = rating_agreement(unit, score, low, high)
    assert found[:3].tolist() == [1.0, 0.0, 0.0]  # all the same; two at the two ends; four in two camps
    assert np.isnan(found[3])  # one rating agrees with nobody
    assert found[4] == 0.5  # a step of a quarter of the scale


def test_ratings_drawn_evenly_come_to_a_third() -> None:
    drawn = np.random.default_rng(3).random(200_000)
    unit = np.repeat(np.arange(2), 100_000)
    assert rating_agreement(unit, drawn, np.zeros(2), np.ones(2)) == pytest.approx(1 / 3, abs=0.01)


# More annotators, once ----------------------------------------------------------------------------------------------


def test_a_torn_group_goes_to_more_people_and_is_contested_only_after_them(db: None) -> None:
    unit = torn_group(raters=3, extra=3)
    unit = follow(unit)
    assert (unit.target, unit.item.is_contested) == (6, False)
    assert unit.study.units.filter(target=3).count() == 2  # the other dimensions wait for as many as before
    for number, user in enumerate(annotators(3)):
        give(unit, user, order=DOWN if number % 2 else UP)
        unit = follow(unit)
        assert unit.item.is_contested == (number == 2)
    assert (unit.target, unit.done) == (6, 6)
    assert (follow(unit).target, follow(unit).item.is_contested) == (6, True)


def test_a_group_that_agrees_after_more_people_is_not_contested(db: None) -> None:
    unit = follow(torn_group(raters=3, extra=5))
    for user in annotators(5):
        give(unit, user, order=DOWN)
    unit = follow(unit)
    assert (unit.target, unit.done, unit.item.is_contested) == (8, 8, False)


def test_people_who_agree_are_enough(db: None) -> None:
    made = study(raters=2, extra_raters=3)
    unit = unit_of(made, "quality")
    for user in annotators(2):
        give(unit, user, order=UP)
    unit = follow(unit)
    assert (unit.target, unit.item.is_contested) == (2, False)


def test_only_a_full_unit_of_live_work_is_looked_at(db: None) -> None:
    unit = torn_group(raters=3)
    Unit.objects.filter(pk=unit.pk).update(target=4)
    assert follow(unit).target == 4
    Unit.objects.filter(pk=unit.pk).update(target=3, purpose="gold")
    assert follow(unit).target == 3
    services.follow_up(0)  # it was deleted in the meantime


def test_webhooks_are_told_once_that_an_item_is_contested(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[Any, ...]] = []
    monkeypatch.setattr(services, "announce", lambda event, payload, *, study: told.append((event, payload, study)))
    unit = contested_group()
    follow(follow(unit))
    assert told == [("study.contested", {"item": str(unit.item.uid)}, unit.study)]


def test_two_workers_cannot_ask_twice(db: None) -> None:
    """The second worker read the unit before the first one changed it."""
    unit = torn_group(raters=3, extra=3)
    stale = Unit.objects.get(pk=unit.pk)
    assert services._send_on(unit.study, [unit]) == 1
    assert services._send_on(unit.study, [stale]) == 0
    assert Unit.objects.get(pk=unit.pk).target == 6


def test_the_number_of_raters_of_the_split_decides_who_was_asked(db: None) -> None:
    made = study(raters=1, split_raters={"test": 3}, extra_raters=2)
    unit = unit_of(made, "quality")
    unit.item.case.split = "test"
    unit.item.case.save()
    Unit.objects.filter(pk=unit.pk).update(target=3)
    for number, user in enumerate(annotators(3)):
        give(unit, user, order=UP if number % 2 else DOWN)
    assert follow(unit).target == 5


def test_a_study_that_asks_nobody_more_marks_nothing(db: None) -> None:
    unit = follow(torn_group(raters=3, extra=0))
    assert services.ask_more_raters(study=unit.study) == 0
    assert (unit.target, Item.objects.get().is_contested) == (3, False)


def test_ratings_far_apart_go_to_more_people(db: None) -> None:
    unit = follow(rated([all_three(1), all_three(5)], extra_raters=2))
    assert unit.target == 4  # all dimensions are rated together
    close = follow(rated([all_three(3), all_three(3.5)], extra_raters=2))
    assert close.target == 2


def test_the_threshold_is_the_studys(db: None) -> None:
    """A quarter of the scale apart is an agreement of 0.5."""
    apart = [all_three(3), all_three(4)]
    assert follow(rated(apart, extra_raters=2, agreement=0.5)).target == 2
    assert follow(rated(apart, extra_raters=2, agreement=0.51)).target == 4


def test_judgements_that_do_not_count_are_not_asked(db: None) -> None:
    """Extra, excused and excluded ones neither make nor end a dispute."""
    made = study("mos", editors=1, raters=3, extra_raters=2)
    good, also, wild, late, excused = annotators(5)
    unit = unit_of(made)
    for user, score in ((good, 3), (also, 3), (wild, 1)):
        give(unit, user, scores=all_three(score))
    give(unit, late, scores=all_three(5), is_extra=True)
    give(Unit.objects.get(pk=unit.pk), excused, scores=all_three(1), is_extra=True, flag="cannot_judge")
    Exclusion.objects.create(study=made, annotator=wild, reason="Clicks at random.")
    (quality,) = (one for one in queries.agreed(made) if one.dimension == "quality")
    assert (quality.value, quality.people) == (1.0, 2)
    assert follow(unit).target == 3


def test_a_follow_up_reads_only_its_own_group(db: None) -> None:
    """As many queries, and no marks of others, however large the study is."""
    unit = torn_group(raters=3)
    with CaptureQueriesContext(
        connection,
    ) as few:
        services.follow_up(unit.pk)
    made = study(raters=3, cases=4)
    for place in range(4):
        for number, user in enumerate(annotators(3)):
            give(unit_of(made, "quality", place), user, order=UP if number % 2 else DOWN)
    one = unit_of(made, "quality", 2)
    assert {found.item for found in queries.agreed(made, [one.item_id], "quality")} == {one.item_id}
    with CaptureQueriesContext(connection) as many:
        services.follow_up(one.pk)
    assert len(many) == len(few) <= 4
    assert sorted(made.units.filter(dimension="quality").values_list("target", flat=True)) == [3, 3, 3, 6]


def test_what_is_registered_is_told_after_the_commit(
    db: None, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    told: list[int] = []

    def breaks(_unit: int) -> None:
        raise RuntimeError("no matter")

    assert "reannotation" in followups.FOLLOWUPS
    monkeypatch.setattr(followups, "FOLLOWUPS", {"breaks": breaks, "tells": told.append})
    with django_capture_on_commit_callbacks(execute=True):
        followups.unit_is_full(7)
        assert told == []
    assert told == [7]  # although the one before it failed


def test_the_last_judgement_sends_the_group_on_by_itself(db: None, django_capture_on_commit_callbacks: Any) -> None:
    """From the annotator's submission to the changed unit, through the page's own service."""
    made = study(raters=2, extra_raters=3, editors=3)
    for sign in (1, -1):
        (user,) = annotators(1)
        add_member(study=made, user=user)

        def answer(row: Any, sign: int = sign) -> judging.Answer:
            worth = sign if row.unit.dimension == "quality" else 1
            return judging.ranked(judging.by_worth(row, lambda key: worth * key))

        with django_capture_on_commit_callbacks(execute=True):
            judging.judge(made, user, answer)
    assert dict(made.units.values_list("dimension", "target")) == {"quality": 5, "alignment": 2, "preservation": 2}


# The button ---------------------------------------------------------------------------------------------------------


def test_the_button_does_it_for_studies_where_it_did_not_happen(db: None) -> None:
    unit = torn_group(raters=3, extra=2)
    assert services.ask_more_raters(study=unit.study) == 1
    assert services.ask_more_raters(study=unit.study) == 0
    for number, user in enumerate(annotators(2)):
        give(unit, user, order=UP if number % 2 else DOWN)
    assert services.ask_more_raters(study=unit.study) == 0
    assert Item.objects.get().is_contested


def test_the_button_works_for_ratings(db: None) -> None:
    unit = rated([all_three(1), all_three(5)], extra_raters=2)
    assert services.ask_more_raters(study=unit.study) == 1
    assert Unit.objects.get().target == 4


def test_the_button_takes_the_mark_from_items_on_which_people_agree_by_now(db: None) -> None:
    unit = contested_group()
    odd = unit.judgements.order_by("pk")[1].annotator
    Exclusion.objects.create(study=unit.study, annotator=odd, reason="Clicks at random.")
    assert services.ask_more_raters(study=unit.study) == 0
    assert not Item.objects.get().is_contested
