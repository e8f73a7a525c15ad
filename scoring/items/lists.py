"""Items of a study, a page at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Prefetch, QuerySet

from annotation.models import Candidate, Item, ItemCandidate, Purpose
from scoring.reannotation import queries as reannotation
from scoring.reannotation.queries import Agreed


@dataclass(frozen=True)
class ItemRow:
    """``figures``: (dimension's label, agreement, whether it is low). ``decided``: dimensions that a senior decided."""

    item: Item
    candidates: list[Candidate]
    figures: list[tuple[str, Agreed, bool]]
    done: int
    target: int
    purposes: list[str]
    decided: list[str]


def listed(items: QuerySet[Item]) -> QuerySet[Item]:
    entries = Prefetch("entries", ItemCandidate.objects.select_related("candidate__image").order_by("id"))
    return items.select_related("case__source", "case__task").prefetch_related("units", entries)


def item_rows(items: Sequence[Item]) -> list[ItemRow]:
    """Rows of one page of ``listed`` items, all of one study: two more queries."""
    if not items:
        return []
    study, keys = items[0].study, [item.pk for item in items]
    labels = {dimension.key: dimension.label for dimension in study.protocol.dimensions}
    found = reannotation.by_item(reannotation.agreed(study, keys))
    decided: dict[int, list[str]] = defaultdict(list)
    for key, dimension in reannotation.standing(reannotation.decisions(study, keys)):
        decided[key].append(labels.get(dimension, dimension))
    rows = []
    for item in items:
        units, here = list(item.units.all()), found.get(item.pk, {})
        live = [unit for unit in units if unit.purpose == Purpose.LIVE]
        other = {unit.purpose: str(unit.get_purpose_display()) for unit in units if unit.purpose != Purpose.LIVE}
        row = ItemRow(
            item=item,
            candidates=[entry.candidate for entry in item.entries.all() if not entry.candidate.control],
            figures=[
                (label, here[name], here[name].is_low(study.protocol.agreement))
                for name, label in labels.items()
                if name in here
            ],
            done=sum(unit.done for unit in live),
            target=sum(unit.target for unit in live),
            purposes=list(other.values()),
            decided=decided[item.pk],
        )
        rows.append(row)
    return rows
