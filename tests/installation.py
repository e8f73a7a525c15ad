"""Editloop as it runs: a folder, a database and a queue of its own, and the product's own programs as processes."""

import atexit
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from scripts.children import die_with_parent
from scripts.servers import private_valkey
from tests.migrated import migrated, template

ROOT = Path(__file__).resolve().parents[1]
CONSOLE = """
import json, sys
import django
django.setup()
for line in sys.argv[1:] or sys.stdin:
    names = {"answer": None}
    exec(json.loads(line), names)
    print(json.dumps(names["answer"]), flush=True)
"""


@dataclass
class Installation:
    var: Path
    database_url: str
    redis_url: str
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)
    console: subprocess.Popen[bytes] | None = None

    @property
    def env(self) -> dict[str, str]:
        ours = ("EDITLOOP_", "DATABASE_URL", "REDIS_URL", "DJANGO_", "PYTEST_")
        env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return env | {
            "EDITLOOP_VAR": str(self.var),
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "DJANGO_SETTINGS_MODULE": "tests.quick_settings",
            "PYTHONPATH": str(ROOT),
        }

    def run(self, *command: str, **env: str) -> str:
        """Run a program of Python's to its end; what it printed."""
        done = subprocess.run(
            [sys.executable, *command], cwd=ROOT, env=self.env | env, capture_output=True, text=True, timeout=180
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def python(self, code: str, **env: str) -> Any:
        """Run code behind the product's settings; the value that it assigned to ``answer``."""
        return json.loads(self.run("-c", CONSOLE, json.dumps(code), **env).splitlines()[-1])

    def ask(self, code: str) -> Any:
        """The same, in one process that stays: quicker."""
        if self.console is None:
            self.console = self.start("-c", CONSOLE, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.console.stdin and self.console.stdout
        self.console.stdin.write(json.dumps(code).encode() + b"\n")
        self.console.stdin.flush()
        line = self.console.stdout.readline()
        assert line, self.log()[-3000:]
        return json.loads(line)

    def start(self, *command: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start a program of Python's. It ends with the test."""
        with (self.var / "log.txt").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env=self.env,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509  # these tests start no threads
                **{"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log} | options,
            )
        self.started.append(process)
        return process

    def until(self, happened: Callable[[], Any], what: str, seconds: float = 180) -> Any:
        """Wait for something that is true."""
        deadline = time.monotonic() + seconds
        while not (value := happened()):
            assert time.monotonic() < deadline, f"This did not happen: {what}.\n{self.log()[-4000:]}"
            time.sleep(0.02)
        return value

    def log(self) -> str:
        return (self.var / "log.txt").read_text()

    def end(self) -> None:
        for process in self.started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # a worker's clock outlives the worker
            process.wait()
        self.started, self.console = [], None


@contextmanager
def own_database(var: Path) -> Iterator[str]:
    """The address of a new database: a file, or one beside the tests' own in PostgreSQL."""
    url = os.environ.get("DATABASE_URL", "")
    if not url.startswith("postgres"):
        shutil.copyfile(migrated(), var / "own.sqlite3")
        yield f"sqlite:///{var / 'own.sqlite3'}"
        return
    import psycopg

    name = f"own_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template(url)}")
        yield url.rpartition("/")[0] + "/" + name
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@cache
def installed() -> Installation:
    """One for all tests of a process."""
    stack = ExitStack()
    atexit.register(stack.close)
    var = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="editloop-installation-")))
    return Installation(var, stack.enter_context(own_database(var)), stack.enter_context(private_valkey()))


@pytest.fixture(name="installation")
def an_installation() -> Iterator[Installation]:
    """What a test starts, ends with it. The database and the queue stay: look at your own rows alone."""
    yield installed()
    installed().end()
