"""The pages of recipes: the form with its estimate and refusals, what it comes to, the page of one, who may do what."""

import html
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from annotation.curation.balance import HP_EDIT, Row, allocate, draw
from annotation.curation.categorisers import Verdict
from annotation.curation.services import make_balanced, record
from annotation.library import ensure_editor
from annotation.models import Candidate, Dataset, Editor
from scoring.filtering.rules import By, Rule
from scoring.models import Judge, PromptVersion
from tests import judging
from tests.recipes import begin, recipe_row, states, wish
from tests.scoring_pages import make as scored
from tests.scoring_pages.make import plain  # noqa: F401
from training import fit
from training.models import Recipe
from training.recipes import plan, services
from training.recipes.plan import EVEN, EVERYTHING, OWN, REALPREF, Settings, draw_of, estimate
from webapp.accounts.models import User
from webapp.endpoints.models import Endpoint
from webapp.jobs.models import Job

pytestmark = pytest.mark.usefixtures("plain")


@pytest.fixture
def judge(db: None) -> Judge:
    return scored.judge("eye", settings={"level": 9})


@pytest.fixture
def versions(db: None) -> dict[str, PromptVersion]:
    return {task: scored.version(task) for task in ("add", "swap")}


@pytest.fixture
def data(db: None, alice: User) -> Dataset:
    """Six cases of "add" and three of "swap", none with a category."""
    made = scored.dataset({"add": [[]] * 6, "swap": [[]] * 3}, notice="Demo data.", owner=alice)
    ensure_editor(slug="swift", name="Swift", module="classical", settings={"variant": "careful"})
    return made


@pytest.fixture
def browser(bob: User) -> Client:
    client = Client()
    client.force_login(bob)
    return client


VALUES = {
    "name": "Hard ones",
    "preset": "all",
    "share": "100",
    "each": "1",
    "clip_threshold": "0.3",
    "seed": "1",
    "editors": ["swift"],
    "seeds": "2",
    "judge": "eye",
    "by": "best",
    "unscored": "keep",
    "train": "80",
    "dev": "10",
    "test": "10",
    "bench": "0",
    "task_add": "on",
    "threshold_add": "5",
    "task_swap": "on",
    "threshold_swap": "4.5",
}


def text_of(answer: Any) -> str:
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def figure(page: str, label: str) -> str:
    found = re.search(rf"<dt>{label}</dt><dd>(.*?)</dd>", page)
    assert found, label
    return re.sub("<.*?>", "", found[1]).strip()


# The form ------------------------------------------------------------------------------------------------------------


def test_it_works(
    browser: Client,
    data: Dataset,
    judge: Judge,
    versions: dict[str, PromptVersion],
    bob: User,
    django_capture_on_commit_callbacks: Any,
) -> None:
    url = reverse("new_recipe", args=[data.uid])
    first = text_of(browser.get(url))
    assert "Start the recipe" in first
    assert "Demo data." in first
    estimated = text_of(browser.get(url, VALUES))
    assert figure(estimated, "Cases drawn") == "9"
    assert figure(estimated, "Images, at most") == "18"
    assert figure(estimated, "Calls of the judge, at most") == "18"
    assert "errorlist" not in estimated
    assert Recipe.objects.count() == 0
    with django_capture_on_commit_callbacks(execute=True):
        answer = browser.post(url, VALUES)
    recipe = Recipe.objects.get()
    assert answer["Location"] == recipe.get_absolute_url()
    asked = Settings.from_json(recipe.settings)
    assert (set(asked.tasks), asked.editors, asked.seeds, asked.judge) == ({"add", "swap"}, ("swift",), 2, "eye")
    assert {task: (one.version, one.threshold) for task, one in asked.rule.tasks.items()} == {
        "add": (str(versions["add"].uid), 5.0),
        "swap": (str(versions["swap"].uid), 4.5),
    }
    assert asked.fractions == {"train": 0.8, "dev": 0.1, "test": 0.1, "bench": 0.0}
    assert states(recipe)["balance"] == "running"
    page = text_of(browser.get(recipe.get_absolute_url()))
    assert "Balanced draw for Hard ones" in page
    assert "Test judge." not in page  # this judge has no notice
    assert recipe.created_by == bob


def test_the_active_scorer_is_taken_with_its_level_map(
    browser: Client, data: Dataset, judge: Judge, versions: dict[str, PromptVersion]
) -> None:
    scored.version(prompt=versions["add"].prompt)  # newer, but not active
    knots = [[1.0, 0.0], [5.0, 9.0]]
    scored.activate("add", versions["add"], judge, knots)
    browser.post(reverse("new_recipe", args=[data.uid]), {**VALUES, "threshold_add": "7"})
    rule = Settings.from_json(Recipe.objects.get().settings).rule
    assert (rule.tasks["add"].version, rule.tasks["add"].knots) == (str(versions["add"].uid), knots)
    assert rule.tasks["swap"].knots is None


def test_a_level_map_is_its_own_judges(
    browser: Client, data: Dataset, judge: Judge, versions: dict[str, PromptVersion]
) -> None:
    scored.activate("add", versions["add"], scored.judge("other", settings={"level": 9}), [[1.0, 0.0], [5.0, 9.0]])
    browser.post(reverse("new_recipe", args=[data.uid]), VALUES)
    assert Settings.from_json(Recipe.objects.get().settings).rule.tasks["add"].knots is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": ""}, "This field is required"),
        ({"name": "…"}, "at least one letter or digit"),
        ({"name": "n" * 61}, "at most 60 characters"),
        ({"editors": []}, "This field is required"),
        ({"editors": ["elsewhere"]}, "Select a valid choice"),
        ({"editors": ["nobody"]}, "Select a valid choice"),
        ({"judge": ""}, "This field is required"),
        ({"judge": "nobody"}, "Select a valid choice"),
        ({"seeds": "0"}, "greater than or equal to 1"),
        ({"seeds": "x"}, "Enter a whole number"),
        ({"share": "101"}, "less than or equal to 100"),
        ({"train": "70"}, "must sum to 100"),
        ({"train": "nan"}, "Enter a number"),
        ({"most_cost": "0"}, "A limit is more than 0"),
        ({"most_cost": "-1"}, "A limit is more than 0"),
        ({"clip_model": "../etc/passwd"}, "Give the name of a model"),
        ({"endpoint": "nobody"}, "Select a valid choice"),
        ({"task_add": "", "task_swap": ""}, "Choose at least one task."),
        ({"task_style": "on"}, "No case of this task."),
        ({"task_season": "on"}, "No scoring prompt for the overall score"),
        ({"threshold_add": "5.5"}, "Above 0 and up to 5."),
        ({"threshold_add": "0"}, "Above 0 and up to 5."),
        ({"threshold_add": "inf"}, "Enter a number"),
        ({"preset": "luck"}, "Select a valid choice"),
        ({"preset": "own"}, "draws no case at all"),
        ({"preset": "own", "target_add": "-1"}, "greater than or equal to 0"),
        ({"preset": "even", "share": "0"}, "draws no case at all"),  # nothing has a category
        ({"preset": "realpref-50k", "task_weather": "on"}, "Table S6 has no number for Weather"),
    ],
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_wrong_form_starts_nothing(
    browser: Client,
    data: Dataset,
    judge: Judge,
    versions: dict[str, PromptVersion],
    method: str,
    change: dict[str, Any],
    words: str,
) -> None:
    ensure_editor(slug="elsewhere", name="Made elsewhere")
    case = data.cases.filter(task="add")[0]
    if "task_weather" in change:
        scored.version("weather")
    for task in {"task_weather", "task_season"} & set(change):
        data.cases.filter(pk=case.pk).update(task=task.removeprefix("task_"))
    values = {name: value for name, value in {**VALUES, **change}.items() if value != ""}
    answer = getattr(browser, method)(reverse("new_recipe", args=[data.uid]), values)
    assert words in text_of(answer)
    assert (Recipe.objects.count(), Job.objects.count()) == (0, 0)


def test_names_that_are_taken(browser: Client, data: Dataset, judge: Judge, versions: dict[str, PromptVersion]) -> None:
    url = reverse("new_recipe", args=[data.uid])
    other = Dataset.objects.create(slug="hard-ones-candidates", name="Hard ones (candidates)")
    assert "There is a data set “Hard ones (candidates)” already." in text_of(browser.post(url, VALUES))
    other.delete()
    assert browser.post(url, VALUES).status_code == 302
    assert "A recipe of this name is not done yet." in text_of(browser.post(url, VALUES))  # the second press
    assert Recipe.objects.count() == 1


def test_a_data_set_without_sources(browser: Client, judge: Judge, versions: dict[str, PromptVersion]) -> None:
    ensure_editor(slug="swift", name="Swift", module="classical", settings={"variant": "careful"})
    empty = Dataset.objects.create(slug="empty", name="Empty")
    page = text_of(browser.post(reverse("new_recipe", args=[empty.uid]), VALUES))
    assert "This data set has no source images yet." in page


def test_an_editor_that_fits_no_machine_is_refused(
    browser: Client,
    data: Dataset,
    judge: Judge,
    versions: dict[str, PromptVersion],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fit, "problem", lambda editor, machines=None: "It needs 70 GB, and the largest GPU has 8 GB.")
    page = text_of(browser.post(reverse("new_recipe", args=[data.uid]), VALUES))
    assert "Swift: It needs 70 GB, and the largest GPU has 8 GB." in page
    assert Recipe.objects.count() == 0


def refused(data: Dataset, asked: Settings, field: str, words: str) -> None:
    with pytest.raises(ValidationError) as error:
        begin(data, asked, "Hard ones")
    assert words in " ".join(error.value.message_dict[field])
    assert (Recipe.objects.count(), Job.objects.count()) == (0, 0)


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"editors": ()}, "editors", "Choose at least one editor"),
        ({"editors": ("nobody",)}, "editors", "The editor nobody was deleted"),
        ({"editors": ("elsewhere",)}, "editors", "No program makes images for Made elsewhere"),
        ({"endpoint": "nobody"}, "endpoint", "The endpoint “nobody” was deleted"),
        ({"endpoint": "painter"}, "endpoint", "Choose an endpoint for chat"),
        ({"endpoint": "writer", "most_cost": 1.0}, "most_cost", "Costs of “Writer” are not known"),
        ({"seeds": 1_000_000}, "", "This would make 9000000 images"),
        ({"tasks": ("add", "style")}, "task_style", "No case of this task"),
    ],
)
def test_the_service_refuses_it_too(
    data: Dataset,
    judge: Judge,
    versions: dict[str, PromptVersion],
    changes: dict[str, Any],
    field: str,
    words: str,
) -> None:
    ensure_editor(slug="elsewhere", name="Made elsewhere")
    Endpoint.objects.create(slug="writer", name="Writer", base_url="http://127.0.0.1:9/v1", model="m")
    Endpoint.objects.create(slug="painter", name="P", base_url="http://127.0.0.1:9/v1", model="m", kind="images")
    refused(data, wish(judge, versions, **changes), field, words)


def test_a_judge_that_cannot_be_asked(data: Dataset, versions: dict[str, PromptVersion], judge: Judge) -> None:
    cheap = scored.judge("cheap", settings={"level": 1})
    refused(data, wish(cheap, versions, most_cost=1.0), "most_cost", "Costs of “Cheap” are not known")
    odd = Judge.objects.create(slug="odd", name="Odd", kind="gone")
    refused(data, wish(odd, versions), "judge", "There is no kind of judge “gone”")
    asked = wish(judge, versions)
    judge.delete()
    refused(data, asked, "judge", "Choose a judge")


def test_a_version_that_was_deleted(data: Dataset, versions: dict[str, PromptVersion], judge: Judge) -> None:
    asked = wish(judge, versions)
    versions["add"].delete()
    refused(data, asked, "", "A version of a prompt or a judge of this rule was deleted")


# What it comes to ----------------------------------------------------------------------------------------------------


def plain_wish(**changes: Any) -> Settings:
    values: dict[str, Any] = {
        "tasks": ("add", "swap"), "preset": EVERYTHING, "total": None, "own": {}, "share": 0.5, "seed": 1,
        "endpoint": "", "each": 1, "clip_model": "", "clip_threshold": 0.3, "fractions": {"train": 1.0}, "near": False,
        "editors": ("a", "b"), "seeds": 3, "judge": "eye", "rule": Rule(By.BEST, True, {}), "most_cost": None,
    }  # fmt: skip
    return Settings(**{**values, **changes})


def test_the_proportions_are_those_of_table_s6() -> None:
    whole = draw_of(plain_wish(preset=REALPREF, tasks=tuple(HP_EDIT)), {})
    assert sum(whole.targets.values()) == 55_795
    assert whole.targets == {
        "add": 7903, "background": 6506, "bokeh": 6813, "color": 6949,
        "swap": 8243, "relight": 5109, "remove": 7732, "style": 6540,
    }  # fmt: skip
    scaled = draw_of(plain_wish(preset=REALPREF, tasks=tuple(HP_EDIT), total=1000), {})
    assert sum(scaled.targets.values()) == 1000
    assert all(abs(count - 1000 * HP_EDIT[task] / 55_795) < 1 for task, count in scaled.targets.items())
    assert plan.without_number(REALPREF, ["add", "weather"]) == ["weather"]


CELLS = st.dictionaries(
    st.sampled_from(["add", "swap", "style"]),
    st.dictionaries(st.sampled_from(["", "cat", "dog"]), st.integers(1, 6), min_size=1),
)


@given(
    CELLS, st.sampled_from([REALPREF, EVEN, OWN, EVERYTHING]), st.none() | st.integers(1, 40), st.floats(0, 1),
    st.integers(0, 12),
)  # fmt: skip
def test_the_estimate_is_what_is_drawn(
    supply: dict[str, dict[str, int]], preset: str, total: int | None, share: float, own: int
) -> None:
    asked = plain_wish(preset=preset, total=total, share=share, own={"add": own, "swap": 2})
    found = estimate(asked, supply, sources=10, passes=2)
    rows = [
        Row(f"{task}-{name}-{number}", name, task, f"{task}{name}{number}")
        for task, cells in supply.items()
        for name, count in cells.items()
        for number in range(count)
    ]
    recipe = draw_of(asked, supply)
    drawn = draw(rows, allocate(supply, recipe.targets, recipe.share, recipe.seed), recipe.seed)
    assert found.exact
    assert found.drawn == len(drawn)
    assert not [key for key in drawn if key.startswith("style")]  # not one of the recipe's tasks
    assert (found.images, found.calls, found.requests) == (len(drawn) * 6, len(drawn) * 12, 0)


def test_with_instructions_to_come_the_estimate_is_a_limit() -> None:
    asked = plain_wish(preset=OWN, own={"add": 10, "swap": 10}, endpoint="writer", each=2)
    found = estimate(asked, {"add": {"": 3}}, sources=4, passes=1)
    assert not found.exact
    assert [(line.task, line.there, line.target, line.drawn) for line in found.lines] == [
        ("add", 3, 10, 10),
        ("swap", 0, 10, 8),
    ]
    assert found.requests == 8
    assert [line.task for line in found.short] == ["swap"]


def test_settings_come_back_as_they_were(judge: Judge, versions: dict[str, PromptVersion]) -> None:
    asked = wish(judge, versions, most_cost=2.5, own={"add": 3})
    assert Settings.from_json(json.loads(json.dumps(asked.to_json()))) == asked
    with pytest.raises(ValueError, match="another judge"):
        wish(judge, versions, judge="somebody")


# The page of one -----------------------------------------------------------------------------------------------------


def test_the_funnel_counts_what_is_there(browser: Client, data: Dataset, judge: Judge, bob: User) -> None:
    groups: dict[str, list[list[float | None]]] = {"add": [[5, 2], [3, 1], [None, None]]}
    source = scored.dataset(groups, notice="Demo data.")
    version = {"add": scored.version()}
    asked = wish(judge, version, seeds=2)
    recipe = begin(source, asked, "Hard ones", bob)
    drawn = make_balanced(dataset=source, name="Drawn", recipe=draw_of(asked, {"add": {"": 3}}), by=bob)
    Candidate.objects.filter(case__dataset=source).delete()
    editor = Editor.objects.get(slug="swift")
    for case in drawn.cases.all():
        for seed in range(2):
            image = judging.stored_image(f"x{case.pk}-{seed}")
            image.save()
            Candidate.objects.create(case=case, editor=editor, image=image, seed=seed, settings_hash="h")
    scored.score_all(drawn, groups, judge, version)
    Candidate.objects.filter(case__key="add-002", seed=0).update(fault="blank")
    Recipe.objects.update(drawn=drawn)
    record(verdicts=[Verdict(case.source_id, "cat", "m", 0.5) for case in source.cases.all()[:1]])
    page = text_of(browser.get(recipe.get_absolute_url()))
    counts = [int(found) for found in re.findall(r"<b>(\d+)</b>", page)]
    assert counts == [3, 3, 3, 6, 4, 0]
    shares = [int(found) for found in re.findall(r'<b class="num">(\d+) %</b>', page)]
    assert shares == [33, 100, 100, 100, 80]
    assert "1 were set aside" in page
    assert "Demo data." in page
    assert reverse("dataset", args=[drawn.uid]) in page


@pytest.mark.parametrize("name", ["recipe", "recipe_now", "recipes", "new_recipe"])
def test_pages_cost_few_queries(
    browser: Client, data: Dataset, judge: Judge, versions: dict[str, PromptVersion], name: str
) -> None:
    recipe = begin(data, wish(judge, versions), by=None)
    url = reverse(name, args={"recipes": [], "new_recipe": [data.uid]}.get(name, [recipe.uid]))
    costs = []
    for more in (0, 6):
        for number in range(more):
            recipe_row(data, name=f"More {number}")
            step = recipe.steps.get(name="scores")
            step.jobs.add(Job.objects.create(kind="score", queue="default", title=f"Job {number}", state="succeeded"))
            case = data.cases.filter(task="add")[0]
            case.pk, case.uid, case.key = None, judging.uuid.uuid4(), f"more-{number}"
            case.save()
        browser.get(url)
        with CaptureQueriesContext(connection) as found:
            browser.get(url, VALUES if name == "new_recipe" else {})
        costs.append(len(found))
    assert costs[0] == costs[1] <= {"recipes": 4, "new_recipe": 36}.get(name, 19), costs


def press(client: Client, recipe: Recipe, name: str) -> str:
    answer = client.post(reverse(name, args=[recipe.uid]), follow=True)
    return html.unescape(answer.content.decode()) if answer.status_code == 200 else str(answer.status_code)


def test_buttons_are_there_for_those_who_may(
    browser: Client,
    data: Dataset,
    judge: Judge,
    versions: dict[str, PromptVersion],
    alice: User,
    person: Callable[..., Any],
) -> None:
    recipe = recipe_row(data, alice)
    services.advance(key=recipe.pk)  # the draw
    assert press(browser, recipe, "recipe_stop") == "403"
    assert ">Stop<" not in text_of(browser.get(recipe.get_absolute_url()))
    owner = Client()
    owner.force_login(alice)
    assert ">Stop<" in text_of(owner.get(recipe.get_absolute_url()))
    page = press(owner, recipe, "recipe_stop")
    assert "asked to stop" in page
    assert ">Try again<" in page
    assert "Go on with what is there" not in page  # nothing follows without the draw
    assert "No job of this recipe runs now." in press(owner, recipe, "recipe_stop")
    assert "The step is tried again." in press(owner, recipe, "recipe_try_again")
    assert "No step waits for that now." in press(owner, recipe, "recipe_go_on")


def test_the_list_shows_whose_data_it_is(browser: Client, data: Dataset, bob: User) -> None:
    assert "No recipes yet" in text_of(browser.get(reverse("recipes")))
    recipe_row(data, bob, "One")
    page = text_of(browser.get(reverse("recipes")))
    assert '<span class="badge demo">Demo data.</span>' in page
    assert "One" in page
