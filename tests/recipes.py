"""Recipes for tests: a wish, programs of a few lines that edit and judge, and a worker that runs what waits."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from annotation.library import ensure_editor, load_tasks
from annotation.models import Dataset
from scoring.asking import backends, jobs
from scoring.filtering.rules import By, Rule, TaskRule
from scoring.models import Judge, PromptVersion
from tests.freezing import run_of
from tests.scoring_pages import make as scored
from tests.scripted import program
from training import generation
from training.models import Recipe, Step, StepName
from training.recipes import services
from training.recipes.plan import EVERYTHING, Settings
from webapp.jobs import kinds, supervisor
from webapp.jobs import services as queue
from webapp.jobs.folder import JobError
from webapp.jobs.models import Job, State

TASKS = ("color", "remove")
# Turns the picture's colours round, and says so as the real program does.
EDIT = """
import json
from PIL import Image, ImageOps
items = [json.loads(line) for line in (run.inputs / "items.jsonl").open()]
for number, item in enumerate(items):
    file = run.outputs / f"{number}.png"
    picture = Image.open(run.folder / item["case"]["source"]).convert("RGB")
    ImageOps.invert(picture).rotate(90 * item["seed"]).save(file)
    run.emit("image", key=item["key"], file=f"outputs/{file.name}")
    run.check()
return {"images": len(items), "failed": 0}
"""
# Gives the cases in turn 5, 4, 3, …; an answer costs 0.25.
JUDGE = """
import json
rows = [json.loads(line) for line in (run.inputs / "requests.jsonl").open()]
for number, row in enumerate(rows):
    empty = dict(answers=[], reasoning="", distribution=None, kind="", note="", raw="", tokens_in=1, tokens_out=1)
    run.emit("answer", key=row["key"], ref=row["ref"], status="parsed", score=5 - number % 5, model="m", cost=0.25,
             seconds=0.1, **empty)
return {"answers": len(rows)}
"""


def scripted(kind: kinds.JobKind, folder: Path, work: str) -> kinds.JobKind:
    path = program(folder, work)
    return replace(kind, command=lambda job: [sys.executable, str(path), str(job)])


@pytest.fixture(name="programs")
def some_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Put programs of a few lines in the place of the editors' and the judge's; call it to change one."""

    def change(*, edit: str = EDIT, judge: str = JUDGE) -> None:
        monkeypatch.setitem(kinds._kinds, "generate", scripted(generation.KIND, tmp_path, edit))
        service = next(kind for kind in jobs.JOB_KINDS if kind.name == jobs.AT_SERVICE)
        monkeypatch.setitem(kinds._kinds, jobs.AT_SERVICE, scripted(service, tmp_path, judge))

    change()
    monkeypatch.setitem(backends._backends, "plain", scored.PLAIN)
    monkeypatch.setattr(supervisor, "TICK_SECONDS", 0.02)
    monkeypatch.setattr(supervisor, "HEARTBEAT_SECONDS", 0.0)
    return change


@pytest.fixture(name="library")
def a_library(transactional_db: None) -> None:
    load_tasks()  # the database was emptied by the test before


def versions() -> dict[str, PromptVersion]:
    return {task: scored.version(task) for task in TASKS}


def wish(by: Judge, of: dict[str, PromptVersion], **changes: Any) -> Settings:
    """All cases of the two tasks, one editor, one seed."""
    editor = ensure_editor(slug="swift", name="Swift", module="classical", settings={"variant": "careful"})
    tasks = {task: TaskRule(str(version.uid), by.slug, 5.0) for task, version in of.items()}
    values: dict[str, Any] = {
        "tasks": tuple(of),
        "preset": EVERYTHING,
        "total": None,
        "own": {},
        "share": 1.0,
        "seed": 3,
        "endpoint": "",
        "each": 1,
        "clip_model": "",
        "clip_threshold": 0.3,
        "fractions": {"train": 0.5, "dev": 0.0, "test": 0.5, "bench": 0.0},
        "near": True,
        "editors": (editor.slug,),
        "seeds": 1,
        "judge": by.slug,
        "rule": Rule(By.BEST, True, tasks),
        "most_cost": None,
    }
    return Settings(**{**values, **changes})


def work() -> list[Job]:
    """What a worker does: every job that waits, once. Those whose program needs the database run here."""
    done = []
    for job in Job.objects.filter(state=State.QUEUED, is_shared=False).order_by("pk"):
        claimed = queue.claim(uid=str(job.uid), worker="w1")
        assert claimed is not None
        if kinds.kind_of(claimed).work is None:
            supervisor.supervise(claimed)
        else:
            here(claimed)
        claimed.refresh_from_db()
        done.append(claimed)
    return done


def here(job: Job) -> None:
    """A job's own work in this process: another one would have another database."""
    kind, run = kinds.kind_of(job), run_of(job)
    assert kind.work is not None
    try:
        summary = kind.work(run, job)
    except JobError as error:
        queue.finish(job, state=State.FAILED, message=str(error))
    else:
        kind.on_result(job, summary)
        queue.finish(job, state=State.SUCCEEDED, summary=summary)
    finally:
        run._owner.close()


def walk(recipe: Recipe, until: str = "") -> Recipe:
    """Let a worker and the looks take turns, until nothing moves or the step ``until`` has begun."""
    for _turn in range(30):
        before = states(recipe)
        if until and before[until] == "running":
            break
        work()
        services.look()
        if states(recipe) == before and not Job.objects.filter(state=State.QUEUED).exists():
            break
    recipe.refresh_from_db()
    return recipe


def states(recipe: Recipe) -> dict[str, str]:
    return dict(recipe.steps.values_list("name", "state"))


def step(recipe: Recipe, name: str) -> Step:
    return recipe.steps.get(name=name)


def begin(data: Dataset, asked: Settings, name: str = "Mine", by: Any = None) -> Recipe:
    return services.start_recipe(dataset=data, name=name, wish=asked, by=by)


def recipe_row(data: Dataset, by: Any = None, name: str = "Mine") -> Recipe:
    """A recipe that nobody has taken a step of; nothing of what it asks for is there."""
    asked = wish(Judge(slug="nobody"), {})
    made = Recipe.objects.create(name=name, dataset=data, settings=asked.to_json(), created_by=by)
    Step.objects.bulk_create(Step(recipe=made, name=one, position=place) for place, one in enumerate(StepName.values))
    return made
