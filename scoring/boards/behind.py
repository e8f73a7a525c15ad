"""The rows behind the numbers of the leaderboard: the candidates of one editor, with what people said of each."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, QuerySet

from annotation.models import Candidate, Case, Editor, ItemCandidate, Mark, Study
from annotation.protocols import RATING
from scoring.blocks import join
from scoring.stats.mos import MosSettings, mean_opinion_scores
from scoring.stats.ranks import rank_groups
from scoring.stats.table import Rankings, Ratings
from scoring.tables import ANNOTATOR, annotator_name, counted_marks

PAGE = 25
Places = dict[tuple[str, str], dict[str, float]]
"""By (group, dimension): the place of each candidate's UID, lower is better."""


@dataclass(frozen=True)
class Told:
    """What people say of a candidate in a dimension. ``ratings`` of its mean ``score``; ``wins`` among the ``others``
    of its group; ``won`` of ``met`` against the other editor's candidates, a tie ½. None: nothing."""

    ratings: int
    score: float | None
    wins: float | None
    others: int
    won: float
    met: int


@dataclass(frozen=True)
class Behind:
    """``cells``: (key, what is told) of each dimension of the protocol."""

    entry: ItemCandidate
    cells: list[tuple[str, Told]]


def entries_of(study: Study, editor: Editor, task: str, against: Editor | None) -> QuerySet[ItemCandidate]:
    """The editor's candidates in this study, perhaps of one task, perhaps where the other editor has one, too."""
    rows = ItemCandidate.objects.filter(item__study=study, candidate__editor=editor, candidate__control="")
    rows = rows.select_related("item__case__task", "item__case__source", "candidate__image")
    if task:
        rows = rows.filter(item__case__task=task)
    if against is not None:
        others = ItemCandidate.objects.filter(item__study=study, candidate__editor=against)
        if joins_cases(study):
            others = others.filter(item__case=OuterRef("item__case"))
        else:
            others = others.filter(item=OuterRef("item"))
        rows = rows.filter(Exists(others))
    return rows


def joins_cases(study: Study) -> bool:
    """Whether candidates of different items are compared: ratings of one case, and blocks of one group."""
    return study.protocol.kind == RATING or bool(study.protocol.block)


def behind(study: Study, entries: Sequence[ItemCandidate], against: Editor | None) -> list[Behind]:
    """What was said of these candidates: by the functions of the leaderboard, on their cases alone. A few queries."""
    cases = {entry.item.case for entry in entries}
    marks = counted_marks(study).filter(judgement__unit__item__case__in=cases).order_by("id")
    scores = _scores(marks)
    places = _places_by_score(cases, scores) if study.protocol.kind == RATING else _places_by_rank(study, marks, cases)
    makers = Candidate.objects.filter(case__in=cases)
    rivals = {str(uid) for uid in makers.filter(editor=against).values_list("uid", flat=True)} if against else set()
    keys = [dimension.key for dimension in study.protocol.dimensions]
    return [
        Behind(entry, [(key, _told(study, entry, key, scores, places, rivals)) for key in keys]) for entry in entries
    ]


def _told(  # noqa: PLR0917
    study: Study,
    entry: ItemCandidate,
    dimension: str,
    scores: dict[tuple[str, str], tuple[float, int]],
    places: Places,
    rivals: set[str],
) -> Told:
    uid = str(entry.candidate.uid)
    group = str(entry.item.case.uid if joins_cases(study) else entry.item.uid)
    score, ratings = scores.get((uid, dimension), (None, 0))
    here = places.get((group, dimension), {})
    mine = here.get(uid)
    others = {other: place for other, place in here.items() if other != uid}
    if mine is None or not others:
        return Told(ratings, score, None, 0, 0.0, 0)
    worth = {other: 1.0 if mine < place else 0.5 if mine == place else 0.0 for other, place in others.items()}
    met = [value for other, value in worth.items() if other in rivals]
    return Told(ratings, score, sum(worth.values()), len(others), sum(met), len(met))


def _scores(marks: QuerySet[Mark]) -> dict[tuple[str, str], tuple[float, int]]:
    """(plain mean, number of annotators) by candidate and dimension."""
    rows = marks.filter(score__isnull=False).values_list(*ANNOTATOR, "candidate__uid", "dimension", "score")
    table = Ratings.from_rows((annotator_name(a, b), str(c), d, s) for a, b, c, d, s in rows)
    made = mean_opinion_scores(table, MosSettings(method="mean", outliers="none"))
    items, dimensions = table.items.to_pylist(), table.dimensions.to_pylist()
    return {
        (items[item], dimensions[dimension]): (float(mos), int(n))
        for item, dimension, mos, n in zip(
            made.panel.unit_item, made.panel.unit_dimension, made.scored.mos, made.scored.n, strict=True
        )
    }


def _places_by_score(cases: set[Case], scores: dict[tuple[str, str], tuple[float, int]]) -> Places:
    rows = Candidate.objects.filter(case__in=cases).values_list("uid", "case__uid")
    case_of = {str(uid): str(case) for uid, case in rows}
    made: Places = defaultdict(dict)
    for (uid, dimension), (mos, _n) in scores.items():
        made[case_of[uid], dimension][uid] = -round(mos, 9)
    return made


def _places_by_rank(study: Study, marks: QuerySet[Mark], cases: set[Case]) -> Places:
    """Mean ranks; joint ones of cases that were shown in blocks."""
    items = study.items.filter(case__in=cases) if study.protocol.block else study.items.none()
    case_of = {str(item): str(case) for item, case in items.values_list("uid", "case__uid")}
    parts = Counter(case_of.values())
    blocked = {item: case for item, case in case_of.items() if parts[case] > 1}
    ranked = rank_groups(Rankings.from_rows(_rank_rows(marks)))
    panel, table = ranked.panel, ranked.table
    groups, dimensions, names = table.groups.to_pylist(), table.dimensions.to_pylist(), table.candidates.to_pylist()
    made: Places = defaultdict(dict)
    for group, candidate, place in zip(panel.cell_group, panel.cell_candidate, ranked.mean_rank, strict=True):
        name = groups[panel.group_name[group]]
        if name not in blocked:
            key = case_of.get(name, name), dimensions[panel.group_dimension[group]]
            made[key][names[candidate]] = round(float(place), 9)
    for row in join(table, blocked).rows:
        made[row.group, row.dimension][row.candidate] = row.rank
    return made


def _rank_rows(marks: QuerySet[Mark]) -> Iterator[tuple[str, str, str, str, float]]:
    item = "judgement__unit__item__uid"
    rows = marks.filter(rank__isnull=False).values_list(*ANNOTATOR, item, "dimension", "candidate__uid", "rank")
    for annotator, simulated, name, dimension, candidate, rank in rows:
        assert rank is not None  # by the filter
        yield annotator_name(annotator, simulated), str(name), dimension, str(candidate), rank
