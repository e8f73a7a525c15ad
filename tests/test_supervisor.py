"""A worker runs jobs' processes: however one ends, the job's page says how, and nothing is lost or left behind."""

import fcntl
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError

from tests.scripted import a_kind  # noqa: F401  # a fixture
from webapp.jobs import queries, services, supervisor
from webapp.jobs.folder import JobError, read_json
from webapp.jobs.kinds import JobKind
from webapp.jobs.models import Job, State
from webapp.live import streams

Kind = Callable[..., JobKind]
UNTIL_STOPPED = """
place = run.load_checkpoint() or 0
run.emit("ready", pid=os.getpid(), place=place)
while place < 5:
    place += 1
    run.save_checkpoint(place)
    while place == 3 and run.attempt == 1 and not run.stopping:
        time.sleep(0.01)
    run.check()
return {"place": place}
"""


@pytest.fixture(autouse=True)
def _quick(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(supervisor, "TICK_SECONDS", 0.02)
    monkeypatch.setattr(supervisor, "HEARTBEAT_SECONDS", 0.0)
    streams.client().delete("default")
    yield
    supervisor.stopping.clear()


def claimed(worker: str = "w1") -> Job:
    """A new job in the hands of a worker; or the one there is, once more."""
    made = Job.objects.first() or services.start(kind="test", title="A test", config={}, by=None)
    found = services.claim(uid=str(made.uid), worker=worker)
    assert found is not None
    return found


def supervised(worker: str = "w1") -> Job:
    supervisor.supervise(claimed(worker))
    return Job.objects.get()


def once(action: Callable[[Job], Any]) -> Callable[[Job, list[dict[str, Any]]], None]:
    """Do something when the process says that it is ready."""

    def on_events(job: Job, events: list[dict[str, Any]]) -> None:
        if any(event["event"] == "ready" for event in events):
            action(job)

    return on_events


def ended(pid: int) -> bool:
    """No such process, or one that is dead and waits for its parent's look."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


# How a process ends --------------------------------------------------------------------------------------------------


def test_it_works(kind: Kind) -> None:
    seen: list[Any] = []
    kind(
        """
print("hello from the work")
for number in run.config.get("numbers", [1, 2, 3]):
    run.emit("number", value=number)
    run.progress(number, 3, "counting")
(run.outputs / "six.txt").write_text("6")
return {"sum": 6}
""",
        prepare=lambda job: (job.folder / "inputs" / "given.txt").write_text("x"),
        on_events=lambda job, events: seen.extend(e["value"] for e in events if e["event"] == "number"),
        on_result=lambda job, summary: seen.append(summary),
    )
    job = supervised()
    assert (job.state, job.summary, job.done, job.total, job.message) == (State.SUCCEEDED, {"sum": 6}, 3, 3, "")
    assert seen == [1, 2, 3, {"sum": 6}]
    assert (job.folder / "inputs" / "given.txt").exists()
    assert (job.folder / "outputs" / "six.txt").read_text() == "6"
    assert queries.log_tail(job) == "hello from the work\n"


@pytest.mark.parametrize(
    ("work", "words"),
    [
        ('raise JobError("Case 7 has no mask.")', "Case 7 has no mask."),
        ('raise ValueError("seven")', "Unexpected error (ValueError): seven. The log has the details."),
        ('open("/nowhere/else")', "No such file or directory: /nowhere/else."),
        ("os.kill(os.getpid(), signal.SIGKILL)", "Most often the machine had no memory left."),
        ("os.kill(os.getpid(), signal.SIGABRT)", "ended by signal 6"),
        ("os._exit(7)", "ended without a result (status 7)"),
    ],
)
def test_a_failure_says_why(kind: Kind, work: str, words: str) -> None:
    kind(work)
    job = supervised()
    assert job.state == State.FAILED
    assert words in job.message
    assert job.finished_at is not None


def test_an_unexpected_error_is_in_the_log(kind: Kind) -> None:
    kind('raise ValueError("seven")')
    assert "Traceback" in queries.log_tail(supervised())


def test_a_program_that_cannot_be_started(kind: Kind) -> None:
    kind(command=lambda folder: ["/nowhere/python", str(folder)])
    job = supervised()
    assert job.state == State.FAILED
    assert "/nowhere/python" in job.message


def refuse(_job: Job) -> None:
    raise JobError("The data set was deleted.")


def test_inputs_that_cannot_be_made(kind: Kind, tmp_path: Path) -> None:
    kind(f"Path({str(tmp_path / 'ran')!r}).touch()", prepare=refuse)
    assert supervised().message == "The data set was deleted."
    assert not (tmp_path / "ran").exists()


def test_what_cannot_be_kept_fails_the_job_and_ends_its_process(kind: Kind) -> None:
    pids = []

    def full(_job: Job, events: list[dict[str, Any]]) -> None:
        pids.extend(event["pid"] for event in events)
        raise OSError(28, "No space left on device", "/media")

    kind(UNTIL_STOPPED, on_events=full)
    job = supervised()
    assert (job.state, job.message) == (State.FAILED, "No space left on device: /media")
    assert ended(pids[0])


def test_a_result_that_cannot_be_kept_fails_the_job(kind: Kind) -> None:
    def broken(_job: Job, _summary: dict[str, Any]) -> None:
        raise JobError("The file is incomplete.")

    kind(on_result=broken)
    job = supervised()
    assert (job.state, job.message) == (State.FAILED, "The file is incomplete.")


# Stopping ------------------------------------------------------------------------------------------------------------


def test_cancel_saves_the_place_and_resume_goes_on(kind: Kind) -> None:
    places = []

    def cancel(job: Job, events: list[dict[str, Any]]) -> None:
        places.extend(event["place"] for event in events if event["event"] == "ready")
        if job.attempt == 1 and read_json(job.folder / "checkpoint.json") == 3:
            services.cancel(job=Job.objects.get())

    kind(UNTIL_STOPPED.replace("time.sleep(0.01)", "time.sleep(0.01); run.progress(place, 5)"), on_events=cancel)
    job = supervised()
    assert (job.state, job.message) == (State.CANCELLED, "Stopped. Resume goes on from here.")
    services.resume(job=job)
    job = supervised("w2")
    assert (job.state, job.summary) == (State.SUCCEEDED, {"place": 5})
    assert places == [0, 3]


def test_a_process_that_ignores_the_request_is_killed(kind: Kind, settings: Any) -> None:
    settings.JOB_KILL_SECONDS = 0.3
    pids = []
    kind(
        """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal as s, time; s.signal(15, s.SIG_IGN); time.sleep(99)"])
run.emit("ready", pid=os.getpid(), child=child.pid)
time.sleep(99)
""",
        on_events=lambda job, events: (
            pids.extend([events[0]["pid"], events[0]["child"]]),
            services.cancel(job=Job.objects.get()),
        ),
    )
    job = supervised()
    assert (job.state, job.message) == (State.CANCELLED, "Stopped. Resume goes on from here.")
    assert [ended(pid) for pid in pids] == [True, True]


def test_a_process_that_crashes_leaves_nobody_behind(kind: Kind) -> None:
    children = []
    kind(
        """
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(99)"])
run.emit("ready", child=child.pid)
os._exit(1)
""",
        on_events=lambda job, events: children.append(events[0]["child"]),
    )
    assert supervised().state == State.FAILED
    assert ended(children[0])


def test_a_worker_that_shuts_down_hands_the_job_on(kind: Kind) -> None:
    kind(UNTIL_STOPPED, on_events=once(lambda job: job.attempt == 1 and supervisor.stopping.set()))
    job = supervised()
    assert job.state == State.QUEUED
    assert "The worker was shut down." in job.message
    assert streams.client().llen("default") == 1 + 1  # for the start, and for the next worker
    supervisor.stopping.clear()
    job = supervised("w2")
    assert (job.state, job.attempt, job.worker) == (State.SUCCEEDED, 2, "w2")
    assert job.summary == {"place": 5}


def test_a_cancelled_job_does_not_wait_for_the_next_worker(kind: Kind) -> None:
    def both(_job: Job) -> None:
        supervisor.stopping.set()
        services.cancel(job=Job.objects.get())

    kind(UNTIL_STOPPED, on_events=once(both))
    assert supervised().state == State.CANCELLED


def test_a_job_that_was_taken_over_is_let_go(kind: Kind) -> None:
    """The reaper took this worker for dead and another worker has the job: our process ends, the job is theirs."""
    pids = []

    def take(job: Job, events: list[dict[str, Any]]) -> None:
        pids.extend(event["pid"] for event in events)
        services.finish(Job.objects.get(), state=State.QUEUED)
        assert services.claim(uid=str(job.uid), worker="w2") is not None

    kind(UNTIL_STOPPED, on_events=take)
    job = supervised()
    assert (job.state, job.worker, job.attempt) == (State.RUNNING, "w2", 2)
    assert ended(pids[0])


# Events --------------------------------------------------------------------------------------------------------------

CRASHES_ONCE = """
start = 3 * run.attempt
for number in range(start, start + 3):
    run.emit("number", value=number)
if run.attempt == 1:
    run._events.write(b'{"event": "number", "value": 99')
    run._events.flush()
    os._exit(1)
return {}
"""


def test_events_of_two_attempts_are_applied_once_and_none_is_lost(kind: Kind) -> None:
    seen: list[int] = []
    kind(CRASHES_ONCE, on_events=lambda job, events: seen.extend(event["value"] for event in events))
    services.resume(job=supervised())
    assert supervised("w2").state == State.SUCCEEDED
    assert seen == [3, 4, 5, 6, 7, 8]


def test_events_that_a_dead_worker_had_not_carried_are_carried(kind: Kind) -> None:
    """The worker died after its process wrote events and before it noted them."""
    seen: list[int] = []
    kind(CRASHES_ONCE, on_events=lambda job, events: seen.extend(event["value"] for event in events))
    job = supervised()
    services.resume(job=job)
    Job.objects.update(events_read=0)
    assert supervised("w2").state == State.SUCCEEDED
    assert seen == [3, 4, 5, 3, 4, 5, 6, 7, 8]


def test_lines_that_are_no_events_are_skipped(kind: Kind) -> None:
    seen: list[int] = []
    kind(
        r"""
run._events.write(b'5\n[1]\n\xff\xfe\n{"value": 1}\n{"event": 3}\nnonsense\n')
run.emit("number", value=7)
return {}
""",
        on_events=lambda job, events: seen.extend(event["value"] for event in events),
    )
    assert supervised().state == State.SUCCEEDED
    assert seen == [7]


def test_a_flood_of_events_does_not_silence_the_heartbeat(kind: Kind) -> None:
    beats = set()
    values: list[int] = []

    def slow(_job: Job, events: list[dict[str, Any]]) -> None:
        values.extend(event["value"] for event in events)
        beats.add(Job.objects.get().heartbeat_at)

    kind("for number in range(200): run.emit('number', value=number)\nreturn {}", on_events=slow)
    assert supervised().state == State.SUCCEEDED
    assert values == list(range(200))
    assert len(beats) > 5


def test_a_database_that_is_away_for_a_moment_ends_no_work(kind: Kind) -> None:
    calls: list[int] = []

    def locked_at_first(_job: Job, events: list[dict[str, Any]]) -> None:
        calls.append(len(events))
        if len(calls) == 1:
            raise OperationalError("database is locked")

    kind("run.emit('number', value=1); time.sleep(0.5); return {}", on_events=locked_at_first)
    assert supervised().state == State.SUCCEEDED
    assert calls == [1, 1]


def test_events_reach_the_page(kind: Kind) -> None:
    kind("run.emit('loss', value=0.5)\nrun.progress(1, 2)\nreturn {}")
    job = supervised()
    sent = [fields for _id, fields in streams.client().xrange(f"live:{job.channel}")]  # type: ignore[union-attr]
    assert [fields["event"] for fields in sent] == ["job", "work", "job", "job"]
    assert '"value": 0.5' in sent[1]["data"]
    assert '"state": "succeeded"' in sent[-1]["data"]


# Two processes on one folder -----------------------------------------------------------------------------------------


def test_the_result_of_an_earlier_attempt_is_not_taken_for_this_one(kind: Kind) -> None:
    """An orphan of the first attempt ends late and writes its result; then the second attempt's process is killed."""
    kind(
        """
from webapp.jobs.folder import write_json
write_json(run.folder / "result.json", {"attempt": 1, "status": "succeeded", "message": "", "summary": {"old": 1}})
os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    services.finish(claimed(), state=State.QUEUED)
    job = supervised("w2")
    assert job.attempt == 2
    assert job.state == State.FAILED
    assert "no memory left" in job.message


def test_a_folder_that_another_process_holds(kind: Kind) -> None:
    program_of = kind("return {}").command
    job = claimed()
    job.folder.mkdir(parents=True)
    program = program_of(job.folder)
    with (job.folder / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        impatient = f"import sys, runpy, webapp.jobs.folder as f; f.LOCK_SECONDS = 0.3; sys.argv = {program[1:]}; "
        command = [sys.executable, "-c", impatient + f"runpy.run_path({program[1]!r}, run_name='__main__')"]
        kind("return {}", command=lambda folder: command)
        supervisor.supervise(job)
    job.refresh_from_db()
    assert job.state == State.FAILED
    assert "Another process is still working on this job." in job.message
    services.resume(job=job)
    kind("return {}")
    assert supervised("w2").state == State.SUCCEEDED


def test_slow_events_are_carried_few_at_a_time(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeping a large image takes seconds; the heartbeat must go on between them."""
    monkeypatch.setattr(supervisor, "HEARTBEAT_SECONDS", 0.02)
    carried: list[int] = []

    def keep(_job: Job, events: list[dict[str, Any]]) -> None:
        carried.append(len(events))
        time.sleep(0.03 * len(events))

    kind("for n in range(20):\n    run.emit('image', n=n)\nreturn {}", on_events=keep)
    assert supervised().state == State.SUCCEEDED
    assert sum(carried) >= 20
    assert max(carried) <= 2
    assert carried[-1] == 1


def test_quick_events_are_carried_many_at_a_time(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "HEARTBEAT_SECONDS", 10.0)
    carried: list[int] = []
    script = "for n in range(100):\n    run.emit('image', n=n)\nreturn {}"
    kind(script, on_events=lambda _job, events: carried.append(len(events)))
    assert supervised().state == State.SUCCEEDED
    assert max(carried) <= supervisor.EVENTS_AT_ONCE
    assert sum(carried) >= 100
