"""Losses of pairs and candidates: closed forms, quadrature, gradients, limits."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import expit, log_expit, log_ndtr
from torch import Tensor
from torch.autograd import gradcheck

from training.gpu.reward import compat
from training.gpu.reward.losses import (
    LEVELS,
    aggregate,
    bradley_terry,
    centring,
    level_loss,
    level_of,
    mos_error,
    spread_of,
    uncertainty,
    uncertainty_logistic,
)

reals = st.floats(-8, 8)
spreads = st.floats(0.05, 20)


def doubles(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _integral(f: Callable[[float], float], kink: float) -> float:
    """E[f(x)], x standard normal, to 1e-12."""
    return float(
        quad(
            lambda x: math.exp(-x * x / 2) / math.sqrt(2 * math.pi) * f(x),
            -39,
            39,
            points=[min(max(kink, -38.0), 38.0)],
            limit=500,
            epsabs=1e-13,
        )[0]
    )


def test_uncertainty_is_the_probability_that_one_gaussian_beats_another() -> None:
    """mu 1 and 0.2, sigma 0.5 and 0.9: P = 0.78128..., by integrating over both."""
    spread = spread_of(doubles(math.log(0.5)), doubles(math.log(0.9)))
    assert spread.item() == pytest.approx(math.hypot(0.5, 0.9))
    by_hand = _integral(lambda x: float(np.exp(log_ndtr((1 + 0.5 * x - 0.2) / 0.9))), 0)
    assert torch.exp(-uncertainty(doubles(0.8), spread)).item() == pytest.approx(by_hand, rel=1e-10)


@pytest.mark.parametrize("spread", [0.0, 0.3, 1.0, 3.0, 20.0, 28.0])
@pytest.mark.parametrize("difference", [-60.0, -5.0, -0.7, 0.0, 2.0])
def test_the_logistic_form_equals_quadrature(difference: float, spread: float) -> None:
    kink = -difference / spread if spread else 0.0
    wanted = _integral(lambda x: float(expit(difference + spread * x)), kink) if spread else float(expit(difference))
    found = torch.exp(-uncertainty_logistic(doubles(difference), doubles(spread))).item()
    assert found == pytest.approx(wanted, abs=1e-11)


def test_the_logistic_form_without_spread_is_bradley_terry_far_out() -> None:
    """A difference of -300 costs 300, not infinity, and its slope is 1."""
    difference = doubles(-300, -100, -30, 0, 30).requires_grad_()
    loss = uncertainty_logistic(difference, torch.zeros(5))
    loss.sum().backward()
    torch.testing.assert_close(
        loss.detach(), -torch.from_numpy(log_expit(difference.detach().numpy())), rtol=1e-5, atol=1e-9
    )
    torch.testing.assert_close(difference.grad, -torch.sigmoid(-difference.detach()), rtol=1e-2, atol=1e-9)


def test_uncertainty_far_out_has_the_right_value_and_slope_in_float32() -> None:
    difference = torch.tensor([-1e4, -100.0, 0.0, 1e4], requires_grad=True)
    loss = uncertainty(difference, torch.ones(4))
    loss.sum().backward()
    assert loss.dtype == torch.float32
    torch.testing.assert_close(
        loss.detach().double(), -torch.from_numpy(log_ndtr(difference.detach().double().numpy()))
    )
    torch.testing.assert_close(
        difference.grad, torch.tensor([-1e4, -100.01, -math.sqrt(2 / math.pi), 0.0]), rtol=1e-4, atol=0
    )


@given(reals, spreads)
@settings(max_examples=50, deadline=None)
def test_both_forms_are_antisymmetric(difference: float, spread: float) -> None:
    """P(h beats l) + P(l beats h) = 1."""
    for form in (uncertainty, uncertainty_logistic):
        both = [torch.exp(-form(doubles(d), doubles(spread))).item() for d in (difference, -difference)]
        assert sum(both) == pytest.approx(1, abs=1e-9)


def _slope_in_sigma(form: Callable[[Tensor, Tensor], Tensor], difference: float) -> float:
    log_sigma = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    form(doubles(difference), spread_of(log_sigma, doubles(0.0))).sum().backward()
    assert log_sigma.grad is not None
    return float(log_sigma.grad)


@pytest.mark.parametrize("form", [uncertainty, uncertainty_logistic])
def test_sigma_grows_for_a_wrong_pair_and_shrinks_for_a_right_one(form: Callable[[Tensor, Tensor], Tensor]) -> None:
    """A negative slope of the loss in log sigma means that a step of descent widens it."""
    assert _slope_in_sigma(form, -2.0) < -0.05
    assert _slope_in_sigma(form, 2.0) > 0.01
    assert _slope_in_sigma(form, 0.0) == pytest.approx(0, abs=1e-12)


@given(reals, st.floats(-2, 2), st.floats(-2, 2))
@settings(max_examples=50, deadline=None)
def test_the_released_form_can_only_shrink_sigma(difference: float, first: float, second: float) -> None:
    chosen = doubles(difference, first)[None].requires_grad_()
    rejected = doubles(0.0, second)[None].requires_grad_()
    compat.expected_negative_log(chosen, rejected).sum().backward()
    assert chosen.grad is not None and rejected.grad is not None
    assert chosen.grad[0, 1] >= 0 and rejected.grad[0, 1] >= 0


def test_gradients() -> None:
    difference, log_a, log_b = (torch.randn(4, generator=torch.Generator().manual_seed(s)).double() for s in range(3))
    inputs = tuple(one.requires_grad_() for one in (difference, log_a, log_b))
    assert gradcheck(lambda d, a, b: uncertainty(d, spread_of(a, b)), inputs)
    assert gradcheck(lambda d, a, b: uncertainty_logistic(d, spread_of(a, b)), inputs)
    assert gradcheck(lambda d, a, b: bradley_terry(d, a) + centring(a, b, 0.1, 2.0), inputs)
    scores = (difference.detach().reshape(2, 2).requires_grad_(), log_a.detach().reshape(2, 2).requires_grad_())
    for how in ("mean", "min", "sum"):
        assert gradcheck(lambda m, s, how=how: aggregate(m, s, how), scores)


def test_aggregates_are_those_of_independent_gaussians() -> None:
    """Against 400,000 draws of three heads."""
    mu, sigma = np.array([0.5, -1.0, 2.0]), np.array([0.3, 1.5, 0.8])
    draws = np.random.default_rng(0).normal(mu, sigma, (400_000, 3))
    for how, values in (("sum", draws.sum(axis=1)), ("mean", draws.mean(axis=1))):
        found, log_sigma = aggregate(torch.tensor(mu)[None], torch.tensor(np.log(sigma))[None], how)
        assert found.item() == pytest.approx(values.mean(), abs=0.01)
        assert log_sigma.exp().item() == pytest.approx(values.std(), rel=0.01)
    found, log_sigma = aggregate(torch.tensor(mu)[None], torch.tensor(np.log(sigma))[None], "min")
    assert (found.item(), log_sigma.exp().item()) == (-1.0, pytest.approx(1.5))


def test_one_dimension_is_its_own_aggregate() -> None:
    mu, log_sigma = torch.randn(5, 1), torch.randn(5, 1)
    for how in ("mean", "min", "sum"):
        for found, wanted in zip(aggregate(mu, log_sigma, how), (mu, log_sigma), strict=True):
            torch.testing.assert_close(found, wanted[:, 0])


def test_an_unknown_aggregate_is_refused() -> None:
    with pytest.raises(ValueError, match="no aggregate 'max'"):
        aggregate(torch.zeros(1, 2), torch.zeros(1, 2), "max")  # type: ignore[arg-type]


def test_mos_error_counts_those_that_have_a_mos() -> None:
    mu = torch.tensor([[1.0, 5.0], [3.0, 9.0]], requires_grad=True)
    loss = mos_error(mu, torch.tensor([[2.0, math.nan], [3.0, 6.0]]))
    loss.backward()
    assert loss.item() == pytest.approx((1 + 0 + 9) / 3)
    torch.testing.assert_close(mu.grad, torch.tensor([[-2 / 3, 0.0], [0.0, 2.0]]))


def test_mos_error_without_a_mos_is_zero_and_has_a_zero_gradient() -> None:
    mu = torch.ones(3, requires_grad=True)
    mos_error(mu, torch.full((3,), math.nan)).backward()
    torch.testing.assert_close(mu.grad, torch.zeros(3))


def test_mos_error_refuses_to_broadcast() -> None:
    with pytest.raises(ValueError, match=r"\(3, 1\) and MOS \(3,\)"):
        mos_error(torch.zeros(3, 1), torch.zeros(3))


def test_levels_are_five_equal_intervals_with_their_upper_end() -> None:
    mos = torch.tensor([1.0, 1.8, 1.81, 2.6, 3.0, 4.2, 4.3, 5.0, 0.0, 9.0, math.nan])
    assert level_of(mos, 1, 5).tolist() == [0, 0, 1, 1, 2, 3, 4, 4, 0, 4, -1]
    assert [LEVELS[i] for i in (0, 2, 4)] == ["bad", "fair", "excellent"]
    assert level_of(torch.linspace(0, 100, 101), 0, 100).bincount().tolist() == [21, 20, 20, 20, 20]


@pytest.mark.parametrize(("low", "high"), [(1, 1), (5, 1), (math.nan, 1)])
def test_a_scale_without_levels_is_refused(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="has no levels"):
        level_of(torch.zeros(1), low, high)


def test_level_loss_is_cross_entropy_of_the_known() -> None:
    logits = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)
    level = torch.tensor([[0, 4, -1], [2, -1, -1]])
    loss = level_loss(logits, level)
    by_hand = -(logits.log_softmax(-1)[[0, 0, 1], [0, 1, 0], [0, 4, 2]]).mean()
    torch.testing.assert_close(loss, by_hand)
    assert level_loss(logits, torch.full((2, 3), -1)).item() == 0


def test_centring_holds_the_level_that_rankings_leave_open() -> None:
    first, second = doubles(51, 60), doubles(49, 50)
    assert centring(first, second, 0.01, centre=50).item() == pytest.approx(0.01 * (0 + 100) / 2)
    assert centring(first[:0], second[:0], 0.01).item() == 0
