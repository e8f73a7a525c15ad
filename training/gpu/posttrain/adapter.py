"""An editor as post-training sees it: encode, predict a velocity, decode; and where its LoRA goes.

Conventions everywhere in this folder: sigma in 0..1, 1 is noise; x_sigma = (1 - sigma) x0 + sigma eps; the velocity is
v = eps - x0; latents are packed tokens (samples, tokens, channels) in float32, whatever the weights' own type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from PIL import Image
from torch import Tensor, nn

from training.gpu.editors import EditCase


@dataclass(frozen=True, slots=True)
class Condition:
    """What the transformer is told of one case, encoded once and kept on the CPU: ``tensors`` by the adapter's own
    names (words, source tokens, ids), without a batch axis. Cases of one ``shape`` go into one forward pass.
    ``told``: further values that are no tensors."""

    shape: tuple[int, ...]
    tensors: Mapping[str, Tensor]
    told: Mapping[str, Any] = field(default_factory=dict)


class Adapter(Protocol):
    """``pipeline``: the diffusers pipeline in work. ``transformer``: its module that is trained, with the peft
    adapter "default" once ``lora.add`` was called. ``grid``: pixels of the patch that the model
    sees."""

    pipeline: Any
    transformer: nn.Module
    grid: int

    def targets(self, which: str) -> list[str]:
        """Names of the linear layers that get a LoRA; ``which``: "attention" or "all". Only layers that a gradient
        reaches."""
        ...

    def encode(self, cases: Sequence[EditCase]) -> list[Condition]:
        """One condition a case. Raises CannotEdit for a case that the model was not made for."""
        ...

    def noise(self, condition: Condition, seeds: Sequence[int]) -> Tensor:
        """Initial noise (seeds, tokens, channels), the same that the pipeline draws for each seed."""
        ...

    def sigmas(self, condition: Condition, steps: int) -> Tensor:
        """The pipeline's schedule (steps + 1,), falling from its first sigma to 0."""
        ...

    def velocity(self, x: Tensor, sigma: Tensor, conditions: Sequence[Condition]) -> Tensor:
        """v (samples, tokens, channels) in float32 at x and sigma (samples,), one condition a sample, all of one shape.
        No guidance between two prompts. With a gradient where that is on."""
        ...

    def decode(self, x: Tensor, conditions: Sequence[Condition]) -> list[Image.Image]:
        """Pictures of finished latents (sigma 0), in the size of the case's source."""
        ...

    def latents(self, pictures: Sequence[Image.Image], conditions: Sequence[Condition]) -> Tensor:
        """Pictures as latents x0 (samples, tokens, channels), for objectives that learn from given pictures."""
        ...

    def quick(self) -> AbstractContextManager[None]:
        """Within it ``velocity`` may be computed faster, and differ by rounding: for steps that nothing is learned
        from."""
        ...

    def base(self) -> AbstractContextManager[None]:
        """Within it the adapter is off: the frozen base."""
        ...
