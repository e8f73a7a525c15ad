"""Splits by source image: all cases of one picture are in one split. Pure and seeded.

Pictures that look the same can be tied together; such a group stays whole too. Groups are dealt one after the other,
the largest first and by lot among equals, each to the split that is furthest behind its part: in all cases, and in the
tasks of the group's cases, by Sainte-Laguë's rule (how full would the split be with half of this group).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from annotation.assign import seeded

ALL = ""  # beside the tasks: all cases together


class Piece(NamedTuple):
    """One case: whatever names its source image, and its task."""

    source: str
    task: str


def split_sources(
    pieces: Iterable[Piece], fractions: Mapping[str, float], seed: int, groups: Iterable[Iterable[str]] = ()
) -> dict[str, str]:
    """The split of every source image.

    ``fractions`` of the cases go to each split; they are at least 0 and sum to 1, else ValueError. ``groups`` are
    disjoint sets of sources that stay together; sources that no case has are ignored. The order of the pieces does not
    matter, the order of the fractions decides ties.
    """
    if any(part < 0 for part in fractions.values()) or abs(sum(fractions.values()) - 1) > 1e-6:
        raise ValueError("The fractions must be at least 0 and sum to 1.")
    tasks: dict[str, Counter[str]] = defaultdict(Counter)
    for piece in pieces:
        tasks[piece.source].update((piece.task, ALL))
    parts = {split: part for split, part in fractions.items() if part > 0}
    totals = sum(tasks.values(), Counter())
    have: dict[str, Counter[str]] = {split: Counter() for split in parts}
    found: dict[str, str] = {}
    for group in _order(tasks, groups, seed):
        needs = sum((tasks[source] for source in group), Counter())
        split = min(parts, key=lambda name: _fullness(needs, have[name], totals, parts[name]))
        have[split] += needs
        found |= dict.fromkeys(group, split)
    return found


def _order(tasks: Mapping[str, Counter[str]], groups: Iterable[Iterable[str]], seed: int) -> list[list[str]]:
    """Groups and single sources, by number of cases from the largest, in random order among equals."""
    tied = [sorted(source for source in group if source in tasks) for group in groups]
    single = set(tasks).difference(*tied)
    if sum(map(len, tied)) + len(single) != len(tasks):
        raise ValueError("A source image is in two groups.")
    order = sorted([group for group in tied if group] + [[source] for source in single])
    seeded("splits", seed).shuffle(order)
    return sorted(order, key=lambda group: -sum(tasks[source][ALL] for source in group))


def _fullness(needs: Counter[str], have: Counter[str], totals: Counter[str], part: float) -> float:
    """How full a split would be, with half of the group's cases, weighted by the cases of each task."""
    return sum(count * (have[task] + count / 2) / (totals[task] * part) for task, count in needs.items())
