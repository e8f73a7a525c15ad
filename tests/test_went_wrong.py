"""What went wrong in other annotation tools, each as a test of the server's side. The pages' side is in tests/js."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation import assign, work
from annotation.models import Assignment, Event, Judgement, Mark, Study, Unit
from annotation.protocols import PRESETS
from annotation.studies import add_member
from scoring import results
from scoring.export_tables import Options
from scoring.exports import start_export
from tests import judging
from tests.judging import by_worth, event, judge, ranked, rated
from webapp.accounts.models import User
from webapp.live.streams import client as redis

GOOD = rated({"quality": 3.5, "alignment": 2, "preservation": 5})


class Page:
    """An annotator's page, as far as the server sees it."""

    def __init__(self, user: User, study: Study) -> None:
        self.browser, self.study = Client(raise_request_exception=False), study
        self.browser.force_login(user)

    def post(self, name: str, body: Any) -> Any:
        return self.browser.post(reverse(f"work_{name}", args=[self.study.uid]), body, content_type="application/json")

    def next(self, want: int = 1, have: tuple[str, ...] = ()) -> dict[str, Any]:
        answer: dict[str, Any] = self.post("next", {"want": want, "have": have}).json()
        return answer

    def first(self) -> dict[str, Any]:
        item: dict[str, Any] = self.next()["assignments"][0]
        return item

    def send(self, *events: dict[str, Any], want: int = 0) -> dict[str, Any]:
        answer: dict[str, Any] = self.post("events", {"events": events, "want": want, "have": []}).json()
        return answer

    def submit(self, item: dict[str, Any], answer: dict[str, Any] = GOOD) -> dict[str, Any]:
        return self.send(event(item["uid"], "submit", 9, answer=answer))

    def back(self, before: str | None = None) -> dict[str, Any]:
        answer: dict[str, Any] = self.post("back", {"before": before}).json()["assignment"]
        return answer


@pytest.fixture
def rating(carol: User) -> Study:
    return judging.study(judging.dataset(cases=3, editors=2), "mos", (carol,))


@pytest.fixture
def page(carol: User, rating: Study) -> Page:
    return Page(carol, rating)


# A refused save answered 200 and the page said "saved". -------------------------------------------------------------


def test_a_refused_save_is_never_listed_as_saved(page: Page) -> None:
    item = page.first()
    good, bad = event(item["uid"], "open"), event(item["uid"], "submit", 2, answer=rated({"quality": 3}))
    answer = page.send(good, bad)
    assert answer["saved"] == [good["key"]]
    assert [(row["key"], bool(row["error"])) for row in answer["refused"]] == [(bad["key"], True)]
    assert answer["submitted"] == {}
    assert list(Event.objects.values_list("kind", flat=True)) == ["open"]
    assert not Judgement.objects.exists()


@pytest.mark.parametrize("body", ["", "[]", "{", "null", '{"events": {}}', "[" * 100_000])
def test_an_unreadable_save_is_answered_by_an_error(page: Page, body: str) -> None:
    answer = page.post("events", body)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_a_save_that_breaks_in_the_middle_stores_nothing_and_can_be_sent_again(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = page.first()
    batch = [event(item["uid"], "open"), event(item["uid"], "submit", 2, answer=GOOD)]
    with monkeypatch.context() as broken:
        broken.setattr(Mark.objects, "bulk_create", lambda _rows: 1 / 0)
        assert page.post("events", {"events": batch}).status_code == 500
    assert not Event.objects.exists()
    assert not Judgement.objects.exists()
    assert Unit.objects.get(uid=item["unit"]).done == 0
    assert page.send(*batch)["submitted"] == {item["uid"]: "done"}
    assert Judgement.objects.get().marks.count() == 3


@pytest.mark.parametrize(
    "data",
    [
        {"value": float("nan")},
        {"value": float("inf")},
        {"text": "a\x00b"},
        {"text": "half of a character: \ud83d"},
        {"\x00": 1},
        {"answer": GOOD | {"remark": "a\x00b"}},
        {"text": "x" * work.DATA_LENGTH},
        [],
        "text",
    ],
)
def test_what_cannot_be_stored_is_refused_and_holds_up_nothing(page: Page, data: Any) -> None:
    """One such event would otherwise fail with everything that waits behind it, again and again."""
    item = page.first()
    kind = "submit" if "answer" in data else "remark"
    bad = event(item["uid"], kind) | {"data": data}
    good = event(item["uid"], "submit", 2, answer=GOOD | {"remark": "\\u0000 and 𝄞 are text like any other"})
    answer = page.send(bad, good)
    assert answer["saved"] == [good["key"]]
    assert [row["key"] for row in answer["refused"]] == [bad["key"]]
    assert Judgement.objects.get().remark.startswith("\\u0000 and 𝄞")


@pytest.mark.parametrize(
    "form", [str.upper, lambda key: key.replace("-", ""), lambda key: f"{{{key}}}", lambda _key: "1"]
)
def test_a_key_in_another_form_is_refused_because_its_repeat_would_not_be_known(
    page: Page, form: Callable[[str], str]
) -> None:
    item = page.first()
    odd = event(item["uid"], "submit", answer=GOOD)
    odd["key"] = form("abcdef01-2345-4789-abcd-ef0123456789")
    assert page.send(odd)["refused"][0]["key"] == odd["key"]
    assert not Event.objects.exists()


def test_an_answer_twice_in_one_save_is_one_answer(page: Page) -> None:
    submit = event(page.first()["uid"], "submit", answer=GOOD)
    assert page.send(submit, submit)["saved"] == [submit["key"]] * 2
    assert Judgement.objects.get().revisions == 0
    assert Event.objects.count() == 1


# Returning to an item replaced the answer by a default order. -------------------------------------------------------


def test_returning_to_an_item_keeps_its_answer(carol: User) -> None:
    study = judging.study(judging.dataset(cases=1, editors=4), "group-rank", (carol,))
    page = Page(carol, study)
    item = page.first()
    given = ranked([["D"], ["B", "A"], ["C"]])
    page.submit(item, given)
    marks = sorted(Mark.objects.values_list("candidate", "rank", "score"))
    page.next(want=3)
    again = page.back()
    assert (again["uid"], again["revising"]) == (item["uid"], True)
    assert again["images"] == item["images"]
    assert [row["data"]["answer"] for row in again["events"] if row["kind"] == "submit"] == [given]
    page.send(event(item["uid"], "open", 10), event(item["uid"], "place", 11, letter="A", shelf=0))
    assert sorted(Mark.objects.values_list("candidate", "rank", "score")) == marks
    assert Judgement.objects.get().answer == given
    assert Judgement.objects.get().revisions == 0


def test_going_back_leads_through_all_answers_to_the_first(page: Page) -> None:
    given = [item for item in page.next(want=6)["assignments"] if page.submit(item)]
    uid, found = None, []
    while item := page.back(uid):
        uid = item["uid"]
        found.append(uid)
    assert found == [item["uid"] for item in reversed(given)]


# A default was stored for items scrolled past. ----------------------------------------------------------------------


def test_an_item_that_was_only_looked_at_has_no_answer(page: Page) -> None:
    items = page.next(want=4)["assignments"]
    for item in items:
        page.send(event(item["uid"], "open"), event(item["uid"], "compare", 2, tool="wipe"))
        page.send(event(item["uid"], "score", 3, dimension="quality", value=4.2), event(item["uid"], "undo", 4))
    assert Event.objects.count() == 16
    assert not Judgement.objects.exists()
    assert not Mark.objects.exists()
    assert set(Assignment.objects.values_list("state", flat=True)) == {"leased"}


def test_nothing_is_filled_in_for_a_dimension_that_was_not_answered(page: Page) -> None:
    item = page.first()
    page.submit(item, rated({"quality": 2}, flag="broken"))
    assert list(Mark.objects.values_list("dimension", "score")) == [("quality", 2)]


# A second annotator was sent to "done" and every answer after that was lost. ----------------------------------------


def test_a_second_annotator_gets_all_the_work_and_every_answer_is_kept(page: Page, mallory: User) -> None:
    for user in (page.study.members.get().user, mallory):
        add_member(study=page.study, user=user)
        other = Page(user, page.study)
        for _item in range(6):
            assert other.submit(other.first())["submitted"]
        assert "nothing more" in other.next()["done"]
    assert Judgement.objects.filter(is_extra=False).count() == 12
    assert set(page.study.units.values_list("done", flat=True)) == {2}


def test_answers_after_the_end_are_kept(carol: User, mallory: User) -> None:
    """Others finished everything while this page still held an item."""
    protocol = replace(PRESETS["mos"], raters=1)
    study = judging.study(judging.dataset(cases=1, editors=2), members=(carol, mallory), protocol=protocol)
    slow, quick = Page(carol, study), Page(mallory, study)
    held = slow.first()
    Assignment.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    for _item in range(2):
        quick.submit(quick.first())
    assert "nothing more" in slow.next()["done"]
    assert slow.submit(held)["submitted"] == {held["uid"]: "extra"}
    assert Judgement.objects.get(annotator=carol).marks.count() == 3


# Two empty answers counted as perfect agreement. --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "empty"),
    [
        ("mos", rated({}, flag="cannot_judge")),
        ("group-rank", {"order": [], "shelves": {}, "flag": "cannot_judge"}),
        ("pairwise", {"choice": None, "flag": "cannot_judge"}),
    ],
)
def test_two_empty_answers_are_no_agreement(carol: User, mallory: User, preset: str, empty: dict[str, Any]) -> None:
    protocol = replace(PRESETS[preset], raters=2)
    study = judging.study(judging.dataset(cases=2), preset, (carol, mallory), protocol=protocol)
    for user in (carol, mallory):
        assert judge(study, user, lambda _assignment: empty) > 0
    found = results.of_study(study)
    assert found.editors == found.agreement == found.concordance == found.candidates == []
    assert results.contested_groups(study) == set()


def test_two_who_tie_everything_do_not_agree_either(carol: User, mallory: User) -> None:
    """Equal ranks for all say nothing about an order: there is no figure, and not a 1."""
    study = judging.study(judging.dataset(cases=2), "group-rank", (carol, mallory))
    for user in (carol, mallory):
        judge(study, user, lambda _assignment: ranked([["A", "B", "C"]]))
    found = results.of_study(study).concordance
    assert {(row.groups, row.measured, row.w, row.tau) for row in found} == {(2, 0, None, None)}


# Agreement read labels wrongly and was always 1.0. ------------------------------------------------------------------


def test_the_same_letters_for_other_candidates_are_no_agreement(carol: User, mallory: User) -> None:
    """Letters are shuffled for each annotator: agreement is about the candidates behind them."""
    study = judging.study(judging.dataset(cases=8), "group-rank", (carol, mallory))
    for user in (carol, mallory):
        judge(study, user, lambda _assignment: ranked([["A"], ["B"], ["C"]]))
    for row in results.of_study(study).concordance:
        assert row.measured == 8
        assert row.w is not None
        assert row.w < 0.9


@pytest.mark.parametrize(("sign", "w", "tau"), [(1, 1.0, 1.0), (-1, 0.0, -1.0)])
def test_agreement_on_rankings_goes_from_none_to_all(
    carol: User, mallory: User, sign: int, w: float, tau: float
) -> None:
    study = judging.study(judging.dataset(cases=2), "group-rank", (carol, mallory))
    judge(study, carol, lambda row: ranked(by_worth(row, lambda candidate: candidate)))
    judge(study, mallory, lambda row: ranked(by_worth(row, lambda candidate: sign * candidate)))
    for row in results.of_study(study).concordance:
        assert (row.w, row.tau) == (pytest.approx(w), pytest.approx(tau))
    assert len(results.contested_groups(study)) == (0 if sign == 1 else 6)


@pytest.mark.parametrize(("sign", "alpha"), [(1, 1.0), (-1, -0.75)])
def test_agreement_on_scores_goes_below_zero(carol: User, mallory: User, sign: int, alpha: float) -> None:
    """Four items, scores 1 to 4 against 4 to 1: observed 2·20/8 = 5, expected 2·10/7, so α = 1 - 5·7/20 = -0.75."""
    study = judging.study(judging.dataset(cases=4, editors=1), "likert4", (carol, mallory))
    study.units.update(target=2)

    def answer(assignment: Assignment, way: int) -> dict[str, Any]:
        place = int(assignment.unit.item.case.key[-1]) + 1
        return rated(dict.fromkeys(("following", "quality"), place if way == 1 else 5 - place))

    judge(study, carol, lambda row: answer(row, 1))
    judge(study, mallory, lambda row: answer(row, sign))
    for _dimension, found in results.of_study(study).agreement:
        assert found.alpha == pytest.approx(alpha)


# Progress went past its total when gold items were mixed in. --------------------------------------------------------


def test_progress_never_passes_its_total_whatever_is_mixed_in(carol: User, mallory: User) -> None:
    """Two people at one study; leases are lost on the way, units are given to more people, extra answers come in."""
    protocol = replace(PRESETS["mos"], raters=1)
    study = judging.study(judging.dataset(cases=2, editors=2), members=(carol, mallory), protocol=protocol)
    pages, held = [Page(carol, study), Page(mallory, study)], []
    for turn in range(16):
        answer = pages[turn % 2].next(want=4)
        held += [(pages[turn % 2], item) for item in answer["assignments"]]
        Assignment.objects.filter(state="leased").update(leased_until=timezone.now() - timedelta(seconds=1))
        if turn == 8:
            study.units.filter(done=1).update(target=2)
        if turn > 2 and held:
            owner, item = held.pop(turn % len(held))
            answer = owner.submit(item)
            assert answer["submitted"]
        progress = answer["progress"]
        assert progress["today"] <= progress["done"] <= progress["total"]
    assert set(Judgement.objects.values_list("is_extra", flat=True)) == {True, False}


# Order reshuffled at a restart. -------------------------------------------------------------------------------------


def test_the_order_survives_a_restart_and_even_another_shuffle(carol: User, monkeypatch: pytest.MonkeyPatch) -> None:
    study = judging.study(judging.dataset(cases=3, editors=6), "group-rank", (carol,))
    before = Page(carol, study).next(want=9)["assignments"]
    behind = dict(Assignment.objects.values_list("uid", "order"))
    monkeypatch.setattr(assign, "shuffled", lambda values, *_seed: sorted(values))
    assert Page(carol, Study.objects.get()).next(want=8)["assignments"] == before[:8]
    assert dict(Assignment.objects.values_list("uid", "order")) == behind


def test_items_come_in_another_order_to_everybody(carol: User, mallory: User) -> None:
    study = judging.study(judging.dataset(cases=12, editors=1), members=(carol, mallory))
    units = [[item["unit"] for item in Page(user, study).next(want=8)["assignments"]] for user in (carol, mallory)]
    assert units[0] != units[1]


# A minimum response time trusted the client. ------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0, -1, 2**61, 10**30, "yesterday", None])
def test_response_time_is_by_the_servers_clock(page: Page, at: Any) -> None:
    item = page.first()
    page.send(event(item["uid"], "open") | {"at": at})
    Assignment.objects.update(opened_at=timezone.now() - timedelta(seconds=90))
    page.send(event(item["uid"], "submit", 2, answer=GOOD) | {"at": at})
    assert 90 <= (Judgement.objects.get().seconds or 0) < 120


def test_an_answer_to_an_item_that_was_never_opened_has_no_response_time(page: Page) -> None:
    page.submit(page.first())
    assert Judgement.objects.get().seconds is None


def test_the_time_of_a_revision_begins_when_the_item_is_opened_again(page: Page) -> None:
    item = page.first()
    page.send(event(item["uid"], "open"))
    page.submit(item)
    Assignment.objects.update(opened_at=timezone.now() - timedelta(hours=2))
    page.send(event(item["uid"], "open", 10))
    page.send(event(item["uid"], "submit", 11, answer=rated({"quality": 1, "alignment": 1, "preservation": 1})))
    judgement = Judgement.objects.get()
    assert judgement.revisions == 1
    assert 0 <= (judgement.seconds or 0) < 60


# A worker that was not running left a spinner for ever. -------------------------------------------------------------


def test_a_job_without_a_worker_says_so_and_what_to_do(rating: Study, bob: User) -> None:
    for key in redis().scan_iter(match="worker:default:*"):
        redis().delete(key)
    job = start_export(study=rating, table="mos", format="csv", options=Options(), by=bob)
    browser = Client()
    browser.force_login(bob)
    for name in ("job", "job_status"):
        text = browser.get(reverse(name, args=[job.uid])).content.decode()
        assert "No worker listens" in text
        assert "Start one" in text
    redis().set(f"worker:default:{uuid.uuid4()}", "1", ex=15)
    assert "No worker listens" not in browser.get(reverse("job_status", args=[job.uid])).content.decode()
