"""200 viewers of one live calibration page while scores arrive: `python -m tests.bench.live [viewers [seconds]]`.

The application with its defaults, a signed-in session for each viewer, and on this machine as well: the viewers, in one
process, and the writer, in another, which keeps an answer and a score every so many seconds (0.5) by the code that
carries a job's events. A viewer has received a score when figures come in which at least so many are scored; the time
runs from the commit. Meanwhile the web server's memory and its connections to the database are counted: by PostgreSQL
where DATABASE_URL names one, else as the processes' open descriptors of the database file.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scripts.servers import private_valkey
from tests.bench.load import ROOT, row, wait_until_up

VIEWERS, SECONDS, EVERY = 200, 30.0, 0.5
MOST_SCORES = 90  # of the 100 candidates that live_data.py makes
PATIENCE = 30.0  # for all viewers to have their first figures, and for the last ones afterwards


class Viewer:
    """One browser with the page open: reads its event stream and notes when how many were scored."""

    def __init__(self, address: str, path: str, session: str) -> None:
        place = urlsplit(address)
        self.host, self.port, self.path, self.session = place.hostname or "", place.port or 80, path, session
        self.first = asyncio.Event()
        self.seen: list[tuple[float, int]] = []

    async def watch(self) -> None:
        reader, writer = await asyncio.open_connection(self.host, self.port, limit=2**22)
        request = f"GET {self.path} HTTP/1.1\r\nHost: {self.host}\r\nCookie: sessionid={self.session}\r\n\r\n"
        writer.write(request.encode())
        status = await reader.readline()
        if b" 200 " not in status:
            raise RuntimeError(f"a viewer was answered {status!r}")
        try:
            while line := await reader.readline():
                if line.startswith(b"data: "):
                    now = time.time()
                    scored = line.partition(b'"scored": ')[2].partition(b",")[0]
                    self.seen.append((now, int(scored)))
                    self.first.set()
        finally:
            writer.close()

    def received(self, scored: int) -> float | None:
        return next((at for at, count in self.seen if count >= scored), None)


def children(pid: int) -> list[int]:
    """The process and all that it started."""
    found = [pid]
    for process in found:
        for task in Path(f"/proc/{process}/task").glob("*/children"):
            try:
                found += [int(word) for word in task.read_text().split()]
            except OSError:
                continue
    return found


def resident(processes: list[int]) -> float:
    """MB of all of them together."""
    total = 0
    for pid in processes:
        try:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        except OSError:
            continue
        total += next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)
    return total / 1024


def open_files(processes: list[int], name: str) -> int:
    """Descriptors of the database file: one for each connection."""
    count = 0
    for pid in processes:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                count += os.readlink(link) == name
            except OSError:
                continue
    return count


def connections(environment: dict[str, str], var: Path, server: int) -> Callable[[], int]:
    """How many connections to the database there are: of the server for SQLite, of everybody for PostgreSQL."""
    if not environment.get("DATABASE_URL", "").startswith("postgres"):
        name = str((var / "editloop.sqlite3").resolve())
        return lambda: open_files(children(server), name)
    import psycopg

    held = psycopg.connect(environment["DATABASE_URL"], autocommit=True)

    def count() -> int:
        found = held.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()").fetchone()
        return int(found[0]) - 1 if found else 0  # less our own

    return count


class Gauge:
    """The peaks of connections and memory, looked at twice a second."""

    def __init__(self, count: Callable[[], int], server: int) -> None:
        self.count, self.server, self.connections, self.memory = count, server, 0, 0.0

    async def look(self) -> None:
        while True:
            self.connections = max(self.connections, await asyncio.to_thread(self.count))
            self.memory = max(self.memory, await asyncio.to_thread(resident, children(self.server)))
            await asyncio.sleep(0.5)


async def commits(environment: dict[str, str], scores: int, every: float) -> list[tuple[float, int]]:
    """Let the writer keep its scores; when each was committed, and how many were scored then."""
    command = [sys.executable, "-u", "-m", "tests.bench.live_data", "score", str(scores), str(every)]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE)
    assert process.stdout
    text = (await process.stdout.read()).decode()
    if await process.wait():
        raise SystemExit("The writer failed.")
    return [(float(at), int(count)) for at, count in (line.split() for line in text.splitlines())]


async def measure(address: str, seats: dict[str, Any], environment: dict[str, str], gauge: Gauge, every: float) -> None:
    viewers = [Viewer(address, seats["path"], session) for session in seats["sessions"]]
    before = resident(children(gauge.server)), gauge.count()
    tasks = [asyncio.create_task(viewer.watch()) for viewer in viewers]
    looking = asyncio.create_task(gauge.look())
    started = time.monotonic()
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(viewer.first.wait() for viewer in viewers))
    row(f"{len(viewers)} viewers: until all had their first figures", time.monotonic() - started, "s")
    made = await commits(environment, min(int(SECONDS / every), MOST_SCORES), every)
    async with asyncio.timeout(PATIENCE):
        while any(viewer.received(made[-1][1]) is None for viewer in viewers):
            await asyncio.sleep(0.05)
    looking.cancel()
    for task in tasks:
        task.cancel()
    await asyncio.gather(looking, *tasks, return_exceptions=True)
    report(viewers, made, every)
    row("database connections at most", gauge.connections, "", "under 20")
    row("database connections before the viewers came", before[1], "")
    row("memory of the web server at most", gauge.memory, "MB")
    row("memory of the web server before the viewers came", before[0], "MB")


def report(viewers: list[Viewer], made: list[tuple[float, int]], every: float) -> None:
    late = sorted(
        1000 * (at - committed)
        for viewer in viewers
        for committed, count in made
        if (at := viewer.received(count)) is not None
    )
    if len(late) != len(viewers) * len(made):
        raise SystemExit(f"{len(viewers) * len(made) - len(late)} updates were never received.")
    who = f"{len(viewers)} viewers, a score every {every:g} s"
    row(f"{who}: p50 from commit to a viewer", late[len(late) // 2], "ms")
    row(f"{who}: p95 from commit to a viewer", late[int(len(late) * 0.95)], "ms", "under 500")
    row(f"{who}: slowest", late[-1], "ms")
    row("messages that a viewer got, on average", sum(len(viewer.seen) for viewer in viewers) / len(viewers), "")


def main(viewers: int = VIEWERS, every: float = EVERY) -> None:
    with tempfile.TemporaryDirectory(prefix="editloop-live-") as folder, private_valkey() as redis:
        var = Path(folder) / "var"
        own = {"EDITLOOP_VAR": str(var), "EDITLOOP_PORT": "0", "EDITLOOP_DEMO": "0", "REDIS_URL": redis}
        environment = {**os.environ, **own}
        log = (Path(folder) / "log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "scripts.up"], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
        try:
            state = wait_until_up(var, process)
            make = [sys.executable, "-m", "tests.bench.live_data", "make", str(viewers)]
            done = subprocess.run(make, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
            server = state["processes"]["web"]
            gauge = Gauge(connections(environment, var, server), server)
            asyncio.run(measure(state["address"], json.loads(done.stdout), environment, gauge, every))
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]), *map(float, sys.argv[2:3]))
