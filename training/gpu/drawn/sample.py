"""Edits through the stock FluxKontextPipeline, each with noise of its own seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image

from drawnworld.scene import SIZE
from training.gpu.drawn.words import TEXT_LENGTH


def sample(
    pipeline: Any,
    sources: Sequence[Image.Image],
    instructions: Sequence[str],
    noise_seeds: Sequence[int],
    steps: int,
) -> list[Image.Image]:
    """One edit of each source (64 x 64) in one batch. An edit depends on its own source, instruction and seed; another
    batch moves it by rounding alone, at most one level of 255."""
    images: list[Image.Image] = pipeline(
        image=list(sources),
        prompt=list(instructions),
        generator=[torch.Generator().manual_seed(seed) for seed in noise_seeds],
        num_inference_steps=steps,
        height=SIZE,
        width=SIZE,
        max_area=SIZE * SIZE,
        max_sequence_length=TEXT_LENGTH,
        _auto_resize=False,
    ).images
    return images
