"""An empty database with all its tables, made once for the processes of a test run: its migrations take ten seconds."""

import fcntl
import hashlib
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def migrated() -> Path:
    """An SQLite file to copy. Do not write there. Who changes a migration gets another one."""
    files = sorted(path for name in ("annotation", "scoring", "training", "webapp") for path in migrations(name))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
    folder = Path(os.environ["EDITLOOP_VAR"]).resolve()
    file, making = folder / f"migrated-{digest}.sqlite3", folder / "making.sqlite3"
    with (folder / "migrated.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the first process makes it, the others wait
        if not file.exists():
            making.unlink(missing_ok=True)
            migrate(making)
            with closing(sqlite3.connect(making)) as database:  # with what is still in its log
                database.execute("VACUUM INTO ?", [str(file)])
    return file


def migrations(name: str) -> list[Path]:
    return list((ROOT / name).glob("**/migrations/*.py"))


def migrate(file: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "manage.py", "migrate", "--skip-checks", "--verbosity", "0"]
    done = subprocess.run(
        command, cwd=ROOT, env={**env, "DATABASE_URL": f"sqlite:///{file}"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
