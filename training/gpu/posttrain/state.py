"""What a run learns, in one place: the LoRA, its optimiser, its average, and for DiffusionNFT the old policy.

There is no state of random numbers to keep: what a round or a step draws depends on the run's seed and its number
alone, so a stopped run goes on bit for bit on the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from training.gpu import state
from training.gpu.posttrain import ema, lora
from training.gpu.posttrain.adapter import Adapter
from training.gpu.several import Processes
from training.posttraining.config import NFT, Config

WEIGHT, OPTIMIZER, AVERAGE, OLD = "weight/", "optimizer/", "average/", "old/"


class WrongState(Exception):
    """The file is no state of this run. The message is shown to the user."""


class Learner:
    """Adds the LoRA to the adapter's transformer. ``steps``: optimiser steps done."""

    def __init__(self, config: Config, adapter: Adapter, processes: Processes | None = None) -> None:
        self.config = config
        self.adapter = adapter
        self.processes = processes or Processes("cpu")
        self.parameters = lora.add(adapter, config.lora_rank, config.lora_alpha, config.lora_targets, config.seed)
        self.values = list(self.parameters.values())
        self.optimizer = torch.optim.AdamW(self.values, lr=config.learning_rate, weight_decay=config.weight_decay)
        self.average = ema.Ema(self.values, config.ema) if config.ema else None
        self.old = ema.Ema(self.values, 0.0) if config.objective == NFT else None
        self.steps = 0

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        config = self.config
        rise = min(1.0, (self.steps + 1) / max(config.warmup, 1))
        planned = config.rounds * (config.updates if config.is_online else 1)
        fall = max(1 - self.steps / planned, 0.0) if config.decay else 1.0
        return config.learning_rate * rise * fall

    def step(self) -> float:
        """One step of the optimiser with the gradients that are there, averaged over the processes; their length before
        it is clipped."""
        self.processes.mean_gradients(self.values)
        length = lora.norm([value.grad for value in self.values if value.grad is not None])
        if self.config.clip:
            torch.nn.utils.clip_grad_norm_(self.values, self.config.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.average:
            self.average.update(self.steps)
        self.steps += 1
        return length

    def follow(self) -> None:
        """After a round: DiffusionNFT's old policy moves towards the new one."""
        if self.old:
            ema.follow(self.old.values, self.values, ema.nft_decay(self.steps))

    @contextmanager
    def sampling(self) -> Iterator[None]:
        """Within it the weights are those that sample: DiffusionNFT's are the old policy's."""
        if not self.old:
            yield
            return
        with self.old.swapped():
            yield

    @contextmanager
    def best_known(self) -> Iterator[None]:
        """Within it the weights are those that are looked at and kept: the average, where there is one."""
        if not self.average:
            yield
            return
        with self.average.swapped():
            yield

    def save(self, path: Path, notes: Mapping[str, str]) -> None:
        """Write all that a stopped run needs."""
        tensors: dict[str, Tensor] = {WEIGHT + name: value for name, value in self.parameters.items()}
        for prefix, kept in ((AVERAGE, self.average), (OLD, self.old)):
            if kept:
                tensors |= {f"{prefix}{name}": value for name, value in zip(self.parameters, kept.values, strict=True)}
        tensors |= state.of_optimizer(self.optimizer, OPTIMIZER)
        state.write(path, tensors, {**notes, "steps": str(self.steps)})

    def load(self, path: Path) -> dict[str, str]:
        """Be what was saved; the notes. Raises WrongState, and then nothing has changed."""
        try:
            tensors, notes = state.read(path)
        except Exception as error:  # safetensors raises kinds of its own for damaged files
            raise WrongState(f"The state {path.name} cannot be read: {error}.") from None
        parts = {WEIGHT: list(self.values)}
        parts |= {prefix: list(kept.values) for prefix, kept in ((AVERAGE, self.average), (OLD, self.old)) if kept}
        found = {prefix: state.under(tensors, prefix) for prefix in parts}
        shapes = {name: value.shape for name, value in self.parameters.items()}
        if any({name: value.shape for name, value in saved.items()} != shapes for saved in found.values()):
            raise WrongState(f"The state {path.name} is of another model, or of a run with other settings.")
        with torch.no_grad():
            for prefix, values in parts.items():
                for name, value in zip(self.parameters, values, strict=True):
                    value.copy_(found[prefix][name])
        state.restore(self.optimizer, tensors, OPTIMIZER)
        self.steps = int(notes["steps"])
        return notes
