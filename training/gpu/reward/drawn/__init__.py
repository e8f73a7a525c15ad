"""The backbone of the drawn world: the demo judge's trunk, with a learned question for each dimension.

It starts from the judge's weights, which were trained on true answers about planted faults; what people think of an
edit is then learned from few groups. A candidate enters by its difference from the source, in the first layer already,
so it is a row of its own, and no candidate sees another; all rows of a batch of groups are one pass.
docs/reward-models-drawn.md has the figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from training.gpu.drawn_judge.weights import WrongWeights, load_weights, new_network
from training.gpu.drawn_judge.words import numbers
from training.gpu.reward.backbones import WrongBackbone
from training.gpu.reward.drawn.network import FILE, PREPROCESSING, DrawnBackbone
from training.rewards.config import Config


def build(config: Config, dimensions: Sequence[str]) -> DrawnBackbone:
    """A backbone with the demo judge's weights. Raises WrongBackbone where those were changed."""
    try:
        judge, digest = load_weights()
    except WrongWeights as error:
        raise WrongBackbone(str(error)) from None
    return DrawnBackbone(judge, tuple(dimensions), digest)


def load(folder: Path, described: Mapping[str, Any], device: str) -> DrawnBackbone:
    """The backbone that ``save`` wrote into ``folder``. Raises WrongBackbone."""
    if not described.get("preprocessing"):
        raise WrongBackbone("It does not say how pictures are prepared (backbone.preprocessing).")
    if described["preprocessing"] != PREPROCESSING or described.get("words") != list(numbers()):
        raise WrongBackbone("It was trained with another preprocessing, or for other words of the drawn world.")
    backbone = DrawnBackbone(new_network(0), tuple(described["dimensions"]), described["pretrained"])
    tensors, own = load_file(folder / FILE), backbone.trained()
    if {name: value.shape for name, value in tensors.items()} != {name: value.shape for name, value in own.items()}:
        raise WrongBackbone(f"{FILE} holds the weights of another network.")
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(tensors[name])
    backbone.to(device)
    return backbone
