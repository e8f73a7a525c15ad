"""Filling a benchmark: images first, then scores, by the product's own jobs; it goes on by the clock."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from annotation.library import settings_hash
from annotation.models import Candidate
from scoring.models import Answer
from tests import judging
from tests.training_editor_benchmarks import rows
from training.editor_benchmarks import filling, likeness
from training.editor_benchmarks.reading import read
from training.models import EditorBenchmark, Likeness, Stage, Style
from webapp.jobs.models import Job, State


@pytest.fixture(autouse=True)
def _database(db: None) -> None:
    pass


def with_program(data: Any) -> EditorBenchmark:
    """The second editor is run by a program here and lacks its images; the first one's were imported."""
    _base, other = rows.editors_of(data)
    made = rows.benchmark(data)
    other.module, other.settings = "drawn", {"steps": 2}
    other.save()
    return made


def make_images(made: EditorBenchmark) -> None:
    """What the generation job would."""
    editor = made.editors.get(module="drawn")
    for case in made.dataset.cases.all():
        image = judging.stored_image(f"made-{case.pk}")
        image.save()
        Candidate.objects.create(
            case=case, editor=editor, image=image, seconds=3, settings_hash=settings_hash(editor.settings)
        )


def jobs_of(made: EditorBenchmark) -> list[Job]:
    return list(made.jobs.order_by("pk"))


def end(made: EditorBenchmark, state: State = State.SUCCEEDED) -> None:
    made.jobs.update(state=state, finished_at=timezone.now())


def test_it_works(bob: Any) -> None:
    """Images of the editor that lacks them, then scores of all that lack one; at the end nothing is left."""
    made = with_program(rows.dataset(cases=3))
    filling.fill(benchmark=made, most_cost=None, by=bob)
    made.refresh_from_db()
    (job,) = jobs_of(made)
    assert (made.stage, job.kind, job.config["editors"], job.config["seeds"]) == (
        Stage.IMAGES,
        "generate",
        ["editor-1"],
        1,
    )
    assert filling.look() == 1
    assert jobs_of(made) == [job]  # it is not over
    make_images(made)
    end(made)
    filling.look()
    made.refresh_from_db()
    (job,) = jobs_of(made)
    assert (made.stage, job.kind, job.created_by) == (Stage.SCORES, "score", bob)
    assert len(job.config["selection"]["candidates"]) == 6
    for editor in made.editors.all():
        rows.score(made, editor, [1, 2, 3])
    Candidate.objects.filter(editor__module="drawn").exclude(settings_hash=settings_hash({"steps": 2})).delete()
    end(made)
    filling.look()
    made.refresh_from_db()
    assert (made.stage, made.message, filling.look()) == ("", "", 0)


def test_without_missing_images_scores_begin_at_once() -> None:
    data = rows.dataset(cases=3)
    made = rows.benchmark(data)
    rows.score(made, rows.editors_of(data)[0], [1, None])
    filling.fill(benchmark=made, most_cost=None, by=None)
    (job,) = jobs_of(made)
    told = set(job.config["selection"]["candidates"])
    first, second = (rows.candidates(data, editor) for editor in rows.editors_of(data))
    assert told == {first[2].pk, *(one.pk for one in second)}  # a refusal is not asked again


def test_gedit_asks_each_image_for_what_it_lacks() -> None:
    data = rows.dataset(cases=2)
    made = rows.benchmark(data, Style.GEDIT)
    asked = rows.gedit()
    rows.score(made, rows.editors_of(data)[0], [5, 5], by=asked["sc"])
    filling.fill(benchmark=made, most_cost=None, by=None)
    told = {job.config["versions"][0]: len(job.config["selection"]["candidates"]) for job in jobs_of(made)}
    assert told == {str(asked["sc"].uid): 2, str(asked["pq"].uid): 4}


def test_what_it_takes_is_estimated() -> None:
    made = with_program(rows.dataset(cases=3))
    make_images(made)
    Candidate.objects.filter(editor__module="drawn", case=made.dataset.cases.order_by("pk")[0]).exclude(
        seconds=None
    ).delete()
    Answer.objects.create(key="k", judge=made.judge, status="parsed", score=1, cost=0.5)
    needs = filling.needs_of(made, read(made))
    assert (needs.images, needs.elsewhere, needs.open) == (1, 0, 5)
    assert (needs.calls, needs.cost, needs.seconds) == (6, 3.0, 3.0)


def test_a_time_that_nobody_knows_is_not_guessed() -> None:
    made = with_program(rows.dataset(cases=1))
    needs = filling.needs_of(made, read(made))
    assert (needs.seconds, needs.cost) == (None, None)


def test_a_limit_is_shared_out() -> None:
    data = rows.dataset(cases=2)
    made = rows.benchmark(data, Style.GEDIT)
    asked = rows.gedit()
    rows.score(made, rows.editors_of(data)[0], [5, 5], by=asked["sc"])
    filling.fill(benchmark=made, most_cost=3.0, by=None)
    assert sorted(job.config["most_cost"] for job in jobs_of(made)) == [1.0, 2.0]


def test_a_benchmark_is_filled_once_at_a_time() -> None:
    made = rows.benchmark(rows.dataset(cases=1))
    filling.fill(benchmark=made, most_cost=None, by=None)
    with pytest.raises(ValidationError, match="already"):
        filling.fill(benchmark=made, most_cost=None, by=None)


def test_nothing_missing_is_refused() -> None:
    data = rows.dataset(cases=1)
    made = rows.benchmark(data)
    for editor in rows.editors_of(data):
        rows.score(made, editor, [3])
    with pytest.raises(ValidationError, match="Nothing is missing"):
        filling.fill(benchmark=made, most_cost=None, by=None)


def test_images_that_nobody_can_make_are_named() -> None:
    data = rows.dataset(cases=2)
    made = rows.benchmark(data)
    base, other = rows.editors_of(data)
    rows.score(made, base, [3, 3])
    rows.candidates(data, other)
    Candidate.objects.filter(editor=other).delete()
    with pytest.raises(ValidationError, match="2 images are missing"):
        filling.fill(benchmark=made, most_cost=None, by=None)
    assert filling.needs_of(made, read(made)).elsewhere == 2


def test_a_limit_needs_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    made = rows.benchmark(rows.dataset(cases=1), judge=rows.judge(kind="endpoint"))
    with pytest.raises(ValidationError, match="Costs of this judge are not known"):
        filling.fill(benchmark=made, most_cost=1.0, by=None)
    assert not Job.objects.exists()


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
def test_a_job_that_ends_badly_stops_the_filling(state: State) -> None:
    """Scores of half of the images would be asked for, and paid, for a benchmark that nobody can read."""
    made = with_program(rows.dataset(cases=1))
    filling.fill(benchmark=made, most_cost=None, by=None)
    end(made, state)
    filling.look()
    made.refresh_from_db()
    assert made.stage == ""
    assert "ended without a result" in made.message
    assert made.jobs.get().kind == "generate"
    filling.fill(benchmark=made, most_cost=None, by=None)  # and can be tried again
    made.refresh_from_db()
    assert (made.stage, made.message) == (Stage.IMAGES, "")


def test_a_judge_that_is_gone_meanwhile_is_named() -> None:
    made = with_program(rows.dataset(cases=1))
    filling.fill(benchmark=made, most_cost=None, by=None)
    end(made)
    assert made.judge is not None
    made.judge.kind = "gone"
    made.judge.save()
    filling.look()
    made.refresh_from_db()
    assert (made.stage, "no kind of judge" in made.message) == ("", True)


def test_one_that_fails_does_not_keep_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (rows.benchmark(rows.dataset(cases=1)) for _number in range(2))
    for made in (first, second):
        filling.fill(benchmark=made, most_cost=None, by=None)
        end(made)
    real = filling.advance

    def broken(*, key: int) -> None:
        if key == first.pk:
            raise RuntimeError("out of order")
        real(key=key)

    monkeypatch.setattr(filling, "advance", broken)
    assert filling.look() == 2
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.stage, first.message, second.stage, second.message) == ("", "out of order", "", "")


def test_the_clock_looks() -> None:
    from django.conf import settings

    from training.editor_benchmarks import tasks

    assert tasks.look.name in {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    tasks.look()


# DreamBench++ --------------------------------------------------------------------------------------------------------


def test_images_are_compared_by_a_job_of_their_own() -> None:
    data = rows.dataset(cases=1)
    case = data.cases.get()
    case.description = "A red boat."
    case.save()
    made = rows.benchmark(data, Style.DREAM)
    filling.fill(benchmark=made, most_cost=None, by=None)
    (job,) = jobs_of(made)
    assert (job.kind, job.queue, job.config["dino"]) == ("editor-likeness", "gpu", "/models/dino")
    one = rows.candidates(data, rows.editors_of(data)[0])[0]
    told = {"event": "likeness", "key": str(one.pk), "dino_i": 0.5, "clip_i": 0.75, "clip_t": 0.25}
    gone = {**told, "key": "999999"}
    for _again in range(2):
        likeness.KIND.on_events(job, [told, gone, {"event": "progress"}])
    assert dict(Likeness.objects.values_list("measure", "value")) == {"dino_i": 0.5, "clip_i": 0.75, "clip_t": 0.25}
    assert read(made).counts(0).scored == 1


def test_the_list_of_samples_names_pictures_and_the_wanted_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(likeness, "local_path", lambda name, _folder: f"inputs/{name}")
    data = rows.dataset(cases=1)
    made = rows.benchmark(data, Style.DREAM)
    keys = [one.pk for one in rows.candidates(data, rows.editors_of(data)[0])]
    job = likeness.start(benchmark=made, candidates=keys, by=None)
    (job.folder / "inputs").mkdir(parents=True)
    likeness.KIND.prepare(job)
    text = (job.folder / "inputs" / "samples.jsonl").read_text()
    assert '"text": "Edit 0"' in text
    assert text.count("\n") == 1


@pytest.mark.parametrize("name", ["../weights", "a b", "http://x/y"])
def test_a_name_of_weights_is_no_address(name: str) -> None:
    with pytest.raises(ValidationError, match="absolute folder"):
        likeness.check_model(name)
