"""LoRA files: saved with their α, loaded with it honoured, and refused where they are of another model.

A layer's change is scale · (α / r) · B A (LoRA, equation 3 with the α of its section 4.1; α / √r where the file says
``use_rslora``). A file that lost its α loads at another strength without a word, and ``load_lora_adapter`` with its
default prefix loads nothing without an error. So everything here is checked before the model is touched, and the
strengths are compared afterwards.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from training.gpu.diffusion import patterns
from training.gpu.diffusion.settings import Lora
from training.gpu.editors import EditorError

ADAPTER = "default"
METADATA = "lora_adapter_metadata"  # diffusers' name for it in the file's header
LAYER = re.compile(r"(?P<name>.+)\.lora_(?P<side>[AB])\.weight")
NAMED = re.compile(r"(transformer|unet|text_encoder(_[23])?|vae|base_model)\.|lora_")  # begins with what it is part of
Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class LoraFile:
    """What a file holds: A [r, inputs] and B [outputs, r] by layer, and each layer's α / r.

    The strengths are 1 where diffusers multiplied α into the matrices on its way: then α is known, but not seen here.
    """

    layers: Mapping[str, tuple[torch.Tensor, torch.Tensor]]
    strengths: Mapping[str, float]
    alpha_known: bool

    @property
    def rank(self) -> int:
        """The rank of most layers."""
        return Counter(int(a.shape[0]) for a, _ in self.layers.values()).most_common(1)[0][0]


def save(pipeline: Any, part: str, file: Path) -> None:
    """Write the adapter of ``pipeline.<part>`` with its configuration, α among it, as diffusers keeps it."""
    from peft import get_peft_model_state_dict

    model = getattr(pipeline, part)
    words: dict[str, Any] = {
        f"{part}_lora_layers": get_peft_model_state_dict(model, adapter_name=ADAPTER),
        f"{part}_lora_adapter_metadata": model.peft_config[ADAPTER].to_dict(),
    }
    temporary = file.with_name(f"{file.name}.part")
    type(pipeline).save_lora_weights(file.parent, weight_name=temporary.name, **words)
    os.replace(temporary, file)


def load(pipeline: Any, part: str, lora: Lora) -> dict[str, Any]:
    """Load the file onto ``pipeline.<part>``, kept beside the weights or merged. Returns what made the image of it.

    Raises EditorError before anything is changed where the file cannot be read, is of another model or has no layer.
    """
    path, model = Path(lora.file), getattr(pipeline, part)
    found = read(path, type(pipeline), part, lora.alpha)
    check(path, found, model)
    model.load_lora_adapter(_tensors(found), prefix=None, metadata=_config(found), adapter_name=ADAPTER)
    _compare(path, found, model)
    model.set_adapters([ADAPTER], [lora.scale])
    if lora.merge:
        model.fuse_lora(adapter_names=[ADAPTER])
        model.unload_lora()
    return {
        "file": path.name,
        "sha256": sha256(path.read_bytes()).hexdigest(),
        "scale": lora.scale,
        "rank": found.rank,
        "alpha_over_rank": Counter(found.strengths.values()).most_common(1)[0][0],
        "alpha_known": found.alpha_known,
        "layers": len(found.layers),
        "merged": lora.merge,
    }


def read(path: Path, pipeline: Any, part: str, alpha: float | None = None) -> LoraFile:
    """The file's layers by their names in the model. ``alpha`` is taken where the file has none. Raises EditorError."""
    tensors, header = _read(path)
    prefix = f"{part}."
    tensors, folded = _named(path, tensors, pipeline, prefix)
    foreign = sorted(key for key in tensors if not key.startswith(prefix))
    if tensors and foreign:
        raise EditorError(
            f"The LoRA {path.name} changes more than the {part}, or another model: {len(foreign)} of its "
            f"{len(tensors)} tensors do not begin with {prefix!r}, the first is {foreign[0]!r}."
        )
    bare = {key.removeprefix(prefix): value for key, value in tensors.items()}
    layers = _pairs(path, bare)
    if folded and alpha is not None:
        raise EditorError(f"The LoRA {path.name} says α itself: leave lora.alpha out, or α would count twice.")
    if folded:
        return LoraFile(layers, dict.fromkeys(layers, 1.0), alpha_known=True)
    alphas = {key.removesuffix(".alpha"): float(value) for key, value in bare.items() if key.endswith(".alpha")}
    config = {key.removeprefix(prefix): value for key, value in header.items()}
    return LoraFile(layers, *_strengths(path, layers, alphas, config, alpha))


def _read(path: Path) -> tuple[Tensors, dict[str, Any]]:
    if not path.is_file():
        raise EditorError(f"The LoRA file {path} does not exist on this machine.")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            header = json.loads((file.metadata() or {}).get(METADATA, "{}"))
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, ValueError) as error:
        raise EditorError(f"The LoRA file {path.name} is not a readable safetensors file: {error}.") from None
    if not isinstance(header, dict):
        raise EditorError(f"The LoRA file {path.name} has a header that is no object: {METADATA}.")
    return tensors, header


def _named(path: Path, tensors: Tensors, pipeline: Any, prefix: str) -> tuple[Tensors, bool]:
    """The tensors by names as diffusers writes them, and whether α went into the matrices on the way."""
    if all(LAYER.fullmatch(key) or key.endswith(".alpha") for key in tensors):
        if all(key.startswith(prefix) for key in tensors):
            return tensors, False
        if not any(NAMED.match(key) for key in tensors):  # names of layers alone, or as ComfyUI begins them
            return {prefix + key.removeprefix("diffusion_model."): value for key, value in tensors.items()}, False
    return _converted(path, tensors, pipeline)


def _converted(path: Path, tensors: Tensors, pipeline: Any) -> tuple[Tensors, bool]:
    """Other trainers' names in diffusers' own (kohya, XLabs, fal, ...). All but Stable Diffusion's fold α."""
    try:
        found = pipeline.lora_state_dict(dict(tensors))
        if isinstance(found, tuple):
            return _modern(*found), False
    except Exception as error:  # whatever a foreign file makes the converters stumble over
        raise EditorError(
            f"The LoRA {path.name} has {len(tensors)} tensors, and none of the ways to read them as a LoRA of this "
            f"model succeeded ({type(error).__name__}: {error!s:.200})."
        ) from error
    return found, any(key.endswith(".alpha") for key in tensors)


def _modern(tensors: Tensors, alphas: Mapping[str, float] | None) -> Tensors:
    """The names that diffusers once gave Stable Diffusion's LoRA in those of today, with α beside each layer."""
    from diffusers.utils import convert_unet_state_dict_to_peft

    said, found = alphas or {}, Tensors()
    for old, value in tensors.items():
        (key,) = convert_unet_state_dict_to_peft({old: value})
        found[key] = value
        # Its α stands under the name of the old tensor, or of the layer.
        alpha = next((said[name] for name in (f"{old}.alpha", f"{old.split('.lora.')[0]}.alpha") if name in said), None)
        if alpha is not None and (match := LAYER.fullmatch(key)):
            found[f"{match['name']}.alpha"] = torch.tensor(float(alpha))
    return found


def _pairs(path: Path, tensors: Tensors) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    sides: dict[str, Tensors] = {"A": {}, "B": {}}
    for key, value in tensors.items():
        if match := LAYER.fullmatch(key):
            sides[match["side"]][match["name"]] = value
        elif not key.endswith(".alpha"):
            raise EditorError(
                f"The LoRA {path.name} holds {key!r}, and not under a name that is known here: "
                "a layer's name with .lora_A.weight and .lora_B.weight, or a name that diffusers knows to change to it."
            )
    if not sides["A"] and not sides["B"]:
        raise EditorError(f"The LoRA {path.name} holds no layer at all: nothing would be loaded.")
    if lonely := sorted(set(sides["A"]) ^ set(sides["B"])):
        raise EditorError(f"The LoRA {path.name} has only one of the two matrices of {lonely[0]!r}.")
    return {name: (sides["A"][name], sides["B"][name]) for name in sorted(sides["A"])}


def _strengths(
    path: Path,
    layers: Mapping[str, tuple[torch.Tensor, torch.Tensor]],
    alphas: Mapping[str, float],
    config: Mapping[str, Any],
    alpha: float | None,
) -> tuple[dict[str, float], bool]:
    """α / r (or α / √r) of each layer, and whether the file or the settings said α."""
    pattern: Mapping[str, Any] = config.get("alpha_pattern") or {}
    general = config.get("lora_alpha", alpha)
    if config.get("use_dora"):
        raise EditorError(f"The LoRA {path.name} is a DoRA, which is not supported.")
    try:
        named = {name: float(value) for name, value in pattern.items()}
        default = None if general is None else float(general)
    except (AttributeError, TypeError, ValueError):
        raise EditorError(f"The LoRA {path.name} has an α in its header that is no number.") from None
    try:
        own = patterns.by_layer(named, layers)
    except ValueError as error:
        raise EditorError(f"The LoRA {path.name} has patterns in its header that cannot be read: {error}.") from None
    found = {}
    for name, (a, _) in layers.items():
        rank = a.shape[0]
        wanted = alphas.get(name, own.get(name, rank if default is None else default))
        found[name] = wanted / (math.sqrt(rank) if config.get("use_rslora") else rank)
    return found, bool(alphas or default is not None)


def check(path: Path, found: LoraFile, model: torch.nn.Module) -> None:
    """Refuse a file whose layers are not the model's. Raises EditorError."""
    modules = dict(model.named_modules())
    absent = [name for name in found.layers if not isinstance(modules.get(name), torch.nn.Linear | torch.nn.Conv2d)]
    if absent:
        raise EditorError(
            f"The LoRA {path.name} is of another model: {len(absent)} of its {len(found.layers)} layers do not exist "
            f"here, the first is {absent[0]!r}."
        )
    for name, (a, b) in found.layers.items():
        here = modules[name].weight.shape
        if (a.shape[1], b.shape[0], a.shape[0]) != (here[1], here[0], b.shape[1]):
            raise EditorError(
                f"The LoRA {path.name} is of another model: its layer {name!r} has {a.shape[1]} inputs, {b.shape[0]} "
                f"outputs and ranks {a.shape[0]} and {b.shape[1]}; the model's has {here[1]} and {here[0]}."
            )


def _tensors(found: LoraFile) -> Tensors:
    sides = {f"{name}.lora_A.weight": a for name, (a, _) in found.layers.items()}
    return sides | {f"{name}.lora_B.weight": b for name, (_, b) in found.layers.items()}


def _config(found: LoraFile) -> dict[str, Any]:
    """peft's configuration, made from the checked numbers: nothing of the file's header reaches peft itself."""
    ranks = {f"^{re.escape(name)}$": a.shape[0] for name, (a, _) in found.layers.items()}
    alphas = {f"^{re.escape(name)}$": found.strengths[name] * a.shape[0] for name, (a, _) in found.layers.items()}
    alpha = Counter(alphas.values()).most_common(1)[0][0]
    return {
        "r": found.rank,
        "lora_alpha": alpha,
        "rank_pattern": {name: rank for name, rank in ranks.items() if rank != found.rank},
        "alpha_pattern": {name: value for name, value in alphas.items() if value != alpha},
        "target_modules": sorted(found.layers),
    }


def _compare(path: Path, found: LoraFile, model: torch.nn.Module) -> None:
    """Every layer of the file is in the model now, at the strength that the file says."""
    modules = dict(model.named_modules())
    for name, strength in found.strengths.items():
        loaded = getattr(modules[name], "scaling", {}).get(ADAPTER)
        if loaded is None or not math.isclose(loaded, strength, rel_tol=1e-6):
            raise EditorError(f"The LoRA {path.name} loads {name!r} at the strength {loaded}, but says {strength}.")
