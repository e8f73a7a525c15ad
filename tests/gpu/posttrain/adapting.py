"""Tiny editors as post-training sees them, and paths by hand."""

import dataclasses
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tests.gpu.make import case
from tests.gpu.tiny_models import load, settings
from training.gpu.editors import EditCase
from training.gpu.posttrain import lora
from training.gpu.posttrain.adapter import Condition
from training.gpu.posttrain.adapters import load_adapter
from training.posttraining.config import Config

FIRST = dataclasses.replace(case("style"), instruction="paint it in oil", key="first")
SECOND = dataclasses.replace(
    case("style"), instruction="paint it blue at night", key="second", source=FIRST.source.rotate(180)
)
CASES, SEEDS, STEPS, RANK, ALPHA = (FIRST, SECOND), (5, 6), 3, 4, 8


def told(name: str, **changes: Any) -> dict[str, Any]:
    words = {"words": 64} if name == "flux_kontext" else {}
    return settings(name, **words, **changes)


def adapter(name: str, **changes: Any) -> Any:
    config = Config(size=64, dtype="float32", batch=2, **changes) if "dtype" not in changes else Config(**changes)
    return load_adapter(name, told(name), config, "cpu")


@cache
def shared(name: str) -> Any:
    """One that several tests share. Do not change it."""
    return adapter(name)


def with_lora(name: str, which: str = "all", **changes: Any) -> tuple[Any, dict[str, torch.nn.Parameter]]:
    """An adapter with a LoRA as after training: neither matrix is zero."""
    found = adapter(name, **changes)
    parameters = lora.add(found, RANK, ALPHA, which, seed=3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        for value in parameters.values():
            torch.nn.init.normal_(value, std=0.3)
    return found, parameters


def edited(found: Any, conditions: Sequence[Condition], seeds: Sequence[int], steps: int = STEPS) -> list[Image.Image]:
    """The plain path: Euler's steps along the velocity."""
    with torch.no_grad():
        return _edited(found, conditions, seeds, steps)


def _edited(found: Any, conditions: Sequence[Condition], seeds: Sequence[int], steps: int) -> list[Image.Image]:
    x = torch.cat([found.noise(condition, [seed]) for condition, seed in zip(conditions, seeds, strict=True)])
    sigmas = found.sigmas(conditions[0], steps)
    for now, after in pairwise(sigmas):
        x = x + (after - now) * found.velocity(x, now.expand(len(x)), conditions)
    pictures: list[Image.Image] = found.decode(x, conditions)
    return pictures


def by_pipeline(name: str, cases: Sequence[EditCase], seeds: Sequence[int], **changes: Any) -> list[Image.Image]:
    """What the product's editor makes of each case, one call of the stock pipeline a case, without a second prompt."""
    editor = load(name, **{**told(name), "steps": STEPS, "true_cfg": 1.0, **changes})
    return [editor.edit(one, [seed])[0].image for one, seed in zip(cases, seeds, strict=True)]


def apart(one: Image.Image, other: Image.Image) -> int:
    """The largest difference of a pixel, of 255."""
    return int(np.abs(np.asarray(one).astype(int) - np.asarray(other)).max())


def place(found: Any, conditions: Sequence[Condition], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Latents and sigmas somewhere along the way, of each condition."""
    x = torch.cat([found.noise(condition, [seed + number]) for number, condition in enumerate(conditions)])
    return x, torch.linspace(0.9, 0.3, len(conditions))
