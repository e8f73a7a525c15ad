"""The state of training a reward model: what is trained, the optimiser, notes. The file is training.gpu.state's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, no_grad
from torch.optim import Optimizer

from training.gpu import state

WEIGHT, OPTIMIZER = "weight/", "optimizer/"


class WrongState(Exception):
    """The file is no state of this training. The message is shown to the user."""


def save_state(path: Path, weights: Mapping[str, Tensor], optimizer: Optimizer, notes: Mapping[str, str]) -> None:
    """Write all that a stopped run needs."""
    tensors = {WEIGHT + name: value for name, value in weights.items()}
    state.write(path, tensors | state.of_optimizer(optimizer, OPTIMIZER), notes)


def load_state(path: Path, weights: Mapping[str, Tensor], optimizer: Optimizer) -> dict[str, str]:
    """Bring weights and optimiser back to what was saved; the notes. Raises WrongState."""
    try:
        tensors, notes = state.read(path)
    except Exception as error:  # safetensors raises kinds of its own for damaged files
        raise WrongState(f"The state {path.name} cannot be read: {error}.") from None
    saved = state.under(tensors, WEIGHT)
    if {name: value.shape for name, value in saved.items()} != {name: value.shape for name, value in weights.items()}:
        raise WrongState(f"The state {path.name} is of another model.")
    with no_grad():
        for name, value in weights.items():
            value.copy_(saved[name])
    state.restore(optimizer, tensors, OPTIMIZER)
    return notes
