"""Settings, presets and folders of weights: what is refused, and with which words. No model is loaded here."""

import json
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.gpu.tiny_models import EACH, EDITORS, load, model
from training.gpu.diffusion import presets, weights
from training.gpu.diffusion.needs import needs
from training.gpu.diffusion.settings import COMMON, Settings, Spec, check, parse, plan
from training.gpu.editors import FOLDER, EditorError, check_settings, editor_names
from training.memory import FAMILIES, GB, estimate


def spec(name: str) -> Spec:
    found: Spec = import_module(f"training.gpu.editors.{name}").SPEC
    return found


def full(name: str, gpu: int | None = 90 * GB, **settings: Any) -> Settings:
    return parse(spec(name), settings, gpu)


@EACH
def test_it_works_without_any_setting(name: str) -> None:
    found = full(name)
    assert (found.preset, found.device, found.offload, found.lora) == ("80gb", "cuda", "none", None)
    assert found.model == spec(name).model
    assert (found.size, found.steps) == (spec(name).own["size"], spec(name).own["steps"])
    assert set(found.own) == set(spec(name).own) - {"size", "steps"}
    assert spec(name).name == name


@pytest.mark.parametrize(
    ("gpu", "name"),
    [(None, "cpu"), (8 * GB, "24gb"), (25 * GB, "24gb"), (51 * GB, "48gb"), (84 * GB, "80gb"), (150 * GB, "141gb")],
)
def test_a_preset_is_chosen_by_the_gpu(gpu: int | None, name: str) -> None:
    assert full("flux_kontext", gpu).preset == name
    assert full("flux_kontext", gpu, device="cpu").preset == "cpu"


def test_an_editors_own_settings_come_before_its_presets() -> None:
    held = full("qwen_image_edit", preset="48gb")
    assert (held.offload, held.batch, held.dtype) == ("model", 2, "bfloat16")
    own = full("qwen_image_edit", preset="48gb", offload="sequential", batch=5)
    assert (own.offload, own.batch, own.dtype) == ("sequential", 5, "bfloat16")
    assert full("flux_kontext", None).dtype == "float32"


@EACH
@pytest.mark.parametrize("preset", presets.GPUS)
def test_every_preset_fits_its_gpu(name: str, preset: str) -> None:
    held = full(name, preset=preset)
    needed = estimate(plan(spec(name), held, rank=32))
    assert needed.total < presets.GPUS[preset][0] * 0.95


def test_a_page_can_ask_what_an_editor_needs() -> None:
    """By name and settings, as they stand in the database."""
    needed = needs("qwen_image_edit_plus", {"preset": "80gb", "size": 512}, None)
    assert needed is not None
    assert needed.plan.batch == 6
    assert 58 < needed.total / GB < 64
    with_lora = needs("qwen_image_edit_plus", {"preset": "80gb", "size": 512, "lora": {"file": "a.safetensors"}}, None)
    assert with_lora is not None
    assert with_lora.parts["LoRA"] == 2 * 32 * FAMILIES["qwen-image-edit"].lora
    assert needs("classical", {"variant": "careful"}, None) is None
    with pytest.raises(EditorError, match="has no setting step"):
        needs("flux_kontext", {"step": 1}, None)
    with pytest.raises(EditorError, match="no editor"):
        needs("os", {}, None)


def test_a_presets_offload_gives_way_to_another_device() -> None:
    assert full("qwen_image_edit", preset="48gb", device_map="balanced").offload == "none"
    assert full("qwen_image_edit", preset="24gb", device="cpu").offload == "none"


def test_each_preset_and_family_is_there() -> None:
    for preset in presets.NAMES:
        for family in FAMILIES:
            assert presets.preset(preset, family)["batch"] >= 1
    assert {spec(name).family for name in EDITORS} == set(FAMILIES)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"step": 3}, "has no setting step. Its settings are: .*steps"),
    ({"steps": 0}, "steps .* must be a whole number from 1 to 1000; it is 0"),
    ({"steps": 2.5}, "whole number"),
    ({"steps": True}, "whole number"),
    ({"size": 100_000}, "size"),
    ({"batch": 0}, "batch"),
    ({"batch": "12"}, "batch"),
    ({"dtype": "int8"}, "dtype .* one of float32, bfloat16, float16"),
    ({"dtype": ["float32"]}, "dtype"),
    ({"offload": "disk"}, "offload .* one of none, model, group, sequential"),
    ({"preset": "8gb"}, "preset .* one of auto, cpu, 24gb"),
    ({"device": "tpu"}, "device .* auto, cpu, cuda or cuda:N"),
    ({"device": "cuda:0\n"}, "device"),
    ({"device_map": "auto"}, "device_map"),
    ({"compile": 1}, "compile .* true or false"),
    ({"model": ""}, "model"),
    ({"model": 3}, "model"),
    ({"guidance": "high"}, "guidance"),
    ({"negative_prompt": None}, "negative_prompt"),
    ({"lora": "file.safetensors"}, "lora .* an object"),
    ({"lora": {}}, "lora.file"),
    ({"lora": {"file": "weights.bin"}}, "lora.file must be .* .safetensors"),
    ({"lora": {"file": "a.safetensors", "weight": 1}}, "lora has no setting weight"),
    ({"lora": {"file": "a.safetensors", "scale": "x"}}, "lora.scale"),
    ({"lora": {"file": "a.safetensors", "alpha": 0}}, "lora.alpha"),
    ({"lora": {"file": "a.safetensors", "merge": 1}}, "lora.merge"),
    ({"device": "cpu", "offload": "model"}, "the device is cpu"),
    ({"device": "cpu", "device_map": "balanced"}, "the device is cpu"),
    ({"device_map": "balanced", "offload": "model"}, "exclude each other"),
]


@pytest.mark.parametrize(("chosen", "words"), WRONG)
def test_wrong_settings_are_refused_with_the_choice(chosen: dict[str, Any], words: str) -> None:
    with pytest.raises(EditorError, match=words):
        full("flux_kontext", **chosen)


def test_a_setting_of_another_editor_is_none_of_this_one() -> None:
    with pytest.raises(EditorError, match="qwen_image_edit has no setting condition_size"):
        check(spec("qwen_image_edit"), {"condition_size": 384})


def test_settings_need_neither_torch_nor_diffusers() -> None:
    """So that a page can check them, and say what a job will need."""
    code = (
        "import sys\nfrom training.gpu.editors import flux_kontext, qwen_image_edit_plus, instruct_pix2pix\n"
        "from training.gpu.diffusion.settings import parse, plan\nfrom training.memory import estimate\n"
        "print(estimate(plan(flux_kontext.SPEC, parse(flux_kontext.SPEC, {'preset': '24gb'}, None))).total > 0)\n"
        "print([name for name in ('torch', 'diffusers', 'transformers', 'django') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=FOLDER.parents[2])
    assert run.stdout.split("\n")[:2] == ["True", "[]"], run.stderr


# Weights on disk ------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the tiny Kontext that a test may spoil."""
    return shutil.copytree(model("flux_kontext"), tmp_path / "mine")


def refused(folder: Path | str, words: str, name: str = "flux_kontext", **settings: Any) -> None:
    with pytest.raises(EditorError, match=words):
        load(name, model=str(folder), **settings)


def test_weights_that_are_not_here_are_named_with_what_to_do(tmp_path: Path) -> None:
    refused(
        "nobody/nothing", r"weights of nobody/nothing are not on this machine. Fetch .*`hf download nobody/nothing`"
    )
    refused("nobody/nothing", "--revision abc`", revision="abc")
    refused(tmp_path / "absent", "There is no folder .*absent on this machine")
    refused("x" * 400, "There is no folder xxx")  # longer than a file's name may be
    refused("../no/such/../folder", "no Hub id")
    refused(tmp_path, "no model_index.json")


def test_a_folder_of_another_pipeline_is_refused() -> None:
    refused(
        model("qwen_image_edit"), "holds a QwenImageEditPipeline; the editor flux_kontext needs a FluxKontextPipeline"
    )


def test_pickled_weights_are_never_read(folder: Path) -> None:
    (folder / "transformer" / "diffusion_pytorch_model.safetensors").rename(folder / "transformer" / "model.bin")
    refused(folder, "mine/transformer has its weights as .bin files, which may run code")


def test_code_of_a_model_never_runs(folder: Path) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"transformer": ["evil_module", "Transformer"]}))
    (folder / "transformer" / "evil_module.py").write_text("raise SystemExit('it ran')")
    refused(folder, "component transformer comes from 'evil_module'; code of a model never runs")


def test_missing_and_broken_weights_are_named(folder: Path) -> None:
    weight = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    kept = weight.read_bytes()
    (folder / "transformer" / "x.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"a": weight.name, "b": "part-2.safetensors"}})
    )
    refused(folder, "mine/transformer: 1 of 2 weight files are missing, the first is part-2.safetensors")
    (folder / "transformer" / "x.safetensors.index.json").unlink()
    for content in (b"", kept[:5], b"\xff" * 40, kept[: len(kept) // 2]):
        weight.write_bytes(content)
        refused(folder, "not a readable safetensors file|cannot be loaded")
    for odd, words in (("[]", "is no object"), ('{"weight_map": {"a": [', "cannot be read"), ("{}", "does not say")):
        (folder / "transformer" / "x.safetensors.index.json").write_text(odd)
        refused(folder, f"transformer/x.safetensors.index.json {words}")
    (folder / "transformer" / "x.safetensors.index.json").unlink()
    weight.unlink()
    refused(folder, "mine/transformer has no weights")
    (folder / "model_index.json").write_text("{")
    refused(folder, "model_index.json cannot be read")


def test_parameters_are_counted_from_the_files_headers() -> None:
    import torch
    from diffusers import FluxTransformer2DModel

    counted = weights.parameters(model("flux_kontext"))
    with torch.device("meta"):
        built = FluxTransformer2DModel.from_config(
            json.loads((model("flux_kontext") / "transformer" / "config.json").read_text())
        )
    assert counted["transformer"] == sum(weight.numel() for weight in built.parameters())
    assert set(counted) == {"transformer", "text_encoder", "text_encoder_2", "vae"}


def test_a_fingerprint_tells_weights_apart(folder: Path) -> None:
    same = weights.fingerprint(folder)
    assert same == weights.fingerprint(model("flux_kontext"))
    weight = folder / "vae" / "diffusion_pytorch_model.safetensors"
    content = bytearray(weight.read_bytes())
    content[-3] ^= 1
    weight.write_bytes(content)
    assert weights.fingerprint(folder) != same


def test_the_tiny_command_makes_a_folder_or_says_how(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from training.gpu import tiny

    assert tiny.main(["ip2p", str(tmp_path / "ip2p")]) == 0
    assert "Its images are noise" in capsys.readouterr().out
    assert weights.fingerprint(tmp_path / "ip2p") == weights.fingerprint(model("instruct_pix2pix"))
    for wrong in ([], ["flux", str(tmp_path)], ["ip2p"]):
        assert tiny.main(wrong) == 2
        assert "kontext|qwen-edit|qwen-edit-plus|ip2p" in capsys.readouterr().err


# The documentation ----------------------------------------------------------------------------------------------------

PAGE = FOLDER.parents[2] / "docs" / "editors.md"


def test_the_pages_memory_table_is_the_functions() -> None:
    assert presets.memory_table() in PAGE.read_text()


@EACH
def test_the_page_names_every_editor_and_setting(name: str) -> None:
    named = set(re.findall(r"^\| `(\w+)`", PAGE.read_text(), re.MULTILINE))
    assert {*editor_names(), *COMMON, "model", *spec(name).own} <= named


def test_the_pages_defaults_are_the_editors() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", PAGE.read_text(), re.MULTILINE))
    assert rows["steps"] == ", ".join(str(spec(name).own["steps"]) for name in EDITORS)
    assert [spec(name).own["size"] for name in EDITORS] == [1024, 1024, 1024, 512]


def test_what_a_folder_holds_counts_and_not_the_published_sizes() -> None:
    tiny = {"model": str(model("flux_kontext")), "preset": "cpu"}
    needed, published = needs("flux_kontext", tiny, None), needs("flux_kontext", {"preset": "cpu"}, None)
    assert needed is not None
    assert published is not None
    assert needed.parts["weights"] == 4 * sum(weights.parameters(model("flux_kontext")).values())
    assert needed.parts["weights"] < published.parts["weights"] / 1000


def test_a_model_that_is_not_here_and_not_the_published_one_is_not_estimated() -> None:
    for other in ("/only/on/the/worker/tiny", "somebody/tiny-kontext", "x" * 400):
        assert needs("flux_kontext", {"model": other, "size": 64}, None) is None
    assert needs("flux_kontext", {"model": spec("flux_kontext").model}, None) == needs("flux_kontext", {}, None)


@pytest.mark.parametrize(
    ("name", "width", "decoded", "patch"),
    [("flux_kontext", 32, 16, 4), ("qwen_image_edit", 32, 16, 8), ("instruct_pix2pix", 8, 16, 2)],
)
def test_a_tiny_model_has_its_own_widths(name: str, width: int, decoded: int, patch: int) -> None:
    """As training/gpu/tiny.py makes them; a VAE of two blocks halves the picture once, and not three times."""
    found = weights.family(spec(name), model(name))
    assert (found.width, found.decoded, found.patch) == (width, decoded, patch)
    needed = needs(name, {"model": str(model(name)), "preset": "cpu", "size": 1024}, None)
    assert needed is not None
    assert needed.total < 2 * GB


PUBLISHED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # what the published config.json files say
    "flux_kontext": (
        {"num_attention_heads": 24, "attention_head_dim": 128},
        {"block_out_channels": [128, 256, 512, 512]},
    ),
    "qwen_image_edit": (
        {"num_attention_heads": 24, "attention_head_dim": 128},
        {"base_dim": 96, "dim_mult": [1, 2, 4, 4]},
    ),
    "instruct_pix2pix": (
        {"block_out_channels": [320, 640, 1280, 1280], "attention_head_dim": 8},
        {"block_out_channels": [128, 256, 512, 512]},
    ),
}
ODD: list[dict[str, Any]] = [
    {},
    {"num_attention_heads": -1, "attention_head_dim": 8, "block_out_channels": [], "dim_mult": [2]},
    {"num_attention_heads": 10**9, "attention_head_dim": 10**9, "block_out_channels": [1] * 99},
    {"num_attention_heads": True, "attention_head_dim": "8", "block_out_channels": "wide", "base_dim": 2},
]


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_configurations_give_the_published_widths(name: str, tmp_path: Path) -> None:
    folder, chosen = shutil.copytree(model(name), tmp_path / "mine"), spec(name)
    for network, vae in (PUBLISHED[name], *((odd, odd) for odd in ODD)):
        (folder / chosen.part / "config.json").write_text(json.dumps(network))
        (folder / "vae" / "config.json").write_text(json.dumps(vae))
        found, wanted = weights.family(chosen, folder), chosen.numbers
        assert (found.width, found.decoded, found.patch) == (wanted.width, wanted.decoded, wanted.patch)


def test_settings_are_checked_without_a_model() -> None:
    """Whatever the machine: the module of every editor can say it."""
    check_settings("flux_kontext", {"preset": "24gb", "offload": "group", "lora": {"file": "a.safetensors"}})
    for name, settings, words in (
        ("flux_kontext", {"step": 1}, "has no setting step"),
        ("qwen_image_edit", {"steps": 0}, "whole number"),
        ("qwen_image_edit_plus", {"offload": "model", "device": "cpu"}, "the device is cpu"),
        ("instruct_pix2pix", {"lora": {"file": "a.bin"}}, "safetensors"),
        ("drawn", {"base": "best"}, "must be one of good, rough"),
        ("drawn", {"steps": 51}, "from 1 to 50"),
        ("drawn", {"model": 3}, "must be a folder"),
        ("folder", {}, "must name a folder"),
        ("folder", {"folder": "a", "pattern": "{seed}.png"}, "must name a file"),
        ("openai_images", {}, "Name the endpoint"),
        ("openai_images", {"endpoint": "a", "size": "big"}, "must be source"),
        ("classical", {"variant": "perfect"}, "one of careful"),
    ):
        with pytest.raises(EditorError, match=words):
            check_settings(name, settings)


def test_every_editor_can_check_its_settings() -> None:
    for name in editor_names():
        with pytest.raises(EditorError):
            check_settings(name, {"no such setting": 1})
