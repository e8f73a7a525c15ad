"""What post-training is said to cost, against counts on models of the same classes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from training.gpu.posttrain.adapters import kontext, qwen
from training.gpu.posttrain.adapters.common import ATTENTION, layers
from training.memory import FAMILIES
from training.posttraining import costs
from training.posttraining.config import DEFAULT, DPO, NFT, SFT, preset

WIDTH, TOKENS, WORDS = 128, 64, 16
SHAPE = {"attention_head_dim": 64, "num_attention_heads": 2, "joint_attention_dim": 64, "axes_dims_rope": (16, 24, 24)}
GB = 10**9


def linear_sizes(model: Any, names: list[str]) -> int:
    modules = dict(model.named_modules())
    return sum(modules[name].in_features + modules[name].out_features for name in names)


@pytest.mark.parametrize("key", ["flux-kontext", "qwen-image-edit"])
def test_lora_parameters_are_those_of_the_published_models(key: str) -> None:
    """52 M at rank 32 for Kontext, 94 M for Qwen-Image, on attention alone; counted on models without memory."""
    import diffusers

    with torch.device("meta"):
        model: Any = (
            diffusers.FluxTransformer2DModel(guidance_embeds=True)
            if key == "flux-kontext"
            else diffusers.QwenImageTransformer2DModel()
        )
    attention, file = [f"attn.{name}" for name in ATTENTION], kontext if key == "flux-kontext" else qwen
    family = FAMILIES[key]
    assert linear_sizes(model, layers(model, attention)) == family.lora
    every = linear_sizes(model, layers(model, [*attention, *file.FEED_FORWARD]))
    assert every == family.lora * costs.ALL_LAYERS[family.title]
    blocks = {".".join(name.split(".")[:2]) for name in layers(model, attention)}
    assert len(blocks) == costs.BLOCKS[family.title]
    assert round(32 * family.lora / 1e6) == {"flux-kontext": 52, "qwen-image-edit": 94}[key]


def kept_by(kind: str, blocks: int, which: str, dtype: torch.dtype, checkpointing: bool = False) -> float:
    """Numbers a token and channel that the way back keeps, of a model with so many blocks."""
    import diffusers
    from peft import LoraConfig

    if kind == "qwen":
        model: Any = diffusers.QwenImageTransformer2DModel(in_channels=16, out_channels=4, num_layers=blocks, **SHAPE)
    else:
        model = diffusers.FluxTransformer2DModel(
            in_channels=16, num_layers=blocks, num_single_layers=1, pooled_projection_dim=16, **SHAPE
        )
    model.to(dtype).requires_grad_(False)
    forward = (qwen if kind == "qwen" else kontext).FEED_FORWARD if which == "all" else ()
    model.add_adapter(LoraConfig(r=1, target_modules=layers(model, [*(f"attn.{n}" for n in ATTENTION), *forward])))
    for value in model.parameters():
        value.data = value.data.float() if value.requires_grad else value.data
    if checkpointing:
        model.enable_gradient_checkpointing()
    own = {value.untyped_storage().data_ptr() for value in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(value: torch.Tensor) -> torch.Tensor:
        if value.untyped_storage().data_ptr() not in own:
            kept[value.untyped_storage().data_ptr()] = value
        return value

    told: dict[str, Any] = {
        "hidden_states": torch.randn(1, TOKENS, 16, dtype=dtype),
        "encoder_hidden_states": torch.randn(1, WORDS, 64, dtype=dtype),
        "timestep": torch.ones(1),
    }
    if kind == "qwen":
        told |= {"img_shapes": [[(1, 8, 8)]], "encoder_hidden_states_mask": torch.ones(1, WORDS).bool()}
    else:
        told |= {"pooled_projections": torch.randn(1, 16, dtype=dtype), "txt_ids": torch.zeros(WORDS, 3)}
        told |= {"img_ids": torch.zeros(TOKENS, 3)}
    with saved_tensors_hooks(keep, lambda value: value):
        model(**told)
    total = sum(value.untyped_storage().nbytes() for value in kept.values())
    return float(total) / ((TOKENS + WORDS) * WIDTH * int(dtype.itemsize))


@pytest.mark.parametrize("kind", ["qwen", "kontext"])
@pytest.mark.parametrize(("which", "dtype"), list(costs.KEPT))
def test_what_a_block_keeps_is_what_is_reckoned(kind: str, which: str, dtype: str) -> None:
    type_ = getattr(torch, dtype)
    block = kept_by(kind, 2, which, type_) - kept_by(kind, 1, which, type_)
    assert 0.85 * costs.KEPT[which, dtype] < block <= 1.05 * costs.KEPT[which, dtype]


def test_checkpointing_keeps_a_blocks_input_alone() -> None:
    block = kept_by("qwen", 3, "all", torch.float32, True) - kept_by("qwen", 2, "all", torch.float32, True)
    assert block == pytest.approx(1, abs=0.05)


def test_passes_of_a_round_by_hand() -> None:
    """8 groups of 12, 10 steps: one path a group for 3 of them on average, the first random one too, all 12 for 7;
    the first random step of a group and the second of each sample are learned from, at four passes."""
    assert costs.images_a_round(DEFAULT) == 96
    assert costs.sampling_passes(DEFAULT) == 8 * 3 + 96 * 7
    assert costs.passes_a_round(DEFAULT) == 696 + (8 + 96) * 4
    assert costs.passes_a_round(replace(DEFAULT, checkpointing=False, kl=0.1)) == 696 + (8 + 96) * 4
    paper = preset("hp-edit")
    assert (paper.window, paper.spread, paper.lora_rank, paper.learning_rate) == (0, "group", 32, 3e-4)  # as printed
    assert costs.passes_a_round(paper) == 960 + 96 * 9 * 5
    nft = preset("nft")
    assert (nft.objective, costs.passes_a_round(nft)) == (NFT, 96 * 6 + 96 * nft.times * 5)
    assert costs.passes_a_round(replace(DEFAULT, objective=DPO)) == 2 * 16 * 5
    assert costs.passes_a_round(replace(DEFAULT, objective=SFT)) == 16 * 4
    assert costs.before_training(preset("self-dpo"), 100) == 100 * 20 * 10
    assert costs.before_training(preset("global-dpo"), 100) == 0 == costs.before_training(DEFAULT, 100)


def test_memory_of_the_published_models() -> None:
    """Near the published estimates for one H200 at 512 px: about 40 GB for Kontext, 75 to 90 for Qwen-Image-Edit."""
    flux, large = (costs.memory(FAMILIES[key], DEFAULT) for key in ("flux-kontext", "qwen-image-edit"))
    assert 30 * GB < flux.slim < 45 * GB
    assert 50 * GB < large.slim < 90 * GB
    assert flux.total - flux.slim == 2 * (4_762_310_656 + 123_060_480)
    assert large.parts["LoRA"] == 32 * 2_949_120 * 16
    open_ = costs.memory(FAMILIES["flux-kontext"], replace(DEFAULT, checkpointing=False))
    assert open_.parts["activations"] > 10 * flux.parts["activations"]
    nft = costs.memory(FAMILIES["flux-kontext"], replace(DEFAULT, objective=NFT, ema=0.9))
    assert nft.parts["LoRA"] == flux.parts["LoRA"] * 6 // 4


def test_the_estimate_for_the_form() -> None:
    drawn = costs.estimate("drawn", preset("fast", "drawn"))
    assert drawn.memory is None
    assert drawn.seconds == pytest.approx(drawn.passes * costs.DRAWN_PASS)
    assert drawn.run_seconds is not None and drawn.seconds is not None
    assert drawn.run_seconds > preset("fast", "drawn").rounds * drawn.seconds
    real = costs.estimate("flux_kontext", DEFAULT)
    assert (real.images, real.seconds, real.run_seconds) == (96, None, None)
    assert "not measured" in real.words
    assert real.memory == costs.memory(FAMILIES["flux-kontext"], DEFAULT).slim
    small = costs.estimate("flux_kontext", DEFAULT, weights=10**6)
    assert small.memory is not None and small.memory < 16 * GB
    with pytest.raises(ValueError, match="no post-training"):
        costs.estimate("classical", DEFAULT)


def test_the_table_of_the_documentation_is_the_estimate() -> None:
    page = Path(__file__).parents[3] / "docs" / "post-training-models.md"
    assert costs.memory_table() in page.read_text()


def test_advice_names_the_smallest_change() -> None:
    family = FAMILIES["flux-kontext"]
    large = replace(DEFAULT, checkpointing=False, batch=8)
    assert costs.advice(family, large, 80 * GB) == "it would fit with checkpointing True."
    assert costs.advice(family, large, 31 * GB).startswith("it would fit with checkpointing True, batch ")
    assert "no setting makes it fit" in costs.advice(family, large, 10 * GB)
