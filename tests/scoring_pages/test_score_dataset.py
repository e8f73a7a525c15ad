"""Scoring a data set: what the form chooses, what it estimates, all jobs or none."""

import html
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.models import Candidate, Case, Dataset
from scoring.asking import datasets, queries, selections
from scoring.asking.forms import ScoreForm
from scoring.models import Judge, PromptVersion, Score
from tests import judging
from tests.scoring_pages import make
from tests.scoring_pages.make import plain  # noqa: F401
from webapp.accounts.models import User
from webapp.endpoints.models import Endpoint
from webapp.jobs.models import Job

GROUPS: dict[str, list[list[float | None]]] = {"add": [[5, None], [4, None]], "swap": [[None, None]]}


@pytest.fixture
def judge(plain: Any, db: None) -> Judge:
    return make.judge("eye", settings={"level": 1})


@pytest.fixture
def versions(db: None) -> dict[str, PromptVersion]:
    return {task: make.version(task) for task in GROUPS}


@pytest.fixture
def data(judge: Judge, versions: dict[str, PromptVersion]) -> Dataset:
    made = make.dataset(GROUPS)
    make.score_all(made, GROUPS, judge, versions)
    return made


@pytest.fixture
def browser(bob: User) -> Client:
    client = Client()
    client.force_login(bob)
    return client


def values_of(versions: dict[str, PromptVersion], **change: Any) -> dict[str, Any]:
    chosen = {f"version_{task}": str(one.uid) for task, one in versions.items()}
    return {"judge": "eye", **chosen, "most_cost": "", **change}


def url_of(data: Dataset) -> str:
    return reverse("score_dataset", args=[data.uid])


def text_of(answer: Any) -> str:
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def form_of(data: Dataset) -> ScoreForm:
    return ScoreForm(dataset=data, cells=queries.cells_of(data))


def test_it_works(browser: Client, data: Dataset, versions: dict[str, PromptVersion], bob: User) -> None:
    answer = browser.post(url_of(data), values_of(versions))
    assert answer["Location"] == reverse("hard_cases", args=[data.uid])
    found = {tuple(job.config["versions"]): job for job in Job.objects.all()}
    assert set(found) == {(str(one.uid),) for one in versions.values()}
    for task, one in versions.items():
        job = found[(str(one.uid),)]
        assert (job.config["judge"]["slug"], job.created_by, job.config["most_cost"]) == ("eye", bob, None)
        rows = selections.candidates_of(job.config["selection"], one)
        assert set(rows) == set(Candidate.objects.filter(case__dataset=data, case__task=task))
    page = text_of(browser.get(url_of(data)))
    assert all(job.get_absolute_url() in page for job in found.values())


def test_a_single_job_leads_to_its_page(browser: Client, data: Dataset, versions: dict[str, PromptVersion]) -> None:
    answer = browser.post(url_of(data), values_of(versions, version_swap=""))
    assert answer["Location"] == Job.objects.get().get_absolute_url()


def test_a_prompt_for_every_task_scores_only_the_tasks_it_was_chosen_for(
    browser: Client, data: Dataset, versions: dict[str, PromptVersion]
) -> None:
    general = make.version(None)
    browser.post(url_of(data), values_of(versions, version_add=str(general.uid), version_swap=""))
    job = Job.objects.get()
    assert selections.candidates_of(job.config["selection"], general).count() == 4


# Defaults ------------------------------------------------------------------------------------------------------------


def test_the_newest_version_of_the_task_is_chosen(data: Dataset, versions: dict[str, PromptVersion]) -> None:
    newest = make.version(prompt=versions["add"].prompt)
    trial = make.version(prompt=versions["add"].prompt)
    PromptVersion.objects.filter(pk=trial.pk).update(is_trial=True)
    make.version(None)  # for every task: what is for this one comes first
    form = form_of(data)
    assert form.fields["version_add"].initial == str(newest.uid)
    assert str(trial.uid) not in dict(form.fields["version_add"].choices)  # type: ignore[attr-defined]


def test_the_active_scorer_comes_first(data: Dataset, versions: dict[str, PromptVersion], judge: Judge) -> None:
    make.version(prompt=versions["add"].prompt)
    chosen = make.judge("chosen")
    ended = make.activate("swap", make.version("swap"), judge)
    ended.ended_at = ended.created_at
    ended.save()
    make.activate("add", versions["add"], chosen)
    form = form_of(data)
    assert form.fields["version_add"].initial == str(versions["add"].uid)
    assert form.initial["judge"] == "chosen"
    assert form.choices[0].reason == "The active scorer."


def test_without_prompts_judges_or_candidates_the_page_says_so(browser: Client, data: Dataset, judge: Judge) -> None:
    PromptVersion.objects.exclude(prompt__task__in=GROUPS).update(is_trial=True)  # those that are there from the start
    alone = make.dataset({"style": [[None]]})
    page = text_of(browser.get(url_of(alone)))
    assert "No prompt of this task" in page
    assert "Choose a version for at least one task." in page
    empty = judging.dataset(cases=1, editors=0)
    assert "No candidates yet" in text_of(browser.get(url_of(empty)))
    Score.objects.all().delete()
    judge.delete()
    assert "No judges yet" in text_of(browser.get(url_of(data)))


# Estimate ------------------------------------------------------------------------------------------------------------


def estimate_of(data: Dataset, versions: dict[str, PromptVersion], **values: Any) -> queries.Estimate:
    cells = queries.cells_of(data)
    form = ScoreForm(values_of(versions, **values), dataset=data, cells=cells)
    assert form.is_valid(), form.errors
    editors = {slug: form.editor_keys[slug] for slug in form.cleaned_data["editors"]}
    wish = queries.Wish(data, form.cleaned_data["judge"], form.wanted(), form.cleaned_data["splits"], editors)
    return queries.estimate(wish, cells, [one.task for one in form.choices])


def test_the_estimate_counts_what_is_open(
    browser: Client, data: Dataset, versions: dict[str, PromptVersion], judge: Judge
) -> None:
    found = estimate_of(data, versions)
    assert [(line.task.pk, line.candidates, line.scored, line.calls) for line in found.lines] == [
        ("add", 4, 2, 2),
        ("swap", 2, 0, 2),
    ]
    assert (found.cost, found.used.answers) == (None, 0)
    assert "not known" in text_of(browser.get(url_of(data)))
    make.answer(judge, tokens_in=100, tokens_out=20, cost=0.5, seconds=2)
    make.answer(judge, tokens_in=300, tokens_out=20, cost=1.0, seconds=4)
    make.answer(judge, tokens_in=900, cost=90.0, status="failed")  # says nothing of an answer
    found = estimate_of(data, versions)
    assert [(line.tokens, line.cost) for line in found.lines] == [(440, 1.5), (440, 1.5)]
    assert found.cost == 3.0
    Judge.objects.update(passes=4)
    assert estimate_of(data, versions).calls == 16


def test_failed_scores_are_open_and_refused_ones_are_not(
    data: Dataset, versions: dict[str, PromptVersion], judge: Judge
) -> None:
    one, other = Candidate.objects.filter(case__dataset=data, case__task="swap")
    make.give(one, versions["swap"], judge, None, "failed")
    make.give(other, versions["swap"], judge, None, "refused")
    assert [line.open for line in estimate_of(data, versions).lines] == [2, 1]


def test_splits_editors_and_the_set_aside_narrow_it(
    data: Dataset, versions: dict[str, PromptVersion], judge: Judge
) -> None:
    Case.objects.filter(key="add-000").update(split="test")
    found = estimate_of(data, versions, splits=["test"])
    assert [(line.candidates, line.scored) for line in found.lines] == [(2, 1), (0, 0)]
    assert estimate_of(data, versions, editors=["editor-0"]).candidates == 6
    Candidate.objects.filter(case__key="add-000").update(fault="blank")
    assert [line.candidates for line in estimate_of(data, versions).lines] == [2, 2]


def test_a_preview_starts_nothing(browser: Client, data: Dataset, versions: dict[str, PromptVersion]) -> None:
    page = text_of(browser.get(url_of(data), values_of(versions, version_swap="")))
    assert "Requests, at most" in page
    assert Job.objects.count() == 0


# Refusals ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"judge": "nobody"}, "judge", "Select a valid choice"),
        ({"judge": ""}, "judge", "This field is required"),
        ({"version_add": "x"}, "version_add", "Select a valid choice"),
        ({"version_add": "", "version_swap": ""}, "", "Choose a version for at least one task."),
        ({"splits": ["test"]}, "version_add", "No candidate of this task is in these splits"),
        ({"editors": ["nobody"]}, "editors", "Select a valid choice"),
        ({"most_cost": "0"}, "most_cost", "more than 0"),
        ({"most_cost": "nan"}, "most_cost", "Enter a number"),
        ({"most_cost": "2"}, "most_cost", "Costs of “Eye” are not known"),
    ],
)
def test_a_wrong_form_starts_nothing(
    browser: Client, data: Dataset, versions: dict[str, PromptVersion], change: Any, field: str, words: str
) -> None:
    page = text_of(browser.post(url_of(data), values_of(versions, **change)))
    place = page.index(words)
    if field:
        assert page.index(f'id="id_{field}') < place  # beside its field
    assert Job.objects.count() == 0


def test_one_task_that_cannot_be_scored_stops_all(
    browser: Client, data: Dataset, versions: dict[str, PromptVersion]
) -> None:
    Case.objects.filter(task="add").update(split="test")
    page = text_of(browser.post(url_of(data), values_of(versions, splits=["test"])))
    assert "No candidate of this task" in page
    assert Job.objects.count() == 0


def test_a_failure_at_the_second_job_leaves_none(
    data: Dataset, versions: dict[str, PromptVersion], monkeypatch: pytest.MonkeyPatch
) -> None:
    start, calls = datasets.start_scoring, []

    def fail(**values: Any) -> Any:
        calls.append(values)
        if len(calls) == 2:
            raise ValidationError("No.")
        return start(**values)

    monkeypatch.setattr(datasets, "start_scoring", fail)
    found = estimate_of(data, versions)
    wish = queries.Wish(data, found.judge, versions)
    with pytest.raises(ValidationError):
        datasets.start_all(wish=wish, estimate=found, most_cost=None, by=None)
    assert (len(calls), Job.objects.count()) == (2, 0)


def test_a_second_press_is_refused_while_the_first_runs(
    browser: Client, data: Dataset, versions: dict[str, PromptVersion]
) -> None:
    browser.post(url_of(data), values_of(versions, version_swap=""))
    page = text_of(browser.post(url_of(data), values_of(versions)))
    assert "A job scores this task by this version and judge now." in page
    assert Job.objects.count() == 1
    Job.objects.update(state="succeeded")
    assert browser.post(url_of(data), values_of(versions)).status_code == 302


def test_the_limit_is_shared_out(browser: Client, data: Dataset, versions: dict[str, PromptVersion]) -> None:
    Judge.objects.update(settings={"level": 9})  # whose costs are known
    Score.objects.filter(candidate__case__key="add-000").delete()
    browser.post(url_of(data), values_of(versions, most_cost="10"))
    limits = {job.config["versions"][0]: job.config["most_cost"] for job in Job.objects.all()}
    assert limits == {str(versions["add"].uid): pytest.approx(6), str(versions["swap"].uid): pytest.approx(4)}


def test_a_judge_whose_endpoint_is_gone_is_refused(
    browser: Client, data: Dataset, versions: dict[str, PromptVersion]
) -> None:
    Judge.objects.create(slug="far", name="Far", kind="endpoint", settings={"endpoint": "gone"})
    assert "The endpoint “gone” does not exist." in text_of(
        browser.post(url_of(data), values_of(versions, judge="far"))
    )
    Judge.objects.create(slug="odd", name="Odd", kind="nonsense")
    assert "no kind of judge “nonsense”" in text_of(browser.post(url_of(data), values_of(versions, judge="odd")))
    Endpoint.objects.create(slug="gone", name="G", base_url="http://127.0.0.1:9/v1", model="m")
    assert browser.post(url_of(data), values_of(versions, judge="far")).status_code == 302


def test_an_annotator_scores_nothing(
    client: Client, data: Dataset, versions: dict[str, PromptVersion], carol: User
) -> None:
    client.force_login(carol)
    assert client.get(url_of(data)).status_code == 403
    assert client.post(url_of(data), values_of(versions)).status_code == 403
    assert Job.objects.count() == 0


def test_more_candidates_cost_no_more_queries(
    browser: Client, judge: Judge, versions: dict[str, PromptVersion]
) -> None:
    costs = []
    for count in (2, 9):
        groups: dict[str, list[list[float | None]]] = {task: [[5, 2]] * count for task in GROUPS}
        data = make.dataset(groups)
        make.score_all(data, groups, judge, versions)
        browser.get(url_of(data))
        with CaptureQueriesContext(connection) as found:
            browser.get(url_of(data))
        costs.append(len(found))
    assert costs[0] == costs[1] <= 18
