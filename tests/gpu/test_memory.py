"""The memory estimate: closed forms, monotone, and words that say what to change."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.memory import (
    BYTES,
    FAMILIES,
    GB,
    OFFLOADS,
    PER_PIXEL,
    PER_TOKEN,
    RESERVE,
    Family,
    Plan,
    estimate,
    fits,
    fits_host,
    tokens,
)

TOY = Family("Toy", {"a": 1000, "b": 500, "vae": 10}, 150, 8, 16, 5, 0, 1, 1, 4, 7)
PLANS = st.builds(
    Plan,
    st.sampled_from(list(FAMILIES.values())),
    st.sampled_from(list(BYTES)),
    st.sampled_from(OFFLOADS),
    st.integers(1, 32),
    st.integers(64, 2048),
    st.integers(0, 128),
)


def test_a_closed_form() -> None:
    """Two bytes a number; 5 words and twice 4 × 4 tokens; three pictures."""
    found = estimate(Plan(TOY, "float16", "none", 3, 64, 2))
    assert found.parts == {
        "weights": 1510 * 2,
        "LoRA": 2 * 7 * 2,
        "images": 3 * (5 + 2 * 16) * 8 * PER_TOKEN * 2,
        "decoding": 4 * 64 * 64 * PER_PIXEL * 2,
        "reserve": RESERVE,
    }
    assert found.total == sum(found.parts.values())
    assert found.host == 0


@pytest.mark.parametrize(("offload", "kept"), [("none", 1510), ("model", 1000), ("group", 310), ("sequential", 150)])
def test_what_offload_keeps_on_the_gpu(offload: str, kept: int) -> None:
    found = estimate(Plan(TOY, "float32", offload))
    assert found.parts["weights"] == kept * 4
    assert found.host == (0 if offload == "none" else 1510 * 4)


def test_what_the_text_encoder_sees_counts_as_words() -> None:
    seeing = replace(TOY, seen=32)
    assert tokens(seeing, 64) - tokens(TOY, 64) == 4


def test_published_sizes_in_half_precision() -> None:
    """12 B and 20 B transformers with their text encoders: 33.7 and 57.7 GB of weights."""
    assert round(estimate(Plan(FAMILIES["flux-kontext"])).parts["weights"] / GB, 1) == 33.7
    assert round(estimate(Plan(FAMILIES["qwen-image-edit"])).parts["weights"] / GB, 1) == 57.7
    # LoRA of rank 32 on the attention projections: 52 M and 94 M parameters.
    for name, millions in (("flux-kontext", 52), ("qwen-image-edit", 94)):
        assert int(estimate(Plan(FAMILIES[name], rank=32)).parts["LoRA"] / 2e6) == millions


def test_the_transformers_are_counted_again() -> None:
    """Built without memory from the published configurations."""
    import torch
    from diffusers import FluxTransformer2DModel, QwenImageTransformer2DModel, UNet2DConditionModel

    with torch.device("meta"):
        kontext, qwen = FluxTransformer2DModel(guidance_embeds=True), QwenImageTransformer2DModel()
        unet = UNet2DConditionModel(in_channels=8, cross_attention_dim=768)
    attention = ("to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")
    ends = tuple(f"{name}.weight" for name in attention)
    for name, part, network in (
        ("flux-kontext", "transformer", kontext),
        ("qwen-image-edit", "transformer", qwen),
        ("instruct-pix2pix", "unet", unet),
    ):
        family = FAMILIES[name]
        assert family.parameters[part] == sum(weight.numel() for weight in network.parameters())
        assert family.lora == sum(sum(w.shape) for key, w in network.named_parameters() if key.endswith(ends))
        assert family.leaf >= max(weight.numel() for weight in network.parameters())


@given(PLANS, st.integers(1, 8), st.integers(1, 256))
def test_more_pictures_pixels_or_bytes_never_need_less(plan: Plan, more: int, pixels: int) -> None:
    total = estimate(plan).total
    assert estimate(replace(plan, batch=plan.batch + more)).total > total
    assert estimate(replace(plan, size=plan.size + pixels)).total > total
    assert estimate(replace(plan, rank=plan.rank + 1)).total > total
    assert estimate(replace(plan, dtype="float32")).total >= total
    assert estimate(replace(plan, dtype="float16")).total <= total


@given(PLANS)
def test_each_further_offload_mode_needs_no_more(plan: Plan) -> None:
    totals = [estimate(replace(plan, offload=offload)).total for offload in OFFLOADS]
    assert totals == sorted(totals, reverse=True)


@given(PLANS, st.integers(1, 200))
def test_what_fits_is_silent_and_advice_comes_true(plan: Plan, gb: int) -> None:
    needed, available = estimate(plan), gb * GB
    said = fits(needed, available)
    assert (said is None) == (needed.total <= available)
    if said and "would fit with" in said:
        changes = dict(part.split(" ") for part in said.partition("would fit with ")[2].rstrip(".").split(", "))
        numbers = {name: int(value) if value.isdigit() else value for name, value in changes.items()}
        smaller = replace(plan, **numbers)  # type: ignore[arg-type]
        assert fits(estimate(smaller), available) is None
    elif said:
        smallest = replace(plan, offload="sequential", size=min(plan.size, 256), batch=1)
        assert fits(estimate(smallest), available) is not None or plan.dtype == "float32"


def test_a_refusal_names_the_numbers_and_the_change() -> None:
    said = fits(estimate(Plan(FAMILIES["qwen-image-edit"], batch=12)), 24 * GB)
    assert said == (
        "Qwen-Image-Edit at 1024 px in batches of 12 needs about 77.6 GB of GPU memory (weights 57.7, images 17.2, "
        "decoding 1.6, reserve 1.0), and 24.0 GB are free: it would fit with offload group."
    )


def test_a_smaller_batch_comes_before_offload_and_size() -> None:
    needed = estimate(Plan(FAMILIES["flux-kontext"], batch=12))
    assert "it would fit with batch 4." in str(fits(needed, 43 * GB))
    assert "it would fit with offload group" in str(fits(needed, 15 * GB))
    assert "no setting makes it fit; use a larger device" in str(fits(needed, GB))


def test_without_a_gpu_no_offload_is_advised() -> None:
    said = str(fits(estimate(Plan(FAMILIES["flux-kontext"], "float32", gpu=False)), 50 * GB))
    assert "GB of memory (" in said
    assert "dtype bfloat16" in said
    assert "offload" not in said


def test_the_machines_memory_must_hold_what_is_offloaded() -> None:
    needed = estimate(Plan(FAMILIES["qwen-image-edit"], offload="model"))
    assert fits_host(needed, 64 * GB) is None
    assert "keeps 57.7 GB of weights in the machine's memory, and 32.0 GB are free" in str(fits_host(needed, 32 * GB))
    assert fits_host(estimate(Plan(FAMILIES["qwen-image-edit"])), 0) is None


@pytest.mark.parametrize("wrong", [{"dtype": "int4"}, {"offload": "disk"}])
def test_what_does_not_exist_is_an_error(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="no such"):
        estimate(replace(Plan(TOY), **wrong))  # type: ignore[arg-type]
