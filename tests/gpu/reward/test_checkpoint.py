"""A reward model as a folder: it scores the same after a load, and refuses to load when it is not whole."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from drawnworld.edits import draw_pair
from training.gpu.reward import checkpoint
from training.gpu.reward.checkpoint import WrongCheckpoint
from training.gpu.reward.drawn import build
from training.gpu.reward.network import Example, RewardNetwork
from training.gpu.reward.scorer import Scorer, overall_scale
from training.rewards.config import Config

TOLD = {
    "dimensions": [
        {"key": "alignment", "label": "Alignment", "low": 1, "high": 5},
        {"key": "overall", "label": "Overall", "low": 0, "high": 100},
    ],
    "aggregate": "mean",
    "ties": {},
    "set": {"name": "A set", "content_hash": "abc"},
    "notice": "Demo data.",
    "config": Config().to_json(),
}


def network() -> RewardNetwork:
    made = RewardNetwork(build(Config(), ("alignment", "overall")), [1, 0], [5, 100])
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        made.weight.copy_(0.02 * torch.randn(made.weight.shape, generator=generator))
        made.bias.copy_(0.1 * torch.randn(made.bias.shape, generator=generator))
        made.backbone.tokens.add_(0.1)
    return made.eval()


def example(number: int = 0, candidates: int = 3) -> Example:
    pair = draw_pair(78, number)
    pictures = [pair.target, pair.source, np.clip(pair.target.astype(int) + 25, 0, 255).astype(np.uint8)]
    images = tuple(Image.fromarray(one) for one in pictures[:candidates])
    return Example(f"g{number}", pair.edit.instruction, Image.fromarray(pair.source), images)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    checkpoint.save(network(), tmp_path / "model", TOLD)
    return tmp_path / "model"


@pytest.fixture(scope="module")
def original() -> Scorer:
    return Scorer(network(), TOLD)


def test_a_loaded_model_scores_as_before(folder: Path, original: Scorer) -> None:
    before = original.score([example(0), example(1)])
    loaded = Scorer.load(folder, "cpu")
    assert loaded.score([example(0), example(1)]) == before
    assert (loaded.low, loaded.high) == (0.5, 52.5) and loaded.dimensions == ("alignment", "overall")
    assert {path.name for path in folder.rglob("*")} == {
        "reward.json", "heads.safetensors", "backbone", "drawn.safetensors"
    }  # fmt: skip
    one = before[0][0]
    scaled = (one.mu["alignment"] - 3) / 4 + (one.mu["overall"] - 50) / 100  # each on its own scale
    assert one.overall == pytest.approx(26.5 + 52 * scaled / 2, abs=1e-4)
    assert one.overall_sigma == pytest.approx(
        52 * np.hypot(one.sigma["alignment"] / 4, one.sigma["overall"] / 100) / 2, rel=1e-5
    )
    assert loaded.told["notice"] == "Demo data." and len(loaded.fingerprint) == 64


def test_saving_twice_gives_one_fingerprint_and_no_leftovers(folder: Path) -> None:
    first = checkpoint.read(folder)["fingerprint"]
    assert checkpoint.save(network(), folder, TOLD) == first
    assert [path.name for path in folder.parent.iterdir()] == ["model"]
    checkpoint.retell(folder, {"metrics": {"x": 1}})
    assert checkpoint.read(folder)["metrics"] == {"x": 1} and checkpoint.load(folder)


def test_a_score_does_not_depend_on_the_others_in_the_batch(original: Scorer) -> None:
    together = original.score([example(0), example(1), example(2)])
    alone = [original.score([example(number)])[0] for number in range(3)]
    single = original.score([example(0, candidates=1)])[0][0]
    for mine, others in zip(together, alone, strict=True):
        assert [one.overall for one in mine] == pytest.approx([one.overall for one in others], abs=1e-4)
    assert single.overall == pytest.approx(together[0][0].overall, abs=1e-4)
    assert original.score([]) == []


@pytest.mark.parametrize(("how", "ends"), [("mean", (0.5, 52.5)), ("sum", (1.0, 105.0)), ("min", (0.0, 5.0))])
def test_the_scale_of_the_overall_score(how: str, ends: tuple[float, float]) -> None:
    assert overall_scale({**TOLD, "aggregate": how}) == ends


def edited(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    told = json.loads((folder / "reward.json").read_text())
    change(told)
    (folder / "reward.json").write_text(json.dumps(told))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda told: told.pop("backbone"), "does not say how pictures and words are prepared"),
        (lambda told: told["backbone"].pop("preprocessing"), "does not say how pictures are prepared"),
        (lambda told: told["backbone"].update(preprocessing="drawn-32/9"), "another preprocessing"),
        (lambda told: told["backbone"].update(words=["red"]), "other words of the drawn world"),
        (lambda told: told.update(backbone="x"), "cannot be read"),
        (lambda told: told.pop("dimensions"), "does not name its dimensions"),
        (lambda told: told["dimensions"][0].pop("high"), "no scale"),
        (lambda told: told["dimensions"].reverse(), "other dimensions than its network"),
        (lambda told: told.pop("set"), "does not name the training set"),
        (lambda told: told["set"].update(content_hash=""), "does not name the training set"),
        (lambda told: told.pop("aggregate"), "brought together"),
        (lambda told: told.pop("fingerprint"), "no fingerprint"),
        (lambda told: told.update(fingerprint="0" * 64), "not those that were saved"),
        (lambda told: told.update(kind="pickle"), "There is no backbone 'pickle'"),
        (lambda told: told.update(format=2), "format 1, the only one"),
    ],
)
def test_a_folder_that_is_not_whole_refuses(folder: Path, change: Callable[[dict[str, Any]], Any], words: str) -> None:
    edited(folder, change)
    with pytest.raises(WrongCheckpoint, match=words):
        checkpoint.load(folder)


@pytest.mark.parametrize("name", ["heads.safetensors", "backbone/drawn.safetensors"])
def test_a_changed_file_refuses(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(WrongCheckpoint, match="fingerprint differs"):
        checkpoint.load(folder)


def test_a_missing_file_and_an_added_one_refuse(folder: Path) -> None:
    (folder / "more.bin").write_bytes(b"x")
    with pytest.raises(WrongCheckpoint, match="fingerprint differs"):
        checkpoint.load(folder)
    (folder / "reward.json").write_text("{")
    with pytest.raises(WrongCheckpoint, match="cannot be read"):
        checkpoint.load(folder)
    with pytest.raises(WrongCheckpoint, match="cannot be read"):
        checkpoint.load(folder / "nowhere")
