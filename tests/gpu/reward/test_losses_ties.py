"""Models of ties: probabilities that sum to 1 however far out, limits, gradients, disentangling."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck

from training.gpu.reward import compat
from training.gpu.reward.losses import bradley_terry, uncertainty, uncertainty_logistic
from training.gpu.reward.ties import (
    LOSS,
    TIE,
    WIN,
    davidson,
    dimension_outcomes,
    gaussian_ties,
    logistic_ties,
    outcome_loss,
    rao_kupper,
    width_of,
)

MODELS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "rao_kupper": rao_kupper,
    "davidson": davidson,
    "gaussian": lambda d, w: gaussian_ties(d, torch.full_like(d, 1.3), w),
    "logistic": lambda d, w: logistic_ties(d, torch.full_like(d, 1.3), w),
}
models = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


@models
def test_ties_take_their_share(model: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Equal scores: win and loss alike; a wider tie has more; probabilities sum to 1."""
    narrow, wide = (model(torch.zeros(1), torch.tensor(w)).exp()[0] for w in (0.2, 1.5))
    assert narrow[WIN] == pytest.approx(narrow[LOSS].item()) and narrow.sum().item() == pytest.approx(1)
    assert wide[TIE] > narrow[TIE]


@models
@given(st.floats(-600, 600), st.floats(1e-3, 8))
@settings(max_examples=60, deadline=None)
def test_probabilities_sum_to_one_and_turn_with_the_pair(
    model: Callable[[Tensor, Tensor], Tensor], difference: float, width: float
) -> None:
    d, w = torch.tensor([difference, -difference], dtype=torch.float64), torch.tensor(width, dtype=torch.float64)
    log_p = model(d, w)
    assert torch.isfinite(log_p).all()
    torch.testing.assert_close(log_p.exp().sum(-1), torch.ones(2, dtype=torch.float64), rtol=0, atol=1e-9)
    torch.testing.assert_close(log_p[0].flip(0), log_p[1])


@models
def test_the_further_ahead_the_surer_the_win(model: Callable[[Tensor, Tensor], Tensor]) -> None:
    log_p = model(torch.linspace(-40, 40, 81), torch.tensor(0.7))
    assert (log_p[:, WIN].diff() >= 0).all() and (log_p[:, LOSS].diff() <= 0).all()
    assert log_p[:, TIE].argmax().item() == 40


@models
def test_gradients(model: Callable[[Tensor, Tensor], Tensor]) -> None:
    d = torch.tensor([-3.0, -0.2, 0.4, 6.0], dtype=torch.float64, requires_grad=True)
    width = torch.tensor(0.6, dtype=torch.float64, requires_grad=True)
    assert gradcheck(model, (d, width))


@models
def test_far_out_in_float32_losses_and_slopes_are_finite(model: Callable[[Tensor, Tensor], Tensor]) -> None:
    d = torch.tensor([-5000.0, -200.0, 200.0, 5000.0], requires_grad=True)
    raw = torch.tensor(-30.0, requires_grad=True)  # a width at its floor
    loss = outcome_loss(model(d, width_of(raw)), torch.tensor([0, 1, -1, 0]))
    loss.sum().backward()
    assert torch.isfinite(loss).all() and torch.isfinite(d.grad).all() and torch.isfinite(raw.grad)
    assert d.grad[1] < 0 < d.grad[2]


def test_without_a_width_there_are_no_ties() -> None:
    d, spread = torch.linspace(-5, 5, 11).double(), torch.full((11,), 1.7).double()
    tiny = 1e-9
    for model, plain in (
        (rao_kupper(d, tiny), bradley_terry(d)),
        (gaussian_ties(d, spread, tiny), uncertainty(d, spread)),
        (logistic_ties(d, spread, tiny), uncertainty_logistic(d, spread)),
    ):
        torch.testing.assert_close(-model[:, WIN], plain, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(
        davidson(d, -40.0)[:, WIN] - davidson(d, 3.0)[:, WIN], davidson(d, -40.0)[:, LOSS] - davidson(d, 3.0)[:, LOSS]
    )


def test_the_logistic_average_is_rao_kupper_averaged() -> None:
    """Without spread it is Rao-Kupper; with it, the mean of Rao-Kupper's probabilities over 60,000 quantiles of z."""
    d = torch.tensor([-4.0, -0.5, 0.0, 2.0], dtype=torch.float64)
    torch.testing.assert_close(logistic_ties(d, torch.zeros(4), 0.8), rao_kupper(d, 0.8), rtol=1e-9, atol=1e-9)
    quantiles = torch.special.ndtri((torch.arange(60_000).double() + 0.5) / 60_000)
    for spread in (0.5, 4.0):
        mean = rao_kupper(d[:, None] + spread * quantiles, 0.8).exp().mean(dim=1)
        torch.testing.assert_close(logistic_ties(d, torch.full((4,), spread), 0.8).exp(), mean, rtol=0, atol=2e-5)


def test_a_learned_width_finds_the_share_of_ties() -> None:
    """A third of equal pairs are ties: Rao-Kupper says tanh(w/2) of them are, so w = log 2."""
    raw = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([raw], max_iter=50, line_search_fn="strong_wolfe")
    outcome = torch.tensor([1, 0, -1])

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = outcome_loss(rao_kupper(torch.zeros(3).double(), width_of(raw)), outcome).mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert width_of(raw).item() == pytest.approx(math.log(2), rel=1e-4)


def test_dimensions_keep_their_own_comparisons() -> None:
    """Equal in total and crossed; won twice; equal in both; not rated once."""
    first = torch.tensor([[4.0, 2.0], [4.0, 4.0], [3.0, 3.0], [math.nan, 2.0]])
    second = torch.tensor([[2.0, 4.0], [1.0, 2.0], [3.0, 3.0 + 1e-12], [1.0, 3.0]])
    outcome, known = dimension_outcomes(first, second)
    assert outcome.tolist() == [[1, -1], [1, 1], [0, 0], [0, -1]]
    assert known.tolist() == [[True, True], [True, True], [True, True], [False, True]]


def test_each_head_learns_the_dimension_that_was_won() -> None:
    """The crossed pair moves both heads apart; as printed, on the fused score, nothing moves at equal totals."""
    first, second = torch.tensor([[4.0, 2.0]]), torch.tensor([[2.0, 4.0]])
    mu = torch.zeros(2, 2, requires_grad=True)  # (candidates, dimensions)
    outcome, _known = dimension_outcomes(first, second)
    bradley_terry(outcome * (mu[:1] - mu[1:])).sum().backward()
    assert mu.grad.tolist() == [[-0.5, 0.5], [0.5, -0.5]]

    pair, label = compat.printed_disentangling(first, second)
    assert (pair.tolist(), label.tolist()) == ([0, 0], [1, -1])
    fused = torch.zeros(2, 2, requires_grad=True)
    lead = (fused[:1] - fused[1:]).mean(dim=1)[pair]
    bradley_terry(label * lead).sum().backward()
    assert not fused.grad.any()


@given(st.floats(-20, 20))
@settings(max_examples=30, deadline=None)
def test_two_opposite_pairs_are_one_soft_half(difference: float) -> None:
    d = torch.tensor(difference, dtype=torch.float64)
    half = torch.nn.functional.binary_cross_entropy_with_logits(d, torch.tensor(0.5).double())
    torch.testing.assert_close(bradley_terry(d) + bradley_terry(-d), 2 * half)


def test_printed_disentangling_keeps_decided_pairs_and_drops_real_ties() -> None:
    first = torch.tensor([[4.0, 4.0], [1.0, 2.0], [3.0, 3.0], [3.0, 1.0]])
    second = torch.tensor([[1.0, 2.0], [2.0, 4.0], [3.0, 3.0], [1.0, 3.0]])
    pair, label = compat.printed_disentangling(first, second)
    assert (pair.tolist(), label.tolist()) == ([0, 1, 3, 3], [1, -1, 1, -1])
