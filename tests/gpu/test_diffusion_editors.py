"""What one diffusers editor does: seeds, batches, sizes, instructions; tiny models with random weights."""

import dataclasses
import weakref
from typing import Any

import pytest
import torch
from PIL import Image

from annotation.checks import check
from drawnworld.edits import draw_pair
from tests.gpu.make import case
from tests.gpu.tiny_models import EACH, distance, load, loaded, model
from training.gpu.editors import CannotEdit, EditCase, EditorError, OutOfMemory

CASE = dataclasses.replace(case("style"), instruction="paint it in oil")


def with_source(size: tuple[int, int], turned: int = 0) -> EditCase:
    return dataclasses.replace(CASE, source=CASE.source.rotate(turned).resize(size))


@EACH
def test_a_seed_makes_the_same_picture_whatever_its_batch(name: str) -> None:
    """To one level of 255: another batch may round a sum otherwise."""
    together = loaded(name).edit(CASE, [11, 12, 13, 14])
    alone = loaded(name).edit(CASE, [13])[0]
    assert [made.seed for made in together] == [made.noise_seed for made in together] == [11, 12, 13, 14]
    assert [made.settings["batch"] for made in together] == [4] * 4
    assert distance(together[2], alone) <= 1
    assert min(distance(together[0], other) for other in together[1:]) > 20
    assert all(made.seconds > 0 for made in together)


@EACH
def test_instruction_and_source_are_seen(name: str) -> None:
    base = loaded(name).edit(CASE, [1])[0]
    other = loaded(name).edit(dataclasses.replace(CASE, instruction="ZZ 99 ## !!"), [1])[0]
    turned = loaded(name).edit(with_source(CASE.source.size, 180), [1])[0]
    assert distance(base, other) > 0
    assert distance(base, turned) > 0


@EACH
def test_the_picture_has_the_sources_size_and_is_made_near_the_settings_size(name: str) -> None:
    for size in ((160, 80), (64, 160), (31, 93)):
        made = loaded(name).edit(with_source(size), [1])[0]
        width, height = made.settings["size"]
        assert made.image.size == size == tuple(made.settings["source_size"])
        assert made.image.mode == "RGB"
        assert width % 4 == height % 4 == 0
        assert 0.5 < width * height / 64**2 < 1.8
        assert (width > height) == (size[0] > size[1])


@EACH
def test_a_prompt_of_nothing_and_one_that_undoes_itself_are_refused(name: str) -> None:
    for empty in ("", "  \n"):
        with pytest.raises(CannotEdit, match="no instruction"):
            loaded(name).edit(dataclasses.replace(CASE, instruction=empty), [1])
    guided = {} if name == "instruct_pix2pix" else {"true_cfg": 3.0}
    editor = load(name, negative_prompt=" paint it in oil", **guided)
    with pytest.raises(CannotEdit, match="negative prompt is the case's instruction"):
        editor.edit(CASE, [1])


def test_guidance_needs_its_scale() -> None:
    plain = load("flux_kontext", negative_prompt="rain").edit(CASE, [1])[0]
    assert distance(plain, loaded("flux_kontext").edit(CASE, [1])[0]) <= 1
    guided = load("flux_kontext", negative_prompt="rain", true_cfg=8).edit(CASE, [1])[0]
    assert distance(plain, guided) > 0


def seen_by(editor: Any, part: str) -> list[dict[str, Any]]:
    """The words with which that component is called."""
    calls: list[dict[str, Any]] = []
    component = getattr(editor.loaded.pipeline, part)
    component.register_forward_pre_hook(lambda _m, _a, words: calls.append(dict(words)), with_kwargs=True)
    return calls


def test_kontext_sees_the_source_at_the_size_in_work() -> None:
    """Not at one of the pipeline's own sizes near a megapixel: as many tokens for the source as for the picture."""
    editor = load("flux_kontext")
    calls = seen_by(editor, "transformer")
    width, height = editor.edit(CASE, [1])[0].settings["size"]
    assert calls[0]["hidden_states"].shape[1] == 2 * (width // 4) * (height // 4)


@pytest.mark.parametrize("name", ["qwen_image_edit", "qwen_image_edit_plus"])
def test_qwen_sees_the_source_at_the_settings_size(name: str) -> None:
    """The pipelines would always take 1024². Two editors of one process keep their own sizes, and diffusers its own."""
    import diffusers

    small, large = load(name), load(name, size=128)
    for editor, side in ((small, 64), (large, 128), (small, 64)):
        calls = seen_by(editor, "transformer")
        editor.edit(dataclasses.replace(CASE, source=CASE.source.resize((90, 90))), [1])
        assert calls[0]["img_shapes"][0] == [(1, side // 8, side // 8)] * 2
    plus = diffusers.pipelines.qwenimage.pipeline_qwenimage_edit_plus
    assert (plus.VAE_IMAGE_SIZE, plus.CONDITION_IMAGE_SIZE) == (1024 * 1024, 384 * 384)
    assert plus.calculate_dimensions(1024 * 1024, 1.0) == (1024, 1024)
    plain = diffusers.pipelines.qwenimage.pipeline_qwenimage_edit
    assert plain.calculate_dimensions(1024 * 1024, 1.0)[:2] == (1024, 1024)


@pytest.mark.parametrize("name", ["qwen_image_edit", "qwen_image_edit_plus"])
def test_the_text_encoder_counts_picture_tokens_by_row_and_column(name: str) -> None:
    editor = load(name)
    encoder = editor.loaded.pipeline.text_encoder
    calls = seen_by(editor, "text_encoder")
    positions: list[torch.Tensor] = []
    encoder.model.language_model.register_forward_pre_hook(
        lambda _m, _a, words: positions.append(words["position_ids"]), with_kwargs=True
    )
    editor.edit(CASE, [1])
    ids = calls[0]["input_ids"]
    picture = ids[0] == encoder.config.image_token_id
    rows, columns = (int(side) // 2 for side in calls[0]["image_grid_thw"][0][1:])
    assert int(picture.sum()) == rows * columns > 1
    _, row, column = positions[0][-3:, 0, picture]
    expected = torch.cartesian_prod(torch.arange(rows), torch.arange(columns))
    assert torch.equal(torch.stack([row - row[0], column - column[0]], 1), expected)


def test_the_group_of_a_case_goes_through_the_plus_pipeline_at_once() -> None:
    editor = load("qwen_image_edit_plus", batch=12, true_cfg=1)
    calls = seen_by(editor, "transformer")
    assert len(editor.edit(CASE, list(range(5)))) == 5
    assert [call["hidden_states"].shape[0] for call in calls] == [5, 5]  # two steps, five pictures each


def test_all_that_made_a_picture_is_recorded() -> None:
    made = load("flux_kontext", guidance=4).edit(CASE, [2**63 + 5])[0]
    assert (made.seed, made.noise_seed) == (2**63 + 5, 5)
    wanted = {"guidance": 4, "steps": 2, "dtype": "float32", "device": "cpu", "offload": "none", "preset": "cpu"}
    assert made.settings.items() >= wanted.items()
    assert made.settings["scheduler"] == "FlowMatchEulerDiscreteScheduler"
    assert made.settings["model"] == model("flux_kontext").name
    assert len(made.settings["weights"]) == 32
    assert set(made.settings["versions"]) == {"torch", "diffusers", "transformers"}


def test_the_first_noise_is_the_generators_of_the_seed() -> None:
    """One can make a picture again by hand, from its noise seed alone."""
    editor = load("flux_kontext")
    calls = seen_by(editor, "transformer")
    editor.edit(CASE, [7, 8])
    pipeline, first = editor.loaded.pipeline, calls[0]["hidden_states"]
    width, height = editor.edit(CASE, [7])[0].settings["size"]
    noise = torch.randn((1, 4, height // 2, width // 2), generator=torch.Generator("cpu").manual_seed(7))
    packed = pipeline._pack_latents(noise, 1, 4, height // 2, width // 2)
    assert torch.equal(first[:1, : packed.shape[1]], packed)


def test_too_little_memory_on_the_gpu_is_said_plainly() -> None:
    def full(**_words: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    with pytest.raises(OutOfMemory, match="ran out of memory with 4 pictures of 64 px"):
        with_pipeline(full).edit(CASE, [1, 2, 3, 4])


def with_pipeline(pipeline: Any) -> Any:
    editor = load("instruct_pix2pix", batch=4)
    loaded = dataclasses.replace(editor.loaded, pipeline=pipeline)
    return dataclasses.replace(editor, loaded=loaded, arguments=lambda *_words: {})


def test_after_too_little_memory_the_pipelines_tensors_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the cache is emptied, and while the error is told: another try needs the memory."""
    held: list[weakref.ref[torch.Tensor]] = []
    alive = []

    def full(**_words: Any) -> None:
        latents = torch.zeros(3)
        held.append(weakref.ref(latents))
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: alive.append(held[0]() is not None))
    with pytest.raises(OutOfMemory) as caught:
        with_pipeline(full).edit(CASE, [1, 2])
    assert alive == [False]
    assert caught.value.__context__ is None


def test_a_model_that_does_not_fit_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from training.gpu.diffusion import loading

    monkeypatch.setattr(loading, "memory_free", lambda: 500_000_000)
    monkeypatch.setattr(loading, "_read", lambda *_words: pytest.fail("the weights were read"))
    with pytest.raises(EditorError, match=r"needs about [\d.]+ GB of memory .* and 0\.5 GB are free"):
        load("flux_kontext")


def test_a_gpu_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EditorError, match=r'this machine has no GPU. Use the preset "cpu"'):
        load("flux_kontext", preset="80gb")


def test_sources_of_any_mode_are_taken() -> None:
    grey = dataclasses.replace(CASE, source=Image.new("L", (40, 40), 99))
    assert loaded("flux_kontext").edit(grey, [1])[0].image.mode == "RGB"


def test_the_noise_of_an_untrained_model_is_found_by_the_output_checks() -> None:
    """It has grains of a patch with finer structure within, so it is not the noise of a test card."""
    pair = draw_pair(7, 1)
    source = Image.fromarray(pair.source)
    made = load("flux_kontext").edit(EditCase(source, None, "Make it blue", "color"), range(6))
    found = [check(source, one.image) for one in made]
    assert sum(finding is not None and finding.fault == "noise" for finding in found) >= 5
