"""An empty database with all its tables, made once for the processes of a test run: its migrations take ten seconds."""

import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from scripts.up import migrations_digest

ROOT = Path(__file__).resolve().parents[1]


def migrated() -> Path:
    """An SQLite file to copy. Do not write there. Who changes a migration gets another one."""
    folder = Path(os.environ["EDITLOOP_VAR"]).resolve()
    file, making = folder / f"migrated-{migrations_digest()[:16]}.sqlite3", folder / "making.sqlite3"
    with (folder / "migrated.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the first process makes it, the others wait
        if not file.exists():
            making.unlink(missing_ok=True)
            migrate(making)
            with closing(sqlite3.connect(making)) as database:  # with what is still in its log
                database.execute("VACUUM INTO ?", [str(file)])
    return file


def migrate(file: Path) -> None:
    ours = ("PYTEST_", "DATABASE_URL", "DJANGO_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    command = [sys.executable, "manage.py", "migrate", "--skip-checks", "--verbosity", "0"]
    done = subprocess.run(
        command, cwd=ROOT, env={**env, "DATABASE_URL": f"sqlite:///{file}"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]


def prepared(var: Path) -> Path:
    """A data folder for `make up`, as after a first start: its database needs no migration."""
    var.mkdir()
    shutil.copyfile(migrated(), var / "editloop.sqlite3")
    (var / "migrated").write_text(migrations_digest())
    return var
