"""The judge's weights: one fp16 safetensors file, beside it its SHA-256, and loading that checks it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file

from training.gpu.drawn_judge.data import KEYS
from training.gpu.drawn_judge.network import DrawnJudge
from training.gpu.drawn_judge.words import numbers
from training.gpu.tensors import read_header

FOLDER = Path(__file__).parent / "weights"
FILE, HASHES, TRAINING = "judge.safetensors", "SHA256SUMS", "training.json"


class WrongWeights(Exception):
    """The weights cannot be used. The message is shown to the user."""


def save_weights(network: DrawnJudge, folder: Path) -> str:
    """Write the weights as fp16 with their hash, which is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.detach().half().contiguous() for name, value in _parameters(network)}
    save_file(tensors, folder / FILE, learned())
    digest = hashlib.sha256((folder / FILE).read_bytes()).hexdigest()
    (folder / HASHES).write_text(f"{digest}  {FILE}\n", encoding="ascii")
    return digest


def load_weights(folder: Path = FOLDER) -> tuple[DrawnJudge, str]:
    """The network that ``save_weights`` wrote, in fp32 for the CPU, and the hash of its weights.

    Raises WrongWeights where a file is missing, the hash differs, or the tensors are those of another network.
    """
    try:
        content = (folder / FILE).read_bytes()
        stated = (folder / HASHES).read_text(encoding="ascii").split()[0]
    except (OSError, UnicodeDecodeError, IndexError) as error:
        raise WrongWeights(f"The weights in {folder} cannot be read: {error}.") from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != stated:
        raise WrongWeights(
            f"{folder / FILE} is not the file that was published: its SHA-256 is {digest}, {HASHES} says {stated}. "
            "Restore it from the repository, or train it again."
        )
    network = new_network(0)
    try:
        tensors = load(content)
    except SafetensorError as error:
        raise WrongWeights(f"{folder / FILE} is no file of weights: {error}.") from None
    if read_header(folder / FILE).metadata != learned():
        raise WrongWeights(
            f"{folder / FILE} was trained for other words or questions than those of drawnworld/families.py and "
            "drawnworld/questions.py. Train it again, or restore them."
        )
    if {name: value.shape for name, value in tensors.items()} != {n: p.shape for n, p in _parameters(network)}:
        raise WrongWeights(f"{folder / FILE} holds the weights of another network.")
    with torch.no_grad():
        for name, parameter in _parameters(network):
            parameter.copy_(tensors[name])
    return network.eval(), digest


def learned() -> dict[str, str]:
    """What the numbers in the network stand for. Without it, a changed wording would silently be another word. One
    entry: safetensors writes several in no order, and the same training must give the same bytes."""
    return {"learned": json.dumps({"words": list(numbers()), "families": KEYS})}


def new_network(seed: int) -> DrawnJudge:
    """An untrained network; the same seed gives the same numbers, and no other random numbers are touched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DrawnJudge()


def _parameters(network: DrawnJudge) -> list[tuple[str, torch.nn.Parameter]]:
    return list(network.named_parameters())
