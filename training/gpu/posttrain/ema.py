"""Averaged weights, which are looked at and kept while others are trained."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Ema:
    """An exponential average of ``parameters``, brought up to date after each ``every`` optimiser steps.

    ``values``: the averages in float32, in the order of the parameters; save them and give them back to ``load``.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], decay: float, every: int = 1) -> None:
        self.parameters = list(parameters)
        self.decay = decay
        self.every = every
        self.values: list[Tensor] = [one.detach().to(torch.float32, copy=True) for one in self.parameters]

    def decay_at(self, step: int) -> float:
        """The decay after optimiser step ``step`` (0 is the first): it grows, so that the start is soon forgotten."""
        return min((1 + step) / (10 + step), self.decay)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Call it after each optimiser step; nothing happens between the ``every``-th ones."""
        if (step + 1) % self.every:
            return
        decay = self.decay_at(step)
        for value, parameter in zip(self.values, self.parameters, strict=True):
            value.lerp_(parameter.detach().to(value), 1 - decay)

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """Within it the parameters are the averages. Afterwards they are what they were, bit for bit.

        Both ways copy into the parameters' own memory: aliasing it would lose the weights in training.
        """
        kept = [one.detach().clone() for one in self.parameters]
        _copy(self.values, self.parameters)
        try:
            yield
        finally:
            _copy(kept, self.parameters)

    @torch.no_grad()
    def load(self, values: Sequence[Tensor]) -> None:
        """The averages of a saved run. Raises ValueError when they are not of these parameters."""
        if [tuple(one.shape) for one in values] != [tuple(one.shape) for one in self.values]:
            raise ValueError("The averaged weights are not those of this model.")
        for mine, given in zip(self.values, values, strict=True):
            mine.copy_(given)


def nft_decay(step: int) -> float:
    """How much of DiffusionNFT's old policy stays at ``step``: nothing at first, a half at most."""
    return min(0.001 * step, 0.5)


@torch.no_grad()
def follow(old: Iterable[Tensor], new: Iterable[Tensor], decay: float) -> None:
    """old = decay old + (1 - decay) new, in place."""
    for mine, other in zip(old, new, strict=True):
        mine.lerp_(other.detach().to(mine), 1 - decay)


@torch.no_grad()
def _copy(values: Sequence[Tensor], parameters: Sequence[nn.Parameter]) -> None:
    for value, parameter in zip(values, parameters, strict=True):
        parameter.copy_(value)
