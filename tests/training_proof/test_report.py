"""What a proof's page says, from judgements given through the services: by hand, and by simulated annotators."""

import csv
import io
import math
from pathlib import Path
from typing import Any

import pytest

from annotation.models import Candidate, Dataset, Editor
from annotation.simulation.run import simulate
from scoring.models import Activation, Judge, PromptVersion, Score
from scoring.prompts.loading import load_prompts
from tests import judging
from tests.drawn import drawn
from tests.judging import rated
from tests.training_proof import make
from training.models import Proof
from training.proof import table
from training.proof.reading import said
from training.proof.report import report
from training.proof.starting import start_proof
from webapp.accounts.models import User


@pytest.fixture
def found(db: None) -> Proof:
    return make.proof(judging.dataset(cases=4, editors=2), raters=2)


def rows_of(proof: Proof) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(table.rows_of(proof)))))


# By hand -------------------------------------------------------------------------------------------------------------

ONE = {"case-000": "trained", "case-001": "trained", "case-002": "base", "case-003": "tie"}
OTHER = {"case-000": "trained", "case-001": "base", "case-002": "base", "case-003": "both_bad"}


def test_it_works(found: Proof) -> None:
    first, second = make.people(2)
    assert make.let(found.pairwise, first, make.by_case(ONE)) == 4
    assert make.let(found.pairwise, second, make.by_case(OTHER)) == 4
    assert make.let(found.ratings, first, make.scored(2, 4)) == 8
    assert make.let(found.ratings, second, make.scored(3, 4)) == 8
    made = report(found)
    assert made.preference is not None and made.gain is not None and made.agreement is not None
    assert made.preference.rate.value == (1 + 0.5 + 0 + 0.5) / 4
    assert (made.preference.wins, made.preference.losses, made.preference.ties) == (3, 3, 0.25)
    assert made.both_bad == 1 / 8
    assert (made.preference.rate.n, made.preference.rate.sources) == (8, 4)
    assert (made.gain.before.value, made.gain.after.value, made.gain.difference.value) == (2.5, 4, 1.5)
    assert made.agreement.same == 3 / 4, "a tie and both bad are the same vote"
    assert -1 < made.alpha < 1
    assert (made.progress.people, made.progress.simulated) == (2, 0)
    assert (made.progress.done, made.progress.target, made.progress.is_over) == (24, 24, True)
    assert made.sentences[0].startswith("Not distinguishable: People choose the trained editor in 50 % [")
    words = "Mean scores are not distinguishable: 4.00 against 2.50 of 5, +1.50 [1.50, 1.50]."
    assert made.sentences[1] == words, "four pictures decide nothing"
    assert [(row.name, row.preference.rate.n if row.preference else 0) for row in made.tasks] == [
        ("Object addition", 8)
    ]
    assert any("Fewer than ten source images" in words for words in made.remarks)


def test_whoever_is_called_a_the_editor_counts(found: Proof) -> None:
    """The trained editor always wins, whatever letter it had; its side is what the assignment recorded."""
    (judge,) = make.people(1)
    make.let(found.pairwise, judge, make.for_trained)
    told = said(found)
    assert {one.value for one in told.votes} == {1.0}
    lefts = {}
    assert found.pairwise is not None
    trained = {pair.trained: place for place, pair in enumerate(told.pairs)}
    for order in found.pairwise.assignments.values_list("order", flat=True):
        key = next(key for key in order if key in trained)
        lefts[trained[key]] = order[0] == key
    assert {one.pair: one.left for one in told.votes} == lefts


def test_many_source_images_decide(db: None) -> None:
    proof = make.proof(judging.dataset(cases=14, editors=2))
    (judge,) = make.people(1)
    make.let(proof.pairwise, judge, make.for_trained)
    made = report(proof)
    assert made.tone == "good"
    assert made.sentences == ["People prefer the trained editor: it wins in 100 % [100, 100] of 14 judgements."]
    assert made.remarks == [
        "It is not known what this editor learned from, so cases of its training may be among these."
    ]
    assert not made.progress.is_over, "the ratings are to come"


def test_the_base_can_win(db: None) -> None:
    proof = make.proof(judging.dataset(cases=12, editors=2))
    (judge,) = make.people(1)
    make.let(proof.pairwise, judge, lambda row: make.choice(make.sides(row)["base"]))
    make.let(proof.ratings, judge, make.scored(4, 1))
    made = report(proof)
    assert made.tone == "bad"
    assert made.sentences[0] == "People prefer the base: the trained editor wins in 0 % [0, 0] of 12 judgements."
    assert made.sentences[1].startswith("Its edits score lower: 1.00 instead of 4.00 of 5, -3.00")


def test_nothing_judged_says_so(found: Proof) -> None:
    made = report(found)
    assert made.sentences == ["There is no judgement yet."]
    assert (made.tone, made.progress.done, made.progress.target) == ("", 0, 24)
    assert made.preference is not None and math.isnan(made.preference.rate.value)


def test_what_is_excused_or_too_late_does_not_count(found: Proof) -> None:
    first, second = make.people(2)
    make.let(found.pairwise, first, lambda _row: make.choice("A", flag="cannot_judge"))
    make.let(found.ratings, first, lambda _row: rated({"overall": 5}, flag="broken"))
    assert report(found).sentences == ["There is no judgement yet."]
    make.let(found.pairwise, second, make.for_trained)
    assert found.pairwise is not None
    found.pairwise.judgements.filter(annotator=second).update(is_extra=True)
    assert said(found).votes == []


def test_a_flag_that_is_an_answer_counts(found: Proof) -> None:
    (judge,) = make.people(1)
    make.let(found.pairwise, judge, lambda row: make.choice(make.sides(row)["base"], flag="no_edit"), limit=1)
    assert [one.value for one in said(found).votes] == [0.0]


# Scorers beside people ------------------------------------------------------------------------------------------------


def give(judge: Judge, version: PromptVersion, editor: str, values: dict[str, float | None]) -> None:
    for key, value in values.items():
        for candidate in Candidate.objects.filter(editor__slug=editor, case__key=key):
            status = "failed" if value is None else "parsed"
            Score.objects.create(candidate=candidate, version=version, judge=judge, status=status, value=value)


def test_scorers_stand_beside_people(found: Proof) -> None:
    load_prompts()
    judge = Judge.objects.create(slug="j", name="J", kind="endpoint", notice="Demo judge, not a VLM.")
    other = Judge.objects.create(slug="other", name="Other", kind="endpoint")
    old, new = PromptVersion.objects.filter(prompt__slug="hp-add").order_by("number")[:2]
    give(judge, old, "editor-0", dict.fromkeys(ONE, 2.0))
    give(judge, old, "editor-1", {"case-000": 4, "case-001": 1, "case-002": 1, "case-003": 3})
    give(judge, new, "editor-0", dict.fromkeys(ONE, 5.0))
    give(judge, new, "editor-1", dict.fromkeys(ONE, 0.0))
    give(other, new, "editor-0", {"case-000": 1, "case-001": 1, "case-002": None})
    give(other, new, "editor-1", {"case-000": 1, "case-002": 1})
    activation = {"task_id": "add", "dimension": "overall", "version": old, "judge": judge, "figures": {}}
    Activation.objects.create(**activation)
    (person,) = make.people(1)
    make.let(found.pairwise, person, make.by_case(ONE))
    mine, another = report(found).scorers
    assert (mine.judge, mine.is_active) == (judge, True)
    assert (mine.echo.same.n, mine.echo.same.value) == (3, 2 / 3), "by the active version: +2, -1, -1, +1"
    assert mine.echo.prefers.value == 0.25
    assert (another.judge, another.is_active) == (other, False)
    assert (another.echo.same.n, another.echo.same.value) == (1, 0.5), "one pair scored, alike"
    make.let(found.ratings, person, lambda row: rated({"overall": 3 + len(make.sides(row))}))
    assert report(found).scorers[0].echo.n == 4, "of scores now"


def test_the_reward_of_the_training_is_named(db: None) -> None:
    data = judging.dataset(cases=3, editors=2)
    reward = [
        {"name": "J with a prompt", "kind": "endpoint", "identity": {"judge": "j"}, "trained": True},
        {"name": "Held", "identity": {"judge": "other"}, "trained": False},
        {"name": "Model", "identity": {"model": "m", "number": 2, "dimension": "overall"}, "trained": True},
        {"name": "Service", "identity": {"endpoint": "third"}, "trained": True},
    ]
    make.card(data, reward=reward)
    proof = make.proof(data)
    load_prompts()
    version = PromptVersion.objects.filter(prompt__slug="hp-add").latest("number")
    for slug in ("j", "other", "third"):
        judge = Judge.objects.create(slug=slug, name=slug.title(), kind="endpoint")
        for editor in ("editor-0", "editor-1"):
            give(judge, version, editor, {"case-000": 3})
    asks = {"model": "m", "dimension": "overall"}
    for number in (1, 2):
        judge = Judge.objects.create(slug=f"v{number}", name="V", kind="reward", settings={**asks, "number": number})
        for editor in ("editor-0", "editor-1"):
            give(judge, version, editor, {"case-000": 3})
    roles = {row.judge.slug: row.role for row in report(proof).scorers}
    assert roles == {
        "j": "the reward of the training",
        "other": "looked at in the training, held out",
        "third": "",
        "v1": "",
        "v2": "the reward of the training",
    }


# The table ------------------------------------------------------------------------------------------------------------


def test_the_table_has_every_pair(found: Proof) -> None:
    first, second = make.people(2)
    make.let(found.pairwise, first, make.by_case(ONE))
    make.let(found.pairwise, second, make.by_case(OTHER))
    make.let(found.ratings, first, make.scored(2, 4))
    rows = {row["case"]: row for row in rows_of(found)}
    assert list(rows) == list(ONE)
    counted = ("for_trained", "for_base", "ties", "both_bad", "vote", "mos_difference", "ratings_base")
    assert [rows["case-001"][name] for name in counted] == ["1", "1", "0", "0", "0.5", "2", "1"]
    assert [rows["case-003"][name] for name in counted] == ["0", "0", "1", "1", "0.5", "2", "1"]
    pair = said(found).pairs[0]
    assert (rows["case-000"]["base_candidate"], rows["case-000"]["trained_candidate"]) == (
        pair.base_uid,
        pair.trained_uid,
    )


def test_words_that_a_spreadsheet_would_run_are_made_plain(db: None) -> None:
    data = judging.dataset(cases=2, editors=2)
    data.cases.filter(key="case-000").update(key="=cmd()")
    data.cases.filter(key="case-001").update(key="-1+cmd()")
    proof = make.proof(data)
    assert {row["case"] for row in rows_of(proof)} == {"'=cmd()", "'-1+cmd()"}
    (person,) = make.people(1)
    make.let(proof.ratings, person, make.scored(4, 2))
    row = rows_of(proof)[0]
    assert (row["vote"], row["mos_difference"]) == ("", "-2"), "what is missing is empty, numbers stay"


# Simulated annotators -------------------------------------------------------------------------------------------------


@pytest.fixture
def simulated(tmp_path: Path, alice: User) -> Proof:
    """The drawn world's exact answer against an editor that does nothing."""
    data: Dataset = drawn(tmp_path, 4, owner=alice, notice="Demo data.")
    base, trained = (Editor.objects.get(slug=f"drawn-{name}") for name in ("nothing", "truth"))
    return start_proof(base=base, trained=trained, wish=make.wish(data, raters=3), by=alice, seed=1)


def test_simulated_annotators_find_the_better_editor(simulated: Proof) -> None:
    for study in simulated.studies:
        simulate(study=study, annotators={"honest": 2, "noisy": 1}, seed=4)
    simulated.refresh_from_db()
    made = report(simulated)
    assert made.preference is not None and made.gain is not None
    assert made.preference.rate.value > 0.9
    assert made.gain.difference.value > 2
    assert (made.progress.people, made.progress.simulated, made.progress.is_over) == (0, 3, True)
    assert "Simulated annotators" in made.sentences[0] and "People" not in made.sentences[0]
    assert len(made.tasks) == 2
    words = " ".join(made.notices)
    assert "Demo data." in words and "Simulation." in words
    assert all("Demo data." in row["notice"] and "Simulation." in row["notice"] for row in rows_of(simulated))


def test_figures_cost_the_same_for_more_pairs(db: None, django_assert_max_num_queries: Any) -> None:
    for cases in (2, 8):
        proof = make.proof(judging.dataset(cases=cases, editors=2))
        (judge,) = make.people(1)
        make.let(proof.pairwise, judge, make.for_trained)
        proof = Proof.objects.select_related("base", "trained", "dataset", "pairwise__dataset", "ratings__dataset").get(
            pk=proof.pk
        )
        with django_assert_max_num_queries(11):
            report(proof)
