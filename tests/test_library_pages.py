"""The pages of a data set: each filter against a plain loop over all rows, counts, statistics."""

import html
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.http import QueryDict
from django.test import Client
from django.urls import reverse

from annotation import browse, figures
from annotation.figures import figures_of, sizes_of
from annotation.models import Candidate, Case, Dataset, Judgement
from tests import judging
from tests.varied import category_of, join, set_aside, unlike, varied
from webapp.accounts.models import User
from webapp.jobs.models import Job


@pytest.fixture
def data(db: None, carol: User) -> Dataset:
    return varied(carol)


@pytest.fixture
def browser(bob: User) -> Client:
    client = Client()
    client.force_login(bob)
    return client


# Brute force --------------------------------------------------------------------------------------------------------


def judged(case: Case) -> bool:
    return Judgement.objects.filter(unit__item__case=case).exists()


def has_words(case: Case, text: str) -> bool:
    places = [place.lower() for place in (case.instruction, case.instruction_zh, case.key)]
    return all(any(word.lower() in place for place in places) for word in text.split())


def in_bin(length: int, value: str) -> bool:
    low, high = value.split("-")
    return int(low) <= max(length, 1) <= (int(high) if high else length)


CASE_RULES: dict[str, Callable[[Case, str], bool]] = {
    "task": lambda case, value: case.task_id == value,
    "group": lambda case, value: case.task.group == value,
    "split": lambda case, value: case.split == value,
    "category": lambda case, value: category_of(case) == value,
    "editor": lambda case, value: any(row.editor.slug == value for row in case.candidates.all()),
    "least": lambda case, value: case.candidates.count() >= int(value),
    "most": lambda case, value: case.candidates.count() <= int(value),
    "aside": lambda case, value: any(map(set_aside, case.candidates.all())) == (value == "yes"),
    "judged": lambda case, value: judged(case) == (value == "yes"),
    "text": has_words,
    "length": lambda case, value: in_bin(len(case.instruction), value),
    "size": lambda case, value: f"{case.source.width}x{case.source.height}" == value,
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
    }.get(value, row.fault == value and set_aside(row)),
    "judged": lambda row, value: row.marks.exists() == (value == "yes"),
}


def cases_by(data: Dataset, values: dict[str, str]) -> list[Case]:
    rows = data.cases.order_by("pk")
    return [row for row in rows if all(CASE_RULES[name](row, value) for name, value in values.items())]


def values_for(data: Dataset, name: str) -> list[str]:
    """Every value that the filter offers; for a field, some."""
    counts = figures_of(data)
    (found,) = [one for one in browse.case_filters(counts) if one.name == name]
    return [value for value, _label in found.choices or []] or {
        "least": ["0", "1", "2", "6", "99"],
        "most": ["0", "1", "5", "6"],
        "size": ["64x48", "65x48", "1x1"],
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
    values = {"text": "a", "task": "add", "aside": "yes", "most": "6", "length": "1-20"}
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
    filters = browse.candidate_filters(data, QueryDict(""))
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
    [
        *("task=nosuch", "split=%00", "least=many", "most=-1", "category=x", "seed=1e9", "job=x", "fault=?", "after=x"),
        *("size=1x", "size=%D9%A1x1", "length=1-", "order=odd", "settings=x", "judged=1", "text=%00"),
    ],
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


@pytest.mark.parametrize("name", ["dataset", "dataset_candidates"])
def test_an_empty_list_says_what_to_do(db: None, browser: Client, name: str) -> None:
    url = reverse(name, args=[Dataset.objects.create(slug="empty", name="Empty").uid])
    nothing = {"dataset": "No cases yet", "dataset_candidates": "No candidates yet"}[name]
    assert nothing in browser.get(url).content.decode()
    assert "Nothing matches" in browser.get(url + "?text=red&seed=3").content.decode()


def test_newest_first_is_the_other_way_round(data: Dataset, browser: Client) -> None:
    url = reverse("dataset", args=[data.uid])
    found = [
        re.findall(r'<h2><a href="/cases/([^/]+)/', text) for text in pages(browser, url + "?order=newest&task=add")
    ]
    seen = [uid for uids in found for uid in uids]
    assert seen == [str(case.uid) for case in cases_by(data, {"task": "add"})][::-1]


def test_candidates_are_paged_in_both_directions(data: Dataset, browser: Client) -> None:
    join(data, judging.dataset(cases=50, editors=3))
    uids = [
        str(uid) for uid in Candidate.objects.filter(case__dataset=data).order_by("pk").values_list("uid", flat=True)
    ]
    url = reverse("dataset_candidates", args=[data.uid])
    for query, expected in (("", uids), ("?order=newest", uids[::-1])):
        texts = list(pages(browser, url + query))
        found = [re.findall(r'<figure><a href="/candidates/([^/]+)/', text) for text in texts]
        assert [uid for page in found for uid in page] == expected
        assert len(found) == 2
        back = re.search(r'rel="prev" href="([^"]+)"', texts[1])
        assert back
        again = browser.get(url + html.unescape(back[1])).content.decode()
        assert re.findall(r'<figure><a href="/candidates/([^/]+)/', again) == found[0]


def test_a_large_group_is_cut_and_says_so(db: None, browser: Client) -> None:
    data = judging.dataset(cases=1, editors=4, seeds=5)
    text = browser.get(reverse("dataset", args=[data.uid])).content.decode()
    assert text.count("<figure>") == 1 + browse.SHOWN
    assert "All 20 candidates" in text


# Counts -------------------------------------------------------------------------------------------------------------


def test_counts_are_those_of_the_rows(data: Dataset) -> None:
    every = list(Dataset.objects.all())
    for size, each in zip(sizes_of(every), every, strict=True):
        found = figures_of(each)
        cases = list(each.cases.all())
        candidates = list(Candidate.objects.filter(case__dataset=each))
        assert found.cases == len(cases)
        assert found.sources == len({case.source_id for case in cases})
        assert found.tasks == Counter(case.task_id for case in cases)
        assert found.splits == Counter(case.split for case in cases)
        assert found.categories == Counter(category_of(case).replace("none", "") for case in cases)
        assert found.editors == sorted({row.editor_id for row in candidates})
        assert found.candidates == len(candidates)
        assert (size.cases, size.sources, size.candidates) == (found.cases, found.sources, len(candidates))
    assert [size.cases for size in sizes_of(every)].count(0) == 1, "one has given its cases away"


def test_counts_of_a_large_data_set_are_kept_for_a_while(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "LARGE", 10)
    before = figures_of(data)
    join(data, judging.dataset(cases=1, editors=1))
    assert figures_of(data) == before
    cache.clear()
    assert figures_of(data).cases == before.cases + 1


def test_sizes_of_large_data_sets_are_kept_for_a_while(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    small = judging.dataset(cases=1, editors=1)
    monkeypatch.setattr(figures, "LARGE", 10)
    before = sizes_of([data, small])
    join(data, judging.dataset(cases=1, editors=1))
    join(small, judging.dataset(cases=1, editors=1))
    after = sizes_of([data, small])
    assert [now.cases - then.cases for now, then in zip(after, before, strict=True)] == [0, 1]
    assert [size.is_large for size in after] == [True, False]


def test_very_many_kinds_of_settings_are_not_all_offered(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    Candidate.objects.filter(case__dataset=data).update(settings_hash=unlike("kind-"))
    monkeypatch.setattr(figures, "MOST_MAKERS", 5)
    named = Candidate.objects.filter(case__dataset=data).order_by("settings_hash").last()
    assert named
    for asked, count in (("", 5), (f"settings={named.settings_hash}", 6)):
        offered = {one.name: one for one in browse.candidate_filters(data, QueryDict(asked))}["settings"].choices
        assert len(offered or []) == count
    editors = {one.name: one for one in browse.candidate_filters(data, QueryDict(""))}["editor"].choices
    assert editors
    assert len(editors) == 3, "every editor is offered all the same"
    assert named.settings_hash in dict(offered or [])


def test_counts_of_a_small_data_set_are_never_behind(data: Dataset) -> None:
    before = figures_of(data)
    join(data, judging.dataset(cases=1, editors=1))
    assert figures_of(data).cases == before.cases + 1


def test_pages_work_while_redis_is_away(
    data: Dataset, browser: Client, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr(figures, "LARGE", 10)
    away = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {"default": away}
    text = browser.get(reverse("dataset", args=[data.uid])).content.decode()
    assert "Counted at" in text
    assert browser.get(reverse("statistics", args=[data.uid])).status_code == 200


# Queries --------------------------------------------------------------------------------------------------------------


BUDGETS = {"dataset": 15, "dataset_candidates": 15, "statistics": 22, "case": 8, "compare": 6, "candidate": 6}


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
