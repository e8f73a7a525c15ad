"""Qwen-Image-Edit, through diffusers (https://huggingface.co/Qwen/Qwen-Image-Edit).

The pipeline shows the source to its text encoder and to its transformer at one size, always 1024²; here at ``size``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from training.gpu.diffusion.settings import Settings, Spec
from training.gpu.diffusion.settings import check as check_spec
from training.gpu.editors import EditCase, Editor

SPEC = Spec(
    name="qwen_image_edit",
    family="qwen-image-edit",
    pipeline="QwenImageEditPipeline",
    model="Qwen/Qwen-Image-Edit",
    own={"size": 1024, "steps": 50, "true_cfg": 4.0, "negative_prompt": " "},
)
check = partial(check_spec, SPEC)


def load(settings: Mapping[str, Any]) -> Editor:
    """``settings``: docs/editors.md. Raises EditorError."""
    return load_qwen(SPEC, settings)


def load_qwen(spec: Spec, settings: Mapping[str, Any]) -> Editor:
    """Either of the Qwen pipelines: they take the same words."""
    from training.gpu.diffusion.editor import DiffusionEditor, negative
    from training.gpu.diffusion.loading import load as load_pipeline
    from training.gpu.diffusion.qwen import PictureProcessor, positions_by_rows, sized

    def changed(pipeline: type, chosen: Settings, folder: Path) -> tuple[type, dict[str, Any]]:
        seen = chosen.own.get("condition_size")
        constants = {"CONDITION_IMAGE_SIZE": seen**2, "VAE_IMAGE_SIZE": chosen.size**2} if seen else {}
        return sized(pipeline, chosen.size**2, **constants), {"processor": PictureProcessor.read(folder)}

    def arguments(case: EditCase, chosen: Settings, size: tuple[int, int], count: int) -> dict[str, Any]:
        return {
            "image": case.source,
            "prompt": case.instruction,
            "num_images_per_prompt": count,
            "width": size[0],
            "height": size[1],
            **negative(case, chosen),
        }

    loaded = load_pipeline(spec, settings, changed)
    positions_by_rows(loaded.pipeline.text_encoder)
    return DiffusionEditor(loaded, arguments, 32)
