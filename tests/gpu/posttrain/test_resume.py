"""A run that was stopped, or killed, ends as one that was not: weights, optimiser, average and best, bit for bit."""

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.gpu.posttrain.drawn_run import (
    HELD,
    Tint,
    adapter,
    attempt,
    events,
    job_folder,
    quick,
    retell,
    use_tiny,
    worked,
)
from training.gpu import state
from training.gpu.posttrain import lora
from training.gpu.posttrain.state import Learner, WrongState
from training.gpu.posttrain.training import STATE
from training.posttraining.config import AWM, CPS, DPO, GUARD, NFT, SFT, Config
from webapp.jobs.folder import JobError, JobRun, JobStopped, read_json

FORKS = multiprocessing.get_context("forkserver")  # torch is imported once, and every process is a fork of that one
FORKS.set_forkserver_preload(["tests.gpu.posttrain.test_resume"])
OBJECTIVES: dict[str, dict[str, Any]] = {
    "grpo": {"ema": 0.9, "weight_decay": 0.01, "warmup": 3},
    "grpo, guard, cps, kl": {"region": GUARD, "dynamics": CPS, "kl": 0.1, "window": 0},
    "nft": {"objective": NFT, "updates": 1},
    "awm": {"objective": AWM},
    "dpo": {"objective": DPO},
    "sft": {"objective": SFT},
}


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    use_tiny(monkeypatch)


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    """All that the run left: its state, and the LoRAs."""
    outputs = folder / "outputs"
    found = dict(state.read(outputs / STATE)[0])
    for name in ("lora", "lora/last"):
        found |= {f"{name}/{key}": value for key, value in load_file(outputs / name / lora.FILE).items()}
    return found


def same(first: Path, second: Path) -> bool:
    one, other = tensors(first), tensors(second)
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class Stopping(JobRun):
    """Asked to stop once so many events of a kind were told."""

    def __init__(self, folder: Path, kind: str, count: int) -> None:
        super().__init__(folder)
        self.kind_of_stop, self.left = kind, count

    def emit(self, event: str, **data: Any) -> None:
        super().emit(event, **data)
        self.left -= event == self.kind_of_stop
        if self.left <= 0:
            self.stop()


def stopped(folder: Path, kind: str, count: int) -> None:
    run = Stopping(folder, kind, count)
    with pytest.raises(JobStopped):
        attempt(folder, run)


@pytest.mark.parametrize("what", OBJECTIVES)
def test_a_resumed_run_equals_an_unbroken_one(what: str, tmp_path: Path) -> None:
    config = quick(**OBJECTIVES[what])
    whole = attempt(job_folder(tmp_path / "whole", config))
    broken = job_folder(tmp_path / "broken", config)
    stopped(broken, "round", 1)
    stopped(broken, "look", 1)  # again, at the look of round 2
    found = attempt(broken)
    assert same(tmp_path / "whole", broken)
    assert [one["round"] for one in events(broken, "round")] == [1, 2, 3]
    for kind in ("round", "look"):
        for one, other in zip(events(broken, kind), events(tmp_path / "whole", kind), strict=True):
            assert {name: one.get(name) for name in ("loss", "reward", "distance", "judges")} == {
                name: other.get(name) for name in ("loss", "reward", "distance", "judges")
            }
    for name in ("rounds", "best_round", "images", "missing", "looks"):
        assert found[name] == whole[name]
    assert not (broken / "outputs" / "pool").exists()


def test_it_stops_between_passes_and_while_it_samples_examples(tmp_path: Path) -> None:
    """At the first look, and at the first cases of the pool: nothing is learned yet, and what is there is kept."""
    config = quick(objective=DPO)
    attempt(job_folder(tmp_path / "whole", config))
    broken = job_folder(tmp_path / "broken", config)
    run = JobRun(broken)
    run.stop()
    with pytest.raises(JobStopped):
        attempt(broken, run)
    assert not events(broken, "look") and (broken / "outputs" / STATE).exists()
    stopped(broken, "progress", 1)
    assert len(list((broken / "outputs" / "pool").iterdir())) == 1 and not events(broken, "round")
    attempt(broken)
    assert same(tmp_path / "whole", broken)


def _killed(folder: Path) -> None:
    """What the killed process runs. It reads the folder's job, and never ends by itself."""
    torch.set_num_threads(1)
    patch = pytest.MonkeyPatch()
    use_tiny(patch)
    worked(folder)
    time.sleep(60)


def test_a_killed_run_goes_on_and_equals_an_unbroken_one(tmp_path: Path) -> None:
    config = quick(rounds=8, look_every=3, ema=0.5)
    attempt(job_folder(tmp_path / "whole", config))
    broken = job_folder(tmp_path / "broken", config)
    process = FORKS.Process(target=_killed, args=(broken,))
    process.start()
    deadline = time.monotonic() + 60
    while not any(one["round"] >= 2 for one in events(broken, "round")) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL and not (broken / "result.json").exists()
    assert worked(broken) == 0, read_json(broken / "result.json")["message"]
    assert same(tmp_path / "whole", broken)
    rounds = [one["round"] for one in events(broken, "round")]
    assert set(rounds) == set(range(1, 9)) and rounds[-1] == 8


def test_a_state_of_another_run_is_refused(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", quick(rounds=1, look_every=1))
    attempt(folder)
    for changes, words in (
        ({"config": quick(rounds=2).to_json()}, "other settings, another editor or other data"),
        ({"data_hash": "else"}, "other settings, another editor or other data"),
        ({"config": quick(rounds=1, look_every=1, lora_rank=8).to_json()}, "of another model"),
    ):
        kept = (folder / "job.json").read_text()
        retell(folder, changes)
        with pytest.raises(JobError, match=words):
            attempt(folder)
        (folder / "job.json").write_text(kept)
    (folder / "outputs" / STATE).write_bytes(b"damaged")
    with pytest.raises(JobError, match=r"state\.safetensors cannot be read"):
        attempt(folder)


def test_a_state_of_before_a_setting_was_there_is_gone_on_from(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", quick())
    stopped(folder, "round", 1)
    path = folder / "outputs" / STATE
    found, notes = state.read(path)
    of = json.loads(notes["of"])
    del of["config"]["nft_beta"]
    state.write(path, found, {**notes, "of": json.dumps(of)})
    assert attempt(folder)["rounds"] == 3 and [one["round"] for one in events(folder, "round")] == [1, 2, 3]


def test_a_wrong_state_leaves_the_learner_as_it_was(tmp_path: Path) -> None:
    config = quick(ema=0.9)
    learner = Learner(config, adapter())
    learner.save(tmp_path / "a", {"of": "it"})
    other = Learner(quick(lora_rank=8, ema=0.9), adapter())
    before = [value.clone() for value in other.values]
    with pytest.raises(WrongState, match="of another model"):
        other.load(tmp_path / "a")
    assert all(torch.equal(a, b) for a, b in zip(before, other.values, strict=True))
    with pytest.raises(WrongState, match="of another model"):
        Learner(quick(objective=NFT), adapter()).load(tmp_path / "a")  # no old policy in it


def test_the_average_is_looked_at_and_the_trained_weights_go_on(tmp_path: Path) -> None:
    """The kept LoRA is the average; the state holds both. Memory that both share would make them one."""
    config = quick(ema=0.99, rounds=2, look_every=2)
    folder = job_folder(tmp_path / "job", config)
    attempt(folder)
    kept = tensors(folder)
    names = [name.removeprefix("weight/") for name in kept if name.startswith("weight/")]
    apart = [name for name in names if not torch.equal(kept[f"weight/{name}"], kept[f"average/{name}"])]
    assert len(apart) > len(names) / 2
    for name in names:
        file = f"lora/last/transformer.{name.removesuffix('.default.weight')}.weight"
        assert torch.equal(kept[file], kept[f"average/{name}"])


def test_a_held_out_judge_decides_which_lora_is_the_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reward is for red and the held-out judge for blue: the further from red, the better."""
    use_tiny(monkeypatch, {"held out": Tint("held out", blue=True)})
    config: Config = quick(rounds=4, look_every=1, learning_rate=5e-2, group=6)
    folder = job_folder(tmp_path / "job", config, held_out=[HELD])
    found = attempt(folder)
    looks = {one["round"]: one["judges"] for one in events(folder, "look")}
    best = max((number for number in looks if number), key=lambda number: looks[number]["held out"]["gain"])
    assert found["best_round"] == best and found["looks"]["best"]["round"] == best
    assert looks[1]["held out"]["trained"] is False and looks[1]["tint"]["trained"] is True
    assert looks[best]["tint"]["gain"] == pytest.approx(-looks[best]["held out"]["gain"])


class Silent(Tint):
    def judge(self, samples: Any) -> Any:
        return [None for _ in samples]


def test_a_share_of_wins_does_not_hide_which_lora_is_the_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a look each case is alone, and wins half. A held-out judge that never answers decides nothing either."""
    use_tiny(monkeypatch, {"held out": Silent("held out")})
    config: Config = quick(rounds=4, look_every=1, learning_rate=5e-2, group=6)
    folder = job_folder(tmp_path / "job", config, held_out=[HELD], reward={"win_rate": True})
    found = attempt(folder)
    gains = {one["round"]: one["judges"]["tint"]["gain"] for one in events(folder, "look") if one["round"]}
    assert found["best_round"] == max(gains, key=lambda number: gains[number]) and len(set(gains.values())) == 4
