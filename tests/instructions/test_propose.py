"""The job that asks for instructions: a real service, the real program; resumable, limited, honest about failures."""

import base64
import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from PIL import Image

from annotation.instructions import propose
from annotation.instructions.prompts import PROMPT_VERSION
from annotation.instructions.propose import start_proposing
from annotation.models import Dataset, Proposal
from tests import make
from tests.endpoints.service import KEY, Service, chat, error, running
from tests.instructions.make import answer, draft, endpoint, new_ones, prompt_of
from webapp.endpoints import services as endpoints
from webapp.endpoints.models import Endpoint
from webapp.jobs import services as jobs
from webapp.jobs.folder import JobError, JobRun, JobStopped, write_json
from webapp.jobs.models import Job


@pytest.fixture
def service(db: None, settings: Any) -> Iterator[Service]:
    settings.PRIVATE_ENDPOINTS = True
    with running(new_ones) as made:
        yield made


@pytest.fixture
def data(db: None, tmp_path: Path) -> Dataset:
    return make.dataset(tmp_path, cases=3, editors=0)


def start(data: Dataset, writer: Endpoint, **changes: Any) -> Job:
    return start_proposing(
        **{"dataset": data, "endpoint": writer, "tasks": ["add", "remove"], "count": 2, "by": None, **changes}
    )


def run(job: Job) -> dict[str, Any]:
    """One attempt, in this process."""
    job.folder.mkdir(parents=True, exist_ok=True)
    write_json(job.folder / "job.json", {"kind": job.kind, "config": job.config, "attempt": 1})
    work = propose.KIND.work
    assert work is not None
    here = JobRun(job.folder)
    try:
        return work(here, job)
    finally:
        here._owner.close()


def pairs(data: Dataset) -> Counter[tuple[int, str]]:
    return Counter(data.proposals.values_list("source", "task"))


def test_it_works(service: Service, data: Dataset, alice: Any) -> None:
    writer = endpoint(service.address, price_input=1.0, price_output=2.0)
    job = start(data, writer, by=alice)
    summary = run(job)
    assert set(pairs(data).values()) == {2}
    assert len(pairs(data)) == 3 * 2
    assert len(service.asked) == 6, "one request for each pair"
    row = data.proposals.order_by("id").first()
    assert row is not None
    assert (row.model, row.prompt_version, row.job, row.state) == ("answering-model-1", PROMPT_VERSION, job, "open")
    assert row.instruction_zh
    assert row.description
    assert row.requirement
    assert summary["proposals"] == 12
    assert summary["answers"] == 6
    assert summary["tokens_in"] == 600
    assert summary["cost"] == pytest.approx(6 * (100 + 2 * 20) / 1e6)
    assert data.cases.count() == 3, "a proposal is no case"


def test_what_is_sent(service: Service, data: Dataset) -> None:
    """The viewing copy, without metadata, in a format that every service reads; the task's prompt; never the key."""
    run(start(data, endpoint(service.address), tasks=["remove"]))
    (asked, *_others) = service.asked
    text, picture = asked.value["messages"][0]["content"]
    assert "Object removal. Take something out" in text["text"]
    assert asked.value["response_format"] == {"type": "json_object"}
    head, _comma, coded = picture["image_url"]["url"].partition(",")
    assert head == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(coded))) as image:
        assert image.size == (24, 16)


def test_the_key_is_in_no_file_of_the_job_and_no_log(
    service: Service, data: Dataset, alice: Any, caplog: pytest.LogCaptureFixture
) -> None:
    job = start(data, endpoint(service.address), by=alice)
    service.script.append(error(400, f"Bad, with {KEY}"))
    run(job)
    everything = b"".join(path.read_bytes() for path in job.folder.rglob("*") if path.is_file())
    assert b"Bad, with (key)" in everything
    assert KEY.encode() not in everything
    assert KEY not in json.dumps(job.config)
    assert KEY not in caplog.text


def test_earlier_instructions_are_shown_and_not_taken_again(service: Service, data: Dataset) -> None:
    case = data.cases.order_by("id").first()
    assert case is not None
    data.cases.filter(pk=case.pk).update(task="remove", instruction="Remove the cup.")
    service.usual = lambda asked: answer(draft("cup"), draft("plate"))
    summary = run(start(data, endpoint(service.address, concurrency=1), tasks=["remove"], limit=1))
    assert "Remove the cup." in prompt_of(service.asked[0])
    assert list(data.proposals.values_list("instruction", flat=True)) == ["Remove the plate."]
    assert summary["no use: repeated"] == 1


def test_what_is_stored_is_not_asked_again(service: Service, data: Dataset) -> None:
    writer = endpoint(service.address)
    run(start(data, writer))
    run(start(data, writer))
    assert len(service.asked) == 6
    run(start(data, writer, count=3))
    assert set(pairs(data).values()) == {3}
    assert all("write 1 instruction " in prompt_of(asked) for asked in service.asked[6:])
    numbers = data.proposals.filter(task="add").order_by("source", "number").values_list("number", flat=True)
    assert list(numbers) == [0, 1, 2] * 3


def test_another_endpoint_and_another_data_set_begin_anew(service: Service, data: Dataset, tmp_path: Path) -> None:
    run(start(data, endpoint(service.address)))
    run(start(data, endpoint(service.address, slug="other")))
    assert set(pairs(data).values()) == {4}
    other = make.dataset(tmp_path, cases=1, editors=0)
    run(start(other, Endpoint.objects.get(slug="other")))
    assert set(pairs(other).values()) == {2}


def test_stopped_and_resumed_asks_for_the_rest_alone(
    service: Service, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = start(data, endpoint(service.address, concurrency=1))

    def check(self: JobRun) -> None:
        if len(service.asked) >= 3:
            raise JobStopped

    with monkeypatch.context() as patch:
        patch.setattr(JobRun, "check", check)
        with pytest.raises(JobStopped):
            run(job)
    seen = [asked.body for asked in service.asked]
    assert sum(pairs(data).values()) == 2 * len(seen), "what was under way is kept"
    run(job)
    assert set(pairs(data).values()) == {2}
    assert len(service.asked) == 6
    assert len({asked.body for asked in service.asked}) == 6, "no request twice"


def test_failures_are_counted_by_kind_and_nothing_is_invented(service: Service, data: Dataset) -> None:
    service.script += [
        chat("I would remove the cup."),
        answer("Remove the cup."),
        error(400, "no", "content_policy_violation"),
        answer(),
        answer(draft("a"), draft("b", instruction_zh="")),
        chat("{", choices=[{"message": {"content": '{"proposals": ['}, "finish_reason": "length"}]),
    ]
    summary = run(start(data, endpoint(service.address, concurrency=1)))
    found = {name: count for name, count in summary.items() if name.startswith("no use")}
    assert found == {
        "no use: unreadable": 1,
        "no use: malformed": 2,
        "no use: refused": 1,
        "no use: nothing to propose": 1,
        "no use: cut off": 1,
    }
    assert list(data.proposals.values_list("instruction", flat=True)) == ["Remove the a."]


def test_a_picture_that_is_gone_costs_itself_alone(service: Service, data: Dataset, settings: Any) -> None:
    case = data.cases.order_by("id").first()
    assert case is not None
    (Path(settings.MEDIA_ROOT) / case.source.view).unlink()
    summary = run(start(data, endpoint(service.address), tasks=["add"]))
    assert summary["no use: picture"] == 1
    assert len(pairs(data)) == 2


@pytest.mark.parametrize("trouble", [error(401), error(404), error(402)])
def test_what_would_fail_again_ends_the_job(service: Service, data: Dataset, trouble: Any) -> None:
    service.usual = lambda asked: trouble
    with pytest.raises(JobError, match=r"key|model|used up"):
        run(start(data, endpoint(service.address, concurrency=1)))
    assert len(service.asked) == 1


def test_failures_in_a_row_end_the_job(service: Service, data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(propose, "IN_A_ROW", 3)
    service.usual = lambda asked: chat("Nonsense.")
    with pytest.raises(JobError, match=r"last 3 requests were all in vain.*no JSON: Nonsense"):
        run(start(data, endpoint(service.address, concurrency=1)))
    assert len(service.asked) == 3


def test_a_job_without_any_success_has_failed(service: Service, data: Dataset) -> None:
    service.usual = lambda asked: chat("Nonsense.")
    with pytest.raises(JobError, match="No request gave a usable instruction"):
        run(start(data, endpoint(service.address), tasks=["add"]))


def test_the_spending_limit_stops_the_job_also_over_two_attempts(service: Service, data: Dataset) -> None:
    writer = endpoint(service.address, concurrency=1, price_input=0.0, price_output=50_000.0)  # 1.0 an answer
    job = start(data, writer, most_cost=3.0)
    for _attempt in range(2):
        with pytest.raises(JobError, match="spending limit of 3 is reached"):
            run(job)
        assert len(service.asked) == 3
        assert len(pairs(data)) == 3
    run(start(data, writer))
    assert len(service.asked) == 6, "a new job asks for what is missing alone"


def test_answers_that_are_no_use_are_paid_for_too(service: Service, data: Dataset) -> None:
    service.usual = lambda asked: chat("Nonsense.")
    writer = endpoint(service.address, concurrency=1, price_input=0.0, price_output=50_000.0)
    with pytest.raises(JobError, match="spending limit"):
        run(start(data, writer, most_cost=2.0))
    assert len(service.asked) == 2


def test_a_limit_that_cannot_be_kept_is_not_pretended(service: Service, data: Dataset) -> None:
    service.usual = lambda asked: answer(draft(), usage=None)
    writer = endpoint(service.address, concurrency=1, price_input=1.0, price_output=1.0)
    with pytest.raises(JobError, match="does not say how many tokens"):
        run(start(data, writer, most_cost=5.0))
    assert len(service.asked) == 1
    assert data.proposals.count() == 1, "what was paid for is kept"


REFUSED = [
    ({"tasks": []}, "at least one task"),
    ({"count": 0}, "at least one task"),
    ({"count": 21}, "at least one task"),
    ({"most_cost": 1.0}, "not known"),
]


@pytest.mark.parametrize(("changes", "words"), REFUSED)
def test_a_job_that_makes_no_sense_is_refused(
    service: Service, data: Dataset, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        start(data, endpoint(service.address), **changes)
    assert not Job.objects.filter(kind="propose").exists()


def test_an_endpoint_for_images_writes_nothing(service: Service, data: Dataset) -> None:
    with pytest.raises(ValidationError, match="edits images"):
        start(data, endpoint(service.address, kind="images"))


def test_an_empty_data_set_is_refused(service: Service, data: Dataset) -> None:
    data.cases.all().delete()
    with pytest.raises(ValidationError, match="0 requests"):
        start(data, endpoint(service.address))


def test_an_endpoint_that_was_deleted(service: Service, data: Dataset) -> None:
    writer = endpoint(service.address)
    job = start(data, writer)
    endpoints.delete_endpoint(endpoint=writer)
    with pytest.raises(JobError, match="“writer” does not exist"):
        run(job)


def test_through_a_worker(
    transactional_db: None, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Claimed and supervised as every job: the work is done by a process of its own, on the same database."""
    from django.db import connection

    from annotation.library import load_tasks
    from webapp.jobs import supervisor

    load_tasks()
    settings.PRIVATE_ENDPOINTS = True
    here = connection.settings_dict
    login = f"{here['USER']}:{here['PASSWORD']}@{here['HOST']}:{here['PORT']}"
    address = f"sqlite:///{here['NAME']}" if connection.vendor == "sqlite" else f"postgresql://{login}/{here['NAME']}"
    monkeypatch.setenv("DATABASE_URL", address)
    monkeypatch.setenv("EDITLOOP_PRIVATE_ENDPOINTS", "1")
    monkeypatch.setenv("EDITLOOP_SECRET_KEY", settings.SECRET_KEY)
    monkeypatch.setenv("EDITLOOP_VAR", str(tmp_path))
    data = make.dataset(tmp_path, cases=2, editors=0)
    with running(new_ones) as service:
        job = start(data, endpoint(service.address))
        claimed = jobs.claim(uid=str(job.uid), worker="w1")
        assert claimed is not None
        supervisor.supervise(claimed)
    job.refresh_from_db()
    assert (job.state, job.done, job.total) == ("succeeded", 4, 4), job.message
    assert Proposal.objects.filter(dataset=data).count() == 8
