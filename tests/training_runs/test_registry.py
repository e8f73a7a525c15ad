"""From a run's result to an editor: registered once, with its card; generated with; kept, downloaded, deleted."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from annotation.models import Candidate, Editor, StoredImage
from tests.scripted import program
from tests.training_runs import rows
from training.editors import delete_editor, local_program
from training.gpu.diffusion.settings import parse
from training.gpu.editors import check_settings
from training.models import TrainedEditor
from training.runs import registry, starting
from training.runs.job import KIND
from webapp.jobs import kinds, services
from webapp.jobs.folder import JobError
from webapp.jobs.models import Job, State
from webapp.jobs.supervisor import supervise

SUMMARY = {"rounds": 10, "best_round": 5, "stopped": "all rounds were done", "cpu_seconds": 90.0, "images": 960}


def summary() -> dict[str, Any]:
    return {**SUMMARY, "looks": {"last": rows.look(10, 0.2, 0.1), "best": rows.look(5, 0.1, 0.15)}}


@pytest.fixture
def job(alice: Any) -> Job:
    rows.base(steps=4)
    made = rows.run(alice, notice="Demo judge.", note="First.")
    rows.write_events(made, rows.events())
    return made


def test_a_lora_becomes_an_editor_with_a_card(job: Job, tmp_path: Path) -> None:
    path = rows.write_lora(job)
    made = registry.register(job=job, summary=summary())
    name = f"loras/{sha256(path.read_bytes()).hexdigest()}.safetensors"
    assert made.editor.settings == {"base": "rough", "steps": 4, "lora": {"file": name}}
    assert (made.editor.name, made.editor.module, made.base.slug) == ("Better", "drawn", "cpu")
    assert made.editor.notice == "Demo judge. Drawn world."
    assert (made.data["hash"], made.note, made.metrics["best_round"]) == ("d" * 64, "First.", 5)
    assert [(one["name"], one["trained"]) for one in made.reward] == [("Judge A", True), ("Judge B", False)]
    assert default_storage.open(name).read() == path.read_bytes()
    told = local_program(made.editor, tmp_path)  # as generation takes it
    check_settings(told["module"], told["settings"])
    assert Path(told["settings"]["lora"]["file"]).read_bytes() == path.read_bytes()


def test_repeats_change_nothing(job: Job) -> None:
    rows.write_lora(job)
    first = registry.register(job=job, summary=summary())
    assert registry.register(job=job, summary=summary()).pk == first.pk
    assert TrainedEditor.objects.count() == 1 and Editor.objects.count() == 2


def test_a_run_that_was_kept_and_went_on_makes_a_second_editor(job: Job) -> None:
    rows.write_lora(job, seed=1)
    kept = registry.register(job=job, summary={})
    assert kept.metrics["looks"]["last"]["round"] == 10 and kept.metrics["rounds"] == 10
    rows.write_lora(job, seed=2)
    made = registry.register(job=job, summary=summary())
    kept.refresh_from_db()
    assert (made.editor.name, made.job, kept.job) == ("Better 2", job, None)
    assert str(job.uid) in kept.note and registry.is_there(kept) and registry.is_there(made)


def test_the_card_of_what_was_kept_on_the_way_tells_of_the_look_that_was_kept(job: Job) -> None:
    rows.write_lora(job)
    rows.write_events(job, [{**row, "best_round": 5} if row["event"] == "look" else row for row in rows.events()])
    metrics = registry.register(job=job, summary={}).metrics
    assert (metrics["best_round"], metrics["looks"]["best"]["round"], metrics["looks"]["last"]["round"]) == (5, 5, 10)


def test_a_long_name_leaves_room_for_its_number(job: Job) -> None:
    long = "x" * 115
    rows.base(long[:80])
    assert registry.free_name(long) == f"{'x' * 75} 2"
    rows.base(f"{'x' * 75}-2")
    assert registry.free_name(long) == f"{'x' * 75} 3"


def test_without_a_lora_nothing_is_made(job: Job) -> None:
    with pytest.raises(JobError, match="nothing was trained"):
        registry.register(job=job, summary=summary())
    rows.write_lora(job).write_bytes(b"no tensors")
    with pytest.raises(JobError, match="not a readable safetensors file"):
        registry.register(job=job, summary=summary())
    assert Editor.objects.count() == 1 and not TrainedEditor.objects.exists()


def test_without_its_base_nothing_is_made(job: Job) -> None:
    rows.write_lora(job)
    Editor.objects.all().delete()
    with pytest.raises(JobError, match="The base editor was deleted"):
        registry.register(job=job, summary=summary())


def test_a_base_is_not_deleted_while_something_was_trained_from_it(job: Job) -> None:
    rows.write_lora(job)
    made = registry.register(job=job, summary=summary())
    Job.objects.update(state="succeeded")
    with pytest.raises(ValidationError, match="an editor was trained from it"):
        delete_editor(editor=made.base)
    delete_editor(editor=made.editor)  # nothing was made with it yet
    assert not TrainedEditor.objects.exists()
    delete_editor(editor=Editor.objects.get(slug="cpu"))


def test_a_trained_editor_that_made_candidates_stays(job: Job) -> None:
    rows.write_lora(job)
    made = registry.register(job=job, summary=summary())
    case = rows.dataset().cases.first()
    assert case
    Candidate.objects.create(case=case, editor=made.editor, image=rows.picture("made"), settings_hash="x")
    with pytest.raises(ValidationError, match="Candidates were made with this editor"):
        delete_editor(editor=made.editor)


def test_a_note_is_kept(job: Job) -> None:
    rows.write_lora(job)
    made = registry.register(job=job, summary=summary())
    registry.set_note(trained=made, note=" The good one. ")
    assert TrainedEditor.objects.get().note == "The good one."


# The whole way, by the worker's own code -----------------------------------------------------------------------------

TRAIN = """
import json, shutil
told = json.loads((run.folder / "job.json").read_text())["config"]
cases = [json.loads(line) for line in (run.inputs / told["cases"]).read_text().splitlines()]
assert all((run.inputs / one["source"]).is_file() for one in cases) and len(cases) == 9
if {pause}:
    run.emit("watch", round=3, reason="It rose and fell.", trained={{}}, held={{}})
    from webapp.jobs.folder import JobPaused
    raise JobPaused("It rose and fell.")
for row in json.loads(Path({made!r}).read_text()):
    run.emit(row.pop("event"), **row)
target = run.outputs / "lora" / "pytorch_lora_weights.safetensors"
target.parent.mkdir(parents=True, exist_ok=True)
shutil.copy({lora!r}, target)
return json.loads({summary!r})
"""


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, alice: Any) -> Callable[..., Job]:
    monkeypatch.setattr("webapp.jobs.supervisor.connections.close_all", lambda: None)
    rows.base()
    rows.demo_judge()
    data = rows.dataset()
    for image in StoredImage.objects.all():
        default_storage.save(image.original, ContentFile(image.sha256.encode()))
    made = rows.run(alice)
    lora = rows.write_lora(made)
    (tmp_path / "events.json").write_text(json.dumps(rows.events()))
    made.delete()

    def go(pause: bool = False) -> Job:
        told = {"made": str(tmp_path / "events.json"), "lora": str(lora), "summary": json.dumps(summary())}
        path = program(tmp_path, TRAIN.format(pause=pause, **told))
        kind = replace(KIND, command=lambda folder: [sys.executable, str(path), str(folder)])
        monkeypatch.setitem(kinds._kinds, starting.NAME, kind)
        job = starting.start_run(wish=rows.wish(data, Editor.objects.get(slug="cpu")), by=alice)
        claimed = services.claim(uid=str(job.uid), worker="w")
        assert claimed
        supervise(claimed)
        job.refresh_from_db()
        return job

    return go


def test_a_run_from_its_start_to_its_editor(scripted: Callable[..., Job]) -> None:
    job = scripted()
    assert (job.state, job.message) == (State.SUCCEEDED, "")
    made = TrainedEditor.objects.get()
    assert made.job == job and made.editor.slug == "better"
    assert {label for label, _href in KIND.links(job)} >= {"Better", "Cpu"}
    assert "true score of the drawn world" in made.editor.notice


def test_a_run_that_asks_says_why_it_stopped(scripted: Callable[..., Job]) -> None:
    job = scripted(pause=True)
    assert (job.state, job.message) == (State.CANCELLED, "It rose and fell.")
    assert starting.go_on(job=job, number=3).state == State.QUEUED
    with pytest.raises(ValidationError, match="does not wait"):
        starting.go_on(job=job, number=3)
    Job.objects.update(state="cancelled")
    with pytest.raises(ValidationError, match="answered already"):
        starting.go_on(job=job, number=3)


def test_settings_of_large_editors_take_the_lora_too() -> None:
    from training.gpu.diffusion.needs import spec_of

    spec = spec_of("flux_kontext")
    assert spec
    found = parse(spec, {"lora": {"file": "loras/x.safetensors"}}, None)
    assert found.lora and found.lora.alpha is None  # the file's own word counts


def test_a_long_notice_is_cut_on_the_editor_and_whole_on_its_card(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(
        config={**job.config, "notice": "Rewarded by the truth. " + "Demo data. " * 30}
    )
    job.refresh_from_db()
    rows.write_lora(job)
    made = registry.register(job=job, summary=summary())
    assert made.editor.notice.startswith("Rewarded by the truth.") and made.editor.notice.endswith("…")
    assert len(made.editor.notice) == 200
    assert registry.notice_of(made.base, made.data["notice"]).endswith("Drawn world.")
