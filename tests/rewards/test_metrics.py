"""Figures of a reward model: by hand, against scipy and brute force; intervals by source image."""

from __future__ import annotations

import json
import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scoring.stats.grouped import Floats
from training.rewards.estimates import Resampling, mean_of
from training.rewards.metrics import (
    Items,
    best_of,
    best_of_value,
    correlations,
    editors,
    over_items,
    pairs_within,
    report,
    within_groups,
)

SHORT = Resampling(resamples=200)


def items(mu: Floats, human: Floats, group: Floats, **columns: Floats) -> Items:
    group = np.asarray(group)
    return Items(
        mu=np.asarray(mu, dtype=np.float64),
        sigma=np.asarray(columns.get("sigma", np.ones(len(mu))), dtype=np.float64),
        human=np.asarray(human, dtype=np.float64),
        group=group,
        source=np.asarray(columns.get("source", group)),
        editor=np.asarray(columns.get("editor", np.zeros(len(mu), dtype=int))),
    )


def simulated(seed: int = 0, groups: int = 30, size: int = 5, noise: float = 0.7) -> Items:
    """Groups of one source image in twos; six editors of which the last are the better ones."""
    generator = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), size)
    editor = np.concatenate([generator.permutation(6)[:size] for _ in range(groups)])
    human = np.round(generator.normal(editor * 0.5, 1), 1)
    mu = human + generator.normal(0, noise, human.size)
    return items(mu, human, group, source=group // 2, editor=editor, sigma=np.full(human.size, noise))


def test_the_whole_report_of_a_good_model() -> None:
    found = report(simulated(), resampling=SHORT)
    assert set(found.figures) == {
        "srcc", "plcc", "group_srcc", "group_srcc_fisher", "editors_srcc", "pairs_without_ties", "pairs_with_ties",
        "pairs_with_ties_tuned", "side_gap", "ece", "nll", "tuples_2", "tuples_3", "tuples_4", "best_of_2", "best_of_4",
    }  # fmt: skip
    for name in ("srcc", "plcc", "group_srcc", "pairs_without_ties", "best_of_4"):
        figure = found.figures[name]
        assert 0.5 < figure.low < figure.value < figure.high <= 1, name
        assert figure.sources == 15
    tuples = [found.figures[f"tuples_{size}"].value for size in (2, 3, 4)]
    assert tuples[0] > tuples[1] > tuples[2]
    assert found.figures["nll"].value < math.log(2)
    assert found.figures["pairs_with_ties_tuned"].value >= found.figures["pairs_with_ties"].value
    assert "tuned on these labels" in found.figures["pairs_with_ties_tuned"].note


def test_a_report_is_json_without_nan() -> None:
    """One group of two: hardly anything is determined."""
    found = report(items([1, 2], [2, 1], [0, 0]), resampling=SHORT).to_json()
    text = json.dumps(found, allow_nan=False)
    assert json.loads(text)["figures"]["srcc"]["value"] is None
    assert found["figures"]["pairs_without_ties"]["value"] == 0
    assert found["figures"]["pairs_without_ties"]["why"].startswith("everything comes from one source image")


def test_nothing_judged_gives_a_report_all_the_same() -> None:
    empty = report(items([1.0, 2.0, 3.0], [math.nan] * 3, [0, 0, 0]), resampling=SHORT)
    assert all(math.isnan(figure.value) for figure in empty.figures.values())


def test_pairs_of_people_in_place_of_derived_ones() -> None:
    one = items([3, 2, 1], [1, 2, 3], [0, 0, 0])
    asked = report(one, first=np.array([0]), second=np.array([1]), outcome=np.array([1]), resampling=SHORT)
    derived = report(one, resampling=SHORT)
    assert (asked.figures["pairs_without_ties"].value, asked.figures["pairs_without_ties"].n) == (1, 1)
    assert (derived.figures["pairs_without_ties"].value, derived.figures["pairs_without_ties"].n) == (0, 3)


def test_over_items_equals_scipy() -> None:
    one = simulated()
    found = over_items(one, SHORT)
    assert found["srcc"].value == pytest.approx(stats.spearmanr(one.mu, one.human).statistic)
    assert found["plcc"].value == pytest.approx(stats.pearsonr(one.mu, one.human).statistic)
    assert found["srcc"].sources == 15


def test_candidates_without_a_judgement_are_left_out_and_counted() -> None:
    one = simulated()
    one.human[:7] = math.nan
    found = over_items(one, SHORT)["srcc"]
    assert (found.n, found.skipped) == (143, 7)
    assert found.value == pytest.approx(stats.spearmanr(one.mu[7:], one.human[7:]).statistic)


def test_both_means_within_groups() -> None:
    one = simulated(groups=12)
    r = [stats.spearmanr(one.mu[one.group == g], one.human[one.group == g]).statistic for g in range(12)]
    found = within_groups(one, SHORT)
    assert found["group_srcc"].value == pytest.approx(np.mean(r))
    fisher = np.tanh(np.mean(np.arctanh(np.clip(r, -0.999, 0.999))))
    assert found["group_srcc_fisher"].value == pytest.approx(fisher)
    # A Fisher mean that forgets the arctanh is neither.
    for other in (np.mean(r), np.tanh(np.mean(r))):
        assert abs(found["group_srcc_fisher"].value - other) > 0.01
    assert "arctanh" in found["group_srcc_fisher"].note and found["group_srcc"].note == "plain mean"


def test_groups_that_say_nothing_are_skipped_and_counted() -> None:
    """Two candidates; people judge all alike; the model gives one score (0, not skipped); a perfect one."""
    group = [0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    human = [1, 2, 3, 3, 3, 1, 2, 3, 1, 2, 3]
    mu = [1, 2, 1, 2, 3, 5, 5, 5, 1, 2, 3]
    found = within_groups(items(mu, human, group), SHORT)
    assert found["group_srcc"].value == pytest.approx(0.5)
    assert (found["group_srcc"].n, found["group_srcc"].skipped) == (2, 2)
    assert found["group_srcc_fisher"].value == pytest.approx(math.tanh(math.atanh(0.999) / 2))


def test_editors_are_ordered_by_means() -> None:
    one = simulated()
    found = editors(one, SHORT)
    means = [[column[one.editor == e].mean() for e in range(6)] for column in (one.mu, one.human)]
    assert found.value == pytest.approx(stats.spearmanr(*means).statistic)
    assert (found.n, found.low <= found.value) == (6, True)


def test_two_editors_have_no_correlation() -> None:
    found = editors(items([1, 2, 3, 4], [1, 2, 3, 4], [0, 0, 1, 1], editor=np.array([0, 1, 0, 1])), SHORT)
    assert math.isnan(found.value) and "fewer than 3" in found.note


@given(st.permutations(range(20)), st.floats(0.1, 9), st.floats(-50, 50))
@settings(max_examples=15, deadline=None)
def test_order_of_rows_and_a_rising_line_change_nothing(order: list[int], slope: float, shift: float) -> None:
    one = simulated(groups=4)
    moved = one.part(np.array(order))
    changed = Items(moved.mu * slope + shift, moved.sigma, moved.human, moved.group, moved.source, moved.editor)
    few = Resampling(resamples=2)
    before, after = correlations(one, few), correlations(changed, few)
    for name, figure in before.items():
        assert after[name].value == pytest.approx(figure.value, abs=1e-9), name


def test_pairs_within_groups_are_all_of_the_judged() -> None:
    first, second, outcome = pairs_within(np.array([7, 7, 7, 9]), np.array([1.0, math.nan, 1.0 + 1e-12, 3.0]))
    assert (first.tolist(), second.tolist(), outcome.tolist()) == ([0], [2], [0])


# Best of n -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_best_of_equals_all_subsets(size: int) -> None:
    generator = np.random.default_rng(size)
    score, truth = generator.integers(0, 3, 5).astype(float), generator.normal(size=5)
    values = []
    for subset in combinations(range(5), size):
        top = [i for i in subset if score[i] == max(score[list(subset)])]
        values.append(np.mean(truth[top]))
    assert best_of_value(score, truth, size) == pytest.approx(np.mean(values))


def test_best_of_is_one_for_people_and_zero_for_one_score() -> None:
    one = simulated()
    for mu, wanted in ((one.human, 1.0), (np.zeros(150), 0.0)):
        model = Items(mu, one.sigma, one.human, one.group, one.source, one.editor)
        assert best_of(model, 3, SHORT).value == pytest.approx(wanted, abs=1e-9)
    assert best_of(one, 6, SHORT).skipped == 30


# Intervals -----------------------------------------------------------------------------------------------------------


def test_intervals_draw_whole_source_images() -> None:
    """Rows that are copies of each other inside a source must not narrow the interval."""
    generator = np.random.default_rng(0)
    values = generator.normal(size=40)
    single = mean_of(values, np.arange(40), Resampling(resamples=2000))
    copied = mean_of(np.repeat(values, 9), np.repeat(np.arange(40), 9), Resampling(resamples=2000))
    assert copied.value == pytest.approx(single.value)
    assert (copied.low, copied.high) == pytest.approx((single.low, single.high))
    naive = mean_of(np.repeat(values, 9), np.arange(360), Resampling(resamples=2000))
    assert naive.high - naive.low < 0.5 * (copied.high - copied.low)


def test_an_interval_of_means_has_the_textbook_width() -> None:
    values = np.random.default_rng(1).normal(size=400)
    found = mean_of(values, np.arange(400), Resampling(resamples=4000))
    half = 1.96 * values.std() / 20
    assert found.low == pytest.approx(values.mean() - half, abs=0.02)
    assert found.high == pytest.approx(values.mean() + half, abs=0.02)


def test_the_same_seed_gives_the_same_interval() -> None:
    one = simulated(groups=6)
    few = Resampling(resamples=50, seed=3)
    assert correlations(one, few) == correlations(one, few)
    assert correlations(one, few)["srcc"].low != correlations(one, Resampling(resamples=50, seed=4))["srcc"].low
