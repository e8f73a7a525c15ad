"""The job folder: the file contract between the web side and the process that does the work.

    job.json       what to do: {"kind", "config", "attempt"}; written by the web side, read once
    inputs/        files the job needs
    outputs/       files the job made
    events.jsonl   one event a line, appended by the process, tailed by the web side
    checkpoint.json  where to go on after a cancel or a crash; replaced as a whole
    result.json    written once, last: {"attempt", "status", "message", "summary"}
    log.txt        standard output and error of the process

The module knows neither Django nor torch, so the same code runs by hand, in another environment or on another host.
A process stops when it is sent SIGTERM, or when its standard input closes: the supervisor holds the other end, so a
supervisor that was killed takes its process with it and no orphan goes on writing. It has ORPHAN_SECONDS to save its
place; a new attempt waits longer than that for the folder's lock.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import stat
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import IO, Any

SUCCEEDED, FAILED, CANCELLED = "succeeded", "failed", "cancelled"
ORPHAN_SECONDS, LOCK_SECONDS = 30.0, 60.0


class JobError(Exception):
    """The work cannot be done; the message is shown to the user as it is."""


class JobBusy(JobError):
    """Another process holds the job folder."""


class JobStopped(Exception):
    """The process was asked to stop and has saved its place."""


class JobPaused(JobStopped):
    """The process stopped by itself, and has saved its place: the message says what a person is to decide."""


def write_json(path: Path, value: object) -> None:
    """Write ``value`` so that a reader sees the old file or the new one, never a part of it."""
    temporary = path.with_name(path.name + ".part")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def read_json(path: Path) -> Any:
    """The parsed file, or None where there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def inside(folder: Path, name: object) -> Path | None:
    """The path of that name in a folder; None where it is no name, or leads out of the folder."""
    if not isinstance(name, str) or not name:
        return None
    path = folder / name
    return path if Path(os.path.normpath(path)).is_relative_to(folder) else None


def read_events(path: Path, offset: int = 0, most: int | None = None) -> tuple[list[dict[str, Any]], int]:
    """Whole events from byte ``offset`` on, from ``most`` lines at most, and the offset after the last line read."""
    events = []
    try:
        with path.open("rb") as file:
            file.seek(offset)
            for line in islice(file, most):
                if not line.endswith(b"\n"):
                    break  # still being written; if torn by a crash, the next attempt's first newline closes it
                offset += len(line)
                events += _event(line)
    except FileNotFoundError:
        pass
    return events, offset


def _event(line: bytes) -> list[dict[str, Any]]:
    """The line's event, or nothing where it is none."""
    try:
        event = json.loads(line)
    except ValueError:
        return []
    return [event] if isinstance(event, dict) and isinstance(event.get("event"), str) else []


def write_result(folder: Path, attempt: int, status: str, message: str, summary: dict[str, Any] | None = None) -> None:
    result = {"attempt": attempt, "status": status, "message": message, "summary": summary or {}}
    write_json(folder / "result.json", result)


def _own(folder: Path) -> IO[bytes]:
    """Hold the folder's lock for the life of this process: a new attempt waits for the old one's process to end."""
    lock = (folder / "lock").open("wb")
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise JobBusy("Another process is still working on this job. Try again in a minute.") from None
            time.sleep(0.2)
        else:
            return lock


class JobRun:
    """The process's side of a job folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        job = read_json(folder / "job.json")
        if job is None:
            raise JobError(f"There is no job.json in {folder}.")
        self.kind: str = job["kind"]
        self.config: dict[str, Any] = job["config"]
        self.attempt: int = job.get("attempt", 1)
        self.inputs, self.outputs = folder / "inputs", folder / "outputs"
        self.outputs.mkdir(exist_ok=True)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        try:
            self._owner = _own(folder)
        except JobBusy as error:
            write_result(folder, self.attempt, FAILED, str(error))
            raise
        self._events = (folder / "events.jsonl").open("ab")
        if self._events.tell():
            self._events.write(b"\n")  # closes a line that a crash may have torn

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    def stop(self) -> None:
        self._stop.set()

    def check(self) -> None:
        """Raise JobStopped if the job was asked to stop. Call it between pieces of work, after saving your place."""
        if self.stopping:
            raise JobStopped

    def emit(self, event: str, **data: Any) -> None:
        """Append one event. Safe from several threads."""
        line = json.dumps({"event": event, "time": round(time.time(), 3), **data}, ensure_ascii=False)
        with self._lock:
            self._events.write(line.encode() + b"\n")
            self._events.flush()

    def progress(self, done: int, total: int, message: str = "") -> None:
        self.emit("progress", done=done, total=total, message=message)

    def past_events(self, event: str) -> Iterator[dict[str, Any]]:
        """Events of that name that earlier attempts wrote: what need not be done again."""
        events, _ = read_events(self.folder / "events.jsonl")
        return (past for past in events if past["event"] == event)

    def save_checkpoint(self, state: object) -> None:
        write_json(self.folder / "checkpoint.json", state)

    def load_checkpoint(self) -> Any:
        return read_json(self.folder / "checkpoint.json")

    def finish(self, status: str, message: str = "", summary: dict[str, Any] | None = None) -> None:
        self._events.close()
        write_result(self.folder, self.attempt, status, message, summary)


def _stop_with_parent(run: JobRun) -> None:
    """Stop when standard input ends. A terminal or /dev/null is a run by hand: nothing to watch."""
    if sys.stdin is None or not _is_pipe(sys.stdin.fileno()):
        return

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        run.stop()
        time.sleep(ORPHAN_SECONDS)
        leads = os.getsid(0) == os.getpid()  # started by a supervisor: what it started itself goes with it
        os.kill(0 if leads else os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def _is_pipe(descriptor: int) -> bool:
    return stat.S_ISFIFO(os.fstat(descriptor).st_mode)


def run_job(folder: Path, work: Callable[[JobRun], dict[str, Any]]) -> int:
    """Run ``work`` on a job folder, write result.json whatever happens, and return the exit status."""
    try:
        run = JobRun(folder)
    except JobBusy as error:
        print(error, file=sys.stderr)
        return 1

    def on_sigterm(_signal: int, _frame: FrameType | None) -> None:
        run.stop()

    signal.signal(signal.SIGTERM, on_sigterm)
    _stop_with_parent(run)
    try:
        summary = work(run)
    except JobStopped as stopped:
        run.finish(CANCELLED, str(stopped) or "Stopped. Resume goes on from here.")
    except JobError as error:
        run.finish(FAILED, str(error))
        return 1
    except OSError as error:
        traceback.print_exc()
        run.finish(FAILED, f"{error.strerror or error}: {error.filename or 'no file named'}.")
        return 1
    except Exception as error:  # the boundary of the process: every failure must reach result.json
        traceback.print_exc()
        run.finish(FAILED, f"Unexpected error ({type(error).__name__}): {error}. The log has the details.")
        return 1
    else:
        run.finish(SUCCEEDED, summary=summary)
    return 0
