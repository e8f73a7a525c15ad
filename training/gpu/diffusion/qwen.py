"""What the Qwen-Image-Edit pipelines need beside diffusers: a processor without torchvision, positions, sizes.

Three things of diffusers 0.42 with transformers 5.23 that change images without a word:

* ``Qwen2VLProcessor`` cannot be built without torchvision, because of videos. Only its pictures are needed here.
* The pipelines do not hand ``mm_token_type_ids`` to the text encoder, which then counts picture tokens as words
  instead of by row and column (diffusers issue 14194). ``positions_by_rows`` puts them back.
* The size of the reference picture is a constant of the module (1024²). ``sized`` makes it one of the pipeline.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FunctionType
from typing import Any

import torch
from PIL import Image
from transformers import BatchFeature, Qwen2Tokenizer, Qwen2VLProcessor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from training.gpu.diffusion.sizes import on_grid

IMAGE_TOKEN = "<|image_pad|>"  # noqa: S105 - a word of the vocabulary


class PictureProcessor(Qwen2VLProcessor):
    """Text with pictures to tokens and patches, as its parent does it, without the parent's videos."""

    def __init__(self, image_processor: Qwen2VLImageProcessorPil, tokenizer: Qwen2Tokenizer) -> None:
        # The parent's would ask for a video processor, and that for torchvision.
        self.image_processor, self.tokenizer = image_processor, tokenizer

    def __call__(
        self,
        text: Sequence[str],
        images: Image.Image | Sequence[Image.Image] | None = None,
        padding: bool = True,
        return_tensors: str = "pt",
    ) -> BatchFeature:
        """``input_ids`` and ``attention_mask`` [texts, tokens], ``pixel_values`` [patches, values], ``image_grid_thw``.

        Each picture's place in the text becomes as many tokens as the picture has merged patches.
        """
        pictures: dict[str, Any] = {}
        texts = list(text)
        if images is not None:
            found = [images] if isinstance(images, Image.Image) else list(images)
            pictures = dict(self.image_processor(images=found, return_tensors=return_tensors))
            merged = self.image_processor.merge_size**2
            counts = iter((pictures["image_grid_thw"].prod(-1) // merged).tolist())
            texts = [_with_places(one, counts) for one in texts]
        words = self.tokenizer(texts, padding=padding, return_tensors=return_tensors)
        return BatchFeature({**words, **pictures})

    def save_pretrained(self, save_directory: str | Path, push_to_hub: bool = False, **_ignored: Any) -> None:
        self.image_processor.save_pretrained(save_directory)
        self.tokenizer.save_pretrained(save_directory)

    @classmethod
    def read(cls, folder: Path) -> PictureProcessor:
        """From a pipeline's folder: pictures by ``processor/``, words by ``tokenizer/``."""
        pictures = Qwen2VLImageProcessorPil.from_pretrained(folder / "processor", local_files_only=True)
        return cls(pictures, Qwen2Tokenizer.from_pretrained(folder / "tokenizer", local_files_only=True))


def _with_places(text: str, counts: Any) -> str:
    first, *rest = text.split(IMAGE_TOKEN)
    return first + "".join(IMAGE_TOKEN * next(counts) + part for part in rest)


def positions_by_rows(text_encoder: Any) -> None:
    """Tell the text encoder which tokens are pictures, so that it counts them by row and column as it was trained.

    ``get_rope_index`` of transformers needs ``mm_token_type_ids`` (0 word, 1 picture), which the pipelines leave out.
    """
    picture = text_encoder.config.image_token_id

    def name_pictures(_module: Any, arguments: tuple[Any, ...], words: dict[str, Any]) -> Any:
        if words.get("input_ids") is not None and words.get("mm_token_type_ids") is None:
            words = {**words, "mm_token_type_ids": (words["input_ids"] == picture).int()}
        return arguments, words

    text_encoder.register_forward_pre_hook(name_pictures, with_kwargs=True)


def sized(pipeline: type, area: int, **constants: int) -> type:
    """A subclass of the pipeline whose own reference size is ``area`` pixels.

    The pipelines' ``__call__`` reads the size from its module. The subclass calls the same code with names of its own,
    so that neither the module nor another editor in this process is changed. ``constants`` are further names.
    """
    inner = inspect.unwrap(vars(pipeline)["__call__"])
    module: Any = inspect.getmodule(pipeline)
    assert isinstance(inner, FunctionType)
    with_rest = len(module.calculate_dimensions(1024, 1.0)) == 3  # one of the two modules adds a None
    condition = constants.get("CONDITION_IMAGE_SIZE")

    def dimensions(target: int, ratio: float) -> tuple[Any, ...]:
        size = on_grid(condition if condition and target == condition else area, ratio, 32)
        return (*size, None) if with_rest else size

    names = {**vars(module), **constants, "calculate_dimensions": dimensions}
    call: Callable[..., Any] = FunctionType(inner.__code__, names, "__call__", inner.__defaults__, inner.__closure__)
    call.__kwdefaults__ = inner.__kwdefaults__
    return type(pipeline.__name__, (pipeline,), {"__call__": torch.no_grad()(call), "__module__": pipeline.__module__})
