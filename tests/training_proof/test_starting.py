"""Beginning a proof: equal seeds, only cases that the training did not learn from, and everything that is refused."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from annotation.library import ensure_editor, settings_hash
from annotation.models import Candidate, Dataset, ItemCandidate, Study
from tests import judging
from tests.training_proof import make
from training.models import Proof, ProofState
from training.proof import services
from training.proof.starting import start_proof
from webapp.accounts.models import User
from webapp.jobs.models import Job

CASES = ["case-000", "case-001", "case-002", "case-003"]


@pytest.fixture
def data(db: None) -> Dataset:
    return judging.dataset(cases=4, editors=3, seeds=2)


def pairs_of(study: Study | None) -> set[tuple[str, tuple[tuple[str, int], ...]]]:
    """(case, ((editor, seed), …)) of every item."""
    assert study is not None
    return {
        (item.case.key, tuple(item.candidates.order_by("editor__slug").values_list("editor__slug", "seed")))
        for item in study.items.all()
    }


def test_it_works(data: Dataset, bob: User) -> None:
    """The images are there, so people get it at once: seed s against seed s, and the same candidates one by one."""
    judges = make.people(2)
    found = make.proof(data, by=bob, seeds=2, raters=2, people=tuple(judges))
    assert (found.state, found.generation, found.created_by) == (ProofState.OPEN, None, bob)
    assert pairs_of(found.pairwise) == {
        (case, (("editor-0", seed), ("editor-1", seed))) for case in CASES for seed in (0, 1)
    }
    assert pairs_of(found.ratings) == {
        (case, ((f"editor-{editor}", seed),)) for case in CASES for seed in (0, 1) for editor in (0, 1)
    }
    for study in found.studies:
        assert set(study.units.values_list("target", flat=True)) == {2}
        assert set(study.members.values_list("user", flat=True)) == {user.pk for user in judges}
        assert study.created_by == bob
    assert found.pairwise and found.pairwise.protocol.kind == "pairwise"
    assert found.ratings and found.ratings.preset == "hp-score"
    assert found.settings["lost"] == 0


def test_only_what_was_asked_for_is_made(data: Dataset) -> None:
    assert make.proof(data, ratings=False).ratings is None
    assert make.proof(data, pairwise=False).pairwise is None


def test_cases_are_drawn_by_chance(db: None) -> None:
    data = judging.dataset(cases=12, editors=2)
    base, trained = make.two()
    drawn = [
        tuple(start_proof(base=base, trained=trained, wish=make.wish(data, cases=5), by=None, seed=n).settings["cases"])
        for n in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert {len(set(one)) for one in drawn} == {5}


def test_what_a_check_set_aside_is_shown_too(data: Dataset) -> None:
    """A trained editor that blanks its pictures must not win by it."""
    Candidate.objects.filter(editor__slug="editor-1", case__key="case-000").update(fault="blank")
    found = make.proof(data)
    assert len(pairs_of(found.pairwise)) == 4
    assert found.settings["set_aside"] == {"base": 0, "trained": 1}


# Cases of the training -----------------------------------------------------------------------------------------------


def test_what_the_training_learned_from_is_left_out(data: Dataset) -> None:
    """By the source image: another case of the same picture is no test either."""
    twin = data.cases.get(key="case-003")
    twin.source = data.cases.get(key="case-000").source
    twin.save()
    made = make.card(data, learned=["case-000"])
    found = make.proof(data, cases=2)
    assert {case for case, _pair in pairs_of(found.pairwise)} == {"case-001", "case-002"}
    assert (found.job, found.settings["known"], found.settings["looked"]) == (made.job, True, 0)


def test_what_it_was_looked_at_with_comes_last_and_is_counted(data: Dataset) -> None:
    make.card(data, learned=["case-000"], looked=["case-001", "case-002"])
    assert {case for case, _pair in pairs_of(make.proof(data, cases=1).pairwise)} == {"case-003"}
    found = make.proof(data, cases=2)
    assert "case-003" in {case for case, _pair in pairs_of(found.pairwise)}
    assert found.settings["looked"] == 1


def test_an_editor_of_unknown_training_says_so(data: Dataset) -> None:
    assert make.proof(data).settings["known"] is False


def test_without_the_runs_folder_its_choice_is_made_again(data: Dataset, tmp_path: Any) -> None:
    """The run that made it went on without it, or its folder was cleared: what it chose then is what it would now."""
    from training.runs.data import Wanted, choose

    data.cases.filter(key="case-002").update(split="dev")
    data.cases.filter(key="case-003").update(split="test")
    wanted = Wanted(dataset=str(data.uid))
    told = {"wanted": wanted.to_json(), "hash": choose(wanted).hash}
    made = make.card(data, data=told)
    made.job = None
    made.save()
    found = make.proof(data, cases=2)
    assert {case for case, _pair in pairs_of(found.pairwise)} == {"case-002", "case-003"}
    assert (found.settings["known"], found.settings["looked"]) == (True, 1)


def test_cases_used_in_the_training_are_refused(data: Dataset) -> None:
    make.card(data, learned=CASES[:3])
    refused(data, "cases", r"has 1 cases for this; the source images of 3 others were used in the training", cases=2)


# What is refused -----------------------------------------------------------------------------------------------------


def refused(data: Dataset, field: str, words: str, **more: Any) -> None:
    base, trained = make.two()
    before = [model.objects.count() for model in (Proof, Study, Job, ItemCandidate)]
    with pytest.raises(ValidationError, match=words) as caught:
        start_proof(base=more.pop("base", base), trained=trained, wish=make.wish(data, **more), by=None)
    assert field in getattr(caught.value, "error_dict", {"": None})
    assert [model.objects.count() for model in (Proof, Study, Job, ItemCandidate)] == before


def test_the_same_editor_twice_is_refused(data: Dataset) -> None:
    refused(data, "base", "the same editor twice", base=make.two()[1])


@pytest.mark.parametrize(
    ("field", "words", "more"),
    [
        ("cases", "Choose 1 to 2000 cases", {"cases": 0}),
        ("cases", "Choose 1 to 2000 cases", {"cases": 2001}),
        ("cases", "more than 5000 pairs", {"cases": 2000, "seeds": 3}),
        ("cases", "has only 4 cases of these tasks", {"cases": 5}),
        ("cases", "has no cases of this part and these tasks", {"cases": 1, "split": "test"}),
        ("cases", "has no cases of this part and these tasks", {"cases": 1, "tasks": ("remove",)}),
        ("seeds", "Choose 1 to 10 seeds", {"seeds": 0}),
        ("seeds", "Choose 1 to 10 seeds", {"seeds": 11}),
        ("raters", "Choose 1 to 20 raters", {"raters": 0}),
        ("raters", "Choose 1 to 20 raters", {"raters": 21}),
        ("pairwise", "Ask for choices, for ratings, or for both", {"pairwise": False, "ratings": False}),
        ("people", "Choose who judges", {"later": False}),
    ],
)
def test_wishes_that_cannot_be_met_are_refused(data: Dataset, field: str, words: str, more: dict[str, Any]) -> None:
    refused(data, field, words, **more)


def test_too_few_people_are_refused(data: Dataset) -> None:
    judges = make.people(2)
    refused(data, "people", "3 different people, and 2 are chosen", people=tuple(judges), raters=3, later=False)
    refused(
        data, "people", "2 different people, and 1 are chosen", people=(judges[0], judges[0]), raters=2, later=False
    )
    assert make.proof(data, people=(judges[0],), raters=2, later=True).state == "open", "others come later"


def test_people_who_can_look_it_up_are_refused(data: Dataset, bob: User) -> None:
    refused(data, "people", "bob can look up who made an image", people=(bob, *make.people(1)))


def test_an_editor_without_a_program_cannot_make_what_is_missing(data: Dataset) -> None:
    Candidate.objects.filter(editor__slug="editor-1", case__key="case-002").delete()
    refused(data, "", "No program makes images for Editor 1")


def test_images_made_elsewhere_are_paired_by_the_seeds_they_have(data: Dataset) -> None:
    Candidate.objects.filter(case__dataset=data, seed=0).update(seed=77)
    Candidate.objects.filter(editor__slug="editor-1", seed=1).update(seed=2)
    found = make.proof(data)
    assert pairs_of(found.pairwise) == {(case, (("editor-0", 77), ("editor-1", 77))) for case in CASES}
    Candidate.objects.filter(editor__slug="editor-1", seed=77).update(seed=3)
    refused(data, "", "both editors have an image with the same seed")


# Images that are missing ---------------------------------------------------------------------------------------------


@pytest.fixture
def waiting(data: Dataset) -> Proof:
    """Base and trained editor have a program; of the trained one's images one is there."""
    base = ensure_editor(slug="b", name="B", module="classical", settings={"n": 1})
    trained = ensure_editor(slug="t", name="T", module="classical", settings={"n": 2})
    for number, case in enumerate(data.cases.order_by("pk")):
        image(case, base)
        if not number:
            image(case, trained)
    return start_proof(base=base, trained=trained, wish=make.wish(data, cases=3), by=None, seed=3)


def image(case: Any, editor: Any, seed: int = 0) -> None:
    picture = judging.stored_image(f"{case.pk}-{editor.slug}-{seed}")
    picture.save()
    rest = {"seed": seed, "settings_hash": settings_hash(editor.settings)}
    Candidate.objects.create(case=case, editor=editor, image=picture, **rest)


def test_missing_images_are_made_first(waiting: Proof) -> None:
    job = waiting.generation
    assert job is not None and waiting.state == ProofState.WAITING and not waiting.studies
    assert job.config["editors"] == ["t"], "the base's are there"
    assert (job.config["only"], job.config["seeds"]) == (waiting.settings["cases"], 1)
    assert services.look() == 1
    waiting.refresh_from_db()
    assert waiting.state == ProofState.WAITING, "the job is not done"
    for case in waiting.dataset.cases.filter(pk__in=waiting.settings["cases"]):
        if not case.candidates.filter(editor=waiting.trained).exists():
            image(case, waiting.trained)
    Job.objects.filter(pk=job.pk).update(state="succeeded")
    assert services.look() == 1
    waiting.refresh_from_db()
    assert waiting.state == ProofState.OPEN and len(pairs_of(waiting.pairwise)) == 3
    studies = list(waiting.studies)
    assert services.look() == 0
    assert services.advance(key=waiting.pk).studies == studies, "a second look makes no second pair of studies"
    assert Study.objects.count() == 2


def test_a_case_without_an_image_is_left_out_and_counted(waiting: Proof) -> None:
    Job.objects.update(state="succeeded")
    there = waiting.dataset.cases.filter(pk__in=waiting.settings["cases"], candidates__editor=waiting.trained).count()
    for case in waiting.dataset.cases.filter(pk__in=waiting.settings["cases"][-1:]):
        image(case, waiting.trained)
    services.look()
    waiting.refresh_from_db()
    assert waiting.settings["lost"] == 3 - there - 1
    assert len(pairs_of(waiting.pairwise)) == there + 1


def test_no_image_at_all_stops_it(waiting: Proof) -> None:
    Candidate.objects.filter(editor=waiting.trained).delete()
    Job.objects.update(state="succeeded")
    services.look()
    waiting.refresh_from_db()
    assert waiting.state == ProofState.STOPPED and "nothing to show" in waiting.message
    assert not Study.objects.exists()


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_a_job_that_stopped_is_waited_for_until_somebody_says_go(waiting: Proof, state: str) -> None:
    with pytest.raises(ValidationError, match="are being made"):
        services.begin_anyway(proof=waiting)
    Job.objects.update(state=state)
    for case in waiting.dataset.cases.filter(pk__in=waiting.settings["cases"][:1]):
        case.candidates.filter(editor=waiting.trained).delete()
        image(case, waiting.trained)
    services.look()
    waiting.refresh_from_db()
    assert waiting.state == ProofState.WAITING
    assert waiting.generation is not None
    waiting.generation.refresh_from_db()
    assert services.begin_anyway(proof=waiting).state == ProofState.OPEN
    waiting.refresh_from_db()
    with pytest.raises(ValidationError, match="people have them already"):
        services.begin_anyway(proof=waiting)


def test_an_error_stops_one_proof_and_not_the_look(waiting: Proof, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "twins", lambda *_a: 1 / 0)
    Job.objects.update(state="succeeded")
    assert services.look() == 1
    waiting.refresh_from_db()
    assert waiting.state == ProofState.STOPPED and "ZeroDivisionError" in waiting.message
