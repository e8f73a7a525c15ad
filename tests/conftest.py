"""People and things that most tests need: alice (admin), bob (engineer), carol (annotator), mallory (a stranger)."""

import io
import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.db import connection, transaction
from django.test import override_settings
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from PIL import Image

from tests.migrated import migrated, template
from webapp.hooks import services as hooks

# How long an example takes depends on what else the machine does: no test fails for it.
hypothesis_settings.register_profile(
    "editloop", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("editloop")


DATABASE = {"db", "transactional_db", "live_server", "installation"}  # fixtures of tests that reach a database


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On PostgreSQL only what reaches the database: the rest has run on SQLite, and knows no difference. Of pages every
    address as an admin, and the first test of each file: what they call has tests of its own, which all run."""
    if not os.environ.get("DATABASE_URL", "").startswith("postgres"):
        return
    seen: set[Path] = set()
    again = [_runs_on_postgres(item, seen) for item in items]
    config.hook.pytest_deselected(items=[item for item, does in zip(items, again, strict=True) if not does])
    items[:] = [item for item, does in zip(items, again, strict=True) if does]


def _runs_on_postgres(item: Any, seen: set[Path]) -> bool:
    if not (item.get_closest_marker("django_db") or DATABASE & set(item.fixturenames)):
        return False
    if item.path == Path(__file__).with_name("test_access.py"):
        return "alice" in item.name
    first = item.path not in seen
    seen.add(item.path)
    return first or "pages" not in item.path.name


@pytest.fixture(scope="session")
def django_db_keepdb(django_db_modify_db_settings: None) -> bool:
    """A test database is a copy of one whose tables were made once for all processes. On SQLite it is there already."""
    if connection.vendor != "sqlite":
        connection.settings_dict["TEST"]["TEMPLATE"] = template(os.environ["DATABASE_URL"])
        return False
    name = connection.creation._get_test_db_name()  # type: ignore[attr-defined]
    for left in Path(name).parent.glob(f"{Path(name).name}-*"):  # the log of an earlier one
        left.unlink()
    shutil.copyfile(migrated(), name)
    return True


def own_settings(folder: Path) -> dict[str, Any]:
    hashers = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    folders = {"MEDIA_ROOT": folder / "media", "JOBS_ROOT": folder / "jobs", "MODELS_ROOT": folder / "models"}
    return {**folders, "VAR": folder, "PASSWORD_HASHERS": hashers}


@pytest.fixture(autouse=True)
def _own_folders(settings: Any, tmp_path: Path) -> None:
    for name, value in own_settings(tmp_path).items():
        setattr(settings, name, value)


@pytest.fixture(autouse=True)
def _no_static_files(request: pytest.FixtureRequest, settings: Any) -> None:
    """Every new Client would read the list of all static files. Browsers need them."""
    if "live_server" not in request.fixturenames:
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if not name.startswith("whitenoise.")]


@pytest.fixture(autouse=True)
def _no_webhooks(monkeypatch: pytest.MonkeyPatch) -> None:
    """No look whether there are webhooks until a test makes one: else numbers of queries would depend on the clock."""
    monkeypatch.setattr(hooks._Quiet, "until", math.inf)
    monkeypatch.setattr(hooks, "QUIET_SECONDS", math.inf)


Keep = Callable[[], AbstractContextManager[Path]]


@pytest.fixture(scope="module")
def keep(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keep]:
    """`with keep() as folder:` makes rows that all tests of a module find; a test's own changes are undone after it.

    Not for a module with tests that commit (`transactional_db`). Files lie in ``folder``: see `own_settings`.
    """
    folder = tmp_path_factory.mktemp("kept")

    @contextmanager
    def keeping() -> Iterator[Path]:
        with django_db_blocker.unblock(), override_settings(**own_settings(folder)):
            yield folder

    around = transaction.atomic()  # each test's own transaction becomes a savepoint within it
    with django_db_blocker.unblock():
        around.__enter__()
    yield keeping
    with django_db_blocker.unblock():
        transaction.set_rollback(True)
        around.__exit__(None, None, None)


@pytest.fixture
def person(db: None) -> Callable[..., Any]:
    from webapp.accounts.models import User

    def make(username: str, role: str) -> User:
        return User.objects.create_user(username=username, password="a-long-password", role=role)

    return make


@pytest.fixture
def alice(person: Callable[..., Any]) -> Any:
    return person("alice", "admin")


@pytest.fixture
def bob(person: Callable[..., Any]) -> Any:
    return person("bob", "engineer")


@pytest.fixture
def carol(person: Callable[..., Any]) -> Any:
    return person("carol", "annotator")


@pytest.fixture
def mallory(person: Callable[..., Any]) -> Any:
    return person("mallory", "annotator")


@lru_cache(maxsize=256)
def png(seed: int, size: tuple[int, int] = (24, 16)) -> bytes:
    """A small picture that no other seed makes."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()
