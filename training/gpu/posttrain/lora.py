"""The LoRA that a run trains: added fresh in fp32 by peft, saved and loaded with its α (training.gpu.diffusion.lora).

B starts at zero, so that the first pass is the base's own; A as peft starts it, from a seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from training.gpu.diffusion import lora
from training.gpu.posttrain.adapter import Adapter

PART, ADAPTER = "transformer", lora.ADAPTER
FILE = "pytorch_lora_weights.safetensors"
Parameters = dict[str, nn.Parameter]


def add(adapter: Adapter, rank: int, alpha: int, which: str, seed: int) -> Parameters:
    """Freeze the transformer, and give it a LoRA on the adapter's targets. The LoRA's weights by name, in fp32."""
    from peft import LoraConfig

    transformer: Any = adapter.transformer
    transformer.requires_grad_(False)
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=adapter.targets(which), lora_dropout=0.0, bias="none")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        transformer.add_adapter(config, adapter_name=ADAPTER)
    found = {name: value for name, value in transformer.named_parameters() if value.requires_grad}
    for value in found.values():
        value.data = value.data.float()
    return found


@contextmanager
def without(transformer: Any) -> Iterator[None]:
    """Within it the LoRA is off. Nothing to do where there is none."""
    if not getattr(transformer, "peft_config", None):
        yield
        return
    transformer.disable_adapters()
    try:
        yield
    finally:
        transformer.enable_adapters()


@contextmanager
def folded(transformer: Any) -> Iterator[None]:
    """Within it the LoRA is in the layers' weights, which costs nothing per pass; afterwards they are what they were,
    bit for bit. For paths without gradients. Takes the memory of the changed weights once more."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers: list[Any] = [one for one in transformer.modules() if isinstance(one, BaseTunerLayer)]
    kept = [(layer.get_base_layer().weight, layer.get_base_layer().weight.data) for layer in layers]
    with torch.no_grad():
        for layer, (weight, value) in zip(layers, kept, strict=True):
            weight.data = value + layer.get_delta_weight(ADAPTER).to(value.dtype)
    try:
        with without(transformer):
            yield
    finally:
        for weight, value in kept:
            weight.data = value


def save(adapter: Adapter, file: Path) -> None:
    """Write the LoRA as diffusers loads it, with α; the file is replaced at once."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lora.save(adapter.pipeline, PART, file)


def restore(parameters: Parameters, file: Path) -> None:
    """Give the LoRA that ``add`` made the weights of a file that ``save`` wrote. Raises ValueError for another's."""
    saved = {_named(key): value for key, value in load_file(file).items()}
    if {key: value.shape for key, value in saved.items()} != {key: value.shape for key, value in parameters.items()}:
        raise ValueError(f"{file.name} holds a LoRA of other layers or of another rank.")
    with torch.no_grad():
        for name, value in parameters.items():
            value.copy_(saved[name])


def _named(key: str) -> str:
    """A tensor's name in the file as that of its parameter."""
    return key.removeprefix(f"{PART}.").removesuffix(".weight") + f".{ADAPTER}.weight"


def size(parameters: Parameters) -> int:
    """How many numbers are trained."""
    return sum(value.numel() for value in parameters.values())


def norm(values: list[Tensor]) -> float:
    """The length of all gradients together."""
    return float(torch.stack([value.norm() for value in values]).norm()) if values else 0.0
