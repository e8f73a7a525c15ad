"""Adapters by the editor's module name: one file a family of models. docs/post-training-models.md tells how to add one.

Nothing here imports torch before an adapter is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from training.gpu.editors import EditorError, check_editor_name
from training.posttraining.config import Config

if TYPE_CHECKING:
    from training.gpu.posttrain.adapter import Adapter

FILES: Mapping[str, str] = {
    "drawn": "drawn",
    "flux_kontext": "kontext",
    "qwen_image_edit": "qwen",
    "qwen_image_edit_plus": "qwen",
}
REASONS: Mapping[str, str] = {
    "instruct_pix2pix": "it predicts noise on another schedule, and post-training is written for flow matching",
    "classical": "it edits by formulas and has no weights",
    "folder": "it shows pictures that were made elsewhere",
    "openai_images": "its weights are behind a service",
}


def why_not(module: str) -> str:
    """Empty where editors of that module can be post-trained, else a sentence for the user."""
    if module in FILES:
        return ""
    reason = REASONS.get(module, "nobody has written an adapter for it (docs/post-training-models.md)")
    return f"The editor {module} cannot be post-trained: {reason}. Those that can are: {', '.join(FILES)}."


def load_adapter(module: str, settings: Mapping[str, Any], config: Config, device: Any) -> Adapter:
    """The editor of that module with those settings, ready for a LoRA on ``device`` (a torch.device or its name). The
    picture's size and the weights' type are the configuration's. Raises EditorError in the user's words."""
    check_editor_name(module)
    if words := why_not(module):
        raise EditorError(words)
    adapter: Adapter
    if module == "drawn":
        adapter = import_module(f"{__name__}.drawn").load(settings, config, device)
    else:
        adapter = import_module(f"{__name__}.{FILES[module]}").load(module, settings, config, device)
    return adapter
