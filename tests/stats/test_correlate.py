"""Agreement of a scorer with people: against scipy, brute force and closed forms."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from scoring.stats.correlate import (
    correlation,
    fisher_interval,
    fisher_mean,
    kendall_tau_b,
    midranks,
)
from scoring.stats.grouped import Floats

FIGURES = ("pcc", "pcc_low", "pcc_high", "srcc", "tau_b", "mae", "rmse", "bias", "within_one")


def triples(seed: int, n: int, *, tied: bool = True) -> tuple[Floats, Floats]:
    """Means of five people and scores of a scorer, on 0 to 5."""
    rng = np.random.default_rng(seed)
    human = rng.integers(0, 26, n) / 5 if tied else rng.uniform(0, 5, n)
    scorer = np.clip(0.6 * human + 1.5 + rng.normal(0, 0.8, n), 0, 5)
    return human, np.round(scorer) if tied else scorer


def test_it_works() -> None:
    human, scorer = np.array([0.0, 1.0, 2.4, 4.0, 5.0]), np.array([1.0, 1.0, 2.0, 3.0, 5.0])
    found = correlation(human, scorer)
    assert (found.n, found.left_out) == (5, 0)
    assert found.pcc == pytest.approx(np.corrcoef(human, scorer)[0, 1])
    assert found.mae == pytest.approx(0.48)
    assert found.rmse == pytest.approx(math.sqrt((1 + 0.16 + 1) / 5))
    assert found.bias == pytest.approx(-0.08)
    assert found.within_one == 1
    assert (found.human.minimum, found.human.maximum, found.scorer.minimum) == (0, 5, 1)
    assert (found.human.levels, found.scorer.levels) == (5 / 6, 4 / 6)
    assert found.levels.tolist() == [0, 1, 2, 3, 4, 5]
    expected = np.zeros((6, 6), dtype=int)
    expected[[0, 1, 2, 4, 5], [1, 1, 2, 3, 5]] = 1
    assert found.confusion.tolist() == expected.tolist()
    assert found.human_histogram.tolist() == [1, 1, 1, 0, 1, 1]
    assert found.scorer_histogram.tolist() == [0, 2, 1, 1, 0, 1]
    assert found.outside == 0
    assert set(found.reasons) == {"constant_pcc"}


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("n", [4, 5, 50, 3000])
def test_it_equals_scipy(n: int, tied: bool) -> None:
    human, scorer = triples(n, n, tied=tied)
    found = correlation(human, scorer)
    pearson = stats.pearsonr(human, scorer)
    assert found.pcc == pytest.approx(pearson.statistic, abs=1e-12)
    assert (found.pcc_low, found.pcc_high) == pytest.approx(tuple(pearson.confidence_interval()), abs=1e-12)
    assert found.srcc == pytest.approx(stats.spearmanr(human, scorer).statistic, abs=1e-12)
    assert found.tau_b == pytest.approx(stats.kendalltau(human, scorer).statistic, abs=1e-12)


GRID = st.integers(-10, 10).map(lambda value: value / 4)


@given(st.lists(st.tuples(GRID, GRID), min_size=3, max_size=25))
@settings(max_examples=200, deadline=None)
def test_any_ties_equal_scipy(rows: list[tuple[float, float]]) -> None:
    human, scorer = np.array(rows).T
    assume(np.ptp(human) and np.ptp(scorer))
    found = correlation(human, scorer, low=-3, high=3)
    assert found.pcc == pytest.approx(stats.pearsonr(human, scorer).statistic, abs=1e-9)
    assert found.srcc == pytest.approx(stats.spearmanr(human, scorer).statistic, abs=1e-9)
    assert found.tau_b == pytest.approx(stats.kendalltau(human, scorer).statistic, abs=1e-9)
    assert_allclose(midranks(human), stats.rankdata(human))


@given(st.integers(0, 10_000), st.floats(0.1, 9), st.floats(-50, 50))
@settings(max_examples=50, deadline=None)
def test_a_rising_line_changes_no_correlation_and_a_falling_one_its_sign(seed: int, slope: float, base: float) -> None:
    human, scorer = triples(seed, 30)
    assume(np.ptp(human) and np.ptp(scorer))
    before, after = correlation(human, scorer), correlation(human, base + slope * scorer)
    falling = correlation(human, base - slope * scorer)
    for figure in ("pcc", "srcc", "tau_b"):
        assert getattr(after, figure) == pytest.approx(getattr(before, figure), abs=1e-9)
        assert getattr(falling, figure) == pytest.approx(-getattr(before, figure), abs=1e-9)


@given(st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_the_order_of_rows_and_of_the_columns_does_not_matter(seed: int) -> None:
    human, scorer = triples(seed, 40)
    assume(np.ptp(human) and np.ptp(scorer))
    order = np.random.default_rng(seed).permutation(40)
    found, shuffled, swapped = (
        correlation(*columns) for columns in ((human, scorer), (human[order], scorer[order]), (scorer, human))
    )
    for figure in FIGURES:
        assert getattr(shuffled, figure) == pytest.approx(getattr(found, figure), abs=1e-12)
        sign = -1 if figure == "bias" else 1
        assert getattr(swapped, figure) == pytest.approx(sign * getattr(found, figure), abs=1e-12)
    assert shuffled.confusion.tolist() == found.confusion.tolist() == swapped.confusion.T.tolist()


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=3, max_size=30))
@settings(max_examples=100, deadline=None)
def test_tau_b_equals_all_pairs_written_out(rows: list[tuple[int, int]]) -> None:
    x, y = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    assume(np.ptp(x) and np.ptp(y))
    signs = [(np.sign(x[i] - x[j]), np.sign(y[i] - y[j])) for i, j in combinations(range(len(rows)), 2)]
    surplus = sum(a * b for a, b in signs)
    spread = math.sqrt(sum(a != 0 for a, _ in signs) * sum(b != 0 for _, b in signs))
    assert kendall_tau_b(x, y) == pytest.approx(surplus / spread)


def test_tau_b_of_many_rows() -> None:
    x, y = triples(1, 60_000, tied=False)
    assert kendall_tau_b(x, y) == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)


@pytest.mark.parametrize(
    ("n", "r", "low", "high"),
    [(50, 0.6, 0.39, 0.75), (50, 0.7, 0.52, 0.82), (50, 0.8, 0.67, 0.88), (100, 0.7, 0.58, 0.79)],
)
def test_fisher_table(n: int, r: float, low: float, high: float) -> None:
    assert fisher_interval(r, n) == pytest.approx((low, high), abs=0.005)


def test_fisher_interval_covers_the_truth() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(600):
        x, noise = rng.normal(size=(2, 30))
        found = correlation(x, 0.7 * x + math.sqrt(1 - 0.49) * noise, low=-9, high=9)
        covered += found.pcc_low < 0.7 < found.pcc_high
    assert 0.92 < covered / 600 < 0.98


def test_the_constant_predictor_stands_on_the_same_rows() -> None:
    human, scorer = triples(7, 60)
    scorer[:10] = np.nan
    found = correlation(human, scorer).constant
    kept = human[10:]
    assert found.value == pytest.approx(kept.mean())
    assert found.mae == pytest.approx(np.abs(kept - kept.mean()).mean())
    assert found.rmse == pytest.approx(kept.std())
    assert found.within_one == pytest.approx((np.abs(kept - kept.mean()) <= 1).mean())
    always = correlation(kept, np.full(50, kept.mean()))
    assert (always.mae, always.rmse, always.within_one) == pytest.approx((found.mae, found.rmse, found.within_one))


def test_rows_without_a_score_are_left_out_and_counted() -> None:
    human, scorer = triples(2, 40)
    holes_human, holes = np.append(human, [np.nan, 3, 2]), np.append(scorer, [1, np.nan, np.inf])
    found, whole = correlation(holes_human, holes), correlation(human, scorer)
    assert (found.n, found.left_out) == (40, 3)
    assert [getattr(found, figure) for figure in FIGURES] == [getattr(whole, figure) for figure in FIGURES]


def test_rounding_noise_decides_nothing() -> None:
    third = np.array([0.1 + 0.2, 0.3, 0.3])
    assert math.isnan(correlation(np.array([1.0, 2, 3]), third).pcc)
    assert correlation(np.array([1.1]), np.array([2.1000000000000001])).within_one == 1
    assert correlation(np.array([0.1 + 0.2 + 4.2]), np.array([4.5])).confusion[5, 5] == 1


def test_halves_round_up_and_scores_off_the_scale_count_at_its_ends() -> None:
    found = correlation(np.array([4.5, 2.5, 0.4]), np.array([7.0, -3.0, 1.5]))
    assert found.confusion[5, 5] == found.confusion[3, 0] == found.confusion[0, 2] == 1
    assert found.outside == 2
    assert found.mae == pytest.approx((2.5 + 5.5 + 1.1) / 3)


def test_other_scales() -> None:
    found = correlation(np.array([1.0, 4]), np.array([2.0, 4]), low=1, high=4)
    assert (found.levels.tolist(), found.confusion.shape, found.human.levels) == ([1, 2, 3, 4], (4, 4), 0.5)


@pytest.mark.parametrize(
    ("human", "scorer", "reason"),
    [
        ([], [], "there is no triple with both scores"),
        ([np.nan], [1.0], "there is no triple with both scores"),
        ([1.0], [1.0], "there are fewer than 3 triples"),
        ([1.0, 2], [1.0, 3], "there are fewer than 3 triples"),
        ([1.0, 2, 3], [4.0, 4, 4], "the scorer gives one value to everything"),
        ([4.0, 4, 4], [1.0, 2, 3], "people give one value to everything"),
    ],
)
def test_no_correlation_and_why(human: list[float], scorer: list[float], reason: str) -> None:
    found = correlation(np.array(human), np.array(scorer))
    for figure in ("pcc", "pcc_low", "pcc_high", "srcc", "tau_b"):
        assert math.isnan(getattr(found, figure))
        assert found.reasons[figure] == reason
    for figure in FIGURES:
        assert math.isnan(getattr(found, figure)) == (figure in found.reasons)
    assert math.isnan(found.mae) == (found.n == 0)


def test_a_fisher_interval_needs_four_triples_off_a_line() -> None:
    three = correlation(np.array([1.0, 2, 3]), np.array([1.0, 2, 4]))
    assert math.isfinite(three.pcc)
    assert math.isnan(three.pcc_low)
    assert three.reasons["pcc_low"] == "a Fisher interval needs 4 triples"
    line = correlation(np.arange(5.0), np.arange(5.0) / 3)
    assert line.pcc == pytest.approx(1)
    assert math.isnan(line.pcc_high)
    assert line.reasons["pcc_high"] == "all triples lie on one line, where a Fisher interval has no width"


@pytest.mark.parametrize(("low", "high"), [(5, 0), (2, 2), (0, 1000)])
def test_a_scale_that_is_none_is_refused(low: int, high: int) -> None:
    with pytest.raises(ValueError, match=f"A scale from {low} to {high} has no levels to count"):
        correlation(np.zeros(3), np.zeros(3), low=low, high=high)


def test_ragged_columns_are_refused() -> None:
    for columns in ((np.zeros(3), np.zeros(2)), (np.zeros((2, 2)), np.zeros((2, 2)))):
        with pytest.raises(ValueError, match="of one length"):
            correlation(*columns)


def test_the_mean_of_tasks_is_weighted_by_fisher() -> None:
    found = fisher_mean(np.array([0.5, 0.9, np.nan, 0.3]), np.array([53, 103, 40, 3]))
    z = (50 * math.atanh(0.5) + 100 * math.atanh(0.9)) / 150
    half = stats.norm.ppf(0.975) / math.sqrt(150)
    assert (found.value, found.low, found.high) == pytest.approx(
        (math.tanh(z), math.tanh(z - half), math.tanh(z + half))
    )
    assert (found.used, found.left_out) == (2, 2)


def test_one_perfect_task_does_not_decide_the_mean() -> None:
    assert fisher_mean(np.array([1.0, 0.6, 0.6]), np.array([10, 40, 40])).value < 0.78
    perfect = fisher_mean(np.array([1.0, 1.0]), np.array([10, 40]))
    assert perfect.value == 1
    assert math.isnan(perfect.low)
    none = fisher_mean(np.array([np.nan]), np.array([10]))
    assert math.isnan(none.value)
    assert (none.used, none.left_out) == (0, 1)
