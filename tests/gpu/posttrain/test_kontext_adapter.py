"""FLUX.1 Kontext in post-training, on a tiny pipeline of its classes."""

import dataclasses
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.gpu.posttrain import common_adapter as common
from tests.gpu.posttrain.adapting import FIRST, adapter, place, shared, told, with_lora
from tests.gpu.tiny_models import model
from training.gpu.editors import EditorError, load_editor
from training.gpu.editors.flux_kontext import SPEC
from training.gpu.posttrain import lora
from training.gpu.posttrain.adapters import load_adapter, why_not
from training.posttraining import config, costs

NAME = "flux_kontext"


def test_a_path_without_noise_ends_in_the_pipelines_own_pictures() -> None:
    common.check_pipelines_own_pictures(NAME)


def test_a_sample_does_not_depend_on_its_batch() -> None:
    common.check_a_batch_changes_nothing(NAME)


@pytest.mark.parametrize(("which", "checkpointing"), [("attention", True), ("all", False)])
def test_every_lora_parameter_has_a_gradient(which: str, checkpointing: bool) -> None:
    common.check_every_parameter_learns(NAME, which, checkpointing)


def test_a_saved_lora_makes_the_same_pictures_in_the_stock_pipeline(tmp_path: Path) -> None:
    common.check_lora_in_the_stock_pipeline(NAME, tmp_path)


def test_weights_in_bfloat16_and_mathematics_in_float32() -> None:
    common.check_half_precision(NAME)


def test_given_pictures_become_latents() -> None:
    common.check_given_pictures(NAME)


def test_text_encoders_leave_where_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    common.check_text_encoders_leave(NAME, monkeypatch)


def test_refusals() -> None:
    common.check_refusals(NAME)


def test_guidance_is_told_as_a_number_a_sample() -> None:
    found = shared(NAME)
    conditions = found.encode([FIRST])
    x, sigma = place(found, conditions)
    strong = load_adapter(NAME, told(NAME, guidance=9.0), config.Config(size=64, dtype="float32"), "cpu")
    with torch.no_grad():
        one, other = (editor.velocity(x, sigma, conditions) for editor in (found, strong))
    assert found.words({key: value[None] for key, value in conditions[0].tensors.items()}, conditions)[
        "guidance"
    ].tolist() == [2.5]
    assert (one - other).abs().max() > 1e-5


def test_the_schedule_is_shifted_by_the_pictures_size() -> None:
    """mu is on FLUX's line; the pipeline's own scheduler is left as it is."""
    found = shared(NAME)
    wide = dataclasses.replace(FIRST, source=FIRST.source.resize((400, 40)))
    square, other = found.encode([FIRST, wide])
    sigmas = found.sigmas(square, 4)
    assert (sigmas[0], sigmas[-1], len(sigmas)) == (1, 0, 5)
    assert not torch.equal(sigmas, found.sigmas(other, 4))
    tokens = square.shape[0] // 4 * (square.shape[1] // 4)
    mu = torch.tensor(0.5 + (1.15 - 0.5) * (tokens - 256) / (4096 - 256))
    straight = torch.linspace(1, 0.25, 4)
    torch.testing.assert_close(sigmas[:-1], mu.exp() / (mu.exp() + 1 / straight - 1))


def test_only_editors_with_an_adapter_are_post_trained() -> None:
    assert [why_not(name) for name in ("drawn", "flux_kontext", "qwen_image_edit", "qwen_image_edit_plus")] == [""] * 4
    for name, why in (("instruct_pix2pix", "another schedule"), ("classical", "no weights"), ("folder", "elsewhere")):
        with pytest.raises(EditorError, match=why):
            load_adapter(name, {}, config.DEFAULT, "cpu")
    with pytest.raises(EditorError, match="There is no editor 'magic'"):
        load_adapter("magic", {}, config.DEFAULT, "cpu")


def test_a_scheduler_that_is_no_flow_match_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from training.gpu.posttrain.adapters import common as shared_code

    monkeypatch.setattr(shared_code, "FlowMatchEulerDiscreteScheduler", torch.nn.Linear)
    with pytest.raises(EditorError, match="samples with FlowMatchEulerDiscreteScheduler"):
        adapter(NAME)


def test_a_folder_with_its_lora_merged_can_be_trained_further(tmp_path: Path) -> None:
    """As the documentation says: an editor with a LoRA is refused, and its weights with the LoRA in them are not."""
    first, _ = with_lora(NAME)
    lora.save(first, tmp_path / lora.FILE)
    editor: Any = load_editor(NAME, told(NAME, lora={"file": str(tmp_path / lora.FILE), "merge": True}))
    merged = tmp_path / "merged"
    shutil.copytree(model(NAME), merged, ignore=shutil.ignore_patterns("transformer"))
    editor.loaded.pipeline.transformer.save_pretrained(merged / "transformer")
    settings = {**told(NAME), "model": str(merged)}
    found = load_adapter(NAME, settings, config.Config(size=64, dtype="float32"), "cpu")
    conditions = found.encode([FIRST])
    x, sigma = place(found, conditions)
    with torch.no_grad():
        torch.testing.assert_close(
            found.velocity(x, sigma, conditions), first.velocity(x, sigma, conditions), rtol=1e-4, atol=1e-3
        )
        assert (first.velocity(x, sigma, conditions) - shared(NAME).velocity(x, sigma, conditions)).abs().max() > 0.1


def test_what_stays_on_the_gpu_depends_on_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it; the text encoders only while they work; or a refusal that says what would fit."""
    found = adapter(NAME, lora_rank=32)
    found.device, found.config = torch.device("cuda"), config.Config(dtype="float32", checkpointing=False, batch=4)
    counts = dict.fromkeys(("transformer", "text_encoder", "text_encoder_2", "vae"), 10**9)
    needed = costs.memory(SPEC.numbers, found.config, parameters=counts)
    big = SimpleNamespace(parameters=lambda: [SimpleNamespace(numel=lambda: 10**9)])
    monkeypatch.setattr(found, "_parts", lambda: dict.fromkeys(counts, big))

    def room(free: int) -> bool:
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (free, 2 * free))
        return bool(found._has_room(SimpleNamespace(spec=SPEC)))

    assert needed.total - needed.slim == 8 * 10**9
    assert room(needed.total)
    assert not room(needed.total - 1)
    assert not room(needed.slim)
    with pytest.raises(EditorError, match=r"needs about [\d.]+ GB .* it would fit with checkpointing True"):
        room(needed.slim - 1)
