"""The CPU editor in post-training: its numbers are the pipeline's own, and its LoRA goes where it should."""

import dataclasses
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from tests.gpu.posttrain.drawn_run import adapter, pipeline, pixels, quick, train_cases
from training.gpu.diffusion.lora import load as load_lora
from training.gpu.diffusion.settings import Lora
from training.gpu.drawn.sample import sample
from training.gpu.editors import CannotEdit, EditorError
from training.gpu.posttrain import lora
from training.gpu.posttrain.adapters.drawn import DrawnAdapter, load

CASES = [one.case for one in train_cases(3)]
SEEDS = (5, 6, 2**62)
STEPS = 3


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def edited(found: DrawnAdapter) -> list[Image.Image]:
    conditions = found.encode(CASES)
    x = torch.cat([found.noise(one, [seed]) for one, seed in zip(conditions, SEEDS, strict=True)])
    with torch.no_grad():
        for now, after in pairwise(found.sigmas(conditions[0], STEPS)):
            x = x + (after - now) * found.velocity(x, now.expand(len(x)), conditions)
    pictures: list[Image.Image] = found.decode(x, conditions)
    return pictures


def by_pipeline(found: object) -> list[Image.Image]:
    return sample(found, [one.source for one in CASES], [one.instruction for one in CASES], SEEDS, STEPS)


def same(first: list[Image.Image], second: list[Image.Image]) -> bool:
    return all(np.array_equal(pixels(a), pixels(b)) for a, b in zip(first, second, strict=True))


def trained(found: DrawnAdapter, which: str = "all") -> lora.Parameters:
    """A LoRA as after training: neither matrix is zero."""
    parameters = lora.add(found, 4, 8, which, seed=3)
    generator = torch.Generator().manual_seed(4)
    for value in parameters.values():
        value.data = 0.3 * torch.randn(value.shape, generator=generator)
    return parameters


def test_ordinary_steps_end_in_the_pictures_of_the_stock_pipeline() -> None:
    found = adapter()
    pictures = edited(found)
    assert same(pictures, by_pipeline(pipeline()))
    assert not same(pictures[:1], pictures[1:2])
    assert found.sigmas(found.encode(CASES)[0], STEPS).tolist() == pytest.approx([1, 2 / 3, 1 / 3, 0])


def test_pictures_come_back_from_their_latents() -> None:
    found = adapter()
    conditions = found.encode(CASES)
    latents = found.latents([one.source for one in CASES], conditions)
    back = found.decode(latents, conditions)
    assert latents.shape == found.noise(conditions[0], [1, 2, 3]).shape == (3, 64, 48)
    assert (
        max(abs(pixels(a) - pixels(b.source)).mean() for a, b in zip(back, CASES, strict=True)) < 8
    )  # of 255: it keeps 12 of 48


def test_without_the_lora_it_is_the_base() -> None:
    found = adapter()
    conditions = found.encode(CASES)
    x, sigma = found.noise(conditions[0], [1, 2, 3]), torch.tensor([0.9, 0.5, 0.2])
    with torch.no_grad():
        before = found.velocity(x, sigma, conditions)
        with found.base():  # nothing is there to switch off
            assert torch.equal(found.velocity(x, sigma, conditions), before)
        trained(found)
        with found.base():
            assert torch.equal(found.velocity(x, sigma, conditions), before)
        assert not torch.allclose(found.velocity(x, sigma, conditions), before, atol=1e-3)


def test_a_fresh_lora_changes_nothing_and_is_the_same_for_a_seed() -> None:
    found, other = adapter(), adapter()
    before = edited(found)
    first, second = lora.add(found, 4, 8, "all", seed=3), lora.add(other, 4, 8, "all", seed=3)
    assert same(edited(found), before)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert {value.dtype for value in first.values()} == {torch.float32}
    third = lora.add(adapter(), 4, 8, "all", seed=4)
    assert any(not torch.equal(first[name], third[name]) for name in first)


@pytest.mark.parametrize("which", ["attention", "all"])
def test_a_gradient_reaches_every_layer_with_a_lora(which: str) -> None:
    found = adapter()
    parameters = trained(found, which)
    conditions = found.encode(CASES)
    found.velocity(found.noise(conditions[0], [1, 2, 3]), torch.tensor([0.9, 0.5, 0.2]), conditions).sum().backward()
    assert all(value.grad is not None and value.grad.abs().max() > 0 for value in parameters.values())
    assert {name for name, value in found.transformer.named_parameters() if value.requires_grad} == set(parameters)


def test_all_targets_are_more_than_attention() -> None:
    found = adapter()
    attention, every = found.targets("attention"), found.targets("all")
    assert set(attention) < set(every)
    assert all(".attn." in name for name in attention) and any(".ff." in name for name in every)


def test_the_saved_lora_gives_the_same_pictures_in_the_stock_pipeline(tmp_path: Path) -> None:
    found = adapter()
    trained(found)
    file = tmp_path / "new" / lora.FILE
    lora.save(found, file)
    stock = pipeline()
    told = load_lora(stock, "transformer", Lora(str(file)))
    assert (told["alpha_over_rank"], told["alpha_known"], told["rank"]) == (2.0, True, 4)
    assert same(by_pipeline(stock), edited(found)) and not same(edited(found), by_pipeline(pipeline()))
    with safe_open(file, framework="pt") as opened:
        assert '"transformer.lora_alpha": 8' in opened.metadata()["lora_adapter_metadata"]


def test_a_saved_lora_comes_back_into_a_fresh_one(tmp_path: Path) -> None:
    found, other = adapter(), adapter()
    parameters = trained(found)
    lora.save(found, tmp_path / lora.FILE)
    fresh = lora.add(other, 4, 8, "all", seed=9)
    lora.restore(fresh, tmp_path / lora.FILE)
    assert all(torch.equal(fresh[name], value) for name, value in parameters.items())
    with pytest.raises(ValueError, match="other layers or of another rank"):
        lora.restore(lora.add(adapter(), 8, 8, "all", seed=9), tmp_path / lora.FILE)


def test_cases_that_it_was_not_made_for_are_refused() -> None:
    found = adapter()
    with pytest.raises(CannotEdit, match="does not know the words 'telephone'"):
        found.encode([CASES[0], dataclasses.replace(CASES[1], instruction="add a telephone")])
    with pytest.raises(CannotEdit, match="32 x 32 pixels"):
        found.encode([dataclasses.replace(CASES[0], source=CASES[0].source.resize((32, 32)))])
    assert found.encode([]) == []


def test_settings_that_cannot_be_trained_are_refused() -> None:
    with pytest.raises(EditorError, match="carries a LoRA already"):
        load({"base": "rough", "lora": {"file": "a.safetensors"}}, quick())
    with pytest.raises(EditorError, match="set size to 64, not 128"):
        load({"base": "rough"}, quick(size=128))
    with pytest.raises(EditorError, match="base must be one of"):
        load({"base": "unheard"}, quick())


def test_half_the_precision_is_for_the_quick_way_alone() -> None:
    found = DrawnAdapter(pipeline(), half=True)
    trained(found)
    conditions = found.encode(CASES)
    x = torch.cat([found.noise(one, [seed]) for one, seed in zip(conditions, SEEDS, strict=True)])
    sigma = torch.full((len(x),), 0.7)
    with torch.no_grad():
        slow = found.velocity(x, sigma, conditions)
        with found.quick():
            rough = found.velocity(x, sigma, conditions)
        assert torch.equal(found.velocity(x, sigma, conditions), slow)
    assert rough.dtype == slow.dtype == torch.float32
    error = float((rough - slow).norm() / slow.norm())
    assert 0 < error < 0.03


def test_the_quick_way_differs_by_rounding_and_leaves_every_weight_as_it_was() -> None:
    found = adapter()
    trained(found)
    conditions = found.encode(CASES)
    x = torch.cat([found.noise(one, [seed]) for one, seed in zip(conditions, SEEDS, strict=True)])
    sigma = torch.full((len(x),), 0.7)
    before = {name: value.clone() for name, value in found.transformer.named_parameters()}
    needed = {name: value.requires_grad for name, value in found.transformer.named_parameters()}
    with torch.no_grad():
        slow = found.velocity(x, sigma, conditions)
        with found.base():
            base = found.velocity(x, sigma, conditions)
        with found.quick():
            quick_way = found.velocity(x, sigma, conditions)
        again = found.velocity(x, sigma, conditions)
    assert torch.allclose(quick_way, slow, atol=1e-4, rtol=1e-4)
    assert (slow - base).abs().max() > 100 * (slow - quick_way).abs().max(), "the LoRA counts, and is in it"
    assert torch.equal(again, slow)
    assert all(torch.equal(before[name], value) for name, value in found.transformer.named_parameters())
    assert needed == {name: value.requires_grad for name, value in found.transformer.named_parameters()}
