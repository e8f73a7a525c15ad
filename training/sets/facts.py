"""A training set counted while its groups go by: figures of its card, its content hash, pairs to look at. Pure."""

from __future__ import annotations

import hashlib
import heapq
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from training.rewards.groups import SPLITS, Dimension, Group, Labels, Pair, pairs_of

BINS = 10  # of the histogram of gaps
SHOWN = 5000  # pairs of each dimension that can be looked at, and rejected ones
Row = dict[str, Any]


@dataclass
class Tally:
    """One dimension: pairs and ties by split, gaps of the decided pairs, and what has a rank, a verdict, a score."""

    pairs: Counter[str] = field(default_factory=Counter)
    ties: Counter[str] = field(default_factory=Counter)
    gaps: list[int] = field(default_factory=lambda: [0] * BINS)
    groups: int = 0
    ranked: int = 0
    asked: int = 0
    scored: int = 0
    excluded: int = 0

    def see(self, group: Group, labels: Labels, pairs: Sequence[Pair]) -> None:
        self.groups += 1
        self.ranked += any(rank is not None for rank in labels.ranks)
        self.asked += len(labels.pairs)
        self.scored += sum(mos is not None for mos in labels.mos)
        self.excluded += len(labels.excluded)
        for pair in pairs:
            if pair.outcome:
                self.pairs[group.split] += 1
                self.gaps[min(int(pair.gap * BINS), BINS - 1)] += 1
            else:
                self.ties[group.split] += 1

    def to_json(self) -> Row:
        return {
            "pairs": {split: self.pairs[split] for split in SPLITS},
            "ties": {split: self.ties[split] for split in SPLITS},
            **{name: getattr(self, name) for name in ("gaps", "groups", "ranked", "asked", "scored", "excluded")},
        }


class Largest:
    """The pairs with the largest gaps, equal ones in the order in which they came."""

    def __init__(self, most: int = SHOWN) -> None:
        self.most = most
        self._heap: list[tuple[float, int, Row]] = []
        self._order = count()

    def wants(self, gap: float) -> bool:
        return len(self._heap) < self.most or gap > self._heap[0][0]

    def add(self, gap: float, row: Row) -> None:
        push = heapq.heappush if len(self._heap) < self.most else heapq.heapreplace
        push(self._heap, (gap, -next(self._order), row))

    def rows(self) -> Iterator[Row]:
        return (row for _gap, _order, row in sorted(self._heap, key=lambda one: (-one[0], -one[1])))


class Facts:
    """What ``see`` is shown, counted. ``dimensions``: all that there could be; those without a label are left out."""

    def __init__(self, dimensions: Sequence[Dimension]) -> None:
        self._scales = {one.key: one for one in dimensions}
        self._order = [one.key for one in dimensions]
        self.tallies: dict[str, Tally] = defaultdict(Tally)
        self.largest: dict[str, Largest] = defaultdict(Largest)
        self.rejected: list[Row] = []
        self.groups: Counter[str] = Counter()
        self.candidates = 0
        self.sizes: Counter[int] = Counter()
        self.editors: Counter[str] = Counter()
        self.tasks: dict[str, Counter[str]] = defaultdict(Counter)
        self.sources: dict[str, set[str]] = {split: set() for split in SPLITS}
        self._digests: list[bytes] = []

    def see(self, group: Group) -> None:
        self.groups[group.split] += 1
        self.candidates += len(group.candidates)
        self.sizes[len(group.candidates)] += 1
        self.editors.update(entry.editor for entry in group.candidates)
        self.tasks[group.task][group.split] += 1
        self.sources.setdefault(group.split, set()).add(group.source_key)
        self._digests.append(digest(group))
        for key, labels in group.labels.items():
            scale = self._scales[key]
            pairs = pairs_of(labels, scale.high - scale.low)
            self.tallies[key].see(group, labels, pairs)
            self._keep(key, group, pairs)
            for i, j in sorted(labels.excluded):
                if len(self.rejected) < SHOWN:
                    self.rejected.append({**row_of(group, i, j), "dimension": key, **_why(labels, i, j)})

    def _keep(self, key: str, group: Group, pairs: Sequence[Pair]) -> None:
        largest = self.largest[key]
        for pair in pairs:
            if pair.outcome and largest.wants(pair.gap):
                better, worse = (pair.first, pair.second) if pair.outcome > 0 else (pair.second, pair.first)
                largest.add(pair.gap, {**row_of(group, better, worse), "gap": round(pair.gap, 4)})

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        return tuple(self._scales[key] for key in self._order if key in self.tallies)

    @property
    def pairs(self) -> int:
        return sum(sum(tally.pairs.values()) for tally in self.tallies.values())

    def content_hash(self) -> str:
        """SHA-256 of what a model learns from: sources, instructions, images, labels, splits and scales. Neither names
        nor keys are in it, nor the order of the groups."""
        scales = json.dumps([(one.key, one.low, one.high) for one in sorted(self.dimensions, key=lambda one: one.key)])
        return hashlib.sha256(scales.encode() + b"".join(sorted(self._digests))).hexdigest()

    def to_json(self) -> Row:
        return {
            "splits": {split: self.groups[split] for split in SPLITS},
            "sources": {split: len(self.sources[split]) for split in SPLITS},
            "sizes": {str(size): count for size, count in sorted(self.sizes.items())},
            "editors": dict(sorted(self.editors.items())),
            "tasks": {task: {split: row[split] for split in SPLITS} for task, row in sorted(self.tasks.items())},
            "dimensions": {one.key: self.tallies[one.key].to_json() for one in self.dimensions},
        }


def digest(group: Group) -> bytes:
    labels = {
        key: (one.ranks, one.mos, sorted(one.pairs), sorted(one.excluded), sorted(one.both_bad))
        for key, one in sorted(group.labels.items())
    }
    images = [entry.image for entry in group.candidates]
    value = (group.source_key, group.instruction, group.task, group.split, images, labels)
    return hashlib.sha256(json.dumps(value, ensure_ascii=False, sort_keys=True).encode()).digest()


def row_of(group: Group, first: int, second: int) -> Row:
    """A pair as a page shows it."""
    names = ("key", "image", "editor")
    sides = [{name: getattr(group.candidates[place], name) for name in names} for place in (first, second)]
    return {
        "group": group.key,
        "source": group.source_key,
        "instruction": group.instruction[:300],
        "task": group.task,
        "split": group.split,
        "sides": sides,
    }


def _why(labels: Labels, i: int, j: int) -> Mapping[str, Any]:
    def both(values: Sequence[float | None]) -> list[float | None]:
        return [values[i], values[j]] if values else []

    asked = next((outcome for a, b, outcome in labels.pairs if {a, b} == {i, j}), None)
    return {"ranks": both(labels.ranks), "mos": both(labels.mos), "asked": asked}
