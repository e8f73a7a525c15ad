"""What is trained, and what is written: LoRA, new tokens, cached features, checkpointing, save, load and merge."""

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from safetensors.torch import load_file

from tests.gpu.reward.vlm_groups import (
    DIMENSIONS,
    gradients,
    group,
    largest_difference,
    made,
    picture,
    randomised,
    states,
)
from tests.gpu.tiny_judges import EACH
from training.gpu.reward.network import RewardNetwork
from training.gpu.reward.vlm import load
from training.gpu.reward.vlm.features import FeatureCache, digest

GROUPS = (group(0, 3), group(10, 2, "Remove the lamp."))


def told(backbone: Any) -> dict[str, Any]:
    """As it comes back from a checkpoint."""
    value: dict[str, Any] = json.loads(json.dumps(backbone.describe()))
    return value


@EACH
@pytest.mark.parametrize("vision", [True, False])
def test_lora_has_gradients_on_every_part_that_is_trained(kind: str, vision: bool) -> None:
    backbone = randomised(made(kind, lora_rank=2, train_vision=vision))
    found = gradients(backbone, states(backbone, GROUPS))
    trained = backbone.trained()
    assert {name.removeprefix("model.") for name in found} == set(trained)
    assert all(float(value.abs().max()) > 0 for value in found.values())
    parts = (*backbone.family.vision, "language_model")
    of_part = {part: sum(f".{part}." in name for name in trained) for part in parts}
    assert of_part["language_model"] == 2 * 7 * 2 + 1  # layers, linear layers of one, A and B; the new rows
    assert all((of_part[part] > 0) == vision for part in backbone.family.vision)
    (rows,) = [value for name, value in trained.items() if "trainable_tokens" in name]
    assert rows.shape == (len(DIMENSIONS), 32)


@pytest.mark.parametrize("vision", [True, False])
def test_without_lora_all_weights_train_but_a_frozen_tower(vision: bool) -> None:
    backbone = made("qwen3_vl", train_vision=vision)
    frozen = {name for name, value in backbone.core.named_parameters() if not value.requires_grad}
    assert frozen == {name for name, _ in backbone.core.named_parameters() if ".visual." in name and not vision}
    tower = backbone.core.model.visual
    assert backbone.training and tower.training == vision


def test_a_new_token_begins_as_the_mean_of_its_dimensions_name() -> None:
    backbone = made("internvl")
    tokenizer, table = backbone.family.processor.tokenizer, backbone.core.get_input_embeddings().weight
    letters = tokenizer.encode("instruction following", add_special_tokens=False)
    assert torch.allclose(table[backbone.rewards[1]], table[letters].mean(0), atol=1e-6)


@EACH
def test_cached_features_give_the_same_states_and_gradients(kind: str) -> None:
    live = randomised(made(kind, lora_rank=2, train_vision=False))
    cached = randomised(made(kind, lora_rank=2, train_vision=False, cache_features=True))
    wanted = states(live, GROUPS)
    expected = gradients(live, wanted)
    for run in range(2):
        tower = cached.core.model.get_image_features
        if run:
            cached.core.model.get_image_features = None  # a second look must not need the tower
        found = states(cached, GROUPS)
        cached.core.model.get_image_features = tower
        assert torch.allclose(found, wanted, atol=1e-5)
        assert largest_difference(gradients(cached, found), expected) < 1e-5
    assert cached.cache is not None and len(cached.cache) == 7


def test_the_cache_forgets_what_was_unused_for_longest_and_tells_preprocessing_apart() -> None:
    cache, value = FeatureCache(most=2 * 400), torch.zeros(1, 10, 10)
    for key in (b"a", b"b"):
        cache.put(key, value)
    assert cache.get(b"a") is not None
    cache.put(b"c", value)
    assert [cache.get(key) is None for key in (b"a", b"b", b"c")] == [False, True, False]
    cache.put(b"d", torch.zeros(1000))  # larger than all of it
    assert (len(cache), cache.held) == (2, 800)
    names = {digest(picture(1), "48"), digest(picture(1), "64"), digest(picture(2), "48")}
    assert len(names) == 3 and digest(picture(1), "48") in names


@EACH
def test_checkpointing_changes_nothing(kind: str) -> None:
    plain = randomised(made(kind, lora_rank=2))
    spared = randomised(made(kind, lora_rank=2, checkpointing=True))
    wanted, found = states(plain, GROUPS), states(spared, GROUPS)
    assert any(getattr(one, "gradient_checkpointing", False) for one in spared.core.modules())
    assert torch.allclose(found, wanted, atol=1e-6)
    assert largest_difference(gradients(plain, wanted), gradients(spared, found)) < 1e-5


@EACH
def test_saved_loaded_and_merged_a_model_scores_the_same(kind: str, tmp_path: Path) -> None:
    backbone = randomised(made(kind, lora_rank=2)).eval()
    network = RewardNetwork(backbone, (1.0, 1.0), (5.0, 5.0))
    torch.nn.init.normal_(network.weight, generator=torch.Generator().manual_seed(1))

    def scores() -> Any:
        with torch.no_grad():
            return network(backbone.collate([backbone.prepare(one) for one in GROUPS]))

    wanted, levels = scores(), backbone.levels(states(backbone, GROUPS)).detach()
    backbone.save(tmp_path / "adapter")
    assert [file.name for file in (tmp_path / "adapter").iterdir()] == ["adapter.safetensors"]
    adapter = told(backbone)
    backbone.merge()
    merged = told(backbone)
    backbone.save(tmp_path / "all")
    assert not any(file.suffix in (".bin", ".pt", ".pkl") for file in (tmp_path / "all").iterdir())
    assert (adapter["weights"], merged["weights"], merged["lora_rank"]) == ("adapter", "all", 0)
    for name, described in (("", {}), ("adapter", adapter), ("all", merged)):
        if name:
            backbone = load(tmp_path / name, described, "cpu").eval()
            network.backbone = backbone
            assert told(backbone) == described
        for one, other in zip(scores(), wanted, strict=True):
            assert torch.allclose(one, other, atol=2e-5), name
        assert torch.allclose(backbone.levels(states(backbone, GROUPS)), levels, atol=2e-4)


def test_a_model_whose_own_weights_were_trained_is_saved_whole(tmp_path: Path) -> None:
    backbone = randomised(made("qwen2_5_vl", dtype="bfloat16")).eval()
    with torch.no_grad():
        wanted = states(backbone, GROUPS)
    backbone.save(tmp_path)
    files = load_file(next(tmp_path.glob("*.safetensors")))
    assert {value.dtype for value in files.values()} == {torch.float32}
    with torch.no_grad():
        assert torch.equal(states(load(tmp_path, told(backbone), "cpu").eval(), GROUPS), wanted)
