"""A saved reward model that scores edits: groups in, for each candidate a Gaussian in every dimension out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from training.gpu.reward import checkpoint
from training.gpu.reward.losses import aggregate
from training.gpu.reward.network import Example, RewardNetwork, standardised
from training.gpu.several import device_of

MOST_CANDIDATES = 64  # in one pass


@dataclass(frozen=True, slots=True)
class Scored:
    """``mu`` and ``sigma`` by dimension, on the scale of its training set; ``overall`` brings the dimensions together
    as at the training. The scale of ``overall`` is the model's ``low`` to ``high``."""

    mu: dict[str, float]
    sigma: dict[str, float]
    overall: float
    overall_sigma: float
    low: float
    high: float


class Scorer:
    """``told``: the model's reward.json. ``low``, ``high``: the scale of ``overall``, see ``overall_scale``."""

    def __init__(self, network: RewardNetwork, told: dict[str, Any]) -> None:
        self.network, self.told = network.eval(), told
        self.low, self.high = overall_scale(told)

    @classmethod
    def load(cls, folder: Path, device: str = "auto") -> Scorer:
        """Raises checkpoint.WrongCheckpoint."""
        return cls(*checkpoint.load(folder, device_of(device)))

    @property
    def dimensions(self) -> tuple[str, ...]:
        found: tuple[str, ...] = self.network.dimensions
        return found

    @property
    def fingerprint(self) -> str:
        return str(self.told["fingerprint"])

    @torch.inference_mode()
    def score(self, examples: Sequence[Example]) -> list[list[Scored]]:
        """The candidates of each group, in order. Raises CannotEdit for pictures and words that the model cannot take;
        a candidate's score does not depend on the others in the group but for rounding, so a large group is several
        passes."""
        pieces: list[list[Scored]] = []
        batch: list[Any] = []
        for piece in (piece for example in examples for piece in _pieces(example)):
            row = self.network.backbone.prepare(piece)
            if batch and sum(one.count for one in batch) + row.count > MOST_CANDIDATES:
                pieces += self._scored(batch)
                batch = []
            batch.append(row)
        every = (one for some in (*pieces, *(self._scored(batch) if batch else ())) for one in some)
        return [list(islice(every, len(example.candidates))) for example in examples]

    def _scored(self, rows: Sequence[Any]) -> list[list[Scored]]:
        mu, log_sigma = (part.float().cpu() for part in self.network(self.network.backbone.collate(rows)))
        low, high = (torch.tensor([float(one[end]) for one in self.told["dimensions"]]) for end in ("low", "high"))
        # As training aggregates: each dimension in units of its scale, or a wide scale would outvote the others.
        how, scaled = self.told["aggregate"], standardised(mu.double(), log_sigma.double(), low, high - low)
        total, doubt = aggregate(*scaled, how)
        unit = (self.high - self.low) / 4 / (len(self.dimensions) if how == "sum" else 1)
        overall, overall_sigma = ((self.low + self.high) / 2 + unit * total).float(), (unit * doubt.exp()).float()
        sigma = log_sigma.exp()
        every = [
            Scored(
                dict(zip(self.dimensions, mu[place].tolist(), strict=True)),
                dict(zip(self.dimensions, sigma[place].tolist(), strict=True)),
                float(overall[place]),
                float(overall_sigma[place]),
                self.low,
                self.high,
            )
            for place in range(len(mu))
        ]
        ends = torch.tensor([row.count for row in rows]).cumsum(0).tolist()
        return [every[end - row.count : end] for row, end in zip(rows, ends, strict=True)]


def _pieces(example: Example) -> Iterator[Example]:
    for start in range(0, len(example.candidates), MOST_CANDIDATES):
        yield replace(example, candidates=example.candidates[start : start + MOST_CANDIDATES])


def overall_scale(told: dict[str, Any]) -> tuple[float, float]:
    """The ends that the aggregate of the dimensions can have where each stays on its own scale."""
    lows, highs = ([float(one[end]) for one in told["dimensions"]] for end in ("low", "high"))
    match told["aggregate"]:
        case "sum":
            return sum(lows), sum(highs)
        case "min":
            return min(lows), min(highs)
    return sum(lows) / len(lows), sum(highs) / len(highs)
