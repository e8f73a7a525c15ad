"""Who can give a reward: what is offered, what the job is told of it, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from annotation.library import load_tasks
from annotation.models import Dataset
from scoring.models import Activation, Judge, Prompt, PromptVersion
from tests import judging, reward_models
from tests.calibration.make import prompt, version
from tests.scoring_jobs import make
from training.gpu.posttrain.rewarding import FIELDS, KINDS, load_source
from training.gpu.posttrain.rewarding.judges import read_prompts
from training.gpu.posttrain.rewarding.truth import NAME
from training.runs import judges
from webapp.endpoints.http import VARIABLE
from webapp.endpoints.models import Endpoint
from webapp.jobs.folder import JobError
from webapp.jobs.models import Job


@pytest.fixture(autouse=True)
def _own_machine(settings: Any, db: None) -> None:
    settings.PRIVATE_ENDPOINTS = True
    load_tasks()
    PromptVersion.objects.update(parent=None)
    PromptVersion.objects.all().delete()  # an installation begins with some, and with a judge
    Prompt.objects.all().delete()
    Judge.objects.all().delete()


@pytest.fixture
def add() -> PromptVersion:
    return prompt("hp-add", "Is it there?").versions.get()


@pytest.fixture
def color() -> PromptVersion:
    return prompt("hp-color", "Has it the colour?", "Is the rest kept?", task="color").versions.get()


@pytest.fixture
def demo() -> Judge:
    return Judge.objects.create(slug="demo", name="Demo", kind="drawn", notice="Demo judge, not a VLM.")


@pytest.fixture
def eye() -> Judge:
    make.endpoint()
    return make.judge(passes=3, temperature=1.0)


def activate(of: PromptVersion, judge: Judge, task: str, **more: Any) -> Activation:
    given = {"dimension": "overall", "figures": {}, **more}
    return Activation.objects.create(task_id=task, version=of, judge=judge, **given)


def drawn_dataset() -> Dataset:
    data = judging.dataset(cases=2, editors=1)
    data.cases.update(params={"scene": {}, "edit": {}})
    return data


def test_it_works(add: PromptVersion, color: PromptVersion, demo: Judge) -> None:
    """What is offered becomes an entry of job.json that the job's program can read."""
    offered = dict(judges.choices())
    value = "usual:demo"
    assert offered[value] == "Demo with each task's usual prompt"
    told = judges.spec(value, ["color", "add", "add"], weight=2)
    assert json.loads(json.dumps(told)) == told and set(told) <= set(FIELDS) and told["kind"] in KINDS
    assert (told["name"], told["weight"], told["kind"], told["settings"]) == (offered[value], 2.0, "drawn", {})
    assert {task: len(one.keys) for task, one in read_prompts(told).items()} == {"add": 1, "color": 2}
    assert told["prompt"]["color"]["questions"] == ["q0", "q1"] and told["prompt"]["color"]["high"] == 5
    named = [(row["prompt"], row["number"]) for row in told["identity"]["versions"]]
    assert named == [("hp-add", 1), ("hp-color", 1)] and told["identity"]["judge"] == "demo"


def test_what_is_offered(add: PromptVersion, demo: Judge, eye: Judge, django_assert_max_num_queries: Any) -> None:
    """Judges with the newest and the active versions, active scorers, reward models, services, and the truth."""
    activate(add, eye, "add")
    newer = version(add.prompt, "Really?")
    version(add.prompt, "Perhaps?", is_trial=True)
    model = reward_models.model()
    Judge.objects.create(slug="as-judge", name="As judge", kind="reward")
    with django_assert_max_num_queries(8):
        offered = judges.choices()
    values = [value for value, _label in offered]
    assert len(set(values)) == len(values) == len({label for _value, label in offered})
    assert set(values) == {
        "active:eye",
        *(f"usual:{slug}" for slug in ("demo", "eye")),
        *(f"judge:{slug}:{row.uid}" for slug in ("demo", "eye") for row in (add, newer)),
        *(f"model:{model.slug}:1:{key}" for key in ("overall", "quality", "alignment")),
        "http:local",
        "truth",
    }
    assert all(judges.label(value) in label for value, label in offered)


def test_the_truth_is_offered_where_there_is_one_and_says_what_it_is(tmp_path: Path) -> None:
    other, drawn = judging.dataset(cases=1, editors=1), drawn_dataset()
    assert "truth" not in dict(judges.choices(other))
    assert (
        NAME in dict(judges.choices(drawn))["truth"] and "tests of the method" in dict(judges.choices(drawn))["truth"]
    )
    assert NAME in load_source(judges.spec("truth", ["add"], dataset=drawn), tmp_path).name
    assert "a test of the method" in judges.notices(["truth"])[0]
    with pytest.raises(ValidationError, match="not of the drawn world"):
        judges.spec("truth", ["add"], dataset=other)


def test_active_scorers_of_one_judge_are_one_source(
    add: PromptVersion, color: PromptVersion, demo: Judge, eye: Judge
) -> None:
    """Those of another judge, of another dimension, and those that have ended are not among them."""
    activate(add, demo, "add")
    activate(color, eye, "color")
    activate(color, demo, "swap", dimension="quality")
    activate(color, demo, "remove", ended_at=timezone.now())
    told = judges.spec("active:demo", ["add"])
    assert list(told["prompt"]) == ["add"] and told["name"] == "Active scorers with Demo"
    for task in ("color", "swap", "remove"):
        with pytest.raises(ValidationError, match="has no prompt here for"):
            judges.spec("active:demo", ["add", task])


def test_an_endpoints_judge_goes_with_its_passes_and_without_its_key(add: PromptVersion, eye: Judge) -> None:
    told = judges.spec(f"judge:eye:{add.uid}", ["add"])
    assert (told["kind"], told["passes"]) == ("endpoint", 3)
    assert told["settings"] == {"endpoint": "local", "temperature": 1.0}
    service = judges.spec("http:local", ["add"])
    assert service["settings"] == {"endpoint": "local", "dimension": "overall"}
    job = Job(config={"rewards": [told], "held_out": [service]})
    handed = json.loads(judges.environment_of(job)[VARIABLE])
    assert [one["key"] for one in handed] == ["sk-secret"] and "sk-secret" not in json.dumps([told, service])
    assert judges.environment_of(Job(config={"rewards": [judges.spec("truth", ["add"])], "held_out": []})) == {}


def test_requirements_of_the_cases_go_with_the_prompt(add: PromptVersion, demo: Judge) -> None:
    data = judging.dataset(cases=2, editors=1)
    data.cases.filter(key="case-001").update(requirement="Keep the sky.")
    told = judges.spec("usual:demo", ["add"], dataset=data)
    assert told["requirements"] == {"case-001": "Keep the sky."}


def test_a_reward_model_is_placed_once_and_outlives_its_version(tmp_path: Path) -> None:
    model = reward_models.model()
    told = judges.spec("model:mine:1:quality", ["add"])
    assert told["identity"]["fingerprint"] == told["settings"]["fingerprint"] == model.fingerprint
    judges.place([told], [told], tmp_path)
    placed = tmp_path / told["settings"]["folder"]
    assert (placed / "reward.json").exists() and (placed / "backbone" / "network.safetensors").stat().st_size == 1000
    assert [one.name for one in placed.parent.iterdir()] == [model.fingerprint]
    model.delete()
    judges.place([told], [], tmp_path)
    with pytest.raises(JobError, match="v1 was deleted"):
        judges.place([told], [], tmp_path / "another")


def test_a_held_out_judge_must_not_be_the_one_that_is_trained_on(
    add: PromptVersion, color: PromptVersion, demo: Judge, eye: Judge
) -> None:
    """The same weights, or the same model with a prompt in common, under whatever name."""
    activate(add, demo, "add")
    reward_models.model()
    reward_models.model(number=2)
    reward_models.model("copy", fingerprint=f"{1:064}")
    Judge.objects.create(slug="twin", name="Twin", kind="drawn")
    with_add, with_color = (f"judge:demo:{row.uid}" for row in (add, color))
    pairs = {
        ("truth", "truth"): True,
        ("truth", with_add): False,
        (with_add, with_color): False,
        (with_add, "active:demo"): True,
        ("usual:demo", with_color): True,
        (with_color, "active:demo"): False,
        (with_add, f"judge:twin:{add.uid}"): True,
        (with_add, f"judge:eye:{add.uid}"): False,
        ("model:mine:1:overall", "model:mine:1:quality"): True,
        ("model:mine:1:overall", "model:copy:1:overall"): True,
        ("model:mine:1:overall", "model:mine:2:overall"): False,
        ("http:local", "http:local"): True,
        ("gone:1", "gone:1"): True,
        ("gone:1", "gone:2"): False,
    }
    assert {pair: judges.same(*pair) for pair in pairs} == pairs
    assert judges.same(judges.spec(with_add, ["add"]), "active:demo")
    assert not judges.same(judges.spec(with_add, ["add"]), judges.spec("truth", ["add"]))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "There is no source"),
        ("os:system", "There is no source"),
        ("usual:nobody", "The judge “nobody” was deleted"),
        (f"judge:demo:{UUID(int=1)}", "version of the prompt was deleted"),
        ("judge:demo:none", "version of the prompt was deleted"),
        ("model:mine:7:overall", "version 7: it was deleted"),
        ("model:mine:99999999999999999999:overall", "it was deleted"),
        ("model:mine", "it was deleted"),
        ("model:mine:1:mood", "no dimension “mood”"),
        ("http:nowhere", "endpoint “nowhere” was deleted"),
        ("active:demo", "has no prompt here for"),
        ("usual:lost", "does not exist"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(value: str, words: str, add: PromptVersion, demo: Judge) -> None:
    reward_models.model()
    Judge.objects.create(slug="lost", name="Lost", kind="endpoint", settings={"endpoint": "gone"})
    with pytest.raises(ValidationError, match=words):
        judges.spec(value, ["add"])


def test_a_task_without_a_prompt_is_named(add: PromptVersion, demo: Judge) -> None:
    with pytest.raises(ValidationError, match="no prompt here for Colour change"):
        judges.spec(f"judge:demo:{add.uid}", ["add", "color"])


def test_a_judge_that_was_deleted_or_changed_stops_the_run_before_it_begins(
    add: PromptVersion, eye: Judge, tmp_path: Path
) -> None:
    told = judges.spec(f"judge:eye:{add.uid}", ["add"])
    judges.place([told], [], tmp_path)
    Endpoint.objects.update(model="another-model")
    with pytest.raises(JobError, match="another judge than when this run began"):
        judges.place([], [told], tmp_path)
    eye.delete()
    with pytest.raises(JobError, match="was deleted"):
        judges.place([told], [], tmp_path)
    assert judges.label("usual:eye") == "usual:eye" and judges.notices(["usual:eye"]) == []


def test_notices_are_told_once(add: PromptVersion, demo: Judge) -> None:
    reward_models.model(notice="Demo data.")
    values = ["usual:demo", f"judge:demo:{add.uid}", "model:mine:1:overall"]
    assert judges.notices(values) == ["Demo judge, not a VLM.", "Demo data."]
