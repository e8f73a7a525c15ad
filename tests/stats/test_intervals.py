"""Confidence intervals of item means."""

import numpy as np
import pytest
from scipy import stats

from scoring.stats import intervals
from scoring.stats.intervals import bootstrap_interval, normal_interval, t_interval


def test_t_interval_works() -> None:
    n = np.array([2, 5, 30])
    low, high = t_interval(np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.5, 2.0]), n)
    expected = [stats.t.interval(0.95, k - 1, m, s / np.sqrt(k)) for k, m, s in ((2, 1, 1), (5, 2, 0.5), (30, 3, 2))]
    assert list(zip(low, high, strict=True)) == [pytest.approx(pair) for pair in expected]


def test_t_interval_of_one_value_or_none_is_unknown() -> None:
    low, high = t_interval(np.array([1.0, np.nan]), np.array([np.nan, np.nan]), np.array([1, 0]))
    assert np.isnan([low, high]).all()


def test_normal_interval() -> None:
    low, high = normal_interval(np.array([3.0]), np.array([2.0]), confidence=0.9)
    assert (low[0], high[0]) == pytest.approx(stats.norm.interval(0.9, 3, 2))


def test_bootstrap_comes_near_the_t_interval_of_many_values() -> None:
    rng = np.random.default_rng(0)
    value = rng.normal(10, 3, 400)
    unit = np.arange(400) % 2
    low, high = bootstrap_interval(unit, value, 3, resamples=4000)
    for number in range(2):
        expected = stats.t.interval(
            0.95, 199, value[unit == number].mean(), value[unit == number].std(ddof=1) / 200**0.5
        )
        assert (low[number], high[number]) == pytest.approx(expected, abs=0.05)
    assert np.isnan([low[2], high[2]]).all()


def test_bootstrap_equals_all_resamples_of_two_values() -> None:
    low, high = bootstrap_interval(np.array([0, 0, 1]), np.array([1.0, 3.0, 9.0]), 2, resamples=2000)
    assert (low[0], high[0]) == (1.0, 3.0)
    assert np.isnan([low[1], high[1]]).all()


def test_bootstrap_is_seeded_and_works_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    unit, value = rng.integers(0, 50, 500), rng.normal(size=500)
    first = bootstrap_interval(unit, value, 50, resamples=300, seed=4)
    assert [side.tolist() for side in first] == [
        s.tolist() for s in bootstrap_interval(unit, value, 50, resamples=300, seed=4)
    ]
    monkeypatch.setattr(intervals, "BLOCK", 10_000)
    blocks = bootstrap_interval(unit, value, 50, resamples=300, seed=4)
    assert np.abs(blocks[0] - first[0]).max() < 0.5
    assert np.isfinite(blocks[0]).sum() == np.isfinite(first[0]).sum()
