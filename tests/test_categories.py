"""Categories of source images: said by people and by CLIP, counted honestly; hashes, near-duplicates, tagging."""

import io
import json
import uuid
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
from PIL import Image

from annotation.curation import hashing, queries, services
from annotation.curation.categorisers import PERSON, Verdict, categorisers
from annotation.curation.phash import phash
from annotation.library import load_tasks
from annotation.models import Case, Category, Dataset, Source, StoredImage
from tests import judging, make
from training import categorising
from webapp.jobs import services as jobs
from webapp.jobs import supervisor
from webapp.jobs.folder import JobError, JobStopped, read_events
from webapp.jobs.models import Job, State


def images(data: Dataset) -> list[StoredImage]:
    return list(queries.sources_of(data).order_by("pk"))


def facts(image: StoredImage) -> tuple[Any, ...]:
    return Source.objects.values_list("category", "method", "score").get(image=image)


def model_says(image: StoredImage, category: str | None, score: float = 0.5) -> None:
    services.record(verdicts=[Verdict(image.pk, category, "clip tiny", score)])


# Rows ----------------------------------------------------------------------------------------------------------------


def test_the_80_names_are_there(db: None) -> None:
    assert Category.objects.count() == 80
    assert list(Category.objects.values_list("name", flat=True)[:3]) == ["person", "bicycle", "car"]
    assert Category.objects.get(pk="hair-drier").group == "indoor"
    assert len(set(Category.objects.values_list("group", flat=True))) == 12
    Category.objects.filter(pk="cat").update(name="feline")
    assert services.load_categories() == 80
    assert Category.objects.get(pk="cat").name == "cat"


# A person and a model ------------------------------------------------------------------------------------------------


def test_a_person_says_what_a_picture_shows_and_takes_it_back(bob: Any) -> None:
    [image] = images(judging.dataset(cases=1))
    token = services.tag(image=image, category="cat", by=bob)
    assert facts(image) == ("cat", PERSON, None)
    assert Source.objects.get().categorised_by == bob
    services.untag(token=token)
    assert facts(image) == (None, "", None)
    assert Source.objects.get().categorised_by is None


def test_undo_brings_back_what_the_model_had_said(bob: Any) -> None:
    [image] = images(judging.dataset(cases=1))
    model_says(image, "dog", 0.75)
    token = services.tag(image=image, category=None, by=bob)
    assert facts(image) == (None, PERSON, None)
    for _again in range(2):
        services.untag(token=token)
        assert facts(image) == ("dog", "clip tiny", 0.75)


def test_a_model_does_not_overrule_a_person(bob: Any) -> None:
    first, second = images(judging.dataset(cases=2))
    services.tag(image=first, category=None, by=bob)
    model_says(first, "dog")
    model_says(second, "dog")
    model_says(second, "cat", 0.9)
    assert facts(first) == (None, PERSON, None)
    assert facts(second) == ("cat", "clip tiny", 0.9)


def test_verdicts_that_name_nothing_change_nothing(db: None) -> None:
    [image] = images(judging.dataset(cases=1))
    assert services.record(verdicts=[Verdict(image.pk, "unicorn", "m", 1.0), Verdict(0, "cat", "m", 1.0)]) == 0
    assert facts(image) == (None, "", None)


def test_a_name_that_is_no_category_is_refused(bob: Any) -> None:
    [image] = images(judging.dataset(cases=1))
    with pytest.raises(ValidationError, match="“unicorn” is no category"):
        services.tag(image=image, category="unicorn", by=bob)


@pytest.mark.parametrize("token", ["", "nonsense", "eyJpbWFnZSI6MX0:1abc:xyz"])
def test_a_forged_undo_is_refused(db: None, token: str) -> None:
    with pytest.raises(services.NothingToUndo):
        services.untag(token=token)


# Counts --------------------------------------------------------------------------------------------------------------


def test_counts_tell_looked_at_from_never_seen(bob: Any) -> None:
    data = judging.dataset(cases=5)
    by_person, by_model, refused, unsure, _unseen = images(data)
    judging.dataset(cases=3)  # somebody else's
    services.tag(image=by_person, category="cat", by=bob)
    services.tag(image=refused, category=None, by=bob)
    model_says(by_model, "dog")
    model_says(unsure, None, 0.1)
    assert queries.source_figures(data) == {
        "sources": 5, "by_person": 1, "by_model": 1, "refused": 2, "unseen": 1, "hashed": 0,
    }  # fmt: skip
    assert queries.cells_of(data) == {"add": {"": 3, "cat": 1, "dog": 1}}


def test_a_source_of_two_cases_counts_in_both_tasks(db: None) -> None:
    data = judging.dataset(cases=2)
    first, second = data.cases.order_by("pk")
    Case.objects.filter(pk=second.pk).update(source=first.source, task="swap")
    model_says(first.source, "cat")
    assert queries.cells_of(data) == {"add": {"cat": 1}, "swap": {"cat": 1}}
    assert queries.source_figures(data)["sources"] == 1
    table = queries.table_of(queries.cells_of(data))
    [line] = table.lines
    assert ([task.pk for task in table.tasks], line.name, line.counts, line.total) == (
        ["add", "swap"], "cat", [1, 1], 2,
    )  # fmt: skip


@pytest.mark.parametrize("page", ["categories", "duplicates", "balance", "tagging"])
def test_pages_cost_the_same_for_more_cases(page: str, client: Client, alice: Any) -> None:
    client.force_login(alice)
    costs = []
    for cases in (3, 9):
        data = judging.dataset(cases=cases)
        for number, image in enumerate(images(data)):
            model_says(image, ["cat", "dog", None][number % 3])
            Source.objects.filter(image=image).update(phash=f"{number // 2:016x}")
        url = reverse(page, args=[data.uid])
        assert client.get(url).status_code == 200
        with CaptureQueriesContext(connection) as found:
            client.get(url)
        costs.append(len(found))
    assert costs[0] == costs[1] <= 15


def test_the_page_shows_the_uncategorised_first(client: Client, bob: Any) -> None:
    data = judging.dataset(cases=3, notice="Demo data.")
    model_says(images(data)[0], "teddy-bear")
    client.force_login(bob)
    html = client.get(reverse("categories", args=[data.uid])).content.decode()
    assert html.index("uncategorised</span>") < html.index("teddy bear")
    assert "Demo data." in html
    assert "By hand" in html
    assert "By a CLIP model" in html


# Hashes and near-duplicates ------------------------------------------------------------------------------------------


def photograph(seed: int, size: tuple[int, int] = (96, 64)) -> Image.Image:
    """A picture with large shapes, not noise."""
    start = (-2 + seed * 0.37 % 1, -1 + seed * 0.21 % 0.7, 0.2 + seed * 0.13 % 0.8, 1)
    return Image.effect_mandelbrot((192, 128), start, 40).resize(size).convert("RGB")


def photographs(folder: Path, pictures: list[Image.Image]) -> Dataset:
    from annotation.imports import import_path

    folder.mkdir(parents=True)
    rows = []
    for number, picture in enumerate(pictures):
        picture.save(folder / f"{number}.png")
        row = {"key": f"case-{number}", "source": f"{number}.png", "instruction": "Edit it.", "task": "add"}
        rows.append(row)
    (folder / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = Dataset(slug=folder.name, name=folder.name)
    import_path(path=folder, dataset=made, progress=make.QUIET)
    return made


class Run:
    """What a job's work sees of its process."""

    def __init__(self, data: Dataset, stop_after: int = 10**9) -> None:
        self.config, self.stop_after = {"dataset": str(data.uid)}, stop_after
        self.seen: list[int] = []

    def progress(self, done: int, total: int, message: str = "") -> None:
        self.seen.append(done)

    def check(self) -> None:
        if len(self.seen) >= self.stop_after:
            raise JobStopped


def hash_all(data: Dataset, **options: Any) -> dict[str, int]:
    assert hashing.KIND.work is not None
    return hashing.KIND.work(Run(data, **options), Job())  # type: ignore[arg-type]


def test_the_job_hashes_every_source_once(db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "BATCH", 2)
    data = photographs(tmp_path / "set", [photograph(seed) for seed in range(5)])
    services.record(verdicts=[Verdict(images(data)[0].pk, "cat", "m", 0.5)])
    with pytest.raises(JobStopped):
        hash_all(data, stop_after=1)
    assert queries.source_figures(data)["hashed"] == 2
    assert facts(images(data)[0]) == ("cat", "m", 0.5)  # the hash leaves the category alone
    assert hash_all(data) == {"hashed": 3, "unreadable": 0}
    for image in images(data):
        assert Source.objects.get(image=image).phash == phash(Image.open(io.BytesIO(image.read_view())))
    assert hash_all(data) == {"hashed": 0, "unreadable": 0}


def test_a_damaged_file_costs_no_other(db: None, tmp_path: Path) -> None:
    data = photographs(tmp_path / "set", [photograph(seed) for seed in range(3)])
    image = images(data)[1]
    default_storage.delete(image.view)
    default_storage.save(image.view, ContentFile(b"damaged"))
    assert hash_all(data) == {"hashed": 2, "unreadable": 1}
    assert queries.source_figures(data)["hashed"] == 2


def test_copies_are_listed_and_a_group_in_two_splits_is_marked(client: Client, bob: Any, tmp_path: Path) -> None:
    pictures = [photograph(1), photograph(2), photograph(1, (150, 100)), photograph(2, (60, 40))]
    data = photographs(tmp_path / "set", pictures)
    hash_all(data)
    Case.objects.filter(key="case-3").update(split="test")
    groups = queries.near_duplicates(data)
    names = {image.pk: number for number, image in enumerate(images(data))}
    assert [[names[image] for image in group.images] for group in groups] == [[0, 2], [1, 3]]
    assert [group.splits for group in groups] == [["train"], ["train", "test"]]
    client.force_login(bob)
    url = reverse("duplicates", args=[data.uid])
    html = client.get(url).content.decode()
    assert "1 group has cases in more than one split" in html
    assert html.count("<article") == 2
    assert client.get(url, {"divided": "1"}).content.decode().count("<article") == 1
    assert client.get(url, {"after": str(groups[0].key)}).content.decode().count("<article") == 1
    assert client.get(url, {"after": "-nonsense"}).content.decode().count("<article") == 2


def test_sources_without_a_hash_are_said_to_be_missing(client: Client, bob: Any) -> None:
    data = judging.dataset(cases=2)
    client.force_login(bob)
    assert (
        "Only 0 of 2 source images have a hash" in client.get(reverse("duplicates", args=[data.uid])).content.decode()
    )
    response = client.post(reverse("hash_sources", args=[data.uid]))
    job = Job.objects.get()
    assert (job.kind, job.queue, response["Location"]) == ("hash-sources", "default", job.get_absolute_url())


def test_hashing_a_data_set_that_is_gone(db: None) -> None:
    data = judging.dataset(cases=1)
    Dataset.objects.filter(pk=data.pk).delete()
    with pytest.raises(JobError, match="deleted"):
        hash_all(data)


# The tagging page ----------------------------------------------------------------------------------------------------


class Tagger:
    """Somebody at the tagging page, as its script talks to the server."""

    def __init__(self, client: Client, user: Any, data: Dataset) -> None:
        client.force_login(user)
        self.client, self.url = client, reverse("tagging_events", args=[data.uid])

    def send(self, *events: dict[str, Any], status: int = 200, **more: Any) -> Any:
        body = {"events": list(events), "after": None, "want": 8, "check": False, **more}
        response = self.client.post(self.url, body, content_type="application/json")
        assert response.status_code == status, response.content
        return response.json()


def test_tagging_takes_answers_and_gives_the_next_pictures(client: Client, bob: Any) -> None:
    data = judging.dataset(cases=4)
    rows, tagger = images(data), Tagger(client, bob, data)
    answer = tagger.send(want=2)
    assert [image["uid"] for image in answer["images"]] == [str(row.uid) for row in rows[:2]]
    one, other = str(uuid.uuid4()), str(uuid.uuid4())
    events = [
        {"key": one, "image": str(rows[0].uid), "category": "cup"},
        {"key": other, "image": str(rows[1].uid), "category": None},
    ]
    answer = tagger.send(*events, after=str(rows[1].uid))
    assert (answer["saved"], answer["refused"]) == ([one, other], [])
    assert [image["uid"] for image in answer["images"]] == [str(row.uid) for row in rows[2:]]
    assert (facts(rows[0])[0], facts(rows[1])) == ("cup", (None, PERSON, None))
    undone = tagger.send({"key": "undo", "undo": answer["undo"][one]})
    assert undone["saved"] == ["undo"]
    assert facts(rows[0]) == (None, "", None)
    waiting = [image["uid"] for image in tagger.send()["images"]]
    assert waiting == [str(rows[0].uid), str(rows[2].uid), str(rows[3].uid)]  # "none of these" waits no more


def test_checking_shows_what_a_model_has_said(client: Client, bob: Any) -> None:
    data = judging.dataset(cases=4)
    rows, tagger = images(data), Tagger(client, bob, data)
    model_says(rows[0], "dog", 0.6)
    model_says(rows[1], None, 0.1)
    services.tag(image=rows[2], category="cat", by=bob)
    [image] = tagger.send(check=True)["images"]
    assert (image["uid"], image["model"]) == (
        str(rows[0].uid), {"category": "dog", "score": 0.6, "name": "clip tiny"},
    )  # fmt: skip
    assert [image["uid"] for image in tagger.send()["images"]] == [str(rows[1].uid), str(rows[3].uid)]


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"image": "{other}", "category": "cat"}, "no longer in the data set"),
        ({"image": "nonsense", "category": "cat"}, "no longer in the data set"),
        ({"image": "{own}", "category": "unicorn"}, "is no category"),
        ({"image": "{own}", "category": 7}, "names no category"),
        ({"image": "{own}"}, "names no category"),
        ({"undo": "forged"}, "no longer be undone"),
        (["no", "event"], "names no category"),
    ],
)
def test_events_that_are_refused_with_a_sentence(client: Client, bob: Any, event: Any, words: str) -> None:
    data, elsewhere = judging.dataset(cases=1), judging.dataset(cases=1)
    names = {"{own}": str(images(data)[0].uid), "{other}": str(images(elsewhere)[0].uid)}
    if isinstance(event, dict):
        event = {"key": "k", **{name: names.get(str(value), value) for name, value in event.items()}}
    answer = Tagger(client, bob, data).send(event)
    assert answer["saved"] == []
    assert words in answer["refused"][0]["error"]
    assert not Source.objects.exists()


@pytest.mark.parametrize("body", ["{", "[]", '{"events": 3}', "[" * 5000])
def test_requests_that_cannot_be_read(client: Client, bob: Any, body: str) -> None:
    client.force_login(bob)
    url = reverse("tagging_events", args=[judging.dataset(cases=1).uid])
    response = client.post(url, body, content_type="application/json")
    assert (response.status_code, response.json()) == (400, {"error": "The request could not be read."})


def test_too_many_events_at_once(client: Client, bob: Any) -> None:
    answer = Tagger(client, bob, judging.dataset(cases=1)).send(*[{}] * 51, status=413)
    assert "at most 50" in answer["error"]


# CLIP as a job -------------------------------------------------------------------------------------------------------


def test_the_page_starts_the_clip_job(client: Client, bob: Any) -> None:
    data = judging.dataset(cases=1)
    client.force_login(bob)
    url = reverse("categories", args=[data.uid])
    assert [way.name for way in categorisers()] == ["person", "clip"]
    assert client.post(url, {"begin": "person"})["Location"] == reverse("tagging", args=[data.uid])
    bad = client.post(url, {"begin": "clip", "model": "https://example.org/x", "threshold": "2"})
    assert bad.status_code == 200
    assert "Give the name of a model" in bad.content.decode()
    assert not Job.objects.exists()
    response = client.post(url, {"begin": "clip", "model": "someone/clip-vit", "threshold": "0.4"})
    job = Job.objects.get()
    assert response["Location"] == job.get_absolute_url()
    assert (job.kind, job.queue) == ("categorise", "gpu")
    assert job.config == {"dataset": str(data.uid), "model": "someone/clip-vit", "threshold": 0.4}


def test_nothing_is_left_for_clip(client: Client, bob: Any) -> None:
    data = judging.dataset(cases=1)
    services.tag(image=images(data)[0], category=None, by=bob)
    client.force_login(bob)
    url = reverse("categories", args=[data.uid])
    answer = client.post(url, {"begin": "clip", "model": "someone/clip-vit", "threshold": "0.4"})
    assert "There is nothing to categorise" in answer.content.decode()
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("cat", "a photo of a cat"), ("orange", "a photo of an orange"), ("skis", "a photo of skis")],
)
def test_prompts(name: str, sentence: str) -> None:
    assert categorising.prompt(name) == sentence


@pytest.fixture
def library(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that the supervisor may open and close, with the rows that it had before the first test."""
    load_tasks()
    services.load_categories()
    monkeypatch.setattr(supervisor, "TICK_SECONDS", 0.02)
    monkeypatch.setattr(supervisor, "HEARTBEAT_SECONDS", 0.0)


def run(job: Job) -> Job:
    claimed = jobs.claim(uid=str(job.uid), worker="w1")
    assert claimed is not None
    supervisor.supervise(claimed)
    claimed.refresh_from_db()
    return claimed


def test_clip_categorises_through_the_queue(library: None, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from tests.gpu.test_categorise import tiny_clip

    data = photographs(tmp_path / "set", [photograph(seed) for seed in range(4)])
    model = tiny_clip(tmp_path / "clip")
    first = images(data)[0]
    services.tag(image=first, category=None, by=None)  # type: ignore[arg-type]
    job = categorising.start_categorising(dataset=data, by=None, model=str(model), threshold=0.0)
    job = run(job)
    assert (job.state, job.message) == (State.SUCCEEDED, "")
    assert job.summary == {"images": 3, "categorised": 3, "uncategorised": 0, "failed": 0}
    assert facts(first) == (None, PERSON, None)
    for image in images(data)[1:]:
        category, method, score = facts(image)
        assert Category.objects.filter(pk=category).exists()
        assert method == f"clip {model}"[:200]
        assert 1 / 80 <= score <= 1
    before = list(Source.objects.order_by("pk").values())
    categorising.KIND.on_events(job, read_events(job.folder / "events.jsonl")[0])  # seen again, as after a crash
    assert list(Source.objects.order_by("pk").values()) == before


def test_a_model_that_is_not_here_fails_with_a_sentence(library: None, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    data = photographs(tmp_path / "set", [photograph(1)])
    job = run(categorising.start_categorising(dataset=data, by=None, model=str(tmp_path / "none"), threshold=0.3))
    assert job.state == State.FAILED
    assert "There is no usable CLIP model" in job.message
    assert not Source.objects.exists()


def test_a_data_set_that_is_gone(library: None) -> None:
    data = judging.dataset(cases=1)
    job = categorising.start_categorising(dataset=data, by=None, model="a/b", threshold=0.3)
    Case.objects.filter(dataset=data).first().candidates.all().delete()  # type: ignore[union-attr]
    data.delete()
    assert run(job).message == "The data set was deleted."
    assert jobs.kinds.get_kind("categorise").links(job) == []
