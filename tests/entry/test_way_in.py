"""An annotator's way in: each step, what is refused before it is passed, and what is kept all the same."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from annotation import leases
from annotation.entry import gate, practice, queries, services
from annotation.entry.gate import Step
from annotation.entry.services import digits_of, publish_guidelines
from annotation.models import (
    Assignment,
    Event,
    Judgement,
    Member,
    Purpose,
    QualificationTry,
    Reference,
    Unit,
)
from annotation.queries import work_of
from tests import judging
from tests.entry import rows
from tests.entry.rows import BAD, GOOD, SCREEN, Walk, Walker
from webapp.accounts.models import SIMULATED, User


def test_it_works(walk: Walk, bob: Any) -> None:
    """All steps in order: consent, guidelines, screen, training, qualification, work."""
    somebody = walk(owner=bob, consent="You may *stop* at any time.", guidelines="Look closely.", viewing=True)
    rows.reference(somebody.study, "training", feedback="The edges are torn.")
    rows.reference(somebody.study, "qualification", 1)
    assert somebody.where() == "consent"
    assert "<em>stop</em>" in somebody.get("way_in").content.decode()
    somebody.go_on("consent")
    assert somebody.where() == "guidelines"
    assert "Look closely." in somebody.get("way_in").content.decode()
    somebody.go_on("guidelines", number=1)
    assert somebody.where() == "viewing"
    somebody.go_on("viewing", **SCREEN, **digits_of(somebody.member))
    assert somebody.where() == "training"
    reply = somebody.go_on("training")
    assert reply["Location"] == reverse("practice", args=[somebody.study.uid])
    page = somebody.get("practice").content.decode()
    assert "Training" in page and reverse("practice_next", args=[somebody.study.uid]) in page
    told = somebody.practise(BAD)
    assert told["feedback"]["is_right"] is False
    assert told["feedback"]["words"] == "The edges are torn."
    assert [line["right"] for line in told["feedback"]["lines"]] == ["4 ± 0.5", "2"]
    assert told["step"]["title"] == "Training is finished"
    assert somebody.where() == "qualification"
    assert somebody.qualify(GOOD)["step"]["title"] == "You passed"
    assert somebody.where() == "work"
    item = somebody.live().json()["assignments"][0]
    assert somebody.answer(item, GOOD, "work_events")["submitted"] == {item["uid"]: "done"}
    member = somebody.member
    assert member.done == 1  # practice is no work
    assert member.viewing["zoom"] == 100 and member.viewing["tries"] == 1
    assert {j.unit.purpose for j in Judgement.objects.select_related("unit")} == {"training", "qualification", "live"}


def test_a_study_without_settings_is_open_at_once(walk: Walk) -> None:
    somebody = walk()
    assert somebody.where() == "work"
    assert gate.may_work(somebody.member)
    assert somebody.live().status_code == 200
    assert somebody.get("way_in")["Location"] == reverse("workplace", args=[somebody.study.uid])


@pytest.fixture
def steps(walk: Walk) -> dict[Step, Callable[[], Walker]]:
    def with_items(purpose: str) -> Walker:
        somebody = walk(tries=1)
        rows.reference(somebody.study, purpose)
        return somebody

    def failed() -> Walker:
        somebody = with_items("qualification")
        somebody.qualify(BAD)
        return somebody

    return {
        Step.CONSENT: lambda: walk(consent="Agree?"),
        Step.GUIDELINES: lambda: walk(guidelines="Read this."),
        Step.VIEWING: lambda: walk(viewing=True),
        Step.TRAINING: lambda: with_items("training"),
        Step.QUALIFICATION: lambda: with_items("qualification"),
        Step.FAILED: failed,
    }


@pytest.mark.parametrize("step", list(Step))
def test_no_work_before_the_step_is_passed(steps: dict[Step, Callable[[], Walker]], step: Step) -> None:
    somebody = steps[step]()
    given = Assignment.objects.filter(unit__purpose="live")
    assert somebody.where() == step
    assert gate.step_of(somebody.member) == step and not gate.may_work(somebody.member)
    event = judging.event("00000000-0000-4000-8000-000000000000", "submit", answer=GOOD)
    for reply in (somebody.live(), somebody.post("work_events", events=[event]), somebody.post("work_back")):
        assert reply.status_code == 403
        assert reply.json()["go"] == reverse("way_in", args=[somebody.study.uid])
        assert len(reply.json()["error"]) > 20
    assert not given.exists()
    assert not Event.objects.filter(assignment__in=given).exists()


@pytest.mark.parametrize("step", ["viewing", "training", "qualification", "guidelines", "", "failed"])
def test_no_step_is_passed_out_of_turn(walk: Walk, step: str) -> None:
    somebody = walk(consent="Agree?", viewing=True, guidelines="Read.")
    rows.reference(somebody.study, "training")
    somebody.go_on(step, number=1, **SCREEN, **digits_of(somebody.member))
    assert somebody.where() == "consent"
    member = somebody.member
    assert (member.guidelines_read, member.viewed_at, member.trained_at) == (0, None, None)
    assert not Assignment.objects.exists()
    assert somebody.get("practice").status_code == 302
    assert somebody.post("practice_next").json()["assignments"] == []


def test_what_was_given_out_before_is_kept_late(walk: Walk, bob: Any) -> None:
    """New guidelines while items are held: their answers are stored, and no more come before they are read."""
    somebody = walk(owner=bob)
    item = somebody.live().json()["assignments"][0]
    publish_guidelines(study=somebody.study, text="Mind the shadows.", by=bob)
    reply = somebody.answer(item, GOOD, "work_events")
    assert reply["submitted"] == {item["uid"]: "done"}
    assert reply["assignments"] == [] and reply["done"] is None
    assert reply["step"]["go"] == reverse("way_in", args=[somebody.study.uid])
    assert Judgement.objects.get().is_extra is False
    assert somebody.live().status_code == 403
    somebody.go_on("guidelines", number=1)
    assert len(somebody.live().json()["assignments"]) == 1


# Training and qualification ------------------------------------------------------------------------------------------


def test_training_goes_item_by_item_with_feedback_and_decides_nothing(walk: Walk) -> None:
    somebody = walk()
    for number in range(3):
        rows.reference(somebody.study, "training", number)
    somebody.go_on("training")
    reply = somebody.post("practice_next", want=8).json()
    assert len(reply["assignments"]) == 1
    assert reply["progress"] == {"done": 0, "today": 0, "total": 3, "worked_minutes": 0}
    first = reply["assignments"][0]["uid"]
    assert somebody.post("practice_next", have=[first]).json()["assignments"] == []
    reply = somebody.answer(first, GOOD)
    assert reply["feedback"]["is_right"] and reply["step"] is None
    urls = [picture["url"] for picture in reply["feedback"]["images"]]
    assert all(str(first) in url for url in urls) and len(urls) == 2
    assert somebody.where() == "training"  # half way
    somebody.go_on("training")  # and on again
    assert Assignment.objects.count() == 3
    somebody.practise(BAD, BAD)
    assert somebody.where() == "work"
    over = somebody.post("practice_next").json()
    assert over["assignments"] == [] and "finished" in over["step"]["sentence"]


def test_an_answer_that_the_server_refuses_is_no_training(walk: Walk) -> None:
    somebody = walk()
    rows.reference(somebody.study, "training")
    somebody.go_on("training")
    reply = somebody.practise(judging.rated({"quality": 4}))
    assert "has no score yet" in reply["refused"][0]["error"]
    assert reply["feedback"] is None and somebody.where() == "training"
    assert somebody.post("practice_back").json() == {"assignment": None}


def test_every_try_has_units_of_its_own_and_is_kept(walk: Walk, bob: Any) -> None:
    somebody = walk(owner=bob, tries=2, pass_mark=1)
    for number in range(2):
        rows.reference(somebody.study, "qualification", number)
    reply = somebody.qualify(GOOD, BAD)
    assert reply["step"]["title"] == "You did not pass" and reply["feedback"] is None
    assert "1 of 2 answers were right. The pass mark is 100 %. You have 1 more try." in reply["step"]["sentence"]
    assert "Try 1: 50 %" in somebody.get("way_in").content.decode()
    assert "No try is left." in somebody.qualify(BAD, BAD)["step"]["sentence"]
    assert somebody.where() == "failed"
    assert "bob" in somebody.get("way_in").content.decode()
    somebody.go_on("failed")
    somebody.go_on("qualification")
    assert QualificationTry.objects.count() == 2
    assert list(QualificationTry.objects.values_list("number", "share", "passed")) == [(1, 0.5, False), (2, 0, False)]
    units = Unit.objects.filter(purpose="qualification").values_list("item", "round")
    assert len(set(units)) == 4 and {number for _item, number in units} == {1, 2}
    assert Reference.objects.filter(unit__purpose="qualification").count() == 4
    assert Judgement.objects.count() == 4


def test_the_result_costs_the_same_however_long_the_test_is(walk: Walk) -> None:
    def queries(items: int) -> int:
        somebody = walk(tries=1)
        for number in range(items):
            rows.reference(somebody.study, "qualification", number)
        somebody.qualify(*[GOOD] * (items - 1))
        (item,) = somebody.post("practice_next").json()["assignments"]
        with CaptureQueriesContext(connection) as found:
            assert somebody.answer(item, GOOD)["step"]["title"] == "You passed"
        return len(found)

    assert queries(2) == queries(5)


def test_a_left_test_waits_and_a_late_change_of_an_answer_changes_no_result(walk: Walk) -> None:
    somebody = walk(tries=1, pass_mark=0.5)
    rows.reference(somebody.study, "qualification")
    somebody.go_on("qualification")
    somebody.go_on("qualification")
    assert QualificationTry.objects.count() == Assignment.objects.count() == 1
    somebody.practise(BAD)
    assert somebody.where() == "failed"
    somebody.answer(str(somebody.held().uid), GOOD)
    somebody.answer(str(somebody.held().uid), GOOD, "work_events")
    assert somebody.where() == "failed"
    assert QualificationTry.objects.get().share == 0


def test_an_item_that_is_withdrawn_in_a_test_still_counts_in_it(walk: Walk) -> None:
    somebody = walk(tries=2)
    first, second = (rows.reference(somebody.study, "qualification", number) for number in range(2))
    somebody.go_on("qualification")
    services.withdraw_reference(reference=second)
    somebody.practise(BAD, BAD)
    assert QualificationTry.objects.get().share == 0
    somebody.qualify(GOOD)
    assert somebody.where() == "work"
    assert Unit.objects.filter(item=first.unit.item_id).count() == 2
    services.withdraw_reference(reference=first)
    assert gate.step_of(somebody.member) is None


def test_answers_to_practice_are_final(walk: Walk) -> None:
    """After the feedback another answer would say nothing; sent past the page it is refused."""
    somebody = walk()
    rows.reference(somebody.study, "training", feedback="Look at the edges.")
    rows.reference(somebody.study, "training", 1)
    somebody.go_on("training")
    assert somebody.practise(BAD)["feedback"]["is_right"] is False
    first = Assignment.objects.get(state="done")
    for page in ("practice_events", "work_events"):
        reply = somebody.answer(str(first.uid), GOOD, page)
        (refused,) = reply["refused"]
        assert refused["error"] == "You answered this already, and were told. Answers to practice are final."
    assert Judgement.objects.get().revisions == 0


def test_an_item_that_is_withdrawn_comes_back_to_nobody(walk: Walk) -> None:
    """Not even when somebody's lease of it runs out, and its place is free."""
    somebody = walk(tries=1)
    first, second = (rows.reference(somebody.study, "qualification", number) for number in range(2))
    somebody.go_on("qualification")
    services.withdraw_reference(reference=second)
    Assignment.objects.filter(unit=second.unit).update(leased_until=timezone.now() - timedelta(days=9))
    leases.expire(somebody.study, timezone.now())
    row = next(row for row in queries.rows_of(somebody.study, [Unit.objects.get(pk=second.unit_id)]))
    assert row.is_withdrawn
    assert [unit.pk for unit in practice._references(somebody.member, Purpose.QUALIFICATION)] == [first.unit_id]


def test_who_failed_sees_it_under_my_work(walk: Walk) -> None:
    somebody = walk(tries=1)
    rows.reference(somebody.study, "qualification")
    assert [row.closed for row in work_of(somebody.user)] == [""]
    somebody.qualify(BAD)
    assert [row.closed for row in work_of(somebody.user)] == ["Not qualified"]
    page = somebody.client.get(reverse("work")).content.decode()
    assert "Not qualified" in page and "Begin" not in page


def test_a_ranking_and_a_pair_can_be_practised(walk: Walk) -> None:
    for preset, right, wrong in (
        ("group-rank", judging.ranked([["A"], ["B"]]), judging.ranked([["B"], ["A"]])),
        ("pairwise", {"choice": "A"}, {"choice": "tie"}),
    ):
        somebody = walk(preset=preset)
        pair = rows.candidates(somebody.study)[:2]
        keys = [one.pk for one in pair]
        answer = {"order": [[keys[0]], [keys[1]]], "least_tau": 1} if preset == "group-rank" else {"choice": keys[0]}
        services.add_reference(study=somebody.study, candidates=pair, purpose="qualification", answer=answer, by=None)
        somebody.go_on("qualification")
        order = somebody.held().order
        assert somebody.get("practice").status_code == 200
        somebody.practise(right if order == keys else (wrong if preset == "group-rank" else {"choice": "B"}))
        assert somebody.where() == "work", preset


def test_let_in_by_hand_and_one_more_try_are_kept(walk: Walk, bob: Any) -> None:
    somebody = walk(owner=bob, tries=1, guidelines="Read.")
    rows.reference(somebody.study, "qualification")
    somebody.go_on("guidelines", number=1)
    somebody.qualify(BAD)
    services.decide(member=somebody.member, kind="try", note="Slow line.", by=bob)
    assert somebody.where() == "qualification"
    somebody.go_on("qualification")  # begun and left
    services.decide(member=somebody.member, kind="let_in", note="", by=bob)
    assert somebody.where() == "work"
    items = somebody.live().json()["assignments"]
    assert Assignment.objects.get(uid=items[0]["uid"]).unit.purpose == "live"  # not what was left of the test
    assert [d.kind for d in somebody.member.entry_decisions.order_by("id")] == ["try", "let_in"]
    with pytest.raises(ValidationError):
        services.decide(member=somebody.member, kind="forget", note="", by=bob)


def test_a_step_back_never_leads_into_practice(walk: Walk) -> None:
    somebody = walk()
    rows.reference(somebody.study, "training")
    somebody.go_on("training")
    somebody.practise(GOOD)
    somebody.live()
    assert somebody.post("work_back").json() == {"assignment": None}


def test_practice_leases_do_not_run_out_and_are_nobodys_live_work(walk: Walk, mallory: Any) -> None:
    somebody = walk()
    rows.reference(somebody.study, "training")
    somebody.go_on("training")
    assert leases.expire(somebody.study, timezone.now() + leases.LEASE * 2) == 0
    assert {unit.purpose for unit in leases._open_units(somebody.member)} == {"live"}


def test_simulated_annotators_pass_by_the_program(walk: Walk) -> None:
    somebody = walk(consent="Agree?", guidelines="Read.")
    robot = User.objects.create(username=f"{SIMULATED}robot", is_simulated=True, is_active=False)
    member = judging.add_member(study=somebody.study, user=robot)
    assert gate.step_of(Member.objects.select_related("study", "user").get(pk=member.pk)) is None


REFUSED_ITEMS = [
    ({"purpose": "live"}, "for training, qualification, gold or attention"),
    ({"candidates": []}, "has 1 candidates"),
    ({"candidates": [0, 1]}, "has 1 candidates"),
    ({"answer": {"scores": {}}}, "at least one dimension"),
]


@pytest.mark.parametrize(("values", "words"), REFUSED_ITEMS)
def test_a_reference_item_that_is_refused(walk: Walk, values: dict[str, Any], words: str) -> None:
    made = walk().study
    all_of_them = rows.candidates(made)
    chosen = [all_of_them[number] for number in values.get("candidates", [0])]
    answer = values.get("answer", {"scores": rows.RIGHT})
    with pytest.raises(ValidationError, match=words):
        services.add_reference(
            study=made, candidates=chosen, purpose=values.get("purpose", "gold"), answer=answer, by=None
        )
    assert not Reference.objects.exists()


def test_the_candidates_of_an_item_are_of_one_case_of_the_studys_data_set(walk: Walk) -> None:
    made, other = walk(preset="pairwise").study, walk(preset="pairwise").study
    of_case = rows.candidates(made)
    values = {"study": made, "purpose": "gold", "by": None}
    with pytest.raises(ValidationError, match="one case"):
        services.add_reference(candidates=[of_case[0], of_case[2]], answer={"choice": "tie"}, **values)
    with pytest.raises(ValidationError, match="study's data set"):
        services.add_reference(candidates=rows.candidates(other)[:2], answer={"choice": "tie"}, **values)
