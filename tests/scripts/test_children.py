"""The processes of `make up`: watched, started again, ended with everything that they started."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.children import Child, Children

ROOT = Path(__file__).resolve().parents[2]
SLEEP = "import time; time.sleep(60)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
# Starts a process in a session of its own, as a worker starts a job, and says its number.
PARENT = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {SLEEP!r}], start_new_session=True)
print(child.pid, flush=True)
time.sleep(60)
"""


def until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return value


def alive(pid: int) -> bool:
    """Whether a process runs: a dead one that nobody has buried does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def children(said: list[str]) -> Iterator[Children]:
    group = Children(said.append)
    yield group
    group.stop(lambda: True)


@pytest.fixture
def child(tmp_path: Path) -> Callable[..., Child]:
    def make(code: str, name: str = "one", **how: object) -> Child:
        command = [sys.executable, "-c", code]
        return Child(name, f"The {name}", command, dict(os.environ), tmp_path, tmp_path / f"{name}.log", **how)  # type: ignore[arg-type]

    return make


def test_a_killed_child_comes_back_and_it_is_said(
    children: Children, said: list[str], child: Callable[..., Child]
) -> None:
    one = children.add(child(SLEEP))
    assert one.process
    first = one.process.pid
    os.kill(first, signal.SIGKILL)
    until(children.revive)
    assert one.running
    assert one.process.pid != first
    assert said == ["The one stopped (killed by signal 9); starting it again in 0.25 s."]


def test_a_child_that_dies_at_once_is_tried_ever_more_slowly(
    children: Children, said: list[str], child: Callable[..., Child]
) -> None:
    one = child("print('no such port')")
    delays = [one.note_death(now) for now in (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)]
    assert delays == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30]
    assert one.note_death(1000.0) == 0.25  # long ago is forgotten


def test_the_log_says_why_a_child_keeps_dying(children: Children, said: list[str], child: Callable[..., Child]) -> None:
    one = children.add(child("print('no such port')"))
    assert one.process
    one.process.wait()
    one.deaths = [time.monotonic()] * 3
    children.revive()
    assert "no such port" in said[-1]


def test_stop_ends_a_child_that_does_not_listen(children: Children, child: Callable[..., Child]) -> None:
    one = children.add(child(DEAF, grace=0.2))
    until(lambda: "ready" in one.last_line())
    children.stop(lambda: False)
    assert not one.running


def test_a_second_ctrl_c_does_not_wait(children: Children, child: Callable[..., Child]) -> None:
    one = children.add(child(DEAF, grace=3600))
    until(lambda: "ready" in one.last_line())
    children.stop(lambda: True)
    assert not one.running


def test_the_queue_ends_after_those_that_need_it(
    children: Children, child: Callable[..., Child], tmp_path: Path
) -> None:
    note = "import signal, sys, time\ndef end(*_):\n print(time.monotonic_ns()); sys.exit()\nsignal.signal(15, end)\n"
    loop = note + "print('ready', flush=True)\nwhile True: time.sleep(0.01)"
    queue = children.add(child(loop, "queue", last=True))
    worker = children.add(child(loop.replace("print(time", "time.sleep(0.3); print(time"), "worker"))
    until(lambda: "ready" in queue.last_line() and "ready" in worker.last_line())
    children.stop(lambda: False)
    assert int(queue.last_line()) > int(worker.last_line())


PROGRAM = """
import sys, time
from pathlib import Path
from typing import Any
from scripts.children import Child, Children, adopt_orphans
folder = Path(sys.argv[1])
adopt_orphans()
children = Children(print)
one = children.add(Child("one", "The one", [sys.executable, "-c", sys.argv[2]], {}, folder, folder / "one.log"))
print(one.process.pid, flush=True)
sys.stdin.readline()
children.stop(lambda: False)
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A program that keeps a child which starts a process in a session of its own; a line on its input ends it."""
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), PARENT]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def pids(program: subprocess.Popen[str], folder: Path) -> tuple[int, int]:
    assert program.stdout
    child = int(program.stdout.readline())
    return child, int(until(lambda: (folder / "one.log").read_text().strip()))


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's process controls")
def test_stop_reaches_what_a_child_started_in_a_session_of_its_own(
    program: subprocess.Popen[str], tmp_path: Path
) -> None:
    child, grandchild = pids(program, tmp_path)
    assert alive(child)
    assert alive(grandchild)
    program.communicate("\n", timeout=20)
    assert not alive(child)
    assert not alive(grandchild)


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's process controls")
def test_a_killed_program_takes_its_child_along(program: subprocess.Popen[str], tmp_path: Path) -> None:
    child, grandchild = pids(program, tmp_path)
    program.kill()
    until(lambda: not alive(child))
    os.kill(grandchild, signal.SIGKILL)  # a job's process watches its standard input; this one does not


def test_a_long_log_is_put_aside(
    children: Children, child: Callable[..., Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.children.LOG_BYTES", 10)
    one = child("print('new')")
    one.log.write_text("old and long, longer than ten bytes")
    children.add(one)
    until(lambda: one.last_line() == "new")
    assert one.log.with_name("one.log.1").read_text().startswith("old")
