"""How judgements go over time and differ between people: agreement by blocks, drift, distributions."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from annotation.models import Study
from annotation.protocols import PAIRWISE, RATING, Dimension
from scoring.boards.reading import Judged, Marked, judged, marked
from scoring.stats.agreement import krippendorff_alpha
from scoring.stats.grouped import Codes, Flags, Floats, counts, moments, ratio, sums
from scoring.stats.intervals import t_interval
from scoring.stats.ranks import rank_groups
from scoring.stats.table import Rankings

BLOCKS = 10
LEAST_ITEMS = 10  # of a block: with fewer an agreement figure jumps
BIN = 5  # minutes of a session
LEVELS = 12  # scales with more steps are cut into eight equal parts
PARTS = 8
CHOICES = ("A", "B", "tie", "both_bad")


@dataclass(frozen=True)
class Block:
    """Items of one dimension that several people judged, ``until`` so many: their agreement (None: not determined).
    ``items``: those it rests on; ``at``: seconds since 1970 of the last judgement."""

    dimension: int
    until: int
    items: int
    at: float
    value: float | None


@dataclass(frozen=True)
class Minutes:
    """Answers that were given ``start`` to ``start`` + 5 minutes into a session: mean of score minus the item's mean,
    its 95 % interval, and the mean distance."""

    dimension: int
    start: int
    n: int
    mean: float | None
    low: float | None
    high: float | None
    distance: float | None


@dataclass(frozen=True)
class Spread:
    """One annotator's answers in a dimension: ``counts`` by step of the scale, mean and standard deviation."""

    annotator: str
    dimension: int
    n: int
    counts: list[int]
    mean: float | None
    std: float | None


@dataclass(frozen=True)
class Course:
    """``steps``: by dimension, the names of the steps that ``Spread.counts`` count. ``sessions``: how many."""

    agreement: list[Block]
    drift: list[Minutes]
    spreads: list[Spread]
    steps: list[list[str]]
    sessions: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Course:
        return cls(
            agreement=[Block(**row) for row in value["agreement"]],
            drift=[Minutes(**row) for row in value["drift"]],
            spreads=[Spread(**row) for row in value["spreads"]],
            steps=value["steps"],
            sessions=value["sessions"],
        )


def course(study: Study) -> Course:
    """Two queries: judgements and marks."""
    rows = judged(study)
    marks = marked(study, rows)
    dimensions, kind = study.protocol.dimensions, study.protocol.kind
    minutes, sessions = session_minutes(rows, study.protocol.break_minutes * 60)
    agreed: list[Block] = []
    drifts: list[Minutes] = []
    spreads: list[Spread] = []
    for number, dimension in enumerate(dimensions):
        here = marks.dimension == number
        measure = alphas if kind == RATING else concordances
        agreed += measure(rows, marks, np.flatnonzero(here), number)
        scored = np.flatnonzero(here & np.isfinite(marks.score))
        drifts += drift(rows, marks, scored, minutes, number)
        spreads += choices(rows, marks) if kind == PAIRWISE else distributions(rows, marks, scored, number, dimension)
    steps = [list(CHOICES)] if kind == PAIRWISE else [steps_of(dimension) for dimension in dimensions]
    return Course(agreed, drifts, spreads, steps, sessions)


# Agreement ----------------------------------------------------------------------------------------------------------


def alphas(rows: Judged, marks: Marked, chosen: Codes, dimension: int) -> list[Block]:
    """Krippendorff's alpha, interval, by blocks of candidates with two ratings or more."""
    keys, unit = np.unique(marks.candidate[chosen], return_inverse=True)
    score, at = marks.score[chosen], rows.at[marks.judgement[chosen]]
    several = counts(unit, keys.size) > 1
    made = []
    for until, units, moment in _blocks(unit, at, several):
        here = units[unit]
        value = krippendorff_alpha(unit[here], score[here], keys.size, "interval")
        made.append(Block(dimension, until, int(units.sum()), moment, _plain(value)))
    return made


def concordances(rows: Judged, marks: Marked, chosen: Codes, dimension: int) -> list[Block]:
    """Mean Kendall's W, by blocks of groups with two complete rankings or more."""
    keys, unit = np.unique(marks.item[chosen], return_inverse=True)
    candidates, candidate = np.unique(marks.candidate[chosen], return_inverse=True)
    people = rows.annotator[marks.judgement[chosen]]
    at = rows.at[marks.judgement[chosen]]
    table = Rankings(
        annotator=people,
        group=unit,
        dimension=np.zeros(unit.size, dtype=np.int64),
        candidate=candidate,
        rank=marks.rank[chosen],
        annotators=pa.array(rows.annotators, pa.string()),
        groups=pa.array(map(str, keys), pa.string()),
        dimensions=pa.array([""]),
        candidates=pa.array(map(str, candidates), pa.string()),
    )
    ranked = rank_groups(table)
    w = np.full(keys.size, np.nan)
    w[ranked.panel.group_name] = ranked.kendall_w
    several = np.zeros(keys.size, dtype=bool)
    several[ranked.panel.group_name] = ranked.complete > 1
    made = []
    for until, units, moment in _blocks(unit, at, several):
        known = w[units & np.isfinite(w)]
        value = float(known.mean()) if known.size else np.nan
        made.append(Block(dimension, until, int(known.size), moment, _plain(value)))
    return made


def _blocks(unit: Codes, at: Floats, usable: Flags) -> list[tuple[int, Flags, float]]:
    """(how many items until here, which are in the block, its last judgement), by the time of their last
    judgement, in up to ten blocks of about equal size."""
    last = np.full(usable.size, -np.inf)
    np.maximum.at(last, unit, at)
    order = np.flatnonzero(usable)
    order = order[np.argsort(last[order], kind="stable")]
    if not order.size:
        return []
    made, until = [], 0
    for part in np.array_split(order, max(1, min(BLOCKS, order.size // LEAST_ITEMS))):
        until += part.size
        chosen = np.zeros(usable.size, dtype=bool)
        chosen[part] = True
        made.append((until, chosen, float(last[part].max())))
    return made


# Drift --------------------------------------------------------------------------------------------------------------


def session_minutes(rows: Judged, pause: float) -> tuple[Floats, int]:
    """Minutes from the beginning of the annotator's session to each judgement, and the number of sessions.

    A session begins when the first item after a pause of ``pause`` seconds was opened: as the annotation page has it.
    """
    order = np.lexsort((rows.at, rows.annotator))
    at, who = rows.at[order], rows.annotator[order]
    opened = at - np.nan_to_num(rows.seconds[order])
    new = np.ones(order.size, dtype=bool)
    new[1:] = (who[1:] != who[:-1]) | (opened[1:] - at[:-1] >= pause)
    session = np.cumsum(new) - 1
    minutes = np.empty(order.size)
    minutes[order] = (at - opened[new][session]) / 60 if order.size else 0
    return minutes, int(new.sum())


def drift(rows: Judged, marks: Marked, chosen: Codes, minutes: Floats, dimension: int) -> list[Minutes]:
    """Of candidates with two scores or more."""
    keys, unit = np.unique(marks.candidate[chosen], return_inverse=True)
    found, deviation = moments(unit, marks.score[chosen], keys.size)
    several = found.n[unit] > 1
    deviation = deviation[several]
    bins = (minutes[marks.judgement[chosen[several]]] // BIN).astype(np.int64)
    size = int(bins.max(initial=-1)) + 1
    by_bin, _rest = moments(bins, deviation, size)
    low, high = t_interval(by_bin.mean, by_bin.std(), by_bin.n)
    distance = ratio(sums(bins, np.abs(deviation), size), by_bin.n)
    return [
        Minutes(
            dimension=dimension,
            start=BIN * place,
            n=int(by_bin.n[place]),
            mean=_plain(by_bin.mean[place]),
            low=_plain(low[place]),
            high=_plain(high[place]),
            distance=_plain(distance[place]),
        )
        for place in np.flatnonzero(by_bin.n).tolist()
    ]


# Distributions ------------------------------------------------------------------------------------------------------


def steps_of(dimension: Dimension) -> list[str]:
    """The steps of a scale, or eight equal parts of a fine one."""
    if not _is_fine(dimension):
        steps = round((dimension.high - dimension.low) / dimension.step)
        return [f"{dimension.low + dimension.step * step:g}" for step in range(steps + 1)]
    width = (dimension.high - dimension.low) / PARTS
    return [f"{dimension.low + width * part:g}–{dimension.low + width * (part + 1):g}" for part in range(PARTS)]


def _is_fine(dimension: Dimension) -> bool:
    return (dimension.high - dimension.low) / dimension.step > LEVELS


def distributions(rows: Judged, marks: Marked, chosen: Codes, number: int, dimension: Dimension) -> list[Spread]:
    """Of every annotator with a score in this dimension. The last part of a fine scale takes its upper end, too."""
    size, people = len(steps_of(dimension)), len(rows.annotators)
    who, score = rows.annotator[marks.judgement[chosen]], marks.score[chosen]
    if _is_fine(dimension):
        place = np.floor(PARTS * (score - dimension.low) / (dimension.high - dimension.low) + 1e-6)
    else:
        place = np.rint((score - dimension.low) / dimension.step)
    place = np.clip(place.astype(np.int64), 0, size - 1)
    table = counts(who * size + place, people * size).reshape(people, size)
    found, _rest = moments(who, score, people)
    std = found.std()
    return [
        Spread(
            rows.annotators[person],
            number,
            int(found.n[person]),
            table[person].tolist(),
            _plain(found.mean[person]),
            _plain(std[person]),
        )
        for person in np.flatnonzero(found.n).tolist()
    ]


def choices(rows: Judged, marks: Marked) -> list[Spread]:
    """Of comparisons that count: how often left, right, a tie, both bad. Sides are random: a leaning is the annotator's
    own."""
    counted = np.unique(marks.judgement)
    made = []
    for person, name in enumerate(rows.annotators):
        mine = [rows.choice[row] for row in counted[rows.annotator[counted] == person]]
        found = [mine.count(choice) for choice in CHOICES]
        made.append(Spread(name, 0, sum(found), found, None, None))
    return [one for one in made if one.n]


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
