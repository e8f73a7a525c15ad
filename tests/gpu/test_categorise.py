"""CLIP says what pictures show: a tiny model made from its configuration, saved to a folder and loaded from there."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from training.gpu.categorise import BATCH, categorise, load
from training.gpu.run import KINDS
from webapp.jobs.folder import JobError, JobRun, JobStopped, read_events, write_json

PROMPTS = ["a photo of a cat", "a photo of a dog", "a photo of a cup"]
SLUGS = ["cat", "dog", "cup"]


def tiny_clip(folder: Path, scale: float = 50.0) -> Path:
    """A CLIP of some thousand random weights, with a tokenizer of single letters."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

    torch.manual_seed(0)
    letters = [chr(97 + n) + end for n in range(26) for end in ("", "</w>")]
    vocabulary = {name: number for number, name in enumerate([*letters, "<|startoftext|>", "<|endoftext|>"])}
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=[])
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    size = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config={**size, **ends, "vocab_size": len(vocabulary), "max_position_embeddings": 40},
        vision_config={**size, "image_size": 32, "patch_size": 8},
        projection_dim=8,
        logit_scale_init_value=math.log(scale),
    )
    CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip(tmp_path_factory.mktemp("clip"))


def job(folder: Path, model: object, threshold: float = 0.0, pictures: int = 3) -> JobRun:
    (folder / "inputs").mkdir(parents=True)
    rows = []
    for number in range(pictures):
        colour = (37 * number % 256, 91 * number % 256, 255 - 11 * number % 256)
        Image.effect_mandelbrot((50, 40), (-2 + number / 9, -1, 1, 1), 20).convert("RGB").point(
            lambda v, c=colour: (v + c[0]) % 256
        ).save(folder / "inputs" / f"{number}.png")
        rows.append({"key": str(number), "file": f"inputs/{number}.png"})
    (folder / "inputs" / "images.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    categories = [{"slug": slug, "prompt": text} for slug, text in zip(SLUGS, PROMPTS, strict=True)]
    write_json(folder / "inputs" / "categories.json", categories)
    config = {"model": str(model), "threshold": threshold}
    write_json(folder / "job.json", {"kind": "categorise", "config": config, "attempt": 1})
    return JobRun(folder)


def said(folder: Path) -> list[dict[str, Any]]:
    return [event for event in read_events(folder / "events.jsonl")[0] if event["event"] == "category"]


def test_it_works(clip: Path, tmp_path: Path) -> None:
    run = job(tmp_path / "job", clip)
    assert KINDS["categorise"] is categorise
    assert categorise(run) == {"images": 3, "categorised": 3, "uncategorised": 0, "failed": 0}
    found = said(tmp_path / "job")
    assert [event["key"] for event in found] == ["0", "1", "2"]
    for event in found:
        assert event["category"] == event["best"] in SLUGS
        assert 1 / 3 <= event["score"] <= 1


def test_the_share_is_the_softmax_of_the_scaled_cosine(clip: Path) -> None:
    """Against transformers' own forward pass over picture and prompts together."""
    from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizer

    pictures = [Image.effect_mandelbrot((64, 48), (-2, -1, 1, end), 30).convert("RGB") for end in (1, 2)]
    model, tokenizer = CLIPModel.from_pretrained(clip).eval(), CLIPTokenizer.from_pretrained(clip)
    pixels = CLIPImageProcessor.from_pretrained(clip)(images=pictures, return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        whole = model(**tokenizer(PROMPTS, padding=True, return_tensors="pt"), pixel_values=pixels)
    expected = whole.logits_per_image.softmax(-1)
    found = torch.tensor(load(str(clip), PROMPTS).shares(pictures))
    assert torch.allclose(found, expected, atol=1e-5)
    assert torch.allclose(found.sum(-1), torch.ones(2))
    assert found.std() > 1e-3  # not all the same: the model does tell the pictures' prompts apart


def test_below_the_threshold_a_picture_stays_uncategorised(clip: Path, tmp_path: Path) -> None:
    categorise(job(tmp_path / "low", clip, threshold=0.0))
    scores = sorted(event["score"] for event in said(tmp_path / "low"))
    middle = (scores[1] + scores[2]) / 2
    summary = categorise(job(tmp_path / "high", clip, threshold=middle))
    assert summary == {"images": 3, "categorised": 1, "uncategorised": 2, "failed": 0}
    for event in said(tmp_path / "high"):
        assert event["category"] == (event["best"] if event["score"] >= middle else None)


def test_an_unreadable_picture_costs_no_other(clip: Path, tmp_path: Path) -> None:
    run = job(tmp_path / "job", clip)
    (tmp_path / "job" / "inputs" / "1.png").write_bytes(b"not a picture")
    assert categorise(run) == {"images": 3, "categorised": 2, "uncategorised": 0, "failed": 1}
    assert [event["key"] for event in said(tmp_path / "job")] == ["0", "2"]


def test_stopped_and_resumed_looks_at_no_picture_twice(clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "job"
    run = job(folder, clip, pictures=BATCH + 3)
    emit = run.emit

    def stop_soon(event: str, **data: Any) -> None:
        emit(event, **data)
        if event == "category":
            run.stop()

    run.emit = stop_soon  # type: ignore[method-assign]
    with pytest.raises(JobStopped):
        categorise(run)
    assert len(said(folder)) == BATCH
    run.finish("cancelled")
    run._owner.close()
    again = JobRun(folder)
    assert categorise(again)["images"] == BATCH + 3
    keys = [event["key"] for event in said(folder)]
    assert len(keys) == len(set(keys)) == BATCH + 3


def test_a_model_of_the_hub_s_cache(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    snapshot = tmp_path / "models--someone--clip" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    for path in clip.iterdir():
        (snapshot / path.name).write_bytes(path.read_bytes())
    (snapshot.parent.parent / "refs").mkdir()
    (snapshot.parent.parent / "refs" / "main").write_text("abc")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    picture = [Image.new("RGB", (40, 40), "red")]
    assert load("someone/clip", PROMPTS).shares(picture) == load(str(clip), PROMPTS).shares(picture)


# Refusals ------------------------------------------------------------------------------------------------------------


def test_no_such_model_and_nothing_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def no_network(*_arguments: Any, **_named: Any) -> None:
        pytest.fail("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    for name in ("nobody/no-such-clip", str(tmp_path / "nowhere")):
        with pytest.raises(JobError, match="no usable CLIP model"):
            load(name, PROMPTS)


def test_weights_that_would_be_unpickled(clip: Path, tmp_path: Path) -> None:
    """A folder with pytorch_model.bin alone is refused; nothing in it is opened."""
    folder = tmp_path / "pickled"
    folder.mkdir()
    for path in clip.iterdir():
        if path.name != "model.safetensors":
            (folder / path.name).write_bytes(path.read_bytes())
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    with pytest.raises(JobError, match="no usable CLIP model"):
        load(str(folder), PROMPTS)
    (folder / "model.safetensors").write_bytes((clip / "model.safetensors").read_bytes()[:500])
    with pytest.raises(JobError, match="no usable CLIP model"):
        load(str(folder), PROMPTS)


def test_another_kind_of_model(clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bert"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(JobError, match=r"of the type 'bert'\. Choose a CLIP model"):
        load(str(folder), PROMPTS)


def test_weights_that_are_not_complete(clip: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "partial"
    folder.mkdir()
    for path in clip.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    tensors = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in tensors.items() if name != "visual_projection.weight"}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(JobError, match="not complete: 1 tensors"):
        load(str(folder), PROMPTS)


@pytest.mark.parametrize("line", ["{", '{"key": 1, "file": "x"}', '{"key": "1"}', "[]"])
def test_a_list_that_is_none(clip: Path, tmp_path: Path, line: str) -> None:
    run = job(tmp_path / "job", clip)
    (tmp_path / "job" / "inputs" / "images.jsonl").write_text(line)
    with pytest.raises(JobError, match=r"images\.jsonl"):
        categorise(run)


def test_no_categories(clip: Path, tmp_path: Path) -> None:
    run = job(tmp_path / "job", clip)
    write_json(tmp_path / "job" / "inputs" / "categories.json", [])
    with pytest.raises(JobError, match=r"categories\.json"):
        categorise(run)
