"""A training that starts from a saved reward model: it goes on from it, says so, and refuses what does not fit."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.gpu.reward.drawn_set import DIMENSIONS, quick, write_drawn_set
from training.gpu.reward import checkpoint
from training.gpu.reward.batches import TrainingSet, read_set
from training.gpu.reward.drawn.network import DrawnBackbone
from training.gpu.reward.init import SEEN
from training.gpu.reward.train import Hooks, Trainer
from training.rewards.config import Config
from webapp.jobs.folder import JobError


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingSet:
    return read_set(write_drawn_set(tmp_path_factory.mktemp("set"), train=4, held_out=2, candidates=3))


@pytest.fixture(scope="module")
def first(data: TrainingSet, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    """Its model has moved from where a new one begins, its tie widths too."""
    trainer = Trainer(quick(steps=2, eval_every=2, batch=2), data, tmp_path_factory.mktemp("first"))
    trainer.run(Hooks())
    return trainer


def other_set(data: TrainingSet, **changes: Any) -> TrainingSet:
    return replace(data, header=replace(data.header, **changes))


def test_it_goes_on_with_the_weights_and_what_the_loss_learned(
    data: TrainingSet, first: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured: list[Config] = []
    monkeypatch.setattr(DrawnBackbone, "configure", lambda self, config: configured.append(config))
    again = Trainer(quick(steps=1), data, tmp_path, init=first.out / "model")
    assert again.weights.keys() == first.weights.keys() and configured == [again.config]
    for name, value in first.weights.items():
        torch.testing.assert_close(again.weights[name], value)
    fresh = Trainer(quick(steps=1), data, tmp_path)
    assert not torch.equal(fresh.objective.width, again.objective.width) and configured[1:] == [fresh.config]
    other = Trainer(quick(steps=1, ranking="davidson"), data, tmp_path, init=first.out / "model")
    assert torch.equal(other.objective.width, fresh.objective.width)  # another loss, another meaning


def test_ties_of_other_sizes_begin_anew(data: TrainingSet, first: Trainer, tmp_path: Path) -> None:
    init = copied(first, tmp_path, lambda told: told["ties"].update(log_delta=[[0.5] * 9] * 2))
    again = Trainer(quick(steps=1), data, tmp_path / "out", init=init)
    assert torch.equal(again.objective.width, first.objective.width) and again.objective.log_delta.shape[1] < 9


def test_it_says_where_it_started(data: TrainingSet, first: Trainer, tmp_path: Path) -> None:
    start = checkpoint.read(first.out / "model")
    again = Trainer(quick(steps=1), data, tmp_path / "again", init=first.out / "model").told()
    assert again["init"] == {"fingerprint": start["fingerprint"], "set": start["set"]}
    assert again["notice"] == "Simulation." and "init" not in start
    new = other_set(data, content_hash="another", name="Another")
    later = Trainer(quick(steps=1, eval_every=1), new, tmp_path / "later", init=first.out / "model")
    assert later.told()["notice"] == f"Simulation. {SEEN}" and later.told()["init"]["set"]["name"] == "Small set"
    later.run(Hooks())
    third = Trainer(quick(steps=1), new, tmp_path / "third", init=later.out / "model").told()
    assert third["notice"].endswith(SEEN) and third["init"]["init"]["fingerprint"] == start["fingerprint"]


def test_a_state_belongs_to_its_start(data: TrainingSet, first: Trainer, tmp_path: Path) -> None:
    config = quick(steps=1, eval_every=1)
    Trainer(config, data, tmp_path, init=first.out / "model").run(Hooks())
    with pytest.raises(JobError, match="other settings"):
        Trainer(config, data, tmp_path).run(Hooks())
    Trainer(config, data, tmp_path, init=first.out / "model").resume()


# What does not fit


def copied(first: Trainer, tmp_path: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """The model beside another reward.json."""
    init = tmp_path / "init"
    init.mkdir()
    for path in ("backbone", "heads.safetensors"):
        (init / path).symlink_to(first.out / "model" / path)
    told = checkpoint.read(first.out / "model")
    (init / "backbone").unlink()
    (init / "backbone").mkdir()
    (init / "backbone" / "drawn.safetensors").symlink_to(first.out / "model" / "backbone" / "drawn.safetensors")
    change(told)
    (init / "reward.json").write_text(json.dumps(told))
    return init


def test_other_dimensions_or_scales_are_refused(data: TrainingSet, first: Trainer, tmp_path: Path) -> None:
    wider = (DIMENSIONS[0], replace(DIMENSIONS[1], low=0, high=10))
    for dimensions, words in (
        (DIMENSIONS[:1], "scores alignment, preservation, and the training set has alignment"),
        (DIMENSIONS[::-1], "the training set has preservation, alignment"),
        (wider, "scores preservation from 1 to 5, and the training set has it from 0 to 10"),
    ):
        with pytest.raises(JobError, match=words):
            Trainer(quick(), other_set(data, dimensions=dimensions), tmp_path, init=first.out / "model")


@pytest.mark.parametrize(
    ("name", "own"),
    [("model", "/models/other"), ("revision", "v1"), ("lora_rank", 8), ("lora_alpha", 8), ("train_vision", False),
     ("max_side", 224), ("dtype", "bfloat16")],
)  # fmt: skip
def test_settings_that_the_start_does_not_have_are_refused(
    data: TrainingSet, first: Trainer, tmp_path: Path, name: str, own: Any
) -> None:
    config = Config(backbone="transformers", model="/models/vlm")
    described = {
        key: getattr(config, key)
        for key in ("model", "revision", "lora_rank", "lora_alpha", "train_vision", "max_side", "dtype")
    }
    init = copied(first, tmp_path, lambda told: told.update(kind="transformers", backbone={**described, name: own}))
    with pytest.raises(JobError, match=f"setting {name} is .*start from has {own!r}"):
        Trainer(config, data, tmp_path / "out", init=init)


def test_another_backbone_is_refused(data: TrainingSet, first: Trainer, tmp_path: Path) -> None:
    config = Config(backbone="transformers", model="/models/vlm")
    with pytest.raises(JobError, match="has the backbone drawn, and the setting backbone is transformers"):
        Trainer(config, data, tmp_path, init=first.out / "model")
