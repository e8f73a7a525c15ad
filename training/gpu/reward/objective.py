"""What a step of training minimises, from scores and what people said. The mathematics:

A dimension's scale is ``low``..``high``; its unit is u = (high - low)/4, and d = (mu_i - mu_j)/u for a pair (i, j).
- ranking, a mean over the pairs of a group, over dimensions and over groups:
  rao-kupper, davidson: -log P(outcome | a d, w), with a tie width w and a sharpness a of the dimension, both learned;
  bradley-terry: -log sigmoid(±a d); uncertainty: -log Phi(±d u / sqrt(s_i² + s_j²)), its logistic form likewise:
  decided pairs alone; plackett-luce: -log P(ranking of the group), and davidson where people said more or less than a
  ranking: pairs that were asked, excluded or not yet in. A ranking of n is n - 1 choices, and so are those pairs.
  none: no ranking; the chance that one is better is Phi(d u / sqrt(s_i² + s_j²)).
  ``fused``: on the aggregate of the dimensions. A pair that is equal in total and not in each is disentangled: the
  dimensions rank it with their own heads (EditReward, section 3.3). Every pair of a group counts the same.
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
from training.gpu.reward.network import standardised
from training.rewards.config import BOTH, PAIR, POINT, TEXT, Config, Stage
from training.rewards.groups import Dimension

UNCERTAIN = {"uncertainty": losses.uncertainty, "uncertainty-logistic": losses.uncertainty_logistic}
WITH_TIES = ("rao-kupper", "davidson", "plackett-luce")
EQUAL = 1e-6  # in total, of a fused pair: sums of float32
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


def in_total(targets: Targets) -> Tensor:
    """1, 0, -1 for each pair, (p,): whom people prefer in all dimensions together, each by its gap."""
    lead = (targets.outcome * targets.gap * targets.known).sum(1)
    return (lead > EQUAL).long() - (lead < -EQUAL).long()


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
        if stage.objective in (POINT, BOTH) or (self.config.ranking == "none" and stage.objective == PAIR):
            weight = self.config.anchor if stage.objective == BOTH else 1.0
            terms |= {name: weight * value for name, value in self._anchor(mu, log_sigma, targets.mos).items()}
        total = torch.stack(list(terms.values())).sum()
        return total, {name: float(value.detach()) for name, value in terms.items()}

    @property
    def fused(self) -> bool:
        return self.config.fused and self.config.ranking != "none"

    def ranking(self, mu: Tensor, log_sigma: Tensor, targets: Targets) -> Tensor:
        """The ranking term, a scalar."""
        each, valid = self.each(mu, log_sigma, targets)
        if self.fused:
            return self._fused(mu, log_sigma, targets, each, valid)
        if self.config.ranking == "plackett-luce":
            return self._listwise(mu, targets, each, valid)
        return lists.group_mean(each, targets.group, valid=valid)

    def held_out(self, mu: Tensor, log_sigma: Tensor, targets: Targets) -> Tensor:
        """What early stopping goes by: the ranking term, whatever the stage; without a ranking the squared error."""
        if self.config.ranking == "none":
            return losses.mos_error(mu / self.unit, targets.mos / self.unit)
        return self.ranking(mu, log_sigma, targets)

    def each(self, mu: Tensor, log_sigma: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
        """-log P of what people said of each pair and dimension, (p, d), and where it counts, (p, d). Finite
        everywhere."""
        apart = self._apart(mu, log_sigma, targets.first, targets.second)
        return self._loss(*apart, targets.outcome), targets.known & self._counts(targets.outcome)

    def better(self, mu: Tensor, log_sigma: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """P(the first is better), (p, d), given that one of them is: what calibration compares with people."""
        return self._chance(*self._apart(mu, log_sigma, first, second))

    def in_total(self, mu: Tensor, log_sigma: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Of the aggregate: by how much the first is better, in units of the scales, and ``better``; both (p,)."""
        difference, spread = self._apart_in_total(mu, log_sigma, first, second)
        return difference, self._chance(difference, spread, pooled=True)

    def _apart(self, mu: Tensor, log_sigma: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Difference of each pair, and its standard deviation, (p, d), in units of the scales."""
        doubt = log_sigma - torch.log(self.unit)
        return (mu[first] - mu[second]) / self.unit, losses.spread_of(doubt[first], doubt[second])

    def _apart_in_total(self, mu: Tensor, log_sigma: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        scores, doubt = losses.aggregate(*standardised(mu, log_sigma, self.low, self.span), self.how)
        return scores[first] - scores[second], losses.spread_of(doubt[first], doubt[second])

    def _counts(self, outcome: Tensor) -> Tensor:
        """Whether the ranking has a probability for that outcome: all but a few have none for ties."""
        return (outcome != 0) | (self.config.ranking in WITH_TIES)

    def _loss(self, difference: Tensor, spread: Tensor, outcome: Tensor, pooled: bool = False) -> Tensor:
        """-log P of the outcome, elementwise. ``pooled``: of the aggregate, by the mean of the dimensions' numbers."""
        if self.config.ranking in WITH_TIES:
            return ties.outcome_loss(self._with_ties(difference, pooled), outcome)
        return self._decided(torch.where(outcome < 0, -1.0, 1.0) * difference, spread, pooled)

    def _chance(self, difference: Tensor, spread: Tensor, pooled: bool = False) -> Tensor:
        if self.config.ranking in WITH_TIES:
            three = self._with_ties(difference, pooled)
            return torch.sigmoid(three[..., ties.WIN] - three[..., ties.LOSS])
        return torch.exp(-self._decided(difference, spread, pooled))

    def _with_ties(self, difference: Tensor, pooled: bool) -> Tensor:
        """log P of win, tie and loss, (..., 3). Two candidates under Plackett-Luce are a pair under Davidson."""
        numbers = (self.sharpness, self.width, self.log_delta[:, 0])
        sharpness, raw, log_delta = (one.mean() if pooled else one for one in numbers)
        difference, width = nn.functional.softplus(sharpness) * difference, ties.width_of(raw)
        if self.config.ranking == "rao-kupper":
            return ties.rao_kupper(difference, width)
        return ties.davidson(difference, torch.log(width) if self.config.ranking == "davidson" else log_delta)

    def _decided(self, difference: Tensor, spread: Tensor, pooled: bool) -> Tensor:
        """-log P(the first is better), elementwise."""
        if self.config.ranking == "none":
            return losses.uncertainty(difference, spread)
        if uncertain := UNCERTAIN.get(self.config.ranking):
            return uncertain(difference, spread)
        sharpness = self.sharpness.mean() if pooled else self.sharpness
        return losses.bradley_terry(nn.functional.softplus(sharpness) * difference)

    def _fused(self, mu: Tensor, log_sigma: Tensor, targets: Targets, each: Tensor, valid: Tensor) -> Tensor:
        """Of a pair either its row on the aggregate or, where it is crossed, the mean of its rows in ``each``."""
        total = in_total(targets)
        crossed = (total == 0) & (targets.known & (targets.outcome != 0)).any(1)
        apart = self._apart_in_total(mu, log_sigma, targets.first, targets.second)
        whole = targets.known.any(1) & ~crossed & self._counts(total)
        rows = torch.cat([self._loss(*apart, total, pooled=True)[:, None], each], 1)
        counted = torch.cat([whole[:, None], valid & crossed[:, None]], 1)
        pairs = (rows * counted).sum(1) / counted.sum(1).clamp(min=1)
        return lists.group_mean(pairs, targets.group, valid=counted.any(1))

    def _listwise(self, mu: Tensor, targets: Targets, each: Tensor, valid: Tensor) -> Tensor:
        sharp, found = nn.functional.softplus(self.sharpness), []
        for group in range(int(targets.owner.max()) + 1):
            mine, pairs = targets.owner == group, targets.group == group
            for place in range(mu.shape[1]):
                judged = torch.nonzero(pairs & valid[:, place])[:, 0]
                if _is_ranking(targets, mine, judged, place):
                    scores = sharp[place] * mu[mine, place] / self.unit[place]
                    found.append(lists.plackett_luce(scores, targets.ranks[mine, place], self.log_delta[place]))
                elif len(judged):
                    some = torch.cat([targets.first[judged], targets.second[judged]]).unique()
                    found.append(min(len(some) - 1, len(judged)) * each[judged, place].mean())
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


def _is_ranking(targets: Targets, mine: Tensor, judged: Tensor, place: int) -> bool:
    """Whether the pairs ``judged`` of a dimension are those of the ranking of the candidates ``mine``, no others."""
    ranks = targets.ranks[:, place]
    lead, ranked = ranks[targets.second[judged]] - ranks[targets.first[judged]], int(torch.isfinite(ranks[mine]).sum())
    outcome = (lead > lists.SAME_RANK).long() - (lead < -lists.SAME_RANK).long()
    whole = ranked > 1 and len(judged) == math.comb(ranked, 2) and bool(torch.isfinite(lead).all())
    return whole and torch.equal(outcome, targets.outcome[judged, place])
