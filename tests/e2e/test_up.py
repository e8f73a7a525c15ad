"""`make up` for real: it starts, comes back after kill -9, and leaves no process behind.

The last file by its name: it kills and ends the application that the others use.
"""

import json
import os
import pty
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.migrated import prepared

ROOT = Path(__file__).resolve().parents[2]


def until(condition: Callable[[], Any], seconds: float = 600) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)
    return value


def environment(var: Path, **more: str) -> dict[str, str]:
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("EDITLOOP_", "DATABASE_URL", "REDIS_URL"))}
    return {**plain, "EDITLOOP_VAR": str(var), "EDITLOOP_PORT": "0", **more}


class Started:
    """A running `make up` of its own data folder and port."""

    def __init__(self, var: Path, **more: str) -> None:
        self.var, self.output = var, var.parent / "output"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "scripts.up"],
                cwd=ROOT,
                env=environment(var, **more),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def state(self) -> dict[str, Any]:
        """What var/up.json says; it is there once everything has started."""
        assert self.process.poll() is None, self.output.read_text()
        path = self.var / "up.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(self.state()["address"] + "health/", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


@pytest.fixture
def started(application: Started) -> Started:
    return application


def processes_of(var: Path) -> list[str]:
    """The command lines of all processes whose environment or arguments name that folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue
        if os.fsencode(var) in text and int(folder.name) != os.getpid():
            found.append((folder / "cmdline").read_text().replace("\0", " "))
    return found


def test_it_starts_and_says_who_can_sign_in(started: Started) -> None:
    state = until(started.state)
    assert started.is_healthy()
    said = started.output.read_text()
    assert state["address"] in said
    accounts = json.loads((started.var / "accounts.json").read_text())
    assert {account["role"] for account in accounts} >= {"admin", "engineer", "annotator"}
    assert all(account["password"] in said for account in accounts)


def test_what_is_secret_is_for_its_owner_alone(started: Started) -> None:
    until(started.state)
    for path in (started.var, started.var / "secret_key", started.var / "accounts.json"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_killed_processes_come_back(started: Started) -> None:
    before = until(started.state)["processes"]
    names = ("web", "worker", "gpu")
    for name in names:
        os.kill(before[name], signal.SIGKILL)
    until(lambda: all(started.state()["processes"].get(name) not in (None, before[name]) for name in names))
    until(started.is_healthy)
    assert "The web server stopped (killed by signal 9)" in started.output.read_text()


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks in /proc")
def test_ctrl_c_ends_every_process(started: Started) -> None:
    until(started.state)
    assert len(processes_of(started.var)) >= 5  # itself, the queue's server, the web server, two workers
    assert started.stop() == 0
    assert processes_of(started.var) == []
    assert not (started.var / "up.json").exists()


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks in /proc")
def test_a_closed_terminal_ends_every_process(tmp_path: Path) -> None:
    """As make does, a shell between the terminal and the program keeps the terminal's signal to itself."""
    env = environment(prepared(tmp_path / "var"), EDITLOOP_DEMO="0")
    shell, terminal = pty.fork()
    if shell == 0:
        command = f"trap '' HUP; {shlex.quote(sys.executable)} -m scripts.up; :"
        os.chdir(ROOT)
        os.execve("/bin/sh", ["sh", "-c", command], env)
    until((tmp_path / "var" / "up.json").exists)
    assert len(processes_of(tmp_path / "var")) >= 5
    os.close(terminal)
    until(lambda: not processes_of(tmp_path / "var"), seconds=60)
    os.waitpid(shell, 0)


def test_without_the_demo_there_are_no_accounts(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scripts.up"]
    env = environment(prepared(tmp_path / "var"), EDITLOOP_DEMO="0")
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as process:
        until((tmp_path / "var" / "up.json").exists)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
    assert "Editloop is running at http://127.0.0.1:" in said
    assert "password" not in said
    assert not (tmp_path / "var" / "accounts.json").exists()
