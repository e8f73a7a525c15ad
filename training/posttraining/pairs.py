"""Examples that an editor learns from without sampling in between: pairs for Flow-DPO, the best for fine-tuning. Pure.

Everything is in the order of its keys, and ties go to the smaller key: the same examples give the same pairs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Example:
    """An edited picture ``key`` of ``case``. ``score``: reward or mean reward in 0..1, NaN: missing. ``rank``: mean
    rank by people within the case, 1 is best, NaN: not ranked."""

    case: str
    key: str
    task: str
    score: float = math.nan
    rank: float = math.nan


@dataclass(frozen=True, slots=True)
class Pair:
    chosen: Example
    rejected: Example

    @property
    def case(self) -> str:
        return self.chosen.case

    @property
    def task(self) -> str:
        return self.chosen.task


def self_pairs(
    examples: Iterable[Example], *, poor: float = 0.2, half: bool = True, least_gap: float = 0.0
) -> list[Pair]:
    """Best and worst by score of each case's samples of one editor (EditHF-1M, section 5.5).

    Cases are dropped whose samples are all below ``poor``, and those without two scores that differ, by ``least_gap``
    at least. With ``half``, of each task the half with the lower chosen scores is dropped; of an odd number the one in
    the middle stays.
    """
    known = [one for one in examples if math.isfinite(one.score)]
    pairs = []
    for group in _by(known, lambda one: one.case):
        best = min(group, key=lambda one: (-one.score, one.key))
        worst = min(group, key=lambda one: (one.score, one.key))
        if best.score > worst.score and best.score - worst.score >= least_gap and best.score >= poor:
            pairs.append(Pair(best, worst))
    if not half:
        return pairs
    kept = {
        id(pair)
        for group in _by(pairs, lambda pair: pair.task)
        for pair in sorted(group, key=lambda pair: (-pair.chosen.score, pair.case))[: (len(group) + 1) // 2]
    }
    return [pair for pair in pairs if id(pair) in kept]


def global_pairs(examples: Iterable[Example], *, poor: float = 0.2) -> list[Pair]:
    """Best- and worst-ranked of each human-ranked group, whoever edited (EditHF-1M, section 5.5).

    Groups are dropped where every score that is known is below ``poor``, and those without two ranks that differ. A
    group without any score is judged by its ranks alone and stays.
    """
    ranked = [one for one in examples if math.isfinite(one.rank)]
    pairs = []
    for group in _by(ranked, lambda one: one.case):
        best = min(group, key=lambda one: (one.rank, one.key))
        worst = min(group, key=lambda one: (-one.rank, one.key))
        scores = [one.score for one in group if math.isfinite(one.score)]
        if best.rank < worst.rank and not (scores and max(scores) < poor):
            pairs.append(Pair(best, worst))
    return pairs


def top_share(examples: Iterable[Example], share: float) -> list[Example]:
    """Of each task the share with the highest scores, one at least, in the order of their keys.

    EditReward keeps 20,000 of 46,000 (section 4.4). By task, so that easy tasks do not crowd out the others. Raises
    ValueError for a share outside 0..1.
    """
    if not 0 < share <= 1:
        raise ValueError(f"The share that is kept must be above 0 and at most 1, not {share!r}.")
    known = [one for one in examples if math.isfinite(one.score)]
    kept: list[Example] = []
    for group in _by(known, lambda one: one.task):
        # Rounding first: 0.07 of 100 is 7, though 0.07 * 100 is a little more.
        count = max(1, math.ceil(round(share * len(group), 9)))
        kept += sorted(group, key=lambda one: (-one.score, one.case, one.key))[:count]
    return sorted(kept, key=lambda one: (one.case, one.key))


def _by(items: Sequence[T], key: Callable[[T], str]) -> list[list[T]]:
    """Groups of equal keys, in the order of the keys; within a group the order given."""
    return [list(group) for _, group in groupby(sorted(items, key=key), key=key)]
