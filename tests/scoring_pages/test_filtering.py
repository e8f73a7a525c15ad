"""Hard cases: the database's verdicts against a plain loop, the filtered set, the pages."""

import html
import re
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotation.curation.categorisers import Verdict as Category
from annotation.curation.services import record
from annotation.models import Candidate, Case, Dataset, DatasetVersion
from annotation.versions import freeze
from scoring.filtering import pages, queries, services
from scoring.filtering.forms import FilterForm
from scoring.filtering.rules import By, Rule, TaskRule, verdict
from scoring.models import Judge, PromptVersion, Score
from tests import judging
from tests.freezing import run_of
from tests.scoring_pages import make
from tests.scoring_pages.make import plain  # noqa: F401
from webapp.accounts.models import User
from webapp.jobs.folder import JobError
from webapp.jobs.models import Job

# In order: goes by best; stays; unscored in part, stays; unscored; goes by best and mean.
ADD: list[list[float | None]] = [[5, 1], [4.5, 2], [3, None], [None, None], [5, 5]]
SWAP: list[list[float | None]] = [[4], [5], [2]]
GROUPS = {"add": ADD, "swap": SWAP}


@pytest.fixture
def judge(db: None) -> Judge:
    return make.judge("eye")


@pytest.fixture
def versions(db: None) -> dict[str, PromptVersion]:
    return {task: make.version(task) for task in GROUPS}


@pytest.fixture
def data(judge: Judge, versions: dict[str, PromptVersion], alice: Any) -> Dataset:
    made = make.dataset(GROUPS, notice="Demo data.", owner=alice)
    make.score_all(made, GROUPS, judge, versions)
    return made


@pytest.fixture
def browser(bob: User) -> Client:
    client = Client()
    client.force_login(bob)
    return client


def rule_of(
    versions: dict[str, PromptVersion], judge: Judge, by: By = By.BEST, keep: bool = True, **thresholds: float | None
) -> Rule:
    tasks = {task: TaskRule(str(one.uid), judge.slug, thresholds.get(task, 5.0)) for task, one in versions.items()}
    return Rule(by, keep, tasks)


def verdicts(data: Dataset, rule: Rule) -> dict[str, str]:
    return dict(queries.judged_cases(data, rule, services.scorers_by(rule)).values_list("key", "verdict"))


def do(job: Job) -> Dataset:
    """What a worker does with the job."""
    assert services.KIND.work is not None
    job.summary = services.KIND.work(run_of(job), job)
    job.save()
    return Dataset.objects.get(uid=job.summary["dataset"])


def start(data: Dataset, rule: Rule, name: str = "Hard ones", by: Any = None) -> Job:
    return services.start_filtering(dataset=data, name=name, rule=rule, by=by)


# Verdicts ------------------------------------------------------------------------------------------------------------


def test_it_works(data: Dataset, versions: dict[str, PromptVersion], judge: Judge) -> None:
    found = verdicts(data, rule_of(versions, judge))
    assert [key for key, value in sorted(found.items()) if value == "dropped"] == ["add-000", "add-004", "swap-001"]
    assert [key for key, value in sorted(found.items()) if value == "unscored"] == ["add-003"]
    by_mean = verdicts(data, rule_of(versions, judge, By.MEAN))
    assert [key for key, value in sorted(by_mean.items()) if value == "dropped"] == ["add-004", "swap-001"]


LEVELS = st.sampled_from([0.0, 1.0, 2.5, 4.0, 4.5, 4.9, 5.0])
CASES = st.lists(st.lists(st.none() | LEVELS, max_size=3), max_size=5)
KNOTS = st.sampled_from([None, [[1.0, 0.5], [4.0, 3.0], [5.0, 4.8]], [[2.0, 3.0], [3.0, 3.0]]])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CASES, CASES, st.sampled_from(By), st.none() | LEVELS, KNOTS)
def test_the_database_says_what_the_rule_says(
    db: None, add: Any, swap: Any, by: By, threshold: float | None, knots: Any
) -> None:
    judge, other = make.judge(), make.judge()
    groups = {"add": add, "swap": swap}
    versions = {"add": make.version(), "swap": make.version("swap")}
    data = make.dataset(groups)
    make.score_all(data, groups, judge, versions)
    for candidate in Candidate.objects.filter(case__dataset=data):  # what nobody asked for must not count
        make.give(candidate, versions["add"], other, 5)
    tasks = {"add": TaskRule(str(versions["add"].uid), judge.slug, threshold, knots)}
    rule = Rule(by, True, tasks)
    expected = {
        f"{task}-{place:03}": verdict([score for score in scores if score is not None], tasks.get(task), by)
        for task, cases in groups.items()
        for place, scores in enumerate(cases)
    }
    assert verdicts(data, rule) == expected


def test_candidates_that_are_set_aside_do_not_count(
    data: Dataset, versions: dict[str, PromptVersion], judge: Judge
) -> None:
    Candidate.objects.filter(case__key="swap-001").update(fault="blank")
    assert verdicts(data, rule_of(versions, judge))["swap-001"] == "unscored"
    Candidate.objects.filter(case__key="swap-001").update(fault_kept=True)
    assert verdicts(data, rule_of(versions, judge))["swap-001"] == "dropped"


def test_failed_answers_leave_a_case_unscored(data: Dataset, versions: dict[str, PromptVersion], judge: Judge) -> None:
    for candidate in Candidate.objects.filter(case__key="add-003"):
        make.give(candidate, versions["add"], judge, None, "refused")
    assert verdicts(data, rule_of(versions, judge))["add-003"] == "unscored"


# The filtered set ----------------------------------------------------------------------------------------------------


def test_the_filtered_set(data: Dataset, versions: dict[str, PromptVersion], judge: Judge, bob: Any) -> None:
    Case.objects.filter(key__in=["add-001", "add-000"]).update(split="test")
    rule = rule_of(versions, judge, swap=4.0)
    made = do(start(data, rule, by=bob))
    assert sorted(made.cases.values_list("key", flat=True)) == ["add-001", "add-002", "add-003", "swap-002"]
    assert made.cases.get(key="add-001").split == "test"
    assert (made.name, made.derived_from, made.created_by) == ("Hard ones", data, bob)
    assert made.recipe["rule"] == rule.to_json()
    assert made.recipe["counts"] == {
        "add": {"kept": 2, "dropped": 2, "unscored": 1},
        "swap": {"kept": 1, "dropped": 2, "unscored": 0},
    }
    version = made.versions.get()
    assert (version.number, version.cases, version.created_by) == (1, 4, bob)
    assert version.facts["recipe"]["rule"] == rule.to_json()
    assert "add 5, swap 4; unscored cases stay" in version.note
    assert data.cases.count() == 8  # as it was
    assert Score.objects.filter(candidate__case__dataset=made).count() == 0


def test_unscored_cases_go_where_the_rule_says_so(
    data: Dataset, versions: dict[str, PromptVersion], judge: Judge
) -> None:
    made = do(start(data, rule_of(versions, judge, keep=False)))
    assert sorted(made.cases.values_list("key", flat=True)) == ["add-001", "add-002", "swap-000", "swap-002"]


def test_a_demo_judge_marks_the_set(data: Dataset, versions: dict[str, PromptVersion], judge: Judge) -> None:
    Judge.objects.update(notice="Demo judge, not a VLM.")
    made = do(start(data, rule_of(versions, judge)))
    assert made.notice == "Demo judge, not a VLM. · Demo data."
    assert made.versions.get().facts["notice"] == made.notice


def test_the_same_press_twice_makes_one_set(data: Dataset, versions: dict[str, PromptVersion], judge: Judge) -> None:
    rule = rule_of(versions, judge)
    job = start(data, rule)
    assert start(data, rule) == job  # it waits still
    made = do(job)
    Job.objects.update(state="succeeded")
    again = start(data, rule)
    assert again != job
    assert do(again) == made
    assert again.summary["new"] is False
    assert (Dataset.objects.count(), DatasetVersion.objects.count()) == (2, 1)


def test_a_name_that_is_taken_is_refused(data: Dataset, versions: dict[str, PromptVersion], judge: Judge) -> None:
    rule = rule_of(versions, judge)
    job = start(data, rule)
    do(job)
    Job.objects.update(state="succeeded")
    with pytest.raises(ValidationError, match="of this name already"):
        start(data, rule_of(versions, judge, By.MEAN))
    again = start(data, rule)
    Score.objects.filter(candidate__case__key="add-001").update(value=5)  # the rule is the same, its outcome is not
    with pytest.raises(JobError, match="of this name already"):
        do(again)
    assert Dataset.objects.count() == 2


@pytest.mark.parametrize(
    ("name", "thresholds", "words"),
    [
        ("", {}, "at least one letter or digit"),
        ("…", {}, "at least one letter or digit"),
        ("None left", {"add": 0.1, "swap": 0.1}, "keeps no case at all"),
    ],
)
def test_a_refused_wish_starts_nothing(
    data: Dataset, versions: dict[str, PromptVersion], judge: Judge, name: str, thresholds: Any, words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        start(data, rule_of(versions, judge, keep=False, **thresholds), name)
    assert (Dataset.objects.count(), Job.objects.count()) == (1, 0)


def test_a_failure_in_the_middle_leaves_nothing(
    data: Dataset, versions: dict[str, PromptVersion], judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, save = start(data, rule_of(versions, judge)), freeze._save

    def fail(draft: DatasetVersion) -> Any:
        save(draft)
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(freeze, "_save", fail)
    with pytest.raises(RuntimeError):
        do(job)
    assert (Dataset.objects.count(), Case.objects.count(), DatasetVersion.objects.count()) == (1, 8, 0)
    folders = default_storage.listdir("versions")[0]
    assert [default_storage.listdir(f"versions/{folder}")[1] for folder in folders] in ([], [[]])
    monkeypatch.setattr(freeze, "_save", save)
    assert do(job).versions.count() == 1  # it can be resumed


def test_a_deleted_data_set_or_judge_is_said(data: Dataset, versions: dict[str, PromptVersion], judge: Judge) -> None:
    one, other = start(data, rule_of(versions, judge)), start(data, rule_of(versions, judge), "Other")
    Score.objects.all().delete()
    judge.delete()
    with pytest.raises(JobError, match="a judge of this rule was deleted"):
        do(one)
    data.delete()
    with pytest.raises(JobError, match="The data set was deleted"):
        do(other)


# The page ------------------------------------------------------------------------------------------------------------


def url_of(name: str, data: Dataset) -> str:
    return reverse(name, args=[data.uid])


def text_of(client: Client, url: str, values: Any = None) -> str:
    answer = client.get(url, values)
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def values_of(data: Dataset, **change: str) -> dict[str, str]:
    """The form as it opens."""
    usual = FilterForm(tasks=queries.scorers_of(data)).usual()
    return {name: str(value) for name, value in usual.items() if value is not None} | change


def figure(page: str, label: str) -> str:
    found = re.search(rf"<dt>{label}</dt><dd>(.*?)</dd>", page)
    assert found, label
    return re.sub("<.*?>", "", found[1]).strip()


def test_the_page_shows_what_the_default_rule_does(browser: Client, data: Dataset) -> None:
    page = text_of(browser, url_of("hard_cases", data))
    figures = [figure(page, name) for name in ("Cases here", "Would stay", "Would go", "Without a score")]
    assert figures == ["8", "5", "3", "1"]
    assert "chart-bar bad" in page
    assert "style=" not in page
    assert "These would go" in page
    assert "Candidates: Not scored yet" in page


def test_a_bar_leads_to_the_candidates_behind_it(browser: Client, data: Dataset) -> None:
    page = text_of(browser, url_of("hard_cases", data))
    links = re.findall(r'<a href="(\S+)" aria-label="([^"]+)"><rect', page)
    assert len(links) == 8  # add: 1, 2, 3, 4.5, 5; swap: 2, 4, 5
    for link, label in links:
        listed = text_of(browser, link)
        count = label.rpartition(": ")[2]
        assert len(re.findall("<figcaption>", listed)) == int(count), label


def test_thresholds_by_task_are_previewed_then_made(browser: Client, data: Dataset, bob: User) -> None:
    values = values_of(data, threshold_add="4.5", threshold_swap="", by="best", name="")
    page = text_of(browser, url_of("hard_cases", data), values)
    assert figure(page, "Would go") == "3"  # both of the fives of "add", and 4.5
    assert Dataset.objects.count() == 1
    answer = browser.post(url_of("hard_cases", data), {**values, "name": "Hard"})
    job = Job.objects.get(kind="filter")
    assert answer["Location"] == job.get_absolute_url()
    assert job.config["rule"]["tasks"]["swap"]["threshold"] is None
    made = do(job)
    assert (made.cases.count(), made.created_by) == (5, bob)
    shown = text_of(browser, job.get_absolute_url())
    assert "Hard cases of" in shown
    assert made.get_absolute_url() in shown


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": ""}, "at least one letter or digit"),
        ({"name": "n" * 121}, "at most 120 characters"),
        ({"threshold_add": "6"}, "Above 0 and up to 5."),
        ({"threshold_add": "0"}, "Above 0 and up to 5."),
        ({"threshold_add": "nan"}, "Enter a number."),
        ({"threshold_add": "x"}, "Enter a number."),
        ({"scorer_add": "1-1"}, "Select a valid choice"),
        ({"by": "luck"}, "Select a valid choice"),
        ({"unscored": ""}, "This field is required"),
    ],
)
def test_a_wrong_form_starts_nothing(browser: Client, data: Dataset, change: dict[str, str], words: str) -> None:
    answer = browser.post(url_of("hard_cases", data), values_of(data) | {"name": "Hard"} | change)
    assert answer.status_code == 200
    assert words in html.unescape(answer.content.decode())
    assert Job.objects.count() == 0


def test_the_active_scorer_and_its_level_map_are_chosen(
    browser: Client, data: Dataset, versions: dict[str, PromptVersion], judge: Judge
) -> None:
    newer = make.version(prompt=versions["add"].prompt)
    for candidate in Candidate.objects.filter(case__dataset=data, case__task="add"):
        make.give(candidate, newer, judge, 3)  # scored more
    assert values_of(data)["scorer_add"] == f"{newer.pk}-{judge.pk}"
    make.activate("add", versions["add"], judge, [[1.0, 0.0], [4.0, 3.0], [5.0, 5.0]])
    assert values_of(data)["scorer_add"] == f"{versions['add'].pk}-{judge.pk}"
    page = text_of(browser, url_of("hard_cases", data), values_of(data, threshold_add="4"))
    assert "By the level map that is 4.50 and more on the judge's scale." in page
    assert figure(page, "Would go") == "4"  # 4.5 means 4 to people
    never = text_of(browser, url_of("hard_cases", data), values_of(data, threshold_add="6"))
    assert "The level map ends at 5.00" in never


def test_fractions_are_explained(browser: Client, data: Dataset) -> None:
    page = text_of(browser, url_of("hard_cases", data))
    assert "The judge's scores are fractions, and 3 of 7 are exactly 5. A threshold of 4.5 drops" in page
    assert page.count("are fractions") == 1  # those of the other task are whole


def test_a_scale_of_its_own(browser: Client, judge: Judge) -> None:
    groups = {"style": [[4.0], [3.0]]}
    data = make.dataset(groups)
    make.score_all(data, groups, judge, {"style": make.version("style", low=1, high=4)})
    assert values_of(data)["threshold_style"] == "4"
    page = text_of(browser, url_of("hard_cases", data))
    assert figure(page, "Would go") == "1"


def test_a_data_set_without_scores_says_what_to_do(browser: Client, db: None) -> None:
    data = judging.dataset(cases=1)
    page = text_of(browser, url_of("hard_cases", data))
    assert "Nothing is scored yet" in page
    assert url_of("score_dataset", data) in page
    assert browser.post(url_of("hard_cases", data), {"name": "x"}).status_code == 200
    assert "Nothing is scored yet" in text_of(browser, url_of("scored_candidates", data))
    empty = Dataset.objects.create(slug="empty", name="Empty")
    assert "Nothing is scored yet" in text_of(browser, url_of("hard_cases", empty))


def test_balance_before_and_after(browser: Client, data: Dataset) -> None:
    for case in data.cases.filter(key__in=["add-000", "add-001", "swap-001"]):
        record(verdicts=[Category(case.source_id, "cat", "m", 0.5)])
    tasks = queries.scorers_of(data)
    found = pages.preview(data, tasks, FilterForm(tasks=tasks))
    assert found is not None
    assert found.categories == [("cat", 3, 1), ("uncategorised", 5, 4)]
    assert [(line.task.pk, line.cases, dict(line.counts)) for line in found.lines] == [
        ("add", 5, {"kept": 2, "dropped": 2, "unscored": 1}),
        ("swap", 3, {"kept": 2, "dropped": 1, "unscored": 0}),
    ]
    assert found.splits == [("Training", 8, 5)]
    assert {one.case.key for one in found.dropped} == {"add-000", "add-004", "swap-001"}
    assert [one.level for one in found.kept] == [4.5, 4, 3, 2]
    assert {one.best.value for one in found.dropped} == {5}


# The list ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "count"),
    [
        ({}, 10),
        ({"at_least": "4.5"}, 5),
        ({"at_least": "4", "below": "5"}, 2),
        ({"task": "swap"}, 3),
        ({"status": "failed"}, 0),
        ({"at_least": "-1", "scorer": "x", "task": "nonsense"}, 10),  # values that cannot be are none
    ],
)
def test_the_list_of_scored_candidates(browser: Client, data: Dataset, values: dict[str, str], count: int) -> None:
    page = text_of(browser, url_of("scored_candidates", data), values)
    assert page.count("<figcaption>") == count


def test_the_list_shows_why_there_is_no_score(
    browser: Client, data: Dataset, versions: dict[str, PromptVersion], judge: Judge
) -> None:
    candidate = Candidate.objects.filter(case__key="add-003").first()
    assert candidate
    make.give(candidate, versions["add"], judge, None, "refused")
    page = text_of(browser, url_of("scored_candidates", data), {"status": "refused"})
    assert 'badge warn">Refused' in page
    assert "Candidates: Refused" in text_of(browser, url_of("hard_cases", data))


@pytest.mark.parametrize("name", ["hard_cases", "scored_candidates"])
@pytest.mark.parametrize(("who", "status"), [("carol", 403), ("bob", 200)])
def test_engineers_alone_see_scores(
    client: Client, data: Dataset, name: str, who: str, status: int, request: pytest.FixtureRequest
) -> None:
    client.force_login(request.getfixturevalue(who))
    assert client.get(url_of(name, data)).status_code == status


def test_an_annotator_makes_no_set(client: Client, data: Dataset, carol: User) -> None:
    values = values_of(data, name="Hard")
    client.force_login(carol)
    assert client.post(url_of("hard_cases", data), values).status_code == 403
    assert Job.objects.count() == 0


@pytest.mark.parametrize(("name", "most"), [("hard_cases", 24), ("scored_candidates", 14)])
def test_more_cases_cost_no_more_queries(
    browser: Client, judge: Judge, versions: dict[str, PromptVersion], name: str, most: int
) -> None:
    costs = []
    for count in (2, 9):
        groups: dict[str, list[list[float | None]]] = {task: [[5, 2], [3, 1]] * count for task in GROUPS}
        data = make.dataset(groups)
        make.score_all(data, groups, judge, versions)
        browser.get(url_of(name, data))
        with CaptureQueriesContext(connection) as found:
            browser.get(url_of(name, data))
        costs.append(len(found))
    assert costs[0] == costs[1] <= most
