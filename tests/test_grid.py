"""The grid of a generation job, cut into parts: together they make every image once, whatever the numbers."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from annotation.library import ensure_editor, settings_hash
from annotation.models import Candidate, Dataset, Editor
from tests import make
from training import generation, grid
from webapp.jobs.models import Job

Key = tuple[str, str, int]


@pytest.fixture
def data(db: None, tmp_path: Path) -> Dataset:
    return make.dataset(tmp_path, cases=10, editors=0)


def editors(count: int) -> list[Editor]:
    return [ensure_editor(slug=f"e{n}", name=f"E{n}", module="classical", settings={"n": n}) for n in range(count)]


def planned(job: Job) -> list[Key]:
    """What the program of one job, or of one part, is asked to make."""
    (job.folder / "inputs").mkdir(parents=True)
    generation.KIND.prepare(job)
    rows = [json.loads(line) for line in (job.folder / "inputs" / "items.jsonl").read_text().splitlines()]
    return [(row["case"]["key"], f"e{row['editor']['settings']['n']}", row["seed"]) for row in rows]


def whole(data: Dataset, editors: list[Editor], seeds: int) -> set[Key]:
    cases = list(data.cases.values_list("key", flat=True))
    return {(case, editor.slug, seed) for case in cases for editor in editors for seed in range(seeds)}


@pytest.mark.parametrize(("count", "seeds", "size"), [(3, 7, 10), (2, 50, 10), (5, 2, 3), (1, 65, 50), (4, 4, 500)])
def test_parts_make_every_image_once(
    data: Dataset, monkeypatch: pytest.MonkeyPatch, count: int, seeds: int, size: int
) -> None:
    monkeypatch.setattr(grid, "ALONE", 5)
    monkeypatch.setattr(grid, "LEAST", size)
    job = generation.start_generation(dataset=data, editors=editors(count), seeds=seeds, by=None)
    parts = list(job.parts.all())
    assert len(parts) >= count, "each part loads one editor"
    found = [key for part in parts for key in planned(part)]
    assert set(found) == whole(data, editors(count), seeds)
    assert len(found) == len(set(found)) == sum(part.total for part in parts)


def test_a_small_job_is_left_whole(data: Dataset) -> None:
    job = generation.start_generation(dataset=data, editors=editors(2), seeds=3, by=None)
    assert not job.parts.exists()
    assert set(planned(job)) == whole(data, editors(2), 3)


def sampled(data: Dataset, **options: Any) -> list[Key]:
    job = generation.start_generation(dataset=data, editors=editors(6), seeds=1, sample=2, by=None, **options)
    return [key for part in job.parts.all() or [job] for key in planned(part)]


@pytest.mark.parametrize("alone", [5, 500])
def test_a_sample_of_the_editors_is_drawn_for_each_case(
    data: Dataset, monkeypatch: pytest.MonkeyPatch, alone: int
) -> None:
    monkeypatch.setattr(grid, "ALONE", alone)
    monkeypatch.setattr(grid, "LEAST", 1)
    found = sampled(data)
    assert len(set(found)) == len(found) == 20
    assert set(Counter(case for case, _editor, _seed in found).values()) == {2}
    assert len({editor for _case, editor, _seed in found}) > 2, "not the same two for every case"
    job = Job.objects.filter(parent=None).get()
    assert job.config["sample"] == 2


def test_a_clone_draws_the_same_editors(data: Dataset, bob: Any) -> None:
    from webapp.jobs import services

    found = sampled(data)
    again = services.clone(job=Job.objects.get(), by=bob)
    assert planned(again) == found


def test_more_editors_than_there_are_cannot_be_drawn(data: Dataset) -> None:
    with pytest.raises(ValidationError, match="3 editors cannot be drawn from 2"):
        generation.start_generation(dataset=data, editors=editors(2), seeds=1, sample=3, by=None)


def test_parts_leave_out_what_is_there(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "ALONE", 5)
    monkeypatch.setattr(grid, "LEAST", 4)
    [editor] = editors(1)
    case = data.cases.order_by("id")[4]
    values = {"settings_hash": settings_hash(editor.settings), "image": case.source}
    Candidate.objects.create(case=case, editor=editor, seed=1, **values)
    job = generation.start_generation(dataset=data, editors=[editor], seeds=2, by=None)
    found = {key for part in job.parts.all() for key in planned(part)}
    assert found == whole(data, [editor], 2) - {(case.key, "e0", 1)}


def test_a_choice_of_splits(data: Dataset) -> None:
    chosen = data.cases.order_by("id")[3]
    data.cases.filter(pk=chosen.pk).update(split="test")
    job = generation.start_generation(dataset=data, editors=editors(1), seeds=1, splits=["test"], by=None)
    assert planned(job) == [(chosen.key, "e0", 0)]


def test_only_the_named_cases(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole, and cut into parts."""
    chosen = list(data.cases.order_by("pk").values_list("pk", "key"))[2:9:3]
    keys = [pk for pk, _key in chosen]
    job = generation.start_generation(dataset=data, editors=editors(2), seeds=2, only=keys, by=None)
    wanted = {(key, f"e{n}", seed) for _pk, key in chosen for n in (0, 1) for seed in (0, 1)}
    assert set(planned(job)) == wanted
    monkeypatch.setattr(grid, "ALONE", 5)
    monkeypatch.setattr(grid, "LEAST", 2)
    parts = generation.start_generation(dataset=data, editors=editors(2), seeds=2, only=keys, by=None).parts.all()
    found = [key for part in parts for key in planned(part)]
    assert len(parts) > 1 and set(found) == wanted and len(found) == len(wanted)
    with pytest.raises(ValidationError, match="would make 0 images"):
        generation.start_generation(dataset=data, editors=editors(1), seeds=1, only=[0], by=None)
