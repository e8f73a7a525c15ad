"""Start everything: `make up`. Ctrl-C ends everything.

Checks first, each failing with one sentence; then the queue's server, migrations, the web server, two workers and the
demo's accounts; then it watches its processes and starts again the ones that die. Settings come from the environment:
EDITLOOP_PORT, EDITLOOP_BIND, EDITLOOP_VAR, EDITLOOP_WEB_WORKERS, DATABASE_URL, REDIS_URL (docs/deployment.md).
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from scripts.children import Child, Children, adopt_orphans
from scripts.servers import (
    Refusal,
    check_database,
    check_redis,
    free_port,
    port_is_free,
    valkey_command,
    wait_for_redis,
)

ROOT = Path(__file__).resolve().parents[1]
NEEDED_BYTES = 500 * 1024**2
START_SECONDS = 180.0  # the first start makes the demo's images


@dataclass(frozen=True)
class Settings:
    var: Path
    bind: str
    port: int
    web_workers: int
    database_url: str
    redis_url: str
    demo: bool

    @property
    def address(self) -> str:
        """Where a browser on this machine finds it: "every interface" is no address."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.bind, self.bind)  # noqa: S104
        return f"http://{host}:{self.port}/"


def _number(environment: dict[str, str], name: str, default: int, low: int, high: int) -> int:
    text = environment.get(name, "").strip() or str(default)
    if not text.isdecimal() or not low <= int(text) <= high:
        raise Refusal(f"{name} is {text!r}; it must be a whole number from {low} to {high}.")
    return int(text)


def read_settings(environment: dict[str, str]) -> Settings:
    """What the environment asks for. EDITLOOP_PORT=0 takes a free port."""
    return Settings(
        var=Path(environment.get("EDITLOOP_VAR") or ROOT / "var").resolve(),
        bind=environment.get("EDITLOOP_BIND") or "127.0.0.1",
        port=_number(environment, "EDITLOOP_PORT", 8000, 0, 65535) or free_port(),
        web_workers=_number(environment, "EDITLOOP_WEB_WORKERS", 2, 1, 64),
        database_url=environment.get("DATABASE_URL", ""),
        redis_url=environment.get("REDIS_URL", ""),
        demo=bool(_number(environment, "EDITLOOP_DEMO", 1, 0, 1)),
    )


def take_lock(settings: Settings) -> IO[str]:
    """One `make up` a data folder. The kernel frees the lock when this process ends, however it ends."""
    lock = (settings.var / "up.lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        raise Refusal(
            f"Editloop already runs on {settings.var} ({lock.read().strip() or 'just starting'}). Stop it with Ctrl-C "
            "where it was started, or start a second one with its own data: "
            "make up EDITLOOP_VAR=/another/folder EDITLOOP_PORT=8001"
        ) from None
    lock.truncate(0)
    lock.write(f"process {os.getpid()}, {settings.address}")
    lock.flush()
    return lock


def check_port(settings: Settings) -> None:
    if settings.port < 1024 and os.geteuid() != 0:
        raise Refusal(f"Port {settings.port} is kept for root. Choose one above 1023: make up EDITLOOP_PORT=8000")
    if not port_is_free(settings.bind, settings.port):
        raise Refusal(
            f"Port {settings.port} of {settings.bind} is taken. Stop the program that has it, "
            f"or choose another port: make up EDITLOOP_PORT={settings.port + 1 if settings.port < 65535 else 8001}"
        )


def check_disk(var: Path, needed: int = NEEDED_BYTES) -> None:
    free = shutil.disk_usage(var).free
    if free < needed:
        raise Refusal(
            f"The disk is nearly full: {free / 1024**2:.0f} MB free in {var}, {needed / 1024**2:.0f} MB needed. "
            "Free some, or put the data elsewhere: make up EDITLOOP_VAR=/another/folder"
        )


def say(text: str) -> None:
    with suppress(OSError):  # a terminal that was closed
        print(text, flush=True)


def has_terminal() -> bool:
    """Whether standard input is a terminal that is still there."""
    try:
        os.tcgetpgrp(0)
    except OSError:
        return False
    return True


class Application:
    """The started application: its children, and the flag that Ctrl-C sets."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.children = Children(say)
        self.interrupts = 0
        self.had_terminal = has_terminal()
        self.env = {**os.environ, "EDITLOOP_VAR": str(settings.var), "PYTHONUNBUFFERED": "1"}
        self.accounts = settings.var / "accounts.json"

    def interrupt(self, *_: object) -> None:
        self.interrupts += 1

    @property
    def stopping(self) -> bool:
        """Ctrl-C, a signal, or a terminal that was closed: make keeps that signal (SIGHUP) to itself."""
        if self.had_terminal and not has_terminal():
            self.had_terminal = False
            self.interrupt()
        return self.interrupts > 0

    def child(self, name: str, title: str, command: list[str], **how: Any) -> Child:
        log = self.settings.var / "log" / f"{name}.log"
        return self.children.add(Child(name, title, command, self.env, ROOT, log, **how))

    def python(self, *words: str) -> list[str]:
        return [sys.executable, *words]

    # Starting

    def start_queue(self) -> None:
        """The Redis-protocol server: the one that REDIS_URL names, or our own."""
        if self.settings.redis_url:
            check_redis(self.settings.redis_url)
            return
        command, url = valkey_command(self.settings.var / "redis")
        self.env["REDIS_URL"] = url
        child = self.child("redis", "The queue's server", command, last=True)
        assert child.process
        wait_for_redis(url, child.process, child.log)

    def migrate(self) -> None:
        """Bring the database up to date, unless nothing has changed since the last time.

        That can be known of our own SQLite file alone: anybody may have changed another database.
        """
        stamp, digest = self.settings.var / "migrated", migrations_digest()
        known = (self.settings.var / "editloop.sqlite3").exists() and stamp.exists() and stamp.read_text() == digest
        if known and not self.settings.database_url:
            return
        say("Preparing the database ...")
        self.manage("migrate", "--noinput", "--verbosity", "0")
        stamp.write_text(digest)

    def manage(self, *words: str, shown: bool = False) -> None:
        """Run a management command to its end, ``shown`` on the terminal or not. Its last line is why it failed."""
        log = self.settings.var / "log" / "manage.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as file:
            command = self.python("manage.py", *words)
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=None if shown else file,
                stderr=file,
                process_group=0,  # the terminal's Ctrl-C reaches this program alone, which ends the others
            )
            while process.poll() is None:
                if self.stopping:
                    process.terminate()
                time.sleep(0.02)
        if process.returncode and not self.interrupts:
            lines = log.read_text(errors="replace").strip().splitlines()
            raise Refusal(f"`manage.py {words[0]}` failed: {lines[-1] if lines else 'no reason given'}. Its log: {log}")

    def start_web(self) -> None:
        settings = self.settings
        command = self.python("-m", "uvicorn", "webapp.asgi:application", "--host", settings.bind)
        command += ["--port", str(settings.port), "--workers", str(settings.web_workers)]
        self.child("web", "The web server", [*command, "--timeout-graceful-shutdown", "5"])

    def start_workers(self) -> None:
        """Short jobs, four at a time, on one queue; model work, one at a time, on the other. The first runs the clock.

        Their grace is longer than what a job gets to save its place (JOB_KILL_SECONDS).
        """
        worker = self.python("-m", "celery", "-A", "webapp.celery", "worker", "--pool", "threads", "--loglevel", "info")
        worker += ["--without-mingle", "--without-gossip"]  # a second quicker to start; the workers share nothing
        beat = ["--beat", "--scheduler", "celery.beat:Scheduler"]
        self.child("worker", "The worker", [*worker, "-c", "4", "-Q", "default", "-n", "default@%h", *beat], grace=35)
        self.child("gpu", "The GPU queue's worker", [*worker, "-c", "1", "-Q", "gpu", "-n", "gpu@%h"], grace=35)

    def wait_until_healthy(self) -> None:
        """Until the web server says that it and what it needs are well."""
        deadline, problem = time.monotonic() + START_SECONDS, ""
        while not self.stopping:
            problem = health_problem(self.settings.address)
            if not problem:
                return
            dead = next((child for child in self.children.all if not child.running), None)
            if dead:
                raise Refusal(f"{dead.title} did not start: {dead.last_line()} Its log: {dead.log}")
            if time.monotonic() > deadline:
                raise Refusal(f"The application does not answer ({problem}). Its logs: {self.settings.var / 'log'}")
            time.sleep(0.1)

    def start(self) -> None:
        self.start_queue()
        self.migrate()
        if self.interrupts:
            return
        say("Starting ...")
        self.start_web()
        self.start_workers()
        if self.settings.demo:
            self.manage("demo", "--accounts", str(self.accounts), shown=True)
        self.wait_until_healthy()

    # Running

    def write_state(self) -> None:
        """Who runs where, for people and tests who look: var/up.json."""
        processes = {child.name: child.process.pid for child in self.children.all if child.process}
        state = {"pid": os.getpid(), "address": self.settings.address, "processes": processes}
        temporary = self.settings.var / "up.json.part"
        temporary.write_text(json.dumps(state))
        temporary.replace(self.settings.var / "up.json")

    def run(self) -> None:
        try:
            self.start()
            if not self.interrupts:
                self.write_state()
                say(welcome(self.settings, read_accounts(self.accounts) if self.settings.demo else []))
            while not self.stopping:
                if self.children.revive():
                    self.write_state()
                time.sleep(0.2)
        finally:
            asked = self.interrupts
            if self.children.all:
                say("Stopping ... (Ctrl-C again: at once)")
            self.children.stop(lambda: self.interrupts > asked)
            (self.settings.var / "up.json").unlink(missing_ok=True)
        say("Stopped. Nothing is lost: the data is in " + str(self.settings.var))


def migrations_digest() -> str:
    """Changes with any migration of ours and with the pinned packages, whose migrations count too."""
    total = hashlib.sha256()
    folders = ("webapp", "annotation", "scoring", "training")
    files = [path for folder in folders for path in (ROOT / folder).glob("**/migrations/*.py")]
    for path in sorted([*files, ROOT / "requirements" / "web.txt"]):
        total.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return total.hexdigest()


def health_problem(address: str) -> str:
    """Empty when GET /health/ answers 200, else what it said."""
    try:
        with urllib.request.urlopen(address + "health/", timeout=5):  # noqa: S310  # our own http address
            return ""
    except urllib.error.HTTPError as error:
        return f"/health/ answers {error.code}"
    except OSError as error:
        return str(getattr(error, "reason", error))


def read_accounts(path: Path) -> list[dict[str, Any]]:
    try:
        accounts: list[dict[str, Any]] = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return []
    return accounts


def welcome(settings: Settings, accounts: list[dict[str, Any]]) -> str:
    """What the terminal says when all is up: the address, and who can sign in."""
    lines = ["", f"Editloop is running at {settings.address}", ""]
    if accounts:
        rows = [("account", "role", "password")]
        rows += [(str(account["username"]), str(account["role"]), str(account["password"])) for account in accounts]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines += ["  " + "   ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        lines += ["", "Demo accounts; their passwords were made on this machine."]
    lines += [f"Data and logs: {settings.var}", "Ctrl-C stops everything.", ""]
    return "\n".join(lines)


def sentence(error: OSError, settings: Settings) -> str:
    if error.errno == errno.ENOSPC:
        return "The disk is full. Free some space, or put the data elsewhere: make up EDITLOOP_VAR=/another/folder"
    where = error.filename or settings.var
    return f"{where}: {error.strerror}. Choose a folder you may write: make up EDITLOOP_VAR=/another/folder"


def main() -> int:
    settings = None
    try:
        settings = read_settings(dict(os.environ))
        settings.var.mkdir(mode=0o700, parents=True, exist_ok=True)  # it holds keys, passwords and people's work
        lock = take_lock(settings)
        check_port(settings)
        check_disk(settings.var)
        if settings.database_url:
            check_database(settings.database_url)
        application = Application(settings)
        adopt_orphans()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, application.interrupt)
        application.run()
        lock.close()
    except Refusal as refusal:
        print(f"Editloop: {refusal}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"Editloop: {sentence(error, settings) if settings else error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
