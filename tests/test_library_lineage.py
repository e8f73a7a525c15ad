"""One case and one candidate: every candidate in its place, what is compared, and where things come from."""

import html
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from annotation import comparing, lineage
from annotation.comparing import value_of
from annotation.library import load_tasks
from annotation.models import Candidate, Dataset, Editor
from annotation.studies import add_member
from tests import judging
from tests.judging import judge, rated
from webapp.accounts.models import User
from webapp.jobs.models import Job

SCORES = rated({"quality": 2.5, "alignment": 3, "preservation": 4})


@pytest.fixture
def data(db: None, carol: User) -> Dataset:
    """Three cases, some of whose candidates are judged; another data set beside it."""
    load_tasks()  # a test with real transactions may have emptied all tables
    made = judging.dataset(cases=3, editors=3, seeds=2, notice="Demo data.")
    judging.dataset(cases=1, editors=2)
    study = judging.study(made, "mos")
    add_member(study=study, user=carol)
    judge(study, carol, lambda _row: SCORES, limit=4)
    return made


@pytest.fixture
def browser(bob: User) -> Client:
    client = Client()
    client.force_login(bob)
    return client


def test_the_grid_has_every_candidate_in_its_place(data: Dataset) -> None:
    for case in data.cases.all():
        grid = comparing.grid_of(case)
        placed = [
            (seed, editor.slug, one.pk)
            for seed, cells in grid.rows
            for editor, cell in zip(grid.editors, cells, strict=True)
            for one in cell
        ]
        expected = [(row.seed, row.editor.slug, row.pk) for row in case.candidates.all()]
        assert sorted(placed) == sorted(expected)
        assert grid.count == len(expected)


def test_comparing_takes_candidates_of_this_case_alone(data: Dataset) -> None:
    case, other = data.cases.order_by("pk")[:2]
    mine = [str(row.uid) for row in case.candidates.order_by("editor__slug", "seed")]
    strange = str(other.candidates.all()[0].uid)
    assert value_of(case, [])["shown"] == mine[:1]
    assert value_of(case, [mine[2], mine[1]])["shown"] == [mine[2], mine[1]]
    assert value_of(case, [strange, "x", str(uuid4()), mine[1], mine[1]])["shown"] == [mine[1]]
    assert value_of(case, mine)["shown"] == mine[:2]
    assert [row["uid"] for row in value_of(case, [])["candidates"]] == mine


def test_the_candidate_page_says_where_it_comes_from(data: Dataset, browser: Client, alice: User) -> None:
    whole = Job.objects.create(kind="generate", queue="gpu", title="The whole job", config={})
    part = Job.objects.create(kind="generate", queue="gpu", title="Its part", config={}, parent=whole)
    candidate = Candidate.objects.filter(marks__isnull=False, case__dataset=data)[0]
    Editor.objects.filter(pk=candidate.editor_id).update(module="drawn_flow")
    values = {"job": part, "seconds": 1.25, "noise_seed": 4242, "settings": {"steps": 28, "note": "<b>ü</b>"}}
    decided = {"fault": "noise", "fault_note": "0.9 of 1", "fault_kept": True, "fault_decided_by": alice}
    Candidate.objects.filter(pk=candidate.pk).update(**values, **decided)
    text = html.unescape(browser.get(reverse("candidate", args=[candidate.uid])).content.decode())
    for words in (
        "The whole job",
        "Its part",
        "in 1.25 s",
        "4242",
        '"steps": 28',
        "0.9 of 1",
        "Kept by alice.",
        "drawn_flow",
    ):
        assert words in text
    assert candidate.case.key in text
    assert candidate.image.sha256 in text
    (study,) = lineage.studies_of(candidate)
    assert study.given == 1  # type: ignore[attr-defined]
    assert (study.lowest, study.highest, study.best) == (2.5, 4, None)  # type: ignore[attr-defined]
    assert study.name in text


def test_a_candidate_that_nobody_judged_says_so(data: Dataset, browser: Client) -> None:
    candidate = Candidate.objects.filter(marks=None, case__dataset=data)[0]
    text = browser.get(reverse("candidate", args=[candidate.uid])).content.decode()
    assert "Nobody has judged this candidate yet." in text


def test_the_lineage_of_a_data_set(data: Dataset, browser: Client, alice: User) -> None:
    parent = Dataset.objects.exclude(pk=data.pk)[0]
    data.derived_from, data.recipe = parent, {"per_cell": 20, "seed": 7}
    data.save()
    Job.objects.create(kind="import", queue="default", title="Import one", config={"slug": data.slug}, created_by=alice)
    Job.objects.create(kind="generate", queue="gpu", title="Make some", config={"dataset": str(data.uid)})
    Job.objects.create(kind="propose", queue="default", title="Write some", config={"dataset": str(data.uid)})
    Job.objects.create(kind="generate", queue="gpu", title="Of another", config={"dataset": str(parent.uid)})
    assert [job.title for job in lineage.jobs_of(data)] == ["Write some", "Make some", "Import one"]
    text = html.unescape(browser.get(reverse("statistics", args=[data.uid])).content.decode())
    assert parent.get_absolute_url() in text
    assert '"per_cell": 20' in text
    assert "Make some" in text
