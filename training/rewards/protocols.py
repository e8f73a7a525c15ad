"""The harness of benchmarks: from a scorer's scores and people's judgements to figures with intervals. Pure.

Every figure is by dimension; the main ones also by task. The primitive figures are those of ``metrics`` and
``accuracy``. Two things are stated for each share: over what was scored, and, under the same name with ``_all``, with
everything that was not scored counted as wrong.

**With ties**: a scorer says tie where its two scores differ by no more than a threshold. The threshold is fixed by the
protocol, or cross-fitted: sources are dealt to two halves with a seed, and each half is judged by the threshold that is
best on the other. Benchmarks of others tune it on the very labels (``ties_tuned``), which flatters.

**Strict tuples**: right only if every pair of the tuple is, ties included (EditReward 2.2, A.3).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import combinations
from typing import Any, Literal

import numpy as np

from scoring.stats.grouped import Codes, Counts, Flags, Floats
from training.rewards.accuracy import Pairs, best_threshold, credit, right_with_ties, side_gap, sides, tuned_ties
from training.rewards.accuracy import tuples_of as subsets_of
from training.rewards.estimates import Estimate, Resampling, mean_of
from training.rewards.groups import Dimension, Group, Labels, pairs_of
from training.rewards.metrics import TUPLES, Items, editors, over_items, within_groups
from training.rewards.panels import Raters, panel_srcc
from training.rewards.reliability import curve, negative_log_likelihood, spread_of, win_probability

TupleMode = Literal["group", "subsets", ""]
GROUPS: TupleMode = "group"
SUBSETS: TupleMode = "subsets"
NONE: TupleMode = ""
MOST_PAIRS = 2_000_000
MAIN = ("accuracy", "accuracy_all", "ties", "ties_all", "tuples_all", "srcc", "group_srcc")  # those by task
Scores = Mapping[str, float]  # by candidate key; what is missing was not scored


class WrongProtocol(Exception):
    """The settings cannot be used. The message is shown to the user."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """``tuples``: "group": K is the size of the group; "subsets": all K of every group; "": none. ``splits``: parts of
    the set that count, empty for all. ``tie_threshold``: None cross-fits it."""

    tuples: TupleMode = NONE
    splits: tuple[str, ...] = ()
    tie_threshold: float | None = None
    seed: int = 0
    resamples: int = 1000

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "splits": list(self.splits)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Protocol:
        """Raises WrongProtocol."""
        known = {one.name for one in fields(cls)}
        if unknown := sorted(set(value) - known):
            raise WrongProtocol(f"There is no setting {', '.join(unknown)}. There are: {', '.join(sorted(known))}.")
        found = cls(**{**value, "splits": tuple(value.get("splits", ()))})
        if found.tuples not in (GROUPS, SUBSETS, NONE):
            raise WrongProtocol(f"Tuples are {GROUPS!r}, {SUBSETS!r} or empty, not {found.tuples!r}.")
        threshold = found.tie_threshold
        if threshold is not None and not 0 <= threshold < math.inf:
            raise WrongProtocol(f"A tie threshold is 0 or more, not {threshold}.")
        return found


@dataclass(frozen=True, slots=True)
class Table:
    """People's judgements in one dimension. Candidates by row: ``keys``, and columns (n,) ``human`` (MOS, else the
    share of comparisons won), ``group``, ``source``, ``editor``. Pairs (m,): rows ``first``, ``second``; ``outcome``.
    ``rated``: whether ``human`` is a MOS."""

    keys: list[str]
    human: Floats
    group: Codes
    source: Codes
    editor: Codes
    first: Counts
    second: Counts
    outcome: Codes
    both_bad: int
    rated: bool

    def scores(self, of: Scores) -> Floats:
        return np.array([of.get(key, math.nan) for key in self.keys], dtype=np.float64)


def counted(groups: Iterable[Group], protocol: Protocol) -> list[Group]:
    """The groups of the splits that count."""
    return [group for group in groups if not protocol.splits or group.split in protocol.splits]


def table_of(groups: Sequence[Group], dimension: Dimension) -> Table:
    """Raises WrongProtocol for more than MOST_PAIRS pairs."""
    rows = [(at, entry) for at, group in enumerate(groups) for entry in group.candidates]
    starts = np.cumsum([0, *(len(group.candidates) for group in groups)])
    pairs: list[tuple[int, int, int]] = []
    human = np.full(len(rows), np.nan)
    both_bad = 0
    for group, start in zip(groups, starts.tolist(), strict=False):
        labels = group.labels.get(dimension.key, Labels())
        mine = pairs_of(labels, dimension.high - dimension.low)
        pairs += [(start + pair.first, start + pair.second, pair.outcome) for pair in mine]
        both_bad += len(labels.both_bad)
        for place, value in enumerate(labels.mos):
            human[start + place] = math.nan if value is None else value
        if len(pairs) > MOST_PAIRS:
            raise WrongProtocol(f"There are more than {MOST_PAIRS:,} pairs. Choose fewer parts of the set.")
    columns = np.array(pairs, dtype=np.int64).reshape(-1, 3).T
    rated = bool(np.isfinite(human).any())
    return Table(
        keys=[entry.key for _at, entry in rows],
        human=human if rated else _won(columns, len(rows)),
        group=np.array([at for at, _entry in rows], dtype=np.int64),
        source=_codes([groups[at].source_key for at, _entry in rows]),
        editor=_codes([entry.editor for _at, entry in rows]),
        first=columns[0],
        second=columns[1],
        outcome=columns[2],
        both_bad=both_bad,
        rated=rated,
    )


def _codes(names: Sequence[str]) -> Codes:
    return np.unique(np.array(names, dtype=np.str_), return_inverse=True)[1].astype(np.int64)


def _won(columns: Counts, rows: int) -> Floats:
    """Share of its comparisons that each candidate won, a tie as half; NaN without any."""
    first, second, outcome = columns
    credit_of = np.bincount(first, (1 + outcome) / 2, rows) + np.bincount(second, (1 - outcome) / 2, rows)
    times = np.bincount(first, minlength=rows) + np.bincount(second, minlength=rows)
    return np.where(times > 0, credit_of / np.maximum(times, 1), np.nan)


# Figures -------------------------------------------------------------------------------------------------------------


def figures(table: Table, scores: Scores, protocol: Protocol, sigmas: Scores | None = None) -> dict[str, Estimate]:
    """All figures of a scorer in one dimension, by name. ``sigmas``: its standard deviations, where it has them."""
    mu = table.scores(scores)
    again = Resampling(protocol.resamples, protocol.seed)
    found = _pair_figures(table, mu, protocol, again) | _tuple_figures(table, mu, protocol, again)
    items = Items(mu, np.ones_like(mu), table.human, table.group, table.source, table.editor).part(np.isfinite(mu))
    if table.rated:
        found |= over_items(items, again)
        found["panel_srcc"] = panel_srcc(items.mu, items.human, items.editor, items.source, again)
    found |= within_groups(items, again) | {"editors_srcc": editors(items, again)}
    if sigmas is not None:
        found |= _calibration(table, mu, table.scores(sigmas), again)
    return found


def right_pairs(table: Table, mu: Floats, protocol: Protocol) -> Floats:
    """1 where a pair's outcome, ties included, is predicted, 0 where not, NaN where one of the two has no score."""
    difference = mu[table.first] - mu[table.second]
    scored = np.isfinite(difference)
    right = np.full(difference.shape, np.nan)
    for rows, threshold in thresholds(table, difference, protocol):
        here = rows & scored
        right[here] = right_with_ties(difference[here], table.outcome[here], threshold)
    return right


def thresholds(table: Table, difference: Floats, protocol: Protocol) -> list[tuple[Flags, float]]:
    """Which pairs are judged by which tie threshold; shape (pairs,) each."""
    if protocol.tie_threshold is not None:
        return [(np.ones(difference.shape, dtype=bool), protocol.tie_threshold)]
    sources = int(table.source.max(initial=-1)) + 1
    side = np.random.default_rng(protocol.seed).permutation(sources) % 2
    half, scored = side[table.source[table.first]] == 0, np.isfinite(difference)
    return [
        (mine, best_threshold(difference[~mine & scored], table.outcome[~mine & scored])[0]) for mine in (half, ~half)
    ]


def _pair_figures(table: Table, mu: Floats, protocol: Protocol, again: Resampling) -> dict[str, Estimate]:
    difference, source = mu[table.first] - mu[table.second], table.source[table.first]
    scored, decided = np.isfinite(difference), table.outcome != 0
    pairs = Pairs(difference[scored], table.outcome[scored], source[scored])
    earned = np.where(scored, credit(difference, table.outcome), np.nan)[decided]
    return {
        **_both("accuracy", earned, source[decided], again),
        **_both("ties", right_pairs(table, mu, protocol), source, again),
        "ties_tuned": tuned_ties(pairs, again),
        "side_gap": side_gap(pairs, sides(pairs.outcome.size, again.seed), again),
    }


def _both(
    name: str, earned: Floats, source: Codes, again: Resampling, every: Floats | None = None
) -> dict[str, Estimate]:
    """Over what was scored; and ``_all``, what was not scored counted as wrong. ``every``: the latter by row, where a
    row is a mean of several."""
    counted_all = np.nan_to_num(earned) if every is None else every
    return {name: mean_of(earned, source, again), f"{name}_all": mean_of(counted_all, source, again)}


def _tuple_figures(table: Table, mu: Floats, protocol: Protocol, again: Resampling) -> dict[str, Estimate]:
    """``tuples_K``; with tuples that are groups, also ``tuples``, all K pooled, as EditReward's "overall"."""
    if protocol.tuples == NONE:
        return {}
    right = dict(zip(zip(table.first.tolist(), table.second.tolist(), strict=True), right_pairs(table, mu, protocol),
                     strict=True))  # fmt: skip
    found: dict[str, Estimate] = {}
    pooled: list[tuple[Floats, Floats, Codes]] = []
    for size in TUPLES:
        members = _members(table.group, size, protocol)
        earned = np.array([_whole(right, tuple(row)) for row in members.tolist()], dtype=np.float64)
        judged = earned >= -1  # false for NaN alone
        value, every, source = _mean_by_group(earned[judged], members[judged], table) if judged.any() else _NOTHING
        pooled.append((value, every, source))
        found |= _both(f"tuples_{size}", value, source, again, every)
    if protocol.tuples == GROUPS:
        values, all_values, sources = (np.concatenate(parts) for parts in zip(*pooled, strict=True))
        found |= _both("tuples", values, sources, again, all_values)
    return found


_NOTHING: tuple[Floats, Floats, Codes] = (np.empty(0), np.empty(0), np.empty(0, dtype=np.int64))
UNSCORED = -1.0


def _members(group: Codes, size: int, protocol: Protocol) -> Counts:
    if protocol.tuples == SUBSETS:
        return subsets_of(group, size, seed=protocol.seed)
    many = np.bincount(group)
    rows = np.flatnonzero(many[group] == size)
    return rows.reshape(-1, size)


def _whole(right: Mapping[tuple[int, int], float], rows: tuple[int, ...]) -> float:
    """1 if all pairs are right, 0 if one is wrong, UNSCORED if one has no score, NaN if people did not judge one."""
    given = [right.get((min(pair), max(pair))) for pair in combinations(rows, 2)]
    if any(one is None for one in given):
        return math.nan
    known = [one for one in given if one is not None]
    return UNSCORED if any(map(math.isnan, known)) else float(all(known))


def _mean_by_group(earned: Floats, members: Counts, table: Table) -> tuple[Floats, Floats, Codes]:
    """For each group the mean of its tuples that were scored, NaN where none was; the mean of all that people judged,
    those without a score as 0; and its source."""
    groups, place, code = np.unique(table.group[members[:, 0]], return_index=True, return_inverse=True)
    scored = earned >= 0
    total = np.bincount(code, np.where(scored, earned, 0.0), groups.size)
    times, judged = np.bincount(code, scored, groups.size), np.bincount(code, minlength=groups.size)
    value = np.where(times > 0, total / np.maximum(times, 1), np.nan)
    return value, total / judged, table.source[members[place, 0]]


def _calibration(table: Table, mu: Floats, sigma: Floats, again: Resampling) -> dict[str, Estimate]:
    difference = mu[table.first] - mu[table.second]
    spread = spread_of(sigma[table.first], sigma[table.second])
    known = np.isfinite(difference) & np.isfinite(spread)
    pairs = Pairs(difference[known], table.outcome[known], table.source[table.first][known])
    ece = curve(pairs, win_probability(pairs.difference, spread[known]), again).ece
    return {"ece": ece, "nll": negative_log_likelihood(pairs, spread[known], again)}


# A whole benchmark ---------------------------------------------------------------------------------------------------


def measure(
    groups: Sequence[Group],
    dimensions: Sequence[Dimension],
    scores: Scores,
    protocol: Protocol,
    sigmas: Scores | None = None,
) -> dict[str, Any]:
    """Everything that is shown of a scorer, as JSON: {"coverage", "dimensions": {key: {"all": {name: figure}, "tasks":
    {task: {name: figure}}}}}. A figure is an Estimate with None for NaN."""
    candidates = {entry.key for group in groups for entry in group.candidates}
    scored = len(candidates & scores.keys())
    return {
        "coverage": {"candidates": len(candidates), "scored": scored},
        "dimensions": {
            one.key: {
                "all": to_json(figures(table_of(groups, one), scores, protocol, sigmas)),
                "tasks": _by_task(groups, one, scores, protocol),
            }
            for one in dimensions
        },
    }


def _by_task(groups: Sequence[Group], dimension: Dimension, scores: Scores, protocol: Protocol) -> dict[str, Any]:
    found = {}
    for task in sorted({group.task for group in groups}):
        table = table_of([group for group in groups if group.task == task], dimension)
        every = figures(table, scores, protocol)
        found[task] = to_json({name: every[name] for name in MAIN if name in every})
    return found


def to_json(found: Mapping[str, Estimate]) -> dict[str, dict[str, Any]]:
    return {
        name: {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}
        for name, row in ((name, asdict(one)) for name, one in found.items())
    }


def facts(groups: Sequence[Group], dimensions: Sequence[Dimension], protocol: Protocol) -> dict[str, Any]:
    """What is known without any scorer: counts of people's votes, their ceiling, and two scorers that know nothing.

    "constant" gives every candidate one score. "random" is the mean over RANDOM_RUNS scorers with random scores.
    """
    tables = {one.key: table_of(groups, one) for one in dimensions}
    return {
        "groups": len(groups),
        "votes": {key: votes(table) for key, table in tables.items()},
        "ceiling": {one.key: _ceiling(groups, one, tables[one.key]) for one in dimensions},
        "constant": {key: _values(table, dict.fromkeys(table.keys, 0.0), protocol) for key, table in tables.items()},
        "random": {key: _random(table, protocol) for key, table in tables.items()},
    }


RANDOM_RUNS = 20


def _ceiling(groups: Sequence[Group], dimension: Dimension, table: Table) -> dict[str, Any] | None:
    rows = {key: row for row, key in enumerate(table.keys)}
    said = [
        (rater, rows[group.candidates[place].key], score)
        for group in groups
        for rater, place, score in group.raters.get(dimension.key, ())
    ]
    return Raters.of(said).ceiling(table.source, table.editor)


def votes(table: Table) -> dict[str, int]:
    ties = int((table.outcome == 0).sum())
    return {"decided": table.outcome.size - ties, "ties": ties, "both_bad": table.both_bad}


def _values(table: Table, scores: Scores, protocol: Protocol) -> dict[str, float | None]:
    quick = Protocol(protocol.tuples, protocol.splits, protocol.tie_threshold, protocol.seed, resamples=1)
    found = to_json(figures(table, scores, quick))
    return {name: one["value"] for name, one in found.items() if not name.endswith("_all")}


def _random(table: Table, protocol: Protocol) -> dict[str, float | None]:
    generator = np.random.default_rng(protocol.seed)
    runs = [
        _values(table, dict(zip(table.keys, generator.random(len(table.keys)).tolist(), strict=True)), protocol)
        for _run in range(RANDOM_RUNS)
    ]
    return {name: _mean([one for run in runs if (one := run[name]) is not None]) for name in runs[0]}


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
