"""What a step of training minimises, from scores and what people said. The mathematics:

A dimension's scale is ``low``..``high``; its unit is u = (high - low)/4, and d = (mu_i - mu_j)/u for a pair (i, j).
- ranking, a mean over the pairs of a group, over dimensions and over groups:
  rao-kupper, davidson: -log P(outcome | a d, w), with a tie width w and a sharpness a of the dimension, both learned;
  bradley-terry: -log sigmoid(±a d); uncertainty: -log Phi(±d u / sqrt(s_i² + s_j²)), its logistic form likewise:
  decided pairs alone; plackett-luce: -log P(ranking of the group).
  ``fused``: on the aggregate of the dimensions. A pair that is equal in total is disentangled: the dimensions in which
  it is decided rank it with their own heads (EditReward, section 3.3).
- anchor: mean of ((mu - MOS)/u)². Where the ranking leaves sigma alone, -log N(MOS; mu, s²) with mu held teaches it.
- centring: mean of ((mu_i + mu_j)/u - 2 m/u)² over pairs, m the middle of the scale.
- text: cross-entropy of the five levels of the MOS.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, cast

import torch
from torch import Tensor, nn

from training.gpu.reward import lists, losses, ties
from training.rewards.config import BOTH, PAIR, POINT, TEXT, Config, Stage
from training.rewards.groups import Dimension

UNCERTAIN = {"uncertainty": losses.uncertainty, "uncertainty-logistic": losses.uncertainty_logistic}
WITH_TIES = ("rao-kupper", "davidson", "plackett-luce")
EQUAL = 1e-9  # in total, of a fused pair
DOUBT = 0.5  # weight of sigma's own term, beside the anchor's
OFFSET = 0.5413  # softplus(0.5413) is 1, the sharpness at first


@dataclass(frozen=True, slots=True)
class Targets:
    """What people said of a batch: c candidates of g groups, p pairs (``first`` < ``second``), d dimensions.

    ``owner`` (c,) and ``group`` (p,): number of the group. ``outcome`` (p, d) in 1, 0, -1; ``known`` (p, d); ``gap``
    (p, d) in 0..1. ``mos`` and ``ranks`` (c, d), NaN where there is none; MOS on people's scale.
    """

    owner: Tensor
    first: Tensor
    second: Tensor
    group: Tensor
    outcome: Tensor
    known: Tensor
    gap: Tensor
    mos: Tensor
    ranks: Tensor

    def to(self, device: torch.device) -> Targets:
        return Targets(*(getattr(self, one.name).to(device) for one in fields(self)))


class Objective(nn.Module):
    """``largest_tie``: candidates of the largest tie in the training set, for Plackett-Luce; ``group_size``: how many
    a group has, for where its tie parameters start."""

    low: Tensor
    span: Tensor

    def __init__(
        self, config: Config, dimensions: Sequence[Dimension], largest_tie: int = 2, group_size: int = 4
    ) -> None:
        super().__init__()
        self.config, count = config, len(dimensions)
        self.how = cast(losses.Aggregate, config.aggregate)
        self.width = nn.Parameter(torch.full((count,), -1.0))
        self.sharpness = nn.Parameter(torch.full((count,), OFFSET))
        sizes = range(2, max(largest_tie, 2) + 1)
        start = [-math.log(math.comb(max(group_size, size), size)) for size in sizes]
        self.log_delta = nn.Parameter(torch.tensor(start).repeat(count, 1))
        self.register_buffer("low", torch.tensor([one.low for one in dimensions], dtype=torch.float32))
        self.register_buffer("span", torch.tensor([one.high - one.low for one in dimensions], dtype=torch.float32))

    @property
    def unit(self) -> Tensor:
        return self.span / 4

    def learned(self) -> dict[str, Any]:
        """What the loss learned, for the checkpoint: tie width and sharpness by dimension, in units of the scale (see
        above), and the parameters that they come from."""
        found: dict[str, Any] = {name: value.tolist() for name, value in self.named_parameters()}
        return found | {
            "tie_width": ties.width_of(self.width).tolist(),
            "slope": nn.functional.softplus(self.sharpness).tolist(),
        }

    @torch.no_grad()
    def restore(self, learned: Mapping[str, Any]) -> None:
        """Back to what ``learned`` gave."""
        for name, value in self.named_parameters():
            value.copy_(torch.tensor(learned[name]))

    def loss(
        self, stage: Stage, mu: Tensor, log_sigma: Tensor, levels: Tensor | None, targets: Targets
    ) -> tuple[Tensor, dict[str, float]]:
        """The loss of a stage and its terms, by name. ``levels``: (c, d, 5), of the text stage."""
        terms: dict[str, Tensor] = {}
        if stage.objective == TEXT:
            assert levels is not None
            terms["text"] = losses.level_loss(levels, self._levels(targets.mos))
        if stage.objective in (PAIR, BOTH) and self.config.ranking != "none":
            terms["ranking"] = self.ranking(mu, log_sigma, targets)
            terms["centring"] = self._centring(mu, targets)
        if stage.objective in (POINT, BOTH) or self.config.ranking == "none":
            weight = self.config.anchor if stage.objective == BOTH else 1.0
            terms |= {name: weight * value for name, value in self._anchor(mu, log_sigma, targets.mos).items()}
        total = torch.stack(list(terms.values())).sum()
        return total, {name: float(value.detach()) for name, value in terms.items()}

    def ranking(self, mu: Tensor, log_sigma: Tensor, targets: Targets) -> Tensor:
        """The ranking term, a scalar."""
        if self.config.ranking == "plackett-luce" and not self.config.fused:
            return self._listwise(mu, targets)
        if not self.config.fused:
            each, valid = self.each(mu, log_sigma, targets)
            return lists.group_mean(each, targets.group, valid=valid)
        lead = (targets.outcome * targets.gap * targets.known).sum(1, keepdim=True)
        total = (lead > EQUAL).long() - (lead < -EQUAL).long()
        fused = self._fused(mu, log_sigma, targets, total)
        each, valid = self.each(mu, log_sigma, targets)
        own = valid & (total == 0) & (targets.outcome != 0)
        pairs, counted = torch.cat([fused, each], 1), torch.cat([total != 0, own], 1)
        return lists.group_mean(pairs, targets.group, valid=counted)

    def held_out(self, mu: Tensor, log_sigma: Tensor, targets: Targets) -> Tensor:
        """What early stopping goes by: the ranking term, whatever the stage; without a ranking the squared error."""
        if self.config.ranking == "none":
            return losses.mos_error(mu / self.unit, targets.mos / self.unit)
        return self.ranking(mu, log_sigma, targets)

    def each(self, mu: Tensor, log_sigma: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
        """-log P of what people said of each pair and dimension, (p, d), and where it counts, (p, d). Finite
        everywhere."""
        difference = (mu[targets.first] - mu[targets.second]) / self.unit
        if self.config.ranking in WITH_TIES:
            return ties.outcome_loss(self._with_ties(difference), targets.outcome), targets.known
        sign = torch.where(targets.outcome < 0, -1.0, 1.0)
        spread = losses.spread_of(*(log_sigma[side] - torch.log(self.unit) for side in (targets.first, targets.second)))
        return self._decided(sign * difference, spread, self.sharpness), targets.known & (targets.outcome != 0)

    def _with_ties(self, difference: Tensor) -> Tensor:
        """log P of win, tie and loss, (p, d, 3). Two candidates under Plackett-Luce are a pair under Davidson."""
        sharp, width = nn.functional.softplus(self.sharpness), ties.width_of(self.width)
        if self.config.ranking == "rao-kupper":
            return ties.rao_kupper(sharp * difference, width)
        log_nu = torch.log(width) if self.config.ranking == "davidson" else self.log_delta[:, 0]
        return ties.davidson(sharp * difference, log_nu)

    def better(self, mu: Tensor, log_sigma: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """P(the first is better), (p, d), given that one of them is: what calibration compares with people."""
        difference = (mu[first] - mu[second]) / self.unit
        if self.config.ranking in WITH_TIES:
            both = self._with_ties(difference)
            return torch.sigmoid(both[..., ties.WIN] - both[..., ties.LOSS])
        spread = losses.spread_of(log_sigma[first] - torch.log(self.unit), log_sigma[second] - torch.log(self.unit))
        return torch.exp(-self._decided(difference, spread, self.sharpness))

    def _fused(self, mu: Tensor, log_sigma: Tensor, targets: Targets, total: Tensor) -> Tensor:
        """-log P on the aggregate, (p, 1), for pairs decided in total. Scores are taken in units of their scales."""
        middle = self.low + self.span / 2
        scores, doubt = losses.aggregate((mu - middle) / self.unit, log_sigma - torch.log(self.unit), self.how)
        sign = torch.where(total[:, 0] < 0, -1.0, 1.0)
        difference = sign * (scores[targets.first] - scores[targets.second])
        spread = losses.spread_of(doubt[targets.first], doubt[targets.second])
        return self._decided(difference, spread, self.sharpness.mean())[:, None]

    def _decided(self, difference: Tensor, spread: Tensor, sharpness: Tensor) -> Tensor:
        """-log P(the first is better), elementwise."""
        if uncertain := UNCERTAIN.get(self.config.ranking):
            return uncertain(difference, spread)
        return losses.bradley_terry(nn.functional.softplus(sharpness) * difference)

    def _listwise(self, mu: Tensor, targets: Targets) -> Tensor:
        sharp, found = nn.functional.softplus(self.sharpness), []
        for group in range(int(targets.owner.max()) + 1):
            mine = targets.owner == group
            for place in range(mu.shape[1]):
                ranks = targets.ranks[mine, place]
                if int(torch.isfinite(ranks).sum()) > 1:
                    scores = sharp[place] * mu[mine, place] / self.unit[place]
                    found.append(lists.plackett_luce(scores, ranks, self.log_delta[place]))
        return torch.stack(found).mean() if found else mu.sum() * 0

    def _anchor(self, mu: Tensor, log_sigma: Tensor, mos: Tensor) -> Mapping[str, Tensor]:
        terms = {"anchor": losses.mos_error(mu / self.unit, mos / self.unit)}
        if self.config.ranking not in UNCERTAIN:
            known, doubt = torch.isfinite(mos), log_sigma - torch.log(self.unit)
            error = torch.where(known, (mu.detach() - torch.nan_to_num(mos)) / self.unit, 0.0)
            each = torch.where(known, doubt + 0.5 * (error * torch.exp(-doubt)) ** 2, 0.0)
            terms["doubt"] = DOUBT * each.sum() / known.sum().clamp(min=1)
        return terms

    def _centring(self, mu: Tensor, targets: Targets) -> Tensor:
        valid = targets.known.any(1)
        middle = (mu - self.low - self.span / 2) / self.unit
        first, second = middle[targets.first[valid]], middle[targets.second[valid]]
        return losses.centring(first, second, self.config.centring)

    def _levels(self, mos: Tensor) -> Tensor:
        """Levels of the standardised MOS; candidates without one have none."""
        return losses.level_of((mos - self.low) / self.span, 0.0, 1.0)
