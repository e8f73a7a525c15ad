"""An editor around a diffusers pipeline. An editor's own file says what one call of its pipeline takes."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from training.gpu.diffusion.loading import Loaded
from training.gpu.diffusion.noise import generators, noise_seed
from training.gpu.diffusion.settings import Settings
from training.gpu.diffusion.sizes import on_grid, resized
from training.gpu.editors import CannotEdit, EditCase, EditedImage, OutOfMemory

# The pipeline's words for so many pictures of a case at that size.
Arguments = Callable[[EditCase, Settings, tuple[int, int], int], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class DiffusionEditor:
    """``multiple``: width and height of the picture in work are multiples of it."""

    loaded: Loaded
    arguments: Arguments
    multiple: int

    @property
    def batch(self) -> int:
        """Seeds that a job hands to one ``edit``: for more the memory was not reckoned."""
        return self.loaded.settings.batch

    def edit(self, case: EditCase, seeds: Sequence[int]) -> list[EditedImage]:
        """One picture a seed, all of them in one call of the pipeline, each by the case's own instruction. Raises
        CannotEdit, OutOfMemory."""
        if not case.instruction.strip():
            raise CannotEdit("The case has no instruction, and this editor edits by instruction.")
        settings = self.loaded.settings
        size = on_grid(settings.size**2, case.source.width / case.source.height, self.multiple)
        start = time.perf_counter()
        pictures = self._run(seeds, self.arguments(case, settings, size, len(seeds)))
        seconds = (time.perf_counter() - start) / len(seeds)
        record = {
            **self.loaded.recorded,
            "size": list(size),
            "source_size": list(case.source.size),
            "batch": len(seeds),
        }
        return [
            EditedImage(resized(picture, case.source.size), seed, noise_seed(seed), record, seconds)
            for picture, seed in zip(pictures, seeds, strict=True)
        ]

    def _run(self, seeds: Sequence[int], words: Mapping[str, Any]) -> list[Image.Image]:
        settings = self.loaded.settings
        with suppress(torch.OutOfMemoryError):  # whose traceback holds the tensors, so the rest comes after it
            made = self.loaded.pipeline(**words, generator=generators(seeds), num_inference_steps=settings.steps)
            pictures: list[Image.Image] = made.images
            return pictures
        gc.collect()
        torch.cuda.empty_cache()
        raise OutOfMemory(
            f"The GPU ran out of memory with {len(seeds)} pictures of {settings.size} px at once: use a smaller "
            f"batch or size, or an offload mode after {settings.offload!r}."
        )


def negative(case: EditCase, settings: Settings) -> dict[str, Any]:
    """Guidance away from the negative prompt, or none of it at ``true_cfg`` 1.

    Raises CannotEdit where both prompts are the same: their difference, which guidance magnifies, would be nothing.
    """
    scale, prompt = settings.own["true_cfg"], settings.own["negative_prompt"]
    if scale <= 1:
        return {"true_cfg_scale": 1.0}
    if prompt.strip() == case.instruction.strip():
        raise CannotEdit("The negative prompt is the case's instruction: guidance between the two would do nothing.")
    return {"true_cfg_scale": float(scale), "negative_prompt": prompt}
