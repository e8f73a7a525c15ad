"""A prompt of two questions, a judge at an endpoint, and a data set of three cases with two candidates each."""

from typing import Any

import pytest

from annotation.library import load_tasks
from annotation.models import Dataset
from scoring.models import Judge, PromptVersion
from tests import judging
from tests.calibration.make import prompt
from tests.scoring_jobs import make


@pytest.fixture(autouse=True)
def _own_machine(settings: Any) -> None:
    settings.PRIVATE_ENDPOINTS = True


@pytest.fixture
def version(db: None) -> PromptVersion:
    load_tasks()  # a test with real transactions may have emptied all tables
    made = prompt("hp-test", "Is it there?", "Is the rest kept?").versions.get()
    return PromptVersion.objects.select_related("prompt").prefetch_related("questions").get(pk=made.pk)


@pytest.fixture
def data(version: PromptVersion) -> Dataset:
    return judging.dataset(cases=3, editors=2)


@pytest.fixture
def judge(version: PromptVersion) -> Judge:
    make.endpoint()
    return make.judge()
