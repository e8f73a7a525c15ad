"""A study's figures: the numbers of its page, recounted from the answers, and what does not count."""

import random
import re
from dataclasses import replace
from statistics import fmean
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from scipy.stats import kendalltau

from annotation.models import Study
from annotation.protocols import PRESETS
from annotation.queries import study_progress
from scoring import results, tables
from scoring.results import contested_groups, of_study
from tests import judging, recount
from tests.judging import by_worth, judge, ranked, rated
from webapp.accounts.models import User

KEYS = ("quality", "alignment", "preservation")


@pytest.fixture
def rated_study(carol: User, mallory: User, bob: User) -> Study:
    """Three people score nine candidates; bob is two steps stricter than the others."""
    chance, people = random.Random(5), (carol, mallory, bob)
    study = judging.study(judging.dataset(cases=3, editors=3), "mos", people)
    for user in people:
        judge(study, user, lambda row, user=user: rated({k: score_of(row, chance) - 0.2 * (user == bob) for k in KEYS}))  # type: ignore[misc]
    return study


def score_of(row: Any, chance: random.Random) -> float:
    """Candidates with higher keys are better, give or take."""
    best = row.unit.item.candidates.get().pk % 9
    return round(1.2 + 0.3 * best + chance.randint(0, 12) / 10, 1)


@pytest.fixture
def ranked_study(carol: User, mallory: User, bob: User) -> Study:
    chance, people = random.Random(6), (carol, mallory, bob)
    study = judging.study(judging.dataset(cases=3, editors=4), "group-rank", people)
    for user in people:
        judge(study, user, lambda row: ranked(by_worth(row, lambda candidate: candidate + chance.randint(0, 4))))
    return study


def page_of(study: Study, reader: User, name: str = "study") -> str:
    browser = Client()
    browser.force_login(reader)
    address = reverse(name, args=[study.uid])
    part = reverse("study_figures", args=[study.uid]) if name == "study" else f"{address}?part=1"
    pages = [browser.get(address), browser.get(part)]
    assert [page.status_code for page in pages] == [200, 200]
    whole, figures = (re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", page.content.decode()) for page in pages)
    assert figures.strip() in whole
    return whole


# Ratings ------------------------------------------------------------------------------------------------------------


def test_it_works(rated_study: Study) -> None:
    """An editor's figure is the mean over its candidates of their mean scores, in the units of the protocol."""
    found = of_study(rated_study)
    rows = recount.ratings(rated_study)
    assert found.dimensions == ["Visual quality", "Editing alignment", "Attribute preservation"]
    assert {row.editor.slug for row in found.editors} == {"editor-0", "editor-1", "editor-2"}
    for row in found.editors:
        here = [one for one in rows if one["editor"] == row.editor.slug]
        means = [fmean(one["score"] for one in here if one["dimension"] == key) for key in KEYS]
        assert row.values == pytest.approx(means)
        assert row.overall == pytest.approx(0.3 * means[0] + 0.4 * means[1] + 0.3 * means[2])
        assert row.count == 3
    assert [row.overall for row in found.editors] == sorted((row.overall for row in found.editors), reverse=True)


def test_candidates_stand_best_first_with_their_intervals(rated_study: Study) -> None:
    expected = {(r["candidate"], r["dimension"]): r for r in recount.mos(rated_study, method="mean", rule="none")}
    found = of_study(rated_study).candidates
    assert len(found) == 9
    for candidate, scores in found:
        for key, score in zip(KEYS, scores, strict=True):
            right = expected[str(candidate.uid), key]
            assert score is not None
            assert (score.mos, score.n, score.std) == (pytest.approx(right["mos"]), 3, pytest.approx(right["std"]))
            assert (score.low, score.high) == (pytest.approx(right["ci_low"]), pytest.approx(right["ci_high"]))
    totals = [sum(score.mos or 0 for score in scores if score) for _candidate, scores in found]
    assert totals == sorted(totals, reverse=True)


def test_only_so_many_candidates_are_shown(rated_study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    best = [candidate for candidate, _scores in of_study(rated_study).candidates[:4]]
    monkeypatch.setattr(results, "SHOWN", 4)
    assert [candidate for candidate, _scores in of_study(rated_study).candidates] == best


def test_annotators_are_named_by_number_with_their_bias(rated_study: Study, bob: User) -> None:
    rows, found = recount.ratings(rated_study), of_study(rated_study).annotators
    assert len(found) == 9
    for row in found:
        mine = [one for one in rows if (one["annotator"], one["dimension"]) == (row.name, row.dimension)]
        residuals = [
            one["score"]
            - fmean(r["score"] for r in rows if (r["candidate"], r["dimension"]) == (one["candidate"], row.dimension))
            for one in mine
        ]
        assert (row.ratings, row.bias) == (9, pytest.approx(fmean(residuals)))
    assert {row.name for row in found if (row.bias or 0) < 0} >= {f"a{bob.pk}"}


def test_an_erratic_annotator_is_named_with_a_reason(carol: User, mallory: User, bob: User) -> None:
    """24 candidates: two people agree up to a step, the third guesses."""
    chance, people = random.Random(1), (carol, mallory, bob)
    study = judging.study(judging.dataset(cases=12, editors=2), "mos", people)

    def answer(row: Any, user: User) -> judging.Answer:
        steady = 1.5 + 0.1 * (row.unit.item.candidates.get().pk % 30)
        return rated(
            dict.fromkeys(
                KEYS, chance.randint(10, 50) / 10 if user == bob else round(steady + chance.randint(0, 1) / 10, 1)
            )
        )

    for user in people:
        judge(study, user, lambda row, user=user: answer(row, user))  # type: ignore[misc]
    reasons = {row.name: row.reason for row in of_study(study).annotators if row.reason}
    assert set(reasons) == {f"a{bob.pk}"}
    assert "outliers" in str(reasons[f"a{bob.pk}"])


# Rankings -----------------------------------------------------------------------------------------------------------


def test_editors_are_ranked_by_their_wins(ranked_study: Study) -> None:
    expected, found = recount.wins(ranked_study), of_study(ranked_study)
    assert len(found.editors) == 4
    for row in found.editors:
        assert row.values == pytest.approx([expected[row.editor.slug, key] for key in KEYS])
        assert row.overall == pytest.approx(0.3 * row.values[0] + 0.4 * row.values[1] + 0.3 * row.values[2])
    assert sum(row.values[0] or 0 for row in found.editors) == pytest.approx(6)  # 4·3/2 pairs a group


def test_agreement_on_rankings_is_the_mean_over_groups(ranked_study: Study) -> None:
    found = {row.dimension: row for row in of_study(ranked_study).concordance}
    assert set(found) == set(KEYS)
    contested = set()
    for key in KEYS:
        tables_of = [
            (about["group"], [list(row) for row in zip(*ranks.values(), strict=True)])
            for about, ranks, _editor in recount.groups(ranked_study)
            if about["dimension"] == key
        ]
        ws = {group: recount.kendall_w(table) or 0 for group, table in tables_of}
        taus = [
            kendalltau(table[i], table[j]).statistic for _g, table in tables_of for i, j in ((0, 1), (0, 2), (1, 2))
        ]
        assert (found[key].groups, found[key].measured) == (3, 3)
        assert found[key].w == pytest.approx(fmean(ws.values()))
        assert found[key].tau == pytest.approx(fmean(taus))
        contested |= {(group, key) for group, w in ws.items() if w < 0.5}
        assert found[key].contested == sum(w < 0.5 for w in ws.values())
    assert contested_groups(ranked_study) == contested


def test_a_shelf_is_a_score_too(ranked_study: Study) -> None:
    """One pass of ranking gives a score of 0 to 5, so a ranking study has opinion scores as well."""
    found = tables.ratings(ranked_study)
    assert sorted(found.score.tolist()) == sorted(row["score"] for row in recount.ratings(ranked_study))
    assert set(found.annotators.to_pylist()) == {row["annotator"] for row in recount.ratings(ranked_study)}


def test_comparisons_give_wins(carol: User, mallory: User) -> None:
    """Of the three pairs of a case editor 2 wins two, editor 1 one; then a tie and both bad count ½ each."""
    study = judging.study(
        judging.dataset(cases=1), "pairwise", (carol, mallory), protocol=replace(PRESETS["pairwise"], raters=2)
    )
    judge(study, carol, lambda row: {"choice": "A" if row.order[0] > row.order[1] else "B", "flag": None, "remark": ""})
    assert [(row.editor.slug, row.values) for row in of_study(study).editors] == [
        ("editor-2", [1]), ("editor-1", [0.5]), ("editor-0", [0])
    ]  # fmt: skip
    study.judgements.all().delete()
    choices = iter(("tie", "both_bad", "tie"))
    judge(study, mallory, lambda _row: {"choice": next(choices), "flag": None, "remark": ""})
    assert {tuple(row.values) for row in of_study(study).editors} == {(0.5,)}
    assert all(row.overall is None for row in of_study(study).editors)


# What does not count ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"is_extra": True}, *({"flag": flag} for flag in recount.EXCUSES)])
def test_extra_and_excused_answers_do_not_count(rated_study: Study, bob: User, change: dict[str, Any]) -> None:
    rated_study.judgements.filter(annotator=bob).update(**change)
    assert set(tables.ratings(rated_study).annotators.to_pylist()).isdisjoint({f"a{bob.pk}"})
    assert {score.n for _c, scores in of_study(rated_study).candidates for score in scores if score} == {2}
    assert f"a{bob.pk}" not in {row.name for row in of_study(rated_study).annotators}
    with_extra = tables.ratings(rated_study, include_extra=True).annotators.to_pylist()
    assert (f"a{bob.pk}" in with_extra) == ("is_extra" in change)


def test_an_edit_without_effect_counts(ranked_study: Study, bob: User) -> None:
    before = of_study(ranked_study).concordance
    ranked_study.judgements.filter(annotator=bob).update(flag="no_edit")
    assert of_study(ranked_study).concordance == before


def test_figures_of_a_study_are_its_own(rated_study: Study, carol: User) -> None:
    before = of_study(rated_study)
    again = judging.study(rated_study.dataset, "mos", (carol,))
    judge(again, carol, lambda _row: rated(dict.fromkeys(KEYS, 1.0)))
    assert of_study(rated_study).editors == before.editors
    assert [row.overall for row in of_study(again).editors] == [pytest.approx(1)] * 3


# The page -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_the_page_of_a_study_without_answers(db: None, alice: User, preset: str) -> None:
    study = judging.study(judging.dataset(cases=1), preset)
    assert "No judgements yet" in page_of(study, alice)
    assert of_study(study).editors == []


def test_the_pages_show_the_figures(rated_study: Study, ranked_study: Study, alice: User) -> None:
    text = page_of(rated_study, alice)
    for row in of_study(rated_study).editors:
        assert f"{row.overall:.2f}" in text
    text = page_of(ranked_study, alice, "study_agreement")
    for line in of_study(ranked_study).concordance:
        assert f"{line.w:.3f}" in text


@pytest.mark.parametrize(
    ("preset", "answer"), [("mos", rated(dict.fromkeys(KEYS, 2))), ("group-rank", ranked([["A"], ["B", "C"]]))]
)
def test_one_answer_alone_makes_a_page(carol: User, alice: User, preset: str, answer: judging.Answer) -> None:
    """There is no interval and no agreement yet, and the page says so."""
    study = judging.study(judging.dataset(cases=1), preset, (carol,))
    judge(study, carol, lambda _row: answer, limit=1)
    found = of_study(study)
    assert [(row.w, row.tau) for row in found.concordance] in ([], [(None, None)])
    assert {score.low for _candidate, scores in found.candidates for score in scores if score} <= {None}
    text = page_of(study, alice)
    assert "nan" not in re.sub(r"<[^>]*>", "", text).lower().split()
    assert ("there is only one annotator" in text) == (preset == "mos")


def test_progress_counts_what_is_done_leased_and_extra(rated_study: Study, mallory: User) -> None:
    first, second = rated_study.units.order_by("pk")[:2]
    first.judgements.filter(annotator=mallory).update(is_extra=True)
    rated_study.units.filter(pk=second.pk).update(taken=5)
    expected = {"target": 45, "done": 27, "in_work": 2, "extra": 1, "members": 3, "simulated": 0}
    assert study_progress([rated_study]) == [expected]
