"""A balanced draw of cases over category × task. Pure and seeded: the same arguments give the same cases.

A task has a target. Its cases are spread over the categories as evenly as the supply lets (max-min fair: nobody could
get more without taking it from somebody who has no more), and inside a category over the source images. A case without
a category is uncategorised: such cases fill only what the categories cannot, up to a share of the target, and are
counted under their own name. What cannot be filled is reported, never made up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from annotation.assign import seeded

UNCATEGORISED = ""  # the key of the bucket, in counts and in the recipe of a data set

# HP-Edit, Table S6: cases of each task in RealPref-50K and in RealPref-Bench.
HP_EDIT = {
    "add": 7903, "background": 6506, "bokeh": 6813, "color": 6949,
    "swap": 8243, "relight": 5109, "remove": 7732, "style": 6540,
}  # fmt: skip
HP_EDIT_BENCH = {
    "add": 232, "background": 191, "bokeh": 200, "color": 204,
    "swap": 242, "relight": 150, "remove": 227, "style": 192,
}  # fmt: skip

Cells = Mapping[str, Mapping[str, int]]  # task -> category, or UNCATEGORISED -> cases


class Row(NamedTuple):
    """One case: its key, its category or UNCATEGORISED, its task, and whatever names its source image."""

    case: str
    category: str
    task: str
    source: str


@dataclass(frozen=True)
class Recipe:
    """What was asked for: cases of each task, and the largest part of a target that may be uncategorised (0 to 1)."""

    preset: str
    targets: Mapping[str, int]
    share: float
    seed: int

    def to_json(self) -> dict[str, Any]:
        named = {"preset": self.preset, "targets": dict(self.targets)}
        return {**named, "uncategorised_share": self.share, "seed": self.seed}


@dataclass(frozen=True)
class Shortage:
    """A task whose target cannot be filled. ``left_out``: uncategorised cases that are there but over their share."""

    task: str
    target: int
    drawn: int
    left_out: int

    @property
    def missing(self) -> int:
        return self.target - self.drawn


def supply_of(rows: Iterable[Row]) -> dict[str, dict[str, int]]:
    """How many cases each cell has."""
    cells: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        cells[row.task][row.category] += 1
    return {task: dict(cells[task]) for task in sorted(cells)}


def scaled(targets: Mapping[str, int], total: int) -> dict[str, int]:
    """Targets in the same proportion that sum to ``total``: whole numbers by largest remainder, ties by task."""
    whole = sum(targets.values())
    if not whole:
        return dict.fromkeys(targets, 0)
    shares = {task: divmod(count * total, whole) for task, count in targets.items()}
    missing = total - sum(share for share, _rest in shares.values())
    first = sorted(shares, key=lambda task: (-shares[task][1], task))[:missing]
    return {task: share + (task in first) for task, (share, _rest) in shares.items()}


def even_targets(supply: Cells, total: int | None = None) -> dict[str, int]:
    """The same target for every task that occurs: ``total`` shared out, or as many as the smallest task has."""
    counts = {task: sum(cells.values()) for task, cells in supply.items() if any(cells.values())}
    if total is None:
        return dict.fromkeys(counts, min(counts.values(), default=0))
    return scaled(dict.fromkeys(counts, 1), total)


def fill(supply: Mapping[str, int], target: int, *seed: object) -> dict[str, int]:
    """Spread ``target`` over the supply as evenly as it lets (water-filling); what is over a whole level goes by lot.

    Every name of the supply has an entry; the sum is ``target``, or all there is.
    """
    left, given = min(target, sum(supply.values())), dict.fromkeys(sorted(supply), 0)
    open_names = [name for name in given if supply[name] > 0]
    while left >= len(open_names) > 0:
        step = min(left // len(open_names), *(supply[name] - given[name] for name in open_names))
        for name in open_names:
            given[name] += step
        left -= step * len(open_names)
        open_names = [name for name in open_names if given[name] < supply[name]]
    for name in seeded("fill", *seed).sample(open_names, left):
        given[name] += 1
    return given


def allocate(supply: Cells, targets: Mapping[str, int], share: float, seed: int) -> dict[str, dict[str, int]]:
    """How many cases to draw from each cell. ``share`` (0 to 1) of a task's target bounds its uncategorised cases.

    Tasks without a target get nothing. Raises ValueError for a share outside 0 to 1 or a negative target.
    """
    if not 0 <= share <= 1 or min(targets.values(), default=0) < 0:
        raise ValueError("The share is 0 to 1, and no target is below 0.")
    plan = {}
    for task in sorted(targets):
        cells = supply.get(task, {})
        named = {category: count for category, count in cells.items() if category != UNCATEGORISED}
        plan[task] = fill(named, targets[task], seed, task)
        most = min(cells.get(UNCATEGORISED, 0), int(share * targets[task] + 1e-9))
        plan[task][UNCATEGORISED] = min(most, targets[task] - sum(plan[task].values()))
    return plan


def shortages(supply: Cells, targets: Mapping[str, int], plan: Cells) -> list[Shortage]:
    """The tasks whose target the plan does not fill."""
    found = []
    for task, target in sorted(targets.items()):
        drawn = sum(plan[task].values())
        there = supply.get(task, {}).get(UNCATEGORISED, 0)
        if drawn < target:
            found.append(Shortage(task, target, drawn, there - plan[task][UNCATEGORISED]))
    return found


def draw(rows: Iterable[Row], plan: Cells, seed: int) -> list[str]:
    """The keys of the cases to take, sorted: as many of each cell as the plan says, spread over its source images.

    The order of ``rows`` does not matter. Raises ValueError where a cell has fewer cases than the plan takes.
    """
    cells: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        cells[row.task, row.category].append(row)
    chosen: list[str] = []
    for task in sorted(plan):
        for category, count in sorted(plan[task].items()):
            there = cells[task, category]
            if count > len(there):
                raise ValueError(
                    f"{task}, {category or 'uncategorised'}: {count} of {len(there)} cases cannot be drawn."
                )
            chosen += _spread(there, seed, task, category)[:count]
    return sorted(chosen)


def _spread(rows: list[Row], *seed: object) -> list[str]:
    """All cases in random order, but no source image a second time before every other had its turn."""
    order = sorted(rows)
    seeded("draw", *seed).shuffle(order)
    turns: dict[str, int] = defaultdict(int)
    turn = {}
    for row in order:
        turn[row.case] = turns[row.source]
        turns[row.source] += 1
    return [row.case for row in sorted(order, key=lambda row: turn[row.case])]
