"""Agreement on a part of a set: one editor's items of one task, in one dimension. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np

from scoring.elsewhere.table import Judgements
from scoring.stats.agreement import fleiss_kappa as kappa_of_categories
from scoring.stats.agreement import krippendorff_alpha
from scoring.stats.grouped import Codes, Counts, Floats, counts
from scoring.stats.table import Panel, merge_repeats, repeated_units

MOST_PARTS = 600


def fleiss_kappa(unit: Codes, score: Floats, units: int) -> float:
    """Fleiss' κ of scores as mere categories (Fleiss 1971); NaN unless every unit has the same number of them, two or
    more, and some differ. One row a rater and unit."""
    n: Counts = counts(unit, units)
    if not units or n[0] < 2 or (n != n[0]).any():
        return float("nan")
    return kappa_of_categories(unit, score, units)


def parts(rated: Judgements) -> list[dict[str, Any]]:
    """Ordinal α and Fleiss' κ for every task, editor and dimension; none where the set names neither, or too many."""
    table = rated.ratings()
    panel = Panel.of(table)
    panel, _repeats = merge_repeats(panel, repeated_units(panel))
    tasks, editors = rated.of("item", "task"), rated.of("item", "editor")
    if tasks is None and editors is None:
        return []
    none = np.zeros(len(table.items), dtype=np.int64)
    names = [rated.columns[name].texts() if name in rated.columns else [""] for name in ("task", "editor")]
    task, editor = (none if codes is None else codes for codes in (tasks, editors))
    key = (task[panel.unit_item] * len(names[1]) + editor[panel.unit_item]) * panel.dimensions + panel.unit_dimension
    distinct, of_unit = np.unique(key, return_inverse=True)
    if distinct.size > MOST_PARTS:
        return []
    dimensions = table.dimensions.to_pylist()
    rows = np.argsort(of_unit[panel.unit], kind="stable")
    ends = np.cumsum(counts(of_unit[panel.unit], distinct.size))
    found = []
    for part, mine in zip(distinct.tolist(), np.split(rows, ends[:-1]), strict=True):
        _, unit = np.unique(panel.unit[mine], return_inverse=True)
        units, score = int(unit.max()) + 1, panel.score[mine]
        made, dimension = divmod(part, panel.dimensions)
        found.append(
            {
                "task": names[0][made // len(names[1])],
                "editor": names[1][made % len(names[1])],
                "dimension": dimensions[dimension],
                "items": units,
                "scores": int(score.size),
                "mean": float(score.mean()),
                "alpha": krippendorff_alpha(unit, score, units, "ordinal"),
                "fleiss": fleiss_kappa(unit, score, units),
            }
        )
    return found
