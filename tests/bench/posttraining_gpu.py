"""Images a second, memory and seconds of post-training on a GPU: `python -m tests.bench.posttraining_gpu`.

On a GPU: a Kontext-size and a Qwen-Image-Edit-size transformer with random bfloat16 weights made on the device, and
their VAEs; rounds of the preset "fast" with two groups instead of eight. Random weights cost what trained ones do. Text
encoders are left out, because cases are encoded once before training; rewards are numbers made up, which cost nothing.
Without a GPU: a row that says so; with --tiny also the tiny models on this processor, to see that it runs.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tests.bench import editors
from tests.bench.editors import row, source
from training.gpu.editors import EditCase
from training.gpu.posttrain.adapter import Condition
from training.gpu.posttrain.cases import RunCase
from training.memory import FAMILIES, GB
from training.posttraining import costs
from training.posttraining.config import Config, preset

GROUPS, WORDS = 2, {"flux_kontext": 512, "qwen_image_edit_plus": 320}  # text tokens of a case
Build = Callable[[str, int], tuple[Any, dict[str, Any]]]


def cases(side: int) -> list[RunCase]:
    found = []
    for number in range(GROUPS):
        case = EditCase(source(side).rotate(90 * number), None, "make it winter", "style", key=f"case {number}")
        found.append(RunCase(number, "train", case))
    return found


def made_up(samples: Sequence[Any]) -> list[float]:
    """Rewards that differ within a group, so that every sample is learned from."""
    return [number / len(samples) for number in range(len(samples))]


def random_adapter(module: str, build: Build, config: Config, device: str = "cuda") -> Any:
    """The adapter of a pipeline of the published size, with random weights made on the device."""
    from training.gpu.diffusion.loading import Loaded
    from training.gpu.diffusion.needs import spec_of
    from training.gpu.diffusion.settings import parse
    from training.gpu.posttrain.adapters.kontext import KontextAdapter
    from training.gpu.posttrain.adapters.qwen import QwenAdapter

    torch.set_default_dtype(torch.bfloat16)
    pipeline, _ = build(device, config.size)
    torch.set_default_dtype(torch.float32)
    pipeline.vae.enable_slicing()
    spec = spec_of(module)
    assert spec
    settings = parse(spec, {"size": config.size, "device": device, "preset": "141gb"}, 139 * 2**30)
    kind = KontextAdapter if module == "flux_kontext" else QwenAdapter
    return kind(Loaded(pipeline, spec, settings), config, device)


def random_conditions(module: str, adapter: Any, given: Sequence[RunCase]) -> list[Condition]:
    """As text encoders would make them, of random numbers; sources as they are."""
    found = []
    length, shape = WORDS[module], adapter.pipeline.transformer.config
    for one in given:
        size = adapter.size_of(one.case)
        told = {"words": torch.randn(length, shape.joint_attention_dim, dtype=adapter.dtype)}
        if module == "flux_kontext":
            told["pooled"] = torch.randn(shape.pooled_projection_dim, dtype=adapter.dtype)
        else:
            told["mask"] = torch.ones(length, dtype=torch.bool)
        with torch.no_grad():
            told["source"] = adapter.vae_encode(one.case.source.resize(size))[0].to("cpu", adapter.dtype)
        found.append(Condition((*size, length), told, adapter.told(one.case, size)))
    return found


def measure(title: str, adapter: Any, config: Config, conditions: Sequence[Condition] | None) -> None:
    """Rows of one model: the second of two rounds, as the first loads kernels."""
    from training.gpu.posttrain.online import Direct, Online

    learning = Online(config, adapter, cases(config.size), Direct(made_up), conditions=conditions)
    told = learning.round(0)
    if first := abs(told["ratio_first"] - 1):
        row(f"{title}: ratio of the first update, away from 1", first, "", "exactly 0")
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    told = learning.round(1)
    seconds, images = told["seconds"], told["images"]
    what = f"{images} images at {config.size} px, {config.steps} steps, {config.window} of them learned from"
    row(f"{title}: round of {what}", images / sum(seconds.values()), "images/s/GPU")
    for phase in ("sampling", "update"):
        row(f"{title}: {phase}", images / max(seconds[phase], 1e-9), "images/s/GPU")
        row(f"{title}: {phase}, a round", seconds[phase], "s")


def on_gpu(module: str, build: Build) -> None:
    config = replace(preset("fast"), groups=GROUPS)
    family = FAMILIES[costs.MODULES[module]]
    title = f"{family.title} size, post-training preset fast, {torch.cuda.get_device_name()}, random bf16 weights"
    adapter = random_adapter(module, build, config)
    measure(title, adapter, config, random_conditions(module, adapter, cases(config.size)))
    counts = {name: family.parameters[name] for name in ("transformer", "vae")}
    guess = costs.memory(family, config, parameters=counts).slim / GB
    peak = torch.cuda.max_memory_allocated() / GB
    row(f"{title}: peak memory without text encoders (estimated: {guess:.1f})", peak, "GB")
    del adapter
    torch.cuda.empty_cache()


def on_cpu() -> None:
    """The tiny models with the same code, in the preset's own numbers but for size."""
    from training.gpu.posttrain.adapters import load_adapter
    from training.gpu.tiny import make

    torch.set_num_threads(1)  # more threads would only wait for each other
    config = replace(preset("fast"), groups=GROUPS, size=64, dtype="float32", device="cpu")
    for module, kind in (("flux_kontext", "kontext"), ("qwen_image_edit_plus", "qwen-edit-plus")):
        with tempfile.TemporaryDirectory() as folder:
            settings = {"model": str(make(kind, Path(folder) / kind)), "preset": "cpu"}
            adapter = load_adapter(module, settings, config, "cpu")
        measure(f"tiny {kind} (random weights), post-training preset fast, CPU", adapter, config, None)


def main(words: Sequence[str]) -> int:
    if torch.cuda.is_available():
        on_gpu("flux_kontext", editors.kontext)
        on_gpu("qwen_image_edit_plus", editors.qwen_image_edit)
        return 0
    if "--tiny" in words:
        on_cpu()
    row("Kontext-size and Qwen-Image-Edit-size, post-training preset fast at 512 px", "not run on a GPU")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
