"""Tiny pipelines of the same classes as the real ones: ``python -m training.gpu.tiny KIND FOLDER``.

Their weights are random: they make noise, not edits. They are for tests and for trying the product where there is no
GPU. The files have the layout of the published ones, so an editor loads either. Nothing is fetched: the tokenizers are
made here, one byte a token.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

QWEN_WORDS = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
END = "<|endoftext|>"


def _diffusers() -> Any:
    """The package without its types, which it does not have."""
    return import_module("diffusers")


def _bytes() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())


def _numbered(words: list[str]) -> dict[str, int]:
    return {word: number for number, word in enumerate(words)}


def clip_tokenizer() -> Any:
    from transformers import CLIPTokenizer

    letters = _bytes()
    words = _numbered(["<|startoftext|>", END, *letters, *(f"{letter}</w>" for letter in letters)])
    return CLIPTokenizer(vocab=words, merges=[], model_max_length=77)


def t5_tokenizer() -> Any:
    from transformers import T5Tokenizer

    letters = [chr(number) for number in range(33, 127)]
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *((letter, -3.0) for letter in letters)]
    return T5Tokenizer(vocab=vocabulary, extra_ids=0, additional_special_tokens=None, model_max_length=512)


def qwen_tokenizer() -> Any:
    from transformers import Qwen2Tokenizer

    words = _numbered([END, *QWEN_WORDS, *_bytes()])
    return Qwen2Tokenizer(vocab=words, merges=[], additional_special_tokens=list(QWEN_WORDS))


def clip_text_encoder(words: int) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=words,
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            projection_dim=16,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
        )
    )


def _vae(channels: int, **settings: Any) -> Any:
    diffusers = _diffusers()

    return diffusers.AutoencoderKL(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=channels,
        norm_num_groups=4,
        sample_size=32,
        **settings,
    )


def kontext() -> Any:
    """FLUX.1 Kontext: one block of each kind, latents at half size."""
    diffusers = _diffusers()
    from transformers import T5Config, T5EncoderModel

    tokenizer, tokenizer_2 = clip_tokenizer(), t5_tokenizer()
    transformer = diffusers.FluxTransformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        pooled_projection_dim=16,
        guidance_embeds=True,
        axes_dims_rope=(4, 4, 8),
    )
    words = T5Config(vocab_size=len(tokenizer_2), d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    return diffusers.FluxKontextPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=_vae(4, use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.1, scaling_factor=0.4),
        text_encoder=clip_text_encoder(len(tokenizer)),
        tokenizer=tokenizer,
        text_encoder_2=T5EncoderModel(words),
        tokenizer_2=tokenizer_2,
        transformer=transformer,
    )


def _qwen_text_encoder(tokenizer: Any) -> Any:
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    numbers = {word: tokenizer.convert_tokens_to_ids(word) for word in QWEN_WORDS}
    text = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "vocab_size": len(tokenizer),
        "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2], "rope_type": "default"},
        "rope_theta": 1000000.0,
    }
    vision = {
        "depth": 1,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_heads": 2,
        "out_hidden_size": 16,
        "fullatt_block_indexes": [0],
    }
    return Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(
            text_config=text,
            vision_config=vision,
            image_token_id=numbers["<|image_pad|>"],
            video_token_id=numbers["<|video_pad|>"],
            vision_start_token_id=numbers["<|vision_start|>"],
            vision_end_token_id=numbers["<|vision_end|>"],
        )
    )


def _qwen(pipeline: str) -> Any:
    diffusers = _diffusers()
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    from training.gpu.diffusion.qwen import PictureProcessor

    tokenizer = qwen_tokenizer()
    transformer = diffusers.QwenImageTransformer2DModel(
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        axes_dims_rope=(8, 4, 4),
    )
    vae = diffusers.AutoencoderKLQwenImage(
        base_dim=8,
        z_dim=4,
        dim_mult=[1, 2, 2],
        num_res_blocks=1,
        temperal_downsample=[False, True],
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    )
    return getattr(diffusers, pipeline)(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift_terminal=0.02),
        vae=vae,
        text_encoder=_qwen_text_encoder(tokenizer),
        tokenizer=tokenizer,
        processor=PictureProcessor(Qwen2VLImageProcessorPil(), tokenizer),
        transformer=transformer,
    )


def qwen_edit() -> Any:
    return _qwen("QwenImageEditPipeline")


def qwen_edit_plus() -> Any:
    return _qwen("QwenImageEditPlusPipeline")


def instruct_pix2pix() -> Any:
    """InstructPix2Pix: a Stable Diffusion U-Net that takes the source's latents beside the noisy ones."""
    diffusers = _diffusers()

    tokenizer = clip_tokenizer()
    unet = diffusers.UNet2DConditionModel(
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        in_channels=8,
        out_channels=4,
        cross_attention_dim=16,
        attention_head_dim=4,
        norm_num_groups=4,
        sample_size=16,
    )
    return diffusers.StableDiffusionInstructPix2PixPipeline(
        scheduler=diffusers.EulerAncestralDiscreteScheduler(
            beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012
        ),
        vae=_vae(4),
        text_encoder=clip_text_encoder(len(tokenizer)),
        tokenizer=tokenizer,
        unet=unet,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


KINDS: dict[str, Callable[[], Any]] = {
    "kontext": kontext,
    "qwen-edit": qwen_edit,
    "qwen-edit-plus": qwen_edit_plus,
    "ip2p": instruct_pix2pix,
}


def make(kind: str, folder: Path, seed: int = 0) -> Path:
    """Save the tiny pipeline of that kind as safetensors. The same seed gives the same weights."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        pipeline = KINDS[kind]()
    pipeline.save_pretrained(folder, safe_serialization=True)
    index = folder / "model_index.json"
    names = json.loads(index.read_text())
    if "processor" in names:  # as the published folders have it: ours stands in for it
        names["processor"] = ["transformers", "Qwen2VLProcessor"]
        index.write_text(json.dumps(names, indent=2) + "\n")
    return folder


def main(words: list[str]) -> int:
    if len(words) != 2 or words[0] not in KINDS:
        print(f"usage: python -m training.gpu.tiny {'|'.join(KINDS)} FOLDER", file=sys.stderr)
        return 2
    folder = make(words[0], Path(words[1]))
    print(f"{folder}: a tiny {words[0]} pipeline with random weights. Its images are noise.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
