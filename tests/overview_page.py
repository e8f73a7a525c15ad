"""The overview for tests: who looks at it, workers with machines, and nothing kept from the test before."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from webapp.accounts.models import User
from webapp.dashboard import counts as counting
from webapp.jobs.machine import Machine
from webapp.live import streams


@pytest.fixture(name="nothing_kept", autouse=True)
def _nothing_kept(db: None) -> Iterator[None]:
    cache.delete(counting.KEY)
    forget_workers()
    yield
    forget_workers()
    cache.delete(counting.KEY)


def forget_workers() -> None:
    for key in streams.client().scan_iter(match="worker:*"):
        streams.client().delete(key)


def alive(queue: str, worker: str, **machine_has: Any) -> None:
    streams.client().set(f"worker:{queue}:{worker}", Machine(**machine_has).to_json(), ex=15)


@pytest.fixture(name="admin")
def an_admin(alice: User) -> Client:
    client = Client()
    client.force_login(alice)
    return client


def page(client: Client, name: str = "overview") -> str:
    answer = client.get(reverse(name))
    assert answer.status_code == 200
    return answer.content.decode()
