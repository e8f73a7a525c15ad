"""An empty database with all its tables, made once for the processes of a test run: its migrations take ten seconds."""

import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from scripts.up import migrations_digest

ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def one_at_a_time() -> Iterator[Path]:
    """The run's own folder. The first process makes what the others wait for."""
    folder = Path(os.environ["EDITLOOP_VAR"]).resolve()
    with (folder / "migrated.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def migrated() -> Path:
    """An SQLite file to copy. Do not write there. Who changes a migration gets another one."""
    with one_at_a_time() as folder:
        file, making = folder / f"migrated-{migrations_digest()[:16]}.sqlite3", folder / "making.sqlite3"
        if not file.exists():
            making.unlink(missing_ok=True)
            migrate(f"sqlite:///{making}")
            with closing(sqlite3.connect(making)) as database:  # with what is still in its log
                database.execute("VACUUM INTO ?", [str(file)])
    return file


def template(url: str) -> str:
    """The same on that server of PostgreSQL, as a database from which others are made: its name. It stays there."""
    import psycopg

    name = f"migrated_{migrations_digest()[:16]}"
    with one_at_a_time(), psycopg.connect(url, autocommit=True) as server:
        if not server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            server.execute("DROP DATABASE IF EXISTS migrated_in_part WITH (FORCE)")
            server.execute("CREATE DATABASE migrated_in_part")
            migrate(url.rpartition("/")[0] + "/migrated_in_part")
            server.execute(f"ALTER DATABASE migrated_in_part RENAME TO {name}")
    return name


def migrate(url: str) -> None:
    ours = ("PYTEST_", "DJANGO_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    command = [sys.executable, "manage.py", "migrate", "--skip-checks", "--verbosity", "0"]
    done = subprocess.run(command, cwd=ROOT, env={**env, "DATABASE_URL": url}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def prepared(var: Path) -> Path:
    """A data folder for `make up`, as after a first start: its database needs no migration."""
    var.mkdir()
    shutil.copyfile(migrated(), var / "editloop.sqlite3")
    (var / "migrated").write_text(migrations_digest())
    return var
