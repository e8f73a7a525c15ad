"""FLUX.1 Kontext [dev], through diffusers (https://huggingface.co/black-forest-labs/FLUX.1-Kontext-dev).

The pipeline would resize every source to one of its own sizes near 1024², and every picture to an area of 1024²:
``_auto_resize`` and ``max_area`` are set, so that ``size`` alone says how large the picture in work is.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from training.gpu.diffusion.settings import Spec
from training.gpu.diffusion.settings import check as check_spec
from training.gpu.editors import EditCase, Editor

SPEC = Spec(
    name="flux_kontext",
    family="flux-kontext",
    pipeline="FluxKontextPipeline",
    model="black-forest-labs/FLUX.1-Kontext-dev",
    own={"size": 1024, "steps": 28, "guidance": 2.5, "true_cfg": 1.0, "negative_prompt": "", "words": 512},
)
check = partial(check_spec, SPEC)


def load(settings: Mapping[str, Any]) -> Editor:
    """``settings``: docs/editors.md. Raises EditorError."""
    from training.gpu.diffusion.editor import DiffusionEditor, negative
    from training.gpu.diffusion.loading import load as load_pipeline
    from training.gpu.diffusion.settings import Settings
    from training.gpu.diffusion.sizes import resized

    def arguments(case: EditCase, chosen: Settings, size: tuple[int, int], count: int) -> dict[str, Any]:
        width, height = size
        return {
            "image": resized(case.source, size),
            "prompt": case.instruction,
            "num_images_per_prompt": count,
            "guidance_scale": float(chosen.own["guidance"]),
            "max_sequence_length": chosen.own["words"],
            "width": width,
            "height": height,
            "max_area": width * height,
            "_auto_resize": False,
            **negative(case, chosen),
        }

    loaded = load_pipeline(SPEC, settings)
    return DiffusionEditor(loaded, arguments, loaded.pipeline.vae_scale_factor * 2)
