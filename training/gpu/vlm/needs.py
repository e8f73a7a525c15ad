"""How much memory a vision-language model takes as a judge, before it is loaded. No torch: pages ask it too.

    weights   parameters, counted in the files' headers × bytes a number
    cache     requests × tokens × layers × keys and values
    work      requests × tokens × (width + 2 × the MLP's width) × ``COPIES``, and the vocabulary's logits
    reserve   the driver's and the libraries' own

Only the weights are exact. The others are worked out from the layers' shapes and have not been measured on a GPU. A
batch that does not fit is halved, so what counts here is one request. 1 GB is 10⁹ bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scoring.judging.contract import JudgeError
from training.gpu.vlm.settings import DIGITS_ONLY, Settings
from training.gpu.vlm.weights import Found, parameters
from training.memory import BYTES, RESERVE, gb

PICTURES, WORDS = 2, 2500  # of a request; words: tokens of a long prompt
TILES = 13  # at most, of a picture that a model reads in tiles: twelve and the whole
COPIES = 4  # tensors of a token alive at once in a layer
MOST = 10**7


@dataclass(frozen=True, slots=True)
class Needs:
    """Bytes by part, for one request at a time."""

    name: str
    dtype: str
    parts: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.parts.values())


def needs(found: Found, settings: Settings) -> Needs:
    """Raises JudgeError for files that are no safetensors files."""
    dtype = _dtype(found.config) if settings.dtype == "auto" else settings.dtype
    number, text = BYTES[dtype], _part(found.config, "text_config") or found.config
    width, layers, heads = (
        _size(text, "hidden_size"),
        _size(text, "num_hidden_layers"),
        _size(text, "num_attention_heads"),
    )
    head = _size(text, "head_dim") or width // max(1, heads)
    keys = (_size(text, "num_key_value_heads") or heads) * head
    answer = 16 if settings.score_by == DIGITS_ONLY else settings.max_tokens
    tokens = PICTURES * picture_tokens(found.config, settings.max_side) + WORDS + answer
    parts = {
        "weights": parameters(found) * number,
        "cache": tokens * layers * 2 * keys * number,
        "work": tokens * (width + 2 * _size(text, "intermediate_size")) * COPIES * number
        + 8 * _size(text, "vocab_size"),
        "reserve": RESERVE,
    }
    return Needs(found.name, dtype, parts)


def picture_tokens(config: Mapping[str, Any], side: int) -> int:
    """Tokens of one square picture of that side, in pixels."""
    if tile := _size(config, "image_seq_length"):
        return tile * TILES
    vision = _part(config, "vision_config")
    pixels = (_size(vision, "patch_size") or 14) * (_size(vision, "spatial_merge_size") or 1)
    return (-(-side // pixels)) ** 2


def fits(needed: Needs, available: int, where: str = "GPU memory") -> str:
    """Empty if it fits in ``available`` bytes, else one sentence: what it needs, what there is, what to change."""
    if needed.total <= available:
        return ""
    what = ", ".join(f"{name} {gb(value)}" for name, value in needed.parts.items())
    advice = "a smaller dtype or model" if BYTES[needed.dtype] == 4 else "a smaller model"
    return (
        f"{needed.name} as {needed.dtype} needs about {gb(needed.total)} GB of {where} for one request ({what}), and "
        f"{gb(available)} GB are there: use {advice}, or a smaller max_side."
    )


def check_memory(needed: Needs, available: int, where: str) -> None:
    """Raises JudgeError where it does not fit."""
    if problem := fits(needed, available, where):
        raise JudgeError(problem)


def _dtype(config: Mapping[str, Any]) -> str:
    """What the folder says of its weights; 4 bytes where it says nothing that is known."""
    for part in (config, _part(config, "text_config")):
        told = part.get("dtype") or part.get("torch_dtype")
        if isinstance(told, str) and told in BYTES:
            return told
    return "float32"


def _part(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = config.get(name)
    return value if isinstance(value, dict) else {}


def _size(config: Mapping[str, Any], name: str) -> int:
    """A count of the configuration; 0 where it is not there or no count: loading says what is wrong."""
    value = config.get(name)
    value = max(value) if isinstance(value, list) and value and all(type(one) is int for one in value) else value
    return value if type(value) is int and 0 < value < MOST else 0
