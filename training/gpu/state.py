"""The state of a training as one safetensors file, so that a stopped run goes on bit for bit. Nothing is pickled."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import Optimizer

Tensors = dict[str, Tensor]


def write(path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, str]) -> None:
    """The file is replaced at once, and is on the disk before that: a crash leaves the last one."""
    temporary = path.with_name(path.name + ".part")
    save_file({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, temporary, dict(notes))
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)


def read(path: Path) -> tuple[Tensors, dict[str, str]]:
    """Tensors and notes. Raises what safetensors raises for a damaged file."""
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
        return tensors, dict(file.metadata() or {})


def under(tensors: Mapping[str, Tensor], prefix: str) -> Tensors:
    """Those whose names begin with the prefix, without it."""
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def of_optimizer(optimizer: Optimizer, prefix: str) -> Tensors:
    """What the optimiser remembers of each parameter, by the parameter's number and the name of the memory."""
    state = optimizer.state_dict()["state"]
    return {f"{prefix}{index}/{key}": value for index, values in state.items() for key, value in values.items()}


def restore(optimizer: Optimizer, tensors: Mapping[str, Tensor], prefix: str) -> None:
    """Give the optimiser back what ``of_optimizer`` took."""
    state: dict[int, Tensors] = {}
    for name, value in under(tensors, prefix).items():
        index, _, key = name.partition("/")
        state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
