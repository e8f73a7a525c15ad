"""One world for a module: each test's own changes are undone after it."""

from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache

from tests.api.world import Program, World, world
from tests.conftest import Keep, own_settings


@pytest.fixture(scope="module")
def kept(keep: Keep) -> tuple[Path, World]:
    with keep() as folder:
        return folder, world()


@pytest.fixture
def here(kept: tuple[Path, World], db: None, settings: Any) -> World:
    folder, found = kept
    for name, value in own_settings(folder).items():
        setattr(settings, name, value)
    cache.clear()  # counts of requests
    return found


@pytest.fixture
def program(here: World) -> Program:
    return Program(here.token)
