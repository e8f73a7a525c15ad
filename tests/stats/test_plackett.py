"""Plackett-Luce with ties: direct maximum likelihood, closed forms, Davidson's model of pairs, and no maximum."""

import json
from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import minimize

from scoring.stats import plackett
from scoring.stats.plackett import plackett_luce
from scoring.stats.strength import editor_strengths
from tests.stats.shared import shared_file
from tests.stats.test_strength import simulated

Orders = list[list[tuple[int, ...]]]


def random_orders(seed: int, rankings: int, candidates: int, coarse: float) -> Orders:
    """Partial orders of random subsets; ``coarse`` above 0 rounds to it, which ties."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(rankings):
        some = rng.permutation(candidates)[: rng.integers(2, candidates + 1)]
        level = rng.gumbel(size=some.size) + 0.4 * some
        level = np.round(level / coarse) if coarse else level
        found.append([tuple(some[level == one].tolist()) for one in np.unique(level)[::-1]])
    return found


def log_likelihood(orders: Orders, strength: np.ndarray, log_delta: np.ndarray) -> float:
    """By all subsets, as the model is defined."""
    total = 0.0
    for order in orders:
        left = [code for tier in order for code in tier]
        for tier in order:
            most = min(log_delta.size, len(left))
            subsets = [some for size in range(1, most + 1) for some in combinations(left, size)]
            worth = [log_delta[len(some) - 1] + strength[list(some)].mean() for some in (*subsets, tier)]
            total += worth[-1] - np.logaddexp.reduce(worth[:-1])
            left = [code for code in left if code not in tier]
    return total


@pytest.mark.parametrize(("seed", "coarse"), [(0, 0.0), (0, 1.0)])
def test_it_is_the_maximum_of_the_likelihood(seed: int, coarse: float) -> None:
    orders = random_orders(seed, 25, 5, coarse)
    largest = max(len(tier) for order in orders for tier in order)
    found = plackett_luce(orders, 5)

    def loss(x: np.ndarray) -> float:
        return -log_likelihood(orders, np.append(x[:4], -x[:4].sum()), np.append(0, x[4:]))

    best = minimize(loss, np.zeros(4 + largest - 1))
    assert found.strength[:4] == pytest.approx(best.x[:4], abs=1e-3)
    assert found.ties == pytest.approx(np.exp(best.x[4:]), abs=1e-3)
    assert found.strength.sum() == pytest.approx(0, abs=1e-12)
    assert found.tie == (found.ties[0] if found.ties else 0)


@pytest.mark.parametrize("seed", range(2))
def test_of_pairs_it_is_davidsons_model(seed: int) -> None:
    """Intervals, too: the same draws of groups."""
    outcomes = simulated(seed, 30)
    rows = zip(outcomes.first.tolist(), outcomes.second.tolist(), outcomes.tied.tolist(), strict=True)
    orders = [[(one, other)] if tied else [(one,), (other,)] for one, other, tied in rows]
    found = plackett_luce(orders, 4, groups=outcomes.group.tolist(), resamples=30)
    other = editor_strengths(outcomes, 4, resamples=30)
    assert found.strength == pytest.approx(other.strength, abs=1e-7)
    assert found.tie == pytest.approx(other.tie, abs=1e-7)
    assert found.usable == other.usable
    if found.usable == 30:
        assert found.low == pytest.approx(other.low, abs=1e-6)
        assert found.high == pytest.approx(other.high, abs=1e-6)


def test_two_candidates_have_the_closed_form() -> None:
    found = plackett_luce([[(0,), (1,)]] * 9 + [[(1,), (0,)]] * 3, 2)
    assert found.strength == pytest.approx([np.log(3) / 2, -np.log(3) / 2])
    assert (found.tie, found.ties) == (0, ())


def test_every_order_once_is_equal_strength() -> None:
    orders: Orders = [[(0,), (1,), (2,)], [(1,), (2,), (0,)], [(2,), (0,), (1,)]]
    assert plackett_luce(orders, 3).strength == pytest.approx([0, 0, 0])
    ties = plackett_luce([*orders, [(0, 1, 2)]], 3)
    assert ties.strength == pytest.approx([0, 0, 0])
    # Of the choices from three, one in four takes all three of them; from two, never both.
    assert ties.ties == pytest.approx([0, 3 * (1 / 4) / (3 / 4)])


def test_it_recovers_strengths_from_blocks() -> None:
    """Blocks of 5 of 23 candidates, drawn from the model without ties."""
    rng = np.random.default_rng(3)
    truth = np.linspace(1.5, -1.5, 23)
    orders = []
    for _ in range(400):
        block = rng.permutation(23)[:5]
        drawn = block[np.argsort(-(truth[block] + rng.gumbel(size=5)))]
        orders.append([(int(code),) for code in drawn])
    found = plackett_luce(orders, 23)
    assert np.corrcoef(found.strength, truth)[0, 1] > 0.97
    assert np.polyfit(truth, found.strength, 1)[0] == pytest.approx(1, abs=0.12)


def test_intervals_are_repeatable_and_draw_whole_groups() -> None:
    orders = random_orders(5, 60, 4, 1.0)
    groups = [number // 3 for number in range(60)]
    found = plackett_luce(orders, 4, groups=groups, resamples=60, seed=1)
    assert ((found.low < found.strength) & (found.strength < found.high)).all()
    again = plackett_luce(orders, 4, groups=[f"g{group}" for group in groups], resamples=60, seed=1)
    assert (found.low.tolist(), found.high.tolist()) == (again.low.tolist(), again.high.tolist())
    # The same orders five times over in five times as large groups are no more evidence.
    copies = plackett_luce(orders * 5, 4, groups=groups * 5, resamples=60, seed=1)
    assert copies.low == pytest.approx(found.low, abs=1e-6)


def test_the_score_bootstrap_is_close_to_refitting(monkeypatch: pytest.MonkeyPatch) -> None:
    orders = random_orders(6, 300, 4, 1.0)
    refitted = plackett_luce(orders, 4, resamples=150)
    monkeypatch.setattr(plackett, "LARGE", 0)
    stepped = plackett_luce(orders, 4, resamples=150)
    assert stepped.usable == refitted.usable == 150
    width = refitted.high - refitted.low
    assert (np.abs(stepped.low - refitted.low) < 0.12 * width).all()
    assert (np.abs(stepped.high - refitted.high) < 0.12 * width).all()


@pytest.mark.parametrize(
    "orders",
    [
        [],
        [[]],
        [[(0,)], [(1,)], [(2,)]],
        [[(0,), (1,), (2,)]],  # 0 was never below, 2 never above
        [[(0,), (1,)], [(1,), (0,)], [(0,), (2,)]],  # 2 was never above
        [[(0,), (1,)], [(1,), (0,)], [(2,), (3,)], [(3,), (2,)]],  # two parts
    ],
)
def test_without_a_maximum_nothing_is_said(orders: Orders) -> None:
    found = plackett_luce(orders, 4, resamples=5)
    assert np.isnan(found.strength).all()
    assert np.isnan(found.low).all()
    assert np.isnan(found.tie)
    assert found.usable == 0


def test_who_was_never_compared_has_no_strength_and_disturbs_nobody() -> None:
    orders: Orders = [[(0,), (2,)], [(2,), (0,)], [(0,), (2,)], [(1,)]]
    found = plackett_luce(orders, 4)
    assert found.strength == pytest.approx([np.log(2) / 2, np.nan, -np.log(2) / 2, np.nan], nan_ok=True)


def test_all_ties_are_equal_strength() -> None:
    found = plackett_luce([[(0, 1, 2)], [(0, 1, 2)]], 3)
    assert found.strength == pytest.approx([0, 0, 0])
    assert found.ties == pytest.approx([0, np.nan], nan_ok=True)


def test_pseudo_comparisons_make_everybody_finite() -> None:
    orders: Orders = [[(0,), (1,), (2,)]]
    found = plackett_luce(orders, 3, pseudo=0.5)
    assert found.strength[0] > found.strength[1] > found.strength[2]
    assert found.strength[1] == pytest.approx(0, abs=0.5)
    # With more evidence they weigh less.
    assert plackett_luce(orders * 10, 3, pseudo=0.5).strength[0] > found.strength[0]
    # Closed form of two: a win, and half a win and half a loss each against the made-up one.
    two = plackett_luce([[(0,), (1,)]], 2, pseudo=0.5)
    half = two.strength[0]
    assert half == pytest.approx(-two.strength[1])
    # The gradient is 0: the win's surprise equals the pull of the made-up one, which sits between both.
    assert 1 - 1 / (1 + np.exp(-2 * half)) == pytest.approx(1 / (1 + np.exp(-half)) - 0.5, abs=1e-9)


def test_strong_candidates_lose_no_digits() -> None:
    """One upset in a thousand, with large ties."""
    orders: Orders = [[(0,), (1, 2, 3)]] * 999 + [[(1, 2, 3), (0,)], [(1,), (2,), (3,), (0,)], [(3,), (1, 2, 0)]]
    orders += [[(2,), (3,), (1,)], [(3,), (2,), (1,)]]
    found = plackett_luce(orders, 4)
    assert np.isfinite(found.strength).all()
    here = log_likelihood(orders, found.strength, np.log(np.maximum([1, *found.ties], 1e-300)))
    for code in range(4):
        moved = found.strength + 0.01 * (np.arange(4) == code)
        assert log_likelihood(orders, moved, np.log(np.maximum([1, *found.ties], 1e-300))) < here


@pytest.mark.parametrize(
    ("orders", "groups", "said"),
    [
        ([[(0,), (0,)]], None, "stands twice"),
        ([[(0,), (3,)]], None, "outside 0 to 2"),
        ([[(0,), (-1,)]], None, "outside 0 to 2"),
        ([[(0,), (1,)]], [1, 2], "1 orders, but 2 groups"),
    ],
)
def test_refusals(orders: Orders, groups: list[int] | None, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        plackett_luce(orders, 3, groups=groups)


def test_imagereward_has_strengths() -> None:
    """Its rankings share no image and name no editor, so each alone determines nothing. What they share is the place
    of an image in the list: that has strengths, with ties, and the first place is ahead of the fourth beyond chance.
    """
    rankings = json.loads(shared_file("human-data/imagereward/test.json").read_text())
    orders = [
        [tuple(np.flatnonzero(np.array(one["ranking"]) == rank).tolist()) for rank in sorted(set(one["ranking"]))]
        for one in rankings
    ]
    assert len(orders) == 466
    assert sum(len(order) < sum(map(len, order)) for order in orders) == 349
    found = plackett_luce(orders, 9, resamples=100)
    assert np.isfinite(found.strength).all()
    assert found.usable == 100
    assert found.tie == pytest.approx(0.868, abs=0.001)
    assert found.strength[0] == pytest.approx(0.679, abs=0.001)
    assert found.low[0] > found.high[3]
    images = {name: code for code, name in enumerate(n for one in rankings for n in one["generations"])}
    alone = [[tuple(images[rankings[k]["generations"][i]] for i in tier) for tier in orders[k]] for k in range(466)]
    assert np.isnan(plackett_luce(alone, len(images)).strength).all()
