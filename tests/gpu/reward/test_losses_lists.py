"""Losses over groups: means that no group outweighs, Plackett-Luce with ties against enumeration."""

from __future__ import annotations

import math
from itertools import combinations, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck

from training.gpu.reward.lists import group_mean, plackett_luce
from training.gpu.reward.ties import davidson, outcome_loss


def test_a_group_of_many_counts_as_much_as_a_group_of_two() -> None:
    loss = torch.cat([torch.full((253,), 1.0), torch.tensor([5.0])])
    group = torch.cat([torch.zeros(253), torch.ones(1)]).long()
    assert group_mean(loss, group).item() == pytest.approx(3)
    assert group_mean(loss, group, weights=torch.rand(254) + 0.1).item() == pytest.approx(3)


def test_means_by_group_and_dimension_equal_loops() -> None:
    generator = torch.Generator().manual_seed(1)
    loss, group = torch.rand(40, 3, generator=generator), torch.randint(0, 6, (40,), generator=generator)
    valid, weights = torch.rand(40, 3, generator=generator) < 0.3, torch.rand(40, generator=generator)
    means = []
    for g, d in product(range(6), range(3)):
        rows = (group == g) & valid[:, d]
        if rows.any():
            means.append((loss[rows, d] * weights[rows]).sum() / weights[rows].sum())
    assert len(means) < 18
    torch.testing.assert_close(group_mean(loss, group, valid=valid, weights=weights), torch.stack(means).mean())


def test_an_invalid_pair_changes_nothing() -> None:
    """Neither the value nor a gradient: it is in no sum and in no count."""
    loss, group = torch.tensor([1.0, 2.0, 4.0], requires_grad=True), torch.tensor([0, 0, 1])
    more = torch.cat([loss, torch.tensor([1e6, 7.0])])
    valid = torch.tensor([True, True, True, False, False])
    found = group_mean(more, torch.tensor([0, 0, 1, 1, 2]), valid=valid)
    found.backward()
    assert found.item() == group_mean(loss, group).item() == pytest.approx((1.5 + 4) / 2)
    assert loss.grad.tolist() == [0.25, 0.25, 0.5]


@pytest.mark.parametrize("pairs", [0, 3])
def test_without_a_valid_pair_it_is_zero(pairs: int) -> None:
    loss = torch.ones(pairs, requires_grad=True)
    found = group_mean(loss, torch.zeros(pairs).long(), valid=torch.zeros(pairs).bool())
    found.backward()
    assert found.item() == 0 and not loss.grad.any()


# Plackett-Luce -------------------------------------------------------------------------------------------------------


def rankings(n: int) -> list[list[int]]:
    """All weak orders of n candidates, as ranks 0.. without gaps."""
    return [list(ranks) for ranks in product(range(n), repeat=n) if set(ranks) == set(range(max(ranks) + 1))]


def by_enumeration(scores: list[float], ranks: list[int], delta: list[float]) -> float:
    """Davidson-Luce from its definition: every subset of those that are left is written out."""
    strength, log_p, left = np.exp(scores), 0.0, list(range(len(scores)))

    def weight(subset: tuple[int, ...]) -> float:
        return float(delta[len(subset) - 1] * strength[list(subset)].prod() ** (1 / len(subset)))

    for rank in range(max(ranks) + 1):
        block = tuple(i for i in left if ranks[i] == rank)
        choices = [c for t in range(1, min(len(delta), len(left)) + 1) for c in combinations(left, t)]
        log_p += math.log(weight(block) / sum(map(weight, choices)))
        left = [i for i in left if i not in block]
    return log_p


SCORES, DELTA = [0.4, -1.2, 2.0, 0.1], [1.0, 0.7, 0.3, 1.9]


def _loss(scores: list[float], ranks: list[float], delta: list[float]) -> Tensor:
    log_delta = torch.tensor(delta[1:], dtype=torch.float64).log()
    return plackett_luce(torch.tensor(scores, dtype=torch.float64), torch.tensor(ranks), log_delta)


def test_every_weak_order_of_four_equals_enumeration_and_they_sum_to_one() -> None:
    total = 0.0
    for ranks in rankings(4):
        found = -_loss(SCORES, [float(rank) for rank in ranks], DELTA).item()
        assert found == pytest.approx(by_enumeration(SCORES, ranks, DELTA), abs=1e-10)
        total += math.exp(found)
    assert len(rankings(4)) == 75
    assert total == pytest.approx(1, abs=1e-10)


def test_without_ties_it_is_the_product_of_softmaxes() -> None:
    scores = torch.tensor(SCORES)
    order = [2, 0, 3, 1]
    by_hand = sum(-scores[order[i:]].log_softmax(0)[0] for i in range(4))
    ranks = torch.tensor([2.0, 4.0, 1.0, 3.0])
    torch.testing.assert_close(plackett_luce(scores, ranks), by_hand)


def test_two_candidates_are_davidsons_model() -> None:
    difference = torch.tensor(SCORES[0] - SCORES[1], dtype=torch.float64)
    for ranks, outcome in (([1.0, 2.0], 1), ([1.0, 1.0], 0), ([2.0, 1.0], -1)):
        wanted = outcome_loss(davidson(difference, math.log(0.7)), torch.tensor(outcome))
        torch.testing.assert_close(_loss(SCORES[:2], ranks, DELTA[:2]), wanted)


@given(st.permutations(range(5)), st.floats(-50, 50))
@settings(max_examples=30, deadline=None)
def test_order_and_level_of_the_candidates_do_not_matter(order: list[int], shift: float) -> None:
    scores, ranks = [0.4, -1.2, 2.0, 0.1, 0.1], [2.5, 4.0, 1.0, 2.5, 5.0]
    moved = _loss([scores[i] + shift for i in order], [ranks[i] for i in order], [1.0, 0.5])
    assert moved.item() == pytest.approx(_loss(scores, ranks, [1.0, 0.5]).item(), abs=1e-9)


def test_candidates_that_nobody_ranked_are_left_out() -> None:
    with_gap = _loss([0.4, 99.0, 2.0], [2.0, math.nan, 1.0], [1.0, 0.5])
    assert with_gap.item() == pytest.approx(_loss([0.4, 2.0], [2.0, 1.0], [1.0, 0.5]).item())
    assert _loss([1.0, 2.0], [math.nan, math.nan], [1.0]).item() == 0


def test_mean_ranks_that_differ_by_rounding_are_a_tie() -> None:
    third = sum([0.1] * 3)
    ranks = torch.tensor([third, 0.3, 2.0], dtype=torch.float64)
    with pytest.raises(ValueError, match="2 candidates share a rank"):
        plackett_luce(torch.zeros(3), ranks)


def test_a_tie_that_is_too_large_is_refused() -> None:
    with pytest.raises(ValueError, match="3 candidates share a rank, and the model allows ties of at most 2"):
        _loss([0.0] * 4, [1.0, 1.0, 1.0, 2.0], [1.0, 0.5])


def test_gradients() -> None:
    scores = torch.tensor(SCORES, dtype=torch.float64, requires_grad=True)
    log_delta = torch.tensor([-0.3, 0.2, -2.0], dtype=torch.float64, requires_grad=True)
    for ranks in ([1.0, 2.0, 2.0, 3.0], [1.0, 1.0, 1.0, 1.0], [4.0, 3.0, 2.0, 1.0]):
        assert gradcheck(lambda s, d, ranks=ranks: plackett_luce(s, torch.tensor(ranks), d), (scores, log_delta))


def test_a_tie_of_all_pulls_the_scores_together() -> None:
    """The mean over orders, the other form in use, is 1 for it and teaches nothing."""
    scores = torch.tensor([1.0, 0.0, -1.0], requires_grad=True)
    plackett_luce(scores, torch.ones(3), torch.zeros(2)).backward()
    assert scores.grad[0] > 0 > scores.grad[2]


def test_a_group_of_23_with_large_scores_is_finite_in_float32() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = (torch.randn(23, generator=generator) * 100).requires_grad_()
    ranks = torch.randint(1, 8, (23,), generator=generator).float()
    log_delta = torch.zeros(22, requires_grad=True)
    loss = plackett_luce(scores, ranks, log_delta)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(scores.grad).all() and torch.isfinite(log_delta.grad).all()
