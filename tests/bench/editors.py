"""Images a second and peak memory of the editors' models: `python -m tests.bench.editors`.

On a GPU: a Kontext-size and a Qwen-Image-Edit-size transformer with random bfloat16 weights made on the device, and
their VAEs; a group of 12 pictures of one case at 512 px, with the editors' own numbers of steps. Random weights cost
what trained ones do; text encoders are left out, because a group's one instruction is encoded once. Without a GPU: the
tiny models on this processor, and a row that says what was not measured.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from training.gpu.diffusion.noise import generators
from training.memory import FAMILIES, GB, Plan, estimate

GROUP, SIDE, SEED = 12, 512, 0
Build = Callable[[], tuple[Any, dict[str, Any]]]  # a pipeline on its device, and the words of one call


def row(what: str, value: float | str, unit: str = "", target: str = "") -> None:
    """One line of the table of `make bench`."""
    shown = round(value, 3) if isinstance(value, float) else value
    print(json.dumps({"what": what, "value": shown, "unit": unit, "target": target}), flush=True)


def source(side: int) -> Image.Image:
    return Image.linear_gradient("L").resize((side, side)).convert("RGB")


def embeddings(device: str, tokens: int, width: int) -> torch.Tensor:
    """A random text encoding [1, tokens, width], in the models' dtype."""
    return torch.randn((1, tokens, width), device=device, dtype=torch.get_default_dtype())


def kontext(device: str, side: int) -> tuple[Any, dict[str, Any]]:
    """The published configuration, without text encoders."""
    from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxKontextPipeline, FluxTransformer2DModel

    with torch.device(device):
        transformer = FluxTransformer2DModel(guidance_embeds=True)
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
            latent_channels=16,
            use_quant_conv=False,
            use_post_quant_conv=False,
            shift_factor=0.1159,
            scaling_factor=0.3611,
        )
    pipeline = FluxKontextPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=vae,
        text_encoder=None,
        tokenizer=None,
        text_encoder_2=None,
        tokenizer_2=None,
        transformer=transformer,
    )
    words = {
        "prompt_embeds": embeddings(device, 512, 4096),
        "pooled_prompt_embeds": embeddings(device, 1, 768)[0],
        "max_area": side * side,
        "_auto_resize": False,
        "guidance_scale": 2.5,
        "num_inference_steps": 28,
    }
    return pipeline, words


def qwen_image_edit(device: str, side: int) -> tuple[Any, dict[str, Any]]:
    """The published configuration, without its text encoder; two passes a step, as its guidance needs."""
    import diffusers

    from training.gpu.diffusion.qwen import sized

    with torch.device(device):
        transformer, vae = diffusers.QwenImageTransformer2DModel(), diffusers.AutoencoderKLQwenImage()
    kind = sized(diffusers.QwenImageEditPlusPipeline, side * side, VAE_IMAGE_SIZE=side * side)
    pipeline = kind(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=vae,
        text_encoder=None,
        tokenizer=None,
        processor=None,
        transformer=transformer,
    )
    words = {
        "prompt_embeds": embeddings(device, 250, 3584),
        "prompt_embeds_mask": torch.ones((1, 250), dtype=torch.long, device=device),
        "negative_prompt_embeds": embeddings(device, 220, 3584),
        "negative_prompt_embeds_mask": torch.ones((1, 220), dtype=torch.long, device=device),
        "true_cfg_scale": 4.0,
        "num_inference_steps": 40,
    }
    return pipeline, words


def group(pipeline: Any, words: dict[str, Any], count: int, side: int) -> float:
    """Seconds for one group of ``count`` pictures, decoded."""
    pipeline.vae.enable_slicing()
    pipeline.set_progress_bar_config(disable=True)
    start = time.perf_counter()
    made = pipeline(
        image=source(side),
        num_images_per_prompt=count,
        generator=generators(range(SEED, SEED + count)),
        height=side,
        width=side,
        **words,
    ).images
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    assert len(made) == count
    assert made[0].size == (side, side)
    return seconds


def on_gpu(family: str, build: Callable[[str, int], tuple[Any, dict[str, Any]]]) -> None:
    """Rows of one model. The first group, of one step, loads the kernels."""
    title = f"{FAMILIES[family].title} size, {torch.cuda.get_device_name()}, random bf16 weights"
    torch.set_default_dtype(torch.bfloat16)
    pipeline, words = build("cuda", SIDE)
    held = torch.cuda.memory_allocated()
    group(pipeline, words | {"num_inference_steps": 1}, GROUP, SIDE)
    torch.cuda.reset_peak_memory_stats()
    seconds = group(pipeline, words, GROUP, SIDE)
    peak = torch.cuda.max_memory_allocated()
    steps = words["num_inference_steps"]
    row(f"{title}: group of {GROUP} at {SIDE} px, {steps} steps", GROUP / seconds, "images/s")
    row(f"{title}: peak memory without text encoders", peak / GB, "GB")
    parts = estimate(Plan(FAMILIES[family], batch=GROUP, size=SIDE)).parts
    guess = (parts["images"] + parts["decoding"]) / GB
    row(f"{title}: peak above the weights (estimated: {guess:.1f})", (peak - held) / GB, "GB")
    torch.set_default_dtype(torch.float32)
    del pipeline, words
    torch.cuda.empty_cache()


def on_cpu() -> None:
    """The tiny models, through the editors themselves."""
    from training.gpu.editors import EditCase, load_editor
    from training.gpu.tiny import make

    torch.set_num_threads(1)  # more threads would only wait for each other
    case = EditCase(source(64), None, "make it winter", "style")
    for name, kind in (("flux_kontext", "kontext"), ("qwen_image_edit_plus", "qwen-edit-plus")):
        with tempfile.TemporaryDirectory() as folder:
            settings = {"model": str(make(kind, Path(folder) / kind)), "preset": "cpu", "size": 64, "steps": 4}
            editor = load_editor(name, settings | {"batch": GROUP})
        editor.edit(case, [0])
        start = time.perf_counter()
        editor.edit(case, range(GROUP))
        seconds = time.perf_counter() - start
        row(f"tiny {kind} (random weights), group of {GROUP} at 64 px, 4 steps, CPU", GROUP / seconds, "images/s")
    row(f"Kontext-size and Qwen-Image-Edit-size, groups of {GROUP} at {SIDE} px", "not run on a GPU")


def main() -> int:
    if not torch.cuda.is_available():
        on_cpu()
        return 0
    on_gpu("flux-kontext", kontext)
    on_gpu("qwen-image-edit-plus", qwen_image_edit)
    return 0


if __name__ == "__main__":
    sys.exit(main())
