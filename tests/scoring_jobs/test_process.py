"""A scoring job from start to end: the worker's side, the process that asks, and a real service that answers it."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from annotation.library import load_tasks
from annotation.models import Candidate, Dataset
from scoring.models import Answer, Judge, PromptVersion, Score
from tests import make as library
from tests.calibration.make import prompt
from tests.endpoints.service import Asked, Reply, Service, running
from tests.scoring.make import answer, said
from tests.scoring_jobs import make
from tests.scripted import with_events
from webapp.endpoints.models import Endpoint
from webapp.jobs import kinds, services, supervisor
from webapp.jobs.models import Job, State

COST = 100 * 2e-6 + 20 * 10e-6  # of an answer of tests.endpoints.service at the prices of make.PRICES
CASES, EDITORS = 5, 3


def content(asked: Asked) -> str:
    """The text and the pictures of a request."""
    return str(asked.value["messages"])


def score_of(asked: Asked) -> int:
    return sum(content(asked).encode()) % 6


class Paid:
    """A service that answers ``most`` requests and holds the others until it is let go; then those get no answer."""

    def __init__(self, most: int) -> None:
        self.most, self.answered, self.free, self.lock = most, Counter[str](), threading.Event(), threading.Lock()

    def __call__(self, asked: Asked) -> Reply:
        with self.lock:
            is_answered = self.answered.total() < self.most
            self.answered[content(asked)] += is_answered
        if is_answered:
            return answer(said(score_of(asked)))
        self.free.wait(60)
        return Reply(drop=True)


@pytest.fixture(autouse=True)
def _quick(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "TICK_SECONDS", 0.02)
    monkeypatch.setattr(supervisor, "HEARTBEAT_SECONDS", 0.0)
    load_tasks()  # the database was emptied by the test before


@pytest.fixture
def service() -> Iterator[Service]:
    with running(lambda asked: answer(said(score_of(asked)))) as found:
        yield found


@pytest.fixture
def data(tmp_path: Path, _quick: None) -> Dataset:
    return library.dataset(tmp_path, CASES, EDITORS)


@pytest.fixture
def version(data: Dataset) -> PromptVersion:
    return prompt("hp-test", "Is it there?", "Is the rest kept?").versions.get()


@pytest.fixture
def judge(service: Service, version: PromptVersion) -> Judge:
    make.endpoint(address=service.address, concurrency=3)
    return make.judge()


def supervised(job: Job, worker: str = "w") -> Job:
    claimed = services.claim(uid=str(job.uid), worker=worker)
    assert claimed is not None
    supervisor.supervise(claimed)
    return Job.objects.get(pk=job.pk)


def when(monkeypatch: pytest.MonkeyPatch, job: Job, then: Callable[[int], None]) -> None:
    """Call ``then`` with the process's number whenever answers were carried."""
    processes = []

    def start(of: Job) -> Any:
        processes.append(begin(of))
        return processes[-1]

    begin = supervisor._start
    monkeypatch.setattr(supervisor, "_start", start)
    watched = with_events(kinds.get_kind(job.kind), lambda _job, _events: then(processes[-1].pid))
    monkeypatch.setitem(kinds._kinds, job.kind, watched)


def test_it_works(data: Dataset, judge: Judge, version: PromptVersion, service: Service) -> None:
    job = supervised(make.start(data, judge, version))
    assert (job.state, job.summary["parsed"], job.summary["failed"]) == (State.SUCCEEDED, 15, 0)
    assert len(service.asked) == Score.objects.count() == 15
    by_content = Counter(score_of(asked) for asked in service.asked)
    assert Counter(Score.objects.values_list("value", flat=True)) == by_content
    found = Answer.objects.all()
    assert {(row.model, row.tokens_in, row.tokens_out, row.job) for row in found} == {
        ("answering-model-1", 100, 20, job)
    }
    assert [row.cost for row in found] == pytest.approx([COST] * 15)
    assert {tuple(one["question"] for one in row.answers) for row in found} == {("q0", "q1")}


def test_kill_9_in_the_middle_and_a_resume_pay_nothing_twice(
    data: Dataset, judge: Judge, version: PromptVersion, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.usual = paid = Paid(7)
    job = make.start(data, judge, version)

    def kill(pid: int) -> None:
        if Answer.objects.count() == paid.most and not paid.free.is_set():
            os.killpg(pid, signal.SIGKILL)
            paid.free.set()

    when(monkeypatch, job, kill)
    job = supervised(job)
    assert job.state == State.FAILED
    assert "signal 9" in job.message
    assert Score.objects.count() == paid.answered.total() == 7
    paid.most = 1000
    services.resume(job=job)
    job = supervised(job, "w2")
    assert (job.state, job.attempt) == (State.SUCCEEDED, 2)
    assert set(paid.answered.values()) == {1}
    assert paid.answered.total() == 15
    assert set(Score.objects.values_list("candidate", flat=True)) == set(Candidate.objects.values_list("pk", flat=True))
    assert job.summary["parsed"] == 15
    assert job.summary["cost"] == pytest.approx(15 * COST)


def test_answers_that_a_dead_worker_had_not_carried_are_carried(
    data: Dataset, judge: Judge, version: PromptVersion, service: Service
) -> None:
    """The worker died after the process wrote its answers: the next one keeps them all and asks nothing."""
    job = supervised(make.start(data, judge, version))
    Score.objects.all().delete()
    Answer.objects.all().delete()
    Job.objects.filter(pk=job.pk).update(events_read=0, state=State.FAILED)
    job.refresh_from_db()
    services.resume(job=job)
    assert supervised(job, "w2").state == State.SUCCEEDED
    assert (Score.objects.count(), Answer.objects.count(), len(service.asked)) == (15, 15, 15)


def test_the_limit_stops_the_job_and_what_was_paid_is_kept(
    data: Dataset, judge: Judge, version: PromptVersion, service: Service
) -> None:
    Endpoint.objects.update(concurrency=1)
    job = supervised(make.start(data, judge, version, most_cost=4.5 * COST))
    assert job.state == State.FAILED
    assert "The spending limit of" in job.message
    paid = len(service.asked)
    assert 5 <= paid <= 7, "one that was ready to go"
    assert Score.objects.count() == Answer.objects.count() == paid
    rest = supervised(make.start(data, judge, version))
    assert rest.state == State.SUCCEEDED
    assert (len(service.asked), Score.objects.count()) == (15, 15)


def test_what_a_service_does_not_answer_is_no_score_and_is_asked_again(
    data: Dataset, judge: Judge, version: PromptVersion, service: Service
) -> None:
    service.usual = lambda asked: answer("I think it is nice.") if score_of(asked) < 2 else answer(said(5))
    low = supervised(make.start(data, judge, version))
    assert low.state == State.SUCCEEDED
    lost = Score.objects.filter(status="failed", value=None).count()
    assert 0 < lost == low.summary["failed: unreadable"]
    assert Score.objects.filter(value=5).count() == 15 - lost
    service.usual, before = lambda asked: answer(said(1)), len(service.asked)
    assert supervised(make.start(data, judge, version)).state == State.SUCCEEDED
    assert len(service.asked) - before == Score.objects.filter(value=1).count() == lost


def test_a_key_that_cannot_be_read_any_more_fails_the_job_in_words(
    data: Dataset, judge: Judge, version: PromptVersion, service: Service, settings: Any
) -> None:
    job = make.start(data, judge, version)
    settings.ENDPOINT_KEY = "another"
    job = supervised(job)
    assert job.state == State.FAILED
    assert "stored key cannot be read" in job.message
    assert service.asked == []


def test_a_wrong_key_fails_the_job_and_a_resume_goes_on(
    data: Dataset, judge: Judge, version: PromptVersion, service: Service
) -> None:
    service.usual = lambda asked: Reply(401, {"error": {"message": "no such key"}})
    job = supervised(make.start(data, judge, version))
    assert job.state == State.FAILED
    assert "The judge cannot go on" in job.message
    assert Score.objects.count() == 0
    service.usual = lambda asked: answer(said(3))
    services.resume(job=job)
    assert supervised(job, "w2").state == State.SUCCEEDED
    assert Score.objects.filter(value=3).count() == 15
