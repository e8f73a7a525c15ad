"""The state of a training run as one safetensors file: what is trained, the optimiser, notes. Nothing is pickled."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, no_grad
from torch.optim import Optimizer

WEIGHT, OPTIMIZER = "weight/", "optimizer/"


class WrongState(Exception):
    """The file is no state of this training. The message is shown to the user."""


def save_state(path: Path, weights: Mapping[str, Tensor], optimizer: Optimizer, notes: Mapping[str, str]) -> None:
    """Write all that a stopped run needs; the file is replaced at once, so a crash leaves the last one."""
    tensors = {WEIGHT + name: value for name, value in weights.items()}
    for index, values in optimizer.state_dict()["state"].items():
        tensors |= {f"{OPTIMIZER}{index}/{key}": value for key, value in values.items()}
    temporary = path.with_name(path.name + ".part")
    save_file({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, temporary, dict(notes))
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)


def load_state(path: Path, weights: Mapping[str, Tensor], optimizer: Optimizer) -> dict[str, str]:
    """Bring weights and optimiser back to what was saved; the notes. Raises WrongState."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
            notes = dict(file.metadata() or {})
    except Exception as error:  # safetensors raises kinds of its own for damaged files
        raise WrongState(f"The state {path.name} cannot be read: {error}.") from None
    saved = {name.removeprefix(WEIGHT): value for name, value in tensors.items() if name.startswith(WEIGHT)}
    if {name: value.shape for name, value in saved.items()} != {name: value.shape for name, value in weights.items()}:
        raise WrongState(f"The state {path.name} is of another model.")
    with no_grad():
        for name, value in weights.items():
            value.copy_(saved[name])
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith(OPTIMIZER):
            index, _, key = name.removeprefix(OPTIMIZER).partition("/")
            state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return notes
