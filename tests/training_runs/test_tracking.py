"""Curves of a run for TensorBoard and MLflow, read back by their own readers where these are installed."""

import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from tests.training_runs import rows
from training.runs import tracking
from training.runs.tracking import CannotExport, Point, checked_uri, points_of
from webapp.jobs.models import Job


@pytest.fixture
def job(db: None) -> Job:
    made = rows.run(state="running", notice="Demo data.")
    rows.write_events(made, [{**row, "time": 1000.0 + place} for place, row in enumerate(rows.events(4, 2))])
    return made


def command(job: Job | str, *to: str, **options: Any) -> str:
    out = StringIO()
    call_command("export_run", str(job.uid) if isinstance(job, Job) else job, "--to", *to, stdout=out, **options)
    return out.getvalue().strip()


# Points --------------------------------------------------------------------------------------------------------------


def test_every_number_of_rounds_and_looks_is_a_point(job: Job) -> None:
    points = points_of(job)
    assert Point("round/reward.mean", 1, 0.4 + 1 / 100, 1001.0) in points
    assert Point("round/seconds.sampling", 4, 6.0, 1005.0) in points
    assert Point("look/judges.Judge A.gain", 2, 2 / 50, 1003.0) in points
    assert Point("look/tasks.add.Judge B", 4, 4 / 100, 1006.0) in points
    names = {point.name for point in points}
    assert not any("samples" in name or name.endswith((".round", ".time", ".trained")) for name in names)
    assert len({(point.name, point.step) for point in points}) == len(points)


def test_names_that_are_alike_when_written_plainly_stay_apart(db: None) -> None:
    made = rows.run()
    rows.write_events(made, [rows.round_(1, raw={"μ": 1.0, "σ": 2.0, "../x": 3.0}), rows.round_(2, raw={"σ": 4.0})])
    found = [(point.name, point.value) for point in points_of(made) if point.name.startswith("round/raw")]
    assert found == [("round/raw._", 1.0), ("round/raw._ 2", 2.0), ("round/raw..._x", 3.0), ("round/raw._ 2", 4.0)]


def test_a_run_without_a_round_has_nothing_to_export(db: None, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="has no curves yet"):
        command(rows.run(), "tensorboard", str(tmp_path / "board"))
    assert not (tmp_path / "board").exists()


# TensorBoard ---------------------------------------------------------------------------------------------------------


def read_board(folder: Path) -> Any:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = events.EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    return found.Reload()


def test_tensorboard_reads_the_curves(job: Job, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    file = Path(command(job, "tensorboard", str(tmp_path)))
    assert file.parent == tmp_path / f"better-{str(job.uid)[:8]}"
    found = read_board(file.parent)
    scalars = [
        (tag, one.step, one.wall_time, pytest.approx(one.value)) for tag in found.Tags()["scalars"]
        for one in found.Scalars(tag)
    ]  # fmt: skip
    assert sorted((p.name, p.step, p.time, p.value) for p in points_of(job)) == sorted(scalars, key=lambda x: x[:2])
    texts = {tag: found.Tensors(tag)[0].tensor_proto.string_val[0].decode() for tag in found.Tags()["tensors"]}
    assert (
        texts["notice/text_summary"] == "Demo data." and "| config.lora_rank | 16 |" in texts["settings/text_summary"]
    )


def test_the_same_export_twice_is_the_same_file_and_a_later_one_has_more(job: Job, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    file = Path(command(job, "tensorboard", str(tmp_path)))
    first = file.read_bytes()
    assert command(job, "tensorboard", str(tmp_path)) == str(file) and file.read_bytes() == first
    rows.write_events(job, [rows.round_(5)])
    command(job, "tensorboard", str(tmp_path))
    assert [one.name for one in file.parent.iterdir()] == [file.name]
    assert [one.step for one in read_board(file.parent).Scalars("round/loss")] == [1, 2, 3, 4, 5]


def test_a_folder_that_cannot_be_written_is_said(job: Job, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match="cannot be written"):
        command(job, "tensorboard", str(tmp_path / "file"))


# MLflow --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in tracking.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    pytest.importorskip("mlflow")
    return (tmp_path / "mlruns").as_uri()


def runs_in(uri: str, experiment: str = "Editloop") -> list[Any]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name(experiment)
    return list(client.search_runs([found.experiment_id])) if found else []


def history(uri: str, run: Any) -> list[tuple[str, int, float, int]]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    rows = [one for name in run.data.metrics for one in client.get_metric_history(run.info.run_id, name)]
    return sorted((one.key, one.step, one.value, one.timestamp) for one in rows)


def wanted(job: Job) -> list[tuple[str, int, float, int]]:
    return sorted((one.name, one.step, one.value, int(one.time * 1000)) for one in points_of(job))


def test_mlflow_has_the_curves_once_however_often_they_are_sent(job: Job, store: str) -> None:
    first = command(job, "mlflow", store)
    assert command(job, "mlflow", store) == first
    (run,) = runs_in(store)
    assert first == f"MLflow run {run.info.run_id}" and history(store, run) == wanted(job)
    assert run.data.params["config.lora_rank"] == "16" and run.data.params == tracking.settings_of(job)
    assert run.data.tags["editloop.notice"] == "Demo data." and run.info.run_name == "Better"
    assert run.info.status == "RUNNING"
    rows.write_events(job, [{**rows.round_(5), "time": 2000.0}])
    Job.objects.filter(pk=job.pk).update(state="succeeded")
    assert command(job, "mlflow", store) == first
    (run,) = runs_in(store)
    assert history(store, run) == wanted(job) and run.info.status == "FINISHED"


def test_a_run_that_went_on_from_an_earlier_place_replaces_what_was_sent(job: Job, store: str) -> None:
    first = command(job, "mlflow", store)
    rows.write_events(job, [{**rows.round_(4, loss=0.5), "time": 3000.0}])
    second = command(job, "mlflow", store, experiment="Editloop")
    (run,) = runs_in(store)
    assert second == f"MLflow run {run.info.run_id}" != first
    values = {(name, step): value for name, step, value, _time in history(store, run)}
    assert values["round/loss", 4] == 0.5 and len(values) == len(wanted(job))


def test_runs_are_kept_apart_by_job_and_experiment(job: Job, store: str) -> None:
    other = rows.run(name="Other")
    rows.write_events(other, rows.events(1, 1))
    command(job, "mlflow", store)
    command(other, "mlflow", store)
    command(job, "mlflow", store, experiment="Mine")
    assert {run.info.run_name for run in runs_in(store)} == {"Better", "Other"} and len(runs_in(store, "Mine")) == 1


def test_a_server_that_is_not_there_is_said(job: Job, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(CommandError, match=r"MLflow at http://127\.0\.0\.1:9: "):
        command(job, "mlflow", "http://127.0.0.1:9")


@pytest.mark.parametrize("uri", ["http://host", "https://host:5000/path", "http://[::1]:5000", "file:///srv/mlruns"])
def test_addresses_that_mlflow_may_have(uri: str) -> None:
    assert checked_uri(uri) == uri


@pytest.mark.parametrize(
    "uri",
    [
        "", "mlruns", "./mlruns", "/srv/mlruns", "sqlite:///x.db", "postgresql://u:p@host/db", "databricks", "uc://x",
        "s3://bucket", "ftp://host", "plugin-scheme://x", "javascript:alert(1)", "file:mlruns", "file://host/share",
        "file:///a?b=c", "file:///a#b", "file:///a%00b", "file:///a\nb", "http://", "http:///path", "https://host/a b",
        "http://host:port", "http://host:99999", "http://[::1", "http://host?x=1", "http://host#x", "http://ho\tst",
        "http://host\\@other", "x" * 2001, "http://host/%0d%0aX: 1",
    ],
)  # fmt: skip
def test_every_other_address_is_refused(uri: str) -> None:
    with pytest.raises(CannotExport, match="Give MLflow's address as https"):
        checked_uri(uri)


@pytest.mark.parametrize("uri", ["http://user:secret@host", "https://user@host", "http://:secret@host"])
def test_passwords_stay_out_of_addresses(uri: str) -> None:
    with pytest.raises(CannotExport, match="Leave the name and the password out") as refusal:
        checked_uri(uri)
    assert "secret" not in str(refusal.value)


# The command ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("to", "module", "name"), [("tensorboard", "tensorboard", "TensorBoard"), ("mlflow", "mlflow", "MLflow")]
)
def test_without_the_extra_it_says_what_to_install(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str, module: str, name: str
) -> None:
    for known in [one for one in sys.modules if one == module or one.startswith(f"{module}.")]:
        monkeypatch.delitem(sys.modules, known)
    monkeypatch.setitem(sys.modules, module, None)
    place = (tmp_path / "place").as_uri() if to == "mlflow" else str(tmp_path / "place")
    with pytest.raises(CommandError, match=rf"{name}'s package is not installed.*requirements/tracking\.txt"):
        command(job, to, place)
    assert not (tmp_path / "place").exists()
    assert (Path(__file__).parents[2] / tracking.EXTRA).is_file()


def test_what_the_command_refuses(job: Job, tmp_path: Path) -> None:
    for wrong in ("x", "00000000-0000-0000-0000-000000000000"):
        with pytest.raises(CommandError, match="There is no post-training run"):
            command(wrong, "tensorboard", str(tmp_path))
    with pytest.raises(CommandError, match="not 'wandb'"):
        command(job, "wandb", "x")
    with pytest.raises(CommandError, match="Give MLflow's address"):
        command(job, "mlflow", "sqlite:///x.db")
    Job.objects.filter(pk=job.pk).update(kind="export")
    with pytest.raises(CommandError, match="There is no post-training run"):
        command(job, "tensorboard", str(tmp_path))
