"""Trained weights: one fp16 safetensors file a base, beside it its SHA-256, and loading that checks it.

A whole pipeline that diffusers saved loads too, if its parts are those of the drawn world: what its index names is
compared before anything of it is read, so a folder from elsewhere cannot choose classes.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from diffusers import FluxKontextPipeline
from safetensors.torch import load, save_file
from torch import Tensor

from training.gpu.drawn.assemble import new_pipeline, trained_modules

FOLDER = Path(__file__).parent / "weights"
FILE, HASHES, INDEX = "editor.safetensors", "SHA256SUMS", "model_index.json"
TRAINING = "training.json"  # how the weights were made, for the card


class WrongWeights(Exception):
    """The weights cannot be used. The message is shown to the user."""


def base_names() -> list[str]:
    return sorted(path.parent.name for path in FOLDER.glob(f"*/{FILE}"))


def load_model(folder: Path) -> tuple[Any, str]:
    """The pipeline of a folder with weights, or of one that ``save_pretrained`` wrote, and the hash of its weights.

    Raises WrongWeights where the folder is neither, or is of another model.
    """
    if not (folder / INDEX).is_file():
        return load_weights(folder)
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WrongWeights(f"{folder / INDEX} cannot be read: {error}.") from None
    if not isinstance(index, dict) or _parts(index) != _parts(dict(new_pipeline(0).config)):
        raise WrongWeights(f"{folder} holds another pipeline than that of the CPU editor.")
    try:
        pipeline: Any = FluxKontextPipeline.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    except Exception as error:  # the libraries raise many kinds for a folder that lacks a part
        raise WrongWeights(f"The pipeline in {folder} cannot be loaded: {error}") from error
    pipeline.set_progress_bar_config(disable=True)
    files = sorted(folder.glob("*/*.safetensors"))
    return pipeline, _digest(b"".join(file.read_bytes() for file in files))


def _parts(index: dict[str, object]) -> dict[str, object]:
    """Which class of which library each part is, without the parts that are absent."""
    pairs = {name: list(value) for name, value in index.items() if isinstance(value, list | tuple)}
    return {name: value for name, value in pairs.items() if value != [None, None]}


def save_weights(pipeline: Any, folder: Path) -> str:
    """Write the pipeline's weights as fp16 with their hash, which is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.detach().half().contiguous() for name, value in _parameters(pipeline).items()}
    save_file(tensors, folder / FILE)
    digest = _digest((folder / FILE).read_bytes())
    (folder / HASHES).write_text(f"{digest}  {FILE}\n", encoding="ascii")
    return digest


def load_weights(folder: Path) -> tuple[Any, str]:
    """The pipeline of a folder that ``save_weights`` wrote, in fp32 for the CPU, and the hash of its weights.

    Raises WrongWeights where a file is missing, the hash differs, or the tensors are those of another model.
    """
    try:
        content = (folder / FILE).read_bytes()
        stated = (folder / HASHES).read_text(encoding="ascii").split()[0]
    except (OSError, UnicodeDecodeError, IndexError) as error:
        raise WrongWeights(f"The weights in {folder} cannot be read: {error}.") from None
    digest = _digest(content)
    if digest != stated:
        raise WrongWeights(
            f"{folder / FILE} is not the file that was published: its SHA-256 is {digest}, {HASHES} says {stated}. "
            "Restore it from the repository, or train it again."
        )
    pipeline = new_pipeline(0)
    parameters, tensors = _parameters(pipeline), load(content)
    if {name: value.shape for name, value in tensors.items()} != {name: p.shape for name, p in parameters.items()}:
        raise WrongWeights(f"{folder / FILE} holds the weights of another model.")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[name])
    return pipeline, digest


def _parameters(pipeline: Any) -> dict[str, Tensor]:
    modules = {"vae": pipeline.vae, **trained_modules(pipeline)}
    return {f"{name}.{key}": value for name, module in modules.items() for key, value in module.named_parameters()}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
