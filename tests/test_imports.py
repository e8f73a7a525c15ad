"""Importing into the database: all or nothing, with words; resumable; by command and by page."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from annotation import imports
from annotation.imports import Progress, import_path
from annotation.models import Candidate, Case, Dataset, Editor, StoredImage
from tests import make
from webapp.jobs.folder import JobError, JobRun, JobStopped, write_json
from webapp.jobs.models import Job


def fresh(name: str = "new") -> Dataset:
    return Dataset(slug=name, name=name)


def test_it_works(db: None, tmp_path: Path) -> None:
    data = fresh()
    counts = import_path(
        path=make.import_folder(tmp_path / "in", cases=3, editors=2), dataset=data, progress=make.QUIET
    )
    assert counts == {"cases": 3, "candidates": 6, "images": 9}
    case = Case.objects.get(key="case-1")
    assert case.source.read_original() == (tmp_path / "in" / "s1.png").read_bytes()
    assert case.source.read_view()[:4] == b"RIFF"
    assert set(Candidate.objects.values_list("editor__slug", flat=True)) == {"editor-0", "editor-1"}


def test_the_same_picture_is_kept_once(db: None, tmp_path: Path) -> None:
    folder = make.import_folder(tmp_path / "in", cases=2, editors=0)
    (folder / "s1.png").write_bytes((folder / "s0.png").read_bytes())
    import_path(path=folder, dataset=fresh(), progress=make.QUIET)
    assert StoredImage.objects.count() == 1
    assert Case.objects.count() == 2


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: (f / "s1.png").write_bytes(b"not a picture"), "s1.png"),
        (lambda f: (f / "s1.png").unlink(), "line 2"),
        (lambda f: (f / "c0-0.png").write_bytes((f / "c0-0.png").read_bytes()[:60]), "c0-0.png"),
        (lambda f: (f / "cases.jsonl").write_text('{"key": 1'), "line 1"),
        (lambda f: (f / "cases.jsonl").write_text((f / "cases.jsonl").read_text().replace('"add"', '"fly"')), "fly"),
        (lambda f: (f / "s1.png").rename(f / "x.png") and (f / "s1.png").symlink_to(f / "x.png"), "s1.png"),
    ],
)
def test_one_fault_and_nothing_is_imported(db: None, tmp_path: Path, spoil: Any, words: str) -> None:
    folder = make.import_folder(tmp_path / "in", cases=2, editors=1)
    spoil(folder)
    with pytest.raises(JobError) as refusal:
        import_path(path=folder, dataset=fresh(), progress=make.QUIET)
    assert "Nothing was imported" in str(refusal.value)
    assert words in str(refusal.value)
    assert not Dataset.objects.exists()
    assert not Case.objects.exists()
    assert not Candidate.objects.exists()


def test_keys_that_are_there_are_refused_by_line(db: None, tmp_path: Path) -> None:
    data = make.dataset(tmp_path, cases=2)
    folder = make.import_folder(tmp_path / "again", cases=2, first=1)
    with pytest.raises(JobError, match="line 1"):
        import_path(path=folder, dataset=data, progress=make.QUIET)
    assert data.cases.count() == 2


def test_candidates_made_elsewhere_join_cases_that_are_there(db: None, tmp_path: Path) -> None:
    data = make.dataset(tmp_path, cases=2, editors=0)
    folder = make.import_folder(tmp_path / "more", cases=2, editors=2)
    (folder / "cases.jsonl").unlink()
    counts = import_path(path=folder, dataset=data, progress=make.QUIET)
    assert counts["candidates"] == Candidate.objects.filter(case__dataset=data).count() == 4
    assert Editor.objects.get(slug="editor-0").module == ""
    with pytest.raises(JobError, match="already"):
        import_path(path=folder, dataset=data, progress=make.QUIET)
    assert Candidate.objects.count() == 4


def test_stopped_and_resumed_keeps_no_image_twice(db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "BATCH", 2)
    folder, journal = make.import_folder(tmp_path / "in", cases=4, editors=1), tmp_path / "journal"
    seen: list[int] = []

    def stop() -> None:
        if seen[-1] >= 4:
            raise JobStopped

    with pytest.raises(JobStopped):
        import_path(
            path=folder,
            dataset=fresh(),
            progress=Progress(lambda done, total, message: seen.append(done), stop, journal),
        )
    assert not Case.objects.exists()
    assert len(journal.read_text().splitlines()) == 4
    with journal.open("a") as file:
        file.write('{"name": "torn')  # a crash in the middle of a line
    read: list[str] = []
    check_file = imports.check_file
    monkeypatch.setattr(imports, "check_file", lambda p, s, name: (read.append(name), check_file(p, s, name))[1])
    counts = import_path(path=folder, dataset=fresh(), progress=Progress(lambda *_: None, journal=journal))
    assert counts == {"cases": 4, "candidates": 4, "images": 8}
    assert len(read) == 4


def test_command_says_what_it_did_and_what_is_wrong(db: None, tmp_path: Path) -> None:
    out = io.StringIO()
    folder = make.import_folder(tmp_path / "my-photos", cases=2, editors=1)
    call_command("import_dataset", str(folder), stdout=out, stderr=io.StringIO())
    assert out.getvalue().strip() == "my-photos: 2 cases, 2 candidates, 4 images."
    with pytest.raises(CommandError, match="already in the data set"):
        call_command("import_dataset", str(folder), stdout=out, stderr=io.StringIO())
    with pytest.raises(CommandError):
        call_command("import_dataset", str(tmp_path / "nowhere"), stdout=out, stderr=io.StringIO())
    assert not Dataset.objects.filter(slug="nowhere").exists()


def zipped(folder: Path) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    return out.getvalue()


def test_page_starts_a_job_that_imports(client: Client, bob: Any, tmp_path: Path) -> None:
    client.force_login(bob)
    upload = SimpleUploadedFile("in.zip", zipped(make.import_folder(tmp_path / "in", cases=2, editors=1)))
    response = client.post(reverse("new_import"), {"name": "From the page", "archive": upload})
    job = Job.objects.get()
    assert response["Location"] == job.get_absolute_url()
    job.folder.mkdir(parents=True)
    write_json(job.folder / "job.json", {"kind": job.kind, "config": job.config})
    assert imports.KIND.work is not None
    summary = imports.KIND.work(JobRun(job.folder), job)
    data = Dataset.objects.get(name="From the page")
    assert data.created_by == bob
    assert summary["cases"] == data.cases.count() == 2
    upload_path = Path(job.config["path"])
    assert upload_path.exists()
    imports.KIND.on_result(job, summary)
    assert not upload_path.exists()


def test_form_refuses_a_name_that_is_taken(client: Client, bob: Any, tmp_path: Path) -> None:
    data = make.dataset(tmp_path)
    client.force_login(bob)
    upload = SimpleUploadedFile("in.zip", b"")
    html = client.post(reverse("new_import"), {"name": data.name, "archive": upload}).content.decode()
    assert "There is a data set of this name already" in html
    assert not Job.objects.exists()


def test_ten_thousand_rows_are_inserted_with_few_queries(
    db: None, tmp_path: Path, django_assert_max_num_queries: Any
) -> None:
    folder = make.import_folder(tmp_path / "in", cases=1, editors=0)
    rows = [{"key": f"k{i}", "source": "s0.png", "instruction": "x", "task": "add"} for i in range(10_000)]
    (folder / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with django_assert_max_num_queries(200):
        import_path(path=folder, dataset=fresh(), progress=make.QUIET)
    assert Case.objects.count() == 10_000
