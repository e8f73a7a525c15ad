"""The folder of a vision-language model: found on this machine, checked before anything is loaded. No torch here."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scoring.judging.contract import JudgeError
from training.gpu import tensors
from training.gpu.diffusion.weights import fingerprint, tensor_files
from training.gpu.editors import EditorError
from training.gpu.vlm.settings import Settings

SHOWN = 12  # characters of a commit or a fingerprint


@dataclass(frozen=True, slots=True)
class Found:
    """``config``: the object of config.json. ``files``: the weights, in safetensors files alone."""

    folder: Path
    name: str
    config: dict[str, Any]
    files: tuple[Path, ...]


def find(settings: Settings) -> Found:
    """The folder of ``settings.model``, checked. Raises JudgeError; nothing is fetched."""
    folder = Path(settings.model)
    if folder.is_absolute():
        if not os.path.isdir(folder):
            raise JudgeError(f"There is no folder {settings.model} on this machine.")
        return look(folder, folder.name)
    return look(_cached(settings), settings.model)


def look(folder: Path, name: str) -> Found:
    """What is in the folder. Raises JudgeError where there is no model of transformers with safetensors files."""
    config = _config(folder / "config.json", name)
    try:
        files = tensor_files(folder)
    except EditorError as error:
        raise JudgeError(str(error)) from None
    return Found(folder, name, config, tuple(files))


def _cached(settings: Settings) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    model, revision = settings.model, settings.revision
    try:
        return Path(snapshot_download(model, revision=revision or None, local_files_only=True))
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError):
        option = f" --revision {revision}" if revision else ""
        raise JudgeError(
            f"The weights of {model} are not on this machine. Fetch them with `hf download {model}{option}`, or set "
            f"the model to the folder that holds them."
        ) from None


def _config(file: Path, name: str) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise JudgeError(f"{name} has no config.json: it is no model of transformers.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise JudgeError(f"The config.json of {name} cannot be read: {error!s:.200}.") from None
    if not isinstance(value, dict):
        raise JudgeError(f"The config.json of {name} is no object.")
    return value


def told_apart(found: Found) -> str:
    """Name and content: the Hub's commit, or a hash over the folder's files."""
    commit = found.folder.name if "/" in found.name else fingerprint(found.folder)
    return f"{found.name}@{commit[:SHOWN]}"


def parameters(found: Found) -> int:
    """Numbers in the files, by their headers. Raises JudgeError for a file that is none."""
    count = 0
    for file in found.files:
        try:
            count += sum(tensor.count for tensor in tensors.read_header(file).tensors.values())
        except tensors.WrongTensors as error:
            raise JudgeError(f"{found.name}: {file.name} is not a readable safetensors file: {error}.") from None
    return count
