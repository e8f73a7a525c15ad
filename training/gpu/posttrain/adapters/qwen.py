"""Qwen-Image-Edit, and its "Plus" of 2509, in post-training: without a second prompt, whose guidance is not trained.

The text encoder sees the source too, so each case has words of its own length. They are filled up to a multiple of
``ROUND`` by the case alone, and always masked: a sample goes through the same sums whatever its batch, which matters in
bfloat16.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import pad

from training.gpu.diffusion.loading import Loaded
from training.gpu.diffusion.qwen import PictureProcessor, positions_by_rows
from training.gpu.diffusion.settings import Settings
from training.gpu.diffusion.sizes import on_grid
from training.gpu.editors import EditCase
from training.gpu.editors.qwen_image_edit import SPEC as PLAIN
from training.gpu.editors.qwen_image_edit_plus import SPEC as PLUS
from training.gpu.posttrain.adapter import Condition
from training.gpu.posttrain.adapters.common import ATTENTION, PipelineAdapter, layers, load_pipeline
from training.posttraining.config import Config

FEED_FORWARD = ("img_mlp.net.0.proj", "img_mlp.net.2", "txt_mlp.net.0.proj", "txt_mlp.net.2")
UNUSED = ("attn.add_q_proj", "attn.to_add_out", "txt_mlp.net.0.proj", "txt_mlp.net.2")
ROUND = 64


def load(module: str, settings: Mapping[str, Any], config: Config, device: torch.device | str) -> QwenAdapter:
    """Raises EditorError."""

    def changed(pipeline: type, _settings: Settings, folder: Path) -> tuple[type, dict[str, Any]]:
        return pipeline, {"processor": PictureProcessor.read(folder)}

    spec = PLUS if module == PLUS.name else PLAIN
    loaded = load_pipeline(spec, settings, config, changed)
    positions_by_rows(loaded.pipeline.text_encoder)
    return QwenAdapter(loaded, config, device)


class QwenAdapter(PipelineAdapter):
    text_encoders = ("text_encoder",)
    multiple = 32

    def __init__(self, loaded: Loaded, config: Config, device: torch.device | str) -> None:
        super().__init__(loaded, config, device)
        self.condition_size: int | None = loaded.settings.own.get("condition_size")  # of the Plus alone

    def targets(self, which: str) -> list[str]:
        """Without what the last block does to the text's own stream, which nobody reads: it has no gradient."""
        attention = tuple(f"attn.{name}" for name in ATTENTION)
        last = len(self.pipeline.transformer.transformer_blocks) - 1
        unused = tuple(f"transformer_blocks.{last}.{name}" for name in UNUSED)
        return layers(self.transformer, attention + (FEED_FORWARD if which == "all" else ()), unused)

    def encode_one(self, case: EditCase, size: tuple[int, int]) -> Condition:
        picture = case.source.convert("RGB")
        words, _ = self.pipeline.encode_prompt(
            prompt=[case.instruction], image=self._seen(picture, size), device=self.device
        )
        count = words.shape[1]
        more = -count % ROUND
        told = {
            "words": pad(words[0], (0, 0, 0, more)).cpu(),
            "mask": torch.arange(count + more) < count,
            "source": self.vae_encode(picture, size)[0].to(self.dtype).cpu(),
        }
        return Condition((*size, count + more), told, self.told(case, size))

    def _seen(self, picture: Image.Image, size: tuple[int, int]) -> Any:
        """What the text encoder sees: the Plus takes several pictures, each of about ``condition_size``."""
        if self.condition_size:
            width, height = on_grid(self.condition_size**2, picture.width / picture.height, self.multiple)
            return [self.pipeline.image_processor.resize(picture, height, width)]
        return self.pipeline.image_processor.resize(picture, size[1], size[0])

    def words(self, told: Mapping[str, Tensor], conditions: Sequence[Condition]) -> dict[str, Any]:
        width, height = (side // self.grid for side in conditions[0].told["size"])
        return {
            "encoder_hidden_states": told["words"],
            "encoder_hidden_states_mask": told["mask"],
            "img_shapes": [[(1, height, width)] * 2] * len(conditions),
        }

    def vae_encode(self, picture: Image.Image, size: tuple[int, int] | None = None) -> Tensor:
        width, height = size or picture.size
        pixels = self.pipeline.image_processor.preprocess(picture, height, width).unsqueeze(2)
        found = self.pipeline._encode_vae_image(pixels.to(self.device, self.dtype), None)
        return self.pack(found[:, :, 0])

    def vae_decode(self, latents: Tensor) -> Tensor:
        vae = self.pipeline.vae
        mean, std = (
            latents.new_tensor(numbers).view(1, -1, 1, 1, 1)
            for numbers in (vae.config.latents_mean, vae.config.latents_std)
        )
        decoded: Tensor = vae.decode((latents * std + mean).to(self.dtype), return_dict=False)[0][:, :, 0]
        return decoded
