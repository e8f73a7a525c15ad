"""The pages of a data set: each filter against a plain loop over all rows, counts, statistics."""

import html
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.db.models import CharField, F, Value
from django.db.models.functions import Cast, Concat
from django.http import QueryDict
from django.test import Client
from django.urls import reverse

from annotation import browse, figures, statistics
from annotation.figures import figures_of
from annotation.models import Candidate, Case, Category, Dataset, Editor, Judgement, Source, Unmade
from annotation.studies import add_member
from tests import judging
from tests.judging import judge, rated
from webapp.accounts.models import User
from webapp.jobs.models import Job

SCORES = rated({"quality": 2.5, "alignment": 3, "preservation": 4})
WORDS = ("Remove the red mug", "Add a 100% RED hat", "Make the sky_line blue", "Entferne die Schüssel", "Add a dog")


@pytest.fixture
def data(db: None, carol: User) -> Dataset:
    """Twelve cases of all sorts, a third of their outputs checked, two judged; another data set beside it."""
    made = judging.dataset(cases=12, editors=3, seeds=2, notice="Demo data.")
    judging.dataset(cases=3, editors=2)
    cases, categories = list(made.cases.order_by("pk")), list(Category.objects.all()[:2])
    study = judging.study(made, "mos")
    add_member(study=study, user=carol)
    judge(study, carol, lambda _row: SCORES, limit=4)
    for number, case in enumerate(cases):
        case.task_id = ("add", "remove", "style")[number % 3]
        case.split = ("train", "dev", "test", "bench")[number % 4]
        case.instruction = WORDS[number % 5]
        case.instruction_zh = "移除红色杯子" if number % 5 == 0 else ""
        case.save()
        if number % 2:
            Source.objects.create(image=case.source, category=categories[number % 4 // 2] if number % 3 else None)
        for candidate in case.candidates.order_by("pk")[number % 3 : 2]:
            kept = (None, True, False)[candidate.pk % 3]
            Candidate.objects.filter(pk=candidate.pk).update(fault=("noise", "size")[number % 2], fault_kept=kept)
    for number, case in enumerate(join(made, judging.dataset(cases=4, editors=2))):
        for candidate in case.candidates.order_by("pk")[: number % 3]:
            candidate.delete()
    return made


def unlike(prefix: str) -> Concat:
    """A text that differs from row to row."""
    return Concat(Value(prefix), Cast(F("pk"), CharField()))


def join(data: Dataset, other: Dataset) -> list[Case]:
    """Move the cases of another data set into this one."""
    cases = list(other.cases.order_by("pk"))
    other.cases.update(dataset=data, key=unlike("more-"))
    return cases


@pytest.fixture
def browser(bob: User) -> Client:
    client = Client()
    client.force_login(bob)
    return client


# Brute force --------------------------------------------------------------------------------------------------------


def set_aside(candidate: Candidate) -> bool:
    return bool(candidate.fault) and candidate.fault_kept is not True


def category_of(case: Case) -> str:
    facts = Source.objects.filter(image=case.source).first()
    return facts.category_id or "none" if facts else "none"


def judged(case: Case) -> bool:
    return Judgement.objects.filter(unit__item__case=case).exists()


def has_words(case: Case, text: str) -> bool:
    places = [place.lower() for place in (case.instruction, case.instruction_zh, case.key)]
    return all(any(word.lower() in place for place in places) for word in text.split())


CASE_RULES: dict[str, Callable[[Case, str], bool]] = {
    "task": lambda case, value: case.task_id == value,
    "group": lambda case, value: case.task.group == value,
    "split": lambda case, value: case.split == value,
    "category": lambda case, value: category_of(case) == value,
    "editor": lambda case, value: any(row.editor.slug == value for row in case.candidates.all()),
    "fewer": lambda case, value: case.candidates.count() < int(value),
    "aside": lambda case, value: any(map(set_aside, case.candidates.all())) == (value == "yes"),
    "judged": lambda case, value: judged(case) == (value == "yes"),
    "text": has_words,
}
CANDIDATE_RULES: dict[str, Callable[[Candidate, str], bool]] = {
    "editor": lambda row, value: row.editor.slug == value,
    "seed": lambda row, value: row.seed == int(value),
    "task": lambda row, value: row.case.task_id == value,
    "settings": lambda row, value: row.settings_hash == value,
    "job": lambda row, value: row.job is not None and str((row.job.parent or row.job).uid) == value,
    "fault": lambda row, value: {
        "none": not row.fault,
        "aside": set_aside(row),
        "kept": bool(row.fault) and row.fault_kept is True,
    }.get(value, row.fault == value),
}


def cases_by(data: Dataset, values: dict[str, str]) -> list[Case]:
    rows = data.cases.order_by("pk")
    return [row for row in rows if all(CASE_RULES[name](row, value) for name, value in values.items())]


def values_for(data: Dataset, name: str) -> list[str]:
    """Every value that the filter offers; for a field, some."""
    (counts,) = figures_of([data])
    (found,) = [one for one in browse.case_filters(counts) if one.name == name]
    return [value for value, _label in found.choices or []] or {
        "fewer": ["1", "2", "6", "7", "99"],
        "text": ["red", "RED mug", "100%", "sky_", "_", "100_", "红色", "SCH", "case-003", "no such word", "a dog"],
    }[name]


@pytest.mark.parametrize("name", CASE_RULES)
def test_it_works_each_filter_finds_what_a_loop_finds(data: Dataset, name: str) -> None:
    values = values_for(data, name)
    assert len(values) >= 2
    sets = set()
    for value in values:
        found = browse.cases_of(data, {name: value}).order_by("pk")
        assert list(found) == cases_by(data, {name: value}), value
        sets.add(frozenset(found))
    assert len(sets) > 1, "the values tell cases apart"


def test_filters_together_leave_what_all_of_them_leave(data: Dataset) -> None:
    values = {"text": "a", "task": "add", "aside": "yes", "fewer": "7"}
    found = list(browse.cases_of(data, values).order_by("pk"))
    assert found == cases_by(data, values)
    assert found


@pytest.mark.parametrize("name", CANDIDATE_RULES)
def test_each_filter_of_candidates_finds_what_a_loop_finds(data: Dataset, name: str) -> None:
    jobs = [
        Job.objects.create(kind="generate", queue="gpu", title="t", config={"dataset": str(data.uid)}) for _ in "ab"
    ]
    part = Job.objects.create(kind="generate", queue="gpu", title="part", config={}, parent=jobs[1])
    rows = list(Candidate.objects.filter(case__dataset=data).order_by("pk"))
    for number, row in enumerate(rows):
        job = (None, jobs[0], jobs[1], part)[number % 4]
        Candidate.objects.filter(pk=row.pk).update(job=job, settings_hash=("a" * 16, "b" * 16)[number % 2])
    (counts,) = figures_of([data])
    cache.clear()
    filters = browse.candidate_filters(data, counts, QueryDict(""))
    (one,) = [one for one in filters if one.name == name]
    values = [value for value, _label in one.choices or []] or ["0", "1", "77"]
    assert len(values) >= 2
    sets = set()
    for value in values:
        expected = [row for row in Candidate.objects.filter(case__dataset=data) if CANDIDATE_RULES[name](row, value)]
        found = list(browse.candidates_of(data, {name: value}).order_by("pk"))
        assert found == sorted(expected, key=lambda row: row.pk), value
        sets.add(frozenset(found))
    assert len(sets) > 1


# The list's page ----------------------------------------------------------------------------------------------------


def pages(browser: Client, url: str) -> Iterator[str]:
    """The pages that "On" leads through."""
    while True:
        text = browser.get(url).content.decode()
        yield text
        if not (found := re.search(r'rel="next" href="([^"]+)"', text)):
            return
        url = url.partition("?")[0] + html.unescape(found[1])


def test_paging_shows_every_case_once_and_keeps_the_filter(data: Dataset, browser: Client) -> None:
    join(data, judging.dataset(cases=60, editors=1))
    url = reverse("dataset", args=[data.uid])
    found = [re.findall(r'<h2><a href="/cases/([^/]+)/', text) for text in pages(browser, url + "?task=add")]
    seen = [uid for uids in found for uid in uids]
    assert seen == [str(case.uid) for case in cases_by(data, {"task": "add"})]
    assert len(seen) > 48


def test_a_chip_removes_one_filter(data: Dataset, browser: Client) -> None:
    text = browser.get(reverse("dataset", args=[data.uid]) + "?task=add&split=dev&after=1").content.decode()
    links = re.findall(r'href="(\?[^"]*)" title="[^"]*">([^<]*) ×', text)
    chips = {html.unescape(label): html.unescape(url) for url, label in links}
    assert set(chips.values()) == {"?split=dev", "?task=add"}
    assert any(label.startswith("Task: ") for label in chips)


@pytest.mark.parametrize(
    "query",
    ["task=nosuch", "split=%00", "fewer=many", "fewer=-1", "category=x", "seed=1e9", "job=x", "fault=?", "after=x"],
)
@pytest.mark.parametrize("name", ["dataset", "dataset_candidates"])
def test_a_value_that_cannot_be_is_no_filter(data: Dataset, browser: Client, name: str, query: str) -> None:
    url = reverse(name, args=[data.uid])
    plain, odd = browser.get(url), browser.get(f"{url}?{query}")
    assert odd.status_code == 200
    assert odd.content.count(b"<figure>") == plain.content.count(b"<figure>")
    assert b"Remove this filter" not in odd.content


def test_a_hostile_text_is_shown_as_text(data: Dataset, browser: Client) -> None:
    text = browser.get(reverse("dataset", args=[data.uid]), {"text": "<script>alert(1)</script>"}).content.decode()
    assert "<script>alert" not in text
    assert "Nothing matches" in text


def test_a_large_group_is_cut_and_says_so(db: None, browser: Client) -> None:
    data = judging.dataset(cases=1, editors=4, seeds=5)
    text = browser.get(reverse("dataset", args=[data.uid])).content.decode()
    assert text.count("<figure>") == 1 + browse.SHOWN
    assert "All 20 candidates" in text


# Counts -------------------------------------------------------------------------------------------------------------


def test_counts_are_those_of_the_rows(data: Dataset) -> None:
    others = list(Dataset.objects.exclude(pk=data.pk))
    for found, each in zip(figures_of([data, *others]), [data, *others], strict=True):
        cases = list(each.cases.all())
        candidates = list(Candidate.objects.filter(case__dataset=each))
        assert found.cases == len(cases)
        assert found.sources == len({case.source_id for case in cases})
        assert found.tasks == Counter(case.task_id for case in cases)
        assert found.splits == Counter(case.split for case in cases)
        assert found.categories == Counter(category_of(case).replace("none", "") for case in cases)
        assert found.by_editor == Counter(row.editor_id for row in candidates)
        assert found.candidates == len(candidates)
        assert figures_of([each])[0].by_editor == found.by_editor, "alone as among others"


def test_counts_of_a_large_data_set_are_kept_for_a_while(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "LARGE", 10)
    (before,) = figures_of([data])
    join(data, judging.dataset(cases=1, editors=1))
    (kept,) = figures_of([data])
    assert (kept.cases, kept.moment, kept.by_editor) == (before.cases, before.moment, before.by_editor)
    cache.clear()
    assert figures_of([data])[0].cases == before.cases + 1


def test_counts_of_a_small_data_set_are_never_behind(data: Dataset) -> None:
    (before,) = figures_of([data])
    join(data, judging.dataset(cases=1, editors=1))
    assert figures_of([data])[0].cases == before.cases + 1


def test_pages_work_while_redis_is_away(
    data: Dataset, browser: Client, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr(figures, "LARGE", 10)
    away = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {"default": away}
    text = browser.get(reverse("dataset", args=[data.uid])).content.decode()
    assert "Counted at" in text
    assert browser.get(reverse("statistics", args=[data.uid])).status_code == 200


# Statistics ---------------------------------------------------------------------------------------------------------


def test_statistics_are_those_of_the_rows(data: Dataset) -> None:
    candidates = list(Candidate.objects.filter(case__dataset=data))
    editor = Editor.objects.order_by("pk")[0]
    case = data.cases.all()[0]
    for seed, reason in ((90, "failed"), (91, "failed"), (92, "unreadable")):
        Unmade.objects.create(case=case, editor=editor, seed=seed, settings_hash="", reason=reason)
    found = statistics.of(data)
    for row in found["editors"]:
        mine = [one for one in candidates if one.editor_id == row.editor.pk]
        assert row.made == len(mine)
        assert row.aside == sum(map(set_aside, mine))
        assert row.kept == sum(one.fault_kept is True and bool(one.fault) for one in mine)
        assert sum(row.faults) == row.aside
        assert row.aside_share == pytest.approx(100 * row.aside / row.made)
        assert (row.failed, row.unreadable) == ((2, 1) if row.editor == editor else (0, 0))
    cases = list(data.cases.all())
    assert sum(line.value for line in found["lengths"]) == len(cases)
    for line, (low, high) in zip(found["lengths"], ((1, 20), (21, 40)), strict=False):
        assert line.value == sum(low <= len(case.instruction) <= high for case in cases)
    groups = Counter(case.candidates.count() for case in cases)
    assert [line.value for line in found["groups"]] == [groups[size] for size in sorted(groups)]
    for name, counts, line in found["tasks"]:
        mine_of = [case for case in cases if case.task.name == name]
        assert counts == [sum(case.split == split for case in mine_of) for split in ("train", "dev", "test", "bench")]
        assert line.value == len(mine_of)
    categories = Counter(map(category_of, cases))
    assert [line.value for _counts, line in found["categories"]][-1] == categories.pop("none")
    assert sorted(line.value for _counts, line in found["categories"][:-1]) == sorted(categories.values())
    for counts, line in found["categories"]:
        assert sum(counts[:4]) == sum(counts[4:]) == line.value
    marked = {mark.candidate_id for row in candidates for mark in row.marks.all()}
    assert found["judged"] == len(marked) > 0


def test_statistics_of_an_empty_data_set(db: None, browser: Client) -> None:
    data = Dataset.objects.create(slug="empty", name="Empty")
    assert browser.get(reverse("statistics", args=[data.uid])).status_code == 200
    assert statistics.of(data)["judged_share"] == 0


# Queries --------------------------------------------------------------------------------------------------------------


BUDGETS = {"dataset": 15, "dataset_candidates": 15, "statistics": 24, "case": 8, "compare": 6, "candidate": 6}


@pytest.mark.parametrize("name", BUDGETS)
def test_more_rows_cost_no_more_queries(
    name: str, data: Dataset, browser: Client, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    case = data.cases.order_by("pk")[0]
    of = {"case": case, "compare": case, "candidate": case.candidates.all()[0]}
    url = reverse(name, args=[of.get(name, data).uid])
    browser.get(url)
    with django_assert_max_num_queries(BUDGETS[name]) as few:
        browser.get(url)
    more = judging.dataset(cases=20, editors=3, seeds=3)
    Candidate.objects.filter(case__in=list(more.cases.all()[:5])).update(case=case, settings_hash=unlike(""))
    join(data, more)
    with django_assert_max_num_queries(len(few)):
        browser.get(url)
