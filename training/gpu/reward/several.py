"""Several processes of one training: accelerate launch -m training.gpu.run JOBDIR. One process is the ordinary case.

Each process has its own device and a share of every step's micro-batches; gradients are averaged. The first one keeps
the job folder's books, the others only compute.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed

from training.gpu.reward.scorer import device_of
from webapp.jobs.folder import JobRun, JobStopped, read_json

PATIENCE = timedelta(hours=2)  # others wait while the first one looks at the held-out part


class Processes:
    """``rank`` of ``world`` processes, on ``device``."""

    def __init__(self, device: str = "auto") -> None:
        self.rank, self.world = (
            int(os.environ.get(name, default)) for name, default in (("RANK", 0), ("WORLD_SIZE", 1))
        )
        found = torch.device(device_of(device))
        if self.world > 1:
            if found.type == "cuda":
                found = torch.device("cuda", int(os.environ.get("LOCAL_RANK", self.rank)))
                torch.cuda.set_device(found)
            backend = "nccl" if found.type == "cuda" else "gloo"
            distributed.init_process_group(backend, timeout=PATIENCE)
        self.device = found

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def mean_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Every process gets the mean of all; one without a gradient counts as 0."""
        if self.world == 1:
            return
        for value in parameters:
            gradient = value.grad if value.grad is not None else torch.zeros_like(value)
            distributed.all_reduce(gradient)
            value.grad = gradient / self.world

    def agree(self, flag: bool) -> bool:
        """What the first process says, or any that was asked to stop."""
        if self.world == 1:
            return flag
        said = torch.tensor([float(flag)], device=self.device)
        distributed.all_reduce(said, distributed.ReduceOp.MAX)
        return bool(said.item())

    def end(self) -> None:
        if self.world > 1:
            distributed.destroy_process_group()


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
    """Do a further process's share of ``work``. Its exit status."""
    with suppress(JobStopped):
        work(Follower(folder))
    return 0
