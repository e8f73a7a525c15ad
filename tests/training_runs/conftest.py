"""A desk from which runs are started: data, a base and a judge, and an engineer's browser."""

import pytest
from django.test import Client

from annotation.models import Dataset
from tests.training_runs import rows
from webapp.accounts.models import User


@pytest.fixture
def data(db: None) -> Dataset:
    rows.base()
    rows.demo_judge()
    return rows.dataset(notice="Demo data.")


@pytest.fixture
def browser(alice: User) -> Client:
    client = Client()
    client.force_login(alice)
    return client
