"""What the output checks set aside: found by a job, counted per editor, kept out of studies until a person decides."""

import io
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client
from django.urls import reverse
from PIL import Image

from annotation import faults, imports
from annotation.library import load_tasks
from annotation.models import Candidate, Dataset, Item, Unmade
from annotation.protocols import PRESETS
from annotation.studies import create_study
from tests import make
from tests.conftest import png
from webapp.jobs.folder import JobError, JobRun, write_json
from webapp.jobs.models import Job


@pytest.fixture
def data(db: None, tmp_path: Path) -> Dataset:
    """Two cases with a candidate of each of three editors; the first editor's are black."""
    load_tasks()
    folder = make.import_folder(tmp_path / "in")
    for case in range(2):
        out = io.BytesIO()
        Image.new("RGB", Image.open(io.BytesIO(png(case))).size).save(out, "PNG")
        (folder / f"c{case}-0.png").write_bytes(out.getvalue())
    made = Dataset(slug="made", name="Made")
    imports.import_path(path=folder, dataset=made, progress=make.QUIET)
    return made


def run(job: Job) -> dict[str, Any]:
    """The job's work, in this process: the test's rows are seen nowhere else."""
    job.folder.mkdir(parents=True)
    write_json(job.folder / "job.json", {"kind": job.kind, "config": job.config})
    assert faults.KIND.work is not None
    return faults.KIND.work(JobRun(job.folder), job)


def fault(data: Dataset, editor: str = "editor-0", fault: str = "black") -> Candidate:
    candidate = Candidate.objects.filter(case__dataset=data, editor__slug=editor).order_by("id")[0]
    Candidate.objects.filter(pk=candidate.pk).update(fault=fault, fault_note="mean brightness 0.000")
    candidate.refresh_from_db()
    return candidate


def test_the_job_sets_faulty_candidates_aside(data: Dataset) -> None:
    assert run(faults.start_checks(dataset=data, by=None)) == {"candidates": 6, "set_aside": 2, "unreadable": 0}
    found = faults.found_in(data)
    assert {(c.editor.slug, c.fault, c.fault_kept) for c in found} == {("editor-0", "black", None)}
    assert Candidate.objects.usable().count() == 4
    assert Candidate.objects.set_aside().count() == 2


def test_a_file_that_is_missing_or_damaged_does_not_stop_the_others(data: Dataset) -> None:
    rows = Candidate.objects.filter(case__dataset=data, fault="").select_related("image").order_by("id")
    first, second = rows[0].image, rows[1].image
    default_storage.delete(first.original)
    default_storage.delete(second.original)
    default_storage.save(second.original, ContentFile(b"half"))
    Candidate.objects.update(fault="")
    found = run(faults.start_checks(dataset=data, by=None))
    assert found["candidates"] == 6
    assert found["unreadable"] == Candidate.objects.filter(image__in=[first, second]).count() > 0


def test_checking_again_keeps_decisions_on_the_same_fault(data: Dataset, alice: Any) -> None:
    kept, wrong = fault(data), fault(data, "editor-1", "noise")
    faults.decide(candidate=kept, decision="keep", by=alice)
    faults.decide(candidate=wrong, decision="drop", by=alice)
    run(faults.start_checks(dataset=data, by=None))
    kept.refresh_from_db()
    wrong.refresh_from_db()
    assert (kept.fault, kept.fault_kept) == ("black", True)
    assert (wrong.fault, wrong.fault_kept, wrong.fault_decided_by) == ("", None, None)


def test_an_import_is_checked_afterwards(db: None, data: Dataset, tmp_path: Path) -> None:
    upload = tmp_path / "upload.zip"
    upload.write_bytes(b"")
    job = Job(kind="import", config={"slug": data.slug, "path": str(upload)})
    imports.KIND.on_result(job, {"candidates": 6})
    assert Job.objects.get().kind == "check"
    imports.KIND.on_result(job, {"candidates": 0})
    assert Job.objects.count() == 1


def test_a_study_leaves_out_what_is_set_aside(data: Dataset, alice: Any) -> None:
    candidate = fault(data)
    assert sizes(data) == [2, 3]
    faults.decide(candidate=candidate, decision="drop", by=alice)
    assert sizes(data) == [2, 3]
    faults.decide(candidate=candidate, decision="keep", by=alice)
    assert sizes(data) == [3, 3]


def sizes(data: Dataset, **options: Any) -> list[int]:
    """How many candidates a new ranking study shows of each case."""
    protocol = PRESETS["group-rank"]
    study = create_study(name="s", dataset=data, preset="group-rank", protocol=protocol, by=None, **options)
    return sorted(item.candidates.count() for item in study.items.all())


def test_a_sample_of_every_group(data: Dataset) -> None:
    assert sizes(data, sample=2, seed=1) == [2, 2]
    assert sizes(data, sample=5) == [3, 3]
    chosen = set()
    for seed in range(8):
        sizes(data, sample=2, seed=seed)
        first = Item.objects.filter(study__seed=seed).order_by("case_id").first()
        assert first is not None
        chosen.add(tuple(sorted(first.candidates.values_list("editor__slug", flat=True))))
    assert len(chosen) > 1, "another seed draws others"


def test_counts_per_editor(data: Dataset, alice: Any) -> None:
    faults.decide(candidate=fault(data), decision="keep", by=alice)
    fault(data, "editor-1", "noise")
    case, editor = data.cases.all()[0], Candidate.objects.filter(editor__slug="editor-2")[0].editor
    Unmade.objects.create(case=case, editor=editor, seed=9, settings_hash="x", reason="failed", note="No memory.")
    rows = {row["editor"].slug: row for row in faults.by_editor(data)}
    assert {slug: (sum(row["numbers"]), row["kept"], row["unmade"], row["made"]) for slug, row in rows.items()} == {
        "editor-0": (1, 1, 0, 2),
        "editor-1": (1, 0, 0, 2),
        "editor-2": (0, 0, 1, 2),
    }


@pytest.mark.parametrize("decision", ["", "maybe"])
def test_an_unknown_decision(data: Dataset, alice: Any, decision: str) -> None:
    with pytest.raises(ValidationError, match="Choose to keep"):
        faults.decide(candidate=fault(data), decision=decision, by=alice)


def test_an_image_without_a_fault_has_nothing_to_decide(data: Dataset, alice: Any) -> None:
    candidate = Candidate.objects.all()[0]
    with pytest.raises(ValidationError, match="nothing wrong"):
        faults.decide(candidate=candidate, decision="keep", by=alice)


def test_a_data_set_that_is_gone(data: Dataset) -> None:
    job = faults.start_checks(dataset=data, by=None)
    data.delete()
    with pytest.raises(JobError, match=r"The data set was deleted\."):
        run(job)


def test_the_page(data: Dataset, client: Client, bob: Any) -> None:
    candidate = fault(data)
    fault(data, "editor-1", "noise")
    client.force_login(bob)
    url = reverse("faults", args=[data.uid])
    assert client.get(url).content.decode().count('id="fault-') == 2
    for query, count in (("fault=noise", 1), ("editor=editor-0", 1), ("state=kept", 0), ("state=open", 2), ("x=1", 2)):
        assert client.get(f"{url}?{query}").content.decode().count('id="fault-') == count, query
    answer = client.post(reverse("fault", args=[candidate.uid]), {"decision": "keep"}, headers={"HX-Request": "true"})
    assert "kept" in answer.content.decode()
    assert Candidate.objects.get(pk=candidate.pk).fault_decided_by == bob
    plain = client.post(reverse("fault", args=[candidate.uid]), {"decision": "undo"})
    assert plain["Location"] == url
    assert client.get(f"{url}?state=kept").content.decode().count('id="fault-') == 0


def test_the_page_costs_the_same_for_many(
    data: Dataset, client: Client, bob: Any, django_assert_max_num_queries: Any
) -> None:
    Candidate.objects.update(fault="noise")
    client.force_login(bob)
    with django_assert_max_num_queries(15):
        client.get(reverse("faults", args=[data.uid]))
