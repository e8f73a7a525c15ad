"""The parts of the CPU editor: words, latents, the assembled pipeline, its weights."""

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import FluxKontextPipeline
from PIL import Image

from drawnworld.edits import TASKS, draw_pair, draw_pairs
from drawnworld.wording import vocabulary
from training.gpu.drawn.assemble import is_zero_at_first, new_pipeline
from training.gpu.drawn.autoencoder import PatchAutoencoder, fit_autoencoder
from training.gpu.drawn.pairs import to_tensor
from training.gpu.drawn.sample import sample
from training.gpu.drawn.weights import (
    FILE,
    FOLDER,
    HASHES,
    INDEX,
    WrongWeights,
    base_names,
    load_model,
    load_weights,
    save_weights,
)
from training.gpu.drawn.words import MOST_WORDS, TEXT_LENGTH, clip_tokenizer, split, t5_tokenizer, unknown_words

SERIES = 515_000  # neither trained on nor held out


@pytest.fixture(scope="module")
def pipeline() -> FluxKontextPipeline:
    return load_weights(FOLDER / "rough")[0]


@pytest.fixture(scope="module")
def saved(pipeline: FluxKontextPipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "pipeline"
    pipeline.save_pretrained(folder)
    return folder


def edits(pipeline: FluxKontextPipeline, count: int = 4, steps: int = 2) -> list[np.ndarray]:
    pairs = list(draw_pairs(SERIES, count))
    sources = [Image.fromarray(pair.source) for pair in pairs]
    made = sample(pipeline, sources, [pair.edit.instruction for pair in pairs], range(count), steps)
    return [np.asarray(image) for image in made]


# Words


def test_the_tokenizers_know_every_instruction_and_give_its_words_back() -> None:
    instructions = {draw_pair(SERIES, index, TASKS[index % 8]).edit.instruction for index in range(600)}
    assert {word for text in instructions for word in text.split()} == set(vocabulary())
    for tokenizer, marks in ((clip_tokenizer(), 2), (t5_tokenizer(), 1)):
        for text in instructions:
            tokens = tokenizer(text, padding="max_length").input_ids
            assert len(tokens) == TEXT_LENGTH
            assert sum(token != tokenizer.pad_token_id for token in tokens) == len(text.split()) + marks
            assert tokenizer.unk_token_id not in tokens
            assert tokenizer.decode(tokens, skip_special_tokens=True) == text
    assert max(len(text.split()) for text in instructions) <= MOST_WORDS


def test_words_are_read_whatever_their_case_and_punctuation() -> None:
    for tokenizer in (clip_tokenizer(), t5_tokenizer()):
        same = ("Change the colour of the ring, to RED!", "change the color of the ring to red")
        assert tokenizer(same[0]).input_ids == tokenizer(same[1]).input_ids
    assert split("  Make it -- red.\n") == ["make", "it", "red"]
    assert unknown_words("make the dragon red and </s>") == ["dragon", "and", "</s>"]
    assert clip_tokenizer()("dragon </s>").input_ids.count(clip_tokenizer().eos_token_id) == 2  # hence the check


# Latents


def psnr(made: torch.Tensor, wanted: torch.Tensor) -> float:
    return float(10 * torch.log10(4 / (made.clamp(-1, 1) - wanted).square().mean()))


def test_the_autoencoder_loses_little(pipeline: FluxKontextPipeline) -> None:
    images = to_tensor([pair.target for pair in draw_pairs(SERIES, 64)])
    latents = pipeline.vae.encode(images).latent_dist.mode()
    assert latents.shape == (64, 12, 16, 16)
    assert psnr(pipeline.vae.decode(latents).sample, images) > 27  # dB; the held-out targets have 28.5


def test_the_committed_autoencoder_is_the_closed_form_of_its_training_images(pipeline: FluxKontextPipeline) -> None:
    """Components are orthogonal, ordered by variance, and no other 12 directions keep more of the fitted images."""
    images = to_tensor([pair.source for pair in draw_pairs(SERIES, 50)])
    vae = fit_autoencoder(images, 0.5)
    assert torch.allclose(vae.analysis @ vae.synthesis, torch.eye(12), atol=1e-4)
    patches = torch.nn.functional.pixel_unshuffle(images, 4).movedim(1, -1).flatten(0, -2)
    singular = torch.linalg.svd((patches - patches.mean(0)).double(), full_matrices=False)[1]
    lost = (vae.decode(vae.latents(images)).sample - images).double().square().sum()
    assert float(lost) == pytest.approx(float(singular[12:].square().sum()), rel=1e-3)
    spread = vae.latents(images).var(dim=(0, 2, 3))
    assert float(spread.mean()) == pytest.approx(1, rel=0.01)
    assert bool((spread.diff() < 0).all())
    flat = fit_autoencoder(images, 1.0).latents(images).var(dim=(0, 2, 3))
    assert torch.allclose(flat, torch.ones(12), rtol=0.01)


def test_the_autoencoder_saves_and_loads_exactly(tmp_path: Path) -> None:
    vae = fit_autoencoder(to_tensor([pair.source for pair in draw_pairs(SERIES, 20)]), 0.5)
    vae.save_pretrained(tmp_path)
    again = PatchAutoencoder.from_pretrained(tmp_path)
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in vae.state_dict().items())
    assert [path.suffix for path in tmp_path.iterdir() if path.suffix != ".json"] == [".safetensors"]


# The pipeline


def test_modulation_and_output_are_zero_at_first() -> None:
    transformer = new_pipeline(3).transformer
    zero = {name for name, value in transformer.named_parameters() if not value.any() and name.endswith("weight")}
    assert zero == {f"{name}.weight" for name, _ in transformer.named_modules() if is_zero_at_first(name)}
    assert len(zero) == 6


def test_a_new_pipeline_depends_on_its_seed_alone_and_leaves_the_random_state() -> None:
    before = torch.get_rng_state()
    first, same, other = (new_pipeline(seed).transformer.x_embedder.weight for seed in (1, 1, 2))
    assert torch.equal(first, same) and not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())


def test_a_saved_pipeline_gives_equal_pixels(pipeline: FluxKontextPipeline, saved: Path) -> None:
    stock = FluxKontextPipeline.from_pretrained(saved, local_files_only=True, use_safetensors=True)
    loaded, digest = load_model(saved)
    assert len(digest) == 64
    for other in (stock, loaded):
        assert all(np.array_equal(a, b) for a, b in zip(edits(pipeline), edits(other), strict=True))


def test_the_editor_starts_from_the_source(pipeline: FluxKontextPipeline) -> None:
    """Its tokens stand beside the noise: with another source the same noise and words give another picture."""
    first, second = (Image.fromarray(draw_pair(SERIES, index).source) for index in (0, 1))
    one, two = sample(pipeline, [first, second], ["blur the background"] * 2, [5, 5], 2)
    assert not np.array_equal(one, two)


# Weights


def test_the_committed_bases_are_whole_and_small() -> None:
    assert base_names() == ["good", "rough"]
    for name in base_names():
        _, digest = load_weights(FOLDER / name)
        assert digest in (FOLDER / name / HASHES).read_text()
        assert 2e6 < (FOLDER / name / FILE).stat().st_size < 3.2e6
        card = (FOLDER / name / "README.md").read_text()
        assert digest in card and "true score of the drawn world" in card


def test_weights_come_back_as_saved_up_to_half_precision(tmp_path: Path) -> None:
    fresh = new_pipeline(random.Random(4).getrandbits(30))
    digest = save_weights(fresh, tmp_path)
    again, same = load_weights(tmp_path)
    assert same == digest
    for key, value in fresh.transformer.state_dict().items():
        assert torch.equal(again.transformer.state_dict()[key], value.half().float())


def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER / "rough", tmp_path / "copy"))


def test_weights_that_were_changed_are_refused(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    content = bytearray((folder / FILE).read_bytes())
    content[-100] ^= 1
    (folder / FILE).write_bytes(content)
    with pytest.raises(WrongWeights, match="is not the file that was published"):
        load_weights(folder)


@pytest.mark.parametrize("file", [FILE, HASHES])
def test_missing_files_are_named(tmp_path: Path, file: str) -> None:
    folder = copied(tmp_path)
    (folder / file).unlink()
    with pytest.raises(WrongWeights, match=f"cannot be read.*{file}"):
        load_weights(folder)


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    pipeline = new_pipeline(0)
    pipeline.text_encoder.text_model = torch.nn.Linear(2, 2)
    save_weights(pipeline, tmp_path)
    with pytest.raises(WrongWeights, match="another model"):
        load_weights(tmp_path)


@pytest.mark.parametrize(
    ("part", "value"), [("vae", ["subprocess", "Popen"]), ("transformer", ["diffusers", "SD3Transformer2DModel"])]
)
def test_a_saved_pipeline_of_other_classes_is_refused(saved: Path, tmp_path: Path, part: str, value: list[str]) -> None:
    folder = Path(shutil.copytree(saved, tmp_path / "copy"))
    index = json.loads((folder / INDEX).read_text())
    (folder / INDEX).write_text(json.dumps(index | {part: value}))
    with pytest.raises(WrongWeights, match="another pipeline"):
        load_model(folder)


def test_a_saved_pipeline_that_lacks_a_part_is_refused(saved: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(saved, tmp_path / "copy"))
    shutil.rmtree(folder / "transformer")
    with pytest.raises(WrongWeights, match="cannot be loaded"):
        load_model(folder)
    (folder / INDEX).write_text("{")
    with pytest.raises(WrongWeights, match="cannot be read"):
        load_model(folder)
