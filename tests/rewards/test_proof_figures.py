"""Figures of a blind study before and after: by hand, against loops, scipy, and what an interval must not claim."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from training.posttraining.proof_figures import agreement, echo, gain, mean, preference, share

VOTES = st.sampled_from([0.0, 0.5, 1.0])
RNG = np.random.default_rng(7)


def test_it_works() -> None:
    """Thirty source images, two judgements each, about four of five for the trained editor."""
    source = np.repeat(np.arange(30), 2)
    votes = np.where(np.arange(60) % 5 == 0, 0.0, 1.0)
    left = np.tile([0.0, 1.0], 30)
    found = preference(votes, left, source)
    assert found.rate.value == pytest.approx(0.8)
    assert (found.wins, found.losses, found.ties) == (48, 12, 0)
    assert 0.65 < found.rate.low < 0.8 < found.rate.high < 0.95
    assert found.verdict == "better"
    assert preference(1 - votes, left, source).verdict == "worse"
    assert preference(np.tile([0.0, 1.0], 30), left, source).verdict == "unclear"


@given(st.data(), st.integers(1, 30))
def test_against_a_loop(data: st.DataObject, n: int) -> None:
    votes = data.draw(arrays(np.float64, n, elements=VOTES))
    left = data.draw(arrays(np.float64, n, elements=st.sampled_from([0.0, 1.0])))
    source = data.draw(arrays(np.int64, n, elements=st.integers(0, 5)))
    found = preference(votes, left, source)
    assert found.rate.value == pytest.approx(sum(votes) / n)
    assert found.ties == pytest.approx(sum(v == 0.5 for v in votes) / n)
    chosen = [(v == 1) == (side == 1) for v, side in zip(votes, left, strict=True) if v != 0.5]
    assert found.lean == pytest.approx(sum(chosen) / len(chosen)) if chosen else math.isnan(found.lean)
    assert found.rate.sources == len(set(source))
    assert found.rate.limits[0] <= found.rate.value + 1e-9 or math.isnan(found.rate.limits[0])
    mirrored = preference(1 - votes, 1 - left, source)
    opposite = {"better": "worse", "worse": "better", "unclear": "unclear"}
    assert mirrored.verdict == opposite[found.verdict], "which editor is called trained decides nothing"
    assert mirrored.rate.value == pytest.approx(1 - found.rate.value)


def test_the_bootstrap_draws_source_images() -> None:
    """The same as drawing images one after the other and averaging what they bring, with the same spread; and copies of
    a judgement make it no narrower."""
    source = RNG.integers(0, 20, 120)
    values = RNG.normal(0, 1, 20)[source] + RNG.normal(0, 0.2, 120)
    found = mean(values, source, resamples=4000)
    means = []
    for _ in range(4000):
        rows = np.concatenate([np.flatnonzero(source == image) for image in RNG.integers(0, 20, 20)])
        means.append(values[rows].mean())
    assert (found.low, found.high) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.04)
    copied = mean(np.tile(values, 5), np.tile(source, 5), resamples=4000)
    assert (copied.low, copied.high) == pytest.approx((found.low, found.high))
    assert (copied.n, copied.sources) == (600, 20)


def test_few_source_images_prove_nothing() -> None:
    """All twenty judgements of two images for the trained editor: the bootstrap has no width, Wilson's has."""
    found = preference(np.ones(20), np.zeros(20), np.repeat([0, 1], 10))
    assert (found.rate.low, found.rate.high) == (1, 1)
    low, high = stats.binomtest(2, 2).proportion_ci(method="wilson")
    assert found.rate.limits == pytest.approx((low, high))
    assert found.verdict == "unclear"
    assert preference(np.ones(12), np.zeros(12), np.arange(12)).verdict == "better"
    assert preference(np.ones(9), np.zeros(9), np.zeros(9, dtype=int)).verdict == "unclear", "one image"


def test_few_source_images_take_students_interval_for_a_mean() -> None:
    values = np.array([0.2, 0.9, 0.4, -0.4, 0.3, 0.5])
    found = mean(values, np.arange(6))
    expected = stats.t.interval(0.95, 5, values.mean(), values.std(ddof=1) / math.sqrt(6))
    assert (found.few_low, found.few_high) == pytest.approx(expected)
    assert found.limits == pytest.approx(expected)
    assert found.against(0) == "unclear"
    assert mean(np.tile(values, 4), np.arange(24)).against(0) == "better"
    assert [mean(np.ones(n), np.arange(n)).against(0) for n in (5, 6)] == ["unclear", "better"], "no spread at all"


def test_limits_stay_on_the_scale() -> None:
    """Two pictures: Student's interval of their means goes far beyond 0 to 5."""
    found = gain(np.array([0.0, 3.0]), np.array([5.0, 3.5]), np.arange(2))
    assert (found.before.limits, found.after.limits, found.difference.limits) == ((0, 5), (0, 5), (-5, 5))


def test_nothing_judged_says_nothing() -> None:
    none = np.empty(0)
    found = preference(none, none, none.astype(int))
    assert found.verdict == ""
    assert math.isnan(found.rate.value) and math.isnan(found.ties) and math.isnan(found.even)
    assert gain(none, none, none.astype(int)).verdict == ""
    assert agreement(none, none.astype(int)).pairs == 0
    assert math.isnan(agreement(none, none.astype(int)).same)
    assert echo(none, none, none, none.astype(int)).n == 0


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        share(np.zeros(3), np.zeros(2, dtype=int))


def test_sides_are_made_even() -> None:
    """Whoever stands left is always chosen, and the trained editor stood left three times of four: no preference."""
    votes = left = np.array([1.0, 1, 1, 0] * 10)
    found = preference(votes, left, np.arange(40))
    assert (found.rate.value, found.shown_left, found.lean, found.even) == (0.75, 0.75, 1, 0.5)


@given(st.data(), st.integers(1, 25))
def test_agreement_against_a_loop(data: st.DataObject, n: int) -> None:
    votes = data.draw(arrays(np.float64, n, elements=VOTES))
    pair = data.draw(arrays(np.int64, n, elements=st.integers(0, 4)))
    both = [(votes[a], votes[b]) for a, b in combinations(range(n), 2) if pair[a] == pair[b]]
    found = agreement(votes, pair)
    if both:
        assert found.same == pytest.approx(sum(a == b for a, b in both) / len(both))
    else:
        assert math.isnan(found.same)
    assert found.pairs == sum(int((pair == one).sum()) > 1 for one in set(pair.tolist()))


def test_gain_is_paired_and_leaves_out_what_lacks_a_score() -> None:
    """Images differ by far more than editors: paired, half a point is certain."""
    source = np.repeat(np.arange(20), 2)
    before = RNG.uniform(0, 4, 20)[source]
    after = before + 0.5 + RNG.normal(0, 0.1, 40)
    after[3], before[8] = math.nan, math.nan
    found = gain(before, after, source)
    known = np.isfinite(before) & np.isfinite(after)
    assert found.difference.value == pytest.approx((after - before)[known].mean())
    assert found.before.value == pytest.approx(before[known].mean())
    assert found.after.value - found.before.value == pytest.approx(found.difference.value)
    assert found.difference.n == found.before.n == 38
    assert found.difference.high - found.difference.low < 0.1 < found.before.high - found.before.low
    assert found.verdict == "better"
    assert gain(after, before, source).verdict == "worse"


def test_a_scorer_that_says_the_same_and_one_that_says_the_opposite() -> None:
    votes = np.array([1.0, 0, 1, 0, 0.5, 1, 0, 1, 1, 0, 1, math.nan])
    people = np.where(np.isnan(votes), math.nan, votes * 2 - 1)
    source = np.arange(12)
    found = echo(votes, people, people * 3, source)
    assert (found.same.value, found.same.n, found.n) == (1, 10, 11)
    assert found.pcc == pytest.approx(1)
    assert found.srcc == pytest.approx(1)
    against = echo(votes, people, -people, source)
    assert against.same.value == 0
    assert against.pcc == pytest.approx(-1)
    assert echo(votes, people, np.zeros(12), source).same.value == 0.5, "equal scores are half right"
    some = np.where(source < 6, people, math.nan)
    part = echo(votes, people, some, source)
    assert (part.same.n, part.n, part.prefers.n) == (5, 6, 6)
    assert part.prefers.value == pytest.approx(np.nanmean(some))


def test_the_correlation_is_scipys() -> None:
    people, scorer = RNG.normal(size=40), RNG.normal(size=40)
    found = echo(np.full(40, 0.5), people, scorer, np.arange(40))
    assert found.pcc == pytest.approx(stats.pearsonr(people, scorer)[0])
    assert found.srcc == pytest.approx(stats.spearmanr(people, scorer)[0])
    assert found.same.n == 0 and math.isnan(found.same.value), "people decided nothing"
    assert found.pcc_low < found.pcc < found.pcc_high
