"""Pages of training sets: the list, a preview, a set with its pairs, the download, other names, deletion, placing."""

import json
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.models import Candidate, StoredImage
from tests import judging
from tests.conftest import png
from tests.training_sets import make
from training.models import LabelledSet, RewardModel
from training.rewards.groups import parse_groups, read_groups, read_header
from training.sets import placing, queries, services
from webapp.jobs.folder import JobError

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(bob: Any) -> LabelledSet:
    """Eight groups of three, ranked, and rated so that one pair is contradicted."""
    data = judging.dataset(8, 3, notice="Demo data.")
    pks = list(Candidate.objects.filter(case__dataset=data).order_by("pk").values_list("pk", flat=True))
    worth = {pk: place % 3 + 2 for place, pk in enumerate(pks)} | {pks[0]: 3, pks[1]: 2}
    rank = make.judged(make.study(data), make.people(3), lambda who, pk, key: pk)
    rate = make.judged(make.study(data, "mos"), make.people(3), lambda who, pk, key: worth[pk] + 0.1 * who)
    return make.labelled([rank, rate], "Mine", by=bob)


@pytest.fixture
def browser(bob: Any) -> Client:
    client = Client()
    client.force_login(bob)
    return client


def test_the_page_of_a_set_says_what_is_in_it(made: LabelledSet, browser: Client) -> None:
    page = browser.get(made.get_absolute_url()).content.decode()
    assert "Demo data." in page and made.content_hash in page
    for words in ("Visual quality", "Rejected pairs", "editor-1", "Krippendorff", "Splits"):
        assert words in page
    for study in made.studies.all():
        assert study.get_absolute_url() in page
    assert made.job is not None and made.job.get_absolute_url() in page


def test_pairs_are_shown_large_gaps_first_with_both_pictures(made: LabelledSet, browser: Client) -> None:
    url = reverse("labelled_set_pairs", args=[made.slug])
    first = queries.pairs_page(made, "quality", 0)
    gaps = [pair.gap or 0 for pair in first.rows]
    assert gaps == sorted(gaps, reverse=True) and gaps[0] == 100
    assert len(first.rows) == queries.PAIRS and first.next == queries.PAIRS and first.previous is None
    row = first.rows[0]
    better, worse = (Candidate.objects.get(uid=side.candidate) for side in row.sides)
    assert better.pk > worse.pk and row.sides[0].image == better.image and row.source == better.case.source
    page = browser.get(url).content.decode()
    for image in (row.source, better.image, worse.image):
        assert image is not None and reverse("image", args=[image.uid]) in page
    last = queries.pairs_page(made, "quality", 12)
    assert last.next is None and last.previous == 0
    assert len(last.rows) == 23 - 12  # of 24 pairs one is rejected
    assert browser.get(url, {"after": "12", "show": "quality"}).status_code == 200


def test_rejected_pairs_are_listed_for_review(made: LabelledSet, browser: Client) -> None:
    found = queries.pairs_page(made, queries.REJECTED, 0)
    assert {row.row["dimension"] for row in found.rows} == {"quality", "alignment", "preservation"}
    (quality,) = [row for row in found.rows if row.row["dimension"] == "quality"]
    (a, b) = quality.sides
    assert (a.rank - b.rank) * (a.mos - b.mos) > 0  # the worse rank has the better score
    page = browser.get(reverse("labelled_set_pairs", args=[made.slug]), {"show": "rejected"}).content.decode()
    assert "mean rank" in page and reverse("candidate", args=[a.candidate]) in page


@pytest.mark.parametrize("show", ["beauty", "../etc"])
def test_pairs_of_no_dimension_are_not_there(made: LabelledSet, browser: Client, show: str) -> None:
    assert browser.get(reverse("labelled_set_pairs", args=[made.slug]), {"show": show}).status_code == 404


def test_pictures_that_are_gone_are_said_to_be(made: LabelledSet, browser: Client) -> None:
    path = f"labelled-sets/{made.uid}/pairs-0.jsonl"
    rows = [json.loads(line) for line in default_storage.open(path)]
    rows[0]["sides"][0] |= {"image": "f" * 64, "key": "00000000-0000-0000-0000-000000000000"}
    default_storage.delete(path)
    default_storage.save(path, ContentFile(b"".join(json.dumps(row).encode() + b"\n" for row in rows)))
    page = browser.get(reverse("labelled_set_pairs", args=[made.slug])).content.decode()
    assert page.count("no longer here") == 1


def test_the_download_has_the_card_and_the_manifest(made: LabelledSet, browser: Client) -> None:
    response = browser.get(reverse("labelled_set_file", args=[made.slug]))
    data = b"".join(response.streaming_content)  # type: ignore[attr-defined]
    again = browser.get(reverse("labelled_set_file", args=[made.slug]))
    assert b"".join(again.streaming_content) == data  # type: ignore[attr-defined]
    with zipfile.ZipFile(BytesIO(data)) as archive:
        readme = archive.read("README.md").decode()
        with archive.open("set.jsonl.gz") as file:
            rows = [group for _header, group in parse_groups(file, "set.jsonl.gz")]
    assert "**Demo data.**" in readme and made.content_hash in readme
    assert len(rows) == 1 + 8
    default_storage.delete(made.manifest)
    assert browser.get(reverse("labelled_set_file", args=[made.slug])).status_code == 404


# New -----------------------------------------------------------------------------------------------------------------


def test_a_preview_counts_and_makes_nothing(made: LabelledSet, browser: Client) -> None:
    studies = [study.pk for study in made.studies.all()]
    values = {"name": "Next", "studies": studies, "method": "mean", "both_bad": "tie", "seed": 0, "contested": "on"}
    response = browser.get(reverse("new_labelled_set"), values)
    preview = response.context["preview"]
    assert (preview["groups"], preview["candidates"], preview["rejected"]) == (8, 24, 3)
    assert preview["pairs"] == 3 * 23 and preview["ties"] == 0
    assert LabelledSet.objects.count() == 1
    response = browser.post(reverse("new_labelled_set"), {**values, "dimensions": ["quality"]})
    new = LabelledSet.objects.get(name="Next")
    assert response.headers["Location"] == new.get_absolute_url()
    assert [one["key"] for one in make.done(new).dimensions] == ["quality"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"studies": []}, "This field is required"),
        ({"method": "zscore"}, "Z-scores lie between 0 and 100"),
        ({"method": "magic"}, "magic is not one of"),
        ({"name": "Mine"}, "There is a training set of this name already"),
        ({"name": "new"}, "A page has this name"),
    ],
)
def test_the_form_refuses_in_words(made: LabelledSet, browser: Client, change: dict[str, Any], words: str) -> None:
    studies = [study.pk for study in made.studies.all()]
    values = {"name": "Next", "studies": studies, "method": "mean", "both_bad": "tie", "seed": 0, **change}
    for send in (browser.get, browser.post):
        assert words in send(reverse("new_labelled_set"), values).content.decode()
    assert LabelledSet.objects.count() == 1


def test_an_unbalanced_set_says_so(browser: Client) -> None:
    study = make.judged(make.study(judging.dataset(1, 2)), make.people(1), lambda who, pk, key: pk)
    found = make.labelled([study], "Small")
    assert "Nothing is in these splits: dev, test" in browser.get(found.get_absolute_url()).content.decode()


# Names and deletion --------------------------------------------------------------------------------------------------


def test_another_name_keeps_the_address(made: LabelledSet, browser: Client) -> None:
    browser.post(reverse("rename_labelled_set", args=[made.slug]), {"name": "Better name"})
    made.refresh_from_db()
    assert (made.name, made.slug) == ("Better name", "mine")
    response = browser.post(reverse("rename_labelled_set", args=[made.slug]), {"name": "  "}, follow=True)
    assert "1 to 120 characters" in response.content.decode()
    response = browser.post(reverse("rename_labelled_set", args=[made.slug]), {"name": "!!"}, follow=True)
    assert "at least one letter" in response.content.decode()


def test_deletion_takes_the_files_along(
    made: LabelledSet, browser: Client, django_capture_on_commit_callbacks: Any
) -> None:
    folder = f"labelled-sets/{made.uid}"
    assert set(default_storage.listdir(folder)[1]) == {
        "set.jsonl.gz", "pairs-0.jsonl", "pairs-1.jsonl", "pairs-2.jsonl", "rejected.jsonl",
    }  # fmt: skip
    with django_capture_on_commit_callbacks(execute=True):
        browser.post(reverse("delete_labelled_set", args=[made.slug]))
    assert not LabelledSet.objects.exists() and default_storage.listdir(folder)[1] == []


def test_a_set_that_a_model_was_trained_on_stays(made: LabelledSet, browser: Client) -> None:
    RewardModel.objects.create(
        name="M", slug="m", number=1, labelled_set=made, config={}, folder="m/1", fingerprint="0" * 64
    )
    response = browser.post(reverse("delete_labelled_set", args=[made.slug]), follow=True)
    assert "1 reward models or benchmarks are made from this set" in response.content.decode()
    assert default_storage.exists(made.manifest)


def test_a_set_that_a_job_makes_is_not_deleted_under_it(bob: Any) -> None:
    study = make.judged(make.study(judging.dataset(1, 2)), make.people(1), lambda who, pk, key: pk)
    found = services.start_from_studies(name="Now", studies=[study], wish=make.Wish(), by=bob)
    with pytest.raises(ValidationError, match="Cancel the job first"):
        services.delete(labelled_set=found)


# Costs ---------------------------------------------------------------------------------------------------------------


def queries_of(browser: Client, url: str, **values: Any) -> int:
    with CaptureQueriesContext(connection) as found:
        assert browser.get(url, values).status_code == 200
    return len(found)


def test_pages_cost_the_same_however_much_there_is(made: LabelledSet, browser: Client, bob: Any) -> None:
    list_url, pairs_url = reverse("labelled_sets"), reverse("labelled_set_pairs", args=[made.slug])
    few = queries_of(browser, list_url)
    for number in range(60):
        make.set_row(f"Set {number}", bob, job=made.job)
    assert queries_of(browser, list_url) <= few + 1 <= 9
    assert queries_of(browser, pairs_url) <= 9
    assert queries_of(browser, made.get_absolute_url()) <= 12
    page = browser.get(list_url)
    assert len(page.context["page"].rows) == 50 and page.context["page"].next


# Placing -------------------------------------------------------------------------------------------------------------


def kept(data: LabelledSet) -> None:
    """Files behind the rows of pictures."""
    for number, image in enumerate(StoredImage.objects.all()):
        image.view = default_storage.save(f"views/{image.sha256}.webp", ContentFile(png(number % 50)))
        image.save()


def test_placing_writes_groups_and_pictures_beside_them(made: LabelledSet, tmp_path: Path) -> None:
    kept(made)
    beats: list[int] = []
    path = placing.place(made, tmp_path / "job", lambda: beats.append(1))
    assert path == tmp_path / "job/inputs/set.jsonl" and beats
    assert read_header(path).content_hash == made.content_hash
    groups = list(read_groups(path))
    for group, frozen in zip(groups, placing.open_set(made)[1], strict=True):
        assert group.labels == frozen.labels and group.source_key == frozen.source
        for name, sha in ((group.source, frozen.source), (group.candidates[0].image, frozen.candidates[0].image)):
            assert name == f"images/{sha}.webp"
            with default_storage.open(StoredImage.objects.get(sha256=sha).view) as stored:
                assert (path.parent / name).read_bytes() == stored.read()
    before = path.read_bytes()
    assert placing.place(made, tmp_path / "job", lambda: None).read_bytes() == before


def test_placing_copies_where_links_are_not_possible(
    made: LabelledSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(made)

    def refuse(*_arguments: Any, **_more: Any) -> None:
        raise OSError(18, "another disk")

    monkeypatch.setattr("os.link", refuse)
    path = placing.place(made, tmp_path / "job", lambda: None)
    assert len(list((path.parent / "images").iterdir())) == 8 * 4


def test_placing_refuses_what_is_gone(made: LabelledSet, tmp_path: Path) -> None:
    kept(made)
    image = StoredImage.objects.get(sha256=next(placing.open_set(made)[1]).source)
    default_storage.delete(image.view)
    with pytest.raises(JobError, match="is gone from the storage"):
        placing.place(made, tmp_path / "job", lambda: None)
    StoredImage.objects.filter(pk=image.pk).update(sha256="0" * 64)
    with pytest.raises(JobError, match="1 pictures of the set are no longer here"):
        placing.place(made, tmp_path / "job", lambda: None)
    default_storage.delete(made.manifest)
    with pytest.raises(JobError, match="manifest of Mine is gone"):
        placing.place(made, tmp_path / "job", lambda: None)
    default_storage.save(made.manifest, ContentFile(b"no gzip"))
    with pytest.raises(JobError, match="is damaged"):
        placing.place(made, tmp_path / "job", lambda: None)
    with pytest.raises(JobError, match="is not ready"):
        placing.place(make.set_row("Other"), tmp_path / "job", lambda: None)
    assert not (tmp_path / "job/inputs/set.jsonl").exists()
