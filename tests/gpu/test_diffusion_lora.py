"""LoRA files on tiny models: α, strength, merging, and the files that are refused."""

import dataclasses
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.gpu.make import case
from tests.gpu.tiny_models import EACH, distance, load, loaded
from training.gpu.diffusion import lora
from training.gpu.editors import EditedImage, EditorError

CASE = dataclasses.replace(case("style"), instruction="paint it in oil")
RANK, ALPHA = 4, 16
ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]


@cache
def _trained(name: str, settings: str) -> tuple[Any, str, EditedImage]:
    from peft import LoraConfig

    editor = load(name)
    part = editor.loaded.spec.part
    network = getattr(editor.loaded.pipeline, part)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        config = {"r": RANK, "lora_alpha": ALPHA, "target_modules": ATTENTION, **json.loads(settings)}
        network.add_adapter(LoraConfig(init_lora_weights=False, **config))
        for key, weight in network.named_parameters():
            if "lora_" in key:
                torch.nn.init.normal_(weight, std=0.5)
    return editor, part, editor.edit(CASE, [1])[0]


def trained(name: str, **settings: Any) -> tuple[Any, str, EditedImage]:
    """An editor with a random LoRA as after training, its part, and what it makes."""
    return _trained(name, json.dumps(settings))


def saved(name: str, folder: Path, **settings: Any) -> Path:
    editor, part, _ = trained(name, **settings)
    lora.save(editor.loaded.pipeline, part, folder / "edit.safetensors")
    assert [path.name for path in folder.iterdir()] == ["edit.safetensors"]
    return folder / "edit.safetensors"


def changed(file: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Path:
    """The file with other tensors, and without its header."""
    copy = file.with_name("changed.safetensors")
    save_file(change(load_file(file)), copy)
    return copy


def made_with(name: str, file: Path, **settings: Any) -> EditedImage:
    made: EditedImage = load(name, lora={"file": str(file), **settings}).edit(CASE, [1])[0]
    return made


@EACH
def test_a_saved_lora_makes_the_same_pixels_and_its_alpha_counts(name: str, tmp_path: Path) -> None:
    _, _, wanted = trained(name)
    file = saved(name, tmp_path)
    again = made_with(name, file)
    assert distance(again, wanted) == 0
    assert distance(wanted, loaded(name).edit(CASE, [1])[0]) > 20
    record = again.settings["lora"]
    assert (record["rank"], record["alpha_over_rank"], record["alpha_known"]) == (RANK, ALPHA / RANK, True)
    assert (record["file"], record["scale"], record["merged"]) == ("edit.safetensors", 1.0, False)

    forgotten = changed(file, dict)
    weak = made_with(name, forgotten)
    assert distance(weak, wanted) > 20  # α taken for the rank: a quarter of the strength
    assert weak.settings["lora"]["alpha_known"] is False
    assert distance(made_with(name, forgotten, alpha=ALPHA), wanted) == 0
    assert distance(made_with(name, forgotten, scale=ALPHA / RANK), wanted) <= 1


@EACH
def test_merged_or_beside_and_at_another_strength(name: str, tmp_path: Path) -> None:
    _, _, wanted = trained(name)
    file = saved(name, tmp_path)
    merged = load(name, lora={"file": str(file), "merge": True})
    assert distance(merged.edit(CASE, [1])[0], wanted) <= 5  # sums in another order, through two steps
    network = getattr(merged.loaded.pipeline, merged.loaded.spec.part)
    assert not any("lora" in key for key, _ in network.named_parameters())
    base = loaded(name).edit(CASE, [1])[0]
    assert distance(made_with(name, file, scale=0), base) == 0
    assert 0 < distance(made_with(name, file, scale=0.01), base) < distance(wanted, base)


@pytest.mark.parametrize("config", [{"use_rslora": True}, {"rank_pattern": {"to_q": 2}, "alpha_pattern": {"to_v": 3}}])
def test_ranks_and_alphas_of_single_layers_are_honoured(config: dict[str, Any], tmp_path: Path) -> None:
    _, _, wanted = trained("flux_kontext", **config)
    file = saved("flux_kontext", tmp_path, **config)
    assert distance(made_with("flux_kontext", file), wanted) <= 1
    assert distance(made_with("flux_kontext", changed(file, dict)), wanted) > 0


def test_alpha_may_stand_beside_each_layer(tmp_path: Path) -> None:
    def with_alphas(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        names = {key.rpartition(".lora_")[0] for key in tensors}
        return tensors | {f"{name}.alpha": torch.tensor(float(ALPHA)) for name in names}

    _, _, wanted = trained("flux_kontext")
    file = changed(saved("flux_kontext", tmp_path), with_alphas)
    made = made_with("flux_kontext", file)
    assert distance(made, wanted) == 0
    assert made.settings["lora"]["alpha_known"] is True


def test_a_file_of_diffusers_own_making_loads_the_same(tmp_path: Path) -> None:
    editor, part, wanted = trained("qwen_image_edit_plus")
    from diffusers.training_utils import _collate_lora_metadata
    from peft import get_peft_model_state_dict

    pipeline = editor.loaded.pipeline
    network = getattr(pipeline, part)
    type(pipeline).save_lora_weights(
        tmp_path, transformer_lora_layers=get_peft_model_state_dict(network), **_collate_lora_metadata({part: network})
    )
    assert distance(made_with("qwen_image_edit_plus", tmp_path / "pytorch_lora_weights.safetensors"), wanted) == 0


Change = Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]
REFUSED: dict[str, tuple[Change, str]] = {
    "nothing in it": (lambda t: {}, "no layer at all"),
    "only alphas": (lambda t: {"transformer.x.alpha": torch.ones(())}, "no layer at all"),
    "no prefix, so that nothing would load": (
        lambda t: {key.removeprefix("transformer."): value for key, value in t.items()},
        "do not begin with 'transformer.'",
    ),
    "another component": (
        lambda t: {key.replace("transformer.", "text_encoder.", 1): value for key, value in t.items()},
        "do not begin with 'transformer.'|none of the ways",
    ),
    "layers that do not exist": (
        lambda t: {key.replace("blocks.0", "blocks.7"): value for key, value in t.items()},
        "of another model: 7 of its 7 layers do not exist",
    ),
    "other widths": (
        lambda t: {key: torch.cat([value, value], 1) if "lora_A" in key else value for key, value in t.items()},
        "of another model: its layer .* has 64 inputs",
    ),
    "half a pair": (lambda t: {k: v for k, v in t.items() if "lora_B" not in k}, "only one of the two matrices"),
    "ranks that differ": (
        lambda t: {key: value[:2].clone() if "lora_A" in key else value for key, value in t.items()},
        "ranks 2 and 4",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_foreign_or_empty_file_is_refused_and_the_model_stays_as_it_was(what: str, tmp_path: Path) -> None:
    change, words = REFUSED[what]
    file = changed(saved("flux_kontext", tmp_path), change)
    with pytest.raises(EditorError, match=words):
        load("flux_kontext", lora={"file": str(file)})
    editor = load("flux_kontext")
    with pytest.raises(EditorError, match=words):
        found = lora.read(file, type(editor.loaded.pipeline), "transformer")
        lora.check(file, found, editor.loaded.pipeline.transformer)
    assert not any("lora" in key for key, _ in editor.loaded.pipeline.transformer.named_parameters())


def test_a_lora_of_the_other_model_is_refused(tmp_path: Path) -> None:
    file = saved("qwen_image_edit", tmp_path)
    with pytest.raises(EditorError, match=r"edit\.safetensors is of another model"):
        load("flux_kontext", lora={"file": str(file)})
    with pytest.raises(EditorError, match=r"edit\.safetensors"):
        load("instruct_pix2pix", lora={"file": str(file)})


@pytest.mark.parametrize("header", [{"transformer.lora_alpha": "loud"}, {"transformer.use_dora": True}, [1]])
def test_a_header_that_makes_no_sense_is_refused(header: Any, tmp_path: Path) -> None:
    file = tmp_path / "odd.safetensors"
    save_file(load_file(saved("flux_kontext", tmp_path)), file, metadata={lora.METADATA: json.dumps(header)})
    with pytest.raises(EditorError, match=r"no number|DoRA|no object"):
        load("flux_kontext", lora={"file": str(file)})


@pytest.mark.parametrize("content", [b"", b"\x80\x04K\x01.", b"{" * 100])
def test_what_is_no_safetensors_is_refused_unread(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.safetensors").write_bytes(content)
    with pytest.raises(EditorError, match=r"bad\.safetensors is not a readable safetensors file"):
        load("flux_kontext", lora={"file": str(tmp_path / "bad.safetensors")})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(EditorError, match=r"absent\.safetensors does not exist"):
        load("flux_kontext", lora={"file": str(tmp_path / "absent.safetensors")})
