"""The demo's data set and study for calibration: made once, judged by simulated annotators, open for people."""

from pathlib import Path
from typing import Any

import pytest

from annotation.models import Candidate, Dataset, Judgement, Study
from tests.judging import member_of
from tests.test_exports import run_of
from webapp.dashboard import demo
from webapp.jobs.models import Job


@pytest.fixture
def calibration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, db: None) -> Study:
    """The demo's study, with fewer scenes: everything else is as it is."""
    demo.make_people(tmp_path / "accounts.json")
    monkeypatch.setattr(demo, "CALIBRATION_CASES", 4)
    demo._calibration(lambda _words: None)
    return Study.objects.get()


@pytest.fixture
def ranking(tmp_path: Path, db: None) -> Study:
    """The demo's ranked groups, three of them."""
    demo.make_people(tmp_path / "accounts.json")
    data = demo._dataset(
        "few", "Few", "Demo data.", lambda folder: demo.write_dataset(folder, 1, 3), lambda _words: None
    )
    demo._ranking(data)
    return Study.objects.get()


def simulated(study: Study) -> dict[str, Any]:
    """Do the job that waits for the demo's worker."""
    job = Job.objects.get(kind="simulate")
    assert (job.state, job.queue) == ("queued", "default")
    assert demo.simulation.KIND.work is not None
    return demo.simulation.KIND.work(run_of(job), job)


def test_it_works(calibration: Study) -> None:
    data = calibration.dataset
    assert (data.slug, data.name) == ("demo-calibration", "Demo: calibration")
    assert data.notice.startswith("Demo data.")
    assert list(data.cases.order_by("pk").values_list("task", flat=True)) == ["color", "remove"] * 2
    assert data.cases.values("source").distinct().count() == 4
    assert Candidate.objects.filter(case__dataset=data).count() == 4 * 6
    assert calibration.preset == "hp-score"
    assert calibration.units.count() == 4 * 6
    assert not calibration.is_simulated, "until somebody simulated joins"
    made = simulated(calibration)
    assert (made["simulated judgements"], made["new"], made["simulated annotators"]) == (120, 120, 5)
    calibration.refresh_from_db()
    assert "Demo data." in calibration.notice
    assert "Simulation" in calibration.notice


def test_there_is_room_for_everybody_of_the_demo(calibration: Study) -> None:
    from annotation import leases

    simulated(calibration)
    people = [name for name, role in demo.PEOPLE.items() if role == "annotator"]
    assert sum(demo.SIMULATED.values()) + len(people) == demo.CALIBRATION_RATERS
    assert set(calibration.units.values_list("taken", "target")) == {(5, 8)}
    for name in people:
        member = member_of(calibration, demo.User.objects.get(username=name))
        assert leases.remaining(member, 1000) == calibration.units.count()


def test_a_second_start_makes_nothing(calibration: Study) -> None:
    simulated(calibration)
    before = [model.objects.count() for model in (Dataset, Study, Job, Judgement, Candidate)]
    said: list[str] = []
    demo._calibration(said.append)
    assert [model.objects.count() for model in (Dataset, Study, Job, Judgement, Candidate)] == before
    assert said == []


def test_groups_are_ranked_in_three_dimensions(ranking: Study) -> None:
    rankers = sum(demo.RANKERS.values())
    assert simulated(ranking)["simulated judgements"] == 3 * 3 * rankers, "groups, dimensions, annotators"
    ranking.refresh_from_db()
    assert "Simulation" in ranking.notice
    people = [name for name, role in demo.PEOPLE.items() if role == "annotator"]
    assert rankers + len(people) == demo.RANKING_RATERS
    assert set(ranking.units.values_list("taken", "target")) == {(rankers, demo.RANKING_RATERS)}


def test_the_real_size() -> None:
    """Enough scenes for a split, and other ones than the demo's drawn world."""
    assert demo.CALIBRATION_CASES / len(demo.CALIBRATION_TASKS) == 48
    assert demo.CALIBRATION_SEED != demo.DRAWN_SEED
