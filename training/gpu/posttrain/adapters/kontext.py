"""FLUX.1 Kontext in post-training: the source's tokens stand behind the picture's, and guidance is a number it is told.

The pipeline's own sizes near a megapixel are not used: source and picture in work both have the configuration's size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from training.gpu.diffusion.loading import Loaded
from training.gpu.diffusion.sizes import resized
from training.gpu.editors import EditCase
from training.gpu.editors.flux_kontext import SPEC
from training.gpu.posttrain.adapter import Condition
from training.gpu.posttrain.adapters.common import ATTENTION, PipelineAdapter, layers, load_pipeline
from training.posttraining.config import Config

FEED_FORWARD = ("ff.net.0.proj", "ff.net.2", "ff_context.net.0.proj", "ff_context.net.2", "proj_mlp", "proj_out")


def load(module: str, settings: Mapping[str, Any], config: Config, device: torch.device | str) -> KontextAdapter:
    """Raises EditorError."""
    return KontextAdapter(load_pipeline(SPEC, settings, config), config, device)


class KontextAdapter(PipelineAdapter):
    text_encoders = ("text_encoder", "text_encoder_2")

    def __init__(self, loaded: Loaded, config: Config, device: torch.device | str) -> None:
        self.multiple = loaded.pipeline.vae_scale_factor * 2
        super().__init__(loaded, config, device)

    def targets(self, which: str) -> list[str]:
        attention = tuple(f"attn.{name}" for name in ATTENTION)
        return layers(self.transformer, attention + (FEED_FORWARD if which == "all" else ()))

    def encode_one(self, case: EditCase, size: tuple[int, int]) -> Condition:
        words, pooled, _ = self.pipeline.encode_prompt(
            prompt=[case.instruction],
            prompt_2=None,
            device=self.device,
            max_sequence_length=self.settings.own["words"],
        )
        source = self.vae_encode(resized(case.source, size)).to(self.dtype)
        told = {"words": words[0].cpu(), "pooled": pooled[0].cpu(), "source": source[0].cpu()}
        return Condition((*size, words.shape[1]), told, self.told(case, size))

    def words(self, told: Mapping[str, Tensor], conditions: Sequence[Condition]) -> dict[str, Any]:
        count, length = told["words"].shape[:2]
        return {
            "encoder_hidden_states": told["words"],
            "pooled_projections": told["pooled"],
            "guidance": self._guidance(count),
            "txt_ids": torch.zeros(length, 3, device=self.device),
            "img_ids": self._places(conditions[0].told["size"]),
        }

    def _guidance(self, count: int) -> Tensor | None:
        if not self.pipeline.transformer.config.guidance_embeds:
            return None
        return torch.full([count], float(self.settings.own["guidance"]), device=self.device, dtype=torch.float32)

    def _places(self, size: tuple[int, int]) -> Tensor:
        """Row and column of each token; the first number is 0 in the picture and 1 in the source."""
        width, height = (side // self.grid for side in size)
        one: Tensor = self.pipeline._prepare_latent_image_ids(1, height, width, self.device, torch.float32)
        return torch.cat([one, one + one.new_tensor([1.0, 0.0, 0.0])])

    def vae_encode(self, picture: Image.Image) -> Tensor:
        width, height = picture.size
        pixels = self.pipeline.image_processor.preprocess(picture, height, width)
        return self.pack(self.pipeline._encode_vae_image(pixels.to(self.device, self.dtype), None))

    def vae_decode(self, latents: Tensor) -> Tensor:
        vae = self.pipeline.vae
        scaled = latents / vae.config.scaling_factor + vae.config.shift_factor
        decoded: Tensor = vae.decode(scaled.to(self.dtype), return_dict=False)[0]
        return decoded
