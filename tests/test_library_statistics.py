"""The statistics page: every number against a plain loop over all rows, and against the rows that it leads to."""

import html
import re
from collections import Counter

import pytest
from django.http import QueryDict
from django.test import Client
from django.urls import reverse

from annotation import browse, filters, statistics
from annotation.figures import figures_of
from annotation.models import Candidate, Dataset, Editor, Judgement, Split, Unit, Unmade
from tests.varied import category_of, set_aside, varied
from webapp.accounts.models import User


@pytest.fixture
def data(db: None, carol: User) -> Dataset:
    return varied(carol)


@pytest.fixture
def browser(bob: User) -> Client:
    client = Client()
    client.force_login(bob)
    return client


def test_it_works(data: Dataset) -> None:
    candidates = list(Candidate.objects.filter(case__dataset=data))
    cases = list(data.cases.select_related("task", "source"))
    found = statistics.of(data)
    for cells, line in found["tasks"]:
        mine = [case for case in cases if case.task.name == line.label]
        assert [cell.value for cell in cells] == [sum(case.split == split for case in mine) for split in Split.values]
        assert line.value == len(mine) > 0
    categories = Counter(map(category_of, cases))
    assert [line.value for _cells, line in found["categories"]][-1] == categories.pop("none")
    assert sorted(line.value for _cells, line in found["categories"][:-1]) == sorted(categories.values())
    for cells, line in found["categories"]:
        values = [cell.value for cell in cells]
        assert sum(values[:4]) == sum(values[4:]) == line.value
    lengths = [len(case.instruction) for case in cases]
    for line, (low, high) in zip(found["lengths"], ((1, 20), (21, 40), (41, 80), (81, 160)), strict=False):
        assert line.value == sum(low <= length <= high for length in lengths)
    assert sum(line.value for line in found["lengths"]) == len(cases)
    assert sum(line.value > 0 for line in found["lengths"]) >= 3
    groups = Counter(case.candidates.count() for case in cases)
    assert [line.value for line in found["groups"]] == [groups[size] for size in sorted(groups)]
    sizes = Counter(f"{case.source.width} × {case.source.height}" for case in cases)
    assert {line.label: line.value for line in found["sizes"]} == sizes
    marked = {mark.candidate_id for row in candidates for mark in row.marks.all()}
    assert found["judged"] == len(marked) > 0


def test_the_numbers_of_an_editor(data: Dataset) -> None:
    candidates = list(Candidate.objects.filter(case__dataset=data))
    editor = Editor.objects.order_by("pk")[0]
    case = data.cases.all()[0]
    for seed, reason in ((90, "failed"), (91, "failed"), (92, "unreadable")):
        Unmade.objects.create(case=case, editor=editor, seed=seed, settings_hash="", reason=reason)
    rows = statistics.of(data)["editors"]
    assert len(rows) == 3
    for row in rows:
        mine = [one for one in candidates if one.editor_id == row.editor.pk]
        assert row.made.value == len(mine)
        assert row.aside.value == sum(map(set_aside, mine)) == sum(cell.value for cell in row.faults)
        assert row.kept.value == sum(one.fault_kept is True and bool(one.fault) for one in mine)
        assert row.aside_share == pytest.approx(100 * row.aside.value / row.made.value)
        assert (row.failed, row.unreadable) == ((2, 1) if row.editor == editor else (0, 0))


def test_each_number_leads_to_as_many_rows(data: Dataset, browser: Client) -> None:
    """Every link of the page, followed by the same filters as the list's."""
    text = browser.get(reverse("statistics", args=[data.uid])).content.decode()
    counts = figures_of(data)
    checked = Counter[str]()
    for name in ("dataset", "dataset_candidates"):
        url = reverse(name, args=[data.uid])
        for query, number in re.findall(rf'href="{url}\?([^"]+)">([0-9,]+)</a>', text):
            asked = QueryDict(html.unescape(query))
            if name == "dataset":
                offered = filters.chosen(browse.case_filters(counts), asked)
                rows = browse.cases_of(data, offered.values)
            else:
                offered = filters.chosen(browse.candidate_filters(data, asked), asked)
                rows = browse.candidates_of(data, offered.values)
            assert offered.values == asked.dict(), query
            assert rows.count() == int(number.replace(",", "")), query
            checked[name] += 1
    assert checked["dataset"] > 30
    assert checked["dataset_candidates"] > 8


def test_only_what_counts_is_judged(data: Dataset) -> None:
    """Not hidden checks, training, flagged answers, nor those of somebody who is excluded."""
    before = statistics.of(data)["judged"]
    part = Judgement.objects.filter(study__dataset=data).order_by("pk")
    flagged = part[0]
    Judgement.objects.filter(pk=flagged.pk).update(flag="broken")
    assert statistics.of(data)["judged"] < before
    rows = Candidate.objects.filter(case__dataset=data)
    yes, no = (browse.CANDIDATES["judged"](rows, value).count() for value in ("yes", "no"))
    assert (yes, yes + no) == (statistics.of(data)["judged"], rows.count())
    Unit.objects.filter(study__dataset=data).update(purpose="gold")
    assert statistics.of(data)["judged"] == 0
    assert not browse.CASES["judged"](data.cases.all(), "yes").exists()


def test_most_sizes_stand_alone_and_the_rest_together(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "SIZES", 1)
    first, rest = statistics.of(data)["sizes"]
    assert (rest.label, rest.query) == ("other sizes", "")
    assert first.value >= rest.value > 0
    assert first.value + rest.value == data.cases.count()


def test_an_empty_data_set(db: None, browser: Client) -> None:
    data = Dataset.objects.create(slug="empty", name="Empty")
    assert browser.get(reverse("statistics", args=[data.uid])).status_code == 200
    assert statistics.of(data)["judged_share"] == 0
