"""How the editors of a study stand: wins, strengths, opinion scores, by dimension and by task.

In each dimension the candidates of a group are put in order: by their final mean rank where people ranked or compared
them, by their mean score within a case where people rated them. From these orders come wins, the win matrix and both
strengths, so that they can be compared; the bootstrap draws whole cases. Opinion scores are means over an editor's
candidates, with Student's t interval over them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any, cast

import numpy as np

from annotation.models import ItemCandidate, Study
from annotation.protocols import PAIRWISE, RATING
from scoring import results, tables
from scoring.stats.grouped import Codes, Floats, compress, counts, moments, ratio, sums
from scoring.stats.intervals import t_interval
from scoring.stats.mos import Method, MosSettings, mean_opinion_scores
from scoring.stats.pairs import preference_pairs, ranking_scores
from scoring.stats.plackett import plackett_luce
from scoring.stats.ranks import midranks, rank_groups
from scoring.stats.strength import Comparisons, Strengths, comparisons, editor_strengths
from scoring.stats.table import Rankings, Ratings

ALL = ""  # the part that takes all dimensions together
RESAMPLES = 200
MOST_WORK = 1_500  # editors × resamples of Plackett-Luce, whose choices are among sets of editors
Figures = list[float | None]


@dataclass(frozen=True)
class Estimates:
    """A figure of each editor with its interval; None: not determined."""

    value: Figures
    low: Figures
    high: Figures
    n: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class ByTask:
    """[editor][task]: a mean, and over how many candidates."""

    value: list[Figures]
    n: list[list[int]]


@dataclass(frozen=True)
class Part:
    """One dimension, or all together (``ALL``). Lists are by editor.

    ``wins``: mean number of pairwise wins in a group, a tie ½, and over how many candidates. ``won``[i][j]: wins of i
    against j, a tie ½, of ``met``[i][j] comparisons.
    ``repeated``: groups with several candidates of one editor, which Plackett-Luce leaves out.
    """

    dimension: str
    groups: int
    repeated: int
    wins: Estimates
    mos: Estimates
    bradley_terry: Estimates
    plackett_luce: Estimates
    tie: float | None
    won: list[list[float]]
    met: list[list[int]]
    task_wins: ByTask
    task_mos: ByTask


@dataclass(frozen=True)
class Standings:
    """``editors``: keys in the database; ``candidates``: of each, those that were judged."""

    editors: list[int]
    tasks: list[str]
    candidates: list[int]
    parts: dict[str, Part]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Standings:
        return cls(**{**value, "parts": {name: _part(part) for name, part in value["parts"].items()}})


def _part(value: dict[str, Any]) -> Part:
    made = {name: Estimates(**value[name]) for name in ("wins", "mos", "bradley_terry", "plackett_luce")}
    tasks = {name: ByTask(**value[name]) for name in ("task_wins", "task_mos")}
    return Part(**{**value, **made, **tasks})


# Reading ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Facts:
    """Who made the candidates: per candidate its code (by UID), and per code editor, case and task as codes."""

    code: dict[str, int]
    editor: Codes
    case: Codes
    task: Codes
    editors: list[int]
    tasks: list[str]

    @classmethod
    def of(cls, study: Study) -> Facts:
        """One query."""
        rows = ItemCandidate.objects.filter(item__study=study, candidate__control="").order_by("id")
        wanted = ("candidate__uid", "candidate__editor_id", "item__case_id", "item__case__task_id")
        known = {str(row[0]): row[1:] for row in rows.values_list(*wanted).iterator(chunk_size=tables.CHUNK)}
        editors, tasks = sorted({row[0] for row in known.values()}), sorted({row[2] for row in known.values()})
        by_editor, by_task = _places(editors), _places(tasks)
        by_case = _places(sorted({row[1] for row in known.values()}))
        return cls(
            code={uid: place for place, uid in enumerate(known)},
            editor=np.array([by_editor[row[0]] for row in known.values()], dtype=np.int64),
            case=np.array([by_case[row[1]] for row in known.values()], dtype=np.int64),
            task=np.array([by_task[row[2]] for row in known.values()], dtype=np.int64),
            editors=editors,
            tasks=tasks,
        )


def _places(values: Sequence[Any]) -> dict[Any, int]:
    return {value: place for place, value in enumerate(values)}


@dataclass(frozen=True, slots=True)
class Orders:
    """Candidates of groups in their order: ``candidate`` (code), ``group`` and ``place`` (lower is better) of each, the
    groups together, best first."""

    candidate: Codes
    group: Codes
    place: Floats

    @classmethod
    def of(cls, candidate: Codes, group: Codes, place: Floats) -> Orders:
        """Groups of a single candidate are left out: there is nothing to win."""
        several = counts(group, int(group.max(initial=-1)) + 1)[group] > 1 if group.size else np.zeros(0, dtype=bool)
        candidate, place = candidate[several], np.round(place[several], 9)  # means of the same scores are equal
        group, _ = compress(group[several].astype(np.int64), int(group.max(initial=-1)) + 1)
        order = np.lexsort((place, group))
        return cls(candidate[order], group[order], place[order])

    @property
    def groups(self) -> int:
        return int(self.group[-1]) + 1 if self.group.size else 0


@dataclass(frozen=True, slots=True)
class Scores:
    """Opinion scores: ``candidate`` (code) and ``mos``."""

    candidate: Codes
    mos: Floats


NOTHING = Scores(np.zeros(0, dtype=np.int64), np.zeros(0))


def scores_of(table: Ratings, facts: Facts, method: str) -> dict[str, Scores]:
    """By dimension, from ratings, or from the shelves of rankings."""
    rule: Any = "none" if method == "mean" else None
    made = mean_opinion_scores(table, MosSettings(method=cast(Method, method), outliers=rule))
    code = _codes(table.items.to_pylist(), facts)
    known = np.isfinite(made.scored.mos)
    return {
        name: Scores(code[made.panel.unit_item[rows]], made.scored.mos[rows])
        for place, name in enumerate(table.dimensions.to_pylist())
        if (rows := np.flatnonzero(known & (made.panel.unit_dimension == place))).size
    }


def orders_of(table: Rankings, facts: Facts) -> dict[str, Orders]:
    """By dimension, from ranks: the final order of each group."""
    ranked = rank_groups(table)
    panel = ranked.panel
    code = _codes(table.candidates.to_pylist(), facts)
    dimension = panel.group_dimension[panel.cell_group]
    return {
        name: Orders.of(code[panel.cell_candidate[rows]], panel.cell_group[rows], ranked.mean_rank[rows])
        for place, name in enumerate(table.dimensions.to_pylist())
        if (rows := np.flatnonzero(dimension == place)).size
    }


def _codes(uids: Sequence[str], facts: Facts) -> Codes:
    return np.array([facts.code[uid] for uid in uids], dtype=np.int64)


def orders_by_score(scores: dict[str, Scores], facts: Facts) -> dict[str, Orders]:
    """By dimension: the candidates of each case by their opinion scores."""
    return {name: Orders.of(one.candidate, facts.case[one.candidate], -one.mos) for name, one in scores.items()}


# Computing ----------------------------------------------------------------------------------------------------------


def standings(study: Study, method: str = "mean", dimension: str = ALL, resamples: int = RESAMPLES) -> Standings:
    """From the judgements that count now. ``method``: of the opinion scores, see ``scoring.stats.mos``. ``dimension``:
    the part whose strengths get intervals, since a bootstrap takes seconds."""
    facts, kind = Facts.of(study), study.protocol.kind
    scores = {} if kind == PAIRWISE else scores_of(tables.ratings(study), facts, method)
    orders = orders_by_score(scores, facts) if kind == RATING else orders_of(results.rankings_of(study), facts)
    names = [d.key for d in study.protocol.dimensions if d.key in scores or d.key in orders]
    empty = Orders.of(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0))
    shown = {n: ([orders.get(n, empty)], scores.get(n, NOTHING)) for n in names}
    if len(names) > 1:
        shown = {ALL: ([orders[n] for n in names if n in orders], NOTHING), **shown}
    drawn = dimension if dimension in shown else next(iter(shown), ALL)
    parts = {n: part(n, *of, facts, resamples if n == drawn else 0) for n, of in shown.items()}
    judged = [scores[n].candidate for n in scores] + [orders[n].candidate for n in orders]
    seen = np.unique(np.concatenate(judged)) if judged else np.zeros(0, dtype=np.int64)
    number = counts(facts.editor[seen], len(facts.editors)).tolist()
    return Standings(facts.editors, facts.tasks, number, parts)


def part(name: str, orders: Sequence[Orders], scores: Scores, facts: Facts, resamples: int) -> Part:
    """One dimension; several ``orders`` are taken together, each group for itself."""
    candidate = np.concatenate([one.candidate for one in orders])
    offset = np.cumsum([0, *(one.groups for one in orders)])
    group = np.concatenate([one.group + start for one, start in zip(orders, offset, strict=False)])
    place = np.concatenate([one.place for one in orders])
    groups, editors = int(offset[-1]), len(facts.editors)
    editor, case = facts.editor[candidate], facts.case[candidate]
    sizes = counts(group, groups)
    wins = sizes[group] - midranks(group, place, groups).rank if group.size else np.zeros(0)
    outcomes = comparisons(*preference_pairs(sizes, place), case, editor)
    won, met = matrix(outcomes, editors)
    fitted = editor_strengths(outcomes, editors, resamples=resamples)
    whole, clusters, repeated = whole_orders(group, place, editor, case)
    luce = plackett_luce(whole, editors, groups=clusters, resamples=min(resamples, MOST_WORK // max(1, editors)))
    shown = ranking_scores(editor, wins, editors)
    none: Figures = [None] * editors
    return Part(
        dimension=name,
        groups=groups,
        repeated=repeated,
        wins=Estimates(_plain(shown), none, none, counts(editor, editors).tolist()),
        mos=_means(facts.editor[scores.candidate], scores.mos, editors),
        bradley_terry=_strengths(fitted),
        plackett_luce=_strengths(luce),
        tie=_plain(np.array([fitted.tie]))[0],
        won=won.tolist(),
        met=met.tolist(),
        task_wins=_by_task(editor, facts.task[candidate], wins, facts),
        task_mos=_by_task(facts.editor[scores.candidate], facts.task[scores.candidate], scores.mos, facts),
    )


def matrix(outcomes: Comparisons, editors: int) -> tuple[Floats, Codes]:
    """Wins of each editor (row) against each other (column), a tie counting ½ for both, and comparisons."""
    key = outcomes.first.astype(np.int64) * editors + outcomes.second
    worth = np.where(outcomes.tied, 0.5, 1.0)
    won = sums(key, worth, editors**2).reshape(editors, editors)
    half = sums(key[outcomes.tied], worth[outcomes.tied], editors**2).reshape(editors, editors)
    met = counts(key, editors**2).reshape(editors, editors)
    return won + half.T, met + met.T


def whole_orders(
    group: Codes, place: Floats, editor: Codes, case: Codes
) -> tuple[list[list[list[int]]], list[int], int]:
    """Tiers of editors of each group, the groups' cases, and the number of groups that have an editor twice: those say
    nothing here, since nobody is better than themselves."""
    orders: list[list[list[int]]] = []
    clusters: list[int] = []
    repeated = 0
    rows = zip(group.tolist(), place.tolist(), editor.tolist(), case.tolist(), strict=True)
    for _group, members in groupby(rows, key=lambda row: row[0]):
        found = list(members)
        if len({row[2] for row in found}) < len(found):
            repeated += 1
            continue
        orders.append([[row[2] for row in tier] for _place, tier in groupby(found, key=lambda row: row[1])])
        clusters.append(found[0][3])
    return orders, clusters, repeated


def _means(editor: Codes, values: Floats, editors: int) -> Estimates:
    found, _deviations = moments(editor, values, editors)
    low, high = t_interval(found.mean, found.std(), found.n)
    mean = np.where(found.n > 0, found.mean, np.nan)
    return Estimates(_plain(mean), _plain(low), _plain(high), found.n.tolist())


def _by_task(editor: Codes, task: Codes, values: Floats, facts: Facts) -> ByTask:
    editors, tasks = len(facts.editors), len(facts.tasks)
    key = editor * tasks + task
    n = counts(key, editors * tasks)
    mean = ratio(sums(key, values, editors * tasks), n).reshape(editors, tasks)
    return ByTask([_plain(row) for row in mean], n.reshape(editors, tasks).tolist())


def _strengths(fitted: Strengths) -> Estimates:
    return Estimates(_plain(fitted.strength), _plain(fitted.low), _plain(fitted.high))


def _plain(values: Floats) -> Figures:
    """Numbers for JSON: what does not exist is None, not NaN."""
    return [float(value) if np.isfinite(value) else None for value in values]
