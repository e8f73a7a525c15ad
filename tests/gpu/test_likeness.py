"""DINO-I, CLIP-I and CLIP-T: tiny models of the real classes, saved to folders and loaded from there."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.gpu.test_categorise import tiny_clip
from training.gpu.likeness import likeness, load_dino
from training.gpu.run import KINDS
from webapp.jobs.folder import JobError, JobRun, JobStopped, read_events, write_json

MEASURES = ("dino_i", "clip_i", "clip_t")


def tiny_dino(folder: Path, kind: str = "vit") -> Path:
    from transformers import BitImageProcessor, Dinov2Config, Dinov2Model, ViTConfig, ViTImageProcessor, ViTModel

    torch.manual_seed(1)
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}
    side = {"height": 32, "width": 32}
    if kind == "vit":
        ViTModel(ViTConfig(**size, intermediate_size=32), add_pooling_layer=False).save_pretrained(folder)
        ViTImageProcessor(size=side).save_pretrained(folder)
    else:
        Dinov2Model(Dinov2Config(**size, mlp_ratio=2)).save_pretrained(folder)
        BitImageProcessor(size={"shortest_edge": 32}, crop_size=side).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("models")
    return tiny_dino(folder / "dino"), tiny_clip(folder / "clip")


def picture(number: int) -> Image.Image:
    return Image.effect_mandelbrot((40, 40), (-2 + number / 5, -1, 1, 1), 20).convert("RGB")


def job(folder: Path, dino: object, clip: object) -> JobRun:
    """Sample 0 is not edited at all; the others are."""
    (folder / "inputs").mkdir(parents=True)
    rows = []
    for number in range(3):
        picture(0).save(folder / "inputs" / "source.png")
        picture(3 * number).save(folder / "inputs" / f"{number}.png")
        text = "a cat" if number else "a dog"
        rows.append({"key": str(number), "source": "inputs/source.png", "edited": f"inputs/{number}.png", "text": text})
    (folder / "inputs" / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = {"dino": str(dino), "clip": str(clip)}
    write_json(folder / "job.json", {"kind": "editor-likeness", "config": config, "attempt": 1})
    return JobRun(folder)


def said(run: JobRun) -> dict[str, dict[str, Any]]:
    events = read_events(run.folder / "events.jsonl")[0]
    return {event["key"]: event for event in events if event["event"] == "likeness"}


def test_it_works(models: tuple[Path, Path], tmp_path: Path) -> None:
    run = job(tmp_path / "job", *models)
    assert KINDS["editor-likeness"] is likeness
    assert likeness(run) == {"samples": 3, "compared": 3, "failed": 0}
    found = said(run)
    assert (found["0"]["dino_i"], found["0"]["clip_i"]) == pytest.approx((1, 1), abs=1e-5)  # the source itself
    for number in ("1", "2"):
        assert all(-1 <= found[number][name] <= 1 for name in MEASURES)
        assert found[number]["dino_i"] < 1 - 1e-6
        assert found[number]["clip_i"] < 1 - 1e-6


def test_the_cosines_are_those_of_the_models(models: tuple[Path, Path], tmp_path: Path) -> None:
    """Against transformers' own classes, one picture at a time; CLIP's own forward pass for the text."""
    from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizer, ViTImageProcessor, ViTModel

    run = job(tmp_path / "job", *models)
    likeness(run)
    dino, clip = ViTModel.from_pretrained(models[0]).eval(), CLIPModel.from_pretrained(models[1]).eval()
    reader, eyes = ViTImageProcessor.from_pretrained(models[0]), CLIPImageProcessor.from_pretrained(models[1])
    words = CLIPTokenizer.from_pretrained(models[1])("a cat", return_tensors="pt")
    two = [picture(0), picture(6)]
    with torch.inference_mode():
        first, second = (dino(**reader(one, return_tensors="pt")).last_hidden_state[0, 0] for one in two)
        whole = clip(**words, **eyes(two, return_tensors="pt"))
    source, edited = whole.image_embeds
    expected = (
        torch.cosine_similarity(first, second, dim=0).item(),
        torch.cosine_similarity(source, edited, dim=0).item(),
        torch.cosine_similarity(whole.text_embeds[0], edited, dim=0).item(),
    )
    assert [said(run)["2"][name] for name in MEASURES] == pytest.approx(expected, abs=1e-5)


def test_dinov2_is_read_too(tmp_path: Path) -> None:
    vectors = load_dino(str(tiny_dino(tmp_path / "dino", "dinov2"))).vectors([picture(0), picture(1)])
    assert vectors.shape == (2, 16)
    assert torch.allclose(vectors.norm(dim=-1), torch.ones(2))


def test_it_goes_on_where_it_was_stopped(models: tuple[Path, Path], tmp_path: Path) -> None:
    run = job(tmp_path / "job", *models)
    run.emit("likeness", key="1", dino_i=0.5, clip_i=0.5, clip_t=0.5)
    likeness(run)
    assert said(run)["1"]["dino_i"] == 0.5  # not asked again
    assert set(said(run)) == {"0", "1", "2"}


def test_it_stops_when_asked(models: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = job(tmp_path / "job", *models)

    def stop(_run: JobRun) -> None:
        raise JobStopped

    monkeypatch.setattr(JobRun, "check", stop)
    with pytest.raises(JobStopped):
        likeness(run)


def test_an_unreadable_picture_costs_no_other(models: tuple[Path, Path], tmp_path: Path) -> None:
    run = job(tmp_path / "job", *models)
    (run.folder / "inputs" / "1.png").write_bytes(b"no picture")
    assert likeness(run) == {"samples": 3, "compared": 2, "failed": 1}


def test_weights_that_are_not_there_are_named(models: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"no usable DINO model .*nothing"):
        likeness(job(tmp_path / "a", tmp_path / "nothing", models[1]))
    with pytest.raises(JobError, match="no usable CLIP model"):
        likeness(job(tmp_path / "b", models[0], tmp_path / "nothing"))


def test_another_type_of_model_is_refused(models: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(JobError, match="Choose a DINO"):
        likeness(job(tmp_path / "a", models[1], models[1]))


def test_incomplete_weights_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tiny_dino(tmp_path / "dino")
    weights = load_file(folder / "model.safetensors")
    weights.pop("layernorm.weight")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(JobError, match="not complete: 1 tensors"):
        load_dino(str(folder))


@pytest.mark.parametrize("text", ["{", '{"key": 1, "source": "a", "edited": "b", "text": "c"}\n', '{"key": "1"}\n'])
def test_a_wrong_list_is_refused(text: str, models: tuple[Path, Path], tmp_path: Path) -> None:
    run = job(tmp_path / "job", *models)
    (run.inputs / "samples.jsonl").write_text(text)
    with pytest.raises(JobError, match="no list of samples"):
        likeness(run)
