"""Which cases of a scored data set are hard. Pure.

HP-Edit keeps what scores below 5 and drops what the editor does perfectly already (section 4.3). It filters triples of
source, instruction and edit. Here a case is kept or dropped as a whole, by its best candidate or by the mean of its
candidates, because a case is what an editor is trained on.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

from scoring.stats.levelmap import LevelMap

Knots = list[list[float]]
STEPS = 2  # bins in one step of a scale


class By(StrEnum):
    """Which of its candidates' scores is a case's."""

    BEST = "best"
    MEAN = "mean"


class Verdict(StrEnum):
    KEPT = "kept"
    DROPPED = "dropped"
    UNSCORED = "unscored"  # no candidate has a score: a bucket of its own


@dataclass(frozen=True)
class TaskRule:
    """How the cases of one task are filtered.

    ``version``: UID of the prompt's version; ``judge``: its slug. ``threshold``: what scores so much is dropped; None
    drops nothing. ``knots``: of the level map that draws the judge's scores to people's level, of which the
    threshold speaks then.
    """

    version: str
    judge: str
    threshold: float | None
    knots: Knots | None = None

    @property
    def cut(self) -> float | None:
        """The threshold on the judge's own scale."""
        return None if self.threshold is None else cut_of(self.threshold, self.knots)

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "judge": self.judge,
            "threshold": self.threshold,
            "level_map": self.knots,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TaskRule:
        """What ``to_json`` gave. Raises KeyError for anything else."""
        return cls(value["version"], value["judge"], value["threshold"], value["level_map"])


@dataclass(frozen=True)
class Rule:
    """``tasks``: by short name; the cases of a task that is not there are unscored."""

    by: By
    keep_unscored: bool
    tasks: Mapping[str, TaskRule]

    @property
    def kept(self) -> tuple[Verdict, ...]:
        return (Verdict.KEPT, Verdict.UNSCORED) if self.keep_unscored else (Verdict.KEPT,)

    def to_json(self) -> dict[str, Any]:
        tasks = {task: one.to_json() for task, one in sorted(self.tasks.items())}
        return {"by": str(self.by), "keep_unscored": self.keep_unscored, "tasks": tasks}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Rule:
        """What ``to_json`` gave. Raises KeyError and ValueError for anything else."""
        tasks = {task: TaskRule.from_json(row) for task, row in value["tasks"].items()}
        return cls(By(value["by"]), value["keep_unscored"], tasks)


def cut_of(threshold: float, knots: Knots | None) -> float | None:
    """The lowest score of the judge whose level reaches ``threshold``; None where no score does.

    A level map never falls, so "its level is at least t" is "the score is at least the cut". Raises ValueError for
    knots that are no level map.
    """
    found = LevelMap.from_json(knots or [])
    if found.identity:
        return threshold
    if found.human[0] >= threshold:
        return -math.inf  # below its first knot a map stays at that level
    for (low, level), (high, next_level) in pairwise(zip(found.scorer, found.human, strict=True)):
        if next_level == threshold:
            return high  # to the digit: that score itself is at the threshold
        if next_level > threshold:
            return low + (threshold - level) / (next_level - level) * (high - low)
    return None


def verdict(scores: Sequence[float], rule: TaskRule | None, by: By) -> Verdict:
    """What becomes of a case with these scores of its candidates; those without a score do not count.

    A level map is applied to the case's score.
    """
    if rule is None or not scores:
        return Verdict.UNSCORED
    level = max(scores) if by == By.BEST else math.fsum(scores) / len(scores)
    return Verdict.DROPPED if rule.cut is not None and level >= rule.cut else Verdict.KEPT


def fingerprint(keys: Iterable[str]) -> str:
    """SHA-256 of the keys of cases, whatever their order."""
    return hashlib.sha256("\0".join(sorted(keys)).encode()).hexdigest()


# Bins ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bin:
    """Scores from ``low`` up to, but without, ``high``; the last one of a scale is its top alone, with no ``high``."""

    low: float
    high: float | None

    @property
    def label(self) -> str:
        return f"{self.low:g}" if self.high is None else f"{self.low:g} – {self.high:g}"


def bin_number(value: float) -> int:
    return math.floor(value * STEPS)


def bins(low: int, high: int) -> dict[int, Bin]:
    """The bins of a scale by their number, in order."""
    numbers = range(low * STEPS, high * STEPS + 1)
    return {number: Bin(number / STEPS, (number + 1) / STEPS if number < high * STEPS else None) for number in numbers}
