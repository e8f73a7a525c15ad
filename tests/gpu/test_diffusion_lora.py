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
from training.gpu.diffusion import lora, patterns
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
    folder.mkdir(exist_ok=True)
    editor, part, _ = trained(name, **settings)
    lora.save(editor.loaded.pipeline, part, folder / "edit.safetensors")
    assert [path.name for path in folder.iterdir()] == ["edit.safetensors"]
    return folder / "edit.safetensors"


def changed(file: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Path:
    """The file with other tensors, and without its header."""
    copy = file.with_name("changed.safetensors")
    save_file(change(load_file(file)), copy)
    return copy


def with_header(file: Path, header: Any) -> Path:
    odd = file.with_name("odd.safetensors")
    save_file(load_file(file), odd, metadata={lora.METADATA: json.dumps(header)})
    return odd


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


@pytest.mark.parametrize(
    "config",
    [
        {"alpha_pattern": {"to_v": 3}},
        {"alpha_pattern": {r".*\.to_(q|k)": 3, "^transformer_blocks.0.attn.to_v": 40}},
        {"alpha_pattern": {r"attn\.to_[qk]": 3, "to_out.0": 8}, "rank_pattern": {r"to_[qv]": 2}},
    ],
)
def test_loading_and_saving_again_and_again_keeps_pixels_and_strengths(config: dict[str, Any], tmp_path: Path) -> None:
    _, _, wanted = trained("flux_kontext", **config)
    file = saved("flux_kontext", tmp_path / "0", **config)
    strengths = []
    for number in range(3):
        editor = load("flux_kontext", lora={"file": str(file)})
        assert distance(editor.edit(CASE, [1])[0], wanted) == 0
        strengths.append(dict(lora.read(file, type(editor.loaded.pipeline), "transformer").strengths))
        file = tmp_path / f"again-{number}.safetensors"
        lora.save(editor.loaded.pipeline, "transformer", file)
    assert strengths[1] == pytest.approx(strengths[0])
    assert strengths[2] == pytest.approx(strengths[0])
    assert len({round(value, 6) for value in strengths[0].values()}) > 1


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("to_(q", "is no regular expression"),
        ("(.*)*x", "repeats a group"),
        ("(?=a)", "looks around"),
        (".{9,99}", "repeats a group"),
        ("x" * 301, "301 characters"),
        (".*" * 20, "too many ways"),
        ("a?" * 40, "too many ways"),
        ("(a|a)" * 40, "too many ways"),
        ("((a|a)(a|a)|a)" * 15, "too many ways"),
    ],
)
def test_a_pattern_that_could_take_for_ever_is_refused(pattern: str, words: str, tmp_path: Path) -> None:
    header = {"transformer.alpha_pattern": {pattern: 3.0}, "transformer.lora_alpha": 8}
    file = with_header(saved("flux_kontext", tmp_path), header)
    with pytest.raises(EditorError, match=rf"odd\.safetensors has patterns .*{words}"):
        load("flux_kontext", lora={"file": str(file)})


def test_too_many_patterns_are_refused() -> None:
    with pytest.raises(ValueError, match="the most is 5000"):
        patterns.by_layer({f"layer{number}": 1.0 for number in range(5001)}, ["layer1"])


def test_patterns_match_as_pefts_own() -> None:
    from peft.utils.other import get_pattern_key

    names = [
        "x.attn.to_q",
        "x.attn.to_k",
        "to_q",
        "x.attn.to_out.0",
        "attn.to_q.x",
        "xto_q",
        "blocks.1.x",
        "blocks.11.x",
    ]
    keys = ["^to_q$", "to_q", r"attn\.to_(?:k|q)", ".*out.*", "blocks.1", r"blocks\.\d+.x", "to_[kq]", "x|to_k", "^x"]
    for first in keys:
        for second in keys:
            values = {first: 1.0, second: 2.0} if first != second else {first: 1.0}
            wanted = {name: values[key] for name in names if (key := get_pattern_key(values, name)) in values}
            assert patterns.by_layer(values, names) == wanted


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


# Files of other trainers ----------------------------------------------------------------------------------------------


def renamed(tensors: dict[str, torch.Tensor], name: Callable[[str], str], sides: tuple[str, str]) -> Any:
    """The layers' tensors under other names, without the component's."""
    found = {}
    for key, value in tensors.items():
        layer, _, side = key.partition(".")[2].rpartition(".weight")[0].rpartition(".")
        found[f"{name(layer)}.{sides[side == 'lora_B']}.weight"] = value
    return found


def alphas(tensors: dict[str, torch.Tensor], alpha: float) -> dict[str, torch.Tensor]:
    layers = {key.rpartition(".lora_")[0] for key in tensors}
    return tensors | {f"{layer}.alpha": torch.tensor(alpha) for layer in layers}


def plain(layer: str) -> str:
    return layer


def comfy(layer: str) -> str:
    return f"diffusion_model.{layer}"


def kohya(layer: str) -> str:
    return "lora_unet_" + layer.replace(".", "_")


AB, DOWN = ("lora_A", "lora_B"), ("lora_down", "lora_up")


@pytest.mark.parametrize(
    ("name", "as_named", "sides"),
    [
        ("flux_kontext", plain, AB),
        ("flux_kontext", comfy, AB),
        ("qwen_image_edit_plus", plain, AB),
        ("qwen_image_edit_plus", comfy, AB),
        ("qwen_image_edit_plus", comfy, DOWN),
        ("qwen_image_edit_plus", kohya, DOWN),
        ("instruct_pix2pix", plain, AB),
        ("instruct_pix2pix", kohya, DOWN),
    ],
)
def test_other_trainers_files_load_with_their_alpha(
    name: str, as_named: Callable[[str], str], sides: tuple[str, str], tmp_path: Path
) -> None:
    _, _, wanted = trained(name)
    file = changed(saved(name, tmp_path), lambda tensors: alphas(renamed(tensors, as_named, sides), ALPHA))
    made = made_with(name, file)
    assert distance(made, wanted) <= 1
    assert made.settings["lora"]["alpha_known"] is True
    without = changed(saved(name, tmp_path / "again"), lambda tensors: renamed(tensors, as_named, sides))
    weak = made_with(name, without)
    assert distance(weak, wanted) > 20
    assert weak.settings["lora"]["alpha_known"] is False
    assert distance(made_with(name, without, alpha=ALPHA), wanted) <= 1


FLUX = "lora_unet_double_blocks_0_img_attn_proj"


def test_an_alpha_that_is_in_the_weights_already_is_not_taken_twice(tmp_path: Path) -> None:
    """Kontext in kohya's names: diffusers multiplies α / r into A on its way."""
    kind = type(loaded("flux_kontext").loaded.pipeline)
    down, up = torch.randn(16, 32), torch.randn(32, 16)
    layer = {f"{FLUX}.lora_down.weight": down, f"{FLUX}.lora_up.weight": up}
    told, silent = tmp_path / "told.safetensors", tmp_path / "silent.safetensors"
    save_file(layer | {f"{FLUX}.alpha": torch.tensor(8.0)}, told)
    save_file(layer, silent)
    for file, alpha, known in ((told, None, True), (silent, 8.0, True), (silent, None, False)):
        found = lora.read(file, kind, "transformer", alpha)
        ((name, (a, b)),) = found.layers.items()
        wanted = up @ down * (0.5 if known else 1.0)
        torch.testing.assert_close(b @ a * found.strengths[name], wanted)
        assert found.alpha_known is known
    with pytest.raises(EditorError, match=r"told\.safetensors says α itself: leave lora\.alpha out"):
        lora.read(told, kind, "transformer", 8.0)


def test_a_name_that_is_not_known_is_said_so(tmp_path: Path) -> None:
    file = changed(
        saved("flux_kontext", tmp_path), lambda t: {key.replace(".weight", ".default.weight"): t[key] for key in t}
    )
    with pytest.raises(EditorError, match=r"lora_A\.default\.weight', and not under a name that is known here"):
        load("flux_kontext", lora={"file": str(file)})


Change = Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]
REFUSED: dict[str, tuple[Change, str]] = {
    "nothing in it": (lambda t: {}, "no layer at all"),
    "only alphas": (lambda t: {"transformer.x.alpha": torch.ones(())}, "no layer at all"),
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
    file = with_header(saved("flux_kontext", tmp_path), header)
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
