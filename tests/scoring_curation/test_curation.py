"""Curation: the columns from the database, the curated set with its candidates, the page."""

import html
import re
from typing import Any

import numpy as np
import pytest
from django.core.exceptions import ValidationError
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.curation.categorisers import Verdict as Category
from annotation.curation.services import record
from annotation.models import Candidate, Case, Dataset, DatasetVersion, StoredImage
from annotation.versions import freeze, manifest
from scoring.curation import pages, queries, services
from scoring.curation.choosing import choose
from scoring.curation.forms import CurationForm
from scoring.curation.rules import How, Rule
from scoring.filtering.queries import scorers_of
from scoring.filtering.rules import TaskRule
from scoring.models import Judge, PromptVersion, Score
from tests.freezing import run_of
from tests.scoring_pages import make
from webapp.accounts.models import User
from webapp.jobs.folder import JobError
from webapp.jobs.models import Job

# Best of each case: add 5, 4, 3, none; swap 2, 1.
ADD: list[list[float | None]] = [[5, 1], [2, 4], [3, None], [None, None]]
SWAP: list[list[float | None]] = [[2], [1, 0.5]]
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
def rule(judge: Judge, versions: dict[str, PromptVersion]) -> Rule:
    """The best three of all."""
    return Rule(How.COUNT, {task: TaskRule(str(one.uid), judge.slug, None) for task, one in versions.items()}, 1, 3)


@pytest.fixture
def browser(bob: User) -> Client:
    client = Client()
    client.force_login(bob)
    return client


def do(job: Job) -> Dataset:
    """What a worker does with the job."""
    assert services.KIND.work is not None
    job.summary = services.KIND.work(run_of(job), job)
    job.save()
    return Dataset.objects.get(uid=job.summary["dataset"])


def start(data: Dataset, rule: Rule, name: str = "Best ones", by: Any = None) -> Job:
    return services.start_curation(dataset=data, name=name, rule=rule, by=by)


def names(data: Dataset) -> list[tuple[str, int]]:
    return sorted(Candidate.objects.filter(case__dataset=data).values_list("case__key", "seed"))


# The columns ---------------------------------------------------------------------------------------------------------


def test_the_columns_say_what_the_rows_say(data: Dataset, rule: Rule, judge: Judge, monkeypatch: Any) -> None:
    monkeypatch.setattr(queries, "CHUNK", 3)  # several chunks
    record(verdicts=[Category(Case.objects.get(key="add-000").source_id, "cat", "m", 0.5)])
    other = make.judge()
    for candidate in Candidate.objects.filter(case__dataset=data):  # what nobody asked for must not count
        make.give(candidate, make.version("add"), other, 5)
    table = queries.table_of(data, services.scorers_by(rule))
    rows = {
        one.candidate_id: one for one in Score.objects.filter(judge=judge).select_related("candidate__case__source")
    }
    assert sorted(table.candidate.tolist()) == sorted(rows)
    assert len(table) == 8
    for place, key in enumerate(table.candidate.tolist()):
        candidate, case = rows[key].candidate, rows[key].candidate.case
        assert (table.case[place], table.source[place]) == (case.pk, case.source_id)
        assert (table.editor[place], table.value[place]) == (candidate.editor_id, rows[key].value)
        assert (table.tasks[table.task[place]], table.splits[table.split[place]]) == (case.task_id, case.split)
        assert table.categories[table.category[place]] == ("cat" if case.key == "add-000" else "")
        assert table.tie[place] == int(StoredImage.objects.get(pk=candidate.image_id).sha256[:15], 16)


def test_candidates_that_are_set_aside_or_refused_are_not_there(data: Dataset, rule: Rule, judge: Judge) -> None:
    best = Candidate.objects.get(case__key="add-000", seed=0)
    Candidate.objects.filter(pk=best.pk).update(fault="blank")
    Score.objects.filter(candidate__case__key="add-001").update(value=None, status="refused")
    table = queries.table_of(data, services.scorers_by(rule))
    assert len(table) == 5 and best.pk not in table.candidate
    Candidate.objects.filter(pk=best.pk).update(fault_kept=True)
    assert len(queries.table_of(data, services.scorers_by(rule))) == 6


def test_nothing_to_read_is_an_empty_table(data: Dataset) -> None:
    table = queries.table_of(data, {})
    assert len(table) == 0
    assert not choose(table, Rule(How.EDITREWARD, {})).kept.any()


# The curated set -----------------------------------------------------------------------------------------------------


def test_the_curated_set(data: Dataset, rule: Rule, bob: Any) -> None:
    Case.objects.filter(key="add-001").update(split="test")
    Candidate.objects.filter(case__key="add-001").update(noise_seed=7, settings={"steps": 4}, seconds=1.5)
    made = do(start(data, rule, by=bob))
    assert names(made) == [("add-000", 0), ("add-001", 1), ("add-002", 0)]
    assert (made.name, made.derived_from, made.created_by, made.notice) == ("Best ones", data, bob, "Demo data.")
    assert made.cases.get(key="add-001").split == "test"
    old, new = (Candidate.objects.get(case__dataset=one, case__key="add-001", seed=1) for one in (data, made))
    same = ("editor_id", "image_id", "seed", "noise_seed", "settings", "settings_hash", "seconds", "fault")
    assert [getattr(old, name) for name in same] == [getattr(new, name) for name in same]
    assert old.uid != new.uid and new.job is None
    assert made.recipe["rule"] == rule.to_json()
    assert made.recipe["counts"] == {
        "add": {"scored": 5, "kept": 3, "mean_before": 3.0, "mean_after": 4.0},
        "swap": {"scored": 3, "kept": 0, "mean_before": pytest.approx(3.5 / 3), "mean_after": None},
    }
    assert made.recipe["lowest_kept"] == 3
    version = made.versions.get()
    assert (version.number, version.cases, version.candidates) == (1, 3, 3)
    assert version.note == f"Curated from {data.name}: the best 3 of all; of one case 1 at most."
    assert [len(rows) for _case, rows in manifest.read(version)] == [1, 1, 1]
    assert names(data) == sorted((f"{task}-{place:03}", seed) for task, cases in GROUPS.items()
                                 for place, scores in enumerate(cases) for seed, _ in enumerate(scores))  # fmt: skip
    assert Score.objects.filter(candidate__case__dataset=made).count() == 0


def test_several_candidates_of_a_case_over_several_batches(
    data: Dataset, rule: Rule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "ROWS", 2)
    made = do(start(data, Rule(How.SHARE, rule.tasks, 2, 100)))
    assert len(names(made)) == 8
    assert made.cases.count() == 5  # nobody has scored the sixth


def test_a_demo_judge_marks_the_set(data: Dataset, rule: Rule) -> None:
    Judge.objects.update(notice="Demo judge, not a VLM.")
    made = do(start(data, rule))
    assert made.notice == "Demo judge, not a VLM. · Demo data."
    assert made.versions.get().facts["notice"] == made.notice


def test_the_same_wish_twice_makes_one_set(data: Dataset, rule: Rule) -> None:
    job = start(data, rule)
    assert start(data, rule) == job  # it waits still
    made = do(job)
    Job.objects.update(state="succeeded")
    again = start(data, rule)
    assert again != job
    assert do(again) == made
    assert again.summary["new"] is False
    assert (Dataset.objects.count(), DatasetVersion.objects.count()) == (2, 1)


def test_a_name_that_is_taken_is_refused(data: Dataset, rule: Rule) -> None:
    do(start(data, rule))
    Job.objects.update(state="succeeded")
    with pytest.raises(ValidationError, match="of this name already"):
        start(data, Rule(How.COUNT, rule.tasks, 1, 2))
    again = start(data, rule)
    Score.objects.filter(candidate__case__key="swap-000").update(value=5)  # the rule is the same, its outcome is not
    with pytest.raises(JobError, match="of this name already"):
        do(again)
    assert Dataset.objects.count() == 2


@pytest.mark.parametrize(
    ("name", "how", "amount", "words"),
    [
        ("…", How.COUNT, 3, "at least one letter or digit"),
        ("Nothing", How.SHARE_TASK, 10, "keeps no candidate at all"),
    ],
)
def test_a_refused_wish_starts_nothing(
    data: Dataset, rule: Rule, name: str, how: How, amount: float, words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        start(data, Rule(how, rule.tasks, 1, amount), name)
    assert (Dataset.objects.count(), Job.objects.count()) == (1, 0)


def test_a_failure_in_the_middle_leaves_nothing(data: Dataset, rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    job, save, before = start(data, rule), freeze._save, Candidate.objects.count()

    def fail(draft: DatasetVersion) -> Any:
        save(draft)
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(freeze, "_save", fail)
    with pytest.raises(RuntimeError):
        do(job)
    assert (Dataset.objects.count(), Candidate.objects.count(), DatasetVersion.objects.count()) == (1, before, 0)
    folders = default_storage.listdir("versions")[0]
    assert [default_storage.listdir(f"versions/{folder}")[1] for folder in folders] in ([], [[]])
    monkeypatch.setattr(freeze, "_save", save)
    assert do(job).versions.count() == 1  # it can be resumed


def test_what_was_deleted_meanwhile_is_said(data: Dataset, rule: Rule, judge: Judge) -> None:
    jobs = [start(data, rule, name) for name in ("One", "Two", "Three")]
    Score.objects.all().delete()
    with pytest.raises(JobError, match="keeps no candidate at all"):
        do(jobs[0])
    judge.delete()
    with pytest.raises(JobError, match="a judge of this rule was deleted"):
        do(jobs[1])
    data.delete()
    with pytest.raises(JobError, match="The data set was deleted"):
        do(jobs[2])


def test_candidates_deleted_meanwhile_are_said(data: Dataset, rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    job = start(data, rule)
    gone = Candidate.objects.filter(case__key="add-000")
    monkeypatch.setattr(services.making, "lock", lambda dataset: gone.delete())  # after the scores were read
    with pytest.raises(JobError, match="deleted meanwhile"):
        do(job)
    assert (Dataset.objects.count(), DatasetVersion.objects.count()) == (1, 0)


# The page ------------------------------------------------------------------------------------------------------------


def url_of(data: Dataset) -> str:
    return reverse("curation", args=[data.uid])


def text_of(client: Client, data: Dataset, values: Any = None) -> str:
    answer = client.get(url_of(data), values)
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def values_of(data: Dataset, **change: str) -> dict[str, str]:
    """The form as it opens."""
    usual = CurationForm(tasks=scorers_of(data)).usual()
    return {name: str(value) for name, value in usual.items() if value is not None} | change


def figure(page: str, label: str) -> str:
    found = re.search(rf"<dt>{label}</dt><dd>(.*?)</dd>", page)
    assert found, label
    return re.sub("<.*?>", "", found[1]).strip()


def test_the_page_opens_with_the_paper_s_choice(browser: Client, data: Dataset) -> None:
    Candidate.objects.filter(case__key="swap-001", seed=1).update(fault="blank")
    page = text_of(browser, data)
    labels = ("Candidates kept", "Cases kept", "Scored candidates", "Without a score", "Set aside")
    assert [figure(page, name) for name in labels] == ["2", "2", "7", "3", "1"]
    assert "EditReward keeps 20,000 of 46,000. Here 5 candidates compete: the same share, 43.5 %, is 2." in page
    assert "Nothing is left of “" in page and "take the best k or the best percent of each task" in page
    assert "style=" not in page
    assert "A second opinion" not in page  # nobody else has scored
    assert "Just kept" in page and "Just missed" in page
    assert url_of(data) in browser.get(reverse("hard_cases", args=[data.uid])).content.decode()


def test_before_and_after(data: Dataset) -> None:
    for case in data.cases.filter(key__in=["add-000", "add-003", "swap-000"]):
        record(verdicts=[Category(case.source_id, "cat", "m", 0.5)])
    tasks = scorers_of(data)
    found = pages.preview(data, tasks, CurationForm(values_of(data, how="count", count="3"), tasks=tasks))
    assert found is not None and found.shift is not None
    assert (found.shift.mean_before, found.shift.mean_after, found.shift.median_before) == (18.5 / 8, 4, 2)
    assert [[bar.value for bar in column.bars] for column in found.chart if column.bars[0].value] == [
        [1, 0], [2, 0], [2, 0], [1, 1], [1, 1], [1, 1],
    ]  # fmt: skip
    shown = {one.title: [(part.name, part.before, part.after) for part in one.parts] for one in found.balances}
    assert [row[1:] for row in shown["Tasks"]] == [(4, 3), (2, 0)]
    assert shown["Categories"] == [("cat", 3, 1), ("uncategorised", 3, 2)]
    assert shown["Splits"] == [("Training", 6, 3)]
    assert shown["Editors"] == [("Editor 0", 11, 3)]
    assert [round(one.moved, 1) for one in found.balances] == [33.3, 16.7, 0, 0]
    assert [(one.case.key, one.best.value) for one in found.held] == [("add-002", 3), ("add-001", 4), ("add-000", 5)]
    assert [(one.case.key, one.best.value) for one in found.gone] == [("swap-000", 2), ("swap-001", 1)]
    assert [(line.task.pk, line.candidates, line.unscored) for line in found.lines] == [("add", 8, 3), ("swap", 3, 0)]


def test_each_task_on_its_own_keeps_the_balance(browser: Client, data: Dataset) -> None:
    page = text_of(browser, data, values_of(data, how="count_task", count="1"))
    assert figure(page, "Candidates kept") == "2"
    assert "Nothing is left of" not in page and "loses more than its share" not in page


def test_thresholds_by_task_are_previewed_then_made(browser: Client, data: Dataset, bob: User) -> None:
    values = values_of(
        data, how="threshold", threshold_add="4", threshold_swap="", per_case="2", count="x", percent="0"
    )
    page = text_of(browser, data, values)
    assert figure(page, "Candidates kept") == "5"
    assert Dataset.objects.count() == 1
    answer = browser.post(url_of(data), {**values, "name": "Good"})
    job = Job.objects.get(kind="curate")
    assert answer["Location"] == job.get_absolute_url()
    made = do(job)
    assert (len(names(made)), made.created_by) == (5, bob)
    shown = text_of_job(browser, job)
    assert "Curation of" in shown and made.get_absolute_url() in shown


def text_of_job(client: Client, job: Job) -> str:
    return html.unescape(client.get(job.get_absolute_url()).content.decode())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": ""}, "at least one letter or digit"),
        ({"name": "n" * 121}, "at most 120 characters"),
        ({"how": "luck"}, "Select a valid choice"),
        ({"how": "count", "count": ""}, "Say how many."),
        ({"how": "count_task", "count": "0"}, "greater than or equal to 1"),
        ({"how": "count", "count": "many"}, "Enter a whole number."),
        ({"how": "share", "percent": ""}, "Say how many."),
        ({"how": "share_task", "percent": "101"}, "less than or equal to 100"),
        ({"how": "share", "percent": "nan"}, "Enter a number."),
        ({"per_case": "0"}, "greater than or equal to 1"),
        ({"how": "threshold", "threshold_add": "6"}, "From 0 to 5."),
        ({"how": "threshold", "threshold_add": "x"}, "Enter a number."),
        ({"scorer_add": "1-1"}, "Select a valid choice"),
        ({"how": "share_task", "percent": "1"}, "keeps no candidate at all"),
    ],
)
def test_a_wrong_form_starts_nothing(browser: Client, data: Dataset, change: dict[str, str], words: str) -> None:
    answer = browser.post(url_of(data), values_of(data) | {"name": "Good"} | change)
    assert answer.status_code == 200
    assert words in html.unescape(answer.content.decode())
    assert Job.objects.count() == 0


def test_scores_on_different_scales_do_not_compete(browser: Client, judge: Judge) -> None:
    groups = {"add": [[5.0], [1.0]], "style": [[4.0], [3.0]]}
    data = make.dataset(groups)
    make.score_all(data, groups, judge, {"add": make.version("add"), "style": make.version("style", low=1, high=4)})
    assert values_of(data)["how"] == "edithf"  # the page opens with what can be done
    page = text_of(browser, data)
    assert figure(page, "Candidates kept") == "2"
    assert "light: all scored candidates" not in page  # no chart over both scales
    assert "different scales (0–5, 1–4)" in text_of(browser, data, values_of(data, how="share"))


def test_ties_and_several_judges_are_said(browser: Client, judge: Judge) -> None:
    groups = {"add": [[5.0], [5.0], [5.0]], "swap": [[1.0]]}
    data = make.dataset(groups)
    other = make.judge()
    first, second = make.version("add"), make.version("swap")
    for candidate in Candidate.objects.filter(case__dataset=data).select_related("case"):
        task = candidate.case.task_id
        make.give(candidate, *((first, judge, 5) if task == "add" else (second, other, 1)))
    page = text_of(browser, data, values_of(data, how="count", count="2"))
    assert "3 candidates have the lowest score that is kept, 5, and 2 of them are kept" in page
    assert "Several judges score these tasks" in page
    assert "loses more than its share" not in page


def test_a_second_opinion(browser: Client, data: Dataset, versions: dict[str, PromptVersion], judge: Judge) -> None:
    """It speaks of candidates that both have scored, and is flattered by no choice of its own."""
    other, values = make.judge(), {("add-000", 0): 2.0, ("add-000", 1): 4.0, ("add-002", 0): 3.0, ("add-003", 0): 5.0}
    for candidate in Candidate.objects.filter(case__dataset=data).select_related("case"):
        if (candidate.case.key, candidate.seed) in values:
            make.give(candidate, versions["add"], other, values[candidate.case.key, candidate.seed])
    tasks = scorers_of(data)
    found = pages.preview(data, tasks, CurationForm(values_of(data, how="count", count="3"), tasks=tasks))
    assert found is not None and found.second is not None
    seen = found.second.shift
    assert (seen.count_before, seen.count_after, seen.mean_before, seen.mean_after) == (3, 2, 3, 2.5)
    assert found.second.scorers == [f"{versions['add']}, {other}"]
    assert "A second opinion" in text_of(browser, data)


def test_a_task_without_scores_is_said(browser: Client, data: Dataset) -> None:
    Score.objects.filter(candidate__case__task="swap").delete()
    page = text_of(browser, data)
    assert "has no scores: none of its 2 cases is kept." in page


def test_a_data_set_without_scores_says_what_to_do(browser: Client, db: None) -> None:
    empty = Dataset.objects.create(slug="empty", name="Empty")
    page = text_of(browser, empty)
    assert "Nothing is scored yet" in page and reverse("score_dataset", args=[empty.uid]) in page
    assert browser.post(url_of(empty), {"name": "x"}).status_code == 200


@pytest.mark.parametrize(("who", "status"), [("carol", 403), ("bob", 200)])
def test_engineers_alone_curate(
    client: Client, data: Dataset, who: str, status: int, request: pytest.FixtureRequest
) -> None:
    client.force_login(request.getfixturevalue(who))
    assert client.get(url_of(data)).status_code == status
    if status == 403:
        assert client.post(url_of(data), values_of(data, name="Good")).status_code == 403
        assert Job.objects.count() == 0


def test_more_cases_cost_no_more_queries(browser: Client, judge: Judge, versions: dict[str, PromptVersion]) -> None:
    costs = []
    for count in (2, 9):
        groups: dict[str, list[list[float | None]]] = {task: [[5, 2], [3, 1]] * count for task in GROUPS}
        data = make.dataset(groups)
        make.score_all(data, groups, judge, versions)
        browser.get(url_of(data))
        with CaptureQueriesContext(connection) as found:
            browser.get(url_of(data))
        costs.append(len(found))
    assert costs[0] == costs[1] <= 24


def test_the_page_of_a_large_set_holds_no_rows(data: Dataset, rule: Rule) -> None:
    """One query for all scores, whose columns are numbers."""
    scorers = services.scorers_by(rule)
    with CaptureQueriesContext(connection) as found:
        table = queries.table_of(data, scorers)
    assert len(found) == 1
    columns = [value for value in vars(table).values() if not isinstance(value, list)]
    assert all(isinstance(one, np.ndarray) and one.dtype.itemsize == 8 for one in columns)
