"""Several processes of one training: accelerate launch -m training.gpu.run JOBDIR. One process is the ordinary case.

Each process has its own device and a share of every step's work; gradients are averaged. The first one keeps
the job folder's books, the others only compute.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed

from webapp.jobs.folder import JobError, JobRun, JobStopped, read_json

PATIENCE = timedelta(hours=2)  # others wait while the first one looks at the held-out part
SENTENCE = 2000  # bytes of an error at most


def device_of(device: str) -> str:
    """A device in torch's words; "auto" is the first GPU where there is one."""
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


class Processes:
    """``rank`` of ``world`` processes, on ``device``; ``together`` while they wait for each other. As a context: an
    error in one ends all, and so does the end of the block."""

    def __init__(self, device: str = "auto") -> None:
        self.rank, self.world = (
            int(os.environ.get(name, default)) for name, default in (("RANK", 0), ("WORLD_SIZE", 1))
        )
        found = torch.device(device_of(device))
        self.together = self.world > 1
        if self.together:
            if found.type == "cuda":
                found = torch.device("cuda", int(os.environ.get("LOCAL_RANK", self.rank)))
                torch.cuda.set_device(found)
            backend = "nccl" if found.type == "cuda" else "gloo"
            distributed.init_process_group(backend, timeout=PATIENCE)
        self.device = found

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, JobStopped):
            self._fail(str(error) or type(error).__name__)
        self.end()

    def mean_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Every process gets the mean of all; one without a gradient counts as 0. Where no process has one there is
        none, as with one process: the optimiser then leaves that parameter alone."""
        if not self.together:
            return
        self._meet()
        values = list(parameters)
        there = torch.tensor([float(value.grad is not None) for value in values], device=self.device)
        distributed.all_reduce(there, distributed.ReduceOp.MAX)
        for value, anywhere in zip(values, there.tolist(), strict=True):
            if anywhere:
                gradient = value.grad if value.grad is not None else torch.zeros_like(value)
                distributed.all_reduce(gradient)
                value.grad = gradient / self.world

    def mean(self, numbers: Sequence[float]) -> list[float]:
        """The means over all processes, each of which has as many numbers."""
        if not self.together:
            return list(numbers)
        self._meet()
        found = torch.tensor(numbers, device=self.device)
        distributed.all_reduce(found)
        means: list[float] = (found / self.world).tolist()
        return means

    def gather(self, numbers: Sequence[float]) -> list[list[float]]:
        """The numbers of every process, by rank. Each has as many."""
        if not self.together:
            return [list(numbers)]
        self._meet()
        mine = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        every = [torch.zeros_like(mine) for _ in range(self.world)]
        distributed.all_gather(every, mine)
        return [one.tolist() for one in every]

    def agree(self, flag: bool) -> bool:
        """What the first process says, or any that was asked to stop."""
        if not self.together:
            return flag
        self._meet()
        return self._any(flag)

    def end(self) -> None:
        if self.together:
            self.together = False
            distributed.destroy_process_group()

    def _any(self, flag: bool) -> bool:
        said = torch.tensor([float(flag)], device=self.device)
        distributed.all_reduce(said, distributed.ReduceOp.MAX)
        return bool(said.item())

    def _meet(self, problem: str = "") -> None:
        """Before every exchange, as one that failed takes part in this alone. Raises JobError with its sentence."""
        if not self._any(bool(problem)):
            return
        said = problem.encode()[:SENTENCE].ljust(SENTENCE, b"\0")
        mine = torch.frombuffer(bytearray(said), dtype=torch.uint8).to(self.device)
        every = [torch.zeros_like(mine) for _ in range(self.world)]
        distributed.all_gather(every, mine)
        self.end()
        words = [bytes(one.tolist()).rstrip(b"\0").decode(errors="ignore") for one in every]
        raise JobError(next(filter(None, words)))

    def _fail(self, problem: str) -> None:
        """Have the others end with this sentence, too, instead of waiting for what will not come."""
        if self.together:
            with suppress(JobError, RuntimeError):  # its own sentence, or a process that is gone altogether
                self._meet(problem)


class Follower(JobRun):
    """The job folder as a further process sees it: it reads, and writes nothing."""

    def __init__(self, folder: Path) -> None:
        job = read_json(folder / "job.json")
        self.folder, self.kind, self.config = folder, job["kind"], job["config"]
        self.inputs, self.outputs = folder / "inputs", folder / "outputs"

    @property
    def stopping(self) -> bool:
        return False  # the first one is asked to stop, and tells the others

    def emit(self, event: str, **data: Any) -> None:
        pass

    def save_checkpoint(self, state: object) -> None:
        pass


def follow(folder: Path, work: Callable[[JobRun], dict[str, Any]]) -> int:
    """Do a further process's share of ``work``. Its exit status. SIGTERM goes to all processes of a job at once: only
    the first one heeds it, saves its place, and tells the others."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        work(Follower(folder))
    except JobStopped:
        return 0
    except JobError as error:  # the first process writes it into the job's result
        print(error, file=sys.stderr)
        return 1
    return 0
