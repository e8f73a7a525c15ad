"""Recipes: the whole chain from sources to a frozen set, stops, crashes, two looks at once."""

import json
from dataclasses import replace
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.exceptions import ValidationError
from django.db import transaction

from annotation.curation.services import tag
from annotation.instructions.services import accept
from annotation.models import Candidate, Case, Dataset, DatasetVersion, Editor, Proposal
from scoring.models import Answer, Judge, Score
from tests.drawn import drawn
from tests.recipes import a_library, begin, some_programs, states, step, versions, walk, wish, work  # noqa: F401
from tests.scoring_pages import make as scored
from tests.test_lease_races import all_at_once
from training.models import Recipe, Step, StepName
from training.recipes import costs, services, steps
from training.recipes.job import draw
from training.recipes.plan import Settings
from webapp.celery import app
from webapp.endpoints.models import Endpoint
from webapp.jobs import services as queue
from webapp.jobs.models import Job, State

EVERY = list(StepName.values)


@pytest.fixture
def data(library: None, programs: Any, tmp_path: Any, alice: Any) -> Dataset:
    """Five sources of each task."""
    return drawn(tmp_path, 10, notice="Demo data.", owner=alice)


@pytest.fixture
def judge(data: Dataset) -> Judge:
    return scored.judge("eye", settings={"level": 9}, notice="Test judge.")


@pytest.fixture
def asked(judge: Judge) -> Settings:
    return wish(judge, versions())


def kinds_of(recipe: Recipe) -> list[tuple[str, str]]:
    return [(one.name, job.kind) for one in recipe.steps.all() for job in one.jobs.order_by("pk")]


def test_it_works(data: Dataset, asked: Settings, bob: Any) -> None:
    recipe = begin(data, asked, "Hard ones", bob)
    assert states(recipe)["balance"] == "running"  # the first two steps are left out, and no look was needed
    recipe = walk(recipe)
    assert recipe.state == "done", list(recipe.steps.values_list("name", "state", "message"))
    left_out = {"instructions", "categories"}
    assert states(recipe) == {name: "skipped" if name in left_out else "done" for name in EVERY}
    assert kinds_of(recipe) == [
        ("balance", "recipe-step"),
        ("hashes", "hash-sources"),
        ("splits", "recipe-step"),
        ("candidates", "generate"),
        ("scores", "score-service"),
        ("scores", "score-service"),
        ("filter", "filter"),
        ("freeze", "freeze"),
    ]
    assert set(Job.objects.values_list("created_by", "state")) == {(bob.pk, "succeeded")}

    drawn_set, kept = recipe.drawn, recipe.kept
    assert drawn_set and kept
    assert (drawn_set.name, drawn_set.derived_from, drawn_set.cases.count()) == ("Hard ones (candidates)", data, 10)
    splits = dict(drawn_set.cases.values_list("source", "split"))
    assert set(splits.values()) == {"train", "test"}
    assert Candidate.objects.filter(case__dataset=drawn_set).count() == 10
    scores = dict(Score.objects.values_list("candidate__case__key", "value"))
    assert set(scores) == set(drawn_set.cases.values_list("key", flat=True))
    assert set(kept.cases.values_list("key", flat=True)) == {key for key, value in scores.items() if value < 5}
    assert 0 < kept.cases.count() < 10
    assert dict(kept.cases.values_list("source", "split")).items() <= splits.items()
    version = DatasetVersion.objects.get(dataset=kept)
    assert (version.number, version.cases) == (1, kept.cases.count())
    evidence = DatasetVersion.objects.get(dataset=drawn_set)
    assert (evidence.cases, evidence.candidates) == (10, 10)
    assert costs.spent(recipe) == 0.25 * Answer.objects.count() == 2.5
    assert data.cases.count() == 10  # as it was
    assert set(data.cases.values_list("split", flat=True)) == {"train"}


def test_labels_go_with_the_data(data: Dataset, asked: Settings) -> None:
    recipe = walk(begin(data, asked))
    assert recipe.drawn and recipe.kept
    assert recipe.drawn.notice == "Demo data."
    assert recipe.kept.notice == "Test judge. · Demo data."
    assert recipe.kept.versions.get().facts["notice"] == recipe.kept.notice


def test_a_step_that_looks_find_again_is_not_begun_twice(data: Dataset, asked: Settings) -> None:
    recipe = begin(data, asked)
    for _turn in range(3):
        services.look()
    assert Job.objects.count() == 1
    walk(recipe)
    services.look()
    assert len(kinds_of(recipe)) == Job.objects.count() == 8
    assert Dataset.objects.count() == 3


def test_two_looks_at_once_begin_a_step_once(data: Dataset, asked: Settings) -> None:
    recipe = begin(data, asked)
    for name, until in (("hashes", 2), ("splits", 3), ("candidates", 4)):
        work()
        assert all_at_once([lambda: services.look() and None for _look in range(4)]) == []
        assert states(recipe)[name] == "running"
        assert Job.objects.count() == until
    assert walk(recipe).state == "done"
    assert Job.objects.count() == 8


@pytest.mark.parametrize("name", [name for name in EVERY if name not in ("instructions", "categories")])
def test_a_crash_while_a_step_begins_leaves_it_to_come(
    data: Dataset, asked: Settings, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies after the step's jobs are made and before that is committed."""
    real = steps.begin

    class Died(BaseException):
        pass

    def dies(recipe: Recipe, of: Settings, one: str) -> list[Job]:
        begun = real(recipe, of, one)
        if one == name and begun:
            raise Died
        return begun

    monkeypatch.setattr(steps, "begin", dies)
    recipe = None
    with pytest.raises(Died):
        recipe = begin(data, asked)
        walk(recipe)
    recipe = recipe or Recipe.objects.get()
    assert (states(recipe)[name], step(recipe, name).jobs.count()) == ("to-come", 0)
    jobs_so_far = Job.objects.count()
    monkeypatch.setattr(steps, "begin", real)
    assert walk(recipe).state == "done"
    assert Job.objects.count() == 8 > jobs_so_far
    assert Dataset.objects.count() == 3


def test_a_crash_after_the_draw_makes_no_second_one(data: Dataset, asked: Settings) -> None:
    """The worker dies after the data set is committed and before the job is."""
    recipe = begin(data, asked)
    first = draw(recipe)
    assert first == draw(recipe)
    assert walk(recipe).state == "done"
    assert Dataset.objects.count() == 3


def test_a_failed_job_stops_the_recipe_with_its_words(data: Dataset, asked: Settings, programs: Any) -> None:
    programs(judge='raise JobError("The service is away.")')
    recipe = walk(begin(data, asked))
    assert (recipe.state, states(recipe)["scores"], states(recipe)["filter"]) == ("stopped", "stopped", "to-come")
    assert "The service is away." in step(recipe, "scores").message
    services.look()
    assert Job.objects.count() == 6  # nothing goes on by itself
    programs()
    begun = list(step(recipe, "scores").jobs.order_by("pk"))
    services.try_again(recipe=recipe)
    assert states(recipe)["scores"] == "running"
    assert list(step(recipe, "scores").jobs.order_by("pk")) == begun  # the same jobs, resumed
    assert walk(recipe).state == "done"
    assert Job.objects.count() == 8


def test_a_job_that_somebody_resumed_takes_the_recipe_on(data: Dataset, asked: Settings, programs: Any) -> None:
    programs(edit='raise JobError("No memory.")')
    recipe = walk(begin(data, asked))
    assert states(recipe)["candidates"] == "stopped"
    programs()
    queue.resume(job=step(recipe, "candidates").jobs.get())
    services.look()
    recipe.refresh_from_db()
    assert (recipe.state, step(recipe, "candidates").message) == ("running", "")
    assert walk(recipe).state == "done"


def test_a_cancelled_step_stops_and_is_tried_again(data: Dataset, asked: Settings) -> None:
    recipe = walk(begin(data, asked), until="candidates")
    services.stop(recipe=recipe)
    recipe.refresh_from_db()
    assert (recipe.state, states(recipe)["candidates"]) == ("stopped", "stopped")
    assert "Stopped" in step(recipe, "candidates").message
    with pytest.raises(ValidationError, match="No job of this recipe runs"):
        services.stop(recipe=recipe)
    services.try_again(recipe=recipe)
    assert walk(recipe).state == "done"


def test_a_running_job_is_asked_to_stop(data: Dataset, asked: Settings) -> None:
    recipe = walk(begin(data, asked), until="candidates")
    job = step(recipe, "candidates").jobs.get()
    claimed = queue.claim(uid=str(job.uid), worker="w1")
    assert claimed
    services.stop(recipe=recipe)
    recipe.refresh_from_db()
    job.refresh_from_db()
    assert (recipe.state, job.state) == ("running", State.CANCELLING)  # until it has saved its place
    queue.finish(claimed, state=State.CANCELLED, message=queue.stopped())
    services.look()
    recipe.refresh_from_db()
    assert recipe.state == "stopped"


def test_going_on_with_what_is_there(data: Dataset, asked: Settings, programs: Any) -> None:
    programs(judge=HALF)
    recipe = walk(begin(data, asked))
    assert states(recipe)["scores"] == "stopped"
    services.go_on(recipe=recipe)
    recipe = walk(recipe)
    assert recipe.state == "done"
    assert "The budget is spent." in step(recipe, "scores").message  # it is not forgotten
    assert recipe.kept
    counts = recipe.kept.recipe["counts"]
    assert sum(of_task["unscored"] for of_task in counts.values()) == 10 - Score.objects.count() > 0


HALF = """
import json
rows = [json.loads(line) for line in (run.inputs / "requests.jsonl").open()]
empty = dict(answers=[], reasoning="", distribution=None, kind="", note="", raw="", tokens_in=1, tokens_out=1)
for row in rows[:2]:
    run.emit("answer", key=row["key"], ref=row["ref"], status="parsed", score=2, model="m", cost=1, seconds=1, **empty)
raise JobError("The budget is spent.")
"""


@pytest.mark.parametrize(("name", "until"), [("balance", "balance"), ("filter", "filter")])
def test_nothing_follows_without_the_set_that_a_step_makes(
    data: Dataset, asked: Settings, name: str, until: str
) -> None:
    recipe = walk(begin(data, asked), until=until)
    taken = "Mine (candidates)" if name == "balance" else "Mine"
    slug = "mine-candidates" if name == "balance" else "mine"
    other = Dataset.objects.create(slug=slug, name=taken)  # somebody was quicker
    walk(recipe)
    assert "There is a data set of this name already." in step(recipe, name).message
    with pytest.raises(ValidationError, match="No step waits for that"):
        services.go_on(recipe=recipe)
    other.delete()
    services.try_again(recipe=recipe)
    assert walk(recipe).state == "done"


def test_a_step_that_was_refused_begins_anew(data: Dataset, asked: Settings) -> None:
    recipe = walk(begin(data, asked), until="candidates")
    Candidate.objects.all().update(fault="blank")
    work()
    Candidate.objects.all().update(fault="blank")
    services.look()
    recipe.refresh_from_db()
    assert recipe.state == "stopped"
    assert "No candidate can be scored" in step(recipe, "scores").message
    assert step(recipe, "scores").jobs.count() == 0
    services.look()
    assert states(recipe)["scores"] == "stopped"
    Candidate.objects.all().update(fault="")
    services.try_again(recipe=recipe)
    assert walk(recipe).state == "done"


def test_what_was_deleted_meanwhile_is_said(data: Dataset, asked: Settings) -> None:
    recipe = walk(begin(data, asked), until="splits")
    work()
    Editor.objects.filter(slug="swift").delete()
    services.look()
    assert "The editor swift was deleted." in step(recipe, "candidates").message
    recipe.refresh_from_db()
    assert recipe.drawn
    recipe.drawn.delete()
    services.try_again(recipe=recipe)
    assert states(recipe)["candidates"] == "stopped"


def test_a_deleted_job_is_said(data: Dataset, asked: Settings) -> None:
    recipe = begin(data, asked)
    Job.objects.all().delete()
    services.look()
    assert "Its job was deleted" in step(recipe, "balance").message
    services.try_again(recipe=recipe)
    assert walk(recipe).state == "done"


def test_one_recipe_that_fails_does_not_keep_the_others(
    data: Dataset, asked: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = begin(data, asked, "Bad"), begin(data, asked, "Good")
    real = services._settle

    def fails(recipe: Recipe, one: Step) -> None:
        if recipe == bad:
            raise RuntimeError("a bug")
        real(recipe, one)

    monkeypatch.setattr(services, "_settle", fails)
    walk(good)
    bad.refresh_from_db()
    good.refresh_from_db()
    assert (bad.state, good.state) == ("stopped", "done")
    assert "Unexpected error (RuntimeError): a bug" in step(bad, "balance").message
    monkeypatch.setattr(services, "_settle", real)
    services.try_again(recipe=bad)
    assert walk(bad).state == "done"


# Instructions, categories, the limit ---------------------------------------------------------------------------------


@pytest.fixture
def endpoint(db: None) -> Endpoint:
    return Endpoint.objects.create(
        slug="writer", name="Writer", base_url="http://127.0.0.1:9/v1", model="m", price_input=1, price_output=1
    )


def proposed(recipe: Recipe, case: Case, **values: Any) -> Proposal:
    return Proposal.objects.create(
        dataset=recipe.dataset, source=case.source, task_id="color", instruction="Make it red.", model="m", **values
    )


def ended(job: Job, state: str = "succeeded", **values: Any) -> None:
    Job.objects.filter(pk=job.pk).update(state=state, **values)


def test_it_waits_until_people_have_accepted_instructions(
    data: Dataset, asked: Settings, endpoint: Endpoint, bob: Any
) -> None:
    recipe = begin(data, replace(asked, endpoint="writer", each=2, most_cost=10.0), by=bob)
    job = step(recipe, "instructions").jobs.get()
    assert (job.kind, job.config["count"], job.config["most_cost"]) == ("propose", 2, 10.0)
    assert sorted(job.config["tasks"]) == ["color", "remove"]
    proposal = proposed(recipe, data.cases.all()[0])
    ended(job, summary={"cost": 1.5})
    services.look()
    services.look()
    recipe.refresh_from_db()
    assert (recipe.state, states(recipe)["instructions"], states(recipe)["balance"]) == ("waiting",) * 2 + ("to-come",)
    accept(proposal=proposal, by=bob)
    services.go_on(recipe=recipe)
    recipe = walk(recipe)
    assert recipe.state == "done"
    assert recipe.drawn and recipe.drawn.cases.count() == 11
    assert costs.spent(recipe) == 1.5 + 11 * 0.25
    limits = [one.config["most_cost"] for one in step(recipe, "scores").jobs.all()]
    assert sum(limits) == pytest.approx(8.5)


def test_it_does_not_go_on_without_any_case(data: Dataset, asked: Settings, endpoint: Endpoint) -> None:
    style = wish(Judge.objects.get(), {"style": scored.version("style")})
    recipe = begin(data, replace(style, endpoint="writer"))
    proposed(recipe, data.cases.all()[0])
    ended(step(recipe, "instructions").jobs.get())
    services.look()
    with pytest.raises(ValidationError, match="no case of these tasks yet"):
        services.go_on(recipe=recipe)
    assert states(recipe)["instructions"] == "waiting"


def test_proposals_that_all_were_reviewed_need_no_wait(data: Dataset, asked: Settings, endpoint: Endpoint) -> None:
    recipe = begin(data, replace(asked, endpoint="writer"))
    ended(step(recipe, "instructions").jobs.get())
    services.look()
    assert (states(recipe)["instructions"], states(recipe)["balance"]) == ("done", "running")


def test_what_a_failed_job_paid_counts(data: Dataset, asked: Settings, endpoint: Endpoint) -> None:
    recipe = begin(data, replace(asked, endpoint="writer", most_cost=2.0))
    job = step(recipe, "instructions").jobs.get()
    job.folder.mkdir(parents=True)
    lines = [{"event": "asked", "cost": 1.25}, {"event": "asked", "cost": None}, {"event": "asked", "cost": 0.75}]
    (job.folder / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    ended(job, "failed", message="The spending limit of 2 is reached.")
    services.look()
    assert costs.spent(recipe) == 2.0
    services.go_on(recipe=recipe)
    recipe = walk(recipe)
    assert states(recipe)["scores"] == "stopped"
    assert "The spending limit of 2 is reached." in step(recipe, "scores").message
    assert not Answer.objects.exists()


def test_categories_are_asked_of_the_model(data: Dataset, asked: Settings, bob: Any) -> None:
    recipe = begin(data, replace(asked, clip_model="some/clip", clip_threshold=0.4), by=bob)
    job = step(recipe, "categories").jobs.get()
    assert (job.kind, job.config["model"], job.config["threshold"]) == ("categorise", "some/clip", 0.4)
    ended(job)
    assert walk(recipe).state == "done"


def test_categories_by_people_need_no_model(data: Dataset, asked: Settings, bob: Any) -> None:
    for case in data.cases.all():
        tag(image=case.source, category=None, by=bob)
    recipe = begin(data, replace(asked, clip_model="some/clip"))
    assert step(recipe, "categories").message == "A person has looked at every source image."
    assert states(recipe)["balance"] == "running"


def test_a_person_acts_only_where_something_waits(data: Dataset, asked: Settings) -> None:
    recipe = begin(data, asked)
    for action in (services.go_on, services.try_again):
        with pytest.raises(ValidationError, match="Load the page again"):
            action(recipe=recipe)
    recipe = walk(recipe)
    for action in (services.go_on, services.try_again, services.stop):
        with pytest.raises(ValidationError):
            action(recipe=recipe)


def test_what_happens_by_the_clock_is_known_to_the_worker() -> None:
    """A task that the worker has not loaded is thrown away with a line in its log."""
    app.loader.import_default_modules()
    wanted = {entry["task"] for entry in django_settings.CELERY_BEAT_SCHEDULE.values()}
    assert "training.recipes.tasks.look" in wanted
    assert wanted <= set(app.tasks)


def test_nothing_is_left_of_a_start_that_is_rolled_back(data: Dataset, asked: Settings) -> None:
    class Undone(Exception):
        pass

    with pytest.raises(Undone), transaction.atomic():
        begin(data, asked)
        raise Undone
    assert (Recipe.objects.count(), Job.objects.count()) == (0, 0)
