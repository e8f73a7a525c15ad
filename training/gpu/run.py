"""``python -m training.gpu.run JOBDIR``: do the work of one job folder, by its kind, and exit.

Runs by hand, under the GPU queue, in another environment or on another host: it needs the folder and nothing else.
Exit status 0: done or stopped on request (result.json says which); 1: failed (result.json says why); 2: wrong call.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from training.gpu.categorise import categorise
from training.gpu.generate import generate
from training.gpu.likeness import likeness
from training.gpu.score import score
from webapp.jobs.folder import JobError, JobRun, run_job


def reward_train(run: JobRun) -> dict[str, Any]:
    from training.gpu.reward.job import reward_train as train  # torch: other kinds must start without it

    return train(run)


def posttrain(run: JobRun) -> dict[str, Any]:
    from training.gpu.posttrain.job import posttrain as train

    return train(run)


KINDS: dict[str, Callable[[JobRun], dict[str, Any]]] = {
    "generate": generate,
    "categorise": categorise,
    "score": score,
    "editor-likeness": likeness,
    "reward-train": reward_train,
    "posttrain": posttrain,
}


def work(run: JobRun) -> dict[str, Any]:
    if run.kind not in KINDS:
        raise JobError(f"This worker knows no job of the kind {run.kind!r}, only: {', '.join(KINDS)}.")
    return KINDS[run.kind](run)


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print("usage: python -m training.gpu.run JOBDIR (an existing job folder)", file=sys.stderr)
        return 2
    if int(os.environ.get("RANK", "0")):  # a further process of accelerate launch: the first one keeps the books
        from training.gpu.several import follow

        return follow(Path(arguments[0]), work)
    try:
        return run_job(Path(arguments[0]), work)
    except (JobError, KeyError, ValueError) as error:  # no readable job.json: there is no job to report on
        print(f"{arguments[0]}: this is not a job folder: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
