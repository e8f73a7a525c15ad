"""Proposals: accepting makes a case, once; taking back undoes it; two reviewers do not get in each other's way."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.urls import reverse

from annotation.instructions import queries, services
from annotation.instructions.services import Words
from annotation.library import ensure_editor, load_tasks
from annotation.models import Candidate, Case, Dataset, Proposal, Study
from tests import make
from tests.endpoints.service import running
from tests.instructions.make import TEXTS, endpoint, new_ones, proposals, propose
from webapp.jobs.models import Job


@pytest.fixture
def data(db: None, tmp_path: Path) -> Dataset:
    return proposals(tmp_path)


def first(data: Dataset) -> Proposal:
    found = data.proposals.order_by("id").first()
    assert found is not None
    return found


def state(proposal: Proposal) -> tuple[str, Any, Any]:
    proposal.refresh_from_db()
    return proposal.state, proposal.case, proposal.reviewed_by


def test_it_works(data: Dataset, bob: Any) -> None:
    Case.objects.filter(dataset=data).update(split="dev", attribution="Ann", licence="CC0")
    proposal = first(data)
    case = services.accept(proposal=proposal, by=bob)
    assert state(proposal) == ("accepted", case, bob)
    assert proposal.reviewed_at is not None
    assert (case.dataset, case.source, case.task_id) == (data, proposal.source, "remove")
    assert case.instruction == "Remove cup 0."
    assert (case.instruction_zh, case.description, case.requirement) == tuple(list(TEXTS.values())[1:])
    assert (case.split, case.attribution, case.licence) == ("dev", "Ann", "CC0"), "as the picture's other cases"
    assert case.key == "case-0-remove-1"
    assert services.accept(proposal=data.proposals.order_by("id")[1], by=bob).key == "case-0-remove-2"


def test_a_changed_text_is_the_case_s_and_the_proposal_stays(data: Dataset, bob: Any) -> None:
    proposal = first(data)
    case = services.accept(proposal=proposal, by=bob, words=Words(" Remove it all. ", "全部去掉", "", "Clean."))
    assert (case.instruction, case.instruction_zh, case.description, case.requirement) == (
        "Remove it all.",
        "全部去掉",
        "",
        "Clean.",
    )
    proposal.refresh_from_db()
    assert proposal.instruction == "Remove cup 0."


@pytest.mark.parametrize("words", [Words(""), Words("  \n"), Words("nul \0")])
def test_an_instruction_is_needed(data: Dataset, bob: Any, words: Words) -> None:
    with pytest.raises(ValidationError):
        services.accept(proposal=first(data), by=bob, words=words)
    assert state(first(data)) == ("open", None, None)
    assert data.cases.count() == 1


def test_twice_is_once(data: Dataset, bob: Any) -> None:
    case = services.accept(proposal=first(data), by=bob)
    assert services.accept(proposal=first(data), by=bob) == case
    assert data.cases.count() == 2
    services.reject(proposal=data.proposals.order_by("id")[1], by=bob)
    services.reject(proposal=data.proposals.order_by("id")[1], by=bob)
    assert data.proposals.filter(state="rejected").count() == 1


def test_one_s_own_decision_can_be_changed(data: Dataset, bob: Any) -> None:
    services.accept(proposal=first(data), by=bob)
    changed = services.accept(proposal=first(data), by=bob, words=Words("Other."))
    assert data.cases.count() == 2
    assert state(first(data)) == ("accepted", changed, bob)
    services.reject(proposal=first(data), by=bob)
    assert state(first(data)) == ("rejected", None, bob)
    assert data.cases.count() == 1
    services.accept(proposal=first(data), by=bob)
    assert data.cases.count() == 2


def test_taking_back_really_undoes_it(data: Dataset, bob: Any) -> None:
    services.accept(proposal=first(data), by=bob)
    services.reopen(proposal=first(data), by=bob)
    assert state(first(data)) == ("open", None, None)
    assert data.cases.count() == 1
    services.reopen(proposal=first(data), by=bob)  # sent twice
    services.reject(proposal=first(data), by=bob)
    services.reopen(proposal=first(data), by=bob)
    assert state(first(data)) == ("open", None, None)


def test_a_case_in_use_is_not_taken_back(data: Dataset, bob: Any) -> None:
    case = services.accept(proposal=first(data), by=bob)
    editor = ensure_editor(slug="e", name="E")
    made = Candidate.objects.create(case=case, editor=editor, image=case.source, settings_hash="x")
    for act in (services.reopen, services.reject):
        with pytest.raises(ValidationError, match="in use already"):
            act(proposal=first(data), by=bob)
        assert state(first(data)) == ("accepted", case, bob)
    made.delete()
    services.reopen(proposal=first(data), by=bob)
    assert data.cases.count() == 1


def test_the_second_reviewer_is_told(data: Dataset, bob: Any, alice: Any, person: Any) -> None:
    dora = person("dora", "engineer")
    services.accept(proposal=first(data), by=bob)
    for act in (services.accept, services.reject):
        with pytest.raises(ValidationError, match=r"bob was first: the proposal is accepted\. Your decision was not"):
            act(proposal=first(data), by=dora)
    with pytest.raises(ValidationError, match="bob was first"):
        services.reopen(proposal=first(data), by=dora)
    assert data.cases.count() == 2
    services.reopen(proposal=first(data), by=alice)  # an admin mends what others decided
    assert state(first(data))[0] == "open"


def test_a_picture_in_two_splits_is_mended_first(data: Dataset, bob: Any) -> None:
    case = data.cases.get()
    Case.objects.create(dataset=data, key="again", source=case.source, task_id="add", instruction="x", split="test")
    with pytest.raises(ValidationError, match=r"several splits \(test, train\)"):
        services.accept(proposal=first(data), by=bob)
    assert state(first(data)) == ("open", None, None)


def test_a_source_without_cases_gets_one_all_the_same(data: Dataset, bob: Any) -> None:
    data.cases.all().delete()
    case = services.accept(proposal=first(data), by=bob)
    assert case.split == "train"
    assert case.key == f"{case.source.sha256[:12]}-remove-1"


def test_a_key_of_the_longest_kind(data: Dataset, bob: Any) -> None:
    data.cases.update(key="k" * 200)
    keys = {services.accept(proposal=one, by=bob).key for one in data.proposals.order_by("id")}
    assert len(keys) == 3
    assert all(len(key) <= 200 for key in keys)


def test_races_have_one_winner(transactional_db: None, tmp_path: Path, person: Any) -> None:
    """Two reviewers at the same moment, on the same proposals."""
    load_tasks()
    data = proposals(tmp_path, count=6)
    people = [person("bob", "engineer"), person("dora", "engineer")]
    gate = threading.Barrier(2)

    def decide(by: Any) -> list[str]:
        told = []
        try:
            for proposal in data.proposals.order_by("id"):
                gate.wait()
                try:
                    services.accept(proposal=proposal, by=by)
                except ValidationError as error:
                    told += error.messages
        finally:
            connection.close()
        return told

    with ThreadPoolExecutor(2) as threads:
        told = [line for lines in threads.map(decide, people) for line in lines]
    assert len(told) == 6
    assert all("was first" in line for line in told)
    assert data.cases.count() == 1 + 6
    assert len(set(data.cases.values_list("key", flat=True))) == 7


# Pages ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def engineer(client: Client, bob: Any) -> Client:
    client.force_login(bob)
    return client


def send(client: Client, data: Dataset, *events: Any, **more: Any) -> dict[str, Any]:
    body = {"events": list(events), "have": [], "want": 0, **more}
    response = client.post(reverse("review_events", args=[data.uid]), body, content_type="application/json")
    assert response.status_code == 200, response.content
    answer: dict[str, Any] = response.json()
    return answer


def event(proposal: Proposal, kind: str = "accept", data: Any = None, **changes: Any) -> dict[str, Any]:
    return {"key": str(uuid4()), "assignment": str(proposal.uid), "kind": kind, "data": data or {}, **changes}


def test_the_list_counts_by_task_and_state(engineer: Client, data: Dataset, bob: Any) -> None:
    services.accept(proposal=first(data), by=bob)
    services.reject(proposal=data.proposals.order_by("id")[1], by=bob)
    page = engineer.get(reverse("proposals", args=[data.uid])).content.decode()
    assert "Object removal" in page
    assert "0.50" in page, "the share accepted of those that were reviewed"
    assert "case-0-remove-1" in page
    assert [(line.open, line.accepted, line.rejected) for line in queries.lines_of(data)] == [(1, 1, 1)]
    filtered = engineer.get(reverse("proposals", args=[data.uid]), {"state": "rejected"}).content.decode()
    assert "Remove cup 1." in filtered
    assert "Remove cup 0." not in filtered
    assert "Nothing" not in engineer.get(reverse("proposals", args=[data.uid]), {"task": "add"}).content.decode()


def test_a_long_list_costs_few_queries(
    engineer: Client, data: Dataset, bob: Any, django_assert_max_num_queries: Any
) -> None:
    for number in range(40):
        propose(data, source=data.cases.get().source, task_id="add", number=number, instruction=f"Add {number}.")
    services.accept(proposal=first(data), by=bob)
    with django_assert_max_num_queries(12):
        page = engineer.get(reverse("proposals", args=[data.uid])).content.decode()
    assert "after=" in page
    assert page.count("proposal-thumb") == 30
    with django_assert_max_num_queries(12):
        engineer.get(reverse("review", args=[data.uid]))


def test_the_form_starts_a_job(engineer: Client, data: Dataset, settings: Any) -> None:
    settings.PRIVATE_ENDPOINTS = True
    address = reverse("proposals", args=[data.uid])
    assert "no endpoint for chat yet" in engineer.get(address).content.decode()
    with running(new_ones) as service:
        writer = endpoint(service.address)
    form = {"endpoint": writer.pk, "tasks": ["add", "remove"], "count": 2, "limit": "", "most_cost": ""}
    answer = engineer.post(address, form)
    job = Job.objects.get(kind="propose")
    assert answer["Location"] == job.get_absolute_url()
    assert job.config == {
        "dataset": str(data.uid),
        "endpoint": "writer",
        "tasks": ["add", "remove"],
        "count": 2,
        "limit": 0,
        "most_cost": None,
    }
    assert reverse("proposals", args=[data.uid]) in engineer.get(job.get_absolute_url()).content.decode()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tasks": []}, "required"),
        ({"tasks": ["fly"]}, "not one of the available"),
        ({"count": 99}, "less than or equal to 20"),
        ({"most_cost": "2"}, "are not known"),
        ({"endpoint": 999}, "valid choice"),
    ],
)
def test_a_wrong_form_starts_none(
    engineer: Client, data: Dataset, settings: Any, changes: dict[str, Any], words: str
) -> None:
    settings.PRIVATE_ENDPOINTS = True
    writer = endpoint("http://127.0.0.1:9/v1")
    form = {"endpoint": writer.pk, "tasks": ["add"], "count": 1, **changes}
    page = engineer.post(reverse("proposals", args=[data.uid]), form).content.decode()
    assert words in page
    assert not Job.objects.filter(kind="propose").exists()


def test_decisions_and_the_next_ones_in_one_answer(engineer: Client, data: Dataset, bob: Any) -> None:
    one, two, three = data.proposals.order_by("id")
    accepted, rejected = event(one), event(two, "reject")
    answer = send(engineer, data, accepted, rejected, want=5, have=[str(two.uid)])
    assert answer["saved"] == [accepted["key"], rejected["key"]]
    assert answer["refused"] == []
    assert [row["uid"] for row in answer["proposals"]] == [str(three.uid)]
    assert answer["left"] == 1
    row = answer["proposals"][0]
    assert (row["instruction"], row["task"], row["model"]) == ("Remove cup 2.", "Object removal", "m-1")
    assert engineer.get(row["source"]["url"]).status_code == 200
    assert state(one)[::2] == ("accepted", bob)
    assert state(two)[::2] == ("rejected", bob)


def test_a_batch_that_comes_twice_has_one_effect(engineer: Client, data: Dataset) -> None:
    one = first(data)
    words = {**TEXTS, "instruction": "Remove it all."}
    batch = [event(one), event(one, "undo"), event(one, "reject"), event(one, "undo"), event(one, "accept", words)]
    for _time in range(2):
        answer = send(engineer, data, *batch)
        assert answer["refused"] == []
        assert list(data.cases.order_by("id").values_list("instruction", flat=True)) == ["Edit 0", "Remove it all."]


def test_refusals_name_their_event_and_keep_the_others(engineer: Client, data: Dataset, person: Any) -> None:
    one, two, three = data.proposals.order_by("id")
    services.accept(proposal=one, by=person("dora", "engineer"))
    bad = [
        event(one),
        event(two, "accept", {**TEXTS, "instruction": " "}),
        event(two, "shrug"),
        event(two, "accept", {"instruction": 7}),
        event(two, "accept", {**TEXTS, "instruction": "half \ud800"}),
        {"key": "k", "assignment": str(uuid4()), "kind": "accept"},
        {"key": "k2", "assignment": "x", "kind": "accept"},
        "nonsense",
    ]
    good = event(three, "reject")
    answer = send(engineer, data, *bad, good)
    assert answer["saved"] == [good["key"]]
    assert len(answer["refused"]) == len(bad)
    assert "dora was first" in answer["refused"][0]["error"]
    assert "An instruction is needed" in answer["refused"][1]["error"]
    assert state(two)[0] == "open"


def test_a_proposal_of_another_data_set_is_not_reached(engineer: Client, data: Dataset, tmp_path: Path) -> None:
    other = proposals(tmp_path)
    answer = send(engineer, data, event(first(other)))
    assert "no longer in the data set" in answer["refused"][0]["error"]
    assert state(first(other))[0] == "open"


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b'{"events": 7}', b"[" * 100_000])
def test_what_cannot_be_read_is_said(engineer: Client, data: Dataset, body: bytes) -> None:
    response = engineer.post(reverse("review_events", args=[data.uid]), body, content_type="application/json")
    assert response.status_code == 400
    assert response.json()["error"]


def test_too_many_events_at_once(engineer: Client, data: Dataset) -> None:
    body = {"events": [{}] * 51}
    response = engineer.post(reverse("review_events", args=[data.uid]), body, content_type="application/json")
    assert response.status_code == 413


def test_strange_wishes_do_no_harm(engineer: Client, data: Dataset) -> None:
    for more in ({"have": 7}, {"have": ["x", None, 3]}, {"want": "many"}, {"want": -1}, {"task": 7}):
        assert send(engineer, data, **more)["proposals"] == []
    assert len(send(engineer, data, want=10**9)["proposals"]) == 3


def test_reviewers_begin_at_different_places_and_reach_everything(data: Dataset, person: Any) -> None:
    source = data.cases.get().source
    for number in range(40):
        propose(data, source=source, task_id="add", number=number)
    people = [person(f"p{number}", "engineer") for number in range(4)]
    firsts = [queries.to_review(data, by, most=8)[0].pk for by in people]
    assert len(set(firsts)) == 4
    for by in people:
        assert {row.pk for row in queries.to_review(data, by, most=99)} == set(
            data.proposals.values_list("pk", flat=True)
        )


def test_accepted_cases_go_into_studies_as_others_do(data: Dataset, bob: Any) -> None:
    case = services.accept(proposal=first(data), by=bob)
    editor = ensure_editor(slug="e", name="E")
    for number in range(2):
        Candidate.objects.create(case=case, editor=editor, image=case.source, seed=number, settings_hash="x")
    made = make.study(data, "group-rank")
    assert isinstance(made, Study)
    assert made.items.filter(case=case).exists()
    with pytest.raises(ValidationError, match="in use"):
        services.reopen(proposal=first(data), by=bob)
