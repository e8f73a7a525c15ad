"""Losses as other projects released them, where they differ from the formula or from ours. For parity tests alone.

Nothing here trains a model. Each function says what is wrong; docs/reward-losses.md has the table. The figures they
reproduce were computed with EditReward at commit edb027e, HPSv3 1.0.0, VideoAlign 219ab9d.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import log_softmax, logsigmoid, softplus

from training.gpu.reward.losses import spread_of
from training.gpu.reward.ties import WIN, rao_kupper

A_BETTER, B_BETTER, TIED, INVALID = 1, -1, 0, 22
"""Labels of VideoAlign."""


def sampled_logistic(
    chosen: Tensor, rejected: Tensor, *, seed: int, samples: int = 1000, margin: float = 0.0
) -> Tensor:
    """EditReward's and HPSv3's "uncertainty" loss, a scalar; both (pairs, 2): mu and log sigma.

    Wrong: it averages -log sigmoid(z) where -log of the average is meant. The first is convex in z, so its slope in
    sigma is never negative: sigma can only shrink, also for a pair that people judge the other way. And it draws z
    without a seed in float16, so that one batch has another loss each time; ``seed`` is ours.
    """
    noise = torch.randn(chosen.shape[0], samples, generator=torch.Generator().manual_seed(seed)).half().float()
    spread = spread_of(chosen[:, 1], rejected[:, 1])[:, None]
    z = (chosen[:, :1] - rejected[:, :1]) + spread * noise
    return softplus(margin - z).mean()


def expected_negative_log(chosen: Tensor, rejected: Tensor, nodes: int = 64) -> Tensor:
    """What ``sampled_logistic`` estimates, E[-log sigmoid(z)], by Gauss-Hermite; (pairs,). Wrong for the same reason:
    the logarithm stands inside the expectation."""
    points, weights = np.polynomial.hermite.hermgauss(nodes)
    spread = spread_of(chosen[:, 1], rejected[:, 1])[:, None]
    z = (chosen[:, :1] - rejected[:, :1]) + math.sqrt(2) * spread * torch.as_tensor(points, dtype=chosen.dtype)
    return softplus(-z) @ torch.as_tensor(weights / weights.sum(), dtype=chosen.dtype)


def probit_approximation(chosen: Tensor, rejected: Tensor) -> Tensor:
    """-log sigmoid(difference/√(1 + π·spread²/8)), (pairs,): MacKay 1992 for -log E[sigmoid(z)].

    Not wrong, but up to 0.02 off in the probability, where ``losses.uncertainty_logistic`` is exact.
    """
    spread = spread_of(chosen[:, 1], rejected[:, 1])
    return -logsigmoid((chosen[:, 0] - rejected[:, 0]) / torch.sqrt(1 + math.pi * spread**2 / 8))


def likelihood_displacement(chosen: Tensor, rejected: Tensor, tau: float) -> Tensor:
    """-log sigmoid(chosen - tau·rejected), a scalar mean. Wrong for rewards: for tau other than 1 it is no function of
    the difference, so it depends on where 0 of the score lies, and an equal pair has a slope that moves the level."""
    return -logsigmoid(chosen - tau * rejected).mean()


def ties_never_reached(chosen: Tensor, rejected: Tensor, k: float) -> Tensor:
    """Rao-Kupper's "btt" with a fixed k, a scalar mean. Wrong: the branch for ties is behind a threshold that is None,
    so each pair counts as won, and k only makes the model push scores apart. k = 5 says 2/3 of equal pairs are ties."""
    return -rao_kupper(chosen - rejected, math.log(k))[..., WIN].mean()


def double_softmax(chosen: Tensor, rejected: Tensor) -> Tensor:
    """The "hpsv2" loss, a scalar sum; both (pairs, 1). Wrong: cross-entropy gets probabilities where it wants logits,
    so a pair costs between 0.3133 and 1.3133 whatever the scores; and a sum, so the slope grows with the batch."""
    probabilities = torch.softmax(torch.cat([chosen, rejected], dim=1), dim=1)
    return -log_softmax(probabilities, dim=1)[:, 0].sum()


def editreward_regression(
    chosen: Tensor, rejected: Tensor, score_chosen: Tensor, score_rejected: Tensor, centre: float
) -> Tensor:
    """EditReward's "reg", a scalar; rewards (pairs, 2) of mu and log sigma, scores (pairs,).

    Wrong by shape: a mask with the columns of the rewards, mu and log sigma, meets errors whose columns are the two
    candidates, and fits only because both have two. The value is that of a plain mean over both candidates; a pair in
    which one candidate has no score cannot be masked. ``losses.mos_error`` masks each and refuses unequal shapes.
    """
    mu = torch.stack([chosen[:, 0], rejected[:, 0]], dim=1)
    errors = (mu - (torch.stack([score_chosen, score_rejected], dim=1) - centre)) ** 2
    mask = torch.ones_like(chosen)  # the columns of the rewards, not of the errors
    return (errors * mask).mean()


# VideoAlign: masked entries stay in the denominator ------------------------------------------------------------------


def _leads(first: Tensor, second: Tensor, label: Tensor) -> Tensor:
    """Chosen minus rejected; where nobody is chosen the released code takes B for the chosen one."""
    return torch.where(label == A_BETTER, first - second, second - first)


def _mean_over_all(loss: Tensor, mask: Tensor) -> Tensor:
    """Wrong: what is masked is 0 in the sum and 1 in the count, so the learning rate shrinks with the share of ties."""
    return (loss * mask).mean()


def _decided(label: Tensor) -> Tensor:
    return (label == A_BETTER) | (label == B_BETTER)


def videoalign_pairs(
    first: Tensor, second: Tensor, label: Tensor, *, margin: Tensor | float = 0.0, scale: Tensor | float = 1.0
) -> Tensor:
    """-scale·log sigmoid(lead - margin), a scalar; all (pairs, dimensions), labels as above.

    Wrong: ties and invalid pairs are in the denominator (``lists.group_mean`` leaves them out); ties teach nothing.
    """
    loss = -logsigmoid(_leads(first, second, label) - margin) * scale
    return _mean_over_all(loss, _decided(label))


def videoalign_score_lead(score_first: Tensor, score_second: Tensor, label: Tensor) -> Tensor:
    """The "margin" and the "scaled" losses' factor: people's score of the chosen minus that of the rejected.

    Wrong for ties, where B counts as chosen; the mask hides it as long as ties are masked.
    """
    return _leads(score_first, score_second, label)


def videoalign_regression(
    first: Tensor, second: Tensor, score_first: Tensor, score_second: Tensor, *, label: Tensor, centre: float
) -> Tensor:
    """Squared error to the scores less ``centre``, a scalar; all (pairs, dimensions).

    Wrong: invalid entries are in the denominator, and their pairs' validity stands for that of each score.
    """
    errors = ((first - (score_first - centre)) ** 2 + (second - (score_second - centre)) ** 2) / 2
    return _mean_over_all(errors, label != INVALID)


# EditReward's heads and pooling --------------------------------------------------------------------------------------


def fusion_min(mu: Tensor, log_sigma: Tensor) -> tuple[Tensor, Tensor]:
    """Smallest mu and smallest log sigma, (n, d) to (n,). Wrong: they may come from different heads, so a score gets
    the certainty of the dimension that it was not taken from. ``losses.aggregate`` takes both from one head."""
    return mu.min(dim=-1).values, log_sigma.min(dim=-1).values


def fusion_mean(mu: Tensor, log_sigma: Tensor) -> tuple[Tensor, Tensor]:
    """Means of mu and of log sigma, (n, d) to (n,). Wrong: a geometric mean of sigmas is not the standard deviation of
    a mean of independent Gaussians, √(Σσ²)/d: with two equal heads it is √2 too large."""
    return mu.mean(dim=-1), log_sigma.mean(dim=-1)


def pool_last(states: Tensor, lengths: Tensor) -> Tensor:
    """State of each row's last token that is no padding: (rows, tokens, width) to (rows, width). As intended."""
    return states[torch.arange(states.shape[0]), lengths - 1]


def pool_mean(states: Tensor, lengths: Tensor) -> Tensor:
    """Mean state, (rows, tokens, width) to (rows, width). Wrong: off by one, the last token is left out, and that is
    the only one that has seen everything."""
    return torch.stack([row[: length - 1].mean(dim=0) for row, length in zip(states, lengths.tolist(), strict=True)])


def pool_special(states: Tensor, tokens: Tensor, reward_token: int) -> Tensor:
    """State at the reward token, (rows, tokens, width) to (rows, width); one a row. As intended."""
    return states[tokens == reward_token]


# EditReward's ties, as printed ---------------------------------------------------------------------------------------


def printed_disentangling(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """EditReward (6) on the fused reward: ratings (pairs, 2) to samples, (samples,) pair indices and labels 1 or -1.

    A pair equal in total, where each wins one dimension, becomes two samples with opposite labels. Wrong on one fused
    score: the two are one tie with a soft label of ½, and no head learns which dimension was won.
    ``ties.dimension_outcomes`` gives each dimension's comparison to its own head. A pair that is equal in both is left.
    """
    lead = torch.sign((first - second).round(decimals=6))
    total = torch.sign((first.sum(dim=1) - second.sum(dim=1)).round(decimals=6))
    crossed = (total == 0) & (lead[:, 0] * lead[:, 1] < 0)
    decided = torch.nonzero(total != 0)[:, 0]
    split = torch.nonzero(crossed)[:, 0]
    ahead = torch.ones_like(split, dtype=total.dtype)
    return torch.cat([decided, split, split]), torch.cat([total[decided], ahead, -ahead]).long()
