"""Versions: a data set frozen as it is, the same bytes for the same content, what changed since, and the card."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from annotation import markdown
from annotation.curation.services import load_categories
from annotation.library import dataset_hash, load_tasks
from annotation.models import Candidate, Category, Dataset, DatasetVersion, Source, Task
from annotation.versions import freeze, manifest
from annotation.versions.card import card, escaped, front_matter
from annotation.versions.manifest import difference
from tests import judging
from tests.freezing import frozen, run_of, work
from webapp.accounts.models import User
from webapp.jobs.folder import JobError, JobStopped
from webapp.jobs.models import Job

NOTICE = "Demo data. Classical edits of photographs."


@pytest.fixture
def data(db: None) -> Dataset:
    load_tasks()  # a test with real transactions may have emptied all tables
    load_categories()
    made = judging.dataset(cases=4, editors=2, seeds=2, notice=NOTICE)
    first = made.cases.order_by("pk")[0]
    Source.objects.create(image=first.source, category=Category.objects.get(slug="dog"))
    made.cases.filter(pk=first.pk).update(
        split="test", task="remove", licence="CC BY 4.0", attribution="Ann <b>Ä</b>", params={"b": 1, "a": [2.5]}
    )
    for number, candidate in enumerate(first.candidates.order_by("pk")[:3]):
        Candidate.objects.filter(pk=candidate.pk).update(fault="noise", fault_kept=[True, False, None][number])
    return made


def stored(version: DatasetVersion) -> bytes:
    with default_storage.open(version.manifest) as file:
        content: bytes = file.read()
    return content


def test_it_works(data: Dataset, alice: User) -> None:
    """Every row is in the manifest, and the version says what it holds."""
    version = frozen(data, alice, "First")
    assert (version.number, version.cases, version.candidates) == (1, 4, 16)
    assert version.content_hash == dataset_hash(data)
    assert (version.note, version.created_by) == ("First", alice)
    groups = list(manifest.read(version))
    assert [case["key"] for case, _rows in groups] == sorted(data.cases.values_list("key", flat=True))
    for case, rows in groups:
        row = data.cases.get(key=case["key"])
        assert case["source"] == row.source.sha256
        assert (case["task"], case["split"], case["instruction"]) == (row.task_id, row.split, row.instruction)
        assert (case["params"], case["attribution"]) == (row.params, row.attribution)
        found = {(c["editor"], c["seed"], c["image"], c["fault"], c["kept"]) for c in rows}
        expected = row.candidates.values_list("editor__slug", "seed", "image__sha256", "fault", "fault_kept")
        assert found == set(expected)
    assert groups[0][0]["category"] == "dog"
    assert groups[1][0]["category"] is None


def test_the_same_content_is_the_same_bytes(data: Dataset, tmp_path: Path) -> None:
    """Also for another data set with equal rows that were made in another order, at another time."""
    paths = [tmp_path / "one", tmp_path / "two"]
    for path in paths:
        manifest.write(path, list(freeze.content(data)), lambda group: None)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].read_bytes() == stored(frozen(data))
    last = json.loads(gzip.decompress(paths[0].read_bytes()).splitlines()[-1])
    assert last == {"end": {"content_hash": dataset_hash(data), "cases": 4, "candidates": 16}}


def test_the_same_content_makes_no_second_version(data: Dataset) -> None:
    first, again = frozen(data), frozen(data)
    assert first == again
    assert data.versions.count() == 1
    job = freeze.start_freeze(dataset=data, by=None)
    summary = work(freeze.KIND, job)
    assert summary == {"version": str(first.uid), "number": 1, "new": False}
    assert "No new version: the content is that of version 1" in [label for label, _url in freeze.KIND.links(job)]


def test_a_change_makes_the_next_version_and_says_what_changed(data: Dataset) -> None:
    frozen(data)
    cases = list(data.cases.order_by("key"))
    Candidate.objects.filter(case=cases[0]).order_by("pk")[0].delete()
    data.cases.filter(pk=cases[1].pk).update(instruction="Another")
    cases[2].delete()
    judging.dataset(cases=1, editors=3).cases.update(dataset=data, key="new")
    version = frozen(data)
    assert version.number == 2
    assert version.facts["changes"] == {
        "since": 1,
        "cases": {"added": 1, "removed": 1, "changed": 1},
        "candidates": {"added": 3, "removed": 5, "changed": 0},
    }
    assert "cases: 1 added, 1 removed, 1 changed" in card(version)


def test_going_back_to_earlier_content_finds_the_earlier_version(data: Dataset) -> None:
    first = frozen(data)
    data.cases.filter(split="test").update(split="dev")
    second = frozen(data)
    data.cases.filter(split="dev").update(split="test")
    assert [first.number, second.number, frozen(data).number] == [1, 2, 1]


groups = st.dictionaries(
    st.text(min_size=1, max_size=3),
    st.tuples(st.integers(0, 2), st.dictionaries(st.integers(0, 3), st.integers(0, 2), max_size=3)),
    max_size=6,
)


def as_groups(rows: dict[str, tuple[int, dict[int, int]]]) -> list[Any]:
    return [
        (
            {"key": key, "value": value},
            [{"editor": "e", "seed": seed, "settings_hash": "", "image": image} for seed, image in made.items()],
        )
        for key, (value, made) in sorted(rows.items())
    ]


@given(groups, groups)
def test_the_difference_counts_as_sets_do(before: dict[str, Any], after: dict[str, Any]) -> None:
    found = difference(as_groups(before), as_groups(after))
    edits = [
        {(key, seed): image for key, row in rows.items() for seed, image in row[1].items()} for rows in (before, after)
    ]
    for name, (old, new) in (
        ("cases", ({key: row[0] for key, row in before.items()}, {key: row[0] for key, row in after.items()})),
        ("candidates", (edits[0], edits[1])),
    ):
        assert found[name]["added"] == len(new.keys() - old.keys())
        assert found[name]["removed"] == len(old.keys() - new.keys())
        assert found[name]["changed"] == sum(old[key] != new[key] for key in old.keys() & new.keys())


# Refusals -----------------------------------------------------------------------------------------------------------


def refused(data: Dataset) -> str:
    job = freeze.start_freeze(dataset=data, by=None)
    with pytest.raises(JobError) as error:
        work(freeze.KIND, job)
    return str(error.value)


def test_an_empty_data_set_is_not_frozen(db: None) -> None:
    data = Dataset.objects.create(slug="empty", name="Empty")
    assert refused(data) == "The data set has no cases yet. Import some before you freeze a version."
    assert not data.versions.exists()


def test_a_data_set_that_was_deleted_meanwhile(data: Dataset) -> None:
    job = freeze.start_freeze(dataset=data, by=None)
    data.delete()
    with pytest.raises(JobError, match=r"The data set was deleted\."):
        work(freeze.KIND, job)


def test_a_stopped_freeze_leaves_nothing_and_can_begin_anew(data: Dataset) -> None:
    job = freeze.start_freeze(dataset=data, by=None)
    run = run_of(job)
    run.stop()
    with pytest.raises(JobStopped):
        freeze.freeze(dataset=data, run=run, by=None, note="")
    assert not data.versions.exists()
    assert frozen(data).number == 1


@pytest.mark.parametrize("harm", ["gone", "cut", "garbage"])
def test_a_manifest_that_cannot_be_read(data: Dataset, harm: str) -> None:
    version = frozen(data)
    path = Path(default_storage.path(version.manifest))
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-40] if harm == "cut" else b"not a manifest")
    with pytest.raises(JobError, match="Restore the folder versions/ from a backup"):
        list(manifest.read(version))


def test_a_manifest_without_its_end_is_not_whole(data: Dataset) -> None:
    version = frozen(data)
    path = Path(default_storage.path(version.manifest))
    whole = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    path.write_bytes(gzip.compress(b"".join(whole[:-1])))
    with pytest.raises(JobError, match="is damaged"):
        list(manifest.read(version))


def test_the_database_refuses_a_second_version_of_a_content_or_number(data: Dataset) -> None:
    version = frozen(data)
    values = {"dataset": data, "manifest": "m", "cases": 1, "candidates": 1}
    for double in ({"number": 2, "content_hash": version.content_hash}, {"number": 1, "content_hash": "f"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            DatasetVersion.objects.create(**values, **double)


# The card -----------------------------------------------------------------------------------------------------------


def test_the_card_says_what_it_is(data: Dataset) -> None:
    text = card(frozen(data, note="For *training*"))
    assert text.startswith("**Demo data. Classical edits of photographs.**")
    assert "4 cases over 4 source images, with 16 candidates" in text
    assert dataset_hash(data) in text
    assert "For \\*training\\*" in text
    assert f"| {escaped(Task.objects.get(pk='remove').name)} | 0 | 1 | 1 |" in text
    assert "| CC BY 4.0 | 1 |" in text
    assert "| not stated | 3 |" in text
    assert "3 of 4 cases have no category." in text
    assert "2 candidates are set aside by the output checks; nobody has looked at 1 of them." in text
    assert "3 cases name no licence." in text


def test_the_card_never_changes(data: Dataset) -> None:
    version = frozen(data)
    before = card(version)
    data.name, data.notice = "Another name", "Another notice"
    data.save()
    data.cases.all()[0].delete()
    version.refresh_from_db()
    assert card(version) == before


@given(st.text(max_size=30))
def test_what_people_write_stays_text(text: str) -> None:
    html = markdown.render(f"x {escaped(text)} y")
    assert "<a" not in html
    assert "<h" not in html
    assert "<em" not in html
    assert html.count("<p>") == 1


@pytest.mark.parametrize(
    ("licences", "word"),
    [
        ({"": 3}, "unknown"),
        ({"CC BY 4.0": 3}, "cc-by-4.0"),
        ({"CC-BY 4.0": 1, "cc by 4.0": 2}, "cc-by-4.0"),
        ({"CC BY 4.0": 1, "": 2}, "other"),
        ({"CC BY 4.0": 1, "CC0": 2}, "other"),
        ({"My own": 1}, "other"),
    ],
)
def test_the_licence_for_the_hub(data: Dataset, licences: dict[str, int], word: str) -> None:
    version = frozen(data)
    version.facts["licences"] = licences
    assert f"license: {word}\n" in front_matter(version, [])


# Pages --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def browser(bob: User) -> Client:
    client = Client()
    client.force_login(bob)
    return client


def test_the_pages(data: Dataset, browser: Client) -> None:
    version = frozen(data)
    listing = browser.get(reverse("versions", args=[data.uid])).content.decode()
    assert version.content_hash[:16] in listing
    page = browser.get(reverse("version", args=[version.uid])).content.decode()
    assert version.content_hash in page
    assert "Demo data." in page
    assert Job.objects.get(kind="freeze").get_absolute_url() in page
    assert "<b>Ä</b>" not in page
    answer: Any = browser.get(reverse("version_manifest", args=[version.uid]))
    assert b"".join(answer.streaming_content) == stored(version)


def test_freezing_by_the_page_starts_a_job(data: Dataset, browser: Client, bob: User) -> None:
    answer = browser.post(reverse("freeze", args=[data.uid]), {"note": "For a test"})
    job = bob.jobs.get()
    assert answer["Location"] == job.get_absolute_url()
    assert (job.kind, job.queue, job.config["note"]) == ("freeze", "default", "For a test")
    assert job.title in browser.get(reverse("versions", args=[data.uid])).content.decode()


def test_a_note_that_is_too_long_is_refused(data: Dataset, browser: Client, bob: User) -> None:
    answer = browser.post(reverse("freeze", args=[data.uid]), {"note": "x" * 501}, follow=True)
    assert "The note is longer than 500 characters. Shorten it." in answer.content.decode()
    assert not bob.jobs.exists()


def test_a_manifest_that_is_gone_is_not_found(data: Dataset, browser: Client) -> None:
    version = frozen(data)
    default_storage.delete(version.manifest)
    assert browser.get(reverse("version_manifest", args=[version.uid])).status_code == 404


def test_the_list_of_versions_costs_no_more_queries_when_it_is_longer(
    data: Dataset, browser: Client, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    for number in range(12):
        values = {"content_hash": f"{number}", "manifest": "m", "cases": 1, "candidates": 1}
        DatasetVersion.objects.create(dataset=data, number=number + 1, **values)
    with django_assert_max_num_queries(8):
        browser.get(reverse("versions", args=[data.uid]))
