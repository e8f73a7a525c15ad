"""What differs between the families: how a picture becomes tokens, and how features reach the language model.

A family is added by one class here and one line in ``FAMILIES``; docs/reward-backbones.md says what a class has to do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from training.gpu.reward.vlm.template import Span


class WrongFamily(Exception):
    """No such model can be a backbone. The message is a sentence for the user."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """``pixels``: rows of all pictures, one after the other, as the tower takes them. ``shapes`` (pictures, 3): by
    which the family tells rows and tokens apart."""

    pixels: Tensor
    shapes: Tensor


class Family(ABC):
    """``core`` is the model with its language head, as transformers has it; ``vision``: the parts of ``core.model``
    that make features of pictures; ``axes``: directions of its positions."""

    vision: tuple[str, ...]
    axes: int
    settings: tuple[str, ...] = ()  # of the processor, that it forgets to write into its folder

    def __init__(self, processor: Any, config: Any) -> None:
        self.processor, self.config = processor, config
        self.image_token = int(config.image_token_id)

    @abstractmethod
    def pictures(self, pictures: Sequence[Image.Image]) -> Pictures:
        """Preprocessing by the family's own image processor. Raises ValueError for a picture that it refuses."""

    @abstractmethod
    def rows(self, shape: Sequence[int]) -> int:
        """Rows of ``pixels`` that a picture of that shape has."""

    @abstractmethod
    def spans(self, shape: Sequence[int]) -> list[Span]:
        """A picture's tokens, marks of its start and end included."""

    @abstractmethod
    def encode(self, core: Any, pixels: Tensor, shapes: Tensor) -> list[Tensor]:
        """For each picture its features (layers, tokens, width). The first layer takes the place of the tokens."""

    @abstractmethod
    def outputs(self, features: Sequence[Tensor]) -> Any:
        """The features as the model takes them from outside (``mm_encoder_outputs``)."""

    def _token(self, name: str) -> int:
        number = self.processor.tokenizer.convert_tokens_to_ids(name)
        if not isinstance(number, int):
            raise WrongFamily(f"The tokenizer has no {name}, which a picture needs.")
        return number


class Qwen25(Family):
    """Qwen2.5-VL: patches of the picture's own shape, positions in time, rows and columns."""

    vision = ("visual",)
    axes = 3

    def __init__(self, processor: Any, config: Any) -> None:
        super().__init__(processor, config)
        self.merge = int(config.vision_config.spatial_merge_size)
        check_mrope(config.text_config)

    def pictures(self, pictures: Sequence[Image.Image]) -> Pictures:
        made = self.processor.image_processor(list(pictures), return_tensors="pt")
        return Pictures(made["pixel_values"], made["image_grid_thw"])

    def rows(self, shape: Sequence[int]) -> int:
        return int(shape[0] * shape[1] * shape[2])

    def spans(self, shape: Sequence[int]) -> list[Span]:
        high, wide = int(shape[1]) // self.merge, int(shape[2]) // self.merge
        start, end = self._token("<|vision_start|>"), self._token("<|vision_end|>")
        return [Span((start,)), Span((self.image_token,) * (high * wide), (high, wide)), Span((end,))]

    def encode(self, core: Any, pixels: Tensor, shapes: Tensor) -> list[Tensor]:
        made = core.model.get_image_features(pixels, shapes, return_dict=True)
        return [one[None] for one in made.pooler_output]

    def outputs(self, features: Sequence[Tensor]) -> Any:
        return SimpleNamespace(pooler_output=[one[0] for one in features])


class Qwen3(Qwen25):
    """Qwen3-VL: as Qwen2.5-VL, and features of earlier blocks of the tower are added behind the first layers of the
    language model (DeepStack)."""

    def encode(self, core: Any, pixels: Tensor, shapes: Tensor) -> list[Tensor]:
        made = core.model.get_image_features(pixels, shapes, return_dict=True)
        return [torch.stack(layers) for layers in zip(made.pooler_output, *made.deepstack_features, strict=True)]

    def outputs(self, features: Sequence[Tensor]) -> Any:
        layers = [[one[layer] for one in features] for layer in range(features[0].shape[0])]
        return SimpleNamespace(pooler_output=layers[0], deepstack_features=layers[1:])


class InternVL(Family):
    """InternVL in its -hf form: square tiles and a small whole, positions that count up."""

    vision = ("vision_tower", "multi_modal_projector")
    axes = 1
    settings = ("image_seq_length",)

    def __init__(self, processor: Any, config: Any) -> None:
        super().__init__(processor, config)
        self.tokens = int(processor.image_seq_length)  # of a tile

    def pictures(self, pictures: Sequence[Image.Image]) -> Pictures:
        made = self.processor.image_processor(list(pictures), crop_to_patches=True, return_tensors="pt")
        tiles = torch.as_tensor(made["num_patches"]).reshape(-1, 1)
        return Pictures(made["pixel_values"], torch.cat([tiles, torch.ones(len(tiles), 2, dtype=tiles.dtype)], 1))

    def rows(self, shape: Sequence[int]) -> int:
        return int(shape[0])

    def spans(self, shape: Sequence[int]) -> list[Span]:
        start, end = self._token(self.processor.start_image_token), self._token(self.processor.end_image_token)
        return [Span((start, *(self.image_token,) * (self.tokens * int(shape[0])), end))]

    def encode(self, core: Any, pixels: Tensor, shapes: Tensor) -> list[Tensor]:
        made = core.model.get_image_features(pixels, return_dict=True).pooler_output  # (tiles, tokens, width)
        return [one.flatten(0, 1)[None] for one in made.split(shapes[:, 0].tolist())]

    def outputs(self, features: Sequence[Tensor]) -> Any:
        return SimpleNamespace(pooler_output=torch.cat([one[0] for one in features])[None])


FAMILIES: Mapping[str, type[Family]] = {"qwen2_5_vl": Qwen25, "qwen3_vl": Qwen3, "internvl": InternVL}


def family_class(config: Mapping[str, Any], name: str) -> type[Family]:
    """By the model's config.json. Raises WrongFamily."""
    kind = config.get("model_type")
    if kind not in FAMILIES:
        raise WrongFamily(
            f"{name} is of the type {kind!r:.100}. A reward model is built on one of: {', '.join(FAMILIES)}."
        )
    return FAMILIES[str(kind)]


def check_mrope(text: Any) -> None:
    """Raises WrongFamily for a configuration without sections of its rotary positions: transformers would then take
    other ones without a word."""
    sections = (getattr(text, "rope_parameters", None) or {}).get("mrope_section")
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    if not isinstance(sections, list | tuple) or len(sections) != 3 or 2 * sum(sections) != head:
        raise WrongFamily(
            f"The configuration's mrope_section is {sections!r:.100}: it must be three numbers whose sum is "
            f"{head // 2}, half the size of an attention head."
        )
