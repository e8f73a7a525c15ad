"""Exports of a version: every byte and field comes back, in each layout; Hugging Face's own library loads one."""

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from django.core.files.storage import default_storage
from django.test import Client
from django.urls import reverse
from PIL import Image

from annotation import pictures
from annotation.curation.services import load_categories
from annotation.importing.images import verify
from annotation.library import load_tasks
from annotation.models import Candidate, Category, Dataset, DatasetVersion, Source, StoredImage
from annotation.versions import export, shards
from annotation.versions.rows import Options
from tests import make
from tests.conftest import png
from tests.freezing import exported, frozen, run_of
from webapp.accounts.models import User
from webapp.jobs.folder import JobError, JobStopped

NOTICE = "Demo data. Classical edits."
ALL = Options(usable=False)
LAYOUTS = ("folder", "parquet", "huggingface")
FOLDER = """
import json, sys
import datasets
found = datasets.load_dataset("imagefolder", data_dir=sys.argv[1])["train"]
def size(image): return None if image is None else [list(image.size), list(image.convert("RGB").getpixel((1, 2)))]
print(json.dumps([{**row, **{name: size(row[name]) for name in ("image", "source", "mask")}} for row in found]))
"""
LOAD = """
import io, json, sys
import datasets
found = datasets.load_dataset(sys.argv[1])
def size(image): return None if image is None else [list(image.size), list(image.convert("RGB").getpixel((1, 2)))]
def plain(row):
    row = {**row, "source": size(row["source"]), "mask": size(row["mask"])}
    return {**row, "candidates": [{**one, "image": size(one["image"])} for one in row["candidates"]]}
print(json.dumps({split: [plain(row) for row in rows] for split, rows in found.items()}))
"""


@pytest.fixture
def data(db: None, tmp_path: Path) -> Dataset:
    """Three splits, a mask, a case without candidates, an output set aside and one kept, a source that is shared."""
    load_tasks()  # a test with real transactions may have emptied all tables
    load_categories()
    made = make.dataset(tmp_path, cases=5, editors=2)
    made.notice, made.description = NOTICE, "About: it. | ---"
    made.save()
    cases = list(made.cases.order_by("key"))
    for case, split in zip(cases, ("train", "train", "test", "bench", "train"), strict=True):
        case.split = split
        case.instruction_zh, case.params = "编辑 🙂", {"b": [1, 2.5], "a": None}
        case.save()
    cases[1].mask = pictures.store(png(77), verify(png(77)))
    cases[1].attribution, cases[1].licence = 'Ann "A", B', "CC BY 4.0"
    cases[1].save()
    cases[2].source = cases[0].source
    cases[2].save()
    cases[4].candidates.all().delete()
    Source.objects.create(image=cases[0].source, category=Category.objects.get(slug="dog"))
    aside, kept = Candidate.objects.filter(case=cases[0]).order_by("pk")
    Candidate.objects.filter(pk=aside.pk).update(fault="noise", fault_note="0.9 of 1", noise_seed=2**40)
    Candidate.objects.filter(pk=kept.pk).update(fault="size", fault_kept=True, settings={"steps": 3}, seed=-5)
    return made


@pytest.fixture
def version(data: Dataset) -> DatasetVersion:
    return frozen(data)


def unpacked(path: Path, folder: Path) -> Path:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        archive.extractall(folder)
    return folder


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def expected_cases(data: Dataset) -> list[dict[str, Any]]:
    rows = data.cases.select_related("source__source_facts", "mask").order_by("key")
    names = ("key", "split", "instruction", "instruction_zh", "description", "requirement", "attribution", "licence")
    return [
        {
            **{name: getattr(row, name) for name in names},
            "task": row.task_id,
            "params": row.params,
            "category": "dog" if hasattr(row.source, "source_facts") else "",
            "source_sha256": row.source.sha256,
            "mask_sha256": row.mask.sha256 if row.mask else "",
        }
        for row in rows
    ]


def expected_candidates(data: Dataset, usable: bool) -> list[dict[str, Any]]:
    rows = Candidate.objects.filter(case__dataset=data).select_related("case", "editor", "image")
    chosen = [row for row in rows if not usable or not row.fault or row.fault_kept]
    return [
        {
            "case": row.case.key,
            "editor": row.editor.slug,
            "seed": row.seed,
            "noise_seed": row.noise_seed,
            "settings": row.settings,
            "settings_hash": row.settings_hash,
            "fault": row.fault,
            "fault_note": row.fault_note,
            "kept": row.fault_kept,
            "usable": not row.fault or bool(row.fault_kept),
            "sha256": row.image.sha256,
        }
        for row in sorted(chosen, key=lambda row: (row.case.key, row.editor.slug, row.seed))
    ]


def original(sha256: str) -> bytes:
    return StoredImage.objects.get(sha256=sha256).read_original()


# Layouts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("usable", [True, False])
def test_it_works_as_a_folder(data: Dataset, version: DatasetVersion, tmp_path: Path, usable: bool) -> None:
    folder = unpacked(exported(version, "folder", Options(usable=usable)), tmp_path / "out")
    cases = lines(folder / "cases.jsonl")
    for row in cases:
        assert (folder / row.pop("source_file_name")).read_bytes() == original(row["source_sha256"])
        mask = row.pop("mask_file_name")
        assert (folder / mask).read_bytes() == original(row["mask_sha256"]) if mask else not row["mask_sha256"]
    assert cases == expected_cases(data)
    candidates = lines(folder / "metadata.jsonl")
    by_key = {row["key"]: row for row in cases}
    for row in candidates:
        assert (folder / row["file_name"]).read_bytes() == original(row["sha256"])
        assert {name: row[name] for name in by_key[row["key"]]} == by_key[row["key"]]
    rows = [{"case": row["key"], **row} for row in candidates]
    wanted = expected_candidates(data, usable)
    assert [{name: row[name] for name in wanted[0]} for row in rows] == wanted
    assert len(wanted) == (7 if usable else 8)
    used = {path.name for path in (folder / "images").rglob("*.*")}
    named = {name for row in [*cases, *candidates] for name in (row["source_sha256"], row["mask_sha256"]) if name}
    assert {name.partition(".")[0] for name in used} == named | {row["sha256"] for row in candidates}


@pytest.mark.parametrize("usable", [True, False])
def test_it_works_as_parquet(data: Dataset, version: DatasetVersion, tmp_path: Path, usable: bool) -> None:
    folder = unpacked(exported(version, "parquet", Options(usable=usable)), tmp_path / "out")
    cases = pq.read_table(folder / "cases").to_pylist()
    for row in cases:
        assert row.pop("source")["bytes"] == original(row["source_sha256"])
        mask = row.pop("mask")
        assert mask["bytes"] == original(row["mask_sha256"]) if mask else not row["mask_sha256"]
        row["params"] = json.loads(row["params"])
    assert cases == expected_cases(data)
    candidates = pq.read_table(folder / "candidates").to_pylist()
    for row in candidates:
        image = row.pop("image")
        assert image["bytes"] == original(row["sha256"])
        assert image["path"] == f"{row['sha256']}.png"
        row["settings"] = json.loads(row["settings"])
    assert candidates == expected_candidates(data, usable)


def loaded(folder: Path, scratch: Path, program: str = LOAD) -> Any:
    """What Hugging Face's library reads, in a process of its own, off line."""
    pytest.importorskip("datasets", reason="the Hugging Face library is a development tool")
    own = {
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HOME": str(scratch),
        "HF_DATASETS_CACHE": str(scratch),
    }
    command = [sys.executable, "-c", program, str(folder)]
    done = subprocess.run(command, env={**os.environ, **own}, capture_output=True, text=True, cwd=scratch.parent)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def look_of(sha256: str) -> Any:
    with Image.open(io.BytesIO(original(sha256))) as image:
        return [list(image.size), list(image.convert("RGB").getpixel((1, 2)))]  # type: ignore[arg-type]


def test_load_dataset_loads_the_hugging_face_layout(data: Dataset, version: DatasetVersion, tmp_path: Path) -> None:
    folder = unpacked(exported(version, "huggingface", ALL), tmp_path / "out")
    found = loaded(folder, tmp_path / "hf")
    assert {split: len(rows) for split, rows in found.items()} == {"train": 3, "test": 1, "bench": 1}
    rows = sorted((row for rows in found.values() for row in rows), key=lambda row: row["key"])
    candidates = [{"case": row["key"], **one} for row in rows for one in row.pop("candidates")]
    for row in rows:
        assert row.pop("source") == look_of(row["source_sha256"])
        mask = row.pop("mask")
        assert mask == (look_of(row["mask_sha256"]) if row["mask_sha256"] else None)
        row["params"] = json.loads(row["params"])
    assert rows == expected_cases(data)
    for one in candidates:
        assert one.pop("image") == look_of(one["sha256"])
        one["settings"] = json.loads(one["settings"])
    assert candidates == expected_candidates(data, usable=False)
    assert [row["split"] for row in found["test"]] == ["test"]


def test_load_dataset_loads_the_folder_too(data: Dataset, version: DatasetVersion, tmp_path: Path) -> None:
    rows = loaded(unpacked(exported(version, "folder", ALL), tmp_path / "out"), tmp_path / "hf", FOLDER)
    assert [row["sha256"] for row in rows] == [row["sha256"] for row in expected_candidates(data, usable=False)]
    for row in rows:
        assert row["image"] == look_of(row["sha256"])
        assert row["source"] == look_of(row["source_sha256"])
        assert row["mask"] == (look_of(row["mask_sha256"]) if row["mask_sha256"] else None)


def test_copies_for_viewing_instead_of_originals(version: DatasetVersion, tmp_path: Path) -> None:
    folder = unpacked(exported(version, "folder", Options(views=True)), tmp_path / "out")
    for row in lines(folder / "metadata.jsonl"):
        stored = StoredImage.objects.get(sha256=row["sha256"])
        assert row["file_name"].endswith(f"{row['sha256']}.webp")
        assert (folder / row["file_name"]).read_bytes() == stored.read_view()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_export_is_the_same_bytes(version: DatasetVersion, layout: str) -> None:
    assert exported(version, layout).read_bytes() == exported(version, layout).read_bytes()


def test_an_export_is_of_the_version_not_of_today(data: Dataset, version: DatasetVersion) -> None:
    before = exported(version, "folder", ALL).read_bytes()
    Candidate.objects.filter(case__dataset=data).delete()
    data.cases.update(instruction="Another")
    data.name = "Another"
    data.save()
    version.refresh_from_db()
    assert exported(version, "folder", ALL).read_bytes() == before


def test_many_images_go_to_several_files(
    version: DatasetVersion, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "GROUP_BYTES", 1000)
    monkeypatch.setattr(shards, "SHARD_BYTES", 3000)
    folder = unpacked(exported(version, "parquet", ALL), tmp_path / "out")
    files = sorted((folder / "candidates").iterdir())
    assert [file.name for file in files] == [f"candidates-{number:05}.parquet" for number in range(len(files))]
    assert len(files) > 1
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    assert [row["sha256"] for row in rows] == [row["sha256"] for row in expected_candidates(data, usable=False)]


def test_a_data_set_without_candidates_has_empty_tables(db: None, tmp_path: Path) -> None:
    version = frozen(make.dataset(tmp_path, cases=1, editors=0))
    folder = unpacked(exported(version, "parquet"), tmp_path / "out")
    table = pq.read_table(folder / "candidates")
    assert table.num_rows == 0
    assert table.schema.field("image").type.field("bytes").type == pa.binary()
    assert pq.read_table(folder / "cases").num_rows == 1


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_export_says_what_it_is(version: DatasetVersion, tmp_path: Path, layout: str) -> None:
    """The notice, the content's hash, the editors, and front matter that the hub reads."""
    text = (unpacked(exported(version, layout), tmp_path / "out") / "README.md").read_text()
    _empty, front, body = text.split("---\n", 2)
    about = yaml.safe_load(front)
    assert about["pretty_name"] == f"{version.facts['name']}, version 1"
    assert about["task_categories"] == ["image-to-image"]
    assert ("configs" in about) == (layout == "huggingface")
    assert f"**{NOTICE}**" in body
    assert version.content_hash in body
    assert "editor\\-0" in body
    assert "set aside are left out" in body
    assert "Images are the originals" in body


# Refusals and crashes -----------------------------------------------------------------------------------------------


def failed(version: DatasetVersion) -> str:
    job = export.start_export(version=version, layout="folder", options=Options(), by=None)
    with pytest.raises(JobError) as error:
        assert export.KIND.work
        export.KIND.work(run_of(job), job)
    assert list((job.folder / "outputs").iterdir()) == [], "no half archive"
    return str(error.value)


def test_a_file_that_is_gone(data: Dataset, version: DatasetVersion) -> None:
    image = data.cases.order_by("key")[0].source
    default_storage.delete(image.original)
    assert f"The file {image.original} is gone from the storage." in failed(version)


def test_an_image_that_was_deleted(data: Dataset, version: DatasetVersion) -> None:
    row = Candidate.objects.filter(case__dataset=data, fault="")[0]
    row.delete()
    row.image.delete()
    assert f"such as {row.image.sha256[:12]}" in failed(version)


def test_a_version_that_was_deleted(data: Dataset, version: DatasetVersion) -> None:
    job = export.start_export(version=version, layout="folder", options=Options(), by=None)
    data.delete()
    with pytest.raises(JobError, match="The version was deleted with its data set"):
        assert export.KIND.work
        export.KIND.work(run_of(job), job)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_export_that_was_stopped_begins_anew(version: DatasetVersion, layout: str) -> None:
    job = export.start_export(version=version, layout=layout, options=Options(), by=None)
    run = run_of(job)
    run.stop()
    with pytest.raises(JobStopped):
        export.write_export(version, layout, Options(), run)
    assert list(run.outputs.iterdir()) == []
    (run.outputs / "half.zip.part").write_bytes(b"torn")
    (run.folder / "scratch" / "shard.parquet").write_bytes(b"torn")  # as a killed process leaves them
    run._owner.close()
    path = export.write_export(version, layout, Options(), run_of(job))
    assert path.read_bytes() == exported(version, layout).read_bytes()


# Pages --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def browser(bob: User) -> Client:
    client = Client()
    client.force_login(bob)
    return client


def test_an_export_by_the_page(version: DatasetVersion, browser: Client, bob: User) -> None:
    form = {"layout": "huggingface", "which": "usable", "images": "original"}
    answer = browser.post(reverse("version_export", args=[version.uid]), form)
    job = bob.jobs.get()
    assert answer["Location"] == job.get_absolute_url()
    assert job.config == {"version": str(version.uid), "layout": "huggingface", "usable": True, "views": False}
    assert export.KIND.work
    job.summary = export.KIND.work(run_of(job), job)
    job.save()
    page = browser.get(reverse("version", args=[version.uid])).content.decode()
    assert job.summary["file"] in page
    download: Any = browser.get(reverse("version_file", args=[job.uid]))
    path = export.file_of(job)
    assert path
    assert b"".join(download.streaming_content) == path.read_bytes()


@pytest.mark.parametrize("change", [{"layout": "tar"}, {"which": "some"}, {"images": ""}])
def test_an_unknown_choice_is_refused(
    version: DatasetVersion, browser: Client, bob: User, change: dict[str, str]
) -> None:
    form = {"layout": "folder", "which": "all", "images": "view", **change}
    answer = browser.post(reverse("version_export", args=[version.uid]), form, follow=True)
    assert "Choose a layout, candidates and images from the lists." in answer.content.decode()
    assert not bob.jobs.exists()


def test_nothing_to_download_before_the_job_is_done(version: DatasetVersion, browser: Client) -> None:
    job = export.start_export(version=version, layout="folder", options=Options(), by=None)
    assert browser.get(reverse("version_file", args=[job.uid])).status_code == 404


def test_the_version_page_costs_no_more_queries_with_more_exports(
    version: DatasetVersion, browser: Client, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    for _number in range(12):
        export.start_export(version=version, layout="folder", options=Options(), by=None)
    with django_assert_max_num_queries(10):
        browser.get(reverse("version", args=[version.uid]))
