"""The state of a training run as one safetensors file, so that a stopped run goes on bit for bit."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer


def save_state(
    path: Path, modules: Mapping[str, nn.Module], optimizers: Sequence[Optimizer], notes: Mapping[str, str]
) -> None:
    """Write weights, optimisers and ``notes``; the file is replaced at once, so a crash leaves the last one."""
    tensors = {f"model/{name}/{key}": value for name, module in modules.items() for key, value in _own(module).items()}
    for number, optimizer in enumerate(optimizers):
        for index, values in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{number}/{index}/{key}": value for key, value in values.items()}
    temporary = path.with_name(path.name + ".part")
    save_file({key: value.detach().contiguous() for key, value in tensors.items()}, temporary, dict(notes))
    os.replace(temporary, path)


def load_state(path: Path, modules: Mapping[str, nn.Module], optimizers: Sequence[Optimizer]) -> dict[str, str]:
    """Bring modules and optimisers back to what was saved; returns the notes."""
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
        notes = dict(file.metadata() or {})
    for name, module in modules.items():
        missing, unexpected = module.load_state_dict(_under(tensors, f"model/{name}/"), strict=False)
        if unexpected or set(missing) & set(_own(module)):
            raise ValueError(f"{path} is not a state of this model: {missing or unexpected}.")
    for number, optimizer in enumerate(optimizers):
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in _under(tensors, f"optimizer/{number}/").items():
            index, _, name = key.partition("/")
            state.setdefault(int(index), {})[name] = value
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return notes


def _own(module: nn.Module) -> dict[str, Tensor]:
    """The module's parameters; tied ones once."""
    return dict(module.named_parameters())


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
