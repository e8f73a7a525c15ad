"""The state of a training of the CPU editor: its modules, its optimisers, notes. The file is training.gpu.state's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn
from torch.optim import Optimizer

from training.gpu import state


def save_state(
    path: Path, modules: Mapping[str, nn.Module], optimizers: Sequence[Optimizer], notes: Mapping[str, str]
) -> None:
    """Write weights, optimisers and ``notes``."""
    tensors = {f"model/{name}/{key}": value for name, module in modules.items() for key, value in _own(module).items()}
    for number, optimizer in enumerate(optimizers):
        tensors |= state.of_optimizer(optimizer, f"optimizer/{number}/")
    state.write(path, tensors, notes)


def load_state(path: Path, modules: Mapping[str, nn.Module], optimizers: Sequence[Optimizer]) -> dict[str, str]:
    """Bring modules and optimisers back to what was saved; returns the notes."""
    tensors, notes = state.read(path)
    for name, module in modules.items():
        missing, unexpected = module.load_state_dict(state.under(tensors, f"model/{name}/"), strict=False)
        if unexpected or set(missing) & set(_own(module)):
            raise ValueError(f"{path} is not a state of this model: {missing or unexpected}.")
    for number, optimizer in enumerate(optimizers):
        state.restore(optimizer, tensors, f"optimizer/{number}/")
    return notes


def _own(module: nn.Module) -> dict[str, Tensor]:
    """The module's parameters; tied ones once."""
    return dict(module.named_parameters())
