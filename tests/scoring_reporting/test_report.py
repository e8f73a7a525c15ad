"""The report of a study: what it says of people, agreement and results, as a page and as one file."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.models import Concern, Dataset, Editor, Exclusion, Study, Task
from scoring.reporting.report import Section, report_of
from tests.scoring_boards import rows
from tests.web import text_of
from webapp.accounts.models import User


@pytest.fixture
def browser(bob: User) -> Client:
    client = Client()
    client.force_login(bob)
    return client


def rated(*people: User, **more: Any) -> Study:
    """Three editors, the second best and the third worst, by people who agree but for their own level."""
    made = rows.study("mos", people, cases=4, **more)
    for number, person in enumerate(people):
        rows.judge(made, person, lambda unit, candidate, n=number: score(candidate.editor_id, unit.pk, n))
    return made


def score(editor: int, unit: int, level: int) -> dict[str, float]:
    value = 2.0 + (editor % 3) / 2 + unit % 4 / 10 + level / 5
    return {"quality": value, "alignment": value, "preservation": value}


def section(study: Study, name: str) -> Section:
    return next(one for one in report_of(study).sections if one.name == name)


def test_a_report_has_what_an_appendix_needs(db: None, alice: User, carol: User, browser: Client) -> None:
    study = rated(alice, carol)
    page = text_of(browser.get(reverse("study_report", args=[study.uid])))
    for words in (
        "1. Protocol", "Annotators for an item:", "Who made an image was never shown.", "2. Material", "3. Annotators",
        "4. Scores by two methods", "Rank correlation", "5. Agreement", "Krippendorff’s α, interval", "6. Design",
        "hang together", "7. Results", "Bradley–Terry", "quality 0.3, alignment 0.4, preservation 0.3",
    ):  # fmt: skip
        assert words in page, words
    assert alice.username not in page.split("<article")[1] and f"a{alice.pk}" in page


def test_figures_are_those_of_the_judgements(db: None, alice: User, carol: User) -> None:
    study = rated(alice, carol)
    (_caption, compared), (_second, left) = section(study, "methods").tables
    assert [row[:3] for row in compared.rows] == [
        ["Visual quality", 12, pytest.approx(1.0)],
        ["Editing alignment", 12, pytest.approx(1.0)],
        ["Attribute preservation", 12, pytest.approx(1.0)],
    ]
    assert left.rows == []
    ((_name, agreed),) = section(study, "agreement").tables
    assert all(0.5 < row[1] < 1 for row in agreed.rows), "they differ by a fifth of a step alone"
    ((_what, material),) = section(study, "material").tables
    assert sum(int(row[2]) for row in material.rows) == 4 and sum(int(row[3]) for row in material.rows) == 12


def test_who_is_excluded_is_named_and_does_not_count(db: None, alice: User, carol: User, bob: User) -> None:
    study = rated(alice, carol)
    Exclusion.objects.create(study=study, annotator=carol, reason="Straight lines.", by=bob)
    Concern.objects.create(study=study, annotator=alice, kind="speed", words="Very quick.")
    ((_caption, table), *_more) = section(study, "annotators").tables
    counts = {row[0]: (row[-2], row[-1]) for row in table.rows}
    assert counts == {f"a{alice.pk}": (1, "yes"), f"a{carol.pk}": (0, "no: excluded")}
    assert "Fewer than two" in section(study, "design").words[0]


@pytest.mark.parametrize("preset", ["group-rank", "pairwise"])
def test_rankings_and_comparisons_have_reports(db: None, preset: str, alice: User, carol: User) -> None:
    study = rows.study(preset, (alice, carol), cases=3)
    for person in (alice, carol):
        rows.judge(study, person, lambda unit, candidate: {"rank": 1.0 + (candidate.editor_id % 2), "score": 3.0})
    ((_caption, table),) = section(study, "agreement").tables
    assert table.columns[1] == "Groups" and table.rows[0][1] > 0
    assert not any(one.name == "methods" for one in report_of(study).sections)


def test_a_study_without_judgements_says_so(db: None, alice: User) -> None:
    study = rows.study("mos", (alice,))
    assert section(study, "results").words == ["There are no judgements yet."]


def test_the_file_stands_alone_and_is_labelled(db: None, alice: User, carol: User, browser: Client) -> None:
    study = rated(alice, carol, notice="Demo data.")
    answer = browser.get(reverse("study_report_file", args=[study.uid]))
    page = text_of(answer)
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="demo-report-')
    assert "<style>" in page and "<link" not in page and "<script" not in page and page.count("Demo data.") >= 2
    assert "@media print" in page and "<svg" in page


def test_names_are_words_in_the_page_and_in_the_file(db: None, alice: User, carol: User, browser: Client) -> None:
    study, hostile = rated(alice, carol), "</style></svg><script>x</script>'\"&"
    Study.objects.filter(pk=study.pk).update(name=hostile)
    for kind in (Dataset, Editor, Task):
        kind.objects.update(name=hostile)
    for name in ("study_report", "study_report_file"):
        page = browser.get(reverse(name, args=[study.uid])).content.decode()
        assert "<script>x" not in page and "</style></svg>" not in page
        assert page.count("&lt;/style&gt;&lt;/svg&gt;&lt;script&gt;x&lt;/script&gt;&#x27;&quot;&amp;") > 3


def test_a_report_of_more_costs_no_more_queries(db: None, alice: User, bob: User, carol: User) -> None:
    small = rows.study("mos", (alice, carol), cases=3)
    large = rows.study("mos", (alice, bob, carol), cases=8)
    costs = []
    for study, people in ((small, (alice, carol)), (large, (alice, bob, carol))):
        for number, person in enumerate(people):
            rows.judge(study, person, lambda unit, candidate, n=number: score(candidate.editor_id, unit.pk, n))
        fresh = Study.objects.get(pk=study.pk)
        with CaptureQueriesContext(connection) as queries:
            report_of(fresh)
        costs.append(len(queries))
    assert costs[0] == costs[1] <= 40, costs
