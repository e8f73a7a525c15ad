"""Outlier rules against plain loops, and their traps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.stats import outliers
from scoring.stats.grouped import Flags
from scoring.stats.table import Panel, Ratings
from tests.stats import oracle
from tests.stats.shared import Row, nflx

RULES = {
    "literal": (outliers.literal, oracle.literal),
    "leave-one-out": (outliers.leave_one_out, lambda rows: oracle.leave_one_out(rows, outliers.FLOOR_SHARE)),
    "pooled": (outliers.pooled, oracle.pooled),
    "bt500": (lambda panel: outliers.bt500(panel).flags, lambda rows: oracle.bt500(rows)[1]),
}


def panel_of(rows: list[Row]) -> Panel:
    return Panel.of(Ratings.from_rows(rows))


def flagged(flags: Flags) -> set[int]:
    return set(np.flatnonzero(flags).tolist())


def random_rows(seed: int, *, step: float = 0.1, wild: float = 0.05) -> list[Row]:
    """A sparse panel of two dimensions with some wild ratings, a straight-liner and repeats."""
    rng = np.random.default_rng(seed)
    rows: list[Row] = []
    for item in range(70):
        for annotator in rng.permutation(14)[: rng.integers(1, 12)]:
            for dimension in ("quality", "alignment"):
                score = rng.uniform(1, 5) if rng.random() < wild else 1 + 4 * item / 70 + 0.4 * rng.normal()
                score = 3.0 if annotator == 0 else round(score / step) * step
                rows += [(f"a{annotator}", f"i{item}", dimension, score)] * (1 + (rng.random() < 0.05))
    return rows


def test_it_works() -> None:
    rows: list[Row] = [(f"a{n}", "x", "q", 3.0 + n % 2) for n in range(9)] + [("late", "x", "q", 9.0)]
    assert flagged(outliers.literal(panel_of(rows))) == {9}
    assert flagged(outliers.leave_one_out(panel_of(rows))) == {9}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("step", [1.0, 0.1])
def test_rule_equals_plain_loops(rule: str, seed: int, step: float) -> None:
    rows = random_rows(seed, step=step)
    fast, slow = RULES[rule]
    found = flagged(fast(panel_of(rows)))
    assert found == slow(rows)
    assert found or step == 1.0


@pytest.mark.parametrize("rule", RULES)
def test_rule_equals_plain_loops_on_a_real_panel(rule: str) -> None:
    rows, _ = nflx()
    fast, slow = RULES[rule]
    found = flagged(fast(panel_of(rows)))
    assert found == slow(rows)
    assert found


def one_item(scores: list[int]) -> Panel:
    return panel_of([(f"a{n}", "x", "q", float(score)) for n, score in enumerate(scores)])


@given(st.lists(st.integers(1, 5), min_size=1, max_size=outliers.LITERAL_NEEDS - 1))
def test_literal_never_fires_on_five_ratings(scores: list[int]) -> None:
    assert not outliers.literal(one_item(scores)).any()


@given(st.lists(st.integers(1, 5), min_size=1, max_size=outliers.BT500_NEEDS - 1))
def test_bt500_never_fires_on_four_ratings(scores: list[int]) -> None:
    assert not outliers.bt500(one_item(scores)).flags.any()


def test_one_rating_more_and_they_can_fire() -> None:
    assert flagged(outliers.literal(one_item([1, 1, 1, 1, 1, 5]))) == {5}
    assert flagged(outliers.bt500(one_item([1, 1, 1, 1, 5])).flags) == {4}


@pytest.mark.parametrize("rule", RULES)
def test_nobody_is_an_outlier_where_all_agree(rule: str) -> None:
    rows: list[Row] = [(f"a{i}", f"i{j}", "q", 0.1 + 0.7 * j) for i in range(9) for j in range(7)]
    assert not RULES[rule][0](panel_of(rows)).any()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.sampled_from([0.25, 2.0, 64.0]), shift=st.integers(-50, 50))
@pytest.mark.parametrize("rule", RULES)
def test_flags_do_not_depend_on_the_scale(rule: str, seed: int, scale: float, shift: int) -> None:
    rows = random_rows(seed, step=0.125)[:150]
    moved = [(a, i, d, scale * score + shift) for a, i, d, score in rows]
    assert flagged(RULES[rule][0](panel_of(rows))) == flagged(RULES[rule][0](panel_of(moved)))


def test_honest_annotators_keep_most_of_their_ratings() -> None:
    """Rates on simulated honest ratings, five an item; the floor is what keeps leave-one-out usable."""
    rng = np.random.default_rng(3)
    rows: list[Row] = [
        (f"a{annotator}", f"i{item}", "q", item % 5 + rng.normal())
        for item in range(1500)
        for annotator in rng.permutation(40)[:5]
    ]
    panel = panel_of(rows)
    assert outliers.literal(panel).mean() == 0
    assert outliers.leave_one_out(panel, floor_share=0.5).mean() > 0.12
    assert outliers.leave_one_out(panel).mean() < 0.04
    assert outliers.pooled(panel).mean() < 0.05


def test_pooled_leaves_out_items_with_one_rating_and_annotators_without_z() -> None:
    rows: list[Row] = [("a", "alone", "q", 5.0), ("b", "x", "q", 1.0), ("c", "x", "q", 2.0)]
    assert not outliers.pooled(panel_of(rows)).any()


def test_bt500_counts_equal_the_golden_ones() -> None:
    """The reference counts the one item that all rate alike once above and once below for everyone; here it screens
    nobody."""
    rows, golden = nflx()
    found = outliers.bt500(panel_of(rows))
    reference = golden["BT500"]
    total = np.array(reference["observer_rejected_1st_stats"]) * 79
    assert found.high + found.low == pytest.approx(total - 2, abs=1e-9)
    assert np.abs(found.high - found.low) == pytest.approx(
        np.array(reference["observer_rejected_2nd_stats"]) * total, abs=1e-9
    )
    counted, _ = oracle.bt500(rows)
    assert list(counted.values()) == list(zip(found.high.tolist(), found.low.tolist(), strict=True))


def test_bt500_with_the_sample_std_counts_less() -> None:
    rows, _ = nflx()
    population, sample = outliers.bt500(panel_of(rows)), outliers.bt500(panel_of(rows), ddof=1)
    assert (int(population.low[2]), int(sample.low[2])) == (2, 1)
    assert not (sample.flags & ~population.flags).any()
