"""The life of a job: who may change its state and when, what happens when workers die, and what its page says."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.scripted import a_job, a_kind  # noqa: F401  # fixtures
from webapp.jobs import presence, queries, services
from webapp.jobs.models import Job, State, before
from webapp.live import streams

Make = Callable[..., Job]


@pytest.fixture(autouse=True)
def _empty_queues() -> None:
    streams.client().delete("default", "gpu")


def messages_sent() -> int:
    """Messages that wait for a worker of the default queue."""
    return int(streams.client().llen("default"))  # type: ignore[arg-type]


def ago(seconds: float) -> Any:
    return timezone.now() - timedelta(seconds=seconds)


def test_it_works(job: Make, alice: Any, django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        made = services.start(kind="test", title="Sum", config={"n": 1}, by=alice)
    assert messages_sent() == 1
    claimed = services.claim(uid=str(made.uid), worker="w1")
    assert claimed is not None
    assert (claimed.state, claimed.attempt, claimed.worker) == (State.RUNNING, 1, "w1")
    services.report(claimed, done=2, total=4, message="half", events_read=17)
    assert services.finish(claimed, state=State.SUCCEEDED, summary={"sum": 6})
    made.refresh_from_db()
    assert (made.state, made.done, made.total, made.summary, made.events_read) == ("succeeded", 2, 4, {"sum": 6}, 17)
    assert made.finished_at is not None


# States --------------------------------------------------------------------------------------------------------------

ALLOWED = {
    "queued": {"running", "cancelled", "failed"},
    "running": {"cancelling", "queued", "cancelled", "failed", "succeeded"},
    "cancelling": {"cancelled", "failed", "succeeded"},
    "cancelled": {"queued"},
    "failed": {"queued"},
    "succeeded": set(),
}


@pytest.mark.parametrize("to", State.values)
def test_from_which_states_a_state_is_reached(to: str) -> None:
    assert set(before(to)) == {now for now in State.values if to in ALLOWED[now]}


# What each service makes of a job in each state: the new state, or None where it must be refused or do nothing.
ENDINGS = ("queued", "cancelled", "failed", "succeeded")
OUTCOMES: dict[str, dict[str, str | None]] = {
    "queued": {"claim": "running", "cancel": "cancelled", "resume": None} | dict.fromkeys(ENDINGS),
    "running": {"claim": None, "cancel": "cancelling", "resume": None} | {end: end for end in ENDINGS},
    "cancelling": {"claim": None, "cancel": "cancelling", "resume": None}
    | {end: end for end in ENDINGS}
    | {"queued": "cancelled"},  # who asked for an end gets one, also from a worker that shuts down
    "cancelled": {"claim": None, "cancel": None, "resume": "queued"} | dict.fromkeys(ENDINGS),
    "failed": {"claim": None, "cancel": None, "resume": "queued"} | dict.fromkeys(ENDINGS),
    "succeeded": {"claim": None, "cancel": None, "resume": None} | dict.fromkeys(ENDINGS),
}


def act(action: str, made: Job) -> None:
    if action == "claim":
        services.claim(uid=str(made.uid), worker="w2")
    elif action == "cancel":
        services.cancel(job=made)
    elif action == "resume":
        services.resume(job=made)
    else:
        services.finish(made, state=action)


@pytest.mark.parametrize("action", ["claim", "cancel", "resume", *ENDINGS])
@pytest.mark.parametrize("state", State.values)
def test_every_service_in_every_state(db: None, job: Make, state: str, action: str) -> None:
    made, expected = job(state), OUTCOMES[state][action]
    if expected is None and action in ("cancel", "resume"):
        with pytest.raises(ValidationError):
            act(action, made)
    else:
        act(action, made)
    assert Job.objects.get(pk=made.pk).state == (expected or state)


def test_the_database_knows_the_states(db: None, job: Make) -> None:
    made = job()
    with pytest.raises(IntegrityError), transaction.atomic():
        Job.objects.filter(pk=made.pk).update(state="resting")


# Attempts ------------------------------------------------------------------------------------------------------------


def test_one_of_two_claims_wins(db: None, job: Make) -> None:
    made = job()
    first, second = (services.claim(uid=str(made.uid), worker=name) for name in ("w1", "w2"))
    assert first is not None
    assert second is None
    assert Job.objects.get().worker == "w1"


def test_a_claim_of_nothing_is_nothing(db: None, job: Make) -> None:
    assert services.claim(uid="00000000-0000-0000-0000-000000000000", worker="w1") is None


def second_attempt(made: Job) -> Job:
    """The job in the hands of another worker, after the first was taken for dead."""
    assert services.finish(Job.objects.get(pk=made.pk), state=State.QUEUED)
    claimed = services.claim(uid=str(made.uid), worker="w2")
    assert claimed is not None
    return claimed


def test_an_older_attempt_can_change_nothing(db: None, job: Make) -> None:
    first = job("running")
    second = second_attempt(first)
    before = Job.objects.filter(pk=first.pk).values().get()
    assert services.heartbeat(first) is None
    services.report(first, done=9, total=9, message="old", events_read=999)
    assert not services.finish(first, state=State.SUCCEEDED, summary={"old": 1})
    assert not services.finish(first, state=State.QUEUED)
    assert Job.objects.filter(pk=first.pk).values().get() == before
    assert services.heartbeat(second) == State.RUNNING


def test_heartbeat_tells_that_somebody_cancelled(db: None, job: Make) -> None:
    made = job("running", heartbeat_at=ago(100))
    services.cancel(job=Job.objects.get())
    assert services.heartbeat(made) == State.CANCELLING
    assert Job.objects.get().heartbeat_at > ago(50)  # type: ignore[operator]


def test_a_cancel_that_the_worker_has_not_seen_is_not_lost(db: None, job: Make) -> None:
    """The worker puts a job back to waiting while somebody cancels it."""
    made = job("running")
    services.cancel(job=Job.objects.get())
    assert made.state == State.RUNNING
    assert services.finish(made, state=State.QUEUED)
    assert Job.objects.get().state == State.CANCELLED
    assert messages_sent() == 0


def test_resume_starts_afresh_and_keeps_the_place(db: None, job: Make, django_capture_on_commit_callbacks: Any) -> None:
    made = job("failed", crashes=3, done=5, total=9, events_read=70, message="Broken.")
    with django_capture_on_commit_callbacks(execute=True):
        services.resume(job=made)
    made.refresh_from_db()
    assert (made.crashes, made.done, made.events_read, made.message) == (0, 5, 70, "")
    assert made.finished_at is None
    assert messages_sent() == 1
    again = services.claim(uid=str(made.uid), worker="w2")
    assert again is not None
    assert (again.attempt, again.done_at_start) == (2, 5)


def test_resume_by_two_people_sends_one_message(db: None, job: Make, django_capture_on_commit_callbacks: Any) -> None:
    made = job("failed")
    seen_by_both = [Job.objects.get(pk=made.pk), Job.objects.get(pk=made.pk)]
    with django_capture_on_commit_callbacks(execute=True):
        services.resume(job=seen_by_both[0])
        with pytest.raises(ValidationError, match="Somebody else changed this job"):
            services.resume(job=seen_by_both[1])
    assert messages_sent() == 1


@pytest.mark.parametrize("state", State.values)
def test_a_clone_is_a_job_of_its_own(db: None, job: Make, bob: Any, state: str) -> None:
    made = job(state, done=3, total=4, message="words")
    copy = services.clone(job=made, by=bob)
    assert (copy.state, copy.attempt, copy.done, copy.message) == ("queued", 0, 0, "")
    assert (copy.kind, copy.title, copy.config) == (made.kind, made.title, made.config)
    assert (copy.created_by, copy.cloned_from) == (bob, made)
    assert copy.folder != made.folder
    assert Job.objects.get(pk=made.pk).state == state


# Workers that die ----------------------------------------------------------------------------------------------------


def test_a_living_worker_is_left_alone(db: None, job: Make, settings: Any) -> None:
    made = job("running", heartbeat_at=ago(settings.JOB_STALE_SECONDS - 5))
    assert services.reap() == 0
    assert Job.objects.get(pk=made.pk).state == State.RUNNING


def test_a_job_whose_worker_died_waits_again_with_words(db: None, job: Make, settings: Any) -> None:
    made = job("running", heartbeat_at=ago(settings.JOB_STALE_SECONDS + 5), done=4, total=9)
    assert services.reap() == 1
    made.refresh_from_db()
    assert (made.state, made.crashes, made.done) == (State.QUEUED, 1, 4)
    assert "stopped answering" in made.message
    assert messages_sent() == 1
    assert services.reap() == 0


def test_the_third_crash_ends_it_with_words(db: None, job: Make, settings: Any) -> None:
    made = job()
    for number in range(1, settings.JOB_MAX_CRASHES + 1):
        assert services.claim(uid=str(made.uid), worker=f"w{number}") is not None
        Job.objects.update(heartbeat_at=ago(1000))
        assert services.reap() == 1
    made.refresh_from_db()
    assert (made.state, made.crashes) == (State.FAILED, 3)
    assert "died 3 times" in made.message
    assert services.reap() == 0
    services.resume(job=made)
    assert Job.objects.get().crashes == 0


def test_a_cancelled_job_whose_worker_died_is_cancelled(db: None, job: Make) -> None:
    job("cancelling", heartbeat_at=ago(1000))
    assert services.reap() == 1
    assert Job.objects.get().state == State.CANCELLED
    assert "worker had died" in Job.objects.get().message
    assert messages_sent() == 0


def test_a_worker_that_speaks_again_in_time_keeps_its_job(db: None, job: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two moments after the reaper listed the job as dead, its worker's heartbeat comes."""
    made = job("running", heartbeat_at=ago(1000))
    reap_one = services._reap_one

    def late(listed: Job) -> bool:
        assert services.heartbeat(made) == State.RUNNING
        return reap_one(listed)

    monkeypatch.setattr(services, "_reap_one", late)
    assert services.reap() == 0
    made.refresh_from_db()
    assert (made.state, made.crashes) == (State.RUNNING, 0)


def test_a_job_that_ended_meanwhile_is_not_counted_as_crashed(
    db: None, job: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = job("running", heartbeat_at=ago(1000))
    reap_one = services._reap_one

    def late(listed: Job) -> bool:
        assert services.finish(made, state=State.SUCCEEDED)
        return reap_one(listed)

    monkeypatch.setattr(services, "_reap_one", late)
    assert services.reap() == 0
    made.refresh_from_db()
    assert (made.state, made.crashes) == (State.SUCCEEDED, 0)


def test_a_lost_message_is_sent_again(db: None, job: Make) -> None:
    made = job(enqueued_at=ago(services.REQUEUE_AFTER.total_seconds() + 5))
    job()  # a fresh one, whose message is on its way
    streams.client().delete("default")
    assert services.reap() == 1
    assert messages_sent() == 1
    assert services.reap() == 0
    assert services.claim(uid=str(made.uid), worker="w1") is not None


# What the page says --------------------------------------------------------------------------------------------------


def test_no_trouble(db: None, job: Make) -> None:
    presence.renew("default", "w1@here")
    try:
        assert presence.workers("default") == ["w1@here"]
        assert [queries.trouble(job(state)) for state in State.values] == [""] * 6
    finally:
        streams.client().delete("worker:default:w1@here")


def test_nobody_listens(db: None, job: Make) -> None:
    assert presence.workers("default") == []
    assert "No worker listens to the queue “default”" in queries.trouble(job())
    assert queries.trouble(job("running")) == ""
    health = queries.queue_health("default")
    assert (health.workers, health.waiting, health.running) == ([], 1, 1)


@pytest.mark.parametrize("state", ["running", "cancelling"])
def test_the_worker_is_silent(db: None, job: Make, settings: Any, state: str) -> None:
    made = job(state, heartbeat_at=ago(settings.JOB_STALE_SECONDS + 5))
    assert "The worker w1 has stopped answering" in queries.trouble(made)


@pytest.fixture
def no_redis(settings: Any) -> Any:
    """Redis is at an address where nobody answers."""
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    streams.client.cache_clear()
    yield
    streams.client.cache_clear()


def test_redis_is_away(db: None, job: Make, no_redis: None) -> None:
    waiting, running = job(), job("running")
    assert presence.workers("default") is None
    assert "Redis does not answer" in queries.trouble(waiting)
    assert queries.trouble(job("succeeded")) == ""
    assert services.heartbeat(running) == State.RUNNING
    services.report(running, done=1, total=2, message="", events_read=3)
    assert services.finish(running, state=State.SUCCEEDED)


def test_the_page_says_what_is_wrong_and_refuses_in_words(client: Client, job: Make, alice: Any, settings: Any) -> None:
    made = job("running", heartbeat_at=ago(settings.JOB_STALE_SECONDS + 5))
    client.force_login(alice)
    assert "The worker w1 has stopped answering" in client.get(made.get_absolute_url()).content.decode()
    html = client.post(reverse("job_resume", args=[made.uid]), follow=True).content.decode()
    assert "Only a job that was cancelled or has failed can be resumed." in html
    services.finish(made, state=State.SUCCEEDED)
    html = client.post(reverse("job_cancel", args=[made.uid]), follow=True).content.decode()
    assert "This job has ended already." in html


def test_time_left(db: None, job: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)
    made = job("running", started_at=now - timedelta(seconds=30), done_at_start=10, done=25, total=100)
    assert queries.seconds_left(made) == pytest.approx(75 * 30 / 15)
    for change in ({"done": 10}, {"started_at": None}, {"total": 0}, {"state": "queued"}, {"state": "succeeded"}):
        Job.objects.filter(pk=made.pk).update(started_at=now, done=25, total=100, state="running")
        Job.objects.filter(pk=made.pk).update(**change)
        assert queries.seconds_left(Job.objects.get(pk=made.pk)) is None, change


def test_the_log_is_cut_at_a_line(db: None, job: Make) -> None:
    made = job()
    assert queries.log_tail(made) == ""
    made.folder.mkdir(parents=True)
    (made.folder / "log.txt").write_bytes(b"one\n\xff\xfetwo\n")
    assert queries.log_tail(made).startswith("one\n")
    lines = [f"line {number} é\n" for number in range(10_000)]
    (made.folder / "log.txt").write_text("".join(lines))
    tail = queries.log_tail(made)
    assert len(tail.encode()) <= queries.LOG_BYTES
    assert tail == "".join(lines[-len(tail.splitlines()) :])
