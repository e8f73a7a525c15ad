"""`make up` refuses with one sentence, before anything is started."""

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import servers, up

ROOT = Path(__file__).resolve().parents[2]


def start(var: Path, **env: str) -> subprocess.CompletedProcess[str]:
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("EDITLOOP_", "DATABASE_URL", "REDIS_URL"))}
    command = [sys.executable, "-m", "scripts.up"]
    environment = {**plain, "EDITLOOP_VAR": str(var), "EDITLOOP_PORT": "0", **env}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence of a refused start."""
    assert done.returncode == 1
    assert done.stderr.startswith("Editloop: ")
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    return done.stderr


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_defaults() -> None:
    settings = up.read_settings({})
    assert settings.address == "http://127.0.0.1:8000/"
    assert settings.var == ROOT / "var"
    assert settings.web_workers >= 1


def test_every_interface_is_shown_as_an_address_that_a_browser_can_open() -> None:
    assert up.read_settings({"EDITLOOP_BIND": "0.0.0.0", "EDITLOOP_PORT": "9000"}).address == "http://127.0.0.1:9000/"


def test_port_zero_takes_a_free_one() -> None:
    settings = up.read_settings({"EDITLOOP_PORT": "0"})
    assert settings.port > 1023
    assert servers.port_is_free("127.0.0.1", settings.port)


def test_a_taken_port(tmp_path: Path, taken_port: int) -> None:
    sentence = refusal(start(tmp_path, EDITLOOP_PORT=str(taken_port)))
    assert f"Port {taken_port} of 127.0.0.1 is taken" in sentence
    assert f"make up EDITLOOP_PORT={taken_port + 1}" in sentence


@pytest.mark.parametrize("port", ["eighty", "-1", "65536", "8000.5"])
def test_a_port_that_is_none(tmp_path: Path, port: str) -> None:
    assert "EDITLOOP_PORT" in refusal(start(tmp_path, EDITLOOP_PORT=port))


def test_a_redis_that_does_not_answer(tmp_path: Path) -> None:
    nobody = servers.free_port()
    sentence = refusal(start(tmp_path, REDIS_URL=f"redis://:hidden@127.0.0.1:{nobody}/0"))
    assert f"redis://127.0.0.1:{nobody}/0 does not answer" in sentence
    assert "unset REDIS_URL" in sentence
    assert "hidden" not in sentence


def test_a_redis_that_wants_a_password(tmp_path: Path) -> None:
    with servers.private_valkey() as url:
        assert servers.redis_answers(url) == ""
        address = url.rpartition("@")[2]
        for wrong in (f"redis://{address}", f"redis://:wrong@{address}"):
            assert "it wants another user name or password" in refusal(start(tmp_path, REDIS_URL=wrong))


def test_an_address_that_is_no_redis(tmp_path: Path) -> None:
    assert "unset REDIS_URL" in refusal(start(tmp_path, REDIS_URL="http://127.0.0.1/"))


def test_a_postgresql_that_does_not_answer(tmp_path: Path) -> None:
    nobody = servers.free_port()
    sentence = refusal(start(tmp_path, DATABASE_URL=f"postgresql://editloop:hidden@127.0.0.1:{nobody}/editloop"))
    assert "cannot be used" in sentence
    assert "unset DATABASE_URL" in sentence
    assert "hidden" not in sentence


def test_a_database_of_another_kind(tmp_path: Path) -> None:
    assert "mysql" in refusal(start(tmp_path, DATABASE_URL="mysql://localhost/editloop"))


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "EDITLOOP_VAR=/another/folder" in refusal(start(tmp_path / "file" / "var"))


def test_a_second_start_on_the_same_data(tmp_path: Path) -> None:
    settings = up.read_settings({"EDITLOOP_VAR": str(tmp_path)})
    with up.take_lock(settings):
        sentence = refusal(start(tmp_path))
        assert f"process {os.getpid()}, http://127.0.0.1:8000/" in sentence
    with up.take_lock(settings):  # free again once the first has ended
        pass


def test_a_nearly_full_disk(tmp_path: Path) -> None:
    with pytest.raises(servers.Refusal, match=r"nearly full.*EDITLOOP_VAR"):
        up.check_disk(tmp_path, needed=10**18)


def test_a_disk_that_fills_up_while_it_starts(tmp_path: Path) -> None:
    settings = up.read_settings({"EDITLOOP_VAR": str(tmp_path)})
    assert up.sentence(OSError(errno.ENOSPC, "No space left on device"), settings).startswith("The disk is full.")


def test_a_port_of_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(servers.Refusal, match="kept for root"):
        up.check_port(up.read_settings({"EDITLOOP_PORT": "80"}))


def test_the_welcome_names_address_and_accounts() -> None:
    accounts = [{"username": "ada", "role": "admin", "password": "secret-1"}]
    text = up.welcome(up.read_settings({}), accounts)
    assert "http://127.0.0.1:8000/" in text
    assert "ada       admin   secret-1" in text


def test_no_accounts_no_table(tmp_path: Path) -> None:
    assert up.read_accounts(tmp_path / "accounts.json") == []
    assert "password" not in up.welcome(up.read_settings({}), [])
