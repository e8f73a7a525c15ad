"""A training from its start to its version, by the worker's own code and a scripted process."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from annotation.library import load_tasks
from annotation.models import StoredImage
from tests import judging
from tests import reward_models as rows
from tests.scripted import program
from training.models import LabelledSet, RewardModel
from training.reward_models.job import KIND
from training.reward_models.starting import start_training
from training.rewards.config import Config
from training.rewards.groups import Dimension, Entry, Group, Header, Labels, write_set
from webapp.jobs import kinds, services
from webapp.jobs.models import Job, State
from webapp.jobs.supervisor import supervise

TRAIN = """
import json, shutil
job = json.loads((run.folder / "job.json").read_text())["config"]
group = json.loads((run.inputs / job["set"]).read_text().splitlines()[1])
assert (run.inputs / group["source"]).is_file() and (run.inputs / group["candidates"][1]["image"]).is_file()
made = Path({made!r})
for event in json.loads((made / "events.json").read_text()):
    run.emit(event.pop("event"), **event)
run.progress(20, 20, "Step 20 of 20")
shutil.copytree(made / "model", run.outputs / "model")
return json.loads((made / "summary.json").read_text())
"""
SUMMARY = {"metrics": rows.metrics(), "steps": 20, "stopped": "all steps were done", "cpu_seconds": 3.5}


@pytest.fixture
def labelled(transactional_db: None, tmp_path: Path) -> LabelledSet:
    """A set of one case whose pictures are in the storage."""
    load_tasks()
    data = judging.dataset(cases=1, editors=2)
    case = data.cases.get()
    for image in StoredImage.objects.all():
        default_storage.save(image.view, ContentFile(b"picture"))
    found = rows.labelled_set(notice="Simulation.")
    entries = tuple(Entry(str(one.uid), one.image.sha256, "e") for one in case.candidates.all())
    labels = {"quality": Labels(ranks=(1.0, 2.0))}
    group = Group(str(case.uid), case.source.sha256, "s", "Do it.", "add", "train", entries, labels)
    header = Header("Set", tuple(Dimension(**one) for one in rows.DIMENSIONS), "c" * 64, "Simulation.")
    write_set(tmp_path / "set.jsonl.gz", header, [group])
    default_storage.save(found.manifest, ContentFile((tmp_path / "set.jsonl.gz").read_bytes()))
    return found


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Job, str], Job]:
    """Let the worker's code run a job whose process does ``work``."""

    def ran(job: Job, work: str) -> Job:
        path = program(tmp_path, work)
        kind = replace(KIND, command=lambda folder: [sys.executable, str(path), str(folder)])
        monkeypatch.setitem(kinds._kinds, KIND.name, kind)
        claimed = services.claim(uid=str(job.uid), worker="w")
        assert claimed is not None
        supervise(claimed)
        job.refresh_from_db()
        return job

    return ran


def start(labelled: LabelledSet) -> Job:
    return start_training(labelled_set=labelled, name="Mine", config=Config(), by=None)


@pytest.fixture
def work(tmp_path: Path) -> str:
    """What a training does, as far as anybody sees: its events, its checkpoint, its figures."""
    rows.checkpoint(tmp_path / "made" / "model")
    for name, value in (("events", rows.events(steps=20)), ("summary", SUMMARY)):
        (tmp_path / "made" / f"{name}.json").write_text(json.dumps(value))
    return TRAIN.format(made=str(tmp_path / "made"))


def test_a_training_becomes_a_version(labelled: LabelledSet, work: str, run: Callable[[Job, str], Job]) -> None:
    job = run(start(labelled), work)
    assert (job.state, job.done) == (State.SUCCEEDED, 20), job.message
    made = RewardModel.objects.get()
    assert (made.job, made.notice, made.metrics["training"]["cpu_seconds"]) == (job, "Simulation.", 3.5)
    assert job.summary["steps"] == 20


def test_a_training_that_failed_makes_none_and_its_clone_can(
    labelled: LabelledSet, work: str, alice: Any, run: Callable[[Job, str], Job]
) -> None:
    job = run(start(labelled), 'raise JobError("The memory does not hold a batch.")')
    assert (job.state, job.message) == (State.FAILED, "The memory does not hold a batch.")
    assert RewardModel.objects.count() == 0
    again = run(services.clone(job=job, by=alice), work)
    assert again.state == State.SUCCEEDED, again.message
    assert RewardModel.objects.get().created_by == alice


def test_a_process_that_left_nothing_fails_the_job(
    labelled: LabelledSet, work: str, run: Callable[[Job, str], Job]
) -> None:
    job = run(start(labelled), "return {}")
    assert job.state == State.FAILED and "without a whole checkpoint" in job.message


def test_a_picture_that_is_gone_fails_before_the_process_starts(
    labelled: LabelledSet, work: str, run: Callable[[Job, str], Job]
) -> None:
    job = start(labelled)
    default_storage.delete(StoredImage.objects.all()[0].view)
    job = run(job, work)
    assert job.state == State.FAILED and "gone from the storage" in job.message
