"""Pairs that may be ties: log P of win, tie and loss, which sum to 1, with a tie width that is learned.

``difference`` is mu of the first candidate minus mu of the second; ``outcome`` is 1 where people prefer the first, -1
the second, 0 a tie. The last axis of what comes back is (WIN, TIE, LOSS), seen from the first.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from training.gpu.reward.losses import log_phi, mixture

WIN, TIE, LOSS = range(3)
EDGE = 1e-9  # ratings this close are equal, so that rounding wins nothing
NARROWEST = 1e-6  # of a tie width: at 0 a tie is impossible, and one that people gave would cost infinitely much


def width_of(raw: Tensor) -> Tensor:
    """A tie width > 0 from a parameter without limits: softplus, and a floor."""
    return softplus(raw) + NARROWEST


def rao_kupper(difference: Tensor, width: Tensor | float) -> Tensor:
    """Bradley-Terry with ties, shape (..., 3). Rao and Kupper 1967, eq. 2.4, their θ = exp(width), width > 0.

    P(win) = sigmoid(d - w), P(loss) = sigmoid(-d - w), P(tie) = (e^2w - 1)·P(win)·P(loss): stable at any d. A tie is
    what happens within a distance ``width`` (in score units) of two logistic judgements.
    """
    width = torch.as_tensor(width, dtype=difference.dtype, device=difference.device)
    win, loss = logsigmoid(difference - width), logsigmoid(-difference - width)
    log_expm1 = 2 * width + torch.log(-torch.expm1(-2 * width))
    return torch.stack([win, win + loss + log_expm1, loss], dim=-1)


def davidson(difference: Tensor, log_nu: Tensor | float) -> Tensor:
    """Bradley-Terry with ties, shape (..., 3). Davidson 1970, eq. 1.4: P(tie) ∝ nu·√(product of the two strengths).

    Odds of win against loss do not depend on ``log_nu``; P(tie | d = 0) = nu/(2 + nu).
    """
    log_nu = torch.as_tensor(log_nu, dtype=difference.dtype, device=difference.device)
    tie = torch.broadcast_to(log_nu, difference.shape)
    return torch.log_softmax(torch.stack([difference / 2, tie, -difference / 2], dim=-1), dim=-1)


def gaussian_ties(difference: Tensor, spread: Tensor, width: Tensor | float) -> Tensor:
    """Uncertainty ranking with ties, shape (..., 3): a tie is a difference within ±width. Glenn and David 1960, eq. 2.

    P(win) = Φ((d - w)/s), P(loss) = Φ((-d - w)/s), P(tie) the rest; d, s and w in score units, broadcast; w > 0.
    """
    width = torch.as_tensor(width, dtype=torch.float64, device=difference.device)
    return _gaussian_ties(difference.double(), spread.double(), width).to(difference.dtype)


def logistic_ties(difference: Tensor, spread: Tensor, width: Tensor | float) -> Tensor:
    """Rao-Kupper averaged over z ~ N(difference, spread²), shape (..., 3): ``uncertainty_logistic`` with ties.

    By the same mixture of Gaussians; at spread 0 it is ``rao_kupper``, at width 0 there are no ties.
    """
    width = torch.as_tensor(width, dtype=torch.float64, device=difference.device)
    widths, log_weights = mixture(spread)
    each = _gaussian_ties(difference.double()[..., None], widths, width[..., None])
    return torch.logsumexp(each + log_weights[:, None], dim=-2).to(difference.dtype)


def _gaussian_ties(difference: Tensor, spread: Tensor, width: Tensor) -> Tensor:
    win, loss = log_phi((difference - width) / spread), log_phi((-difference - width) / spread)
    # Both bounds in the lower tail, where Φ has digits left: log(Φ(near) - Φ(far)).
    apart = difference.abs()
    near, far = log_phi((width - apart) / spread), log_phi((-width - apart) / spread)
    tie = near + torch.log(-torch.expm1((far - near).clamp(max=-1e-12)))
    return torch.stack(torch.broadcast_tensors(win, tie, loss), dim=-1)


def outcome_loss(log_probabilities: Tensor, outcome: Tensor) -> Tensor:
    """-log P of what people said: (..., 3) and ``outcome`` (...) of 1, 0, -1 to (...)."""
    place = (1 - outcome.long()).unsqueeze(-1)
    return -log_probabilities.gather(-1, place).squeeze(-1)


def dimension_outcomes(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Ratings of both candidates, (pairs, dimensions), to outcomes and which are known, both (pairs, dimensions).

    How ties are disentangled here (the aim of EditReward 3.3): each dimension's comparison goes to its own head. A
    pair that is equal in total, where one wins dimension 1 and the other dimension 2, is two decided pairs of two
    heads; what is equal in a dimension stays a tie there. NaN: not rated, outcome 0 and unknown.
    """
    known = torch.isfinite(first) & torch.isfinite(second)
    lead = torch.nan_to_num(first - second)
    outcome = (lead > EDGE).long() - (lead < -EDGE).long()
    return torch.where(known, outcome, 0), known
