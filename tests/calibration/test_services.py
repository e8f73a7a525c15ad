"""Calibrations begun, looked at, levelled, activated, and what of the guideline they find unclear; every refusal."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from annotation.library import load_tasks
from annotation.models import Candidate, Study, Unit
from annotation.studies import add_member
from scoring.asking import selections
from scoring.calibration import services
from scoring.calibration.figures import looks, page_figures
from scoring.calibration.parts import is_held_out
from scoring.calibration.triples import people_of
from scoring.models import Activation, Calibration, LevelMap, PromptVersion, Score, UnclearPoint
from tests import judging
from tests.calibration import make
from webapp.jobs.models import Job, State
from webapp.live import streams

pytestmark = pytest.mark.django_db


def a_desk(**more: Any) -> Calibration:
    """Over 16 candidates of 8 source images."""
    return make.calibration(make.rated_study(8, 2, 2), **more)


@pytest.fixture
def desk(bob: Any) -> Calibration:
    load_tasks()  # a test with real transactions may have emptied all tables
    return a_desk(by=bob)


def scored(desk: Calibration) -> PromptVersion:
    assert desk.current is not None
    make.scored(desk, desk.current, lambda pk: pk * 7 % 11 / 2)
    return desk.current


def refused(work: Callable[[], object]) -> str:
    with pytest.raises(ValidationError) as caught:
        work()
    return " ".join(caught.value.messages)


# Begin ---------------------------------------------------------------------------------------------------------------


def test_it_works(desk: Calibration, bob: Any) -> None:
    assert desk.current == desk.prompt.versions.get()
    assert desk.created_by == bob
    people = people_of(desk)
    assert people.candidates.size == 16
    assert 0 < people.held_out.sum() < 16


def test_it_begins_with_the_first_version_of_people(bob: Any) -> None:
    of = make.prompt()
    make.version(of, "Is it there?", parent=of.versions.get())
    assert a_desk(of=of, by=bob).current == of.versions.get(number=1)


def test_a_study_without_a_score(bob: Any) -> None:
    study = judging.study(judging.dataset(), "hp-score")
    assert "People have scored 0 candidates" in refused(lambda: make.calibration(study, by=bob))


def test_scores_of_another_task(bob: Any) -> None:
    of = make.prompt("swapping", task="swap")
    assert "People have scored 0 candidates" in refused(lambda: a_desk(of=of, by=bob))


def test_too_many_scores(bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "MOST", 15)
    assert "It takes 1 to 15" in refused(lambda: a_desk(by=bob))


def test_one_source_image_has_no_two_parts(bob: Any) -> None:
    study = make.rated_study(1, 3, 1)
    assert "come from 1 source images: too few" in refused(lambda: make.calibration(study, by=bob))
    assert not Calibration.objects.exists()


def test_two_source_images_are_enough(bob: Any) -> None:
    desk = make.calibration(make.rated_study(2, 3, 1), by=bob)
    assert people_of(desk).held_out.sum() == 3


def test_a_dimension_that_was_not_asked_for(bob: Any) -> None:
    assert "does not ask for this" in refused(lambda: a_desk(by=bob, dimension="beauty"))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_part_that_is_everything(bob: Any, share: float) -> None:
    refused(lambda: a_desk(by=bob, held_out=share))
    assert not Calibration.objects.exists()


def test_another_prompts_version_is_refused_everywhere(desk: Calibration, bob: Any) -> None:
    other = make.prompt("other").versions.get()
    values: dict[str, Any] = {"calibration": desk, "version": other}
    works: list[Callable[[], object]] = [
        lambda: services.use_version(**values),
        lambda: services.score_versions(calibration=desk, versions=[other], by=bob),
        lambda: services.look(**values, by=bob),
        lambda: services.fit_level(**values),
        lambda: services.activate(**values, by=bob),
        lambda: make.calibration(desk.study, desk.prompt, bob, judge=desk.judge, version=other),
    ]
    assert {refused(work) for work in works} == {"This version is of another prompt."}
    assert not Job.objects.exists()


# Parts ---------------------------------------------------------------------------------------------------------------

SOURCES = st.lists(st.text("0123456789abcdef", min_size=64, max_size=64), min_size=2, max_size=30, unique=True)


@given(seed=st.integers(0, 2**32 - 1), sources=SOURCES, share=st.floats(0.1, 0.9), more=st.floats(0, 0.1))
def test_a_source_image_has_one_part_whatever_else_there_is(
    seed: int, sources: list[str], share: float, more: float
) -> None:
    held = [source for source in sources if is_held_out(seed, source, share)]
    assert held == [source for source in sources[::-1] if is_held_out(seed, source, share)][::-1]
    assert all(is_held_out(seed, source, share + more) for source in held), "a larger share takes none out"


def test_the_share_is_as_was_asked_for() -> None:
    held = sum(is_held_out(7, f"{n:064x}", 0.3) for n in range(5000))
    assert 0.27 < held / 5000 < 0.33


def test_no_source_image_is_in_both_parts_and_none_changes_when_ratings_arrive(desk: Calibration, mallory: Any) -> None:
    def parts() -> dict[int, set[bool]]:
        people = people_of(desk)
        source = dict(Candidate.objects.values_list("pk", "case__source"))
        found: dict[int, set[bool]] = {}
        for pk, held in zip(people.candidates, people.held_out, strict=True):
            found.setdefault(source[int(pk)], set()).add(bool(held))
        return found

    before = parts()
    assert all(len(where) == 1 for where in before.values())
    Unit.objects.filter(study=desk.study).update(target=9)
    add_member(study=desk.study, user=mallory)
    make.rate(desk.study, mallory, lambda _pk: 5)
    assert parts() == before


def test_a_picture_that_is_rated_later_has_its_part_already(bob: Any) -> None:
    data = judging.dataset(cases=12, editors=1)
    raters = make.people(1)
    study = judging.study(data, protocol=make.protocol(1), members=raters)
    make.rate(study, raters[0], lambda _pk: 3, limit=8)
    desk = make.calibration(study, by=bob)
    before = dict(zip(people_of(desk).candidates, people_of(desk).held_out, strict=True))
    make.rate(study, raters[0], lambda _pk: 4)
    after = dict(zip(people_of(desk).candidates, people_of(desk).held_out, strict=True))
    assert len(before) == 8 < len(after) == 12
    assert {pk: after[pk] for pk in before} == before


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("count", [2, 7, 40, 500])
def test_the_parts_are_as_large_as_was_asked_for(count: int, share: float) -> None:
    sources = [f"{n:064x}" for n in range(count)]
    for _again in range(3):
        seed = services._dividing_seed(sources, share)
        held = sum(is_held_out(seed, source, share) for source in sources)
        assert 0 < held < count
        assert abs(held - share * count) <= max(1.0, 0.02 * count)


# Scoring -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def at_service(settings: Any) -> Any:
    from tests.scoring_jobs.make import endpoint, judge

    settings.PRIVATE_ENDPOINTS = True
    return lambda: (endpoint(), judge())[1]


def test_scoring_is_one_job_for_what_both_parts_hold(at_service: Any, bob: Any) -> None:
    desk = a_desk(by=bob, judge=at_service())
    assert desk.current is not None
    job = services.score_versions(calibration=desk, versions=[desk.current], by=bob)
    rows = selections.candidates_of(job.config["selection"], desk.current)
    assert set(rows.values_list("pk", flat=True)) == set(people_of(desk).candidates.tolist())
    assert services.score_versions(calibration=desk, versions=[desk.current], by=bob) == job, "it is at it already"
    job.state = State.CANCELLING
    job.save()
    assert services.score_versions(calibration=desk, versions=[desk.current], by=bob) != job, "that one ends"


def test_what_is_tried_costs_nothing_on_the_held_out_part(at_service: Any, bob: Any) -> None:
    desk = a_desk(by=bob, judge=at_service())
    assert desk.current is not None
    job = services.score_versions(calibration=desk, versions=[desk.current], by=bob, dev_only=True)
    people = people_of(desk)
    rows = selections.candidates_of(job.config["selection"], desk.current)
    assert set(rows.values_list("pk", flat=True)) == set(people.candidates[~people.held_out].tolist())


def test_what_follows_is_told_to_the_job(at_service: Any, bob: Any) -> None:
    desk = a_desk(by=bob, judge=at_service())
    assert desk.current is not None
    then = {"name": "nobody", "n": 7}
    assert services.score_versions(calibration=desk, versions=[desk.current], by=bob, then=then).config["then"] == then


# A look --------------------------------------------------------------------------------------------------------------


def test_a_look_is_counted_and_nothing_is_told_before(desk: Calibration, bob: Any, alice: Any) -> None:
    version = scored(desk)
    assert page_figures(desk, version)["held"] is None
    for number, by in enumerate((bob, alice, bob), start=1):
        services.look(calibration=desk, version=version, by=by)
        assert page_figures(desk, version)["looks"] == {"all": number, "versions": 1}
    assert list(desk.looks.order_by("pk").values_list("by__username", flat=True)) == ["bob", "alice", "bob"]
    assert page_figures(desk, version)["held"]["n"] == people_of(desk).held_out.sum()


def test_there_is_nothing_to_look_at(desk: Calibration, bob: Any) -> None:
    assert desk.current is not None
    version = desk.current
    assert "are not scored yet" in refused(lambda: services.look(calibration=desk, version=version, by=bob))
    people = people_of(desk)
    held = set(people.candidates[people.held_out].tolist())
    make.scored(desk, version, lambda pk: None if pk in held else 3.0)
    refused(lambda: services.look(calibration=desk, version=version, by=bob))
    assert desk.looks.count() == 0


def test_a_look_is_told_to_all_who_watch(desk: Calibration, bob: Any, django_capture_on_commit_callbacks: Any) -> None:
    version = scored(desk)
    streams.client().delete(f"live:{desk.channel}")
    with django_capture_on_commit_callbacks(execute=True):
        services.look(calibration=desk, version=version, by=bob)
    assert streams.client().xlen(f"live:{desk.channel}") == 1


# The level -----------------------------------------------------------------------------------------------------------


def test_a_judge_that_says_one_thing_has_no_level(desk: Calibration) -> None:
    assert desk.current is not None
    version = desk.current
    make.scored(desk, version, lambda _pk: 4.0)
    assert "fewer than 3 different scores" in refused(lambda: services.fit_level(calibration=desk, version=version))
    assert not LevelMap.objects.exists()


def test_a_level_is_fitted_on_the_dev_part_alone_and_anew(desk: Calibration) -> None:
    version = scored(desk)
    people = people_of(desk)
    first = services.fit_level(calibration=desk, version=version)
    assert first.triples == (~people.held_out).sum()
    held = people.candidates[people.held_out].tolist()
    version.scores.filter(candidate__in=held).update(value=0.0)
    again = services.fit_level(calibration=desk, version=version)
    assert (again.pk, again.knots) == (first.pk, first.knots)


# The active scorer ---------------------------------------------------------------------------------------------------


def active() -> list[Activation]:
    return list(Activation.objects.filter(ended_at=None))


def test_activation_puts_the_held_out_figures_on_record(desk: Calibration, bob: Any) -> None:
    version = scored(desk)
    services.look(calibration=desk, version=version, by=bob)
    made = services.activate(calibration=desk, version=version, by=bob, note="It is good.")
    shown = page_figures(desk, version)
    assert made.figures["held"] == shown["held"]
    assert made.figures["dev"] == shown["dev"]
    assert (made.figures["looks"], made.figures["unscored"], made.knots) == (1, 0, None)
    assert (made.task_id, made.dimension, made.judge, made.by, made.note) == (
        "add", "overall", desk.judge, bob, "It is good.",
    )  # fmt: skip


def test_activation_ends_the_former_one_and_the_history_stays(desk: Calibration, bob: Any, alice: Any) -> None:
    version = scored(desk)
    second = make.version(desk.prompt, "Is it there?", parent=version)
    make.scored(desk, second, lambda pk: pk % 6)
    for one, by in ((version, bob), (second, alice), (version, bob)):
        services.look(calibration=desk, version=one, by=by)
        services.activate(calibration=desk, version=one, by=by)
    rows = list(Activation.objects.order_by("pk"))
    assert [row.version for row in rows] == [version, second, version]
    assert [row.ended_at is None for row in rows] == [False, False, True]
    assert [row.figures["looks"] for row in rows] == [1, 2, 3]


def test_a_scorer_of_another_dimension_is_not_ended(desk: Calibration, bob: Any) -> None:
    version = scored(desk)
    services.look(calibration=desk, version=version, by=bob)
    first = services.activate(calibration=desk, version=version, by=bob)
    Activation.objects.filter(pk=first.pk).update(dimension="quality")
    services.activate(calibration=desk, version=version, by=bob)
    assert len(active()) == 2


def test_a_level_map_goes_with_it_where_it_is_wanted(desk: Calibration, bob: Any) -> None:
    version = scored(desk)
    services.look(calibration=desk, version=version, by=bob)
    values: dict[str, Any] = {"calibration": desk, "version": version, "by": bob}
    assert "No level was fitted" in refused(lambda: services.activate(**values, with_level=True))
    knots = services.fit_level(calibration=desk, version=version).knots
    assert services.activate(**values).knots is None
    assert services.activate(**values, with_level=True).knots == knots


def test_without_a_look_nothing_is_activated(desk: Calibration, bob: Any) -> None:
    version = scored(desk)
    other = make.version(desk.prompt, parent=version)
    make.scored(desk, other, lambda pk: pk % 6)
    services.look(calibration=desk, version=other, by=bob)
    assert "Look at the held-out figures first" in refused(
        lambda: services.activate(calibration=desk, version=version, by=bob)
    )
    assert active() == []


def test_a_trial_is_not_activated(desk: Calibration, bob: Any) -> None:
    trial = make.version(desk.prompt, parent=scored(desk), is_trial=True)
    make.scored(desk, trial, lambda pk: pk % 6)
    services.look(calibration=desk, version=trial, by=bob)
    assert "Accept the question first" in refused(lambda: services.activate(calibration=desk, version=trial, by=bob))


def test_a_prompt_for_every_task_is_no_tasks_scorer(bob: Any) -> None:
    desk = a_desk(of=make.prompt("every", task=None), by=bob)
    version = scored(desk)
    services.look(calibration=desk, version=version, by=bob)
    assert "needs a prompt of its own" in refused(lambda: services.activate(calibration=desk, version=version, by=bob))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_first", [True, False])
def test_of_many_at_once_one_is_active(bob: Any, is_first: bool) -> None:
    load_tasks()
    desk = a_desk(by=bob)
    version = scored(desk)
    services.look(calibration=desk, version=version, by=bob)
    if not is_first:
        services.activate(calibration=desk, version=version, by=bob)
    start, raised = threading.Barrier(4), list[BaseException]()

    def work() -> None:
        try:
            start.wait()
            services.activate(calibration=desk, version=version, by=bob)
        except BaseException as error:
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert raised == []
    assert len(active()) == 1
    assert Activation.objects.count() == 4 + (not is_first)


# Unclear guidelines --------------------------------------------------------------------------------------------------


def point(desk: Calibration, by: Any, note: str = "Is a shadow part of it?") -> UnclearPoint:
    candidate = Candidate.objects.filter(case__dataset=desk.study.dataset).order_by("pk")[0]
    assert desk.current is not None
    return services.mark_unclear(calibration=desk, candidate=candidate, version=desk.current, note=note, by=by)


def test_what_is_unclear_goes_to_the_studys_guidelines(desk: Calibration, bob: Any) -> None:
    Study.objects.filter(pk=desk.study_id).update(guidelines="Look closely.\n")
    made = point(desk, bob)
    services.settle_unclear(point=made, words="  A shadow is part of the object.  ")
    desk.study.refresh_from_db()
    assert desk.study.guidelines == "Look closely.\n\nA shadow is part of the object.\n"
    versions = desk.study.guideline_versions.order_by("number").values_list("number", "text")
    assert list(versions) == [(1, "Look closely.\n"), (2, desk.study.guidelines)]  # annotators read what changed
    made.refresh_from_db()
    assert made.settled_at is not None


def test_the_first_words_of_empty_guidelines(desk: Calibration, bob: Any) -> None:
    Study.objects.filter(pk=desk.study_id).update(guidelines="")
    services.settle_unclear(point=point(desk, bob), words="A shadow counts.")
    desk.study.refresh_from_db()
    assert desk.study.guidelines == "A shadow counts.\n"


def test_a_point_that_is_put_aside_changes_no_guideline(desk: Calibration, bob: Any) -> None:
    before = desk.study.guidelines
    services.settle_unclear(point=point(desk, bob), words=" ")
    desk.study.refresh_from_db()
    assert desk.study.guidelines == before


def test_a_point_is_settled_once(desk: Calibration, bob: Any) -> None:
    made = point(desk, bob)
    services.settle_unclear(point=made, words="A shadow counts.")
    assert "Somebody has settled this" in refused(lambda: services.settle_unclear(point=made, words="A shadow counts."))
    desk.study.refresh_from_db()
    assert desk.study.guidelines.count("A shadow counts.") == 1


def test_the_same_edit_is_one_point_with_the_latest_note(desk: Calibration, bob: Any, alice: Any) -> None:
    first = point(desk, bob)
    services.settle_unclear(point=first, words="")
    again = point(desk, alice, "Is the frame part of it?")
    assert UnclearPoint.objects.get() == again
    assert (again.note, again.by, again.settled_at) == ("Is the frame part of it?", alice, None)


def test_a_point_needs_words_and_an_edit_that_people_scored(desk: Calibration, bob: Any) -> None:
    assert "Write what the guideline leaves open" in refused(lambda: point(desk, bob, "  "))
    assert desk.current is not None
    version, stranger = desk.current, Candidate.objects.filter(case__dataset=judging.dataset())[0]
    assert "People have not scored this edit" in refused(
        lambda: services.mark_unclear(calibration=desk, candidate=stranger, version=version, note="Hm.", by=bob)
    )
    assert not UnclearPoint.objects.exists()


# One split a prompt --------------------------------------------------------------------------------------------------


def test_a_second_desk_of_a_prompt_has_the_split_of_the_first(desk: Calibration, bob: Any) -> None:
    second = make.calibration(desk.study, desk.prompt, bob, judge=make.judge("another"), held_out=0.1)
    assert (second.seed, second.held_out) == (desk.seed, desk.held_out)


def test_looks_of_all_desks_of_a_prompt_are_counted(desk: Calibration, bob: Any) -> None:
    assert desk.current is not None
    second = make.calibration(desk.study, desk.prompt, bob, judge=make.judge("another"))
    for at in (desk, second):
        make.scored(at, desk.current, lambda pk: pk % 6)
        services.look(calibration=at, version=desk.current, by=bob)
    assert looks(desk) == looks(second) == {"all": 2, "versions": 1}


def test_other_peoples_scores_of_the_version_are_not_counted_here(desk: Calibration) -> None:
    """A scorer that has scored a million images elsewhere is as quick to watch as before."""
    assert desk.current is not None
    make.scored(desk, desk.current, lambda pk: pk % 6)
    before = page_figures(desk, desk.current)["used"]
    make.rated_study(cases=2, raters=1, seed=3, names="elsewhere")
    others = Candidate.objects.exclude(items__study=desk.study)
    Score.objects.bulk_create(
        Score(candidate=one, version=desk.current, judge=desk.judge, status="parsed", value=1, keys=[])
        for one in others
    )
    assert page_figures(desk, desk.current)["used"] == before


def test_z_scores_have_no_level(bob: Any) -> None:
    desk = make.calibration(by=bob, method="zscore")
    assert desk.current is not None
    make.scored(desk, desk.current, lambda pk: pk % 6)
    found = page_figures(desk, desk.current)["dev"]
    assert found["figures"]["pcc"]["value"] is not None
    for name in ("mae", "bias", "within_one", "rmse"):
        assert found["figures"][name]["value"] is None
        assert "not how good" in found["figures"][name]["reason"]
    assert found["cut"]["share"]["value"] is None
    assert "no level" in refused(lambda: services.fit_level(calibration=desk, version=desk.current))


def test_an_applied_level_map_is_on_record_with_its_held_out_figures(desk: Calibration, bob: Any) -> None:
    assert desk.current is not None
    human = dict(zip(people_of(desk).candidates.tolist(), people_of(desk).human.tolist(), strict=True))
    make.scored(desk, desk.current, lambda pk: 2.5 + human[pk] / 2 + pk % 3 / 10)
    services.fit_level(calibration=desk, version=desk.current)
    services.look(calibration=desk, version=desk.current, by=bob)
    made = services.activate(calibration=desk, version=desk.current, by=bob, with_level=True)
    plain = made.figures["held"]["figures"]["bias"]["value"]
    assert abs(made.figures["mapped"]["figures"]["bias"]) < abs(plain)
    assert made.figures["mapped"]["figures"]["mae"] != page_figures(desk, desk.current)["mapped"]["figures"]["mae"]


@pytest.mark.parametrize("method", ["mean", "corrected", "zscore"])
def test_no_scorer_that_knows_the_means_is_far_above_the_ceiling(bob: Any, method: str) -> None:
    """The ceiling is that of the scores in force: with the annotators whom the method leaves out left out."""
    desk = make.calibration(make.rated_study(cases=20, raters=5), by=bob, method=method)
    found = people_of(desk).ceiling
    assert 0.8 < found.ceiling <= 1
    assert found.units == people_of(desk).human.size
