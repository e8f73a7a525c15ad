"""The rows behind the points: largest first, of the dev part, with what people and the judge said."""

from typing import Any

import pytest

from annotation.library import load_tasks
from annotation.models import Judgement, Unit
from annotation.studies import add_member
from scoring.calibration import disagreements, services
from scoring.calibration.disagreements import largest, of_candidates
from scoring.calibration.triples import people_of
from scoring.models import Answer, Calibration, PromptVersion
from tests.calibration import make

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(bob: Any) -> Calibration:
    load_tasks()
    return make.calibration(make.rated_study(10, 3, 2), make.prompt("hp", "Is it there?", "Is it kept?"), bob)


@pytest.fixture
def version(desk: Calibration) -> PromptVersion:
    assert desk.current is not None
    make.scored(desk, desk.current, lambda pk: pk * 7 % 11 / 2)
    return desk.current


def gaps(desk: Calibration, version: PromptVersion, held: bool = False) -> dict[int, float]:
    """By a loop: of each candidate of a part, how far the judge is from people."""
    scores = dict(version.scores.values_list("candidate", "value"))
    people = people_of(desk)
    return {
        int(pk): abs(scores[int(pk)] - mean)
        for pk, mean, is_held in zip(people.candidates, people.human, people.held_out, strict=True)
        if is_held == held
    }


def test_it_works(desk: Calibration, version: PromptVersion) -> None:
    wanted = gaps(desk, version)
    rows, count = largest(desk, version)
    assert {row.candidate.pk for row in rows} == set(wanted)
    assert count == len(wanted)
    assert [abs(row.gap or 0) for row in rows] == sorted(wanted.values(), reverse=True)
    assert not any(row.held_out for row in rows)


def test_it_goes_on_where_it_stopped(
    desk: Calibration, version: PromptVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, count = largest(desk, version)
    monkeypatch.setattr(disagreements, "SHOWN", 4)
    found = [row for start in range(0, count, 4) for row in largest(desk, version, start=start)[0]]
    assert found == whole
    assert largest(desk, version, start=count + 9) == ([], count)


def test_what_has_no_score_is_no_disagreement(desk: Calibration, version: PromptVersion) -> None:
    lost = next(iter(gaps(desk, version)))
    version.scores.filter(candidate=lost).update(value=None, status="failed")
    rows, _count = largest(desk, version)
    assert lost not in {row.candidate.pk for row in rows}
    (row,) = of_candidates(desk, version, [lost])
    assert (row.scorer, row.gap) == (None, None)


def test_ratings_and_remarks_of_each_annotator_by_a_name_that_is_not_theirs(
    desk: Calibration, version: PromptVersion, mallory: Any
) -> None:
    Unit.objects.filter(study=desk.study).update(target=9)
    add_member(study=desk.study, user=mallory)
    make.rate(desk.study, mallory, lambda _pk: 2, remark="The hand is odd.")
    row = largest(desk, version)[0][0]
    marks = Judgement.objects.filter(marks__candidate=row.candidate).order_by("annotator")
    assert [(one.annotator, one.remark) for one in row.ratings] == [
        (f"a{mark.annotator_id}", mark.remark) for mark in marks
    ]
    assert row.ratings[-1].remark == "The hand is odd."
    assert row.ratings[-1].score == 2
    assert row.human == pytest.approx(sum(one.score for one in row.ratings) / 3)


def test_a_rating_that_does_not_count_is_not_shown(desk: Calibration, version: PromptVersion) -> None:
    row = largest(desk, version)[0][0]
    last = Judgement.objects.filter(marks__candidate=row.candidate).order_by("-annotator").first()
    assert last is not None
    Judgement.objects.filter(pk=last.pk).update(flag="broken")
    (after,) = of_candidates(desk, version, [row.candidate.pk])
    assert len(after.ratings) == len(row.ratings) - 1


def test_the_judges_answers_by_question(desk: Calibration, version: PromptVersion) -> None:
    row = largest(desk, version)[0][0]
    said = [
        {"question": key, "answer": word, "reason": why} for key, word, why in (("q0", "no", "gone"), ("q1", "yes", ""))
    ]
    Answer.objects.create(
        key="k1", judge=desk.judge, status="parsed", score=1.0, answers=said, reasoning="It is gone.", note="n"
    )
    version.scores.filter(candidate=row.candidate).update(keys=["k1", "k2"])
    found = largest(desk, version)[0][0]
    assert found.answers == [(1, "Is it there?", "no", "gone"), (2, "Is it kept?", "yes", "")]
    assert (found.reasoning, found.status, found.note) == ("It is gone.", "Scored", "n")


def test_an_answer_to_a_question_that_the_version_does_not_ask(desk: Calibration, version: PromptVersion) -> None:
    """The same text of another version was answered, whose questions have other keys."""
    row = largest(desk, version)[0][0]
    said = [{"question": "older", "answer": "no", "reason": ""}]
    Answer.objects.create(key="k1", judge=desk.judge, status="parsed", score=1.0, answers=said)
    version.scores.filter(candidate=row.candidate).update(keys=["k1"])
    assert largest(desk, version)[0][0].answers == [(0, "", "no", "")]


def test_a_point_that_was_marked(desk: Calibration, version: PromptVersion, bob: Any) -> None:
    row = largest(desk, version)[0][1]
    made = services.mark_unclear(calibration=desk, candidate=row.candidate, version=version, note="Hm.", by=bob)
    assert [one.unclear for one in largest(desk, version)[0][:3]] == [None, made, None]


def test_chosen_points_are_shown_but_for_what_is_held_out(desk: Calibration, version: PromptVersion, bob: Any) -> None:
    dev, held = gaps(desk, version), gaps(desk, version, held=True)
    every = [*dev, *held]
    assert {row.candidate.pk for row in of_candidates(desk, version, every)} == set(dev)
    services.look(calibration=desk, version=version, by=bob)
    rows = of_candidates(desk, version, every)
    both = sorted((dev | held).values(), reverse=True)[: disagreements.SHOWN]
    assert [abs(row.gap or 0) for row in rows] == pytest.approx(both)
    assert {row.candidate.pk for row in rows if row.held_out} <= set(held)


def test_of_many_chosen_points_the_largest_are_shown(
    desk: Calibration, version: PromptVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disagreements, "SHOWN", 3)
    dev = gaps(desk, version)
    rows = of_candidates(desk, version, sorted(dev, key=dev.__getitem__))
    assert [abs(row.gap or 0) for row in rows] == sorted(dev.values(), reverse=True)[:3]


def test_points_that_are_none(desk: Calibration, version: PromptVersion) -> None:
    assert of_candidates(desk, version, []) == of_candidates(desk, version, [10**9]) == []


def test_queries_do_not_grow_with_the_rows(
    desk: Calibration, version: PromptVersion, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(12):
        assert len(largest(desk, version)[0]) > 5
