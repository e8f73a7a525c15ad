"""What the annotation pages send, end to end on the server."""

import uuid
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from annotation.models import Assignment, Event, Judgement, Mark, Member, Unit
from tests import make


def post(client: Client, name: str, study: Any, body: Any) -> Any:
    return client.post(reverse(name, args=[study.uid]), body, content_type="application/json")


def event(assignment: str, kind: str, seq: int = 1, **data: Any) -> dict[str, Any]:
    return {"key": str(uuid.uuid4()), "assignment": assignment, "seq": seq, "kind": kind, "data": data, "at": 1}


def scores(value: float = 3.5) -> dict[str, Any]:
    return {"scores": {"quality": value, "alignment": value, "preservation": value}, "flag": None, "remark": ""}


@pytest.fixture
def rating(tmp_path: Path, carol: Any) -> Any:
    return make.study(make.dataset(tmp_path), "mos", (carol,))


@pytest.fixture
def page(client: Client, carol: Any) -> Client:
    client.force_login(carol)
    return client


def first(page: Client, study: Any) -> dict[str, Any]:
    answer: dict[str, Any] = post(page, "work_next", study, {"have": [], "want": 1}).json()["assignments"][0]
    return answer


def test_it_works(page: Client, rating: Any, carol: Any) -> None:
    item = first(page, rating)
    events = [event(item["uid"], "open"), event(item["uid"], "submit", 2, answer=scores())]
    answer = post(page, "work_events", rating, {"events": events, "have": [], "want": 1}).json()
    assert answer["saved"] == [e["key"] for e in events]
    assert answer["submitted"] == {item["uid"]: "done"}
    assert answer["progress"]["done"] == 1
    assert answer["assignments"][0]["uid"] != item["uid"]
    judgement = Judgement.objects.get(annotator=carol)
    assert not judgement.is_extra
    assert judgement.seconds is not None
    assert set(judgement.marks.values_list("dimension", "score")) == {(d, 3.5) for d in scores()["scores"]}


def test_page_renders_without_telling_who_made_an_image(page: Client, rating: Any) -> None:
    item = first(page, rating)
    html = page.get(reverse("workplace", args=[rating.uid])).content.decode()
    for text in (html, str(item)):
        assert "editor-" not in text
        assert "seed" not in text
    image = page.get(item["images"][0]["url"])
    assert image["Content-Type"] == "image/webp"
    assert image.content[:4] == b"RIFF"


def test_same_event_twice_is_one(page: Client, rating: Any) -> None:
    item = first(page, rating)
    submit = event(item["uid"], "submit", answer=scores())
    for _ in range(3):
        answer = post(page, "work_events", rating, {"events": [submit]}).json()
        assert answer["saved"] == [submit["key"]]
        assert answer["submitted"] == {item["uid"]: "done"}
    assert Event.objects.count() == 1
    assert Judgement.objects.get().revisions == 0
    assert Unit.objects.get(uid=item["unit"]).done == 1


def test_a_refused_answer_is_not_saved(page: Client, rating: Any) -> None:
    item = first(page, rating)
    bad = [
        event(item["uid"], "submit", 1, answer={"scores": {"quality": 3}}),
        event(item["uid"], "submit", 2, answer=scores(5.1)),
        event(item["uid"], "submit", 3, answer="nonsense"),
        event(item["uid"], "submit", 4, answer=scores() | {"flag": "ugly"}),
        event(item["uid"], "paint", 5),
        event(str(uuid.uuid4()), "open", 6),
        {"kind": "open"},
    ]
    answer = post(page, "work_events", rating, {"events": bad}).json()
    assert answer["saved"] == []
    assert len(answer["refused"]) == len(bad)
    assert all(refusal["error"] for refusal in answer["refused"])
    assert "Editing alignment has no score yet." in answer["refused"][0]["error"]
    assert not Event.objects.exists()
    assert not Judgement.objects.exists()


def test_revising_keeps_one_judgement_and_the_whole_history(page: Client, rating: Any) -> None:
    item = first(page, rating)
    for value in (2.0, 4.0, 3.0):
        post(page, "work_events", rating, {"events": [event(item["uid"], "submit", answer=scores(value))]})
    judgement = Judgement.objects.get()
    assert judgement.revisions == 2
    assert set(Mark.objects.values_list("score", flat=True)) == {3.0}
    assert Event.objects.filter(kind="submit").count() == 3
    assert Unit.objects.get(uid=item["unit"]).done == 1
    back = post(page, "work_back", rating, {"before": None}).json()["assignment"]
    assert back["uid"] == item["uid"]
    assert back["revising"]
    assert [e["data"]["answer"]["scores"]["quality"] for e in back["events"]] == [2.0, 4.0, 3.0]


def test_late_work_is_kept_and_marked_extra(page: Client, rating: Any, carol: Any, mallory: Any, bob: Any) -> None:
    """A lease that ran out goes to somebody else; what its first holder sends later is neither dropped nor counted."""
    from datetime import timedelta

    from django.utils import timezone

    from annotation import leases
    from annotation.studies import add_member

    item = first(page, rating)
    unit = Unit.objects.get(uid=item["unit"])
    Unit.objects.filter(pk=unit.pk).update(target=1)
    Unit.objects.exclude(pk=unit.pk).update(target=0, taken=0)
    Assignment.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    other = add_member(study=rating, user=mallory)
    (taken,) = leases.lease(other, count=1, turn=0)
    assert taken.unit_id == unit.pk
    answer = post(page, "work_events", rating, {"events": [event(item["uid"], "submit", answer=scores())]}).json()
    assert answer["submitted"] == {item["uid"]: "extra"}
    assert Judgement.objects.get(annotator=carol).is_extra
    unit.refresh_from_db()
    assert (unit.taken, unit.done) == (1, 0)


def test_a_lost_lease_comes_back_with_its_work(page: Client, rating: Any) -> None:
    from datetime import timedelta

    from django.utils import timezone

    from annotation import leases

    item = first(page, rating)
    post(page, "work_events", rating, {"events": [event(item["uid"], "score", dimension="quality", value=2)]})
    Assignment.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    leases.expire(rating, timezone.now())
    assert Assignment.objects.get().state == "expired"
    again = first(page, rating)
    assert again["uid"] == item["uid"]
    assert again["events"][0]["data"] == {"dimension": "quality", "value": 2}


def test_activity_renews_the_lease(page: Client, rating: Any) -> None:
    from datetime import timedelta

    from django.utils import timezone

    item = first(page, rating)
    soon = timezone.now() + timedelta(minutes=1)
    Assignment.objects.update(leased_until=soon)
    post(page, "work_events", rating, {"events": [event(item["uid"], "open")]})
    assert Assignment.objects.get().leased_until > soon + timedelta(minutes=10)


def test_order_survives_a_reload(page: Client, tmp_path: Path, carol: Any) -> None:
    study = make.study(make.dataset(tmp_path, cases=3, editors=6), "group-rank", (carol,))
    item = first(page, study)
    again = first(page, study)
    assert item == again
    order = Assignment.objects.get().order
    assert sorted(order) == sorted(Unit.objects.get(uid=item["unit"]).item.candidates.values_list("pk", flat=True))


def test_session_cap_gives_a_break(page: Client, rating: Any, carol: Any) -> None:
    from datetime import timedelta

    from django.utils import timezone

    item = first(page, rating)
    now = timezone.now()
    Member.objects.update(session_started_at=now - timedelta(minutes=31), last_active_at=now - timedelta(seconds=5))
    answer = post(page, "work_events", rating, {"events": [event(item["uid"], "submit", answer=scores())]}).json()
    assert answer["submitted"] == {item["uid"]: "done"}
    assert "30 minutes" in answer["break"]["sentence"]
    assert answer["assignments"] == []
    assert answer["done"] is None
    Member.objects.update(break_until=now - timedelta(seconds=1))
    assert post(page, "work_next", rating, {"want": 1}).json()["assignments"]


def test_progress_never_passes_its_total(page: Client, rating: Any) -> None:
    total = None
    for _ in range(6):
        item = first(page, rating)
        answer = post(page, "work_events", rating, {"events": [event(item["uid"], "submit", answer=scores())]}).json()
        progress = answer["progress"]
        total = total or progress["total"]
        assert progress["done"] <= progress["total"] == total
    assert answer["progress"]["done"] == 6
    assert answer["assignments"] == []
    assert "nothing more" in answer["done"]


def test_second_annotator_is_not_sent_to_done(page: Client, rating: Any, mallory: Any) -> None:
    from annotation.studies import add_member

    while post(page, "work_next", rating, {"want": 1}).json()["assignments"]:
        item = first(page, rating)
        post(page, "work_events", rating, {"events": [event(item["uid"], "submit", answer=scores())]})
    add_member(study=rating, user=mallory)
    other = Client()
    other.force_login(mallory)
    item = first(other, rating)
    answer = post(other, "work_events", rating, {"events": [event(item["uid"], "submit", answer=scores())]}).json()
    assert answer["submitted"] == {item["uid"]: "done"}


@pytest.mark.parametrize("state", ["paused", "closed"])
def test_a_study_that_is_not_open_gives_no_work_and_keeps_what_was_begun(page: Client, rating: Any, state: str) -> None:
    from annotation.studies import set_state

    item = first(page, rating)
    set_state(study=rating, state=state)
    answer = post(page, "work_events", rating, {"events": [event(item["uid"], "submit", answer=scores())]}).json()
    assert answer["submitted"] == {item["uid"]: "extra" if state == "closed" else "done"}
    assert answer["assignments"] == []
    assert state in answer["done"]


def test_strangers_and_the_signed_out_get_nothing(rating: Any, mallory: Any, page: Client) -> None:
    item = first(page, rating)
    other = Client()
    for name in ("work_next", "work_events", "work_back"):
        assert post(other, name, rating, {}).status_code == 401
    other.force_login(mallory)
    for name in ("work_next", "work_events", "work_back"):
        assert post(other, name, rating, {}).status_code == 404
    assert other.get(reverse("workplace", args=[rating.uid])).status_code == 404
    assert other.get(item["images"][0]["url"]).status_code == 404


@pytest.mark.parametrize("body", ["", "[]", "{", '{"events": 3}'])
def test_unreadable_bodies_are_refused(page: Client, rating: Any, body: str) -> None:
    answer = post(page, "work_events", rating, body)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_too_many_events_are_refused(page: Client, rating: Any) -> None:
    item = first(page, rating)
    answer = post(page, "work_events", rating, {"events": [event(item["uid"], "open")] * 201})
    assert answer.status_code == 413
    assert not Event.objects.exists()


def test_an_item_costs_few_queries(page: Client, rating: Any, django_assert_max_num_queries: Any) -> None:
    item = first(page, rating)
    submit = event(item["uid"], "submit", 2, answer=scores())
    with django_assert_max_num_queries(30):
        post(page, "work_events", rating, {"events": [event(item["uid"], "open"), submit], "want": 1, "have": []})
