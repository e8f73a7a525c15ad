"""Who is rejected, who is not, and the reason given."""

import numpy as np
import pytest
from scipy import stats

from scoring.stats.outliers import Bt500Counts
from scoring.stats.rejection import RejectionRule, chance, reject_by_bt500, reject_by_rate

RULE = RejectionRule()


def test_it_works() -> None:
    found = reject_by_rate(np.array([100, 100]), np.array([3, 15]), RULE)
    assert found.rejected.tolist() == [False, True]
    assert found.reasons == {
        1: "rejected: 15 of 100 ratings are outliers (15.0%, cap 5.0%), and chance does not explain it (p = 0.00014)"
    }


def test_exactly_the_cap_is_allowed() -> None:
    found = reject_by_rate(np.array([20, 10_000]), np.array([1, 500]), RULE)
    assert not found.rejected.any()
    assert found.reasons == {}


def test_too_few_ratings_to_judge() -> None:
    found = reject_by_rate(np.array([19]), np.array([19]), RULE)
    assert not found.rejected.any()
    assert "fewer than 20 ratings are too few to judge" in found.reasons[0]


def test_above_the_cap_by_chance() -> None:
    found = reject_by_rate(np.array([50]), np.array([5]), RULE)
    assert not found.rejected.any()
    assert found.reasons[0].startswith("kept: 5 of 50 ratings are outliers (10.0%, cap 5.0%), but chance explains it")


def test_limits_are_settings() -> None:
    rule = RejectionRule(cap=0.2, minimum_ratings=5, significance=0.5)
    assert reject_by_rate(np.array([5]), np.array([3]), rule).rejected.tolist() == [True]


@pytest.mark.parametrize("n", [1, 5, 20, 79, 2000])
def test_p_values_equal_the_binomial_test(n: int) -> None:
    outliers = np.unique(np.linspace(0, n, 20).astype(int))
    expected = [stats.binomtest(int(k), n, 0.05, alternative="greater").pvalue for k in outliers]
    assert chance(np.full(outliers.size, n), outliers, 0.05) == pytest.approx(expected, rel=1e-9)


def test_nobody_is_rejected_without_ratings() -> None:
    found = reject_by_rate(np.array([0]), np.array([0]), RULE)
    assert found.rejected.tolist() == [False]


def bt500(high: list[int], low: list[int], ratings: list[int]) -> list[bool]:
    counts = Bt500Counts(np.array(high), np.array(low), np.zeros(0, dtype=bool))
    return [bool(flag) for flag in reject_by_bt500(np.array(ratings), counts).rejected]


def test_bt500_rejects_erratic_and_keeps_biased_annotators() -> None:
    assert bt500(high=[4, 8, 0], low=[4, 0, 0], ratings=[100, 100, 100]) == [True, False, False]


def test_bt500_limits_are_strict() -> None:
    assert bt500(high=[3, 13], low=[2, 7], ratings=[100, 100]) == [False, False]


def test_bt500_divides_by_the_annotators_own_ratings() -> None:
    assert bt500(high=[1, 1], low=[1, 1], ratings=[30, 300]) == [True, False]


def test_bt500_gives_reasons() -> None:
    counts = Bt500Counts(np.array([4, 8]), np.array([4, 0]), np.zeros(0, dtype=bool))
    reasons = reject_by_bt500(np.array([100, 100]), counts).reasons
    assert reasons[0].startswith("rejected: 4 ratings above and 4 below the limits of BT.500 (8.0% of 100, cap 5.0%)")
    assert reasons[1].endswith("on one side (imbalance 1.00, limit 0.3)")
