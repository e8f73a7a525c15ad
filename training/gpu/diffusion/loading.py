"""A pipeline on its device: memory checked, weights loaded, LoRA put on, offload, attention and compiling set."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from safetensors import SafetensorError

from training.gpu.diffusion import lora, weights
from training.gpu.diffusion.settings import Settings, Spec, parse, plan
from training.gpu.editors import EditorError
from training.gpu.tensors import lora_rank
from training.memory import Estimate, estimate, fits, fits_host

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
Changed = Callable[[type, Settings, Path], tuple[type, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A pipeline that is ready, its settings, and what is recorded with every image that it makes."""

    pipeline: Any
    spec: Spec
    settings: Settings
    recorded: Mapping[str, Any] = field(default_factory=dict)


def load(spec: Spec, settings: Mapping[str, Any], changed: Changed | None = None) -> Loaded:
    """Load the pipeline of those settings.

    ``changed`` may give another pipeline class, and components that are not read from the folder. Raises EditorError
    with a sentence for the user for wrong settings, weights that are not here or cannot be used, or too little memory.
    """
    full = parse(spec, settings, gpu_memory(settings))
    device = _device(full)
    found = weights.find(spec, full)
    rank = lora_rank(Path(full.lora.file)) if full.lora else 0
    needed = estimate(plan(spec, full, family=weights.family(spec, found.folder), rank=rank))
    check_memory(needed, device, spread=full.device_map != "none")
    _quiet()
    pipeline = _read(spec, full, found.folder, changed)
    loaded = lora.load(pipeline, spec.part, full.lora) if full.lora else None
    _place(pipeline, full, device)
    _tune(pipeline, spec, full)
    return Loaded(pipeline, spec, full, _record(pipeline, full, found, device, loaded))


def gpu_memory(settings: Mapping[str, Any]) -> int | None:
    """The whole memory of the GPU that the settings mean, in bytes; None without one."""
    if not torch.cuda.is_available():
        return None
    name = str(settings.get("device", "auto"))
    number = int(name.partition(":")[2] or 0) if name.startswith("cuda") else 0
    if number >= torch.cuda.device_count():
        raise EditorError(f"There is no device {name}: this machine has {torch.cuda.device_count()} GPUs.")
    total: int = torch.cuda.mem_get_info(number)[1]
    return total


def _device(settings: Settings) -> torch.device:
    if settings.device != "cpu" and not torch.cuda.is_available():
        raise EditorError(f'The device {settings.device!r} is not here: this machine has no GPU. Use the preset "cpu".')
    return torch.device(settings.device)


def check_memory(needed: Estimate, device: torch.device, *, spread: bool = False) -> None:
    """Raise EditorError where the estimate is more than what is free now; ``spread``: over all GPUs together."""
    if device.type == "cpu":
        problem = fits(needed, memory_free())
    else:
        numbers = range(torch.cuda.device_count()) if spread else (device.index or 0,)
        problem = fits(needed, sum(torch.cuda.mem_get_info(number)[0] for number in numbers))
        problem = problem or fits_host(needed, memory_free())
    if problem:
        raise EditorError(problem)


def memory_free() -> int:
    """Bytes of this machine's memory that a process can have without swapping."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _quiet() -> None:
    """The job's log is for people: no progress bars of single files."""
    for package in ("diffusers", "transformers"):
        import_module(f"{package}.utils.logging").disable_progress_bar()


def _read(spec: Spec, settings: Settings, folder: Path, changed: Changed | None) -> Any:
    kind: Any = getattr(import_module("diffusers"), spec.pipeline)
    given: dict[str, Any] = {}
    if changed:
        kind, given = changed(kind, settings, folder)
    if settings.device_map != "none":
        given["device_map"] = settings.device_map
    try:
        return kind.from_pretrained(
            folder, dtype=DTYPES[settings.dtype], use_safetensors=True, local_files_only=True, **given
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise EditorError(
            f"The weights in {folder} cannot be loaded ({type(error).__name__}): {error!s:.500}"
        ) from error


def _place(pipeline: Any, settings: Settings, device: torch.device) -> None:
    if settings.device_map != "none":
        return
    if settings.offload == "none":
        pipeline.to(device)
    elif settings.offload == "model":
        pipeline.enable_model_cpu_offload(device=device)
    elif settings.offload == "sequential":
        pipeline.enable_sequential_cpu_offload(device=device)
    else:
        # By layers, not blocks: a text encoder's blocks lie too deep for it, and it would come as a whole.
        pipeline.enable_group_offload(
            onload_device=device, offload_type="leaf_level", use_stream=True, exclude_modules=["vae"]
        )
        pipeline.vae.to(device)


def _tune(pipeline: Any, spec: Spec, settings: Settings) -> None:
    pipeline.set_progress_bar_config(disable=True)
    pipeline.vae.enable_slicing()  # one picture at a time: less memory, and none depends on its batch
    model = getattr(pipeline, spec.part)
    if settings.attention != "default":
        try:
            model.set_attention_backend(settings.attention)
        except (ValueError, RuntimeError, ImportError, NotImplementedError) as error:
            raise EditorError(f"The attention {settings.attention!r} cannot be used here: {error!s:.300}") from error
    if settings.compile and getattr(model, "_repeated_blocks", None):
        model.compile_repeated_blocks(dynamic=True)  # one block for all: minutes less than the whole
    elif settings.compile:
        model.compile()


def _record(
    pipeline: Any, settings: Settings, found: weights.Weights, device: torch.device, loaded: Any
) -> dict[str, Any]:
    return {
        "model": found.name,
        "revision": found.revision or None,
        "weights": weights.fingerprint(found.folder),
        "preset": settings.preset,
        "dtype": settings.dtype,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "offload": settings.offload,
        "attention": settings.attention,
        "compile": settings.compile,
        "scheduler": type(pipeline.scheduler).__name__,
        "steps": settings.steps,
        **settings.own,
        "lora": loaded,
        "versions": {module.__name__: module.__version__ for module in (torch, diffusers, transformers)},
    }
