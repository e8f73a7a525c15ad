"""Do a study's annotators and items hang together? Scores of parts that share no annotator cannot be compared.

An annotator's bias and scale are known only against others who judged the same items. So the graph whose edges are the
judgements that count, between annotators and items, must be in one piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from django.utils.translation import gettext as _
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from annotation.models import Item, Study
from scoring import tables
from scoring.boards.charts import Cell, heat
from scoring.boards.shapes import Chart

SHOWN = 24  # annotators in the picture
NAMED = 8  # annotators or cases that a sentence names
FEW = 5  # shared items, below which a bias is hardly known


@dataclass(frozen=True)
class Part:
    """Annotators and items that hang together. ``cases``: the first few of its items' cases."""

    annotators: list[str]
    items: int
    cases: list[str]


@dataclass(frozen=True)
class Connections:
    """``parts``: the largest first. ``names``: annotators in the order of the parts; ``shared``: of the first SHOWN of
    them, how many items each two share. ``judged``: items of each annotator; ``company``: those that somebody else
    judged, too."""

    parts: list[Part]
    names: list[str]
    shared: list[list[int]]
    judged: list[int]
    company: list[int]

    @property
    def is_known(self) -> bool:
        """Whether two people have judged something: one alone is in one piece with all of their items."""
        return len(self.names) > 1

    @property
    def is_connected(self) -> bool:
        return len(self.parts) <= 1

    @property
    def items(self) -> int:
        return sum(part.items for part in self.parts)

    @property
    def warnings(self) -> list[str]:
        if not self.is_known:
            return []
        if not any(self.company):
            return [
                _(
                    "No item has been judged by two people, so nobody's scores can be compared with anybody else's. "
                    "Let two or more people judge each item."
                )
            ]
        return self._apart() or self._few()

    def _apart(self) -> list[str]:
        if self.is_connected:
            return []
        words = _(
            "The judgements fall into %(n)d parts that share no annotator and no item. Scores of one part cannot be "
            "compared with those of another. Let somebody of one part judge items of the other."
        )
        lines = [words % {"n": len(self.parts)}]
        for part in self.parts[1 : NAMED + 1]:
            words = _("Apart from the largest part: %(people)s (items: %(n)d; cases: %(cases)s).")
            cases = _listed(part.cases, part.items)
            lines.append(words % {"people": _listed(part.annotators), "n": part.items, "cases": cases})
        return lines

    def _few(self) -> list[str]:
        counts = zip(self.names, self.judged, self.company, strict=True)
        few = [name for name, judged, company in counts if company < FEW <= judged]
        if not few:
            return []
        words = _("Fewer than %(few)d items shared with others: %(people)s. Their bias is hardly known yet.")
        return [words % {"few": FEW, "people": _listed(few)}]

    @property
    def chart(self) -> Chart | None:
        """A map of the numbers of items that each two annotators share."""
        names = self.names[: len(self.shared)]
        if len(names) < 2:
            return None
        most = max((n for one, row in enumerate(self.shared) for two, n in enumerate(row) if one != two), default=0)
        rows = []
        for one, row in enumerate(self.shared):
            cells = [Cell(np.nan if one == two or not n else n, str(n)) for two, n in enumerate(row)]
            rows.append((names[one], cells))
        return heat(rows, names, label=_("Items that each two annotators share"), limits=(0, max(1, most)))


def _listed(names: Sequence[str], of: int | None = None) -> str:
    """The first few names; "…" stands for the rest of ``of``, or of the names."""
    more = (len(names) if of is None else of) > min(len(names), NAMED)
    return ", ".join([*names[:NAMED], *(["…"] if more else [])])


def of_study(study: Study) -> Connections:
    """From the judgements that count now. Two queries; one more where something is apart."""
    return shown(compute(study))


def compute(study: Study) -> dict[str, Any]:
    """The same as plain JSON, which can be kept. See ``shown``."""
    values = tables.counted_marks(study).order_by().values_list(*tables.ANNOTATOR, "judgement__unit__item_id")
    edges = sorted(set(values.iterator(chunk_size=tables.CHUNK)))
    found, firsts = measured([(tables.annotator_name(a, simulated), item) for a, simulated, item in edges])
    named = dict(
        Item.objects.filter(pk__in=[item for part in firsts[1:] for item in part]).values_list("pk", "case__key")
    )
    for part, items in zip(found["parts"], firsts, strict=True):
        part["cases"] = sorted({named[item] for item in items if item in named})
    return found


def shown(found: dict[str, Any]) -> Connections:
    return Connections(**{**found, "parts": [Part(**part) for part in found["parts"]]})


def measured(edges: Sequence[tuple[str, int]]) -> tuple[dict[str, Any], list[list[int]]]:
    """Connections of distinct (annotator, item) as JSON without the names of cases, and a few items of each part."""
    people = list(dict.fromkeys(name for name, _item in edges))
    items = list(dict.fromkeys(item for _name, item in edges))
    row = {name: place for place, name in enumerate(people)}
    column = {item: place for place, item in enumerate(items)}
    place = np.array([[row[name], column[item]] for name, item in edges], dtype=np.int64).reshape(-1, 2)
    matrix = csr_array(coo_array((np.ones(len(place)), place.T), shape=(len(people), len(items))))
    label = _labels(matrix)
    sizes = np.bincount(label[: len(people)], minlength=label.max(initial=-1) + 1)
    by_size = sorted(range(sizes.size), key=lambda part: (-sizes[part], part))
    order = [one for part in by_size for one in np.flatnonzero(label[: len(people)] == part)]
    members = [np.flatnonzero(label[len(people) :] == part) for part in by_size]
    parts = [
        Part([people[one] for one in np.flatnonzero(label[: len(people)] == part)], int(mine.size), [])
        for part, mine in zip(by_size, members, strict=True)
    ]
    several = np.asarray(matrix.sum(axis=0)).ravel() > 1
    first = matrix[order[:SHOWN]]
    made = Connections(
        parts=parts,
        names=[people[one] for one in order],
        shared=(first @ first.T).toarray().astype(int).tolist(),
        judged=matrix.sum(axis=1).astype(int)[order].tolist(),
        company=(matrix @ several.astype(float)).astype(int)[order].tolist(),
    )
    return asdict(made), [[items[one] for one in mine[:NAMED]] for mine in members]


def _labels(matrix: csr_array) -> Any:
    """The part of each annotator, then of each item."""
    people, items = matrix.shape
    edges = coo_array(matrix)
    graph = coo_array((edges.data, (edges.row, edges.col + people)), shape=(people + items, people + items))
    return connected_components(graph.tocsr(), directed=False)[1]
