"""A job that several workers share: the whole says what its parts say, whoever changes them and in whatever order."""

from collections.abc import Callable
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.utils import timezone

from tests.scripted import a_kind  # noqa: F401  # a fixture
from webapp.jobs import parts, presence, services, supervisor, tasks
from webapp.jobs.models import Job, State
from webapp.live import streams

WORK = """
for number in range(run.config["pieces"]):
    run.progress(number + 1, run.config["pieces"], "at it")
if run.config.get("fails"):
    raise JobError("Case 7 has no mask.")
return {"made": run.config["pieces"]}
"""
Kind = Callable[..., Any]


@pytest.fixture
def whole(kind: Kind, transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Job]:
    monkeypatch.setattr(supervisor, "TICK_SECONDS", 0.02)
    streams.client().delete("default")

    def make(*pieces: int, **config: Any) -> Job:
        kind(WORK, parts=lambda config: [({**config, "pieces": number}, number) for number in pieces])
        made = services.start(kind="test", title="All", config=config, by=None)
        made.refresh_from_db()
        return made

    return make


def take(job: Job, worker: str = "w1") -> Job | None:
    return services.take(uid=str(job.uid), worker=worker)


def now(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def test_it_works(whole: Any) -> None:
    job = whole(2, 3, 4)
    assert (job.state, job.total, job.is_shared) == (State.QUEUED, 9, True)
    for expected in (2, 5, 9):
        part = take(job)
        assert part is not None
        assert now(job).state == State.RUNNING
        supervisor.supervise(part)
        assert now(job).done == expected
    assert take(job) is None
    job = now(job)
    assert (job.state, job.summary, job.done) == (State.SUCCEEDED, {"made": 9}, 9)
    assert job.finished_at is not None


def test_one_part_is_no_part(whole: Any) -> None:
    job = whole(5)
    assert not job.is_shared
    assert not job.parts.exists()


def test_two_workers_never_get_the_same_part(whole: Any) -> None:
    job = whole(1, 1, 1)
    taken = [take(job, worker) for worker in ("w1", "w2", "w1", "w2")]
    assert [part and part.title for part in taken] == ["All, 1/3", "All, 2/3", "All, 3/3", None]


def test_the_whole_itself_cannot_be_claimed(whole: Any) -> None:
    job = whole(1, 1)
    assert services.claim(uid=str(job.uid), worker="w1") is None


@pytest.mark.parametrize("order", list(permutations(["succeeded", "failed", "cancelled"])))
def test_the_end_does_not_depend_on_the_order(whole: Any, order: tuple[str, ...]) -> None:
    job = whole(1, 1, 1)
    for state in order:
        part = take(job)
        assert part is not None
        assert now(job).is_active
        services.finish(part, state=state, message="Case 7 has no mask." if state == "failed" else "")
    assert now(job).state == State.CANCELLED


def test_a_failed_part_does_not_stop_the_others(whole: Any, kind: Kind) -> None:
    job = whole(2, 3)
    Job.objects.filter(pk=job.parts.first().pk).update(config={"pieces": 2, "fails": True})
    for _number in range(2):
        supervisor.supervise(take(job))  # type: ignore[arg-type]
    job = now(job)
    assert job.state == State.FAILED
    assert job.message == "1 of 2 parts failed. The first one: Case 7 has no mask."
    assert job.summary == {"made": 3}
    job.parts.update(config={"pieces": 2})
    services.resume(job=job)
    assert (now(job).state, now(job).message) == (State.QUEUED, "")
    supervisor.supervise(take(job))  # type: ignore[arg-type]
    assert take(job) is None, "the part that was done is not done again"
    assert (now(job).state, now(job).summary) == (State.SUCCEEDED, {"made": 5})


def test_cancel_stops_what_runs_and_what_waits(whole: Any) -> None:
    job = whole(1, 1, 1)
    part = take(job)
    assert part is not None
    services.cancel(job=job)
    assert now(job).state == State.CANCELLING
    assert sorted(job.parts.values_list("state", flat=True)) == ["cancelled", "cancelled", "cancelling"]
    assert take(job) is None
    services.finish(part, state=State.CANCELLED)
    assert now(job).state == State.CANCELLED
    with pytest.raises(ValidationError, match="ended already"):
        services.cancel(job=now(job))
    services.resume(job=now(job))
    assert [state for (state,) in job.parts.values_list("state")] == ["queued"] * 3


def test_cancelled_before_anything_ran(whole: Any) -> None:
    job = services.cancel(job=whole(1, 1))
    assert (job.state, now(job).state) == (State.CANCELLED, State.CANCELLED)


def test_a_part_whose_worker_died_is_taken_by_another(whole: Any) -> None:
    job = whole(1, 1)
    part = take(job, "dead")
    assert part is not None
    Job.objects.filter(pk=part.pk).update(heartbeat_at=timezone.now() - timedelta(hours=1))
    services.reap()
    assert now(part).state == State.QUEUED
    assert take(job, "alive") == part
    assert now(job).state == State.RUNNING


def test_a_whole_is_not_reaped_for_its_own_silence(whole: Any) -> None:
    job = whole(1, 1)
    take(job)
    services.reap()
    assert (now(job).state, now(job).crashes) == (State.RUNNING, 0)


def sent() -> int:
    return int(streams.client().llen("default"))  # type: ignore[arg-type]


def test_as_many_messages_as_workers_can_join(whole: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "workers", lambda _queue: ["a", "b", "c"])
    job = whole(1, 1, 1, 1, 1)
    assert sent() == 3
    take(job)
    assert parts.messages(job) == 2
    monkeypatch.setattr(presence, "workers", lambda _queue: None)
    assert parts.messages(job) == 0, "the one at work sends the message on"


def test_a_message_is_sent_on_until_nothing_waits(whole: Any) -> None:
    job = whole(1, 1)
    for left in (1, 0):
        streams.client().delete("default")
        tasks.run_job(str(job.uid))
        assert sent() == left
    assert now(job).state == State.SUCCEEDED


def test_messages_that_were_lost_are_sent_again(whole: Any) -> None:
    job = whole(1, 1)
    part = take(job)
    services.finish(part, state=State.SUCCEEDED)  # type: ignore[arg-type]
    streams.client().delete("default")
    Job.objects.filter(pk=job.pk).update(enqueued_at=timezone.now() - 2 * services.REQUEUE_AFTER)
    services.reap()
    assert sent() == 1


def test_a_clone_has_parts_of_its_own(whole: Any, bob: Any) -> None:
    job = whole(1, 2)
    again = services.clone(job=job, by=bob)
    assert again.parts.count() == 2
    assert job.parts.count() == 2


def test_the_page_lists_the_parts_and_the_list_does_not(whole: Any, client: Client, bob: Any) -> None:
    job = whole(1, 2)
    take(job, "left@here")
    client.force_login(bob)
    html = client.get(job.get_absolute_url()).content.decode()
    assert "left@here" in html
    assert "All, 2/2" in html
    assert "All, 1/2" not in client.get("/jobs/").content.decode()
    part = client.get(job.parts.first().get_absolute_url()).content.decode()
    assert job.get_absolute_url() in part


def test_a_worker_that_died_before_it_told_the_whole(whole: Any) -> None:
    """kill -9 between the end of the last part and the word to the whole: the reaper says it."""
    job = whole(2, 3)
    supervisor.supervise(take(job))
    last = take(job)
    Job.objects.filter(pk=last.pk).update(
        state=State.SUCCEEDED, done=3, summary={"made": 3}, finished_at=timezone.now()
    )
    assert now(job).state == State.RUNNING
    assert services.reap() == 1
    job = now(job)
    assert (job.state, job.done, job.summary) == (State.SUCCEEDED, 5, {"made": 5})
    assert services.reap() == 0


def test_a_job_is_cut_before_the_transaction_that_makes_it(kind: Kind, transactional_db: None) -> None:
    """A large one takes seconds to cut, and on SQLite nobody else could write meanwhile."""
    seen = []
    kind(WORK, parts=lambda config: seen.append(connection.in_atomic_block) or [])
    services.start(kind="test", title="All", config={}, by=None)
    assert seen == [False]
