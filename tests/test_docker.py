"""The container files, as far as they can be checked without an engine."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import up

ROOT = Path(__file__).resolve().parents[1]
DOCKER = ROOT / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ROOT_USERS = {"", "root", "0", "0:0"}
IMAGES = {"web": "web.Dockerfile", "gpu": "gpu.Dockerfile"}


def instructions(name: str, word: str) -> list[str]:
    """The arguments of every instruction of that name, continued lines joined."""
    text = (DOCKER / name).read_text().replace("\\\n", " ")
    return re.findall(rf"^\s*{word}\s+(.+)$", text, re.MULTILINE)


def started_by_make_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, list[str]]:
    """The commands of `make up`, without their interpreter."""
    commands: dict[str, list[str]] = {}
    settings = up.read_settings({"EDITLOOP_VAR": str(tmp_path), "EDITLOOP_BIND": "0.0.0.0"})
    monkeypatch.setattr(up.Children, "add", lambda _, child: commands.update({child.name: child.command[1:]}))
    application = up.Application(settings)
    application.start_web()
    application.start_workers()
    return commands


def test_the_services_are_there() -> None:
    assert set(SERVICES) == {"postgres", "valkey", "migrate", "web", "worker", "gpu", "nginx"}


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"migrate"}))
def test_every_lasting_service_has_a_health_check_and_comes_back(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_service_runs_as_root(name: str) -> None:
    assert str(SERVICES[name].get("user", "")) not in ROOT_USERS
    assert "no-new-privileges:true" in SERVICES[name]["security_opt"]
    assert not SERVICES[name].get("privileged")


@pytest.mark.parametrize("name", sorted(IMAGES.values()))
def test_no_image_ends_as_root(name: str) -> None:
    assert instructions(name, "USER")[-1] not in ROOT_USERS
    assert instructions(name, "HEALTHCHECK")


@pytest.mark.parametrize(("service", "image"), sorted(IMAGES.items()))
def test_a_service_starts_what_its_image_starts(service: str, image: str) -> None:
    assert SERVICES[service]["command"] == yaml.safe_load(instructions(image, "CMD")[0])
    check = yaml.safe_load(instructions(image, "HEALTHCHECK")[0].split("CMD ", 1)[1])
    assert SERVICES[service]["healthcheck"]["test"] == ["CMD", *check]


@pytest.mark.parametrize(("service", "child"), [("web", "web"), ("worker", "worker"), ("gpu", "gpu")])
def test_a_service_starts_what_make_up_starts(
    service: str, child: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command = SERVICES[service]["command"]
    proxied = ["--proxy-headers", "--forwarded-allow-ips", "*"] if service == "web" else []
    assert command == ["python", *started_by_make_up(monkeypatch, tmp_path)[child], *proxied]


def test_only_the_proxy_is_published() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["nginx"]
    assert SERVICES["nginx"]["ports"] == ["${EDITLOOP_PUBLISH:-127.0.0.1:8080}:8080"]


def test_no_secret_is_in_a_file() -> None:
    for name in ("POSTGRES_PASSWORD", "VALKEY_PASSWORD", "EDITLOOP_SECRET_KEY"):
        used = re.findall(rf"\$\{{{name}[^}}]*\}}", (DOCKER / "compose.yaml").read_text())
        assert used
        assert all(use.startswith(f"${{{name}:?") for use in used)  # refuses to start without it
        assert re.search(rf"^{name}=$", (DOCKER / ".env.example").read_text(), re.MULTILINE)


def test_the_web_image_has_no_torch() -> None:
    assert not re.search(r"gpu\.txt|\btorch\b(?!\.)", re.sub(r"#.*", "", (DOCKER / "web.Dockerfile").read_text()))
    assert "requirements/gpu.txt" in (DOCKER / "gpu.Dockerfile").read_text()


def test_only_listed_files_reach_an_image() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines[0] == "*"
    assert not {"!var", "!.git", "!tests", "!docker", "!docker/.env"} & set(lines)
    for package in ("webapp", "annotation", "scoring", "training", "drawnworld", "templates", "static", "scripts"):
        assert f"!{package}" in lines


def test_the_proxy_passes_events_on_as_they_come() -> None:
    text = (DOCKER / "nginx.conf").read_text()
    live = text.split("location /live/ {", 1)[1].split("}", 1)[0]
    assert "proxy_buffering off;" in live
    assert "gzip off;" in live
    assert re.search(r"client_max_body_size \d+g;", text)
    assert 'proxy_set_header Connection "";' in text
