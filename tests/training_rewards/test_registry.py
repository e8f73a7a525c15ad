"""What a training made becomes a version, whole or not at all; notes, judges, deletion."""

import json
import shutil
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from django.core.exceptions import ValidationError

from scoring.models import Judge
from tests import reward_models as rows
from training.models import LabelledSet, RewardModel
from training.reward_models import queries, registry
from training.reward_models.job import KIND
from training.rewards.config import Config
from webapp.jobs import services as jobs
from webapp.jobs.folder import JobError
from webapp.jobs.models import Job

SUMMARY: dict[str, Any] = {"metrics": rows.metrics(), "cpu_seconds": 61.2, "steps": 300, "stopped": "all"}


@pytest.fixture
def labelled(db: None) -> LabelledSet:
    return rows.labelled_set(notice="Demo data.")


def trained(labelled: LabelledSet, name: str = "Mine", by: Any = None, **told: Any) -> Job:
    """A job whose process has ended and left its checkpoint."""
    config = {"config": Config().to_json(), "set": "set.jsonl", "init": "", "note": "First.", "name": name}
    job = jobs.start(kind="reward-train", title="T", config={**config, "labelled_set": str(labelled.uid)}, by=by)
    rows.checkpoint(job.folder / "outputs" / "model", **told)
    return job


def folders(settings: Any) -> list[str]:
    return sorted(path.name for path in Path(settings.MODELS_ROOT).glob("*"))


def test_it_works(labelled: LabelledSet, bob: Any, settings: Any) -> None:
    job = trained(labelled, by=bob)
    rows.write_events(job.folder, [{"event": "worst", "rows": [{"better": "a", "worse": "b"}]}])
    KIND.on_result(job, SUMMARY)
    made = RewardModel.objects.get()
    assert (str(made), made.slug, made.labelled_set, made.job, made.created_by) == (
        "Mine v1",
        "mine",
        labelled,
        job,
        bob,
    )
    assert (made.fingerprint, made.notice, made.note) == ("f" * 64, "Demo data.", "First.")
    assert made.dimensions == rows.DIMENSIONS and Config.from_json(made.config) == Config()
    assert made.metrics["test"]["quality"]["accuracy"] == 0.78 and made.metrics["training"]["steps"] == 300
    assert made.metrics["worst"] == [{"better": "a", "worse": "b"}]
    files = [path.name for path in registry.files_of(registry.folder_of(made))]
    assert files == ["network.safetensors", "heads.safetensors", "reward.json"]
    assert made.size == sum(path.stat().st_size for path in registry.files_of(registry.folder_of(made))) > 1100
    assert folders(settings) == [made.folder]


def test_a_repeat_changes_nothing(labelled: LabelledSet) -> None:
    job = trained(labelled)
    for _time in range(3):
        KIND.on_result(job, SUMMARY)
    assert RewardModel.objects.count() == 1


def test_a_name_that_is_there_gets_the_next_number(labelled: LabelledSet) -> None:
    for name in ("Mine", "Other", "Mine", "MINE"):
        KIND.on_result(trained(labelled, name), SUMMARY)
    assert sorted(RewardModel.objects.values_list("slug", "number")) == [
        ("mine", 1), ("mine", 2), ("mine", 3), ("other", 1)
    ]  # fmt: skip


def test_the_number_is_of_the_last_version_even_where_one_was_deleted(labelled: LabelledSet) -> None:
    for _time in range(3):
        KIND.on_result(trained(labelled), SUMMARY)
    registry.delete_model(model=RewardModel.objects.get(number=2))
    KIND.on_result(trained(labelled), SUMMARY)
    assert list(RewardModel.objects.order_by("number").values_list("number", flat=True)) == [1, 3, 4]


class Killed(BaseException):
    """The process ends here: nothing that comes after it is done."""


@pytest.mark.parametrize("place", ["copytree", "fsync", "replace", "row"])
def test_killed_at_any_point_it_leaves_no_half_model_and_can_be_repeated(
    place: str, labelled: LabelledSet, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What others can see is a whole folder under the model's name or none; the next try makes one version of it."""
    job = trained(labelled)

    def die(*arguments: Any, **_more: Any) -> None:
        if place == "copytree":  # in the middle of it
            target = Path(arguments[1])
            target.mkdir()
            (target / "reward.json").write_text("{")
        raise Killed

    where = {"copytree": (shutil, "copytree"), "fsync": (registry.os, "fsync"), "replace": (registry.os, "replace")}
    with monkeypatch.context() as patched:
        patched.setattr(*where.get(place, (registry, "_numbered")), die)
        with pytest.raises(Killed):
            KIND.on_result(job, SUMMARY)
    assert RewardModel.objects.count() == 0
    for name in folders(settings):
        assert name.startswith(".") or json.loads((settings.MODELS_ROOT / name / "reward.json").read_text())
    KIND.on_result(job, SUMMARY)
    made = RewardModel.objects.get()
    assert folders(settings) == [made.folder]
    told = json.loads((registry.folder_of(made) / "reward.json").read_text())
    assert told["fingerprint"] == made.fingerprint and made.number == 1


@pytest.mark.parametrize("damage", ["gone", "empty", "torn", "nameless"])
def test_a_checkpoint_that_is_not_whole_is_refused(damage: str, labelled: LabelledSet, settings: Any) -> None:
    job = trained(labelled)
    told = job.folder / "outputs" / "model" / "reward.json"
    if damage == "gone":
        told.unlink()
    else:
        told.write_text({"empty": "", "torn": '{"dimensions": [', "nameless": '{"dimensions": []}'}[damage])
    with pytest.raises(JobError, match="without a whole checkpoint"):
        KIND.on_result(job, SUMMARY)
    assert (RewardModel.objects.count(), folders(settings)) == (0, [])


def test_a_set_that_was_deleted_meanwhile_is_said(labelled: LabelledSet) -> None:
    job = trained(labelled)
    labelled.delete()
    with pytest.raises(JobError, match="was deleted while the job ran"):
        KIND.on_result(job, SUMMARY)
    with pytest.raises(JobError, match="The training set was deleted"):
        KIND.prepare(job)


def test_a_link_in_the_checkpoint_is_not_followed_into_the_zip(labelled: LabelledSet, tmp_path: Path) -> None:
    made = rows.model(labelled_set=labelled)
    (tmp_path / "secret").write_text("s")
    (registry.folder_of(made) / "link").symlink_to(tmp_path / "secret")
    data = b"".join(queries.zip_of(made))
    (tmp_path / "m.zip").write_bytes(data)
    with ZipFile(tmp_path / "m.zip") as file:
        assert file.testzip() is None
        assert [Path(name).name for name in file.namelist()] == [
            "network.safetensors", "heads.safetensors", "reward.json"
        ]  # fmt: skip
        assert file.read("mine-v1/heads.safetensors") == b"h" * 100
    assert b"".join(queries.zip_of(made)) == data


# Judges --------------------------------------------------------------------------------------------------------------


def judge_of(made: RewardModel, dimension: str = "overall", name: str = "RM") -> Judge:
    return registry.make_judge(model=made, dimension=dimension, name=name, by=None)


def test_a_version_becomes_a_judge_with_its_notice(labelled: LabelledSet) -> None:
    made = rows.model(labelled_set=labelled, notice="Simulation.")
    judge = judge_of(made, "quality")
    assert (judge.kind, judge.notice) == ("reward", "Simulation.")
    assert judge.settings == {"model": "mine", "number": 1, "dimension": "quality"}


def test_the_program_is_told_where_the_files_are_and_the_key_knows_the_weights(labelled: LabelledSet) -> None:
    from scoring.asking.backends import backend
    from scoring.asking.jobs import _backend, _program

    made = rows.model(labelled_set=labelled)
    judge = judge_of(made)
    told = _program(judge, _backend(judge))["settings"]
    assert told == {**judge.settings, "folder": str(registry.folder_of(made)), "fingerprint": made.fingerprint}
    found = backend("reward")
    assert found is not None
    first = found.identity(judge.settings)
    assert (first.model, first.settings) == (made.fingerprint, {"dimension": "overall"})
    assert found.identity({**judge.settings, "dimension": "quality"}) != first


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"dimension": "beauty"}, "It has: overall, quality, alignment"),
        ({"number": 7}, "no reward model “mine” with a version 7"),
        ({"model": "yours"}, "no reward model “yours”"),
    ],
)
def test_a_judge_of_what_is_not_there_is_refused(labelled: LabelledSet, given: dict[str, Any], words: str) -> None:
    from scoring.asking.judges import create_judge

    rows.model(labelled_set=labelled)
    settings = {"model": "mine", "number": 1, "dimension": "overall", **given}
    with pytest.raises(ValidationError, match=words):
        create_judge(name="RM", kind="reward", settings=settings)
    assert Judge.objects.count() == 0


def test_without_a_number_the_newest_is_kept(labelled: LabelledSet) -> None:
    from scoring.asking.judges import create_judge

    for number in (1, 2):
        rows.model(number=number, labelled_set=labelled)
    judge = create_judge(name="RM", kind="reward", settings={"model": "mine"})
    assert judge.settings == {"model": "mine", "number": 2, "dimension": "overall"}


def test_a_judge_whose_version_is_gone_is_not_asked(labelled: LabelledSet) -> None:
    from scoring.asking.backends import backend

    found = backend("reward")
    assert found is not None
    with pytest.raises(ValidationError, match="no reward model"):
        found.identity({"model": "mine", "number": 1, "dimension": "overall"})


def test_a_version_goes_with_its_files_unless_a_judge_uses_it(
    labelled: LabelledSet, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    made, other = rows.model(labelled_set=labelled), rows.model(number=2, labelled_set=labelled)
    judge = judge_of(made)
    with pytest.raises(ValidationError, match="used by the judge RM"):
        registry.delete_model(model=made)
    assert registry.folder_of(made).is_dir()
    with django_capture_on_commit_callbacks(execute=True):
        registry.delete_model(model=other)
    judge.delete()
    with django_capture_on_commit_callbacks(execute=True):
        registry.delete_model(model=made)
    assert (RewardModel.objects.count(), folders(settings)) == (0, [])


@pytest.mark.parametrize(("name", "number"), [("mine", 3), ("mine@2", 2), ("mine@1", 1)])
def test_a_version_is_found_by_name(labelled: LabelledSet, name: str, number: int) -> None:
    for one in (1, 2, 3):
        rows.model(number=one, labelled_set=labelled)
    assert queries.find(name).number == number


@pytest.mark.parametrize("name", ["yours", "mine@9", "mine@x", "mine@", ""])
def test_a_version_that_is_not_there_is_said(labelled: LabelledSet, name: str) -> None:
    rows.model(labelled_set=labelled)
    if name == "mine@":
        assert queries.find(name).number == 1
        return
    with pytest.raises(ValidationError, match="There are: mine"):
        queries.find(name)
