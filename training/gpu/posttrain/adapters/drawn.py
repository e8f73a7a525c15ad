"""The CPU editor in post-training: the stock FluxKontextPipeline of the drawn world, step by step.

Every number is made as the pipeline makes it, so that a path without noise ends in the pipeline's own picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from drawnworld.scene import SIZE
from training.gpu.diffusion.noise import generators
from training.gpu.drawn.autoencoder import PATCH
from training.gpu.drawn.words import TEXT_LENGTH
from training.gpu.editors import EditCase, EditorError
from training.gpu.editors import drawn as editor
from training.gpu.posttrain import lora
from training.gpu.posttrain.adapter import Condition
from training.posttraining.config import BFLOAT16, Config

PACK = 2  # latents of a token's side
BLOCKS = ("transformer_blocks.", "single_transformer_blocks.")
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")


def load(settings: Mapping[str, Any], config: Config, device: Any = "cpu") -> DrawnAdapter:
    """The adapter of an editor's settings (training/gpu/editors/drawn.py); a LoRA among them is refused, as a run adds
    one of its own. Raises EditorError."""
    if settings.get("lora"):
        raise EditorError(
            "This editor carries a LoRA already, and post-training adds one of its own. Choose the base, "
            "or a folder with merged weights."
        )
    if config.size != SIZE:
        raise EditorError(
            f"The CPU editor's pictures have {SIZE} x {SIZE} pixels: set size to {SIZE}, not {config.size}."
        )
    return DrawnAdapter(editor.load(settings).pipeline, device, half=config.dtype == BFLOAT16 and _has_half(device))


def _has_half(device: Any) -> bool:
    """Whether the processor has instructions for bfloat16: without them it is slower than float32."""
    return torch.device(device).type == "cuda" or bool(torch.cpu._is_avx512_bf16_supported())


class DrawnAdapter:
    """``pipeline``: from training.gpu.drawn.assemble, with weights. ``half``: the quick steps, from which nothing is
    learned, are computed in bfloat16; velocities are then off by a hundredth, and a pass takes two thirds of the time.
    """

    grid = PACK * PATCH

    def __init__(self, pipeline: Any, device: str | torch.device = "cpu", *, half: bool = False) -> None:
        self.half = half
        self.pipeline = pipeline.to(device)
        self.transformer: nn.Module = pipeline.transformer
        self.device = torch.device(device)
        self._stacked: tuple[list[Condition], dict[str, Tensor]] = ([], {})
        for part in (pipeline.transformer, pipeline.text_encoder, pipeline.text_encoder_2, pipeline.vae):
            part.requires_grad_(False).eval()
        ids = pipeline._prepare_latent_image_ids(1, SIZE // self.grid, SIZE // self.grid, self.device, torch.float32)
        self.places = torch.cat([ids, ids + torch.tensor([1.0, 0, 0], device=self.device)])  # image 1 is the source
        self.text_places = torch.zeros(TEXT_LENGTH, 3, device=self.device)

    def targets(self, which: str) -> list[str]:
        """The blocks' linear layers; without feed-forward and modulation for "attention"."""
        names = [name for name, module in self.transformer.named_modules() if isinstance(module, nn.Linear)]
        inner = [name for name in names if name.startswith(BLOCKS)]
        return inner if which == "all" else [name for name in inner if name.endswith(ATTENTION)]

    @torch.no_grad()
    def encode(self, cases: Sequence[EditCase]) -> list[Condition]:
        for case in cases:
            editor.check_case(case)
        if not cases:
            return []
        words, pooled, _ = self.pipeline.encode_prompt(
            prompt=[case.instruction for case in cases],
            prompt_2=None,
            device=self.device,
            max_sequence_length=TEXT_LENGTH,
        )
        source = self._packed([case.source.convert("RGB") for case in cases])
        parts = zip(words.cpu(), pooled.cpu(), source.cpu(), strict=True)
        return [Condition((SIZE, SIZE), {"words": w, "pooled": p, "source": s}) for w, p, s in parts]

    def noise(self, condition: Condition, seeds: Sequence[int]) -> Tensor:
        side = SIZE // PATCH
        shape = (1, self.pipeline.latent_channels, side, side)
        drawn = torch.cat([torch.randn(shape, generator=one) for one in generators(seeds)])
        packed: Tensor = self.pipeline._pack_latents(drawn, *drawn.shape)
        return packed.to(self.device)

    def sigmas(self, condition: Condition, steps: int) -> Tensor:
        scheduler = deepcopy(self.pipeline.scheduler)
        scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), device=self.device)
        found: Tensor = scheduler.sigmas.clone()
        return found

    def velocity(self, x: Tensor, sigma: Tensor, conditions: Sequence[Condition]) -> Tensor:
        told = self._stack(conditions)
        answer: Tensor = self.transformer(
            hidden_states=torch.cat([x, told["source"]], 1),
            timestep=sigma * 1000 / 1000,  # the pipeline's rounding
            pooled_projections=told["pooled"],
            encoder_hidden_states=told["words"],
            txt_ids=self.text_places,
            img_ids=self.places,
            return_dict=False,
        )[0]
        return answer[:, : x.shape[1]].to(x.dtype)

    @torch.no_grad()
    def decode(self, x: Tensor, conditions: Sequence[Condition]) -> list[Image.Image]:
        pipe = self.pipeline
        latents = pipe._unpack_latents(x, SIZE, SIZE, pipe.vae_scale_factor)
        latents = latents / pipe.vae.config.scaling_factor + pipe.vae.config.shift_factor
        pictures: list[Image.Image] = pipe.image_processor.postprocess(pipe.vae.decode(latents, return_dict=False)[0])
        return pictures

    @torch.no_grad()
    def latents(self, pictures: Sequence[Image.Image], conditions: Sequence[Condition]) -> Tensor:
        return self._packed([picture.convert("RGB") for picture in pictures])

    @contextmanager
    def quick(self) -> Iterator[None]:
        with (
            lora.folded(self.transformer),
            torch.autocast(self.device.type, torch.bfloat16, enabled=self.half, cache_enabled=False),
        ):
            yield

    def base(self) -> AbstractContextManager[None]:
        return lora.without(self.transformer)

    def _packed(self, pictures: Sequence[Image.Image]) -> Tensor:
        pixels = self.pipeline.image_processor.preprocess(list(pictures), SIZE, SIZE).to(self.device)
        latents = self.pipeline._encode_vae_image(pixels, None)
        packed: Tensor = self.pipeline._pack_latents(latents, *latents.shape)
        return packed

    def _stack(self, conditions: Sequence[Condition]) -> dict[str, Tensor]:
        """The conditions as one batch. The last one is kept: a path asks for the same many times."""
        kept, found = self._stacked
        if len(kept) != len(conditions) or any(a is not b for a, b in zip(kept, conditions, strict=True)):
            names = conditions[0].tensors
            found = {name: torch.stack([one.tensors[name] for one in conditions]).to(self.device) for name in names}
            self._stacked = list(conditions), found
        return found
