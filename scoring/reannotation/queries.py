"""How far people agree on single items, what is contested, and what seniors decided. Reads only the items asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
from django.db.models import Exists, OuterRef, Q, QuerySet

from annotation.answers import mean_ranks
from annotation.models import Adjudication, Item, Mark, Study
from annotation.protocols import RATING
from scoring import tables
from scoring.reannotation.agreement import rating_agreement
from scoring.results import number
from scoring.stats.grouped import counts
from scoring.stats.ranks import RankResult, rank_groups
from scoring.stats.table import Panel, Rankings, Ratings, merge_repeats, repeated_units


@dataclass(frozen=True)
class Agreed:
    """Agreement on an item in a dimension: Kendall's W of a ranking, ``rating_agreement`` of scores. None: no figure.

    ``tau``: mean τ-b of a ranking. ``people``: whose complete answers the figures rest on.
    """

    item: int
    dimension: str
    value: float | None
    tau: float | None
    people: int

    def is_low(self, threshold: float) -> bool:
        return self.value is not None and self.value < threshold


def agreed(study: Study, items: Collection[int] | None = None, dimension: str = "") -> list[Agreed]:
    """Agreement by item and dimension, over the judgements that count. ``items``: these alone, else the whole study."""
    marks = counted(study, items, dimension)
    if study.protocol.kind == RATING:
        return of_ratings(study, ratings_of(marks))
    return of_rankings(rank_groups(rankings_of(marks), study.protocol.agreement))


def counted(study: Study, items: Collection[int] | None = None, dimension: str = "") -> QuerySet[Mark]:
    """Marks that count, of these items and this dimension where they are given.

    Of given items nothing else is read: a condition on the study would let a database begin with the study's marks.
    """
    about = Q(judgement__study=study) if items is None else Q(judgement__unit__item__in=items)
    marks = Mark.objects.filter(about).counted().order_by("id")
    return marks.filter(dimension=dimension) if dimension else marks


def ratings_of(marks: QuerySet[Mark]) -> Ratings:
    """Scores by (annotator's key, item's key, dimension)."""
    fields = ("judgement__annotator_id", "judgement__unit__item_id", "dimension", "score")
    return Ratings.from_rows(marks.filter(score__isnull=False).values_list(*fields).iterator(chunk_size=tables.CHUNK))


def rankings_of(marks: QuerySet[Mark]) -> Rankings:
    """Ranks by (annotator's key, item's key, dimension, candidate's key)."""
    fields = ("judgement__annotator_id", "judgement__unit__item_id", "dimension", "candidate_id", "rank")
    return Rankings.from_rows(marks.filter(rank__isnull=False).values_list(*fields).iterator(chunk_size=tables.CHUNK))


def of_ratings(study: Study, table: Ratings) -> list[Agreed]:
    panel = Panel.of(table)
    panel, _repeats = merge_repeats(panel, repeated_units(panel))
    items, names = table.items.to_pylist(), table.dimensions.to_pylist()
    scales = [study.protocol.dimension(name) for name in names]
    ends = np.array([[scale.low, scale.high] for scale in scales], dtype=np.float64).reshape(-1, 2)
    low, high = ends[panel.unit_dimension].T
    value, people = rating_agreement(panel.unit, panel.score, low, high), counts(panel.unit, panel.units)
    return [
        Agreed(int(items[item]), names[dimension], number(value[unit]), None, int(people[unit]))
        for unit, (item, dimension) in enumerate(zip(panel.unit_item, panel.unit_dimension, strict=True))
    ]


def of_rankings(ranked: RankResult) -> list[Agreed]:
    panel, groups, names = ranked.panel, ranked.table.groups.to_pylist(), ranked.table.dimensions.to_pylist()
    return [
        Agreed(
            item=int(groups[panel.group_name[group]]),
            dimension=names[panel.group_dimension[group]],
            value=number(ranked.kendall_w[group]),
            tau=number(ranked.tau_b[group]),
            people=int(ranked.complete[group]),
        )
        for group in range(panel.groups)
    ]


def by_item(found: Iterable[Agreed]) -> dict[int, dict[str, Agreed]]:
    """{item's key: {dimension: agreement}}."""
    sorted_out: dict[int, dict[str, Agreed]] = defaultdict(dict)
    for one in found:
        sorted_out[one.item][one.dimension] = one
    return dict(sorted_out)


# Contested items and decisions --------------------------------------------------------------------------------------


def contested(study: Study, *, undecided: bool = False) -> QuerySet[Item]:
    """Items on which people still disagree; ``undecided``: those that nobody has decided on."""
    items = Item.objects.filter(study=study, is_contested=True)
    decided = Exists(Adjudication.objects.filter(item=OuterRef("pk")))
    return items.exclude(decided) if undecided else items


def decisions(study: Study, items: Collection[int] | None = None) -> QuerySet[Adjudication]:
    """Decisions in the order in which they were made: the last one on an item and dimension stands."""
    found = Adjudication.objects.filter(study=study).select_related("by").order_by("id")
    return found if items is None else found.filter(item__in=items)


def standing(made: Iterable[Adjudication]) -> dict[tuple[int, str], Adjudication]:
    """The decision that stands, by (item's key, dimension). ``made`` in the order of ``decisions``."""
    return {(one.item_id, one.dimension): one for one in made}


def places(decision: Adjudication) -> dict[str, float]:
    """What a decision says of each candidate, by UID: its score, or its place (1 is best, ties share their mean)."""
    if "scores" in decision.answer:
        return {str(uid): float(score) for uid, score in decision.answer["scores"].items()}
    return mean_ranks(decision.answer["order"])
