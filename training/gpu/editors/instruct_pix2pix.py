"""InstructPix2Pix, through diffusers (https://huggingface.co/timbrooks/instruct-pix2pix; arXiv 2211.09800).

The safety checker is left out: it turns pictures black, which people would then judge as edits.
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
    name="instruct_pix2pix",
    family="instruct-pix2pix",
    pipeline="StableDiffusionInstructPix2PixPipeline",
    model="timbrooks/instruct-pix2pix",
    own={"size": 512, "steps": 100, "guidance": 7.5, "image_guidance": 1.5, "negative_prompt": ""},
    part="unet",
)
check = partial(check_spec, SPEC)


def load(settings: Mapping[str, Any]) -> Editor:
    """``settings``: docs/editors.md. Raises EditorError."""
    from training.gpu.diffusion.editor import DiffusionEditor
    from training.gpu.diffusion.loading import load as load_pipeline
    from training.gpu.diffusion.sizes import resized
    from training.gpu.editors import CannotEdit, EditorError

    def unchecked(pipeline: type, _chosen: Settings, _folder: Path) -> tuple[type, dict[str, Any]]:
        return pipeline, {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}

    def arguments(case: EditCase, chosen: Settings, size: tuple[int, int], count: int) -> dict[str, Any]:
        if chosen.own["negative_prompt"].strip() == case.instruction.strip():
            raise CannotEdit("The negative prompt is the case's instruction: guidance would do nothing.")
        return {
            "image": [resized(case.source, size)] * count,
            "prompt": [case.instruction] * count,
            "negative_prompt": [chosen.own["negative_prompt"]] * count,
            "guidance_scale": float(chosen.own["guidance"]),
            "image_guidance_scale": float(chosen.own["image_guidance"]),
        }

    if settings.get("attention", "default") != "default":
        raise EditorError("instruct_pix2pix has no other attention than the default.")
    loaded = load_pipeline(SPEC, settings, unchecked)
    pipeline = loaded.pipeline
    halvings = len(pipeline.unet.config.block_out_channels) - 1
    return DiffusionEditor(loaded, arguments, pipeline.vae_scale_factor * 2**halvings)
