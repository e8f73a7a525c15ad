"""Every objective on tiny FLUX.1 Kontext and tiny Qwen-Image-Edit-2509: it runs, and the pictures become what is asked.

The reward is a picture's tint: mean red above mean blue. The models' weights are random, so their pictures are noise,
and noise can be of any tint.
"""

import dataclasses
import math
import multiprocessing
import os
import socket
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from tests.gpu.posttrain.adapting import CASES, edited, told
from training.gpu.posttrain import lora
from training.gpu.posttrain.adapters import load_adapter
from training.gpu.posttrain.cases import Example, RunCase
from training.gpu.posttrain.offline import Offline
from training.gpu.posttrain.online import Direct, Online
from training.gpu.posttrain.rewarding.protocol import Sample
from training.gpu.several import Processes
from training.posttraining.config import AWM, CPS, DPO, DPPO, GIVEN, GRPO, GUARD, NFT, SFT, Config

KONTEXT, PLUS = "flux_kontext", "qwen_image_edit_plus"
EACH = pytest.mark.parametrize("name", [KONTEXT, PLUS])
BASE = Config(
    size=32, dtype="float32", checkpointing=False, steps=3, groups=2, group=6, batch=12, window_share=0.4, rounds=2,
    learning_rate=2e-2, lora_rank=4, lora_alpha=8, lora_targets="all", least_spread=1e-6, clip_range=1e-3, samples=8,
    examples=8, dpo_beta=500.0, poor=0.01, top=0.2,
)  # fmt: skip
RUN_CASES = [
    RunCase(number, "train", dataclasses.replace(case, source=case.source.resize((32, 32))))
    for number, case in enumerate(CASES)
]
LOOK_SEEDS = range(100, 104)


def pairs(every: Iterable[str], *of_plus: str) -> list[tuple[str, str]]:
    """All of them on Kontext, and on Qwen those that ask something else of the model."""
    return [*((KONTEXT, one) for one in every), *((PLUS, one) for one in of_plus)]


def tint(picture: Image.Image) -> float:
    """From 0 (blue) to 1 (red)."""
    red, _, blue = np.asarray(picture.convert("RGB"), dtype=float).mean(axis=(0, 1)) / 255
    return float(red - blue + 1) / 2


def judge(samples: Sequence[Sample]) -> list[float]:
    return [tint(sample.picture) for sample in samples]


@cache
def conditions(name: str) -> Any:
    return load_adapter(name, told(name), BASE, "cpu").encode([one.case for one in RUN_CASES])


def look(adapter: Any, name: str) -> float:
    """The mean tint of fixed cases and seeds."""
    return float(np.mean([tint(p) for c in conditions(name) for p in edited(adapter, [c] * 4, LOOK_SEEDS, 3)]))


def trainer(name: str, config: Config, folder: Path, reward: Any = judge, examples: Sequence[Example] = ()) -> Any:
    adapter = load_adapter(name, told(name), config, "cpu")
    encoded = conditions(name)
    if config.is_online:
        return Online(config, adapter, RUN_CASES, Direct(reward, "tint"), conditions=encoded)
    return Offline(config, adapter, RUN_CASES, folder / "pool", Direct(reward), examples, conditions=encoded)


def rounds(learning: Any) -> list[dict[str, Any]]:
    if not learning.config.is_online:
        learning.prepare()
    return [learning.round(number) for number in range(learning.config.rounds)]


def given(folder: Path) -> list[Example]:
    """Of each case a red and a blue picture, and the red one is better."""
    found = []
    for color, score in (("red", 0.9), ("blue", 0.3)):
        Image.new("RGB", (32, 32), color).save(folder / f"{color}.png")
        found += [Example(one.key, folder / f"{color}.png", score, None, color) for one in RUN_CASES]
    return found


ONLINE: dict[str, dict[str, Any]] = {
    "sde, clip": {},
    "cps, clip": {"dynamics": CPS},
    "sde, guard": {"region": GUARD},
    "sde, dppo": {"region": DPPO},
    "all steps, kl": {"window": 0, "kl": 0.1, "dynamics": CPS, "region": GUARD, "shared_noise": False},
    "nft": {"objective": NFT, "shared_noise": False, "updates": 1},
    "awm": {"objective": AWM, "shared_noise": False},
}


@pytest.mark.parametrize(("name", "what"), pairs(ONLINE, "sde, clip", "all steps, kl", "nft", "awm"))
def test_every_online_objective_runs_and_learns_something(name: str, what: str, tmp_path: Path) -> None:
    config = dataclasses.replace(BASE, **ONLINE[what])
    learning = trainer(name, config, tmp_path)
    first = {key: value.detach().clone() for key, value in learning.learner.parameters.items()}
    events = rounds(learning)
    assert all(math.isfinite(event["loss"]) and event["grad_norm"] > 0 for event in events)
    assert [event["images"] for event in events] == [12, 12]
    assert all(event["reward"]["std"] > 0 and event["missing"] == 0 for event in events)
    moved = [key for key, value in learning.learner.parameters.items() if not torch.equal(value, first[key])]
    assert len(moved) == len(first)
    if config.objective == GRPO:  # before the first step the policy is the one that sampled, to the last bit
        assert [event["ratio_first"] for event in events] == [1.0, 1.0]


@EACH
@pytest.mark.parametrize("objective", [DPO, SFT])
def test_every_offline_objective_learns_from_given_pictures(name: str, objective: str, tmp_path: Path) -> None:
    """Flow-DPO's loss begins at ln 2, as model and base are one, and falls; fine-tuning's falls."""
    config = dataclasses.replace(BASE, objective=objective, data=GIVEN, top=0.5, rounds=6, dpo_beta=20.0)
    learning = trainer(name, config, tmp_path, examples=given(tmp_path))
    events = rounds(learning)
    assert len(learning.lessons) == 2
    if objective == DPO:
        assert events[0]["loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert events[-1]["loss"] < 0.95 * events[0]["loss"]


GAINS: dict[str, tuple[dict[str, Any], float]] = {
    GRPO: ({"rounds": 6}, 0.004),
    NFT: ({"rounds": 6, "objective": NFT, "shared_noise": False, "updates": 1}, 0.004),
    DPO: ({"rounds": 10, "objective": DPO}, 0.002),
    SFT: ({"rounds": 16, "objective": SFT}, 0.0005),
}


@pytest.mark.parametrize(("name", "objective"), pairs(GAINS, GRPO))
def test_pictures_become_redder_where_red_is_rewarded(name: str, objective: str, tmp_path: Path) -> None:
    changes, least = GAINS[objective]
    learning = trainer(name, dataclasses.replace(BASE, **changes), tmp_path)
    before = look(learning.adapter, name)
    rounds(learning)
    assert look(learning.adapter, name) - before > least


def test_pictures_become_bluer_where_blue_is_rewarded(tmp_path: Path) -> None:
    def blue(samples: Sequence[Sample]) -> list[float]:
        return [1 - value for value in judge(samples)]

    learning = trainer(KONTEXT, dataclasses.replace(BASE, rounds=6), tmp_path, blue)
    before = look(learning.adapter, KONTEXT)
    rounds(learning)
    assert look(learning.adapter, KONTEXT) < before - 0.004


# Several processes ---------------------------------------------------------------------------------------------------

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.gpu.posttrain.test_tiny_objectives"])
SHARED = dataclasses.replace(BASE, updates=1, lora_targets="attention")


def share(folder: str, settings: dict[str, Any], variables: dict[str, str]) -> None:
    """One process's part of a run. Every process ends with the whole run's LoRA, and writes it."""
    os.environ.update(variables)
    torch.set_num_threads(1)
    with Processes("cpu") as processes:
        adapter = load_adapter(KONTEXT, settings, SHARED, processes.device)
        learning = Online(SHARED, adapter, RUN_CASES, Direct(judge), processes)
        for number in range(SHARED.rounds):
            learning.round(number)
        lora.save(adapter, Path(folder) / f"{processes.rank}" / lora.FILE)
    sys.exit(0)


def test_two_processes_make_the_lora_of_one(tmp_path: Path) -> None:
    """A group each, and one process with both. But for rounding, whose share Adam's first steps make larger."""
    learning = trainer(KONTEXT, SHARED, tmp_path)
    first = {key: value.detach().clone() for key, value in learning.learner.parameters.items()}
    rounds(learning)
    lora.save(learning.adapter, tmp_path / "one" / lora.FILE)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    processes = [
        FORKS.Process(target=share, args=(str(tmp_path), told(KONTEXT), common | {"RANK": str(rank)}))
        for rank in range(2)
    ]
    try:
        for process in processes:
            process.start()
        for process in processes:
            process.join(120)
        assert [process.exitcode for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
    one, both, other = (load_file(tmp_path / name / lora.FILE) for name in ("one", "0", "1"))
    assert all(torch.equal(both[key], other[key]) for key in both)
    apart = torch.cat([(one[key] - both[key]).flatten() for key in one]).norm()
    moved = torch.cat([(value - first[key]).flatten() for key, value in learning.learner.parameters.items()]).norm()
    assert moved > 0
    assert apart < 0.02 * moved
