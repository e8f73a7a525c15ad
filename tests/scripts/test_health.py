"""The containers' health checks."""

import http.server
import socket
import threading
from collections.abc import Iterator

import pytest
import redis

from scripts import health, servers


class Answers(http.server.BaseHTTPRequestHandler):
    status = 200
    hosts: list[str]

    def do_GET(self) -> None:
        self.hosts.append(self.headers["Host"])
        self.send_response(self.status if self.path == "/health/" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[http.server.HTTPServer]:
    monkeypatch.setattr(Answers, "hosts", [], raising=False)
    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def test_a_web_server_that_is_well(server: http.server.HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITLOOP_HOSTS", ".edit.example.org, localhost")
    assert health.web_problem(server.server_port) == ""
    assert Answers.hosts == ["edit.example.org"]


def test_a_web_server_that_is_ill(server: http.server.HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Answers, "status", 500)
    assert health.web_problem(server.server_port) == "/health/ answers 500"


def test_no_web_server() -> None:
    assert "does not answer" in health.web_problem(servers.free_port())


def test_a_worker_is_well_while_its_sign_of_life_is_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with servers.private_valkey() as url:
        monkeypatch.setenv("REDIS_URL", url)
        assert health.main("gpu") == 1
        redis.Redis.from_url(url).set(f"worker:gpu:gpu@{socket.gethostname()}", "1")
        assert health.main("gpu") == 0
        assert health.main("default") == 1
    assert "no sign of life of the worker default@" in capsys.readouterr().out


def test_the_key_is_the_one_that_workers_write(monkeypatch: pytest.MonkeyPatch) -> None:
    from webapp.jobs import presence

    with servers.private_valkey() as url:
        client = redis.Redis.from_url(url)
        monkeypatch.setattr(presence, "client", lambda: client)
        monkeypatch.setenv("REDIS_URL", url)
        presence.renew("default", f"default@{socket.gethostname()}")
        assert health.worker_problem("default") == ""


def test_no_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{servers.free_port()}/0")
    assert "Redis does not answer" in health.worker_problem("gpu")
