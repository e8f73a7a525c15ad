"""The stock FluxKontextPipeline of the drawn world, from configuration: nothing is downloaded."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FluxKontextPipeline, FluxTransformer2DModel
from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

from training.gpu.drawn.autoencoder import CHANNELS, PatchAutoencoder
from training.gpu.drawn.words import END, PAD, SPECIAL, START, TEXT_LENGTH, clip_tokenizer, t5_tokenizer, token_count

HEADS, HEAD_SIZE, POOLED = 4, 32, 64
WIDTH = HEADS * HEAD_SIZE


def new_pipeline(seed: int) -> Any:
    """An untrained editor. Its modulation and its output are zero, so that it starts as the identity of its inputs."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        transformer, clip, t5 = _transformer(), _clip(), _t5()
    pipeline: Any = FluxKontextPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.0),
        vae=PatchAutoencoder(),
        text_encoder=clip,
        tokenizer=clip_tokenizer(),
        text_encoder_2=t5,
        tokenizer_2=t5_tokenizer(),
        transformer=transformer,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _transformer() -> Any:
    transformer: Any = FluxTransformer2DModel(
        patch_size=1,
        in_channels=4 * CHANNELS,
        num_layers=1,
        num_single_layers=2,
        attention_head_dim=HEAD_SIZE,
        num_attention_heads=HEADS,
        joint_attention_dim=WIDTH,
        pooled_projection_dim=POOLED,
        guidance_embeds=False,
        axes_dims_rope=(8, 12, 12),
    )
    for name, module in transformer.named_modules():
        if isinstance(module, torch.nn.Linear) and is_zero_at_first(name):
            torch.nn.init.zeros_(module.weight)
            torch.nn.init.zeros_(module.bias)
    return transformer


def is_zero_at_first(name: str) -> bool:
    """Whether this linear layer of the transformer makes modulation or the output (adaLN-zero of DiT)."""
    return name == "proj_out" or name.split(".")[-2:] in (
        ["norm", "linear"],
        ["norm1", "linear"],
        ["norm1_context", "linear"],
        ["norm_out", "linear"],
    )


def _clip() -> Any:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=token_count(),
            hidden_size=POOLED,
            intermediate_size=4 * POOLED,
            projection_dim=POOLED,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=TEXT_LENGTH,
            pad_token_id=SPECIAL.index(PAD),
            bos_token_id=SPECIAL.index(START),
            eos_token_id=SPECIAL.index(END),
        )
    )


def _t5() -> Any:
    return T5EncoderModel(
        T5Config(
            vocab_size=token_count(),
            d_model=WIDTH,
            d_kv=HEAD_SIZE,
            d_ff=2 * WIDTH,
            num_layers=1,
            num_heads=HEADS,
            dropout_rate=0.0,
            feed_forward_proj="gated-gelu",
            pad_token_id=SPECIAL.index(PAD),
            eos_token_id=SPECIAL.index(END),
        )
    )


def trained_modules(pipeline: Any) -> dict[str, torch.nn.Module]:
    """The parts with weights, by the pipeline's names for them. The autoencoder is computed, not trained."""
    names = ("transformer", "text_encoder", "text_encoder_2")
    return {name: getattr(pipeline, name) for name in names}
