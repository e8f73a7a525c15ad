"""A reward model: a backbone that reads a group at once, and for each dimension a head that gives mu and log sigma.

Human judgement of a candidate in a dimension is taken as Gaussian (EditReward, section 2.2): mu on the scale of the
training set's ratings, sigma the model's doubt.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from training.rewards.config import Config

LEVELS = 5
LOG_SIGMA = (-5.0, 3.0)  # in units of a quarter of the scale; beyond, a loss has no gradient left that helps


@dataclass(frozen=True)
class Example:
    """What a model sees of a group: never who made a candidate, never what people said."""

    key: str
    instruction: str
    source: Image.Image
    candidates: tuple[Image.Image, ...]


@dataclass(frozen=True)
class Prepared:
    """An example as tensors on the CPU. ``length``: what a pass over it costs, for batches of equal lengths (tokens for
    a transformer). ``count``: its candidates."""

    key: str
    tensors: dict[str, Tensor]
    length: int
    count: int


class Backbone(nn.Module, ABC):
    """Encodes groups. One folder of training/gpu/reward is one backbone; ``kind`` is its name there."""

    kind: str
    width: int  # of the hidden states
    dimensions: tuple[str, ...]

    def configure(self, config: Config) -> None:
        """How training is carried out, where a backbone has a choice: nothing that changes a score."""
        return

    @abstractmethod
    def prepare(self, example: Example) -> Prepared:
        """Preprocessing, without gradients. Raises CannotEdit for a picture that this backbone does not know."""

    @abstractmethod
    def collate(self, rows: Sequence[Prepared]) -> Any:
        """A batch of groups on the device of the parameters."""

    @abstractmethod
    def forward(self, batch: Any) -> Tensor:
        """Hidden states (candidates of all groups in order, dimensions, width), in float32."""

    @abstractmethod
    def levels(self, hidden: Tensor) -> Tensor:
        """Logits of the five levels bad ... excellent, (candidates, dimensions, 5), from ``forward``'s states."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """All that preprocessing and the template need, as JSON: it goes into every checkpoint."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what training changed, or all weights, as safetensors. ``load`` of the same module is the inverse."""


class RewardNetwork(nn.Module):
    """``low``, ``high`` (dimensions,): the ends of people's scale. A head starts at the middle of it, with a sigma of a
    quarter of it: the first loss is that of a model that knows nothing, not one of a lucky start."""

    def __init__(self, backbone: Backbone, low: Sequence[float], high: Sequence[float]) -> None:
        super().__init__()
        self.backbone = backbone
        count = len(backbone.dimensions)
        self.weight = nn.Parameter(torch.zeros(count, 2, backbone.width))
        self.bias = nn.Parameter(torch.zeros(count, 2))
        self.register_buffer("low", torch.tensor(low, dtype=torch.float32))
        self.register_buffer("span", torch.tensor(high, dtype=torch.float32) - self.low)

    @property
    def dimensions(self) -> tuple[str, ...]:
        return self.backbone.dimensions

    def heads(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """mu and log sigma, both (candidates, dimensions), float32 whatever the backbone computes in."""
        with torch.autocast(hidden.device.type, enabled=False):
            out = torch.einsum("ndw,dkw->ndk", hidden.float(), self.weight) + self.bias
        mu = self.low + self.span * (0.5 + out[..., 0])
        log_sigma = out[..., 1].clamp(*LOG_SIGMA) + torch.log(self.span / 4)
        return mu, log_sigma

    def forward(self, batch: Any) -> tuple[Tensor, Tensor]:
        return self.heads(self.backbone(batch))


def standardised(mu: Tensor, log_sigma: Tensor, low: Tensor, span: Tensor) -> tuple[Tensor, Tensor]:
    """mu and log sigma, (n, dimensions), from the middle of each scale in units of a quarter of it: so dimensions with
    different scales can be aggregated."""
    return (mu - low - span / 2) / (span / 4), log_sigma - torch.log(span / 4)
