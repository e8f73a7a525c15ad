"""Drift: a fixed set, scored anew for each version and each month, past the cache; what changed between two checks."""

from collections import Counter
from datetime import date
from typing import Any

import numpy as np
import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from annotation.library import load_tasks
from annotation.models import Judgement, Task
from scoring.calibration import drift, services
from scoring.calibration.triples import people_of
from scoring.models import Anchor, Calibration, DriftCheck, PromptVersion, Score
from scoring.tasks import check_drift
from tests.calibration import make
from tests.scoring_jobs import make as asking
from webapp.endpoints.models import Endpoint
from webapp.jobs.models import Job

pytestmark = pytest.mark.django_db
COUNT = 10


@pytest.fixture
def desk(bob: Any, settings: Any) -> Calibration:
    settings.PRIVATE_ENDPOINTS = True
    load_tasks()
    asking.endpoint()
    return make.calibration(make.rated_study(8, 3, 1), by=bob, judge=asking.judge())


@pytest.fixture
def version(desk: Calibration) -> PromptVersion:
    assert desk.current is not None
    return desk.current


@pytest.fixture
def task(desk: Calibration) -> Task:
    assert desk.prompt.task is not None
    return desk.prompt.task


@pytest.fixture
def anchors(desk: Calibration) -> list[int]:
    drift.choose_anchors(calibration=desk, count=COUNT)
    return list(Anchor.objects.order_by("candidate").values_list("candidate", flat=True))


def in_month(monkeypatch: pytest.MonkeyPatch, month: int) -> None:
    monkeypatch.setattr(timezone, "localdate", lambda: date(2026, month, 17))


def checked(desk: Calibration, version: PromptVersion, task: Task, scores: dict[int, float | None]) -> DriftCheck:
    job = drift.start_check(task=task, version=version, judge=desk.judge, by=None)
    assert job is not None
    asking.run(job, lambda request: asking.said(scores[request.ref[1]]))
    return DriftCheck.objects.get(job=job)


def refused(**values: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        drift.choose_anchors(**values)
    return " ".join(caught.value.messages)


# Anchors -------------------------------------------------------------------------------------------------------------


def test_anchors_are_drawn_from_all_levels_alike_and_repeatably(desk: Calibration, anchors: list[int]) -> None:
    people = people_of(desk)
    order = people.candidates[np.argsort(people.human, kind="stable")].tolist()
    levels = [set(some.tolist()) for some in np.array_split(np.array(order), drift.LEVELS)]
    assert Counter(place for place, level in enumerate(levels) for pk in anchors if pk in level) == dict.fromkeys(
        range(drift.LEVELS), COUNT // drift.LEVELS
    )
    Anchor.objects.all().delete()
    drift.choose_anchors(calibration=desk, count=COUNT)
    assert list(Anchor.objects.order_by("candidate").values_list("candidate", flat=True)) == anchors


def test_where_there_are_few_all_are_anchors(desk: Calibration) -> None:
    assert drift.choose_anchors(calibration=desk, count=1000) == people_of(desk).candidates.size


def test_anchors_that_are_chosen_stay(desk: Calibration, anchors: list[int]) -> None:
    assert "They stay" in refused(calibration=desk)
    assert Anchor.objects.count() == len(anchors)


def test_a_prompt_for_every_task_has_no_anchors(desk: Calibration, bob: Any) -> None:
    every = make.calibration(desk.study, make.prompt("every", task=None), bob, judge=desk.judge)
    assert "anchors belong to one" in refused(calibration=every)


def test_without_a_score_that_counts_there_is_nothing_to_choose(desk: Calibration) -> None:
    Judgement.objects.update(flag="broken")
    assert "nothing to choose from" in refused(calibration=desk)
    assert not Anchor.objects.exists()


# Checks --------------------------------------------------------------------------------------------------------------


def test_a_check_scores_the_anchors_past_the_cache_and_touches_no_score(
    desk: Calibration, version: PromptVersion, task: Task, anchors: list[int]
) -> None:
    asking.run(services.score_versions(calibration=desk, versions=[version], by=None), lambda _one: asking.said(2.0))
    before = list(Score.objects.order_by("pk").values("candidate", "value", "keys"))
    check = checked(desk, version, task, dict.fromkeys(anchors, 4.0))
    assert check.scores == {str(pk): 4.0 for pk in anchors}
    assert list(Score.objects.order_by("pk").values("candidate", "value", "keys")) == before


def test_a_month_has_one_check_of_a_version(
    desk: Calibration, version: PromptVersion, task: Task, anchors: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    values: dict[str, Any] = {"task": task, "version": version, "judge": desk.judge, "by": None}
    in_month(monkeypatch, 3)
    assert drift.start_check(**values) is not None
    assert drift.start_check(**values) is None
    assert DriftCheck.objects.get().month == date(2026, 3, 1)
    in_month(monkeypatch, 4)
    assert drift.start_check(**values) is not None
    other = make.version(desk.prompt, "Is it there?", parent=version)
    assert drift.start_check(**values | {"version": other}) is not None
    assert Job.objects.count() == DriftCheck.objects.count() == 3


def test_a_check_without_anchors(desk: Calibration, version: PromptVersion, task: Task) -> None:
    with pytest.raises(ValidationError, match="no anchors yet"):
        drift.start_check(task=task, version=version, judge=desk.judge, by=None)


def test_a_check_that_cannot_begin_is_none(
    desk: Calibration, version: PromptVersion, task: Task, anchors: list[int]
) -> None:
    Endpoint.objects.all().delete()
    with pytest.raises(ValidationError, match="The endpoint “local” does not exist"):
        drift.start_check(task=task, version=version, judge=desk.judge, by=None)
    assert not DriftCheck.objects.exists()


def activated(desk: Calibration, version: PromptVersion, bob: Any) -> None:
    make.scored(desk, version, lambda pk: pk % 6)
    services.look(calibration=desk, version=version, by=bob)
    services.activate(calibration=desk, version=version, by=bob)


def test_the_clock_begins_a_check_of_every_active_scorer_once_a_month(
    desk: Calibration, version: PromptVersion, bob: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_month(monkeypatch, 5)
    activated(desk, version, bob)
    assert drift.check_all() == 0, "it has no anchors"
    drift.choose_anchors(calibration=desk, count=COUNT)
    assert [drift.check_all() for _hour in range(3)] == [1, 0, 0]
    in_month(monkeypatch, 6)
    check_drift()
    assert [check.month.month for check in DriftCheck.objects.order_by("pk")] == [5, 6]
    assert Job.objects.count() == 2


def test_a_scorer_that_cannot_be_asked_does_not_keep_others_from_it(
    desk: Calibration, version: PromptVersion, bob: Any, anchors: list[int]
) -> None:
    activated(desk, version, bob)
    Endpoint.objects.all().delete()
    assert drift.check_all() == 0


# What changed --------------------------------------------------------------------------------------------------------


def test_what_changed_is_told_against_the_same_version_before(
    desk: Calibration, version: PromptVersion, task: Task, anchors: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    first: dict[int, float | None] = {pk: float(place % 5) for place, pk in enumerate(anchors)}
    later: dict[int, Any] = {
        pk: None if place == 0 else (score or 0) + (3 if place == 4 else 0.5)
        for place, (pk, score) in enumerate(first.items())
    }
    other = make.version(desk.prompt, "Is it there?", parent=version)
    other_scores: dict[int, float | None] = dict.fromkeys(anchors, 5.0)
    for month, by, scores in ((1, version, first), (1, other, other_scores), (2, version, later)):
        in_month(monkeypatch, month)
        checked(desk, by, task, scores)
    latest, of_other, earliest = drift.rows_of(task)
    assert (earliest.before, earliest.mean_change, earliest.scored, earliest.missing) == (None, None, COUNT, 0)
    assert of_other.before == earliest.check
    assert not of_other.same_version
    assert latest.before == earliest.check
    assert latest.same_version
    assert (latest.scored, latest.missing) == (COUNT - 1, 1)
    changes = [later[pk] - (first[pk] or 0) for pk in anchors[1:]]
    assert latest.mean_change == pytest.approx(np.mean(changes), abs=1e-6)
    assert latest.largest == 3.0
    wanted = np.corrcoef([first[pk] for pk in anchors[1:]], [later[pk] for pk in anchors[1:]])[0, 1]
    assert latest.pcc == pytest.approx(wanted, abs=1e-6)
    assert latest.mean == pytest.approx(np.mean([later[pk] for pk in anchors[1:]]), abs=1e-6)
    assert of_other.pcc is None


def test_a_check_that_has_no_answer_yet(
    desk: Calibration, version: PromptVersion, task: Task, anchors: list[int]
) -> None:
    drift.start_check(task=task, version=version, judge=desk.judge, by=None)
    (row,) = drift.rows_of(task)
    assert (row.scored, row.missing, row.mean, row.largest, row.pcc) == (0, COUNT, None, None, None)
