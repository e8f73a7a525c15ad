"""What an editor will need, asked before a job is started. No torch: pages ask it too."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from training.gpu.diffusion import weights
from training.gpu.diffusion.settings import Settings, Spec, parse, plan
from training.gpu.editors import check_editor_name
from training.gpu.tensors import lora_rank
from training.memory import Estimate, Family, estimate

RANK = 32  # taken for a LoRA whose file is not on this machine


def spec_of(module: str) -> Spec | None:
    """None for an editor without a pipeline of diffusers."""
    spec = getattr(import_module(f"training.gpu.editors.{check_editor_name(module)}"), "SPEC", None)
    return spec if isinstance(spec, Spec) else None


def needs(module: str, settings: Mapping[str, Any], gpu_memory: int | None) -> Estimate | None:
    """The memory that an editor of that module will need on a machine with such a GPU (bytes; None: without one).

    The weights are counted where the model is a folder that can be seen from here, and the published sizes taken for
    the published model. None where it cannot be told: a folder or a Hub id that only the worker may have (the job
    looks when it loads), or an editor without a model of those families. Raises EditorError for wrong settings or
    weights.
    """
    spec = spec_of(module)
    if spec is None:
        return None
    full = parse(spec, settings, gpu_memory)
    family = _family(spec, full)
    return estimate(plan(spec, full, family=family, rank=_rank(full))) if family else None


def _family(spec: Spec, settings: Settings) -> Family | None:
    folder = Path(settings.model)
    if weights.is_here(folder):
        return weights.family(spec, folder)
    return spec.numbers if settings.model == spec.model else None


def _rank(settings: Settings) -> int:
    return (lora_rank(Path(settings.lora.file)) or RANK) if settings.lora else 0
