"""Qwen-Image-Edit-2509, "Plus", through diffusers (https://huggingface.co/Qwen/Qwen-Image-Edit-2509).

The pipeline takes one instruction a call; a group of pictures is several pictures of that one. It shows the source to
its text encoder at ``condition_size`` and to its transformer at ``size``, which the pipeline keeps at 1024².
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from training.gpu.diffusion.settings import Spec
from training.gpu.diffusion.settings import check as check_spec
from training.gpu.editors import Editor
from training.gpu.editors.qwen_image_edit import load_qwen

SPEC = Spec(
    name="qwen_image_edit_plus",
    family="qwen-image-edit-plus",
    pipeline="QwenImageEditPlusPipeline",
    model="Qwen/Qwen-Image-Edit-2509",
    own={"size": 1024, "steps": 40, "true_cfg": 4.0, "negative_prompt": " ", "condition_size": 384},
)
check = partial(check_spec, SPEC)


def load(settings: Mapping[str, Any]) -> Editor:
    """``settings``: docs/editors.md. Raises EditorError."""
    return load_qwen(SPEC, settings)
