"""The folder with a pipeline's weights: found, checked before anything is loaded, and told apart. No torch here.

Only safetensors are loaded. Nothing is fetched: a job must not wait for tens of gigabytes that nobody asked for.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import Any

from training.gpu import tensors
from training.gpu.diffusion.settings import Settings, Spec
from training.gpu.editors import EditorError
from training.memory import Family

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
LIBRARIES = ("diffusers", "transformers")
UNUSED = ("safety_checker", "feature_extractor", "image_encoder")  # of Stable Diffusion and Flux; not loaded
MOST_BLOCKS, MOST_CHANNELS = 8, 100_000
WHOLE, BLOCK, BLOCKS = 64 * 1024**2, 64 * 1024, 256


@dataclass(frozen=True, slots=True)
class Weights:
    """A checked folder, and what to call it: the Hub's id and commit, or the folder's name."""

    folder: Path
    name: str
    revision: str


def find(spec: Spec, settings: Settings) -> Weights:
    """The folder of ``settings.model``, a folder or a Hub id whose files are on this machine. Raises EditorError."""
    model, folder = settings.model, Path(settings.model)
    if is_here(folder):
        return _checked(spec, Weights(folder, folder.name, settings.revision))
    if os.path.isdir(folder):
        raise EditorError(f"{model} has no model_index.json: it is not a pipeline saved by diffusers.")
    if not HUB_ID.fullmatch(model) or ".." in model:
        raise EditorError(f"There is no folder {model} on this machine, and it is no Hub id of the form owner/name.")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        found = snapshot_download(model, revision=settings.revision or None, local_files_only=True)
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError):
        revision = f" --revision {settings.revision}" if settings.revision else ""
        raise EditorError(
            f"The weights of {model} are not on this machine. Fetch them with `hf download {model}{revision}`, or set "
            f'"model" to the folder that holds them.'
        ) from None
    return _checked(spec, Weights(Path(found), model, Path(found).name))


def is_here(folder: Path) -> bool:
    """Whether that folder of a pipeline can be seen from here, however odd its name is."""
    return os.path.isfile(folder / "model_index.json")


def _checked(spec: Spec, weights: Weights) -> Weights:
    index = components(weights.folder)
    if index.get("_class_name") != spec.pipeline:
        raise EditorError(
            f"{weights.name} holds a {index.get('_class_name')}; the editor {spec.name} needs a {spec.pipeline}."
        )
    for name, (library, _) in parts(index):
        if library not in LIBRARIES:
            raise EditorError(
                f"{weights.name}: the component {name} comes from {library!r}; code of a model never runs."
            )
        if (weights.folder / name / "config.json").is_file():
            tensor_files(weights.folder / name)
    return weights


def components(folder: Path) -> dict[str, Any]:
    return _object(folder / "model_index.json")


def _object(file: Path) -> dict[str, Any]:
    name = f"{file.parent.name}/{file.name}"
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise EditorError(f"{name} cannot be read: {error}.") from None
    if not isinstance(value, dict):
        raise EditorError(f"{name} is no object.")
    return value


def parts(index: dict[str, Any]) -> Iterator[tuple[str, tuple[str, str]]]:
    """The components that are loaded: name, library and class."""
    for name, value in index.items():
        if isinstance(value, list) and len(value) == 2 and value[0] is not None and name not in UNUSED:
            yield name, (str(value[0]), str(value[1]))


def tensor_files(component: Path) -> list[Path]:
    """The safetensors files of one component. Raises EditorError where there are none, or one of several is missing."""
    files = sorted(component.glob("*.safetensors"))
    name = f"{component.parent.name}/{component.name}"
    for index in component.glob("*.safetensors.index.json"):
        places = _object(index).get("weight_map")
        if not isinstance(places, dict) or not all(isinstance(file, str) for file in places.values()):
            raise EditorError(f"{name}/{index.name} does not say which file holds which weights.")
        named = set(places.values())
        if missing := sorted(named - {file.name for file in files}):
            raise EditorError(
                f"{name}: {len(missing)} of {len(named)} weight files are missing, the first is {missing[0]}."
            )
    if not files and any(component.glob("*.bin")):
        raise EditorError(f"{name} has its weights as .bin files, which may run code. Convert them to safetensors.")
    if not files:
        raise EditorError(f"{name} has no weights: no .safetensors file is there.")
    return files


def parameters(folder: Path) -> dict[str, int]:
    """Numbers held by each component, read from the files' headers."""
    found = {}
    for name, _ in parts(components(folder)):
        if (folder / name / "config.json").is_file():
            shards = tensor_files(folder / name)
            plain = [file for file in shards if not re.search(r"\.(fp16|bf16|non_ema)[.-]", file.name)] or shards
            found[name] = sum(_count(file) for file in plain)
    return found


def _count(file: Path) -> int:
    try:
        return sum(tensor.count for tensor in tensors.read_header(file).tensors.values())
    except tensors.WrongTensors as error:
        raise EditorError(f"{file.parent.name}/{file.name} is not a readable safetensors file: {error}.") from None


def family(spec: Spec, folder: Path) -> Family:
    """The family's numbers with this folder's own counts and widths: a tiny or a changed model is not the published.

    Raises EditorError where the folder cannot be read, or lacks a component that the family has.
    """
    own, published = parameters(folder), spec.numbers
    if absent := sorted(set(published.parameters) - set(own)):
        raise EditorError(f"{folder.name} has no component {absent[0]!r} with a config.json, which {spec.name} needs.")
    leaf = max(1, int(published.leaf * sum(own.values()) / published.total))
    changed = replace(published, parameters=own, leaf=leaf)
    if width := _width(_config(folder / spec.part)):
        changed = replace(changed, width=width)
    if maps := _maps(_config(folder / "vae")):
        # A decoder's last block takes the maps of the block before it, at full size. Each block but one halves the
        # picture; the published ones have four.
        patch = max(1, published.patch * 2 ** (len(maps) - 1) // 8)
        changed = replace(changed, decoded=maps[min(1, len(maps) - 1)], patch=patch)
    return changed


def _config(component: Path) -> dict[str, Any]:
    """Empty where it cannot be read: the estimate keeps the published numbers, and loading says what is wrong."""
    try:
        return _object(component / "config.json")
    except EditorError:
        return {}


def _width(config: Mapping[str, Any]) -> int:
    """Channels of a token in a transformer or a UNet; 0 where the configuration does not say."""
    if blocks := _sane(config.get("block_out_channels")):
        return blocks[0]
    heads = _sane([config.get("num_attention_heads"), config.get("attention_head_dim")])
    return prod(heads) if heads else 0


def _maps(config: Mapping[str, Any]) -> list[int]:
    """Channels of a VAE's blocks, from full size down; empty where the configuration does not say."""
    times = _sane(config.get("dim_mult"))
    base = _sane([config.get("base_dim")])
    return [base[0] * time for time in times] if base and times else _sane(config.get("block_out_channels"))


def _sane(values: Any) -> list[int]:
    """The values if all are counts of channels or heads, else none."""
    sane = isinstance(values, list) and len(values) <= MOST_BLOCKS
    return values if sane and all(type(value) is int and 0 < value <= MOST_CHANNELS for value in values) else []


def fingerprint(folder: Path) -> str:
    """Tells a folder's content apart: SHA-256 over names, sizes and files up to 64 MB whole; of a larger file 256
    blocks of 64 kB, spread evenly. Training changes them; reading tens of gigabytes before each job takes minutes."""
    total = sha256()
    for file in sorted(
        path for path in folder.rglob("*") if path.suffix in (".json", ".safetensors", ".txt", ".model")
    ):
        size = file.stat().st_size
        total.update(f"{file.relative_to(folder)}\0{size}\0".encode())
        with file.open("rb") as opened:
            if size <= WHOLE:
                total.update(opened.read())
                continue
            for number in range(BLOCKS):
                opened.seek((size - BLOCK) * number // (BLOCKS - 1))
                total.update(opened.read(BLOCK))
    return total.hexdigest()[:32]
