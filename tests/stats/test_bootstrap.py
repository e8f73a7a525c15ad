"""Intervals by drawing source images, and two scorers compared: against resamples written out row by row."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from scoring.stats import bootstrap as module
from scoring.stats.bootstrap import FIGURES, bootstrap, compare, draws
from scoring.stats.correlate import fisher_interval
from scoring.stats.grouped import Codes, Floats
from tests.stats.test_correlate import triples


def figure_of(name: str) -> Callable[[Floats, Floats], float]:
    """The figure from its definition, NaN where a column has one value."""

    def varied(x: Floats, y: Floats) -> bool:
        return bool(np.ptp(x) and np.ptp(y))

    return {
        "pcc": lambda h, s: float(stats.pearsonr(h, s).statistic) if varied(h, s) else math.nan,
        "srcc": lambda h, s: float(stats.spearmanr(h, s).statistic) if varied(h, s) else math.nan,
        "mae": lambda h, s: float(np.abs(s - h).mean()),
        "rmse": lambda h, s: float(np.sqrt(((s - h) ** 2).mean())),
        "bias": lambda h, s: float((s - h).mean()),
        "within_one": lambda h, s: float((np.abs(s - h) <= 1).mean()),
    }[name]


def written_out(cluster: Codes, resamples: int, seed: int) -> list[Codes]:
    """Row numbers of each resample: every drawn cluster's rows, one draw after the other."""
    names = np.unique(cluster)
    drawn = np.random.default_rng(seed).integers(0, names.size, (resamples, names.size))
    return [np.concatenate([np.flatnonzero(cluster == names[one]) for one in line]) for line in drawn]


def brute(human: Floats, scorer: Floats, rows: list[Codes], name: str) -> Floats:
    figure = figure_of(name)
    return np.array([figure(human[some], scorer[some]) for some in rows])


def clusters(seed: int, n: int, sources: int) -> Codes:
    return np.random.default_rng(seed + 99).integers(0, sources, n) * 7 - 3


def test_it_works() -> None:
    human, scorer = triples(0, 60)
    found = bootstrap(human, scorer, np.arange(60) // 3)
    assert (found.n, found.clusters, found.resamples, found.few_clusters) == (60, 20, 1000, False)
    assert set(found.intervals) == set(FIGURES)
    assert found.reasons == {}
    for name in FIGURES:
        interval = found.intervals[name]
        assert interval.low < figure_of(name)(human, scorer) < interval.high
        assert interval.usable == 1000


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(("n", "sources"), [(12, 4), (40, 15), (60, None)])
def test_it_equals_resamples_written_out(n: int, sources: int | None, tied: bool) -> None:
    human, scorer = triples(n, n, tied=tied)
    cluster = np.arange(n) if sources is None else clusters(n, n, sources)
    found = bootstrap(human, scorer, None if sources is None else cluster, resamples=150, seed=5)
    rows = written_out(cluster, 150, 5)
    for name in FIGURES:
        expected = brute(human, scorer, rows, name)
        known = expected[np.isfinite(expected)]
        interval = found.intervals[name]
        assert interval.usable == known.size
        if known.size >= 135:
            assert_allclose((interval.low, interval.high), np.quantile(known, [0.025, 0.975]), atol=1e-9)
        else:
            assert math.isnan(interval.low)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 4)), min_size=3, max_size=12),
    st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_every_resample_of_tied_scores_is_exact(rows: list[tuple[int, int, int]], seed: int) -> None:
    human, scorer, cluster = (np.array(column) for column in zip(*rows, strict=True))
    human, scorer = human / 3, scorer * 1.1
    _, codes = np.unique(cluster, return_inverse=True)
    found = module.replicates(human, [scorer], codes, resamples=20, seed=seed)[0]
    for name in FIGURES:
        expected = brute(human, scorer, written_out(cluster, 20, seed), name)
        assert_allclose(found[name], expected, atol=1e-9)


def test_blocks_do_not_change_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    human, scorer = triples(1, 50)
    cluster = clusters(1, 50, 20)
    whole = bootstrap(human, scorer, cluster, resamples=97, seed=3)
    counted = np.concatenate([weights for _, weights in draws(20, 97, 3, 50)])
    assert counted.shape == (97, 20)
    assert (counted.sum(axis=1) == 20).all()
    for size in (1, 50 * 10, 50 * 96):
        monkeypatch.setattr(module, "BLOCK", size)
        assert np.array_equal(np.concatenate([weights for _, weights in draws(20, 97, 3, 50)]), counted)
        found = bootstrap(human, scorer, cluster, resamples=97, seed=3)
        for name in FIGURES:  # sums of other shapes may differ in the last digit
            assert_allclose(found.intervals[name].low, whole.intervals[name].low, rtol=1e-12)
    assert bootstrap(human, scorer, cluster, resamples=97, seed=3) == found
    other = bootstrap(human, scorer, cluster, resamples=97, seed=4)
    assert abs(other.intervals["pcc"].low - whole.intervals["pcc"].low) > 1e-6


def test_single_triples_come_near_fisher() -> None:
    rng = np.random.default_rng(0)
    human, noise = rng.normal(size=(2, 400))
    scorer = 0.7 * human + math.sqrt(0.51) * noise
    interval = bootstrap(human, scorer, resamples=4000).intervals["pcc"]
    expected = fisher_interval(float(np.corrcoef(human, scorer)[0, 1]), 400)
    assert (interval.low, interval.high) == pytest.approx(expected, abs=0.015)


def test_triples_of_a_source_that_go_together_widen_the_interval() -> None:
    rng = np.random.default_rng(2)
    cluster = np.repeat(np.arange(40), 5)
    shared = rng.normal(size=(2, 40))[:, cluster]
    human, scorer = np.stack([shared[0], 0.6 * shared[0] + shared[1]]) + 0.2 * rng.normal(size=(2, 200))
    widths = []
    for names in (cluster, None):
        interval = bootstrap(human, scorer, names).intervals["pcc"]
        widths.append(interval.high - interval.low)
    assert widths[0] > 1.5 * widths[1]


def test_names_of_clusters_do_not_matter_and_rows_without_a_score_are_left_out() -> None:
    human, scorer = triples(3, 30)
    cluster = np.sort(clusters(3, 30, 10))
    found = bootstrap(human, scorer, cluster)
    assert bootstrap(human, scorer, cluster * 1000 + 5) == found
    holes = bootstrap(np.append(human, [np.nan, 1.0]), np.append(scorer, [2.0, np.nan]), np.append(cluster, [77, 78]))
    assert holes == found


@pytest.mark.parametrize(
    ("human", "scorer", "cluster", "figure", "reason"),
    [
        ([], [], None, "mae", "there is no triple with both scores"),
        ([1.0, 2], [1.0, 2], None, "pcc", "there are fewer than 3 triples"),
        ([1.0, 2, 3], [4.0, 4, 4], None, "srcc", "the scorer gives one value to everything"),
        ([4.0, 4, 4], [1.0, 2, 3], None, "pcc", "people give one value to everything"),
        ([1.0, 2, 3], [4.0, 5, 4], [1, 1, 1], "mae", "everything comes from one source image"),
        ([1.0, 1, 1, 2], [1.0, 2, 3, 4], None, "pcc", "it is undefined in too many resamples: only "),
    ],
)
def test_no_interval_and_why(
    human: list[float], scorer: list[float], cluster: list[int] | None, figure: str, reason: str
) -> None:
    found = bootstrap(np.array(human), np.array(scorer), None if cluster is None else np.array(cluster))
    assert found.few_clusters
    assert found.reasons[figure].startswith(reason)
    for name in FIGURES:
        assert (
            math.isnan(found.intervals[name].low) == math.isnan(found.intervals[name].high) == (name in found.reasons)
        )


def test_ragged_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="of one length"):
        bootstrap(np.zeros(3), np.zeros(3), np.zeros(2, dtype=int))
    with pytest.raises(ValueError, match="of one length"):
        compare(np.zeros(3), np.zeros(3), np.zeros(2))


def pair(seed: int, n: int, first: float = 0.7, second: float = 0.78) -> tuple[Floats, Floats, Floats]:
    """People, and two scorers with these true correlations; their errors correlate at 0.5, as of two versions."""
    human, one, other = np.random.default_rng(seed).normal(size=(3, n))
    other = 0.5 * one + math.sqrt(0.75) * other
    return human, first * human + math.sqrt(1 - first**2) * one, second * human + math.sqrt(1 - second**2) * other


def test_compare_works() -> None:
    human, first, second = pair(0, 400, 0.4, 0.8)
    found = compare(human, first, second)
    assert (found.n, found.left_out, found.verdict, found.reasons) == (400, 0, "better", {})
    difference = found.differences["pcc"]
    expected = np.corrcoef(human, second)[0, 1] - np.corrcoef(human, first)[0, 1]
    assert difference.value == pytest.approx(expected)
    assert 0 < difference.low < expected < difference.high
    assert difference.better == 1
    assert found.differences["srcc"].low > 0
    assert found.differences["mae"].high < 0
    assert found.differences["mae"].better == 1
    assert compare(human, second, first).verdict == "worse"


def test_compare_equals_resamples_written_out() -> None:
    human, first = triples(8, 40)
    second = np.clip(first + np.random.default_rng(8).normal(0, 0.5, 40), 0, 5).round(1)
    cluster = clusters(8, 40, 15)
    found = compare(human, first, second, cluster, resamples=150, seed=2)
    rows = written_out(cluster, 150, 2)
    for name, sign in (("pcc", 1), ("srcc", 1), ("mae", -1)):
        gap = brute(human, second, rows, name) - brute(human, first, rows, name)
        one = found.differences[name]
        assert one.value == pytest.approx(figure_of(name)(human, second) - figure_of(name)(human, first))
        assert_allclose((one.low, one.high), np.quantile(gap, [0.025, 0.975]), atol=1e-9)
        gap[np.abs(gap) < 1e-9] = 0
        assert one.better == pytest.approx(np.mean(gap * sign > 0) + np.mean(gap == 0) / 2)
    assert found.first == bootstrap(human, first, cluster, resamples=150, seed=2)
    assert found.second == bootstrap(human, second, cluster, resamples=150, seed=2)


@given(st.integers(0, 10_000), st.floats(0.1, 5), st.floats(-5, 5))
@settings(max_examples=30, deadline=None)
def test_a_scorer_is_not_better_than_itself_on_another_level(seed: int, slope: float, base: float) -> None:
    human, scorer = triples(seed, 25)
    assume(np.ptp(human) and np.ptp(scorer))
    found = compare(human, scorer, base + slope * scorer, resamples=50)
    difference = found.differences["pcc"]
    assert difference.value == pytest.approx(0, abs=1e-9)
    assert found.verdict in ("not distinguishable", "not determined")
    assert found.verdict == "not determined" or difference.better == 0.5


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_swapping_the_scorers_turns_the_sign(seed: int) -> None:
    human, first, second = pair(seed, 30)
    there, back = (compare(human, *scorers, resamples=80) for scorers in ((first, second), (second, first)))
    for name in there.differences:
        one, other = there.differences[name], back.differences[name]
        assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))
        assert one.better == pytest.approx(1 - other.better)
    assert there.detectable == pytest.approx(back.detectable)


def test_only_triples_that_both_scored_count() -> None:
    human, first, second = pair(4, 60)
    holes_first, holes_second = first.copy(), second.copy()
    holes_first[:5], holes_second[5:8] = np.nan, np.nan
    found = compare(human, holes_first, holes_second, np.arange(60) // 2)
    assert (found.n, found.left_out) == (52, 8)
    assert found == compare(human, holes_first, holes_second, np.arange(60) // 2)
    whole = compare(human[8:], first[8:], second[8:], np.arange(60)[8:] // 2)
    assert (found.differences, found.first) == (whole.differences, whole.first)


def test_a_constant_scorer_cannot_be_compared() -> None:
    human, first, _ = pair(5, 30)
    for scorers in ((first, np.full(30, 3.0)), (np.full(30, 3.0), first)):
        found = compare(human, *scorers)
        assert found.verdict == "not determined"
        assert math.isnan(found.differences["pcc"].value)
        assert math.isnan(found.detectable)
        assert found.reasons["pcc"] == "the scorer gives one value to everything"
        assert math.isfinite(found.differences["mae"].low)
    empty = compare(np.array([]), np.array([]), np.array([]))
    assert (empty.n, empty.verdict) == (0, "not determined")
    assert empty.reasons["mae"] == "there is no triple with both scores"
    assert math.isnan(empty.differences["mae"].better)


def test_power_of_the_paired_bootstrap() -> None:
    """0.70 to 0.78 is seen in about a quarter of the cases on 50 triples, half on 100, four fifths on 200."""
    for n, low, high in ((50, 0.15, 0.40), (100, 0.38, 0.66), (200, 0.66, 0.92)):
        seen = [compare(*pair(1000 * n + trial, n), resamples=300).verdict for trial in range(120)]
        assert low < seen.count("better") / 120 < high
        assert seen.count("worse") <= 2


def test_the_detectable_difference_is_seen_in_four_fifths_of_the_cases() -> None:
    detectable = np.median([compare(*pair(trial, 200), resamples=300).detectable for trial in range(20)])
    seen = [compare(*pair(trial, 200, 0.7, 0.7 + detectable), resamples=300).verdict for trial in range(120)]
    assert 0.65 < seen.count("better") / 120 < 0.95
    found = compare(*pair(0, 200), resamples=300)
    assert found.triples_for(found.detectable) == pytest.approx(200)
    assert found.triples_for(-found.detectable / 2) == pytest.approx(800)
    assert math.isnan(found.triples_for(0))
