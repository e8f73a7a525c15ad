"""Do annotators and items hang together? Scores of parts that share neither cannot be compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from scoring.stats.grouped import Codes, Counts, counts
from scoring.stats.table import Panel

SAMPLE = 200_000


@dataclass(frozen=True, slots=True)
class Components:
    """Component of every rater and unit (-1 for those without a row), and per dimension the number of components."""

    rater: Codes
    unit: Codes
    parts: Counts


def components(panel: Panel) -> Components:
    """Connected components of the graph whose edges are ratings, dimension by dimension.

    Two raters of one unit are connected, so the graph shrinks to the raters, each tied to one fixed rater of every unit
    of theirs. A sample of these ties usually connects everything; only ties that it leaves open are looked at again.
    """
    fixed = np.full(panel.units, -1, dtype=np.int64)
    fixed[panel.unit] = panel.rater
    partner = np.take(fixed, panel.unit, mode="clip")
    step = max(1, panel.rater.size // SAMPLE)
    label = _labels(partner[::step], panel.rater[::step], panel.raters)
    here, there = np.take(label, panel.rater, mode="clip"), np.take(label, partner, mode="clip")
    open_ties = here != there
    label = _labels(here[open_ties], there[open_ties], panel.raters)[label]
    rater = np.where(counts(panel.rater, panel.raters) > 0, label, -1)
    unit = np.where(fixed >= 0, rater[fixed], -1) if panel.raters else fixed
    seen, first = np.unique(rater, return_index=True)
    parts = counts(panel.rater_dimension[first[seen >= 0]], panel.dimensions)
    return Components(rater=rater, unit=unit, parts=parts)


def _labels(one: Codes, other: Codes, size: int) -> NDArray[np.int64]:
    """Component label of each of ``size`` nodes, given the edges."""
    graph = coo_array((np.ones(one.size, dtype=np.int8), (one, other)), shape=(size, size))
    label: NDArray[np.int64] = connected_components(graph.tocsr(), directed=False)[1].astype(np.int64)
    return label
