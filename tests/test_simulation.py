"""Simulated studies: the same services as people, the true score behind the answers, and what is refused."""

import io
import statistics
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone
from PIL import Image

from annotation import leases, work
from annotation.models import Assignment, Case, Dataset, Event, Judgement, Mark, Member, StoredImage, Study
from annotation.protocols import PRESETS
from annotation.simulation import truth
from annotation.simulation.annotators import KINDS
from annotation.simulation.run import Outcome, simulate
from annotation.studies import set_state
from drawnworld.edits import draw_pair
from drawnworld.score import true_score
from tests import judging
from tests.drawn import drawn, study_of
from tests.judging import member_of, rated
from webapp.accounts.models import User
from webapp.jobs.folder import JobStopped


@pytest.fixture
def data(tmp_path: Path, alice: User) -> Dataset:
    return drawn(tmp_path, 2, owner=alice, notice="Demo data.")


def answers(study: Study) -> dict[tuple[str, str], Any]:
    """Every answer, by annotator and item, whatever the rows' keys are."""
    rows = study.judgements.select_related("annotator", "assignment")
    items = {
        pk: f"{key}/{editor}"
        for pk, key, editor in Mark.objects.filter(judgement__study=study).values_list(
            "judgement", "candidate__case__key", "candidate__editor__slug"
        )
    }
    return {(row.annotator.username, items[row.pk]): row.answer for row in rows}


def scores_of(study: Study, kind: str) -> tuple[list[float], list[float]]:
    """(true scores, scores given) of all judgements by annotators of one kind."""
    shown = truth.facts_of(study, lambda: None)
    marks = Mark.objects.filter(judgement__study=study, judgement__annotator__username__contains=f"-{kind}-")
    pairs = [(shown[candidate].facts.score, score) for candidate, score in marks.values_list("candidate", "score")]
    return [first for first, _second in pairs], [float(second or 0) for _first, second in pairs]


# Judging -------------------------------------------------------------------------------------------------------------


def test_it_works(tmp_path: Path, alice: User) -> None:
    """Twelve edits, every kind of annotator: what they say of the true score, measured on the study's rows."""
    study = study_of(drawn(tmp_path, 4, owner=alice))
    made = simulate(study=study, annotators=dict.fromkeys(KINDS, 1), seed=3)
    assert made == Outcome(new=24 * 6, all=24 * 6, annotators=6)
    found = {kind: scores_of(study, kind) for kind in KINDS}
    assert {len(given) for _true, given in found.values()} == {24}
    assert statistics.correlation(*found["honest"]) > 0.9
    assert statistics.correlation(*found["biased"]) > 0.6
    assert statistics.correlation(*found["noisy"]) > 0.2
    assert statistics.correlation(*found["reversed"]) < -0.9
    assert len(set(found["straight"][1])) == 1
    assert len(set(found["random"][1])) > 2
    assert study.judgements.exclude(remark="").exists()
    honest = study.judgements.exclude(remark="").values_list("annotator__username", flat=True)
    assert all(name.startswith("simulated-honest-") for name in honest)


def test_everything_goes_through_the_services_of_people(data: Dataset) -> None:
    study = study_of(data, raters=3)
    simulate(study=study, annotators={"honest": 2}, seed=3)
    assert set(study.units.values_list("taken", "done", "target")) == {(2, 2, 3)}
    assert study.assignments.count() == study.judgements.count() == Mark.objects.count() == 12 * 2
    assert set(study.assignments.values_list("state", flat=True)) == {"done"}
    assert not study.judgements.filter(is_extra=True).exists()
    kinds = [list(row.events.order_by("seq").values_list("kind", flat=True)) for row in study.assignments.all()]
    assert kinds == [["open", "submit"]] * 24
    for member in study.members.all():
        assert (member.done, member.done_that_day) == (12, 12)
    for judgement in study.judgements.all():
        submitted = Event.objects.get(assignment=judgement.assignment, kind="submit")
        assert judgement.answer == submitted.data["answer"]
        assert judgement.seconds == 0, "by the server's clock: nothing was looked at"
        assert abs(judgement.created_at - timezone.now()) < timedelta(minutes=5)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_protocol_is_judged_to_the_end(data: Dataset, preset: str) -> None:
    study = study_of(data, preset, raters=2)
    units = study.units.count()
    made = simulate(study=study, annotators={"honest": 1, "random": 1, "straight": 1}, seed=1)
    assert made.all == 2 * units, "no unit gets more than it needs"
    assert set(study.units.values_list("done", "target")) == {(2, 2)}
    assert not study.judgements.filter(is_extra=True).exists()


def test_they_take_turns(data: Dataset) -> None:
    study = study_of(data)
    simulate(study=study, annotators={"honest": 3}, seed=2)
    order = list(study.judgements.order_by("pk").values_list("annotator", flat=True))
    changes = sum(first != second for first, second in pairwise(order))
    assert changes >= 5


def test_people_who_hold_units_keep_them(data: Dataset, carol: User) -> None:
    study = study_of(data, raters=1, members=[carol])
    (held,) = leases.lease(member_of(study, carol), count=1, turn=0)
    made = simulate(study=study, annotators={"honest": 2}, seed=1)
    assert made.all == 11
    judging.submit(member_of(study, carol), held, rated({"overall": 3}))
    assert not study.judgements.filter(is_extra=True).exists()


def test_a_break_does_not_hold_them_up(data: Dataset) -> None:
    study = judging.study(data, protocol=replace(PRESETS["hp-score"], session_minutes=1, break_minutes=60))
    simulate(study=study, annotators={"honest": 1}, seed=1, check=stop_after(2))
    now = timezone.now()
    Member.objects.update(session_started_at=now - timedelta(hours=1), break_until=now + timedelta(hours=1))
    assert simulate(study=study, annotators={"honest": 1}, seed=1).all == 12


# The truth -----------------------------------------------------------------------------------------------------------


def test_the_true_score_is_the_drawn_world_s(data: Dataset) -> None:
    """From the folder's own pictures, which were written before anything was imported."""
    found = truth.facts_of(study_of(data), lambda: None)
    assert len(found) == 12
    for index, task in enumerate(("color", "remove")):
        pair = draw_pair(5, index, task)
        for candidate in data.cases.get(key=f"drawn-5-{index:06}").candidates.select_related("editor", "image"):
            pixels = np.asarray(Image.open(io.BytesIO(candidate.image.read_original())))
            right = true_score(pair.source, pair.target, pair.mask, pixels)
            facts = found[candidate.pk].facts
            assert (facts.follow, facts.keep, facts.score) == (right.follow, right.keep, right.score)
            if candidate.editor.slug == "drawn-truth":
                assert (facts.follow, facts.keep, facts.quality, facts.score) == (1, 1, 1, 5)
            if candidate.editor.slug == "drawn-nothing":
                assert (facts.follow, facts.keep) == (0, 1)
            assert (facts.quality < 0.85) == (candidate.editor.slug == "drawn-noise")


def test_blur_lowers_the_quality() -> None:
    pair = draw_pair(5, 1, "remove")
    answer = truth.Answer(pair.source, pair.target, pair.mask)
    blurred = np.asarray(Image.fromarray(pair.target).resize((16, 16)).resize((64, 64)))
    assert truth.quality(answer, pair.target) == truth.quality(answer, pair.source) == 1
    assert truth.quality(answer, blurred) < 1


def refused(study: Study, words: str, **more: Any) -> None:
    """A refusal in those words, and nothing is there that was not before."""
    before = [model.objects.count() for model in (Judgement, Assignment, Member, User)]
    with pytest.raises(ValidationError, match=words):
        simulate(study=study, **{"annotators": {"honest": 1}, "seed": 1, **more})
    assert [model.objects.count() for model in (Judgement, Assignment, Member, User)] == before
    study.refresh_from_db()
    assert not study.is_simulated


def test_a_study_of_anything_else_is_refused(alice: User) -> None:
    study = judging.study(judging.dataset(cases=5))
    refused(study, "5 cases of this study are not of the drawn world.*case-000, case-001, case-002 ….*Nothing was sim")


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"scene": 1, "edit": 2},
        {"scene": {"things": [], "pattern": "plain", "pair": "sky"}, "edit": {"task": "remove"}},
        {"scene": {"things": [], "pattern": "plain", "pair": "sky"}, "edit": []},
    ],
)
def test_one_strange_case_is_enough(data: Dataset, params: Any) -> None:
    study = study_of(data)
    Case.objects.filter(key="drawn-5-000001").update(params=params)
    refused(study, "1 case of this study is not of the drawn world.*drawn-5-000001")


def test_an_edit_of_something_that_is_not_there_is_refused(data: Dataset) -> None:
    case = data.cases.get(key="drawn-5-000001")
    case.params["scene"]["things"] = []
    case.save()
    refused(study_of(data), "drawn-5-000001")


def test_an_image_of_another_size_is_refused(data: Dataset) -> None:
    candidate = data.cases.order_by("pk")[0].candidates.order_by("pk")[0]
    out = io.BytesIO()
    Image.new("RGB", (128, 64)).save(out, "PNG")
    replace_original(candidate.image, out.getvalue())
    refused(study_of(data), "drawn-5-000000 by drawn-truth has 128 × 64 pixels, and the drawn world has 64 × 64")


def test_an_image_that_is_gone_or_broken_is_refused(data: Dataset) -> None:
    study, images = study_of(data), [row.image for row in data.cases.order_by("pk")[1].candidates.order_by("pk")]
    replace_original(images[1], b"no picture")
    refused(study, "drawn-5-000001 by drawn-nothing cannot be read")
    StoredImage.objects.filter(pk=images[1].pk).update(original="nowhere.png")
    refused(study, "drawn-5-000001 by drawn-nothing cannot be read")


def replace_original(image: StoredImage, content: bytes) -> None:
    from django.core.files.base import ContentFile
    from django.core.files.storage import default_storage

    image.original = default_storage.save("replaced.png", ContentFile(content))
    image.save()


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"annotators": {}}, "Choose 1 to 100 annotators"),
        ({"annotators": {"honest": 0}}, "Choose 1 to 100 annotators"),
        ({"annotators": {"honest": 2, "noisy": -1}}, "Choose 1 to 100 annotators"),
        ({"annotators": {"honest": 101}}, "Choose 1 to 100 annotators"),
        ({"annotators": {"lazy": 1}}, "no annotators of the kind lazy"),
        ({"seed": -1}, "A seed is a whole number"),
        ({"seed": 2**32}, "A seed is a whole number"),
    ],
)
def test_wishes_that_make_no_sense_are_refused(data: Dataset, wish: dict[str, Any], words: str) -> None:
    refused(study_of(data), words, **wish)


@pytest.mark.parametrize("state", ["paused", "closed"])
def test_a_study_that_is_not_open_is_refused(data: Dataset, state: str) -> None:
    study = study_of(data)
    set_state(study=study, state=state)
    refused(study, f"This study is {state}. Open it first")


# Again, and after a stop ----------------------------------------------------------------------------------------------


def stop_after(turns: int, then: Callable[[], None] = lambda: None) -> Callable[[], None]:
    """A check that does not stop by itself: it calls ``then`` at the given turn."""
    seen = [0]

    def check() -> None:
        seen[0] += 1
        if seen[0] == turns:
            then()

    return check


def stop() -> None:
    raise JobStopped


MANY = {"honest": 2, "noisy": 1, "random": 1}


def test_the_same_seed_gives_the_same_answers(tmp_path: Path, alice: User) -> None:
    """Also in another study of the same edits, whoever judges what."""
    one, other = (study_of(drawn(tmp_path, 2, owner=alice)) for _data in range(2))
    simulate(study=one, annotators=MANY, seed=9)
    simulate(study=other, annotators=MANY, seed=9)
    assert answers(one) == answers(other)
    third = study_of(drawn(tmp_path, 2, owner=alice))
    simulate(study=third, annotators=MANY, seed=10)
    assert list(answers(third).values()) != list(answers(one).values())


def order(study: Study) -> list[tuple[str, str]]:
    rows = study.judgements.order_by("pk").values_list("annotator__username", "marks__candidate__image__sha256")
    return list(rows)


def test_after_a_stop_it_goes_on_as_if_it_had_not_stopped(tmp_path: Path, alice: User) -> None:
    """Three raters for four annotators: who judges what depends on the order, and it is the same."""
    data = drawn(tmp_path, 2, owner=alice)
    whole, broken = (study_of(data, raters=3) for _number in range(2))
    simulate(study=whole, annotators=MANY, seed=9)
    with pytest.raises(JobStopped):
        simulate(study=broken, annotators=MANY, seed=9, check=stop_after(4, stop))
    begun = order(broken)
    assert 0 < len(begun) < 36
    assert not broken.assignments.exclude(state="done").exists(), "whole turns only"
    made = simulate(study=Study.objects.get(pk=broken.pk), annotators=MANY, seed=9)
    assert (made.new, made.all) == (36 - len(begun), 36)
    assert order(broken)[: len(begun)] == begun
    assert order(broken) == order(whole)
    assert answers(broken) == answers(whole)


def test_a_second_run_gives_no_second_judgement(data: Dataset) -> None:
    study = study_of(data)
    simulate(study=study, annotators={"honest": 2}, seed=1)
    assert simulate(study=study, annotators={"honest": 2}, seed=1) == Outcome(new=0, all=24, annotators=2)
    assert simulate(study=study, annotators={"honest": 3}, seed=1).new == 12, "a third one joins them"
    assert simulate(study=study, annotators={"honest": 1}, seed=2).new == 12, "another seed is another annotator"
    assert study.judgements.count() == 48
    assert study.judgements.filter(revisions__gt=0).count() == 0


def test_what_an_annotator_holds_already_is_judged_first(data: Dataset) -> None:
    study = study_of(data, raters=1)
    simulate(study=study, annotators={"honest": 1}, seed=1, check=stop_after(99))
    study.judgements.all().delete()
    rows = list(study.assignments.order_by("pk")[:2])
    study.assignments.exclude(pk__in=[row.pk for row in rows]).delete()
    study.units.update(taken=0, done=0)
    for row, state in zip(rows, ("leased", "expired"), strict=True):
        Assignment.objects.filter(pk=row.pk).update(state=state)
        row.events.all().delete()
    study.units.filter(pk=rows[0].unit_id).update(taken=1)
    assert simulate(study=study, annotators={"honest": 1}, seed=1) == Outcome(new=12, all=12, annotators=1)
    assert set(study.units.values_list("taken", "done")) == {(1, 1)}


def test_a_study_that_is_closed_in_the_middle_stops_them(data: Dataset) -> None:
    study = study_of(data)

    def close() -> None:
        set_state(study=Study.objects.get(pk=study.pk), state="closed")

    with pytest.raises(ValidationError, match="The study is now closed"):
        simulate(study=study, annotators={"honest": 2}, seed=1, check=stop_after(3, close))
    assert 0 < study.judgements.count() < 24
    assert not study.judgements.filter(is_extra=True).exists()


def test_a_turn_is_whole_or_nothing(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    study = study_of(data)
    monkeypatch.setattr(work, "record", lambda **_more: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        simulate(study=study, annotators={"honest": 1}, seed=1)
    assert not study.assignments.exists()
    assert set(study.units.values_list("taken", flat=True)) == {0}
