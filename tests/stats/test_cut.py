"""What a cut would drop: against counting by hand, the Wilson intervals of scipy, and the curve."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scoring.stats.cut import curve, cut, wilson


def test_it_works() -> None:
    human = np.array([5, 4.5, 4.4, 2, 5, 1, np.nan])
    scorer = np.array([5, 4.9, 5.0, 5, 5, 0, 5])
    found = cut(human, scorer)
    assert (found.n, found.left_out, found.dropped, found.perfect, found.both) == (6, 1, 4, 3, 2)
    assert (found.share.value, found.precision.value, found.recall.value) == pytest.approx((4 / 6, 2 / 4, 2 / 3))
    assert found.reasons == {}
    lower = cut(human, scorer, threshold=4.9, perfect=4.4)
    assert (lower.dropped, lower.perfect, lower.both) == (5, 4, 4)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
@settings(max_examples=80, deadline=None)
def test_wilson_equals_scipy(counts: tuple[int, int]) -> None:
    k, n = counts
    expected = stats.binomtest(k, n).proportion_ci(method="wilson")
    found = wilson(k, n)
    assert (found.value, found.low, found.high) == pytest.approx((k / n, expected.low, expected.high), abs=1e-12)
    assert 0 <= found.low <= found.value <= found.high <= 1


@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 6)), min_size=1, max_size=40))
@settings(max_examples=80, deadline=None)
def test_the_curve_is_the_cut_at_every_score(rows: list[tuple[int, int]]) -> None:
    human, scorer = np.array(rows, dtype=float).T / 2
    found = curve(human, scorer, perfect=3)
    assert found.threshold.tolist() == sorted(set(scorer.tolist()))
    for at, threshold in enumerate(found.threshold.tolist()):
        one = cut(human, scorer, threshold=threshold, perfect=3)
        assert (found.dropped[at], found.both[at]) == (one.dropped, one.both)
        assert found.share[at] == one.share.value
        assert found.precision[at] == one.precision.value
        assert found.recall[at] == pytest.approx(one.recall.value, nan_ok=True)
        assert found.recall[at] == found.recall[at] or not (human >= 3).any()
    assert found.share[0] == 1


def test_rounding_does_not_decide() -> None:
    found = cut(np.array([0.1 + 0.2 + 4.2 - 1e-12, 4.49]), np.array([5 - 1e-12, 4.99]))
    assert (found.dropped, found.perfect, found.both) == (1, 1, 1)


def test_no_share_and_why() -> None:
    empty = cut(np.array([]), np.array([]))
    assert empty.reasons == dict.fromkeys(("share", "precision", "recall"), "there is no triple with both scores")
    assert math.isnan(empty.share.value)
    assert curve(np.array([]), np.array([])).threshold.size == 0
    low = cut(np.array([1.0, 5]), np.array([1.0, 2]))
    assert (low.share.value, low.recall.value) == (0, 0)
    assert low.reasons == {"precision": "the cut drops nothing"}
    assert math.isnan(low.precision.low)
    poor = cut(np.array([1.0, 2]), np.array([5.0, 5]))
    assert (poor.share.value, poor.precision.value) == (1, 0)
    assert poor.reasons == {"recall": "people find no triple perfect"}
    assert np.isnan(curve(np.array([1.0, 2]), np.array([5.0, 5])).recall).all()


def test_ragged_columns_are_refused() -> None:
    for function in (cut, curve):
        with pytest.raises(ValueError, match="of one length"):
            function(np.zeros(2), np.zeros(3))
