"""Qwen-Image-Edit and its Plus in post-training, on tiny pipelines of their classes."""

import dataclasses
from pathlib import Path

import pytest
import torch

from tests.gpu.posttrain import common_adapter as common
from tests.gpu.posttrain.adapting import FIRST, SECOND, place, shared

PLUS = "qwen_image_edit_plus"
BOTH = pytest.mark.parametrize("name", ["qwen_image_edit", PLUS])


@BOTH
def test_a_path_without_noise_ends_in_the_pipelines_own_pictures(name: str) -> None:
    common.check_pipelines_own_pictures(name)


@BOTH
def test_a_sample_does_not_depend_on_its_batch(name: str) -> None:
    common.check_a_batch_changes_nothing(name)


@pytest.mark.parametrize(("which", "checkpointing"), [("attention", True), ("all", False)])
def test_every_lora_parameter_has_a_gradient(which: str, checkpointing: bool) -> None:
    common.check_every_parameter_learns(PLUS, which, checkpointing)


@BOTH
def test_a_saved_lora_makes_the_same_pictures_in_the_stock_pipeline(name: str, tmp_path: Path) -> None:
    common.check_lora_in_the_stock_pipeline(name, tmp_path)


def test_weights_in_bfloat16_and_mathematics_in_float32() -> None:
    common.check_half_precision(PLUS)


def test_given_pictures_become_latents() -> None:
    common.check_given_pictures(PLUS)


def test_text_encoders_leave_where_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    common.check_text_encoders_leave(PLUS, monkeypatch)


@BOTH
def test_refusals(name: str) -> None:
    common.check_refusals(name)


def test_what_the_last_block_does_to_the_text_is_left_out() -> None:
    found = shared(PLUS)
    names = found.targets("all")
    assert "transformer_blocks.0.attn.to_add_out" in names
    left = {name for name in names if name.startswith("transformer_blocks.1.")}
    assert {name.removeprefix("transformer_blocks.1.") for name in left} == {
        *(f"attn.{name}" for name in ("to_q", "to_k", "to_v", "to_out.0", "add_k_proj", "add_v_proj")),
        *("img_mlp.net.0.proj", "img_mlp.net.2"),
    }
    assert len(found.targets("attention")) == 14


def test_words_are_filled_up_by_the_case_alone() -> None:
    """What stands in the padding is never read, and other cases do not change a case's own length."""
    found = shared(PLUS)
    (alone,) = found.encode([FIRST])
    long = dataclasses.replace(SECOND, instruction="make it blue " * 30)
    beside = found.encode([FIRST, long])
    assert beside[0].shape == alone.shape
    assert beside[1].shape[2] > alone.shape[2]
    assert alone.shape[2] % 64 == 0
    count = int(alone.tensors["mask"].sum())
    assert 0 < count < alone.shape[2]
    other = dict(alone.tensors)
    other["words"] = torch.where(alone.tensors["mask"][:, None], other["words"], torch.tensor(7.0))
    x, sigma = place(found, [alone])
    with torch.no_grad():
        one, two = (found.velocity(x, sigma, [dataclasses.replace(alone, tensors=t)]) for t in (alone.tensors, other))
    torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5)


def test_the_plus_shows_the_source_at_two_sizes() -> None:
    """To its text encoder at the condition size, to its transformer at the size in work."""
    found = shared(PLUS)
    assert found.condition_size == 64
    seen = found._seen(FIRST.source.resize((200, 200)), (128, 128))
    assert [picture.size for picture in seen] == [(64, 64)]
    assert shared("qwen_image_edit")._seen(FIRST.source, (96, 64)).size == (96, 64)
