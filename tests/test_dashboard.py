"""The overview: counts against the rows, health in words, jobs that matter, and what an open page fetches again."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from annotation.models import (
    Candidate,
    Case,
    Category,
    Dataset,
    Editor,
    Mark,
    Proposal,
    Source,
    StoredImage,
    Study,
    Unmade,
    UnmadeReason,
)
from annotation.studies import add_member, set_state
from scoring.models import Calibration, Judge, Prompt
from tests import judging
from tests.judging import judge, rated
from tests.overview_page import _nothing_kept, alive, an_admin, page  # noqa: F401  # fixtures among them
from tests.scripted import a_job, a_kind  # noqa: F401  # fixtures
from training.models import EditorBenchmark, LabelledSet, Proof, RewardModel, TrainedEditor
from training.sets.forms import address_for
from webapp.accounts.models import User
from webapp.dashboard import counts as counting
from webapp.dashboard import queries
from webapp.dashboard.counts import counts, total
from webapp.dashboard.funnel import Stage
from webapp.jobs import machine, services
from webapp.jobs.machine import Gpu
from webapp.jobs.models import Job

MOST_QUERIES = 36
SCORES = rated({"quality": 2.5, "alignment": 3, "preservation": 4})
Make = Callable[..., Job]


def stage(key: str) -> Stage:
    found: list[Stage] = queries.overview()["stages"]
    return next(one for one in found if one.key == key)


def test_it_works(admin: Client, alice: User, carol: User) -> None:
    data = judging.dataset(cases=2, editors=3, notice="Demo data.", owner=alice)
    study = judging.study(data, "mos", members=[carol], by=alice)
    judge(study, carol, lambda _row: SCORES, limit=4)
    alive("gpu", "gpu@box", host="box", gpus=(Gpu("H100", 80 << 30, 8 << 30),), disk_free=50 << 30, disk_total=90 << 30)
    html = page(admin)
    found = {one.key: (one.count, one.part, one.whole) for one in queries.overview()["stages"]}
    assert found == {
        "import": (2, 0, 2),
        "generate": (6, 2, 2),
        "annotate": (4, 4, 6 * 5),
        "aggregate": (Mark.objects.count(), 4, 6),
        "calibrate": (0, 0, 1),
        "train": (0, 0, 1),
        "posttrain": (0, 0, 0),
        "prove": (0, 0, 0),
        "export": (0, 0, 1),
    }
    assert "gpu@box" in html
    assert "H100" in html
    assert "8.0\xa0GB of 80.0\xa0GB" in html
    assert data.name in html  # named as demo data
    assert "needs 5 annotators and has 1" in html
    assert reverse("overview_live") in html
    assert "style=" not in html


def test_an_empty_installation(admin: Client) -> None:
    html = page(admin)
    assert "There is no data set yet." in html
    assert "No job has run yet." in html
    assert "badge demo" not in html
    assert [(one.count, one.percent) for one in queries.overview()["stages"]] == [(0, 0)] * 9


# Counts --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def library(alice: User) -> list[Dataset]:
    """Three data sets: one with everything, one whose sources the first has too, one without candidates."""
    first, second, bare = (judging.dataset(cases=n, editors=e, owner=alice) for n, e in ((4, 3), (2, 2), (3, 0)))
    shared = first.cases.order_by("pk")[0].source
    second.cases.update(source=shared)
    category = Category.objects.first()
    assert category is not None
    sources = [case.source for case in first.cases.order_by("pk")]
    Source.objects.create(image=sources[0], category=category, method="person")
    Source.objects.create(image=sources[1], method="clip")  # looked, and found none
    Source.objects.create(image=sources[2], phash="0" * 16)  # nobody looked
    faulty = list(Candidate.objects.filter(case__dataset=first).order_by("pk")[:5])
    for candidate, kept in zip(faulty, (None, None, False, True, True), strict=True):
        candidate.fault, candidate.fault_kept = "blank", kept
        candidate.save()
    case, editor = first.cases.order_by("pk")[0], faulty[0].editor
    Unmade.objects.create(case=case, editor=editor, seed=9, settings_hash="x", reason=UnmadeReason.FAILED)
    first.cases.get(key="case-003").candidates.all().delete()
    words = {"task_id": "add", "instruction": "i", "model": "m", "prompt_version": "1"}
    for number, state in enumerate(("open", "open", "accepted")):
        Proposal.objects.create(dataset=second, source=shared, number=number, state=state, **words)
    return [first, second, bare]


def test_counts_are_those_of_the_rows(library: list[Dataset]) -> None:
    first, second, bare = (data.pk for data in library)
    found, cases = counts(), list(Case.objects.select_related("source"))
    assert (found.cases, found.sources) == (9, len({case.source_id for case in cases})) == (9, 7)
    assert (found.categorised, found.candidates, found.unmade) == (1, Candidate.objects.count(), 1)
    assert found.usable == Candidate.objects.usable().count()
    assert total(found.aside) == Candidate.objects.set_aside().count()
    assert found.aside == [[first, 3]]
    assert found.undecided == [[first, 2]]
    assert found.bare == [[bare, 3], [first, 1]]
    assert found.covered == sum(case.candidates.exists() for case in cases)
    assert found.unseen == [[bare, 3], [first, 2]]
    assert found.proposals == [[second, 2]]
    assert found.made == [first, second]
    assert found.database_bytes > 0
    assert not found.is_large


def test_answers_are_counted_by_study(library: list[Dataset], alice: User, carol: User, bob: User) -> None:
    study = judging.study(library[1], "mos", members=[carol, bob], by=alice)
    other = judging.study(library[0], "mos", by=alice)
    judge(study, carol, lambda _row: SCORES)
    judge(study, bob, lambda _row: SCORES, limit=1)
    found = counts()
    assert sorted(found.units) == sorted([[study.pk, 4 * 5, 5], [other.pk, other.units.count() * 5, 0]])
    assert (found.given, found.marks, found.judged) == (5, 15, 4)


def test_little_data_is_never_behind(alice: User) -> None:
    assert counts().cases == 0
    judging.dataset(cases=1, owner=alice)
    assert counts().cases == 1
    assert cache.get(counting.KEY) is None


def test_much_data_is_counted_now_and_then(alice: User, admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Counted at" not in page(admin)
    monkeypatch.setattr(counting, "LARGE", 2)
    judging.dataset(cases=2, owner=alice)
    before = counts()
    gone = judging.dataset(cases=3, owner=alice)
    with CaptureQueriesContext(connection) as asked:
        assert counts() == before
    assert len(asked) == 0
    assert "Counted at" in page(admin)
    cache.delete(counting.KEY)
    assert counts().cases == 5
    gone.delete()  # the counts that are kept still name it
    assert "make candidates" not in page(admin).lower()


def test_what_another_release_kept_is_counted_anew() -> None:
    cache.set(counting.KEY, {"cases": 77}, 30)
    assert counts().cases == 0


def test_counts_without_redis(monkeypatch: pytest.MonkeyPatch, settings: Any, alice: User) -> None:
    judging.dataset(cases=2, owner=alice)
    monkeypatch.setattr(counting, "LARGE", 1)
    there = settings.CACHES
    settings.CACHES = {"default": {**there["default"], "LOCATION": "redis://127.0.0.1:1/0"}}
    try:
        assert counts().cases == 2
    finally:
        settings.CACHES = there


@pytest.mark.parametrize(
    ("part", "whole", "percent"), [(0, 0, 0), (1, 3, 33), (999, 1000, 99), (7, 7, 100), (8, 7, 100)]
)
def test_hundred_percent_means_that_nothing_is_missing(part: int, whole: int, percent: int) -> None:
    assert Stage("k", "n", 0, "l", "/", part, whole, "m", []).percent == percent


# Where the numbers lead ---------------------------------------------------------------------------------------------


def test_numbers_lead_to_their_rows(alice: User) -> None:
    only = judging.dataset(cases=1, owner=alice)
    assert stage("import").href == stage("generate").href == only.get_absolute_url()
    Candidate.objects.filter(pk=Candidate.objects.first().pk).update(fault="blank")  # type: ignore[union-attr]
    judging.dataset(cases=1, owner=alice)
    assert stage("import").href == reverse("datasets")
    assert stage("generate").details[0].href == reverse("faults", args=[only.uid])


def test_exports_are_counted(alice: User, carol: User) -> None:
    study = judging.study(judging.dataset(cases=1, editors=1, owner=alice), "mos", members=[carol], by=alice)
    judge(study, carol, lambda _row: SCORES)
    for table, state in (("pairs", "succeeded"), ("mos", "succeeded"), ("pairs", "failed")):
        made = services.start(kind="export", title="t", config={"study": str(study.uid), "table": table}, by=alice)
        Job.objects.filter(pk=made.pk).update(state=state)
    found = stage("export")
    assert (found.count, found.part, found.whole, found.details[0].count) == (2, 1, 1, 1)


# What to do next ----------------------------------------------------------------------------------------------------


def advice() -> dict[str, str]:
    return {step.key: step.href for step in queries.overview()["steps"]}


def test_advice_follows_the_loop(library: list[Dataset], alice: User, carol: User, bob: User) -> None:
    first, second, bare = library
    assert advice() == {
        "proposals": reverse("review", args=[second.uid]),
        "generate": reverse("generate", args=[bare.uid]),
        "aside": reverse("faults", args=[first.uid]) + "?state=open",
        "study": f"{reverse('new_study')}?dataset={first.pk}",
        "categories": reverse("categories", args=[bare.uid]),
    }


def calibrate(study: Study) -> None:
    """A desk for it, made directly: whether it has enough scores is tested elsewhere."""
    prompt = Prompt.objects.create(slug="p", name="P", task_id="add")
    someone = Judge.objects.create(slug="j", name="J", kind="endpoint")
    Calibration.objects.create(name="C", prompt=prompt, study=study, dimension="quality", judge=someone, seed=1)


def test_a_study_from_its_start_to_its_export(alice: User, carol: User) -> None:
    data = judging.dataset(cases=1, editors=1, owner=alice)
    Source.objects.create(image=data.cases.get().source, method="clip")
    assert list(advice()) == ["study"]
    study = judging.study(data, "mos", by=alice)
    assert advice() == {"invite": reverse("study_members", args=[study.uid])}
    study.protocol_json = {**study.protocol_json, "raters": 1}
    study.save()
    study.units.update(target=1)
    add_member(study=study, user=carol)
    assert advice() == {"answers": study.get_absolute_url()}
    judge(study, carol, lambda _row: SCORES)
    desk = f"{reverse('new_calibration')}?people={study.uid}/quality"
    assert advice() == {"calibrate": desk, "export": study.get_absolute_url()}
    calibrate(study)
    assert advice() == {"export": study.get_absolute_url()}
    made = services.start(kind="export", title="t", config={"study": str(study.uid), "table": "mos"}, by=alice)
    Job.objects.filter(pk=made.pk).update(state="succeeded")
    assert advice() == {}


def test_ranked_groups_become_a_training_set_and_a_reward_model(alice: User, carol: User) -> None:
    data = judging.dataset(cases=1, editors=2, owner=alice)
    Source.objects.create(image=data.cases.get().source, method="clip")
    study = judging.study(data, "group-rank", members=[carol], by=alice)
    judge(study, carol, lambda row: judging.ranked(judging.by_worth(row, float)))
    assert advice()["label"] == address_for(study)
    client = Client()
    client.force_login(alice)
    assert "This field is required" not in client.get(address_for(study)).content.decode(), "the form is filled in"
    made = LabelledSet.objects.create(
        slug="s", name="S", state="ready", origin={}, manifest="m", content_hash="h", groups=1
    )
    made.studies.add(study)
    assert "label" not in advice()
    assert advice()["train"] == f"{reverse('new_reward_model')}?set=s"
    RewardModel.objects.create(name="R", slug="r", number=1, labelled_set=made, config={}, folder="r", fingerprint="f")
    assert "train" not in advice()
    found = {one.key: (one.count, one.part, one.whole) for one in queries.overview()["stages"]}
    assert found["train"] == (1, 1, 1)


def test_a_study_that_was_closed_early_is_finished(alice: User, carol: User) -> None:
    study = judging.study(judging.dataset(cases=2, editors=1, owner=alice), "mos", members=[carol], by=alice)
    set_state(study=study, state="closed")
    assert "export" not in advice()  # nobody answered: nothing to take out
    set_state(study=study, state="open")
    judge(study, carol, lambda _row: SCORES, limit=1)
    assert "export" not in advice()
    set_state(study=study, state="closed")
    assert advice()["export"] == study.get_absolute_url()


# The page ------------------------------------------------------------------------------------------------------------


def grow(count: int, owner: User) -> None:
    """Data sets, studies, jobs of every state, and workers."""
    for number in range(count):
        data = judging.dataset(cases=2, editors=2, notice="Demo data.", owner=owner)
        judging.study(data, "mos", by=owner)
        Candidate.objects.filter(pk=data.cases.all()[0].candidates.all()[0].pk).update(fault="blank")
        for state in ("queued", "running", "failed", "succeeded"):
            config = {"study": str(uuid.uuid4()), "table": "mos"}
            made = services.start(kind="export", title=f"Job {number}", config=config, by=owner)
            Job.objects.filter(pk=made.pk).update(state=state, worker=f"w{number}", finished_at=timezone.now())
        alive("default", f"w{number}", host=f"box {number}")


@pytest.mark.parametrize("name", ["overview", "overview_now"])
def test_more_rows_cost_no_more_queries(admin: Client, alice: User, name: str) -> None:
    costs = []
    for count in (1, 29):
        grow(count, alice)
        page(admin, name)
        with CaptureQueriesContext(connection) as asked:
            page(admin, name)
        costs.append(len(asked))
    assert Study.objects.count() == 30
    assert costs[0] == costs[1] <= MOST_QUERIES


def test_what_is_fetched_again_is_the_same_as_on_the_page(admin: Client, alice: User) -> None:
    grow(2, alice)
    whole, moving = page(admin), page(admin, "overview_now")
    assert "<html" not in moving
    for key in ("problems", "pipeline", "next", "system", "workers", "recent"):
        assert whole.count(f'<section id="{key}"') == moving.count(f'<section id="{key}"') == 1


def test_names_are_shown_as_text(admin: Client, alice: User) -> None:
    data = judging.dataset(cases=1, notice="Demo data.", owner=alice)
    Dataset.objects.filter(pk=data.pk).update(name="<script>alert(1)</script>")
    alive("gpu", "<b>w</b>", gpus=(Gpu("<img src=x>", 1, 1),))
    html = page(admin)
    assert all(text not in html for text in ("<script>alert", "<b>w</b>", "<img src=x>"))
    assert "&lt;script&gt;alert(1)" in html


def test_annotators_are_refused(carol: User) -> None:
    client = Client()
    client.force_login(carol)
    assert [client.get(reverse(name)).status_code for name in ("overview", "overview_now")] == [403, 403]


def test_engineers_see_it(bob: User) -> None:
    client = Client()
    client.force_login(bob)
    assert "What to do next" in page(client)


def test_the_disk_of_the_data_folder(tmp_path: Path) -> None:
    free, whole = machine.disk(tmp_path)
    assert 0 < free <= whole
    assert machine.disk(tmp_path / "nowhere") == (0, 0)


def test_images_without_cases_do_not_count() -> None:
    judging.stored_image("alone").save()
    assert StoredImage.objects.count() == 1
    assert counts().sources == 0


def test_trained_editors_are_counted_and_wait_for_people(db: None) -> None:
    base, better, other = (Editor.objects.create(slug=name, name=name, module="drawn") for name in ("a", "b", "c"))
    for editor in (better, other):
        TrainedEditor.objects.create(editor=editor, base=base, config={})
    benchmark = EditorBenchmark.objects.create(
        slug="one", name="One", style="hp", dataset=Dataset.objects.create(slug="d", name="D")
    )
    benchmark.editors.add(better)
    Proof.objects.create(base=base, trained=other, dataset=benchmark.dataset)
    assert (stage("posttrain").count, stage("posttrain").part, stage("posttrain").whole) == (2, 1, 2)
    assert (stage("prove").count, stage("prove").part, stage("prove").whole) == (1, 1, 2)
    (step,) = [one for one in queries.overview()["steps"] if one.key == "prove"]
    assert step.href == better.trained.get_absolute_url()
    assert "more like this" not in step.text
