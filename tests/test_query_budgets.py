"""List pages cost the same however long the lists are: few queries, and no more of them for more rows."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.models import Dataset, Study
from annotation.studies import add_member
from tests import judging
from tests.judging import judge, ranked, rated
from webapp.accounts import services as accounts
from webapp.accounts.models import User
from webapp.jobs import services as jobs
from webapp.jobs.models import Job

FEW, MANY = 3, 12
SCORES = rated({"quality": 2.5, "alignment": 3, "preservation": 4})


def add_datasets(count: int, owner: User) -> None:
    for _number in range(count):
        judging.dataset(cases=2, editors=2, notice="Demo data.", owner=owner)


def add_attributions(count: int, owner: User) -> None:
    for number, case in enumerate(judging.dataset(cases=count, owner=owner).cases.all()):
        case.attribution = f"Photographer {owner.pk}, {count}, {number}"
        case.save()


def add_studies(count: int, owner: User) -> None:
    for _number in range(count):
        made = judging.study(judging.dataset(cases=1, editors=2, owner=owner), "mos", by=owner)
        judge(made, add_member(study=made, user=owner).user, lambda _row: SCORES, limit=1)


def add_jobs(count: int, owner: User, kind: str = "import") -> None:
    for number in range(count):
        job = jobs.start(kind=kind, title=f"Job {number}", config={"study": str(uuid.uuid4())}, by=owner)
        Job.objects.filter(pk=job.pk).update(summary={"file": "a.zip", "bytes": 7}, state="succeeded")


def add_exports(count: int, owner: User) -> None:
    add_jobs(count, owner, "export")


def add_people(count: int, owner: User) -> None:
    for _number in range(count):
        User.objects.create(username=f"person-{User.objects.count()}", role="annotator")
        accounts.invite(by=owner, role="annotator")


def add_to_overview(count: int, owner: User) -> None:
    add_studies(count, owner)
    add_jobs(count, owner)


def add_cases(count: int, owner: User) -> None:
    """Cases of the one data set, each with three candidates."""
    data = Dataset.objects.first() or Dataset.objects.create(slug="one", name="One")
    for case in list(judging.dataset(cases=count, owner=owner).cases.all()):
        case.dataset, case.key = data, f"{case.key}-{data.cases.count()}"
        case.save()
    Dataset.objects.exclude(pk=data.pk).delete()


def add_ratings(count: int, owner: User) -> None:
    """A study with ``count`` more annotators, each with judgements of all candidates."""
    made = Study.objects.first() or judging.study(judging.dataset(cases=2, editors=2), "mos", by=owner)
    made.units.update(target=100)
    for _number in range(count):
        user = User.objects.create(username=f"person-{User.objects.count()}", role="annotator")
        add_member(study=made, user=user)
        judge(made, user, lambda _row: SCORES)


def add_rankings(count: int, owner: User) -> None:
    """One annotator's rankings of ``count`` more groups."""
    made = judging.study(judging.dataset(cases=count, editors=3), "group-rank", by=owner)
    first = Study.objects.first()
    assert first is not None
    for model in (made.items, made.units):
        model.update(study=first)
    user = User.objects.filter(username="ranker").first() or User.objects.create(username="ranker", role="annotator")
    add_member(study=first, user=user)
    judge(first, user, lambda _row: ranked([["A"], ["B", "C"]]))


def add_members(count: int, owner: User) -> None:
    made = Study.objects.first() or judging.study(judging.dataset(), by=owner)
    for _number in range(count):
        user = User.objects.create(username=f"person-{User.objects.count()}", role="annotator")
        add_member(study=made, user=user)


# page: (what makes it longer, the most queries that it may cost)
PAGES: dict[str, tuple[Callable[[int, User], None], int]] = {
    "datasets": (add_datasets, 12),
    "dataset": (add_cases, 15),
    "studies": (add_studies, 10),
    "study": (add_ratings, 16),
    "study_figures": (add_rankings, 16),
    "study_members": (add_members, 8),
    "jobs": (add_jobs, 10),
    "exports": (add_exports, 6),
    "people": (add_people, 6),
    "work": (add_studies, 8),
    "overview": (add_to_overview, 34),
    "attribution": (add_attributions, 6),
}


def url_of(name: str) -> str:
    model: Any = Dataset if name == "dataset" else Study
    row = model.objects.order_by("pk").first()
    return reverse(name, args=[row.uid] if name in ("dataset", "study", "study_figures", "study_members") else [])


@pytest.mark.parametrize("name", PAGES)
def test_a_longer_list_costs_no_more_queries(name: str, alice: User) -> None:
    add, most = PAGES[name]
    browser = Client()
    browser.force_login(alice)
    costs, sizes = [], []
    for count in (FEW, MANY - FEW):
        add(count, alice)
        browser.get(url_of(name))  # what is fetched once, such as the session, is not the list's
        with CaptureQueriesContext(connection) as queries:
            answer = browser.get(url_of(name))
        assert answer.status_code == 200
        costs.append(len(queries))
        sizes.append(len(answer.content))
    assert sizes[1] > sizes[0] or name == "study_figures"  # whose rows are the editors
    assert costs[0] == costs[1], queries.captured_queries
    assert costs[1] <= most
