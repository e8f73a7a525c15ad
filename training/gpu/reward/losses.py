"""Losses of reward models on pairs and on single candidates: pure functions on tensors, none of them reduces a pair.

Convention: ``difference`` is mu of the first candidate minus mu of the second, in score units, of any shape; a loss of
a pair is -log P(first beats second). ``lists.group_mean`` reduces. Ties are in ``ties``.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, logsigmoid

Aggregate = Literal["mean", "min", "sum"]
LEVELS = ("bad", "poor", "fair", "good", "excellent")
EDGE = 1e-6  # slack at the edge of an interval, so that rounding decides nothing
SMALLEST, RATIO, NODES = 0.2, 1.05, 95  # nodes of the Kolmogorov variable: 0.2 to 19.6, each 5 % above the last


# Pairs ---------------------------------------------------------------------------------------------------------------


def bradley_terry(difference: Tensor, margin: Tensor | float = 0.0) -> Tensor:
    """-log sigmoid(difference - margin), elementwise. Bradley and Terry 1952; with a margin Touvron et al. 2023 (2).

    ``margin``: in score units, broadcast; people's lead of the first may stand there.
    """
    return -logsigmoid(difference - margin)


def spread_of(log_sigma_first: Tensor, log_sigma_second: Tensor) -> Tensor:
    """Standard deviation of the difference of two independent Gaussians: √(σ_h² + σ_l²), elementwise."""
    return torch.exp(0.5 * torch.logaddexp(2 * log_sigma_first, 2 * log_sigma_second))


def uncertainty(difference: Tensor, spread: Tensor) -> Tensor:
    """-log Φ(difference/spread), elementwise: EditReward (4), its integral over both Gaussians in closed form.

    Thurstone 1927, case III. Both tensors of one shape, or broadcast. Where a pair is predicted wrongly the loss falls
    as the spread grows, so that sigma learns where people do not follow the model.
    """
    return -log_phi(difference / spread).to(difference.dtype)


def uncertainty_logistic(difference: Tensor, spread: Tensor) -> Tensor:
    """-log E[sigmoid(z)], z ~ N(difference, spread²), elementwise: the logistic form of EditReward (4).

    Deterministic, and exact to 1e-11 for every spread. A logistic variable is a Gaussian whose standard deviation is 2K
    with K of Kolmogorov's distribution (Stefanski 1991), so E[sigmoid(z)] = E_K[Φ(difference/√(spread² + 4K²))], a
    smooth integral in K. Gauss-Hermite in z, with 64 nodes, is 0.02 off where the spread is 20.
    """
    difference, spread, dtype = difference.double(), spread.double(), difference.dtype
    widths, log_weights = mixture(spread)
    return -torch.logsumexp(log_phi(difference[..., None] / widths) + log_weights, dim=-1).to(dtype)


def log_phi(z: Tensor) -> Tensor:
    """log Φ(z) in float64: in float32 torch's gradient is wrong from z = -100 on; here it holds to -10⁶."""
    return torch.special.log_ndtr(z.double())


def mixture(spread: Tensor) -> tuple[Tensor, Tensor]:
    """√(spread² + 4K²) at each node of K, shape (..., NODES), and the nodes' log weights (NODES,); float64."""
    nodes, log_weights = (torch.tensor(row, dtype=torch.float64, device=spread.device) for row in kolmogorov_nodes())
    return torch.sqrt(spread.double()[..., None] ** 2 + 4 * nodes**2), log_weights


@lru_cache(maxsize=1)
def kolmogorov_nodes() -> tuple[list[float], list[float]]:
    """Nodes K and log weights of the trapezoid rule in log K for the density 8K Σ (-1)^(k-1) k² exp(-2k²K²).

    The density vanishes with all derivatives at both ends, so the rule is exact to 1e-13. Below 0.2 there is less than
    that of it. The largest node bounds how far out the logarithm holds: a difference of -1500 at spread 0.
    """
    nodes = [SMALLEST * RATIO**place for place in range(NODES)]
    log_weights = [math.log(8 * k * k) - 2 * k * k + math.log(_series(k)) for k in nodes]
    total = math.log(math.fsum(math.exp(value) for value in log_weights))
    return nodes, [value - total for value in log_weights]


def _series(k: float) -> float:
    return math.fsum((-1) ** (i - 1) * i * i * math.exp(-2 * (i * i - 1) * k * k) for i in range(1, 30))


# Dimensions ----------------------------------------------------------------------------------------------------------


def aggregate(mu: Tensor, log_sigma: Tensor, how: Aggregate) -> tuple[Tensor, Tensor]:
    """One score from all dimensions: (n, d) and (n, d) to mu (n,) and log sigma (n,). EditReward (3).

    The dimensions are taken as independent Gaussians: a sum has the variance Σσ², a mean Σσ²/d². The smallest of
    several Gaussians is no Gaussian: "min" takes mu and sigma of the head whose mu is smallest, the first where equal.
    """
    if how == "min":
        lowest = mu.argmin(dim=-1, keepdim=True)
        return mu.gather(-1, lowest).squeeze(-1), log_sigma.gather(-1, lowest).squeeze(-1)
    log_of_sum = 0.5 * torch.logsumexp(2 * log_sigma, dim=-1)
    if how == "sum":
        return mu.sum(dim=-1), log_of_sum
    if how == "mean":
        return mu.mean(dim=-1), log_of_sum - math.log(mu.shape[-1])
    raise ValueError(f"There is no aggregate {how!r}: mean, min or sum.")


# Single candidates ---------------------------------------------------------------------------------------------------


def mos_error(mu: Tensor, mos: Tensor) -> Tensor:
    """Mean of (mu - MOS)² over the candidates that have a MOS, in squared score units; NaN in ``mos``: has none.

    Any one shape for both: EditHF-1M 4.2, pointwise stage. For EditReward (5) give the summed mu and the summed
    ratings, moved to the model's scale. 0 where nobody has a MOS. Raises ValueError for two shapes: broadcasting here
    would compare each candidate with every MOS.
    """
    if mu.shape != mos.shape:
        raise ValueError(f"mu has the shape {tuple(mu.shape)} and MOS {tuple(mos.shape)}: they must be the same.")
    known = torch.isfinite(mos)
    error = torch.where(known, mu - torch.nan_to_num(mos), 0.0)
    return (error**2).sum() / known.sum().clamp(min=1)


def level_of(mos: Tensor, low: float, high: float) -> Tensor:
    """Index in LEVELS of each MOS, the shape of ``mos``, int64; -1 for a MOS that is NaN.

    Five equal intervals between ``low`` and ``high`` (EditHF-1M 4.2), each with its upper end, as Q-Align has it (Wu et
    al. 2023); ``low`` itself is bad, and what lies off the scale gets the level of its end. Raises ValueError for a
    scale that is none.
    """
    if not low < high:
        raise ValueError(f"A scale from {low:g} to {high:g} has no levels.")
    fifths = (torch.nan_to_num(mos.double(), nan=low) - low) / (high - low) * len(LEVELS)
    levels = (torch.ceil(fifths - EDGE) - 1).clamp(0, len(LEVELS) - 1).long()
    return torch.where(torch.isnan(mos), -1, levels)


def level_loss(logits: Tensor, level: Tensor) -> Tensor:
    """Mean cross-entropy of the five levels, logits (..., 5) and ``level`` (...) from ``level_of``; -1 counts nowhere.

    EditHF-1M 4.2, text stage: the logits are those of the tokens that stand for LEVELS. 0 where no level is known.
    """
    each = cross_entropy(
        logits.reshape(-1, len(LEVELS)), level.reshape(-1), ignore_index=-1, reduction="sum"
    )  # a mean over nothing would be NaN
    return each / (level >= 0).sum().clamp(min=1)


def centring(first: Tensor, second: Tensor, coefficient: float, centre: float = 0.0) -> Tensor:
    """coefficient · mean((mu_first + mu_second - 2·centre)²) over pairs: TRL's form (Eisenstein et al. 2023, appendix).

    Rankings fix mu up to a shift; this holds it at ``centre``, such as the middle of the scale. Both of one shape.
    """
    return coefficient * ((first + second - 2 * centre) ** 2).mean() if first.numel() else first.sum()
