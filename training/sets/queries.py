"""Reads of training sets: their pages, and the pairs that can be looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.db.models import QuerySet
from django.http import Http404

from annotation import markdown
from annotation.models import Candidate, Case, StoredImage
from annotation.statistics import Line, lines
from training.models import LabelledSet, SetState
from training.rewards.groups import SPLITS
from training.sets import keeping
from training.sets.card import REASONS, card
from training.sets.facts import BINS

PAIRS = 12  # on a page
REJECTED = "rejected"


def sets() -> QuerySet[LabelledSet]:
    return LabelledSet.objects.select_related("created_by", "job", "dataset")


def shown(found: LabelledSet) -> LabelledSet:
    """The set as pages show it: one whose job is over and did not make it has failed, though a worker that was killed
    could not write that down. The row is not changed, so that the job can be resumed."""
    if found.state == SetState.MAKING and not (found.job and found.job.is_active):
        found.state = SetState.FAILED
    return found


@dataclass(frozen=True)
class DimensionRow:
    """A dimension's line of the table, and the bars of its gaps (small to large)."""

    key: str
    label: str
    scale: str
    pairs: list[int]
    ties: int
    rejected: int
    scored: int
    bars: list[dict[str, Any]]


def dimension_rows(dimensions: Iterable[Mapping[str, Any]], facts: Mapping[str, Any]) -> list[DimensionRow]:
    rows = []
    for one in dimensions:
        told = facts["dimensions"][one["key"]]
        pairs = [told["pairs"][split] for split in SPLITS]
        scale = f"{one['low']:g}–{one['high']:g}"
        rest = (sum(told["ties"].values()), told["excluded"], told["scored"])
        rows.append(DimensionRow(one["key"], one["label"], scale, pairs, *rest, bars(told["gaps"])))
    return rows


def bars(gaps: list[int]) -> list[dict[str, Any]]:
    """A histogram as percentages of its picture."""
    most, width = max(gaps) or 1, 100 / BINS
    return [
        {
            "x": f"{place * width + 1:.1f}%",
            "width": f"{width - 2:.1f}%",
            "y": f"{80 * (1 - count / most):.1f}%",
            "height": f"{80 * count / most:.1f}%",
            "label": f"{place / BINS:g}–{(place + 1) / BINS:g}",
            "value": count,
        }
        for place, count in enumerate(gaps)
    ]


def figures(dimensions: Iterable[Mapping[str, Any]], facts: Mapping[str, Any]) -> dict[str, Any]:
    """What the page of a set and the preview of a new one have in common."""
    rows = dimension_rows(dimensions, facts)
    return {
        "dimensions": rows,
        "splits": lines((split, facts["splits"][split], "") for split in SPLITS),
        "pairs": sum(sum(row.pairs) for row in rows),
        "ties": sum(row.ties for row in rows),
        "rejected": sum(row.rejected for row in rows),
        "left_out": [(REASONS[name], count) for name, count in facts["left_out"].items()],
        "unbalanced": [split for split in SPLITS if not facts["splits"][split]],
    }


def page_of_set(found: LabelledSet) -> dict[str, Any]:
    context: dict[str, Any] = {"set": found}
    if found.state != SetState.READY:
        return context
    facts = found.facts
    html = markdown.render(card(found)).replace("<table>", '<table class="table tight">')
    return {
        **context,
        **figures(found.dimensions, facts),
        "card": html,
        "tasks": _lines({name: sum(row.values()) for name, row in facts["tasks"].items()}),
        "editors": _lines(facts["editors"]),
        "studies": list(found.studies.order_by("pk")),
        "models": list(found.reward_models.order_by("-pk")[:20]),
    }


def _lines(counts: Mapping[str, int]) -> list[Line]:
    return lines((name, count, "") for name, count in sorted(counts.items(), key=lambda one: (-one[1], one[0])))


# Pairs to look at ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Side:
    """One edit of a pair. ``image``: None where the picture is no longer here; ``candidate``: likewise, a link."""

    editor: str
    image: StoredImage | None
    candidate: str
    rank: float | None = None
    mos: float | None = None


@dataclass(frozen=True)
class Shown:
    """A pair with its source. ``gap`` in percent of the widest."""

    row: dict[str, Any]
    source: StoredImage | None
    case: str
    sides: list[Side]

    @property
    def gap(self) -> float | None:
        return 100 * self.row["gap"] if "gap" in self.row else None


@dataclass(frozen=True)
class PairsPage:
    rows: list[Shown]
    shown: str  # the dimension's label, empty for rejected pairs
    start: int
    next: int | None
    previous: int | None


def pairs_page(found: LabelledSet, which: str, start: int) -> PairsPage:
    """Pairs of a dimension, large gaps first, or the rejected ones (``which`` is REJECTED), from place ``start``.
    Raises Http404."""
    keys = {one["key"]: (place, one["label"]) for place, one in enumerate(found.dimensions)}
    if found.state != SetState.READY or (which != REJECTED and which not in keys):
        raise Http404
    place, label = keys.get(which, (0, "")) if which != REJECTED else (0, "")
    name = f"{keeping.REJECTED}.jsonl" if which == REJECTED else keeping.pairs_name(place)
    rows = list(islice(keeping.rows_of(found, name), start, start + PAIRS + 1))
    more = start + PAIRS if len(rows) > PAIRS else None
    return PairsPage(_shown(rows[:PAIRS]), label, start, more, max(0, start - PAIRS) if start else None)


def _shown(rows: list[dict[str, Any]]) -> list[Shown]:
    """Three queries: pictures, candidates and cases that are still here."""
    shas = {sha for row in rows for sha in (row["source"], *(side["image"] for side in row["sides"]))}
    images = {image.sha256: image for image in StoredImage.objects.filter(sha256__in=shas)}
    keys = [side["key"] for row in rows for side in row["sides"]]
    candidates = {str(uid) for uid in Candidate.objects.filter(uid__in=keys).values_list("uid", flat=True)}
    groups = [row["group"] for row in rows]
    cases = {str(uid) for uid in Case.objects.filter(uid__in=groups).values_list("uid", flat=True)}
    found = []
    for row in rows:
        sides = [
            Side(
                side["editor"],
                images.get(side["image"]),
                side["key"] if side["key"] in candidates else "",
                *(values[place] if (values := row.get(name)) else None for name in ("ranks", "mos")),
            )
            for place, side in enumerate(row["sides"])
        ]
        case = row["group"] if row["group"] in cases else ""
        found.append(Shown(row, images.get(row["source"]), case, sides))
    return found
