"""Strength of editors: against direct maximum likelihood, and where there is none."""

from dataclasses import replace

import evalica
import numpy as np
import pytest
from scipy.optimize import minimize

from scoring.stats.pairs import preference_pairs
from scoring.stats.ranks import rank_groups
from scoring.stats.strength import Comparisons, comparisons, editor_strengths
from scoring.stats.table import Rankings
from tests.stats.test_ranks import group_of

STRENGTH = np.array([0.8, 0.2, -0.3, -0.7])
TIE = 0.6


def simulated(seed: int, groups: int) -> Comparisons:
    """Every pair of four editors once a group."""
    rng = np.random.default_rng(seed)
    rows = []
    for group in range(groups):
        for i in range(4):
            for j in range(i):
                odds = np.exp([STRENGTH[i], STRENGTH[j], np.log(TIE) + (STRENGTH[i] + STRENGTH[j]) / 2])
                outcome = rng.choice(3, p=odds / odds.sum())
                rows.append((group, j, i, False) if outcome == 1 else (group, i, j, outcome == 2))
    return Comparisons(*(np.array(column) for column in zip(*rows, strict=True)))


def log_likelihood(outcomes: Comparisons, strength: np.ndarray, log_tie: float) -> float:
    first, second = strength[outcomes.first], strength[outcomes.second]
    tie = log_tie + (first + second) / 2
    total = np.logaddexp(np.logaddexp(first, second), tie)
    return float((np.where(outcomes.tied, tie, first) - total).sum())


def test_it_recovers_strengths_and_the_tie_parameter() -> None:
    found = editor_strengths(simulated(0, 3000), 4, resamples=0)
    assert found.strength == pytest.approx(STRENGTH, abs=0.1)
    assert found.tie == pytest.approx(TIE, abs=0.05)
    assert found.strength.sum() == pytest.approx(0)


def test_an_editor_that_was_never_compared_takes_nothing_from_the_others() -> None:
    known = simulated(0, 100)
    places = np.array([0, 2, 3, 5])  # of the four among seven
    among = replace(known, first=places[known.first], second=places[known.second])
    alone, found = editor_strengths(known, 4), editor_strengths(among, 7)
    for name in ("strength", "low", "high"):
        assert getattr(found, name)[places].tolist() == getattr(alone, name).tolist()
        assert np.isnan(getattr(found, name)[[1, 4, 6]]).all()
    assert (found.tie, found.usable) == (alone.tie, alone.usable)


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_maximum_of_the_likelihood(seed: int) -> None:
    outcomes = simulated(seed, 20)
    found = editor_strengths(outcomes, 4, resamples=0)
    best = minimize(lambda x: -log_likelihood(outcomes, np.append(x[:3], -x[:3].sum()), x[3]), np.zeros(4))
    assert found.strength[:3] == pytest.approx(best.x[:3], abs=1e-4)
    assert found.tie == pytest.approx(np.exp(best.x[3]), abs=1e-4)


def test_intervals_over_groups_are_repeatable_and_cover_the_truth() -> None:
    again = editor_strengths(simulated(0, 100), 4)
    covered = []
    for seed in range(10):
        found = editor_strengths(simulated(seed, 100), 4)
        if seed == 0:
            assert (found.low.tolist(), found.high.tolist()) == (again.low.tolist(), again.high.tolist())
        assert ((found.low < found.strength) & (found.strength < found.high)).all()
        assert found.usable == found.resamples == 200
        covered += ((found.low < STRENGTH) & (found.high > STRENGTH)).tolist()
    assert np.mean(covered) > 0.85


@pytest.mark.parametrize("seed", range(3))
def test_it_equals_evalica_where_that_converges(seed: int) -> None:
    outcomes = simulated(seed, 50)
    winners = [evalica.Winner.Draw if tie else evalica.Winner.X for tie in outcomes.tied.tolist()]
    reference = evalica.newman(
        outcomes.first.tolist(), outcomes.second.tolist(), winners, tolerance=1e-10, limit=10_000
    )
    assert reference.iterations < 10_000
    expected = np.log(reference.scores.sort_index().to_numpy())
    found = editor_strengths(outcomes, 4, resamples=0)
    assert found.strength == pytest.approx(expected - expected.mean(), abs=1e-6)
    assert found.tie == pytest.approx(2 * reference.v, abs=1e-6)


def test_two_editors_without_ties_have_the_closed_form() -> None:
    """Here the fixed-point iteration never settles."""
    outcomes = Comparisons(np.arange(12), np.array([0] * 9 + [1] * 3), np.array([1] * 9 + [0] * 3), np.zeros(12, bool))
    found = editor_strengths(outcomes, 2, resamples=0)
    assert found.strength == pytest.approx([np.log(3) / 2, -np.log(3) / 2])
    assert found.tie == 0


def test_an_editor_that_never_lost_has_no_finite_strength() -> None:
    outcomes = Comparisons(np.zeros(3), np.array([0, 0, 1]), np.array([1, 2, 2]), np.zeros(3, dtype=bool))
    found = editor_strengths(outcomes, 3)
    assert np.isnan(found.strength).all()
    assert np.isnan(found.low).all()
    assert found.usable == 0


def test_editors_that_never_met_cannot_be_compared() -> None:
    tied = np.ones(2, dtype=bool)
    found = editor_strengths(Comparisons(np.arange(2), np.array([0, 2]), np.array([1, 3]), tied), 4)
    assert np.isnan(found.strength).all()


def test_few_groups_have_strengths_but_no_interval() -> None:
    """One upset in one of three groups: most resamples lack it, and a percentile of the rest would be a lie."""
    outcomes = Comparisons(np.arange(3), np.array([0, 0, 1]), np.array([1, 1, 0]), np.zeros(3, dtype=bool))
    found = editor_strengths(outcomes, 2)
    assert found.strength == pytest.approx([np.log(2) / 2, -np.log(2) / 2])
    assert found.usable < 180
    assert np.isnan(found.low).all()


def test_all_ties_are_equal_strength() -> None:
    found = editor_strengths(Comparisons(np.zeros(1), np.array([0]), np.array([1]), np.ones(1, dtype=bool)), 2)
    assert found.strength == pytest.approx([0, 0])


def test_no_outcomes() -> None:
    none = np.array([], dtype=np.int64)
    found = editor_strengths(Comparisons(none, none, none, none.astype(bool)), 2)
    assert np.isnan(found.strength).all()


def test_outcomes_come_from_mean_ranks() -> None:
    result = rank_groups(Rankings.from_rows(group_of([1, 2, 2, 4])))
    pairs, ties = preference_pairs(result.panel.sizes, result.mean_rank)
    editors = np.array([0, 1, 2, 2])[result.panel.cell_candidate]
    found = comparisons(pairs, ties, result.panel.cell_group, editors)
    rows = set(zip(found.first.tolist(), found.second.tolist(), found.tied.tolist(), strict=True))
    assert rows == {(0, 1, False), (0, 2, False), (1, 2, False), (1, 2, True)}
    assert found.first.size == 5
