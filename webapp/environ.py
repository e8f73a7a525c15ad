"""What the environment says: the few readers that settings.py needs."""

import fcntl
import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


def flag(name: str, default: bool = False) -> bool:
    return os.environ.get(name, str(default)).strip().lower() in ("1", "true", "yes", "on")


def words(name: str, default: str = "") -> list[str]:
    """A comma-separated variable as a list."""
    return [word.strip() for word in os.environ.get(name, default).split(",") if word.strip()]


def secret_key(var: Path) -> str:
    """EDITLOOP_SECRET_KEY, or the key kept in ``var/secret_key``, made at first use and readable by its owner alone."""
    if key := os.environ.get("EDITLOOP_SECRET_KEY"):
        return key
    var.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(var / "secret_key", os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # programs that start together must not read a file that is still empty
        key = file.read().strip()
        if not key:
            key = secrets.token_urlsafe(50)
            file.write(key)
    return key


def database(url: str, var: Path) -> dict[str, Any]:
    """Django's settings for DATABASE_URL: sqlite:///PATH or postgresql://USER:PASSWORD@HOST:PORT/NAME?option=value.

    SQLite: WAL lets readers go on beside one writer. IMMEDIATE takes the write lock when a transaction begins; a lock
    taken later, by a transaction that has read already, fails at once with "database is locked" when another wrote.
    """
    parts = urlsplit(url or "sqlite:")
    common = {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": parts.scheme != "sqlite"}
    if parts.scheme == "sqlite":
        pragmas = (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-32000; PRAGMA mmap_size=134217728;"
        )
        options = {"transaction_mode": "IMMEDIATE", "timeout": 30, "init_command": pragmas}
        name = parts.path.removeprefix("/") if url else str(var / "editloop.sqlite3")
        # Tests use a file too: threads of one process cannot wait for each other's locks on a database in memory.
        test = {"NAME": str(var / "test.sqlite3")}
        engine = "webapp.core.sqlite"
        return {"ENGINE": engine, "NAME": name or ":memory:", "OPTIONS": options, "TEST": test, **common}
    if parts.scheme in ("postgres", "postgresql"):
        options = dict(parse_qsl(parts.query))
        try:
            port = parts.port or ""
        except ValueError as error:
            raise ValueError(f"DATABASE_URL names no port that exists: {error}.") from None
        host = options.pop("host", parts.hostname or "")
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path.lstrip("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": host,
            "PORT": str(options.pop("port", port)),
            "OPTIONS": options,
            **common,
        }
    raise ValueError(f"DATABASE_URL starts with {parts.scheme!r}; use sqlite:///PATH or postgresql://…")
