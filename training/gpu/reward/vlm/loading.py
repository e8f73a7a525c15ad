"""A backbone from weights that are on this machine: a new one to train, or one that a checkpoint holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from transformers import AutoConfig, AutoModelForImageTextToText

from scoring.judging.contract import JudgeError
from training.gpu.reward.backbones import WrongBackbone
from training.gpu.reward.vlm import template
from training.gpu.reward.vlm.backbone import (
    ADAPTER,
    IN_ADAPTER,
    IN_ALL,
    SHRUNK,
    Told,
    TransformersBackbone,
    as_json,
    vision_parts,
)
from training.gpu.reward.vlm.families import Family, WrongFamily, family_class
from training.gpu.vlm import weights
from training.gpu.vlm.model import HERE, LOAD_ERRORS, device_of, processor_class, read_processor
from training.gpu.vlm.needs import check_memory, needs
from training.gpu.vlm.settings import Settings, is_model
from training.rewards.config import Config

LANGUAGE = "language_model"
ADAPTED = "default"  # peft's name of an adapter that has none


@dataclass(frozen=True, slots=True)
class Read:
    """A model that was read. ``rewards``, ``levels``: numbers of tokens. ``images``: the image processor's settings."""

    core: Any
    family: Family
    rewards: tuple[int, ...]
    levels: tuple[int, ...]

    @property
    def images(self) -> dict[str, Any]:
        settings: dict[str, Any] = self.family.processor.image_processor.to_dict()
        return settings


def build(config: Config, dimensions: Sequence[str]) -> TransformersBackbone:
    """A backbone to train, from ``config.model``. Raises WrongBackbone with a sentence for the user."""
    if not is_model(config.model):
        raise WrongBackbone("The setting model must be an absolute folder, or a Hub id of the form owner/name.")
    lora = config.lora_rank > 0
    # Weights that are trained themselves stay fp32: steps are smaller than what bfloat16 can tell apart.
    stored = config.dtype if lora else "float32"
    settings = Settings(config.model, config.revision, stored, config.device, max_side=config.max_side)
    tokens = template.reward_tokens(dimensions)
    try:
        found = weights.find(settings)
        read = read_model(found, settings, tokens)
    except JudgeError as error:
        raise WrongBackbone(str(error)) from None
    first_rows(read, dimensions)
    told = Told(
        model=config.model,
        revision=config.revision,
        fingerprint=weights.told_apart(found),
        family=str(found.config["model_type"]),
        weights=IN_ADAPTER if lora else IN_ALL,
        dimensions=tuple(dimensions),
        tokens=tokens,
        level_words=template.LEVEL_WORDS,
        rubric=template.rubric(dimensions),
        prefix=template.PREFIX,
        suffix=template.SUFFIX,
        max_side=config.max_side,
        shrunk=SHRUNK,
        images=read.images,
        dtype=config.dtype,
        stored=stored,
        lora_rank=config.lora_rank,
        lora_alpha=config.lora_alpha,
        train_vision=config.train_vision,
    )
    return assembled(read, told, config.seed)


def load(folder: Path, described: Mapping[str, Any], device: str) -> TransformersBackbone:
    """The backbone that ``save`` wrote into ``folder``. Raises WrongBackbone where the description is not whole, the
    model is not on this machine, or it is not the one that was trained on."""
    told = read_told(described)
    own = told.weights == IN_ALL
    settings = Settings(told.model, told.revision, told.stored, device, max_side=told.max_side)
    try:
        found = weights.look(folder.resolve(), told.model) if own else weights.find(settings)
        if not own and weights.told_apart(found).rpartition("@")[2] != told.fingerprint.rpartition("@")[2]:
            raise WrongBackbone(
                f"This reward model was trained on {told.fingerprint}, and {told.model} is "
                f"{weights.told_apart(found)} now. Put the files back that it was trained on."
            )
        read = read_model(found, settings, told.tokens)
    except JudgeError as error:
        raise WrongBackbone(str(error)) from None
    backbone = assembled(read, told)
    if backbone.describe()["images"] != as_json(read.images):
        raise WrongBackbone(f"The image processor of {told.model} has other settings than the reward model knows.")
    if not own:
        read_adapter(backbone, folder / ADAPTER)
    return backbone


def read_told(described: Mapping[str, Any]) -> Told:
    """Raises WrongBackbone where something is missing: without its preprocessing and template a model's scores are
    not its own."""
    names = {one.name for one in fields(Told)}
    if missing := sorted(names - set(described)):
        raise WrongBackbone(f"The checkpoint does not say {', '.join(missing)} of its backbone, so it cannot be used.")
    values: dict[str, Any] = {name: described[name] for name in names}
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    told = Told(**{**values, **lists})
    if told.shrunk != SHRUNK or told.weights not in (IN_ADAPTER, IN_ALL) or len(told.tokens) != len(told.dimensions):
        raise WrongBackbone("The checkpoint's backbone was prepared in a way that this version does not know.")
    return told


# Reading -------------------------------------------------------------------------------------------------------------


def read_model(found: weights.Found, settings: Settings, tokens: Sequence[str]) -> Read:
    """Model, processor and tokens. Raises WrongBackbone, and JudgeError for what is wrong with the weights."""
    device = device_of(settings)
    try:
        kind = family_class(found.config, found.name)
        check_memory(needs(found, settings), *_free(device))
        processor = read_processor(processor_class(found), found.folder)
        family = kind(processor, AutoConfig.from_pretrained(found.folder, **HERE))
        rewards = template.add_tokens(processor.tokenizer, tokens)
        levels = template.level_ids(processor.tokenizer)
        core = _read_core(found, settings, device)
    except WrongFamily as error:
        raise WrongBackbone(str(error)) from None
    except template.WrongTokens as error:
        raise WrongBackbone(f"The tokenizer of {found.name} {error}") from None
    except torch.OutOfMemoryError:
        raise WrongBackbone(f"The GPU's memory does not hold {found.name}. Use a smaller model or dtype.") from None
    except LOAD_ERRORS as error:
        raise WrongBackbone(f"{found.name} cannot be loaded ({type(error).__name__}): {error!s:.500}") from error
    if len(processor.tokenizer) > core.get_input_embeddings().weight.shape[0]:
        core.resize_token_embeddings(len(processor.tokenizer), mean_resizing=False)
    return Read(core, family, rewards, levels)


def _read_core(found: weights.Found, settings: Settings, device: torch.device) -> Any:
    model, report = AutoModelForImageTextToText.from_pretrained(
        found.folder,
        dtype=getattr(torch, settings.dtype),
        use_safetensors=True,
        output_loading_info=True,
        attn_implementation="sdpa",
        **HERE,
        **({"device_map": {"": device}} if device.type == "cuda" else {}),
    )
    if missing := report["missing_keys"]:
        raise WrongBackbone(f"The weights of {found.name} are not complete: {len(missing)} tensors are missing.")
    return model


def _free(device: torch.device) -> tuple[int, str]:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0], "GPU memory"
    from training.gpu.diffusion.loading import memory_free  # which imports diffusers: seconds, for this alone

    return memory_free(), "memory"


@torch.no_grad()
def first_rows(read: Read, dimensions: Sequence[str]) -> None:
    """A new token begins as the mean of the tokens of its dimension's name."""
    table, tokenizer = read.core.get_input_embeddings().weight, read.family.processor.tokenizer
    for number, key in zip(read.rewards, dimensions, strict=True):
        table[number] = table[template.plain(tokenizer, template.words_of(key))].float().mean(0).to(table.dtype)


# What is trained -----------------------------------------------------------------------------------------------------


def assembled(read: Read, told: Told, seed: int = 0) -> TransformersBackbone:
    """The backbone around a model, with LoRA where it has some, and what is trained set to be so."""
    core = read.core
    if told.weights == IN_ADAPTER:
        model = adapted(core, read.family, told, read.rewards, seed)
    else:
        model = core.requires_grad_(True)
        for part in vision_parts(core, read.family):
            part.requires_grad_(told.train_vision)
    return TransformersBackbone(model, read.family, told, rewards=read.rewards, levels=read.levels)


def adapted(core: Any, family: Family, told: Told, rewards: Sequence[int], seed: int) -> Any:
    """The model with LoRA on all linear layers of the language model, and of the vision part if that is trained, and
    with the rows of the new tokens to train. Those numbers are fp32."""
    from peft import LoraConfig, get_peft_model

    settings = LoraConfig(
        r=told.lora_rank,
        lora_alpha=told.lora_alpha,
        target_modules=linear_layers(core, (LANGUAGE, *(family.vision if told.train_vision else ()))),
        trainable_token_indices={"embed_tokens": sorted(rewards)},
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = get_peft_model(core, settings, ADAPTED)
    for value in model.parameters():
        if value.requires_grad:
            value.data = value.data.float()
    return model


def linear_layers(core: Any, parts: Sequence[str]) -> list[str]:
    """Full names of the linear layers in those parts of ``core.model``."""
    return [
        f"model.{part}.{name}"
        for part in parts
        for name, module in getattr(core.model, part).named_modules()
        if isinstance(module, nn.Linear)
    ]


def read_adapter(backbone: TransformersBackbone, file: Path) -> None:
    """Raises WrongBackbone for a file that is not there, is damaged, or is another model's."""
    try:
        tensors = load_file(file)
    except (OSError, SafetensorError) as error:
        raise WrongBackbone(f"The checkpoint's {ADAPTER} cannot be read: {error!s:.200}.") from None
    own = backbone.trained()
    if {name: value.shape for name, value in tensors.items()} != {name: value.shape for name, value in own.items()}:
        raise WrongBackbone(f"The checkpoint's {ADAPTER} holds the weights of another model, or of other dimensions.")
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(tensors[name])
