"""Which candidates of a scored data set are kept. Pure.

EditReward scores the 46,000 samples of ShareGPT-4o-Image and fine-tunes an editor on the best 20,000 (section 4.4).
EditHF takes the best of 20 seeds of each instruction and, in each task, drops the lower half (section 5.5; it does so
with pairs of a chosen and a rejected edit, by the score of the chosen one). Both choose triples of source, instruction
and edit, so candidates are chosen here, and their cases go with them.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from scoring.filtering.rules import TaskRule
from scoring.stats.grouped import EDGE, Codes

EDITREWARD_OF, EDITREWARD_KEPT = 46_000, 20_000


class How(StrEnum):
    EDITREWARD = "editreward"  # the best 20,000 of all; of fewer than 46,000 the same share
    EDITHF = "edithf"  # the better half of each task
    COUNT = "count"  # the best so many of all
    COUNT_TASK = "count_task"  # of each task
    SHARE = "share"  # the best so many percent of all
    SHARE_TASK = "share_task"  # of each task
    THRESHOLD = "threshold"  # what scores so much, by task


BY_TASK = (How.EDITHF, How.COUNT_TASK, How.SHARE_TASK, How.THRESHOLD)
COUNTS, SHARES = (How.COUNT, How.COUNT_TASK), (How.SHARE, How.SHARE_TASK)


@dataclass(frozen=True)
class Rule:
    """``tasks``: who scores them, by short name; what is not there is unscored. A task's threshold is what a candidate
    must reach to be kept, where ``how`` is THRESHOLD; None keeps all of the task. ``per_case``: candidates of a case at
    most, its best ones. ``amount``: a number of candidates, or percent, as ``how`` says.
    """

    how: How
    tasks: Mapping[str, TaskRule]
    per_case: int = 1
    amount: float | None = None

    @property
    def by_task(self) -> bool:
        """Is each task chosen from on its own? If not, candidates of all tasks compete."""
        return self.how in BY_TASK

    def room(self, pool: int) -> int:
        """How many are kept of ``pool`` candidates that compete, at most. Not for thresholds."""
        if self.how == How.EDITREWARD:
            return EDITREWARD_KEPT if pool >= EDITREWARD_OF else pool * EDITREWARD_KEPT // EDITREWARD_OF
        if self.how == How.EDITHF:
            return pool - pool // 2
        amount = self.amount or 0
        return int(amount) if self.how in COUNTS else min(pool, math.floor(pool * amount / 100 + EDGE))

    def lowest(self, task: str) -> float:
        """What a candidate of the task must score at least, on the judge's own scale."""
        mine = self.tasks.get(task)
        if self.how != How.THRESHOLD or mine is None or mine.threshold is None:
            return -math.inf
        return math.inf if mine.cut is None else mine.cut  # a level map may end below the threshold

    def to_json(self) -> dict[str, Any]:
        tasks = {task: one.to_json() for task, one in sorted(self.tasks.items())}
        return {"how": str(self.how), "per_case": self.per_case, "amount": self.amount, "tasks": tasks}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Rule:
        """What ``to_json`` gave. Raises KeyError and ValueError for anything else."""
        tasks = {task: TaskRule.from_json(row) for task, row in value["tasks"].items()}
        return cls(How(value["how"]), tasks, value["per_case"], value["amount"])


def fingerprint(candidates: Codes) -> str:
    """SHA-256 of the keys of candidates, whatever their order."""
    return hashlib.sha256(np.sort(candidates).astype("<i8").tobytes()).hexdigest()
