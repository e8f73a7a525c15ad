"""A training that starts from a saved reward model: what both must have in common, and what the new one says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from training.gpu.reward import checkpoint
from training.rewards.config import Config
from training.rewards.groups import Dimension, Header
from webapp.jobs.folder import JobError

SAME = ("model", "revision", "lora_rank", "lora_alpha", "train_vision", "max_side", "dtype")
SEEN = "Held-out figures may be of pictures that the start has learned from."


def read_init(folder: Path, config: Config, dimensions: Sequence[Dimension]) -> dict[str, Any]:
    """The reward.json of the model to start from. Raises JobError where its dimensions, their scales or its backbone
    are not those of this training, WrongCheckpoint where it cannot be used at all. No weights are read."""
    told = checkpoint.read(folder)
    _refuse_other_dimensions(told["dimensions"], dimensions)
    if told["kind"] != config.backbone:
        raise JobError(
            f"The model to start from has the backbone {told['kind']}, and the setting backbone is {config.backbone}: "
            "they must be the same."
        )
    for name in SAME:
        if name == "lora_alpha" and not config.lora_rank:
            continue  # without LoRA it says nothing
        own, wanted = told["backbone"].get(name), getattr(config, name)
        if name in told["backbone"] and own != wanted:
            raise JobError(
                f"The setting {name} is {wanted!r}, and the model to start from has {own!r}, which it keeps: set "
                f"{name} to {own!r}."
            )
    return told


def _refuse_other_dimensions(theirs: Sequence[Mapping[str, Any]], ours: Sequence[Dimension]) -> None:
    keys, own = [one["key"] for one in theirs], [one.key for one in ours]
    if keys != own:
        raise JobError(
            f"The model to start from scores {', '.join(keys)}, and the training set has {', '.join(own)}: they must "
            "be the same."
        )
    for their, our in zip(theirs, ours, strict=True):
        if (their["low"], their["high"]) != (our.low, our.high):
            raise JobError(
                f"The model to start from scores {our.key} from {their['low']:g} to {their['high']:g}, and the "
                f"training set has it from {our.low:g} to {our.high:g}: the scales must be the same."
            )


def learned_by(told: Mapping[str, Any], config: Config, fresh: Mapping[str, Any]) -> dict[str, Any]:
    """What the loss learned, such as the tie width: of the start where it had the same ranking loss, else ``fresh``. A
    number for each size of tie is left as it is where the new set has ties of other sizes."""
    ties = told.get("ties")
    if not isinstance(ties, dict) or told.get("ranking") != config.ranking:
        return dict(fresh)
    return {name: ties[name] if name in ties and _alike(ties[name], own) else own for name, own in fresh.items()}


def _alike(first: Any, second: Any) -> bool:
    return bool(torch.tensor(first).shape == torch.tensor(second).shape)


def told_of(told: Mapping[str, Any], header: Header) -> dict[str, Any]:
    """What reward.json says of the start: which model, the set it learned from, and where it had started itself."""
    init = {name: told[name] for name in ("fingerprint", "set", "init") if name in told}
    notice = f"{header.notice} {SEEN}".strip() if _other_set(init, header.content_hash) else header.notice
    return {"init": init, "notice": notice}


def _other_set(init: Mapping[str, Any], content_hash: str) -> bool:
    """Whether it, or what it started from, learned from another set: whose parts may lie otherwise."""
    if init["set"]["content_hash"] != content_hash:
        return True
    return "init" in init and _other_set(init["init"], content_hash)
