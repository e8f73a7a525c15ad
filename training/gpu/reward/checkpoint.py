"""A reward model as a folder: reward.json, heads.safetensors, and in backbone/ what the backbone wrote.

    reward.json  format, kind, backbone (preprocessing, template, sizes, tokens), dimensions with their scales,
                 aggregate, ties (what the loss learned), set (name, content_hash), notice, config, metrics, fingerprint

The fingerprint is over every other file. Nothing is pickled. A folder that lacks what is needed to score as at the
training refuses to load: with another preprocessing or scale the numbers would look right and mean nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from training.gpu.reward.backbones import WrongBackbone, load_backbone
from training.gpu.reward.network import RewardNetwork
from webapp.jobs.folder import write_json

FORMAT = 1
TOLD, HEADS, BACKBONE = "reward.json", "heads.safetensors", "backbone"
NEEDED = {
    "kind": "does not say which network it is",
    "backbone": "does not say how pictures and words are prepared for it",
    "dimensions": "does not name its dimensions",
    "aggregate": "does not say how its dimensions are brought together",
    "fingerprint": "has no fingerprint of its weights",
}


class WrongCheckpoint(Exception):
    """The folder is no reward model that can be used. The message is shown to the user."""


def save(network: RewardNetwork, folder: Path, told: Mapping[str, Any]) -> str:
    """Write the model, replacing what is in ``folder``, and return its fingerprint.

    ``told``: dimensions ([{key, label, low, high}]), aggregate, set, and what else reward.json is to hold.
    """
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    (part / BACKBONE).mkdir(parents=True)
    network.backbone.save(part / BACKBONE)
    heads = {"weight": network.weight, "bias": network.bias}
    save_file({name: value.detach().float().cpu().contiguous() for name, value in heads.items()}, part / HEADS)
    described = {"format": FORMAT, "kind": network.backbone.kind, "backbone": network.backbone.describe()}
    fingerprint = _fingerprint(part)
    write_json(part / TOLD, {**told, **described, "fingerprint": fingerprint})
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(part, folder)
    return fingerprint


def retell(folder: Path, more: Mapping[str, Any]) -> dict[str, Any]:
    """Add to reward.json, such as the figures that are known only at the end. Raises WrongCheckpoint."""
    told = {**read(folder), **more}
    write_json(folder / TOLD, told)
    return told


def read(folder: Path) -> dict[str, Any]:
    """reward.json, checked to be whole. Cheap: no weights are read. Raises WrongCheckpoint."""
    try:
        told = json.loads((folder / TOLD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WrongCheckpoint(f"{folder.name} is no reward model: {TOLD} cannot be read ({error}).") from None
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise WrongCheckpoint(f"{folder.name} is no reward model of the format {FORMAT}, the only one that is known.")
    for name, words in NEEDED.items():
        if not told.get(name):
            raise WrongCheckpoint(f"The reward model {folder.name} {words} ({TOLD}, {name}): it cannot be used.")
    if not isinstance(told["backbone"], dict):
        raise WrongCheckpoint(f"The description of the network of the reward model {folder.name} cannot be read.")
    if not isinstance(told.get("set"), dict) or not told["set"].get("content_hash"):
        raise WrongCheckpoint(f"The reward model {folder.name} does not name the training set it was trained on.")
    if not all(_has_scale(one) for one in told["dimensions"]):
        raise WrongCheckpoint(f"A dimension of the reward model {folder.name} has no key or no scale.")
    return told


def load(folder: Path, device: str = "cpu") -> tuple[RewardNetwork, dict[str, Any]]:
    """The model, ready to score, and its reward.json. Raises WrongCheckpoint."""
    told = read(folder)
    if _fingerprint(folder) != told["fingerprint"]:
        raise WrongCheckpoint(
            f"The files of the reward model {folder.name} are not those that were saved: their fingerprint differs "
            "from the one on record. Restore them, or train the model again."
        )
    try:
        backbone = load_backbone(told["kind"], folder / BACKBONE, told["backbone"], device)
        low, high = ([one[end] for one in told["dimensions"]] for end in ("low", "high"))
        network = RewardNetwork(backbone, low, high).to(device)
        tensors = load_file(folder / HEADS)
        with torch.no_grad():
            network.weight.copy_(tensors["weight"])
            network.bias.copy_(tensors["bias"])
    except WrongBackbone as error:
        raise WrongCheckpoint(f"The reward model {folder.name} cannot be loaded: {error}") from None
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise WrongCheckpoint(
            f"The reward model {folder.name} cannot be loaded ({type(error).__name__}): {error}"
        ) from None
    if list(network.dimensions) != [one["key"] for one in told["dimensions"]]:
        raise WrongCheckpoint(f"The reward model {folder.name} has other dimensions than its network.")
    return network.eval(), told


def _has_scale(one: Any) -> bool:
    if not isinstance(one, dict) or not isinstance(one.get("key"), str):
        return False
    ends = [one.get("low"), one.get("high")]
    return all(type(end) in (int, float) for end in ends) and float(one["low"]) < float(one["high"])


def _fingerprint(folder: Path) -> str:
    """SHA-256 over the names and contents of all files but reward.json."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / TOLD):
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0")
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()
