"""The file contract of jobs, without a supervisor or a database: as run by hand, or after a supervisor was killed."""

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scripted import program
from webapp.jobs.folder import JobError, JobRun, read_events, read_json, write_json

ROOT = Path(__file__).resolve().parents[1]
Start = Callable[..., subprocess.Popen[bytes]]
WAITS = """
run.emit("ready")
while True:
    time.sleep(0.01)
    run.check()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "job"
    made.mkdir()
    write_json(made / "job.json", {"kind": "test", "config": {}, "attempt": 1})
    return made


@pytest.fixture
def start(folder: Path, tmp_path: Path) -> Any:
    """Start a program on the folder. Whatever still runs at the end is killed."""
    started: list[subprocess.Popen[bytes]] = []

    def go(work: str, before: str = "", **options: Any) -> subprocess.Popen[bytes]:
        path = program(tmp_path, work)
        path.write_text(before + path.read_text())
        options = {"stdin": subprocess.PIPE, "start_new_session": True, **options}
        process = subprocess.Popen(
            [sys.executable, path, folder], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, **options
        )
        started.append(process)
        return process

    yield go
    for process in started:
        process.kill()
        process.wait()


def events(folder: Path, name: str) -> list[dict[str, Any]]:
    return [event for event in read_events(folder / "events.jsonl")[0] if event["event"] == name]


def until(happened: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline, f"this did not happen: {what}"
        time.sleep(0.01)


def test_it_works_by_hand(folder: Path, start: Start) -> None:
    process = start("run.progress(1, 1)\nreturn {'answer': 42}", stdin=subprocess.DEVNULL)
    assert process.wait(30) == 0
    expected = {"attempt": 1, "status": "succeeded", "message": "", "summary": {"answer": 42}}
    assert read_json(folder / "result.json") == expected
    assert [event["done"] for event in events(folder, "progress")] == [1]


def test_it_stops_when_the_supervisor_is_gone(folder: Path, start: Start) -> None:
    process = start(WAITS)
    until(lambda: events(folder, "ready"), "the process started")
    assert process.stdin
    process.stdin.close()  # as the kernel does when the process at the other end is killed
    assert process.wait(30) == 0
    assert read_json(folder / "result.json")["status"] == "cancelled"


def test_it_does_not_outlive_its_supervisor_for_long(folder: Path, start: Start) -> None:
    """Work that never looks whether it should stop is ended, with what it started."""
    process = start(
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)'], stdout=sys.stderr)\n"
        "run.emit('ready')\ntime.sleep(99)",
        before="import webapp.jobs.folder as f; f.ORPHAN_SECONDS = 0.2\n",
    )
    until(lambda: events(folder, "ready"), "the process started")
    process.communicate(timeout=30)  # closes its input; ends when nobody, child or process, holds its error stream
    assert process.returncode == -signal.SIGKILL
    assert read_json(folder / "result.json") is None


def test_it_stops_when_asked(folder: Path, start: Start) -> None:
    process = start(WAITS, stdin=subprocess.DEVNULL)
    until(lambda: events(folder, "ready"), "the process started")
    process.terminate()
    assert process.wait(30) == 0
    assert read_json(folder / "result.json")["status"] == "cancelled"


def test_a_second_process_waits_for_the_first(folder: Path, start: Start) -> None:
    first = start(WAITS)
    until(lambda: events(folder, "ready"), "the first process started")
    second = start('run.emit("second", first=(run.folder / "result.json").exists())\nreturn {}')
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(0.7)
    assert not events(folder, "second")
    first.terminate()
    assert second.wait(30) == 0
    assert [event["first"] for event in events(folder, "second")] == [True]


def test_a_process_that_is_killed_lets_the_folder_go(folder: Path, start: Start) -> None:
    first = start(WAITS)
    until(lambda: events(folder, "ready"), "the first process started")
    first.kill()
    assert start("return {}").wait(30) == 0


def test_a_folder_without_a_job(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"There is no job\.json"):
        JobRun(tmp_path)


@settings(deadline=None)
@given(
    values=st.lists(st.text(max_size=20), max_size=20),
    cuts=st.lists(st.integers(0, 2000), max_size=10),
    most=st.integers(1, 7) | st.none(),
)
def test_a_growing_file_gives_each_event_once(values: list[str], cuts: list[int], most: int | None) -> None:
    """Whatever part of it is written when one looks, and however few lines one takes."""
    data = b"".join(json.dumps({"event": "v", "value": v}, ensure_ascii=False).encode() + b"\n" for v in values)
    with tempfile.TemporaryDirectory() as name:
        path, seen, offset = Path(name) / "events.jsonl", [], 0
        assert read_events(path) == ([], 0)
        for end in [*sorted(cuts), len(data)]:
            path.write_bytes(data[:end])
            while True:
                found, after = read_events(path, offset, most)
                if after == offset:
                    break
                seen, offset = seen + found, after
    assert [event["value"] for event in seen] == values
