"""What the training of a reward model refuses, in words, and what it survives as a process."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.gpu.reward.drawn_set import job_folder, quick, rewritten, write_drawn_set
from training.gpu.reward import checkpoint, job
from training.gpu.reward.batches import read_set
from training.gpu.reward.job import refuse, reward_train
from training.gpu.reward.state import WrongState, load_state
from training.gpu.reward.train import STATE, Hooks, Trainer
from training.rewards.config import PAIR, POINT, Config, Stage
from training.rewards.groups import DEV, TRAIN, Entry, Group, Labels, write_set
from webapp.jobs.folder import JobError, JobRun, read_events, read_json, run_job

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_drawn_set(tmp_path_factory.mktemp("set"), train=6, held_out=2, candidates=3)


def refused(tmp_path: Path, file: Path, words: str, config: Config | None = None, **more: Any) -> None:
    folder = job_folder(tmp_path / f"job-{len(list(tmp_path.iterdir()))}", file, config or quick(steps=1), **more)
    with pytest.raises(JobError, match=words):
        reward_train(JobRun(folder))
    assert not (folder / "outputs" / "model").exists()


def test_a_file_that_is_no_set_is_refused(drawn: Path, tmp_path: Path) -> None:
    refused(tmp_path, drawn.with_name("nothing.jsonl"), "nothing.jsonl cannot be read: No such file")
    refused(tmp_path, drawn, "outside its inputs", set="../../set.jsonl.gz")


def test_pictures_that_are_missing_damaged_or_elsewhere_are_refused(drawn: Path, tmp_path: Path) -> None:
    lost = rewritten(drawn, "lost.jsonl", lambda group: replace(group, source="images/gone.png"))
    refused(tmp_path, lost, "The source of group g0 is missing: images/gone.png")
    outside = rewritten(drawn, "outside.jsonl", lambda group: replace(group, source="../../../etc/passwd"))
    refused(tmp_path, outside, "source of group g0 lies outside")
    (drawn.parent / "images" / "bad.png").write_bytes(b"no picture")
    damaged = rewritten(drawn, "damaged.jsonl", lambda group: replace(group, source="images/bad.png"))
    refused(tmp_path, damaged, "bad.png cannot be read")


def test_instructions_of_another_world_are_refused(drawn: Path, tmp_path: Path) -> None:
    other = rewritten(drawn, "other.jsonl", lambda group: replace(group, instruction="give the woman a straw hat"))
    refused(tmp_path, other, "cannot be learned from: .*drawn world alone")


def test_sets_that_teach_nothing_are_refused(drawn: Path) -> None:
    data = read_set(drawn)

    def with_groups(*groups: Group) -> Any:
        return replace(data, groups=groups)

    silent = replace(data.groups[0], labels={})
    alike = replace(data.groups[0], labels={"alignment": Labels(ranks=(1.0, 1.0, 1.0))})
    ranked = replace(data.groups[0], labels={"alignment": Labels(ranks=(1.0, 2.0, 3.0))})
    dev = replace(ranked, split=DEV)
    for groups, words in (
        ((dev,), "no groups in its train part"),
        ((ranked,), "no groups in its dev part. It is what tells when to stop"),
        ((silent, dev), "train part .* has no pair"),
        ((alike, dev), "train part .* has no pair"),
        ((ranked, replace(silent, split=DEV)), "dev part .* has no pair"),
    ):
        with pytest.raises(JobError, match=words):
            refuse(with_groups(*groups), Config())
    refuse(with_groups(ranked, dev), Config())  # no ratings: the order alone is learned
    with pytest.raises(JobError, match=r"learns from opinion scores \(stage pair, point\)"):
        refuse(with_groups(ranked, dev), Config(ranking="none", stages=(Stage(POINT, 0.5), Stage(PAIR, 0.5))))
    with pytest.raises(JobError, match="no content hash"):
        refuse(replace(data, header=replace(data.header, content_hash="")), Config())
    with pytest.raises(JobError, match="no dimension"):
        refuse(replace(data, header=replace(data.header, dimensions=())), Config())


def test_wrong_settings_are_refused_in_words(drawn: Path, tmp_path: Path) -> None:
    refused(tmp_path, drawn, "The setting steps must be", replace(quick(), steps=0))
    refused(tmp_path, drawn, "no backbone 'other'", replace(quick(), backbone="other"))
    refused(tmp_path, drawn, "is no reward model", init="nowhere")


def test_memory_that_runs_out_says_what_to_lower(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (torch.OutOfMemoryError("CUDA"), MemoryError(), RuntimeError("can't allocate memory: 1 GB")):

        def full(self: Trainer, hooks: Hooks, error: Exception = error) -> str:
            raise error

        monkeypatch.setattr(Trainer, "run", full)
        refused(tmp_path, drawn, r"Lower batch \(now 4\) and raise accumulate \(now 1\)")
    small, large = job._memory_words(quick()), job._memory_words(Config(backbone="transformers", model="/vlm"))
    assert "most_candidates (now 23). Then" in small and "max_side (now 448). Or choose checkpointing" in large
    monkeypatch.setattr(job, "refuse", lambda *_: (_ for _ in ()).throw(RuntimeError("shapes differ")))
    with pytest.raises(RuntimeError, match="shapes"):
        reward_train(JobRun(job_folder(tmp_path / "other", drawn, quick())))


def test_a_loss_that_is_no_number_ends_the_job(drawn: Path, tmp_path: Path) -> None:
    trainer = Trainer(quick(steps=2), read_set(drawn), tmp_path / "out")
    with torch.no_grad():
        trainer.network.bias[0, 0] = float("nan")
    with pytest.raises(JobError, match="no number in step 1"):
        trainer.run(Hooks())


def test_a_state_of_another_training_or_a_damaged_one_is_refused(drawn: Path, tmp_path: Path) -> None:
    data = read_set(drawn)
    Trainer(quick(steps=1, eval_every=1), data, tmp_path).run(Hooks())
    with pytest.raises(JobError, match="other settings or another training set"):
        Trainer(quick(steps=2), data, tmp_path).run(Hooks())
    trainer = Trainer(quick(steps=1, eval_every=1), data, tmp_path)
    with pytest.raises(WrongState, match="of another model"):
        load_state(tmp_path / STATE, {"other": torch.zeros(1)}, trainer.optimizer)
    (tmp_path / STATE).write_bytes(b"\x00" * 40)
    with pytest.raises(WrongState, match="cannot be read"):
        trainer.run(Hooks())


# As a process


def started(folder: Path, **environment: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "training.gpu.run", str(folder)]
    variables = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.Popen(command, cwd=ROOT, env=variables, stdin=subprocess.DEVNULL)


def waited(folder: Path, steps: int) -> None:
    """Until the job has told of so many steps."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if sum(event["event"] == "train" for event in read_events(folder / "events.jsonl")[0]) >= steps:
            return
        time.sleep(0.05)
    raise AssertionError("the job made no steps")


def test_a_kill_and_sigterm_leave_a_job_that_ends_as_if_nothing_had_been(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = quick(steps=12, eval_every=3)
    whole = Trainer(config, read_set(drawn), tmp_path / "whole")
    whole.run(Hooks())
    folder = job_folder(tmp_path / "job", drawn, config)
    process = started(folder)
    waited(folder, 4)
    process.kill()
    process.wait(60)
    before, update = signal.getsignal(signal.SIGTERM), Trainer.update

    def asked_to_stop(self: Trainer) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGTERM)
        return update(self)

    monkeypatch.setattr(Trainer, "update", asked_to_stop)
    monkeypatch.setattr(sys, "stdin", None)
    try:
        assert run_job(folder, reward_train) == 0 and read_json(folder / "result.json")["status"] == "cancelled"
    finally:
        signal.signal(signal.SIGTERM, before)
    monkeypatch.setattr(Trainer, "update", update)
    reward_train(JobRun(folder))
    kept = [checkpoint.read(path / "model")["fingerprint"] for path in (tmp_path / "whole", folder / "outputs")]
    assert kept[0] == kept[1]


def test_the_set_of_this_test_is_what_the_format_says(drawn: Path, tmp_path: Path) -> None:
    data = read_set(drawn)
    assert len(data.split(TRAIN)) == 6 and data.groups[0].candidates[0] == Entry(
        "0-0", "images/0-0.png", data.groups[0].candidates[0].editor
    )
    write_set(tmp_path / "again.jsonl.gz", data.header, data.groups)
    assert (tmp_path / "again.jsonl.gz").read_bytes() == drawn.read_bytes()
    assert json.dumps(quick().to_json())
