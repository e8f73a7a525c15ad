"""The CPU editor behind the editor protocol: the drawn world's cases, seeds, batches, and what it refuses."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig
from PIL import Image

from drawnworld.edits import TASKS, draw_pair
from drawnworld.score import true_score
from training.gpu.diffusion.lora import ADAPTER
from training.gpu.diffusion.lora import save as save_lora
from training.gpu.drawn.weights import FOLDER, load_weights
from training.gpu.editors import FOLDER as EDITORS
from training.gpu.editors import CannotEdit, EditCase, EditorError, load_editor
from training.gpu.editors.drawn import DrawnEditor

SERIES = 515_001  # neither trained on nor held out


def load(**settings: Any) -> DrawnEditor:
    editor = load_editor("drawn", settings)
    assert isinstance(editor, DrawnEditor)
    return editor


@pytest.fixture(scope="module")
def good() -> DrawnEditor:
    return load(base="good", steps=4)


def case(index: int) -> EditCase:
    pair = draw_pair(SERIES, index, TASKS[index % len(TASKS)])
    mask = Image.fromarray(pair.mask.astype(np.uint8) * 255)
    return EditCase(Image.fromarray(pair.source), mask, pair.edit.instruction, pair.edit.task)


def pixels(images: list[Any]) -> list[np.ndarray]:
    return [np.asarray(made.image).astype(int) for made in images]


def test_it_edits_every_task_better_than_doing_nothing(good: DrawnEditor) -> None:
    made = good.edit_many([case(index) for index in range(16)], range(100, 116))
    assert [edited.seed for edited in made] == [edited.noise_seed for edited in made] == list(range(100, 116))
    assert {edited.image.size for edited in made} == {(64, 64)}
    assert all(edited.seconds > 0 and edited.settings["base"] == "good" for edited in made)
    assert made[0].settings["steps"] == 4 and len(made[0].settings["sha256"]) == 64
    scores = []
    for index, edited in enumerate(made):
        pair = draw_pair(SERIES, index, TASKS[index % len(TASKS)])
        scores.append(true_score(pair.source, pair.target, pair.mask, np.asarray(edited.image)).score)
    assert np.mean(scores) > 2.5  # doing nothing has 0


def test_the_same_seed_gives_the_same_image_and_another_seed_another(good: DrawnEditor) -> None:
    one, again, two = pixels([*good.edit(case(2), [7]), *good.edit(case(2), [7]), *good.edit(case(2), [8])])
    assert (one == again).all()
    assert abs(one - two).max() > 8


def test_an_image_does_not_depend_on_its_batch(good: DrawnEditor) -> None:
    """A batch changes the order of additions: at most one level of 255 a pixel, which is what the editor promises."""
    cases, seeds = [case(index) for index in (0, 3, 5, 6, 3)], [1, 2, 3, 4, -5]
    alone = [pixels(good.edit(one, [seed]))[0] for one, seed in zip(cases, seeds, strict=True)]
    together = pixels(good.edit_many(cases, seeds))
    in_twos = [image for at in (0, 2, 4) for image in pixels(good.edit_many(cases[at : at + 2], seeds[at : at + 2]))]
    for a, b, c in zip(alone, together, in_twos, strict=True):
        assert max(abs(a - b).max(), abs(a - c).max()) <= 1
    assert abs(together[1] - together[4]).max() > 8
    assert good.edit_many([], []) == []


def test_seeds_of_any_size_have_their_noise_seed_stored(good: DrawnEditor) -> None:
    made = good.edit(case(1), [-1, 2**70 + 3])
    assert [(edited.seed, edited.noise_seed) for edited in made] == [(-1, 2**63 - 1), (2**70 + 3, 3)]


def test_more_steps_and_the_other_base_are_other_editors(good: DrawnEditor) -> None:
    rough = load(base="rough", steps=4)
    more = DrawnEditor(good.pipeline, {**good.settings, "steps": 8}, 32)
    images = pixels([editor.edit(case(3), [1])[0] for editor in (good, rough, more)])
    assert (images[0] != images[1]).any() and (images[0] != images[2]).any()
    assert rough.settings["sha256"] != good.settings["sha256"]


def test_a_model_that_was_saved_elsewhere_is_the_same_editor(good: DrawnEditor, tmp_path: Path) -> None:
    load_weights(FOLDER / "good")[0].save_pretrained(tmp_path)
    for folder in (tmp_path, FOLDER / "good"):
        editor = load(model=str(folder), steps=4)
        assert editor.settings["model"] == str(folder) and "base" not in editor.settings
        assert (pixels(editor.edit(case(4), [1]))[0] == pixels(good.edit(case(4), [1]))[0]).all()


def test_a_lora_changes_the_image_by_its_scale(good: DrawnEditor, tmp_path: Path) -> None:
    tuned = load_weights(FOLDER / "good")[0]
    tuned.transformer.add_adapter(LoraConfig(r=4, lora_alpha=8, target_modules=["to_q", "to_v"]), adapter_name=ADAPTER)
    for name, value in tuned.transformer.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(value, std=0.3, generator=torch.Generator().manual_seed(len(name)))
    file = tmp_path / "lora.safetensors"
    save_lora(tuned, "transformer", file)
    wanted = pixels(DrawnEditor(tuned, good.settings, 32).edit(case(2), [7]))[0]
    plain, full, none = (
        pixels(editor.edit(case(2), [7]))[0]
        for editor in (good, *(load(base="good", steps=4, lora={"file": str(file), "scale": s}) for s in (1, 0)))
    )
    assert abs(full - wanted).max() <= 1
    assert abs(full - plain).max() > 8
    assert (none == plain).all()
    assert load(lora={"file": str(file)}).edit(case(2), [7])[0].settings["lora"]["rank"] == 4


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"source": Image.new("RGB", (128, 128))}, r"128 x 128 pixels.*64 x 64"),
        ({"source": Image.new("RGB", (64, 48))}, r"64 x 48 pixels"),
        ({"instruction": ""}, "no instruction"),
        ({"instruction": " ... "}, "no instruction"),
        ({"instruction": None}, "no instruction"),
        ({"instruction": "add a dragon at the top left"}, "'dragon'"),
        ({"instruction": "make the red red red red red red red red red"}, r"11 words.*10 at most"),
    ],
)
def test_cases_it_was_not_made_for_are_refused_before_any_is_made(
    good: DrawnEditor, change: dict[str, Any], word: str
) -> None:
    with pytest.raises(CannotEdit, match=word):
        good.edit_many([case(0), replace(case(1), **change)], [1, 2])


def test_there_must_be_a_seed_for_each_case(good: DrawnEditor) -> None:
    with pytest.raises(ValueError, match="shorter"):
        good.edit_many([case(0), case(1)], [1])


@pytest.mark.parametrize(
    ("wanted", "word"),
    [
        ({"base": "perfect"}, "good, rough"),
        ({"base": ["good"]}, "good, rough"),
        ({"base": "../rough"}, "good, rough"),
        ({"quality": 3}, "quality.*base .or model., steps, batch and lora"),
        ({"base": "good", "model": "."}, "not both"),
        ({"model": "/nowhere"}, "folder that exists"),
        ({"model": 3}, "folder that exists"),
        ({"model": str(EDITORS)}, "cannot be read"),
        ({"steps": 0}, "steps must be a whole number from 1 to 50"),
        ({"steps": 8.0}, "steps must be"),
        ({"steps": True}, "steps must be"),
        ({"batch": 257}, "batch must be a whole number from 1 to 256"),
        ({"lora": "file.safetensors"}, "lora must be"),
        ({"lora": {"file": "a.safetensors", "strength": 2}}, "lora must be"),
        ({"lora": {"file": "a.safetensors", "scale": "1"}}, "scale of the CPU editor's lora"),
        ({"lora": {"file": "/nowhere/a.safetensors"}}, "does not exist"),
    ],
)
def test_wrong_settings_are_refused_in_words(wanted: dict[str, Any], word: str) -> None:
    with pytest.raises(EditorError, match=word):
        load_editor("drawn", wanted)


def test_listing_editors_loads_no_torch() -> None:
    code = (
        "import sys, training.gpu.editors.drawn\n"
        "print([name for name in ('django', 'torch', 'diffusers', 'transformers') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, cwd=EDITORS.parents[2], check=True)
    assert run.stdout.strip() == "[]"
