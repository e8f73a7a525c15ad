"""Making candidates: a grid of cases, editors and seeds, by the real program; stopped and resumed; refusals."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from PIL import Image

from annotation.imports import import_path
from annotation.library import ensure_editor, load_tasks, settings_hash
from annotation.models import Candidate, Case, Dataset, Editor, StoredImage
from tests import make
from tests.conftest import png
from tests.scripted import with_events
from training import generation, grid
from webapp.endpoints.models import Endpoint
from webapp.endpoints.services import save_endpoint
from webapp.jobs import kinds, services, supervisor
from webapp.jobs.folder import read_events
from webapp.jobs.models import Job, State

SIDE = 32


def mask() -> bytes:
    pixels, out = np.zeros((SIDE, SIDE), np.uint8), io.BytesIO()
    pixels[8:20, 8:24] = 255
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def photographs(folder: Path, tasks: tuple[str, ...]) -> Dataset:
    """A data set with a case of each task; those of "bokeh" have a mask."""
    folder.mkdir(exist_ok=True)
    (folder / "mask.png").write_bytes(mask())
    rows = []
    for number, task in enumerate(tasks):
        (folder / f"{number}.png").write_bytes(png(number, (SIDE, SIDE)))
        row = {"key": f"case-{number}", "source": f"{number}.png", "instruction": "Edit it.", "task": task}
        rows.append({**row, "mask": "mask.png"} if task == "bokeh" else row)
    (folder / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = Dataset(slug="photographs", name="Photographs")
    import_path(path=folder, dataset=made, progress=make.QUIET)
    return made


def classical(*variants: str) -> list[Editor]:
    return [
        ensure_editor(slug=variant, name=variant, module="classical", settings={"variant": variant})
        for variant in variants
    ]


def keys(data: Dataset) -> list[tuple[str, str, int]]:
    """What there is, one entry a candidate."""
    found = Candidate.objects.filter(case__dataset=data).values_list("case__key", "editor__slug", "seed")
    return sorted((case, editor, seed) for case, editor, seed in found)


def whole_grid(cases: int, editors: list[Editor], seeds: int) -> list[tuple[str, str, int]]:
    return sorted(
        (f"case-{case}", editor.slug, seed) for case in range(cases) for editor in editors for seed in range(seeds)
    )


def run(job: Job) -> Job:
    claimed = services.claim(uid=str(job.uid), worker="w1")
    assert claimed is not None
    supervisor.supervise(claimed)
    claimed.refresh_from_db()
    return claimed


@pytest.fixture
def library(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that the supervisor may open and close, with the tasks that it had before the first test."""
    load_tasks()
    monkeypatch.setattr(supervisor, "TICK_SECONDS", 0.02)
    monkeypatch.setattr(supervisor, "HEARTBEAT_SECONDS", 0.0)


def test_it_works(library: None, tmp_path: Path) -> None:
    data, editors = photographs(tmp_path / "in", ("relight", "bokeh", "bokeh")), classical("careful", "timid")
    job = run(generation.start_generation(dataset=data, editors=editors, seeds=2, by=None))
    assert (job.state, job.message) == (State.SUCCEEDED, "")
    assert job.title == "Make 12 candidates of Photographs"
    assert (job.done, job.total, job.summary) == (12, 12, {"images": 12, "failed": 0})
    assert keys(data) == whole_grid(3, editors, 2)
    for candidate in Candidate.objects.select_related("case__source", "image", "editor"):
        image = Image.open(io.BytesIO(candidate.image.read_original()))
        assert image.size == (SIDE, SIDE)
        assert candidate.image != candidate.case.source
        assert candidate.job == job
        assert candidate.settings == {"variant": candidate.editor.slug}
        assert candidate.settings_hash == settings_hash(candidate.editor.settings)
    assert_only_the_mask_changed(Candidate.objects.get(case__key="case-1", editor__slug="careful", seed=0))
    images = StoredImage.objects.count()
    generation.KIND.on_events(job, read_events(job.folder / "events.jsonl")[0])  # seen again, as after a crash
    assert keys(data) == whole_grid(3, editors, 2)
    assert StoredImage.objects.count() == images


def assert_only_the_mask_changed(candidate: Candidate) -> None:
    """A careful blur leaves the pixels outside the mask as they were."""
    images = (candidate.case.source.read_original(), candidate.image.read_original(), mask())
    before, after, where = (np.asarray(Image.open(io.BytesIO(data))) for data in images)
    assert (before[where == 0] == after[where == 0]).all()
    assert (before[where == 255] != after[where == 255]).any()


def planned(job: Job) -> list[tuple[str, str, int]]:
    """What the program is asked to make."""
    (job.folder / "inputs").mkdir(parents=True)
    generation.KIND.prepare(job)
    items = [json.loads(line) for line in (job.folder / "inputs" / "items.jsonl").read_text().splitlines()]
    cases, editors = Case.objects.in_bulk(), Editor.objects.in_bulk()
    parts = [[int(part) for part in item["key"].split("/")] for item in items]
    return sorted((cases[case].key, editors[editor].slug, seed) for case, editor, seed in parts)


def test_the_choice_of_tasks_and_cases(db: None, tmp_path: Path) -> None:
    data = photographs(tmp_path / "in", ("bokeh", "relight", "relight", "relight"))
    choice: dict[str, Any] = {"dataset": data, "editors": classical("soft"), "seeds": 1, "by": None}
    assert planned(generation.start_generation(**choice)) == whole_grid(4, choice["editors"], 1)
    chosen = generation.start_generation(**choice, tasks=["relight"], limit=2)
    assert planned(chosen) == [("case-1", "soft", 0), ("case-2", "soft", 0)]


def test_images_that_are_there_are_left_out(db: None, tmp_path: Path) -> None:
    data, editors = photographs(tmp_path / "in", ("relight", "bokeh")), classical("careful", "soft")
    for case in data.cases.all():
        made = settings_hash(editors[0].settings)
        Candidate.objects.create(case=case, editor=editors[0], seed=0, settings_hash=made, image=case.source)
    job = generation.start_generation(dataset=data, editors=editors, seeds=2, by=None)
    assert planned(job) == [one for one in whole_grid(2, editors, 2) if one[1:] != ("careful", 0)]
    Editor.objects.filter(slug="careful").update(settings={"variant": "leaky"})
    assert planned(services.clone(job=job, by=None)) == whole_grid(2, editors, 2)  # type: ignore[arg-type]


# Stopping and going on -----------------------------------------------------------------------------------------------


def when(monkeypatch: pytest.MonkeyPatch, images: int, action: Callable[[Job], Any]) -> None:
    """Do something once so many images have been kept."""
    done: list[int] = []

    def then(job: Job, _events: list[dict[str, Any]]) -> None:
        if job.candidates.count() >= images and not done:
            done.append(1)
            action(job)

    monkeypatch.setitem(kinds._kinds, "generate", with_events(generation.KIND, then))


def made_images(job: Job) -> list[str]:
    """The key of every image that the program has made, once for each time it made it."""
    return [event["key"] for event in read_events(job.folder / "events.jsonl")[0] if event["event"] == "image"]


def test_cancelled_and_resumed_makes_no_image_twice(
    library: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grid, "ALONE", 180)
    data, editors = photographs(tmp_path / "in", ("relight",) * 3), classical("careful", "rough")
    when(monkeypatch, 5, lambda job: services.cancel(job=Job.objects.get()))
    job = run(generation.start_generation(dataset=data, editors=editors, seeds=30, by=None))
    assert job.state == State.CANCELLED
    assert 5 <= job.candidates.count() < 180
    assert job.candidates.count() == len(made_images(job))
    services.resume(job=job)
    job = run(job)
    assert (job.state, job.done, job.summary) == (State.SUCCEEDED, 180, {"images": 180, "failed": 0})
    assert keys(data) == whole_grid(3, editors, 30)
    assert len(made_images(job)) == len(set(made_images(job))) == 180


def test_a_killed_program_loses_no_image(library: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "ALONE", 90)
    data, editors = photographs(tmp_path / "in", ("relight",)), classical("careful")
    started: list[Any] = []
    start = supervisor._start
    monkeypatch.setattr(supervisor, "_start", lambda job: started.append(start(job)) or started[-1])
    when(monkeypatch, 3, lambda job: started[-1].kill())
    job = run(generation.start_generation(dataset=data, editors=editors, seeds=90, by=None))
    assert (job.state, len(started)) == (State.FAILED, 1)
    assert "no memory left" in job.message
    services.resume(job=job)
    assert run(job).state == State.SUCCEEDED
    assert keys(data) == whole_grid(1, editors, 90)
    assert len(set(made_images(job))) == len(made_images(job))


def test_what_cannot_be_edited_is_counted_and_the_rest_is_made(library: None, tmp_path: Path) -> None:
    data = photographs(tmp_path / "in", ("relight", "bokeh", "relight"))
    Case.objects.filter(task="bokeh").update(mask=None)
    job = run(generation.start_generation(dataset=data, editors=classical("careful"), seeds=2, by=None))
    assert (job.state, job.done, job.summary) == (State.SUCCEEDED, 6, {"images": 4, "failed": 2})
    reasons = [e["reason"] for e in read_events(job.folder / "events.jsonl")[0] if e["event"] == "item_failed"]
    assert len(reasons) == 2
    assert "needs a mask" in reasons[0]


def test_a_job_that_can_make_nothing_says_so(library: None, tmp_path: Path) -> None:
    data = photographs(tmp_path / "in", ("bokeh",))
    Case.objects.update(mask=None)
    job = run(generation.start_generation(dataset=data, editors=classical("careful"), seeds=2, by=None))
    assert job.state == State.FAILED
    assert "None of the 2 images could be made." in job.message


def test_a_data_set_that_is_gone(library: None, tmp_path: Path) -> None:
    data = photographs(tmp_path / "in", ("relight",))
    job = generation.start_generation(dataset=data, editors=classical("careful"), seeds=1, by=None)
    data.delete()
    assert run(job).message == "The data set was deleted."


# What a program may hand in ------------------------------------------------------------------------------------------


@pytest.fixture
def handed_in(db: None, tmp_path: Path) -> Any:
    """Keep the image of an event as the supervisor does."""
    data = photographs(tmp_path / "in", ("relight",))
    [editor] = classical("careful")
    job = generation.start_generation(dataset=data, editors=[editor], seeds=1, by=None)
    (job.folder / "outputs").mkdir(parents=True)
    key = f"{data.cases.get().pk}/{editor.pk}/0"
    return job, lambda file: generation.keep_image(job, {"event": "image", "key": key, "file": str(file)})


def test_a_readable_image_makes_a_candidate(handed_in: Any) -> None:
    job, keep = handed_in
    (job.folder / "outputs" / "0.png").write_bytes(png(5))
    assert keep("outputs/0.png") == Candidate.objects.get()


@pytest.mark.parametrize("content", [b"", b"not a picture", png(5)[:60], b"<svg xmlns='http://www.w3.org/2000/svg'/>"])
def test_an_unreadable_image_makes_none(handed_in: Any, content: bytes) -> None:
    job, keep = handed_in
    (job.folder / "outputs" / "0.png").write_bytes(content)
    assert keep("outputs/0.png") is None
    assert not Candidate.objects.exists()
    assert StoredImage.objects.count() == 1


def test_a_file_elsewhere_makes_none(handed_in: Any, tmp_path: Path) -> None:
    job, keep = handed_in
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(5))
    (job.folder / "outputs" / "link.png").symlink_to(secret)
    for file in (secret, f"../../{secret.name}", "outputs/link.png", "outputs/missing.png", "outputs", ""):
        assert keep(file) is None, file
    assert not Candidate.objects.exists()


def test_keys_of_endpoints_go_to_the_process_and_into_no_file(db: None, tmp_path: Path) -> None:
    endpoint = Endpoint(slug="shop", name="Shop", kind="images", base_url="https://example.org/v1", model="m")
    save_endpoint(endpoint=endpoint, key="sk-very-secret")
    editor = ensure_editor(slug="http", name="HTTP", module="openai_images", settings={"endpoint": "shop"})
    data = photographs(tmp_path / "in", ("relight",))
    job = generation.start_generation(dataset=data, editors=[editor], seeds=1, by=None)
    assert "sk-very-secret" in generation.KIND.environment(job)["EDITLOOP_ENDPOINTS"]
    planned(job)
    assert all(b"sk-very-secret" not in path.read_bytes() for path in job.folder.rglob("*") if path.is_file())
    classic = generation.start_generation(dataset=data, editors=classical("careful"), seeds=1, by=None)
    assert generation.KIND.environment(classic) == {}


# Refusals ------------------------------------------------------------------------------------------------------------


def test_no_editors(db: None, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="at least one editor"):
        generation.start_generation(dataset=make.dataset(tmp_path), editors=[], seeds=1, by=None)


def test_editors_without_a_program(db: None, tmp_path: Path) -> None:
    data = make.dataset(tmp_path, editors=2)
    editors = [*classical("careful"), *Editor.objects.filter(module="")]
    with pytest.raises(ValidationError, match="No program makes images for editor-0, editor-1"):
        generation.start_generation(dataset=data, editors=editors, seeds=1, by=None)
    assert not Job.objects.exists()


@pytest.mark.parametrize(("seeds", "tasks"), [(500_001, []), (0, []), (1, ["bokeh"])])
def test_too_many_images_or_none(db: None, tmp_path: Path, seeds: int, tasks: list[str]) -> None:
    data = make.dataset(tmp_path, cases=2, editors=0)
    with pytest.raises(ValidationError, match="Choose between 1 and"):
        generation.start_generation(dataset=data, editors=classical("careful"), seeds=seeds, tasks=tasks, by=None)
    assert not Job.objects.exists()


def test_the_page_starts_the_job(client: Client, bob: Any, tmp_path: Path) -> None:
    data, [editor] = make.dataset(tmp_path, cases=2, editors=1), classical("careful")
    client.force_login(bob)
    url = reverse("generate", args=[data.uid])
    html = client.get(url).content.decode()
    assert "careful" in html
    assert "editor-0" not in html
    bad = client.post(url, {"editors": [editor.pk], "seeds": 101})
    assert bad.status_code == 200
    assert not Job.objects.exists()
    response = client.post(url, {"editors": [editor.pk], "seeds": 3, "tasks": ["add"], "limit": ""})
    job = Job.objects.get()
    assert response["Location"] == job.get_absolute_url()
    grid = {"editors": ["careful"], "seeds": 3, "tasks": ["add"], "splits": [], "limit": 0}
    expected = {"dataset": str(data.uid), **grid, "sample": 0, "sample_seed": 0}
    assert job.config == expected
    assert (job.queue, job.created_by) == ("gpu", bob)
    assert client.get(job.get_absolute_url()).status_code == 200


def test_a_job_on_demo_data_says_so(client: Client, bob: Any, tmp_path: Path) -> None:
    data = make.dataset(tmp_path, cases=1, editors=0)
    job = generation.start_generation(dataset=data, editors=classical("careful"), seeds=1, by=None)
    client.force_login(bob)
    assert "demo-bar" not in client.get(job.get_absolute_url()).content.decode()
    Dataset.objects.update(notice="Demo data. Not real.")
    assert "Demo data. Not real." in client.get(job.get_absolute_url()).content.decode()


def test_the_sheet_leads_to_all_images_of_the_whole_job(
    library: None, client: Client, bob: Any, tmp_path: Path
) -> None:
    data = photographs(tmp_path / "photographs", ("bokeh", "relight"))
    job = run(generation.start_generation(dataset=data, editors=classical("careful"), seeds=1, by=None))
    client.force_login(bob)
    link = f"{reverse('dataset_candidates', args=[data.uid])}?job={job.uid}"
    for page in (job.get_absolute_url(), reverse("job_part", args=[job.uid])):
        assert link in client.get(page).content.decode()
    assert client.get(link).content.decode().count("<figure") == 2


def test_a_case_that_is_deleted_while_its_job_runs_costs_its_own_images_alone(library: None, tmp_path: Path) -> None:
    data = photographs(tmp_path / "in", ("relight",) * 3)
    job = generation.start_generation(dataset=data, editors=classical("careful"), seeds=2, by=None)
    claimed = services.claim(uid=str(job.uid), worker="w1")
    assert claimed is not None
    supervisor._prepare(claimed)  # the list of images is written
    data.cases.get(key="case-1").delete()
    supervisor.supervise(claimed)
    claimed.refresh_from_db()
    assert claimed.state == State.SUCCEEDED
    assert keys(data) == [
        ("case-0", "careful", 0),
        ("case-0", "careful", 1),
        ("case-2", "careful", 0),
        ("case-2", "careful", 1),
    ]


def test_a_failure_of_a_deleted_case_is_left_out_too(db: None, tmp_path: Path) -> None:
    data = make.dataset(tmp_path, cases=1, editors=0)
    (editor,) = classical("careful")
    job = generation.start_generation(dataset=data, editors=[editor], seeds=1, by=None)
    event = {"event": "item_failed", "key": f"{data.cases.get().pk}/{editor.pk}/0", "reason": "no mask"}
    generation._on_events(job, [{**event, "key": f"999999/{editor.pk}/0"}, {**event, "key": "1/999999/0"}])
    assert not job.unmade.exists()
    generation._on_events(job, [event])
    assert job.unmade.count() == 1


def test_a_job_whose_editor_is_gone_says_so(library: None, tmp_path: Path) -> None:
    """Without it, the rest of the grid would look like all of it."""
    data, editors = photographs(tmp_path / "in", ("relight",)), classical("careful", "timid")
    job = generation.start_generation(dataset=data, editors=editors, seeds=1, by=None)
    editors[1].delete()
    job = run(job)
    assert (job.state, job.message) == (State.FAILED, "The editor timid was deleted.")


def test_what_was_had_counts_the_jobs_own_cases_and_seeds_alone(library: None, tmp_path: Path) -> None:
    data, editors = photographs(tmp_path / "in", ("relight",) * 4), classical("careful")
    run(generation.start_generation(dataset=data, editors=editors, seeds=3, by=None))
    job = generation.start_generation(dataset=data, editors=editors, seeds=1, limit=2, by=None)
    had = grid._had(data, job.config, editors)
    first = data.cases.order_by("id")[:2]
    assert had == {f"{case.pk}/{editors[0].pk}/0" for case in first}
