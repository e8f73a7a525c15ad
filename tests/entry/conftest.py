"""Somebody on the way in."""

from typing import Any

import pytest
from django.test import Client

from tests.entry import rows
from tests.entry.rows import Walk, Walker


@pytest.fixture
def walk(client: Client, carol: Any) -> Walk:
    client.force_login(carol)

    def make(**values: Any) -> Walker:
        return Walker(client, rows.study(carol, **values), carol)

    return make
