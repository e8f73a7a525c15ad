"""`manage.py run_job SPEC.json`: a job from a file, by the form's checks, here or on the queue."""

import json
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.core.management.base import CommandError

from annotation.library import ensure_editor
from annotation.models import Dataset, StoredImage
from tests import reward_models
from tests.scripted import program
from tests.training_runs import rows
from training.models import TrainedEditor
from training.runs.job import KIND
from webapp.accounts.models import User
from webapp.jobs import kinds
from webapp.jobs.models import Job

DONE = """
import shutil
if {fail}:
    raise JobError("It cannot be done.")
target = run.outputs / "lora" / "pytorch_lora_weights.safetensors"
target.parent.mkdir(parents=True, exist_ok=True)
shutil.copy({lora!r}, target)
return {{"rounds": 1, "looks": {{}}}}
"""


@pytest.fixture
def data(db: None, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    monkeypatch.setattr("webapp.jobs.supervisor.connections.close_all", lambda: None)
    rows.base()
    rows.demo_judge()
    made = rows.dataset()
    for image in StoredImage.objects.all():
        default_storage.save(image.original, ContentFile(image.sha256.encode()))
    return made


def spec(data: Dataset, **fields: Any) -> dict[str, Any]:
    given = {
        "kind": "posttrain", "name": "Better", "base": "cpu", "dataset": data.slug, "rewards": {rows.TRUTH: 2},
        "held_out": [rows.DEMO], "reward": {"alpha": 1.5},
        "config": {"preset": "fast", "rounds": 3, "shared_noise": False},
    }  # fmt: skip
    return {name: value for name, value in {**given, **fields}.items() if value is not ...}


def run(folder: Path, told: Any, **options: Any) -> str:
    path = folder / "spec.json"
    path.write_text(told if isinstance(told, str) else json.dumps(told))
    out = StringIO()
    call_command("run_job", str(path), stdout=out, **options)
    return out.getvalue()


def script(monkeypatch: pytest.MonkeyPatch, folder: Path, fail: bool = False) -> None:
    """The kind with a program of a few lines."""
    other = rows.run()
    lora = folder / "made.safetensors"
    lora.write_bytes(rows.write_lora(other).read_bytes())
    other.delete()
    path = program(folder, DONE.format(lora=str(lora), fail=fail))
    kind = replace(KIND, command=lambda job: [sys.executable, str(path), str(job)])
    monkeypatch.setitem(kinds._kinds, "posttrain", kind)


def test_a_job_runs_here_to_its_end(data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, tmp_path)
    said = run(tmp_path, spec(data))
    job = Job.objects.get()
    assert (job.state, job.attempt) == ("succeeded", 1) and job.worker.startswith("run_job@")
    assert "Train Better from Cpu" in said and job.get_absolute_url() in said and "Done." in said
    assert (job.config["config"]["rounds"], job.config["config"]["shared_noise"]) == (3, False)
    assert job.config["reward"]["alpha"] == 1.5 and job.config["rewards"][0]["weight"] == 2.0
    assert TrainedEditor.objects.get().editor.slug == "better"


def test_a_job_that_fails_fails_the_command(data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, tmp_path, fail=True)
    with pytest.raises(CommandError, match="has not come to its end"):
        run(tmp_path, spec(data))
    assert Job.objects.get().message == "It cannot be done."


def test_a_job_is_queued(data: Dataset, tmp_path: Path, alice: User) -> None:
    run(tmp_path, spec(data), queue=True, by="alice")
    job = Job.objects.get()
    assert (job.state, job.created_by) == ("queued", alice)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": "dance"}, "“kind” must be one of posttrain, reward-train, generate"),
        ({"kind": ["posttrain"]}, "“kind” must be one of"),
        ({"base": "gone"}, "base: Select a valid choice"),
        ({"base": None}, "base: This field is required"),
        ({"dataset": ...}, "dataset: This field is required"),
        ({"rewards": {}}, "Choose who gives the reward"),
        ({"rewards": {"judge:gone": 1}}, "reward_1: Select a valid choice"),
        ({"rewards": [rows.TRUTH]}, "must be objects with names and values"),
        ({"rewards": {str(n): 1 for n in range(4)}}, "There is room for 3 sources of reward"),
        ({"held_out": rows.DEMO}, "must be a list of judges"),
        ({"held_out": []}, "The watch needs a held-out judge"),
        ({"config": {"rounds": 0}}, "rounds: This must be a whole number"),
        ({"config": {"beta_1": 0.9}}, "There is no field beta_1"),
        ({"reward": {"alpha": -1}}, "alpha: This must be a number"),
        ({"reward_1": "truth"}, "There is no field reward_1"),
        ({"tasks": ["dance"]}, "tasks: Select a valid choice"),
        ({"split": "dev"}, "split: Select a valid choice"),
    ],
)  # fmt: skip
def test_a_wrong_file_starts_nothing(data: Dataset, tmp_path: Path, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(CommandError, match=words.replace("(", r"\(")):
        run(tmp_path, spec(data, **fields), queue=True)
    assert not Job.objects.exists()


@pytest.mark.parametrize(("text", "words"), [("{", "is no JSON"), ("[]", "must hold one JSON object")])
def test_a_file_that_is_no_object(db: None, tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(CommandError, match=words):
        run(tmp_path, text)


def test_a_file_that_is_not_there(db: None, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("run_job", str(tmp_path / "gone.json"))


@pytest.mark.parametrize(
    ("name", "words"), [("bob", "is no admin"), ("carol", "no engineer"), ("nobody", "no engineer")]
)
def test_who_may_not_start_it_by_page_may_not_by_file(
    data: Dataset, tmp_path: Path, name: str, words: str, bob: User, carol: User
) -> None:
    with pytest.raises(CommandError, match=words):
        run(tmp_path, spec(data), by=name)
    assert not Job.objects.exists()


# Other kinds, by their own forms -------------------------------------------------------------------------------------


def test_other_kinds_are_started_by_their_own_checks(data: Dataset, tmp_path: Path, bob: User) -> None:
    reward_models.labelled_set()
    run(
        tmp_path,
        {"kind": "reward-train", "set": "set", "name": "Mine", "steps": 12, "fused": True},
        queue=True,
        by="bob",
    )
    ensure_editor(slug="classic", name="Classic", module="classical")
    told = {"kind": "generate", "dataset": data.slug, "editors": ["classic"], "splits": ["dev"], "seeds": 2}
    run(tmp_path, told, queue=True, by="bob")
    train, made = Job.objects.order_by("id")
    assert (train.kind, train.config["config"]["steps"], train.config["config"]["fused"]) == ("reward-train", 12, True)
    assert (made.kind, made.config["editors"], made.config["seeds"]) == ("generate", ["classic"], 2)
    for wrong, words in (
        ({"kind": "reward-train", "set": "gone", "name": "Mine"}, "set: Select a valid choice"),
        ({"kind": "generate", "dataset": "gone"}, "short name of a data set"),
        ({**told, "editors": ["gone"]}, "editors: Select a valid choice"),
        ({**told, "dance": 1}, "There is no field dance"),
    ):
        with pytest.raises(CommandError, match=words):
            run(tmp_path, wrong, queue=True)
    assert Job.objects.count() == 2
