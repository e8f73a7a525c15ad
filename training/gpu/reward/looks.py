"""A look at a model on held-out groups: predictions, their loss, figures by dimension, and what it gets most wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.gpu.reward.batches import Reader, in_batches, targets_of
from training.gpu.reward.network import RewardNetwork
from training.gpu.reward.objective import Objective, Targets, in_total
from training.rewards.config import Config
from training.rewards.groups import Dimension, Group

WORST = 24  # examples
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Total:
    """Of p pairs in all dimensions together: the model's ``lead`` of the first, in units of the scales, its chance
    ``better`` that the first is better, and people's ``outcome``, 0 where they are equal or crossed; all (p,)."""

    lead: Floats
    better: Floats
    outcome: NDArray[np.int64]


@dataclass(frozen=True)
class Predictions:
    """Of c candidates, d dimensions and p pairs: ``mu`` (c, d) on people's scale, ``sigma`` (c, d), ``better`` (p, d)
    the chance that the first is the better one of a pair, and what people said. ``total``: of fused models alone,
    which were trained on that."""

    groups: tuple[Group, ...]
    dimensions: tuple[Dimension, ...]
    mu: Floats
    sigma: Floats
    better: Floats
    said: Targets
    total: Total | None = None

    @classmethod
    def of(
        cls,
        objective: Objective,
        groups: Sequence[Group],
        dimensions: Sequence[Dimension],
        mu: Tensor,
        log_sigma: Tensor,
        *,
        said: Targets,
    ) -> Predictions:
        there = said.to(mu.device)
        pairs = (mu, log_sigma, there.first, there.second)
        total = None
        if objective.fused:
            lead, better = objective.in_total(*pairs)
            total = Total(_array(lead), _array(better), in_total(said).numpy())
        arrays = (_array(mu), _array(log_sigma.exp()), _array(objective.better(*pairs)))
        return cls(tuple(groups), tuple(dimensions), *arrays, said, total)

    def lead(self) -> Floats:
        """mu of the first minus that of the second, (p, d)."""
        found: Floats = self.mu[self.said.first.numpy()] - self.mu[self.said.second.numpy()]
        return found

    def source_codes(self) -> NDArray[np.int64]:
        """A number for each group's source image: what bootstraps draw."""
        found: NDArray[np.int64] = np.unique([group.source_key for group in self.groups], return_inverse=True)[1]
        return found

    def sources(self) -> NDArray[np.int64]:
        """The same for each pair, (p,)."""
        found: NDArray[np.int64] = self.source_codes()[self.said.group.numpy()]
        return found


@dataclass(frozen=True)
class Look:
    nll: float
    predictions: Predictions


@torch.no_grad()
def look_at(
    network: RewardNetwork,
    objective: Objective,
    reader: Reader,
    groups: Sequence[Group],
    config: Config,
) -> Look:
    """Predict all candidates of ``groups``."""
    network.eval()
    device, scores, doubts = network.weight.device, [], []
    for batch in in_batches(groups, config):
        mu, log_sigma = network(reader.batch(batch))
        scores.append(mu)
        doubts.append(log_sigma)
    mu, log_sigma = torch.cat(scores), torch.cat(doubts)
    said = targets_of(groups, reader.dimensions)
    nll = float(objective.held_out(mu, log_sigma, said.to(device)))
    return Look(nll, Predictions.of(objective, groups, reader.dimensions, mu, log_sigma, said=said))


def worst(predictions: Predictions, most: int = WORST) -> list[dict[str, Any]]:
    """The decided pairs of which the model was surest and wrong, by candidate keys. ``predicted``: the chance it gave
    to what people said; ``margin``: by how much it prefers the worse one, on people's scale."""
    said, lead, rows = predictions.said, predictions.lead(), []
    outcome = said.outcome.numpy() * said.known.numpy()
    right = np.where(outcome > 0, predictions.better, 1 - predictions.better)
    owner = said.owner.numpy()
    starts = np.searchsorted(owner, np.arange(len(predictions.groups)))
    wrong = np.where((outcome != 0) & (lead * outcome < 0), right, np.inf)
    for flat in np.argsort(wrong, axis=None, kind="stable")[:most]:
        pair, column = divmod(int(flat), wrong.shape[1])
        if not np.isfinite(wrong[pair, column]):
            break
        number = int(said.group[pair])
        group = predictions.groups[number]
        keys = [group.candidates[int(side[pair]) - starts[number]].key for side in (said.first, said.second)]
        better, worse = keys if outcome[pair, column] > 0 else keys[::-1]
        rows.append(
            {
                "group": group.key,
                "dimension": predictions.dimensions[column].key,
                "better": better,
                "worse": worse,
                "predicted": round(float(right[pair, column]), 4),
                "margin": round(float(abs(lead[pair, column])), 4),
            }
        )
    return rows


def _array(values: Tensor) -> Floats:
    found: Floats = values.detach().double().cpu().numpy()
    return found
