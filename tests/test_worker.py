"""Real workers on a real queue: races, workers that are killed, Redis that is away."""

import json
from pathlib import Path
from typing import Any

from tests.installation import Installation, an_installation  # noqa: F401  # a fixture
from webapp.jobs.folder import read_events

WORKER = ("-m", "celery", "-A", "webapp.celery", "worker", "--pool", "threads", "-c", "1", "-Q", "gpu,default")
WORKER += ("--without-mingle", "--without-gossip", "-l", "info")
CLOCK = ("--beat", "--scheduler", "celery.beat:Scheduler")
IMAGES = 2 * 2 * 30
GENERATION = """
from pathlib import Path
from annotation.library import ensure_editor
from annotation.models import Candidate, Dataset
from tests.test_generation import photographs
from training import generation, grid
grid.ALONE, grid.LEAST = {alone}, 10
data = Dataset.objects.first() or photographs(Path({folder!r}), ("relight", "bokeh"))
editors = [ensure_editor(slug=v, name=v, module="classical", settings={{"variant": v}}) for v in ("careful", "rough")]
job = generation.start_generation(dataset=data, editors=editors, seeds=30, by=None)
answer = [str(job.uid), str(job.folder), [str(part.folder) for part in job.parts.all()]]
"""
STATE = """
from webapp.jobs.models import Job
from webapp.jobs import queries
job = Job.objects.get(uid={uid!r})
answer = {{"state": job.state, "attempt": job.attempt, "crashes": job.crashes, "message": job.message,
          "summary": job.summary, "trouble": queries.trouble(job), "worker": job.worker,
          "candidates": sorted(job.candidates.values_list("case__key", "editor__slug", "seed"))}}
"""


def state(here: Installation, uid: str) -> dict[str, Any]:
    answer: dict[str, Any] = here.ask(STATE.format(uid=uid))
    return answer


def made(folder: Path) -> list[str]:
    """The key of every image that was made, once for each time."""
    return [event["key"] for event in read_events(folder / "events.jsonl")[0] if event["event"] == "image"]


def holder(folder: Path) -> str:
    """The process that works on a job folder."""
    found = [
        path.parent.name
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if str(folder).encode() in path.read_bytes().split(b"\0")
    ]
    assert len(found) == 1
    return found[0]


def test_workers_that_stop_and_are_killed_lose_nothing(installation: Installation) -> None:
    here = installation
    uid, name, parts = here.ask(GENERATION.format(folder=str(here.var / "in"), alone=IMAGES))
    assert not parts
    folder = Path(name)
    assert "No worker listens to the queue “gpu”" in state(here, uid)["trouble"]

    first = here.start(*WORKER, "-n", "first@here")
    here.until(lambda: len(made(folder)) >= 3, "the first worker made images")
    assert (state(here, uid)["state"], state(here, uid)["trouble"]) == ("running", "")
    first.terminate()
    assert first.wait(60) == 0
    told = state(here, uid)
    assert told["state"] == "queued"
    assert "The worker was shut down." in told["message"]
    assert len(told["candidates"]) == len(made(folder))

    second = here.start(*WORKER, "-n", "second@here")
    here.until(lambda: len(made(folder)) >= len(told["candidates"]) + 3, "the second worker made more")
    process = holder(folder)
    second.kill()
    second.wait()
    here.until(lambda: not Path("/proc", process).exists(), "the work's process ended with its worker")
    before = made(folder)
    assert len(before) < IMAGES
    assert state(here, uid)["state"] == "running"

    here.start(*WORKER, *CLOCK, "-n", "third@here")
    here.until(lambda: state(here, uid)["state"] == "succeeded", "the third worker finished the job")
    told = state(here, uid)
    assert told["attempt"] >= 3
    assert told["crashes"] == told["attempt"] - 2  # the first attempt was ended by a shutdown, which is no crash
    assert told["worker"] == "third@here"
    assert told["summary"] == {"images": IMAGES, "failed": 0}
    assert len(told["candidates"]) == IMAGES
    assert len(set(made(folder))) == len(made(folder)) == IMAGES
    assert made(folder)[: len(before)] == before


def test_two_workers_share_a_job_and_one_is_killed(installation: Installation) -> None:
    here = installation
    workers = {name: here.start(*WORKER, *CLOCK, "-n", name) for name in ("left@here", "right@here")}
    listening = "from webapp.jobs import presence; answer = presence.workers('gpu')"
    here.until(lambda: set(workers) <= set(here.ask(listening)), "both workers listen")
    here.ask("from annotation.models import Candidate; Candidate.objects.all().delete()")
    uid, _folder, names = here.ask(GENERATION.format(folder=str(here.var / "in"), alone=0))
    parts = [Path(name) for name in names]
    assert len(parts) == 4
    by = "from webapp.jobs.models import Job; answer = list(Job.objects.filter({}).values_list('worker', flat=True))"
    at_work = by.format(f"parent__uid={uid!r}, state='running'")
    here.until(lambda: set(here.ask(at_work)) == set(workers), "both workers have a part")
    workers["left@here"].kill()
    workers["left@here"].wait()
    assert state(here, uid)["state"] == "running"
    here.until(lambda: state(here, uid)["state"] == "succeeded", "the other worker finished the job")
    told = state(here, uid)
    assert told["summary"] == {"images": IMAGES, "failed": 0}
    assert len(told["candidates"]) == len({tuple(one) for one in told["candidates"]}) == IMAGES
    images = [key for part in parts for key in made(part)]
    assert len(images) == len(set(images)) == IMAGES
    assert set(here.ask(by.format(f"parent__uid={uid!r}"))) <= set(workers)


def test_a_race_for_jobs_has_one_winner_each(installation: Installation) -> None:
    won = installation.ask("""
from threading import Barrier, Thread
from django.db import connection
from webapp.jobs import services
jobs = [services.start(kind="generate", title="t", config={"dataset": None}, by=None) for _ in range(20)]
barrier, answer = Barrier(6), []
def race(worker):
    try:
        for job in jobs:
            barrier.wait()
            if services.claim(uid=str(job.uid), worker=worker):
                answer.append(str(job.uid))
    finally:
        connection.close()
threads = [Thread(target=race, args=(f"w{number}",)) for number in range(6)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert {job.attempt for job in services.Job.objects.filter(uid__in=answer)} == {1}
""")
    assert len(won) == len(set(won)) == 20


def test_a_job_started_while_redis_is_away_waits_with_words(installation: Installation) -> None:
    uid = installation.python(
        """
from webapp.jobs import services
answer = str(services.start(kind="generate", title="t", config={"dataset": None}, by=None).uid)
""",
        REDIS_URL="redis://127.0.0.1:1/0",
    )
    told = state(installation, uid)
    assert (told["state"], told["message"]) == ("queued", "Redis does not answer. The job starts when it is back.")
    sent = installation.ask(f"""
from django.utils import timezone
from webapp.jobs import services
from webapp.live.streams import client
client().delete("gpu")
job = services.Job.objects.filter(uid={uid!r})
job.update(enqueued_at=timezone.now() - 2 * services.REQUEUE_AFTER)
services.reap()
answer = [message for message in client().lrange("gpu", 0, -1) if {uid!r} in message]
""")
    assert len(sent) == 1
    assert json.loads(sent[0])["headers"]["task"] == "webapp.jobs.tasks.run_job"
