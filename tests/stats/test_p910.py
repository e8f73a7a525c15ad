"""The subject model: golden values, recovery of the truth, the collapse and its repair."""

import numpy as np
import pytest

from scoring.stats import p910
from scoring.stats.mos import MosSettings, mean_opinion_scores
from scoring.stats.p910 import subject_model
from scoring.stats.table import Panel, Ratings
from tests.stats.shared import nflx, simulated


def test_it_recovers_exact_biases() -> None:
    rows = [(a, i, "q", s + b) for a, b in (("x", -1.0), ("y", 0.0), ("z", 1.0)) for i, s in (("1", 2.0), ("2", 4.0))]
    for corrected in (False, True):
        model = subject_model(Panel.of(Ratings.from_rows(rows)), corrected=corrected)
        assert model.score == pytest.approx([2.0, 4.0])
        assert model.bias == pytest.approx([-1.0, 0.0, 1.0])
        assert model.inconsistency == pytest.approx([0, 0, 0], abs=1e-6) or model.converged.all()


def test_p910_equals_the_golden_values() -> None:
    rows, golden = nflx()
    model = subject_model(Panel.of(Ratings.from_rows(rows)), corrected=False)
    reference = golden["P910_AnnexE"]
    assert model.score == pytest.approx(reference["quality_scores"], abs=1e-6)
    assert model.bias == pytest.approx(reference["observer_bias"], abs=1e-6)
    assert model.inconsistency == pytest.approx(reference["observer_inconsistency"], abs=1e-6)
    assert model.bias_error == pytest.approx(reference["observer_bias_std"], abs=1e-6)
    assert model.inconsistency_error == pytest.approx(reference["observer_inconsistency_std"], abs=1e-6)
    assert model.converged.all()


def test_p910_intervals_equal_the_golden_values() -> None:
    rows, golden = nflx()
    scored = mean_opinion_scores(Ratings.from_rows(rows), MosSettings(method="p910")).scored
    reference = golden["P910_AnnexE"]
    # The reference takes the population std where all stds here are sample stds, and 1.95996 for the normal quantile.
    population = np.sqrt(25 / 26)
    assert population * scored.std / np.sqrt(26) == pytest.approx(reference["quality_scores_std"], abs=1e-6)
    half = population * (scored.high - scored.low) / 2
    assert half == pytest.approx(np.array(reference["quality_scores_ci95"][0]), abs=1e-5)


def test_corrected_is_close_to_p910_on_a_complete_panel() -> None:
    rows, golden = nflx()
    model = subject_model(Panel.of(Ratings.from_rows(rows)), corrected=True)
    assert model.score == pytest.approx(golden["P910_AnnexE"]["quality_scores"], abs=0.01)


@pytest.mark.parametrize("per_item", [5, 8, 15])
def test_corrected_beats_p910_and_the_mean_on_sparse_panels(per_item: int) -> None:
    """60 annotators, 400 items; mean correlation with the truth over 4 studies, and the inconsistencies."""
    correlation = {"mean": 0.0, "zscore": 0.0, "p910": 0.0, "corrected": 0.0}
    for seed in range(4):
        ratings, truth, _, spread = simulated(seed, per_item)
        psi = np.array([truth[name] for name in ratings.items.to_pylist()])
        for method in correlation:
            settings = MosSettings(method=method, outliers="none")  # type: ignore[arg-type]
            correlation[method] += np.corrcoef(mean_opinion_scores(ratings, settings).scored.mos, psi)[0, 1] / 4
        true_spread = np.array([spread[name] for name in ratings.annotators.to_pylist()])
        panel = Panel.of(ratings)
        found = subject_model(panel, corrected=True).inconsistency / true_spread
        assert found.min() > 0.4
        assert np.median(np.abs(found - 1)) < 0.2
        # Without its floor the plain alternation loses somebody's inconsistency altogether.
        assert (subject_model(panel, corrected=False, floor=1e-6).inconsistency / true_spread).min() < 0.2
    assert correlation["corrected"] > correlation["p910"] > correlation["zscore"] > correlation["mean"]


@pytest.mark.parametrize(("annotators", "stride"), [(60, 1), (60, 5), (60, 7), (30, 4)])
def test_fixed_strides_converge(annotators: int, stride: int) -> None:
    """Item j goes to five annotators from number j·stride on: neighbours meet, and nobody else."""
    rng = np.random.default_rng(1)
    psi, bias = rng.normal(3, 0.7, 300), rng.normal(0, 0.5, annotators)
    spread = rng.lognormal(np.log(0.6), 0.5, annotators)
    rows = [
        (f"a{i}", f"i{j}", "d", psi[j] + bias[i] + spread[i] * rng.normal())
        for j in range(300)
        for i in sorted({(j * stride + k) % annotators for k in range(5)})
    ]
    panel = Panel.of(Ratings.from_rows(rows))
    for corrected in (False, True):
        assert subject_model(panel, corrected=corrected).converged.all()


def test_leaping_ends_where_the_alternation_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = Panel.of(simulated(0, 5)[0])
    leaping = subject_model(panel, corrected=False)
    monkeypatch.setattr(p910, "STEADY", 2.0)
    plain = subject_model(panel, corrected=False)
    assert leaping.rounds[0] < plain.rounds[0]
    assert leaping.score == pytest.approx(plain.score, abs=1e-6)
    assert leaping.inconsistency == pytest.approx(plain.inconsistency, abs=1e-6)


def test_intervals_of_corrected_cover_the_truth() -> None:
    covered = []
    for seed in range(4):
        ratings, truth, _, _ = simulated(seed, 5)
        scored = mean_opinion_scores(ratings, MosSettings(method="corrected")).scored
        psi = np.array([truth[name] for name in ratings.items.to_pylist()])
        psi += (scored.mos - psi).mean()
        covered.append(np.mean((scored.low < psi) & (psi < scored.high)))
    assert 0.93 < np.mean(covered) < 0.99


def test_dimensions_are_solved_apart() -> None:
    rows, _ = nflx()
    other = [(a, i, "other", 6 - s / 2) for a, i, _, s in rows[: 26 * 30]]
    both = subject_model(Panel.of(Ratings.from_rows([*rows, *other])), corrected=True)
    alone = subject_model(Panel.of(Ratings.from_rows(rows)), corrected=True)
    assert both.score[:79] == pytest.approx(alone.score, abs=1e-12)
    assert both.rounds.tolist()[0] == alone.rounds.tolist()[0]


@pytest.mark.parametrize("corrected", [False, True])
def test_odd_panels_have_an_answer(corrected: bool) -> None:
    for rows in (
        [("a", "x", "q", 3.0)],
        [("a", "x", "q", 3.0), ("b", "x", "q", 5.0)],
        [("a", "x", "q", 3.0), ("a", "y", "q", 4.0)],
        [("a", "x", "q", 0.1), ("b", "x", "q", 0.1), ("a", "y", "q", 0.1), ("b", "y", "q", 0.1)],
        [("a", "x", "q", 3.0), ("b", "y", "q", 4.0)],
    ):
        model = subject_model(Panel.of(Ratings.from_rows(rows)), corrected=corrected)
        assert np.isfinite(model.score).all()
        assert np.isfinite(model.bias).all()
        assert (model.inconsistency > 0).all()
        assert model.converged.all()


def test_not_converging_is_said() -> None:
    ratings, _, _, _ = simulated(0, 5)
    model = subject_model(Panel.of(ratings), corrected=False, limit=3)
    assert model.converged.tolist() == [False]
    assert model.rounds.tolist() == [3]
