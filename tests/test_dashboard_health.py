"""Machines and jobs on the overview: what is wrong in words, who does what, which jobs come first."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.overview_page import _nothing_kept, alive, an_admin, page  # noqa: F401  # fixtures among them
from tests.scripted import a_job, a_kind  # noqa: F401  # fixtures
from webapp.dashboard import health, queries
from webapp.jobs import parts, services
from webapp.jobs.machine import Machine
from webapp.jobs.models import Job
from webapp.jobs.queries import QueueHealth, queue_health
from webapp.live import streams

Make = Callable[..., Job]
FINE = QueueHealth("gpu", [Machine("gpu@a")], 0, 0, None)
SPACE = (500 * health.GIB, 900 * health.GIB)


def test_all_is_well() -> None:
    assert health.problems([FINE], [], *SPACE) == []


@pytest.mark.parametrize(
    ("waiting", "is_bad", "words"),
    [
        (0, False, "A job sent there would wait until one is started."),
        (1, True, "and 1 job waits. Start one; the job then begins by itself."),
        (2, True, "and 2 jobs wait. Start one; they then begin by themselves."),
    ],
)
def test_nobody_listens(waiting: int, is_bad: bool, words: str) -> None:
    (problem,) = health.problems([FINE, QueueHealth("default", [], waiting, 0, None)], [], *SPACE)
    assert problem.is_bad == is_bad
    assert problem.text.startswith("No worker listens to the queue “default”")
    assert words in problem.text


def test_redis_is_away_is_said_once() -> None:
    away = [QueueHealth(name, None, 3, 0, None) for name in ("default", "gpu")]
    (problem,) = health.problems(away, [], *SPACE)
    assert problem.text.startswith("Redis does not answer")


@pytest.mark.parametrize(
    ("free", "found"),
    [(health.DISK_LOW, []), (health.DISK_LOW - 1, [False]), (health.DISK_OUT, [False]), (health.DISK_OUT - 1, [True])],
)
def test_a_disk_that_gets_full(free: int, found: list[bool]) -> None:
    told = health.problems([FINE], [], free, 900 * health.GIB)
    assert [problem.is_bad for problem in told] == found
    assert all("data folder on the web server" in problem.text for problem in told)


def test_a_disk_that_machines_share_is_named_once() -> None:
    small, other = 1 * health.GIB, 70 * health.GIB
    machines = [
        Machine("a@x", host="x", disk_free=small + 4096, disk_total=90 * health.GIB),
        Machine("b@y", host="y", disk_free=small, disk_total=other),
        Machine("c@z", host="z", disk_free=small, disk_total=other),
        Machine("old"),
    ]
    told = health.problems([QueueHealth("gpu", machines, 0, 0, None)], [], small, 90 * health.GIB)
    assert [("web server" in problem.text, "on y" in problem.text) for problem in told] == [
        (True, False),
        (False, True),
    ]


def test_a_disk_that_cannot_be_asked_is_no_problem() -> None:
    assert health.problems([FINE], [], 0, 0) == []


def test_memory_that_runs_out() -> None:
    machines = [Machine("a@x", host="x", memory_free=1 << 30, memory_total=64 << 30)]
    (problem,) = health.problems([QueueHealth("gpu", machines, 0, 0, None)], [], *SPACE)
    assert problem.text.startswith("x has 1.0\xa0GB of memory left.")


def test_the_worst_comes_first(db: None, job: Make) -> None:
    queues = [QueueHealth("default", [], 0, 0, None), QueueHealth("gpu", [], 1, 0, None)]
    assert [problem.is_bad for problem in health.problems(queues, [job("running")], *SPACE)] == [True, True, False]


# Machines ------------------------------------------------------------------------------------------------------------


def test_the_page_says_what_is_wrong(admin: Client, job: Make, settings: Any) -> None:
    silent = timezone.now() - timedelta(seconds=settings.JOB_STALE_SECONDS + 5)
    made = job("running", heartbeat_at=silent)
    job()
    html = page(admin)
    assert "No worker listens to the queue “default”, and 1 job waits." in html
    assert "The worker w1, which has “A test”, has stopped answering." in html
    assert made.get_absolute_url() in html
    assert "all is well" not in html


def test_the_page_without_redis(admin: Client, settings: Any) -> None:
    there = settings.REDIS_URL
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    streams.client.cache_clear()
    try:
        html = page(admin)
    finally:
        settings.REDIS_URL = there
        streams.client.cache_clear()
    assert "Redis does not answer, so no job can start" in html
    assert "does not answer</span>" in html


def test_a_worker_shows_what_it_has_in_its_hands(admin: Client, job: Make) -> None:
    job("running")
    alive("default", "w1", host="box")
    alive("default", "w2", host="box")
    html = page(admin)
    workers = html[html.index('id="workers"') : html.index('id="recent"')]
    assert workers.count("A test") == 1
    assert workers.index("w1") < workers.index("A test") < workers.index("w2") < workers.index("free</span>")


def test_how_long_the_oldest_job_has_waited(job: Make) -> None:
    assert queue_health("default").seconds_waiting is None
    now = timezone.now()
    job(created_at=now - timedelta(hours=3), heartbeat_at=now - timedelta(seconds=40))  # its worker gave it up
    job(created_at=now - timedelta(seconds=90), enqueued_at=now)  # its message was sent again
    job("running", created_at=now - timedelta(days=1))
    seconds = queue_health("default").seconds_waiting
    assert seconds is not None
    assert 90 <= seconds < 3000


def test_parts_of_a_shared_job_keep_workers_busy(kind: Any) -> None:
    kind(parts=lambda _config: [({"part": n}, 5) for n in range(3)])
    whole = services.start(kind="test", title="Shared", config={}, by=None)
    assert services.take(uid=str(whole.uid), worker="w1") is not None
    found = queue_health("default")
    assert (found.running, found.waiting, found.waiting_since) == (1, 2, None)
    assert [job.parent for job in queries.overview()["queues"][0].workers] == []
    alive("default", "w1")
    ((line,)) = queries.overview()["queues"][0].workers
    assert [job.whole for job in line.jobs] == [whole]
    assert parts.waiting(whole)


# Jobs ----------------------------------------------------------------------------------------------------------------


def test_failed_jobs_come_first_and_parts_not_at_all(admin: Client, job: Make) -> None:
    now = timezone.now()
    failed = job("failed", title="Broken one", message="The editor is missing.")
    old = job("failed", title="Broken long ago", finished_at=now - timedelta(days=2))
    newest = job("succeeded", title="Good one")
    part = job("failed", title="A part", parent=newest)
    found = queries.overview()
    assert found["failed"] == [failed]
    assert found["jobs"] == [newest, old]
    html = page(admin)
    jobs = html[html.index('id="recent"') :]
    assert jobs.index("Broken one") < jobs.index("The editor is missing.") < jobs.index("Good one")
    assert part.title not in html
    assert found["steps"][0].href == failed.get_absolute_url()
