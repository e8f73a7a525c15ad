"""What a recipe is asked for, and what that comes to before it is started. Pure.

The pipeline and the proportions are HP-Edit's (section 4 and Table S6: cases of each task in RealPref-50K).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from annotation.curation import balance
from annotation.curation.balance import HP_EDIT, Cells, allocate, even_targets, scaled
from scoring.filtering.rules import Rule

REALPREF, EVEN, OWN, EVERYTHING = "realpref-50k", "even", "own", "all"
PRESETS = (REALPREF, EVEN, OWN, EVERYTHING)


@dataclass(frozen=True)
class Settings:
    """What was asked for. Nothing in it is looked up again later: what was checked is what is done.

    ``total``: cases in all, None as the preset has them; ``own``: cases of each task, for the preset OWN. ``share``: of
    a task's target that may be uncategorised, 0 to 1. ``endpoint``: short name, empty for no instructions; ``each``:
    instructions for one picture and task. ``clip_model``: empty for no categories. ``fractions``: of the splits,
    summing to 1; ``near``: look-alikes stay in one split. ``rule``: the version and judge that score each task, and
    from which score on a case goes. ``most_cost``: of instructions and scores together, None for no limit.
    """

    tasks: tuple[str, ...]
    preset: str
    total: int | None
    own: Mapping[str, int]
    share: float
    seed: int
    endpoint: str
    each: int
    clip_model: str
    clip_threshold: float
    fractions: Mapping[str, float]
    near: bool
    editors: tuple[str, ...]
    seeds: int
    judge: str
    rule: Rule
    most_cost: float | None

    def __post_init__(self) -> None:
        if any(one.judge != self.judge for one in self.rule.tasks.values()):
            raise ValueError("The rule goes by another judge than the one that scores.")

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "rule": self.rule.to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Settings:
        """What ``to_json`` gave. Raises KeyError, TypeError and ValueError for anything else."""
        lists = {name: tuple(value[name]) for name in ("tasks", "editors")}
        return cls(**{**value, **lists, "rule": Rule.from_json(value["rule"])})


def without_number(preset: str, tasks: Sequence[str]) -> list[str]:
    """The tasks for which Table S6 has no number, where its proportions are asked for."""
    return [task for task in tasks if preset == REALPREF and task not in HP_EDIT]


def draw_of(wish: Settings, supply: Cells) -> balance.Recipe:
    """The balanced draw, given the cases that are there now: only those of the recipe's tasks are drawn."""
    mine = {task: cells for task, cells in supply.items() if task in wish.tasks}
    if wish.preset == EVERYTHING:
        return balance.Recipe(wish.preset, {task: sum(cells.values()) for task, cells in mine.items()}, 1.0, wish.seed)
    if wish.preset == EVEN:
        return balance.Recipe(wish.preset, even_targets(mine, wish.total), wish.share, wish.seed)
    known = HP_EDIT if wish.preset == REALPREF else wish.own
    targets = {task: known[task] for task in wish.tasks if known.get(task)}
    return balance.Recipe(wish.preset, scaled(targets, wish.total) if wish.total else targets, wish.share, wish.seed)


@dataclass(frozen=True)
class Line:
    """A task: its cases now, the target, and how many can be drawn (at most, where the estimate is not exact)."""

    task: str
    there: int
    target: int
    drawn: int


@dataclass(frozen=True)
class Estimate:
    """``requests``: for instructions. ``images``: candidates. ``calls``: of the judge. ``exact``: no step before the
    draw can change what is drawn; otherwise the figures are at most so much."""

    lines: list[Line]
    requests: int
    images: int
    calls: int
    exact: bool

    @property
    def drawn(self) -> int:
        return sum(line.drawn for line in self.lines)

    @property
    def short(self) -> list[Line]:
        return [line for line in self.lines if line.drawn < line.target]


def estimate(wish: Settings, supply: Cells, *, sources: int, passes: int) -> Estimate:
    """``sources``: images of the data set. ``passes``: how often the judge is asked about a candidate."""
    proposed = sources * wish.each if wish.endpoint else 0
    there = {task: sum(supply.get(task, {}).values()) for task in wish.tasks}
    hoped = {task: {"": there[task] + proposed} for task in wish.tasks} if proposed else supply
    draw = draw_of(wish, hoped)
    exact = not wish.endpoint and not wish.clip_model
    if exact:
        plan = allocate(supply, draw.targets, draw.share, draw.seed)
        drawn = {task: sum(cells.values()) for task, cells in plan.items()}
    else:
        drawn = {task: min(target, there[task] + proposed) for task, target in draw.targets.items()}
    lines = [Line(task, there[task], draw.targets.get(task, 0), drawn.get(task, 0)) for task in wish.tasks]
    images = sum(drawn.values()) * len(wish.editors) * wish.seeds
    requests = sources * len(wish.tasks) if wish.endpoint else 0
    return Estimate(lines, requests, images, images * passes, exact)
