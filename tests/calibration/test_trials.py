"""Trial versions: made once for what they try, and not seen among the versions of people."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from annotation.library import load_tasks
from scoring.calibration import queries, trials
from scoring.models import Calibration, PromptVersion
from tests.calibration import make
from tests.scoring_jobs.make import endpoint, judge
from webapp.jobs.models import Job

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(bob: Any, settings: Any) -> Calibration:
    settings.PRIVATE_ENDPOINTS = True
    load_tasks()
    endpoint()
    of = make.prompt("hp-test", "Is it there?", "Is the rest kept?")
    return make.calibration(make.rated_study(6, 1, 1), of, bob, judge=judge())


@pytest.fixture
def version(desk: Calibration) -> PromptVersion:
    found = queries.version_of(desk, 1)
    assert found is not None
    return found


def asked(of: PromptVersion) -> list[str]:
    return [question.text for question in of.questions.all() if question.is_on]


def test_ablation_leaves_each_question_out_once(desk: Calibration, version: PromptVersion, bob: Any) -> None:
    job = trials.start_ablation(calibration=desk, version=version, by=bob)
    made = trials.ablations_of(version)
    assert {key: asked(one) for key, one in made.items()} == {"q0": ["Is the rest kept?"], "q1": ["Is it there?"]}
    assert job.config["versions"] == [str(version.uid), str(made["q0"].uid), str(made["q1"].uid)]
    assert job.config["selection"]["dev_only"]
    assert all(one.is_trial and one.parent == version for one in made.values())
    assert [one.note for one in made.values()] == ["Without question 1", "Without question 2"]


def test_ablation_twice_makes_nothing_new(desk: Calibration, version: PromptVersion, bob: Any) -> None:
    first = trials.start_ablation(calibration=desk, version=version, by=bob)
    count = PromptVersion.objects.count()
    assert trials.start_ablation(calibration=desk, version=version, by=bob) == first
    assert PromptVersion.objects.count() == count


def test_a_question_that_is_off_is_not_left_out(desk: Calibration, version: PromptVersion, bob: Any) -> None:
    version.questions.filter(key="q1").update(is_on=False)
    found = queries.version_of(desk, 1)
    assert found is not None
    trials.start_ablation(calibration=desk, version=found, by=bob)
    assert list(trials.ablations_of(found)) == ["q0"]


def test_without_questions_there_is_nothing_to_leave_out(desk: Calibration, bob: Any) -> None:
    bare = make.version(desk.prompt)
    with pytest.raises(ValidationError, match="asks no question"):
        trials.start_ablation(calibration=desk, version=bare, by=bob)
    assert not Job.objects.exists()


def test_a_version_of_people_that_leaves_one_out_counts(desk: Calibration, version: PromptVersion, bob: Any) -> None:
    from scoring.prompts.services import create_from_draft, without_question

    child = create_from_draft(parent=version, draft=without_question(version, "q0"), by=bob)
    assert trials.ablations_of(version) == {"q0": child}


def test_two_queries_whatever_the_number(
    desk: Calibration, version: PromptVersion, bob: Any, django_assert_num_queries: Any
) -> None:
    trials.start_ablation(calibration=desk, version=version, by=bob)
    with django_assert_num_queries(2):
        assert len(trials.ablations_of(version)) == 2


def test_a_question_more_is_one_trial_however_often_it_is_tried(version: PromptVersion, bob: Any) -> None:
    first = trials.with_question(parent=version, text="Is it sharp?", by=bob)
    assert asked(first) == ["Is it there?", "Is the rest kept?", "Is it sharp?"]
    assert (first.is_trial, first.note) == (True, "Tries: Is it sharp?")
    assert trials.with_question(parent=version, text="Is it sharp?", by=None) == first
    assert trials.with_question(parent=version, text="Is it round?", by=None) != first


@pytest.mark.parametrize("text", ["", "x" * 1001, "Is {weather} kept?", "a\x07b"])
def test_a_question_that_cannot_be_one(version: PromptVersion, bob: Any, text: str) -> None:
    with pytest.raises(ValidationError):
        trials.with_question(parent=version, text=text, by=bob)
    assert PromptVersion.objects.filter(is_trial=True).count() == 0


def test_trials_are_not_among_the_versions(desk: Calibration, version: PromptVersion, bob: Any) -> None:
    trials.with_question(parent=version, text="Is it sharp?", by=bob)
    assert [row.version for row in queries.version_rows(desk)] == [version]
    assert list(queries.page(desk, version)["versions"]) == [version]
