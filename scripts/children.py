"""The processes that `make up` keeps alive: started, watched, started again, and ended together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

LOG_BYTES = 10 * 1024 * 1024  # a log longer than this at a start is put aside as .1
MEMORY_SECONDS = 60.0  # deaths within so long count together
SLOWEST_RESTART = 30.0


def _prctl(option: int, value: int) -> None:
    """Linux's process controls; elsewhere nothing."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(option, value)


def die_with_parent() -> None:
    """Have the kernel end this child when its parent is gone, even by kill -9."""
    _prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def adopt_orphans() -> None:
    """Make this process the parent of its children's orphans (a job's process whose worker was killed)."""
    _prctl(36, 1)  # PR_SET_CHILD_SUBREAPER


def children_of_mine() -> set[int]:
    """Process ids of our children, the adopted ones too. Empty where /proc does not tell."""
    lists = Path("/proc/self/task").glob("*/children")
    return {int(pid) for path in lists for pid in path.read_text().split()}


def how_it_ended(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit status {code}"


@dataclass
class Child:
    """One program, with its log, its process and the times it died.

    ``grace``: seconds from SIGTERM to SIGKILL. ``last``: ended after the others, which still need it. Every child
    leads a process group of its own, so that the terminal's Ctrl-C reaches this program alone and the group can be
    ended as a whole.
    """

    name: str
    title: str
    command: list[str]
    env: dict[str, str]
    folder: Path
    log: Path
    grace: float = 10.0
    last: bool = False
    deaths: list[float] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None
    start_at: float = 0.0

    def start(self) -> subprocess.Popen[bytes]:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            if self.log.stat().st_size > LOG_BYTES:
                self.log.replace(self.log.with_name(self.log.name + ".1"))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509  # this program has one thread
            )
        return self.process

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def signal_group(self, number: int) -> bool:
        """Send to the whole group; False when nobody is left in it."""
        if self.process is None:
            return False
        try:
            os.killpg(self.process.pid, number)
        except (ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of zombies
            return False
        return True

    def note_death(self, now: float) -> float:
        """Remember a death and plan the next start: at once at first, then ever later. Returns the delay in seconds."""
        self.deaths = [*(death for death in self.deaths if now - death < MEMORY_SECONDS), now]
        delay = min(SLOWEST_RESTART, 0.25 * 2.0 ** (len(self.deaths) - 1))
        self.start_at = now + delay
        return delay

    def last_line(self) -> str:
        """The last line of the log that says something, for a message on the terminal."""
        with suppress(OSError):
            lines = self.log.read_bytes()[-4000:].decode(errors="replace").strip().splitlines()
            return lines[-1][:300] if lines else ""
        return ""


class Children:
    """All of them, in the order they were started."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.all: list[Child] = []
        self.say = say

    def add(self, child: Child) -> Child:
        self.all.append(child)
        child.start()
        return child

    def revive(self) -> bool:
        """Look after the dead: clear up what they left behind and start them again. True when one was started."""
        started = False
        self._reap_strangers()
        for child in self.all:
            now = time.monotonic()
            if child.running:
                continue
            if child.process is not None:
                code = child.process.returncode
                child.signal_group(signal.SIGTERM)  # what it left behind: a server's own children, a clock process
                delay = child.note_death(now)
                self.say(f"{child.title} stopped ({how_it_ended(code)}); starting it again in {delay:g} s.")
                if len(child.deaths) > 3:
                    self.say(f"  It stops again and again. Last line of {child.log}: {child.last_line()}")
                self._finish_group(child)
                child.process = None
            elif now >= child.start_at:
                child.start()
                started = True
        return started

    @staticmethod
    def _finish_group(child: Child) -> None:
        """Give a dead leader's group a moment, then kill what is left: it may still hold the port."""
        assert child.process
        deadline = time.monotonic() + 1
        while child.signal_group(0) and time.monotonic() < deadline:
            with suppress(ChildProcessError):
                os.waitpid(-child.process.pid, os.WNOHANG)  # the adopted dead would still count as members
            time.sleep(0.02)
        child.signal_group(signal.SIGKILL)

    def stop(self, impatient: Callable[[], bool]) -> None:
        """Ask all to end, the queue's server after the others; kill those that do not in time, or at ``impatient``."""
        for last in (False, True):
            group = [child for child in self.all if child.last is last]
            for child in group:
                if child.running and child.process:
                    child.process.terminate()
            deadline = time.monotonic() + max((child.grace for child in group), default=0)
            while any(child.running for child in group) and time.monotonic() < deadline and not impatient():
                time.sleep(0.05)
            for child in group:
                self._kill(child)
        self._end_strangers(impatient)

    def _strangers(self) -> set[int]:
        return children_of_mine() - {child.process.pid for child in self.all if child.process}

    def _reap_strangers(self) -> set[int]:
        """Let the dead among the adopted rest, and return the living."""
        living = set()
        for pid in self._strangers():
            with suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG) == (0, 0):
                    living.add(pid)
        return living

    def _end_strangers(self, impatient: Callable[[], bool], grace: float = 5.0) -> None:
        """End what our children left behind: processes in sessions of their own, which no group reaches."""
        deadline = time.monotonic() + grace
        for pid in self._reap_strangers():
            os.kill(pid, signal.SIGTERM)
        while (living := self._reap_strangers()) and time.monotonic() < deadline and not impatient():
            time.sleep(0.05)
        for pid in living:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    def _kill(self, child: Child) -> None:
        if child.process is None:
            return
        if child.running:
            child.process.kill()
            child.process.wait()
        child.signal_group(signal.SIGTERM)
        self._finish_group(child)
