"""Two processes of one training: they do what one does, stop together, and fail together with the sentence of one."""

import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.gpu.reward.drawn_set import job_folder, quick, rewritten, write_drawn_set
from tests.gpu.reward.test_trainer_refusals import waited
from training.gpu import run
from training.gpu.reward.batches import Plan, read_set
from training.gpu.reward.train import Hooks, Trainer
from training.rewards.config import PAIR, TEXT, Config, Stage
from training.rewards.groups import TRAIN, Group
from webapp.jobs.folder import read_events, read_json

# torch is imported once, and every process is a fork of that one
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.gpu.reward.test_several"])


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_drawn_set(tmp_path_factory.mktemp("set"), train=6, held_out=2, candidates=3)


def work(folder: str, variables: dict[str, str]) -> None:
    os.environ.update(variables)
    torch.set_num_threads(1)
    sys.exit(run.main([folder]))


def pair(folder: Path, meanwhile: Callable[[list[Any]], None] = lambda processes: None) -> list[int | None]:
    """The exit statuses of two processes on the job."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    told = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    processes = [FORKS.Process(target=work, args=(str(folder), {**told, "RANK": str(rank)})) for rank in range(2)]
    for process in processes:
        process.start()
    try:
        meanwhile(processes)
        for process in processes:
            process.join(120)
        return [process.exitcode for process in processes]
    finally:
        for process in processes:
            process.kill()


def test_two_processes_do_what_one_does(drawn: Path, tmp_path: Path) -> None:
    """Two with a micro-batch each, and one with both: the same weights but for rounding, the same losses, and the same
    steps of the optimiser where a stage leaves heads idle. A further process heeds no SIGTERM."""
    stages = (Stage(TEXT, 0.5), Stage(PAIR, 0.5))
    config = quick(steps=4, eval_every=2, batch=3, stages=stages, ranking="bradley-terry", centring=0.0)
    whole, losses = Trainer(replace(config, accumulate=2), read_set(drawn), tmp_path / "whole"), []
    whole.run(Hooks(trained=lambda told: losses.append((told["loss"], told["terms"]))))
    folder = job_folder(tmp_path / "job", drawn, config)

    def ask_the_second(processes: list[Any]) -> None:
        waited(folder, 1)
        os.kill(processes[1].pid, signal.SIGTERM)

    assert pair(folder, ask_the_second) == [0, 0]
    assert read_json(folder / "result.json")["status"] == "succeeded"
    trainer = Trainer(config, read_set(drawn), folder / "outputs")
    trainer.resume()
    for name, value in whole.weights.items():
        torch.testing.assert_close(trainer.weights[name], value, rtol=1e-3, atol=2e-4)
    first, second = (
        {index: float(one["step"]) for index, one in each.optimizer.state_dict()["state"].items()}
        for each in (whole, trainer)
    )
    assert first == second and set(first.values()) == {2.0, 4.0}
    told = [event for event in read_events(folder / "events.jsonl")[0] if event["event"] == "train"]
    assert [event["step"] for event in told] == [1, 2, 3, 4]
    for event, (loss, terms) in zip(told, losses, strict=True):
        assert event["loss"] == pytest.approx(loss, rel=1e-3)
        assert event["terms"] == pytest.approx(terms, rel=1e-3, abs=1e-6)


def test_sigterm_to_all_of_them_saves_their_place(drawn: Path, tmp_path: Path) -> None:
    config = quick(steps=2000, eval_every=2000)
    folder = job_folder(tmp_path / "job", drawn, config)

    def ask_all(processes: list[Any]) -> None:
        waited(folder, 1)
        for process in processes:
            os.kill(process.pid, signal.SIGTERM)

    assert pair(folder, ask_all) == [0, 0]
    assert read_json(folder / "result.json")["status"] == "cancelled"
    trainer = Trainer(config, read_set(drawn), folder / "outputs")
    trainer.resume()
    assert 1 <= trainer.progress.step < 2000


def test_an_error_in_the_second_ends_both_with_its_sentence(drawn: Path, tmp_path: Path) -> None:
    config = quick(steps=2, batch=1)
    (bad,) = Plan(read_set(drawn).split(TRAIN), config).micro_batch(1)  # the second one's first

    def other_world(group: Group) -> Group:
        return replace(group, instruction="give the woman a straw hat") if group.key == bad.key else group

    file = rewritten(drawn, "other.jsonl", other_world)
    folder = job_folder(tmp_path / "job", file, config)
    assert pair(folder) == [1, 1]
    result = read_json(folder / "result.json")
    assert result["status"] == "failed" and f"Group {bad.key} cannot be learned from" in result["message"]
    assert not any(event["event"] == "train" for event in read_events(folder / "events.jsonl")[0])


def test_one_process_alone_waits_for_nobody(drawn: Path, tmp_path: Path) -> None:
    trainer = Trainer(Config(), read_set(drawn), tmp_path)
    assert trainer.processes.mean([1.0, 2.0]) == [1.0, 2.0] and not trainer.processes.agree(False)
