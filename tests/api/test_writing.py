"""What the interface does: studies, members, exports, jobs; and every refusal in words."""

import json
from typing import Any

import pytest

from annotation.models import Study, Unit
from annotation.protocols import PRESET_LABELS
from scoring.api.telling import tell_full
from scoring.exports import KIND
from tests import judging
from tests.api.world import DIMENSIONS, Program, World
from webapp.accounts.models import User
from webapp.hooks import services
from webapp.hooks.events import EVENTS
from webapp.hooks.models import Delivery, Webhook
from webapp.jobs import services as jobs
from webapp.jobs.folder import JobRun, write_json
from webapp.jobs.models import Job


def made(program: Program, here: World, **more: Any) -> Any:
    return program.send("POST", "studies/", {"name": "N", "dataset": str(here.data.uid), "preset": "mos", **more})


def test_make_a_study_as_the_page_does(here: World, program: Program) -> None:
    values = {"raters": 2, "guidelines": "Look.", "editors": ["editor-1"], "sample": 1}
    answer = made(program, here, **values)
    assert answer.status_code == 201, answer.content
    study = Study.objects.get(uid=answer.json()["uid"])
    assert study.protocol.raters == 2
    assert (study.created_by, study.guidelines, study.items.count()) == (here.engineer, "Look.", 2)
    assert {row.editor.slug for item in study.items.all() for row in item.candidates.all()} == {"editor-1"}
    assert answer.json()["notice"] == "Demo data."
    assert answer.json()["progress"]["target"] == 4


@pytest.mark.parametrize("preset", PRESET_LABELS)
def test_every_preset(here: World, program: Program, preset: str) -> None:
    answer = made(program, here, preset=preset)
    assert (answer.status_code, answer.json()["preset"]) == (201, preset)


@pytest.mark.parametrize(
    ("values", "field", "why"),
    [
        ({"name": ""}, "name", "blank"),
        ({"name": "x" * 121}, "name", "120"),
        ({"name": "a\x00b"}, "name", "Null characters"),
        ({"name": "\ud800"}, "name", "Surrogate"),
        ({"name": ["x"]}, "name", "string"),
        ({"dataset": "x"}, "dataset", "UUID"),
        ({"dataset": "00000000-0000-4000-8000-000000000000"}, "dataset", "Select a valid choice"),
        ({"preset": "mine"}, "preset", "not a valid choice"),
        ({"preset": {}}, "preset", "not a valid choice"),
        ({"raters": 0}, "raters", "1"),
        ({"raters": 101}, "raters", "100"),
        ({"raters": "many"}, "raters", "integer"),
        ({"raters": 10**18}, "raters", "100"),
        ({"raters": 1.5}, "raters", "integer"),
        ({"editors": ["nobody"]}, "editors", "nobody"),
        ({"editors": "editor-1"}, "editors", "list"),
        ({"editors": [["x"]]}, "editors.0", "string"),
        ({"ratters": 3}, "ratters", "no such field"),
        ({"preset": "\ud800"}, "preset", "not a valid choice"),  # half a character: no answer can quote it
        ({"\ud800": 3}, "?", "no such field"),
    ],
)
def test_a_study_that_is_not_made(here: World, program: Program, values: dict[str, Any], field: str, why: str) -> None:
    answer = made(program, here, **values)
    assert answer.status_code == 400, answer.content
    assert why in " ".join(answer.json()["fields"][field])
    assert field in answer.json()["error"]
    assert Study.objects.count() == 1


def test_a_data_set_with_nothing_to_judge(here: World, program: Program) -> None:
    answer = made(program, here, dataset=str(judging.dataset(cases=1, editors=0).uid))
    assert answer.status_code == 400
    assert "nothing to judge" in answer.json()["error"]
    assert Study.objects.count() == 1


NO_BODIES = [
    (b"", "required"),
    (b"{", "JSON"),
    (b"[1]", "dictionary"),
    (b"null", "No data"),
    (b'"text"', "dictionary"),
    (b'{"name": NaN}', "no number of JSON"),
    (b'{"raters": Infinity}', "no number of JSON"),
    (b'{"raters": 1e999}', "too large"),
    (b'{"raters": ' + b"9" * 5000 + b"}", "too large"),
    (b'{"name": "\xff\xfe"}', "JSON"),
    (b"[" * 100_000, "JSON"),
    (b'{"a":' * 100_000, "JSON"),
]


@pytest.mark.parametrize(("raw", "why"), NO_BODIES, ids=[str(raw[:20]) for raw, _why in NO_BODIES])
def test_a_body_that_cannot_be_read(program: Program, raw: bytes, why: str) -> None:
    answer = program.send("POST", "studies/", raw=raw)
    assert answer.status_code == 400, answer.content
    assert why in answer.json()["error"]


def test_a_body_that_is_too_large(program: Program, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 2**20
    answer = program.send("POST", "studies/", raw=b'{"name": "' + b"x" * 2**20 + b'"}')
    assert (answer.status_code, "larger than 1 MB" in answer.json()["error"]) == (413, True)


@pytest.mark.parametrize(
    ("method", "status", "more"),
    [("PUT", 405, {}), ("OPTIONS", 405, {}), ("TRACE", 405, {}), ("POST", 415, {"content_type": "text/plain"}),
     ("GET", 406, {"HTTP_ACCEPT": "image/png"})],
)  # fmt: skip
def test_another_method_or_form(program: Program, method: str, status: int, more: dict[str, Any]) -> None:
    answer = program.send(method, "studies/", {"name": "N"}, **more)
    assert answer.status_code == status
    assert answer.json()["error"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"after": "x"}, "after"),
        ({"after": "-1"}, "after"),
        ({"after": "9" * 30}, "after"),
        ({"limit": "0"}, "limit"),
        ({"limit": "201"}, "limit"),
        ({"limit": "1" * 5000}, "limit"),
        ({"state": "new"}, "state"),
        ({"dataset": "x\x00"}, "dataset"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_query_that_is_wrong(program: Program, query: dict[str, str], field: str) -> None:
    answer = program.get("studies/", **query)
    assert answer.status_code == 400, answer.content
    assert list(answer.json()["fields"]) == [field]


@pytest.mark.parametrize(
    "query",
    [{"annotator": "bob"}, {"annotator": "a" + "9" * 30}, {"updated_since": "yesterday"}, {"flag": "x"}, {"item": "1"},
     {"updated_since": "0001-01-01T00:00:00+14:00"}, {"dimension": "\x00"}, {"counted": "perhaps"}],
)  # fmt: skip
def test_a_query_of_judgements_that_is_wrong(here: World, program: Program, query: dict[str, str]) -> None:
    answer = program.get(f"studies/{here.study.uid}/judgements/", **query)
    assert answer.status_code == 400, answer.content
    assert list(answer.json()["fields"]) == list(query)


def test_pause_and_close(here: World, program: Program) -> None:
    where = f"studies/{here.study.uid}/"
    for state in ("paused", "closed", "open"):
        assert program.send("PATCH", where, {"state": state}).json()["state"] == state
    answer = program.send("PATCH", where, {"state": "gone"})
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["state"])
    assert program.send("PATCH", where, {}).status_code == 400


def test_people_come_and_go(here: World, program: Program) -> None:
    where = f"studies/{here.study.uid}/members/"
    User.objects.create(username="new", role="annotator")
    User.objects.create(username="gone", role="annotator", is_active=False)
    row = program.send("POST", where, {"username": "new"}).json()
    assert program.send("POST", where, {"username": "new"}).json()["uid"] == row["uid"]  # a repeat is no second one
    for name in ("nobody", "gone", "", None, 7, "\x00"):
        answer = program.send("POST", where, {"username": name})
        assert (answer.status_code, list(answer.json()["fields"])) == (400, ["username"])
    assert program.send("DELETE", f"{where}{row['uid']}/").status_code == 204
    assert program.send("DELETE", f"{where}{row['uid']}/").status_code == 404
    assert here.study.members.count() == 1


def run(job: Job) -> None:
    """What a worker does with an export."""
    job.folder.mkdir(parents=True, exist_ok=True)
    write_json(job.folder / "job.json", {"kind": job.kind, "config": job.config, "attempt": 1})
    assert KIND.work
    job.summary, job.state = KIND.work(JobRun(job.folder), job), "succeeded"
    job.save()


def test_an_export_from_its_start_to_its_file(here: World, program: Program) -> None:
    body = {"table": "mos", "format": "csv", "method": "p910"}
    started = program.send("POST", f"studies/{here.study.uid}/exports/", body)
    assert started.status_code == 202, started.content
    told = started.json()
    assert (told["state"], told["file"], told["notice"]) == ("queued", None, "Demo data.")
    early = program.get(f"exports/{told['uid']}/file/")
    assert (early.status_code, "queued" in early.json()["error"]) == (409, True)
    job = Job.objects.get(uid=told["uid"])
    assert job.config["options"]["method"] == "p910"
    assert job.created_by == here.engineer
    run(job)
    told = program.get(f"exports/{told['uid']}/").json()
    answer = program.get(told["file"].removeprefix("http://testserver"))
    assert answer.status_code == 200
    assert b"".join(answer.streaming_content)[:2] == b"PK"
    assert answer["Content-Type"] == "application/zip"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"table": "secrets"}, "table"),
        ({"format": "exe"}, "format"),
        ({"format": None}, "format"),
        ({"method": "x"}, "method"),
        ({"include_extra": "x"}, "include_extra"),
    ],
)
def test_an_export_that_is_not_started(here: World, program: Program, body: Any, field: str) -> None:
    answer = program.send("POST", f"studies/{here.study.uid}/exports/", {"table": "mos", "format": "csv", **body})
    assert (answer.status_code, list(answer.json()["fields"])) == (400, [field])
    assert Job.objects.filter(kind="export").count() == 1


def test_cancel_a_job_once(here: World, program: Program) -> None:
    answer = program.send("POST", f"jobs/{here.job.uid}/cancel/")
    assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")
    again = program.send("POST", f"jobs/{here.job.uid}/cancel/")
    assert (again.status_code, "ended already" in again.json()["error"]) == (409, True)


def test_what_is_our_own_mistake_says_nothing_of_the_inside(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: Any) -> None:
        raise RuntimeError("the password is x")

    monkeypatch.setattr("scoring.api.queries.datasets", broken)
    answer = program.get("datasets/")
    assert answer.status_code == 500
    assert "password" not in json.dumps(answer.json())


# What webhooks are told ---------------------------------------------------------------------------------------------


@pytest.fixture
def heard(here: World) -> Any:
    """What one webhook of everything was told: (event, data)."""
    services.wake()
    Webhook.objects.create(address="https://93.184.216.34/", events=list(EVENTS), created_by=here.engineer)
    return lambda: [(json.loads(row.body)["event"], json.loads(row.body)) for row in Delivery.objects.order_by("id")]


def test_a_study_s_state_is_told(here: World, program: Program, heard: Any) -> None:
    program.send("PATCH", f"studies/{here.study.uid}/", {"state": "closed"})
    ((event, body),) = heard()
    assert (event, body["data"], body["study"]["notice"]) == ("study.state", {"state": "closed"}, "Demo data.")


def test_the_end_of_a_job_is_told_once(here: World, program: Program, heard: Any) -> None:
    program.send("POST", f"jobs/{here.job.uid}/cancel/")
    here.job.refresh_from_db()
    jobs.announce(here.job)
    ((event, body),) = heard()
    assert (event, body["data"]["state"], body["study"]) == ("job.finished", "cancelled", None)


def test_an_export_is_told_of_when_its_file_can_be_taken(here: World, program: Program, heard: Any) -> None:
    job = jobs.claim(uid=str(here.export.uid), worker="w")
    assert job
    assert KIND.work
    job.folder.mkdir(parents=True, exist_ok=True)
    write_json(job.folder / "job.json", {"kind": job.kind, "config": job.config, "attempt": 1})
    summary = KIND.work(JobRun(job.folder), job)
    assert heard() == []
    jobs.finish(job, state="succeeded", summary=summary)
    assert [event for event, _body in heard()] == ["job.finished", "export.finished"]
    assert heard()[1][1]["data"]["job"] == str(job.uid)
    assert program.get(f"exports/{job.uid}/file/").status_code == 200


def test_an_export_that_failed_has_no_file_to_tell_of(here: World, heard: Any) -> None:
    job = jobs.claim(uid=str(here.export.uid), worker="w")
    assert job
    jobs.finish(job, state="failed", message="The disk is full.")
    ((event, body),) = heard()
    assert (event, body["data"]["message"]) == ("job.finished", "The disk is full.")


def test_a_full_unit_is_told_of_once_for_each_number(here: World, heard: Any) -> None:
    unit = Unit.objects.filter(study=here.study)[0]
    tell_full(unit.pk)
    tell_full(unit.pk)
    Unit.objects.filter(pk=unit.pk).update(taken=2, done=2)
    tell_full(unit.pk)
    assert [(event, body["data"]["done"]) for event, body in heard()] == [("unit.full", 1), ("unit.full", 2)]


def test_a_judgement_is_told(here: World, heard: Any) -> None:
    study = judging.study(here.data, "mos", [here.annotator], by=here.engineer)
    judging.judge(study, here.annotator, lambda _row: judging.rated(dict.fromkeys(DIMENSIONS, 3)), limit=1)
    told = dict(heard())
    assert told["judgement.saved"]["study"]["uid"] == str(study.uid)
