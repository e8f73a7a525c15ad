"""Strength of editors over a whole study: Bradley-Terry with ties, bootstrap intervals over groups.

Model (Davidson 1970): win, loss and tie of i against j go as π_i : π_j : ν·sqrt(π_i·π_j). Maximum likelihood by
evalica's implementation of Newman's iteration (JMLR 24, 2023). Plackett-Luce is not here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from scoring.stats.grouped import Codes, Floats
from scoring.stats.pairs import Pairs

TOLERANCE = 1e-8
LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Comparisons:
    """Outcomes between editors, one row each: ``first`` won against ``second``, or ``tied`` with it, in ``group``."""

    group: Codes
    first: Codes
    second: Codes
    tied: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Strengths:
    """Per editor: natural logarithm of π, mean 0 over editors, and its percentile interval. NaN: not determined.

    ``tie`` is ν. ``usable`` of the ``resamples`` had a finite solution; intervals need nine tenths of them.
    """

    strength: Floats
    low: Floats
    high: Floats
    tie: float
    usable: int
    resamples: int


def comparisons(pairs: Pairs, ties: Pairs, cell_group: Codes, cell_editor: Codes) -> Comparisons:
    """Pairs of candidates as outcomes between their editors; pairs of one editor with itself are left out."""
    first = cell_editor[np.concatenate([pairs.better, ties.better])]
    second = cell_editor[np.concatenate([pairs.worse, ties.worse])]
    group = cell_group[np.concatenate([pairs.better, ties.better])]
    tied = np.arange(first.size) >= pairs.better.size
    differ = first != second
    return Comparisons(group[differ], first[differ], second[differ], tied[differ])


def editor_strengths(
    outcomes: Comparisons, editors: int, *, resamples: int = 200, confidence: float = 0.95, seed: int = 0
) -> Strengths:
    """Fit all editors 0..editors-1, and again on ``resamples`` draws of whole groups with replacement.

    An editor that never lost (or lost to nobody outside a part of the others) has no finite strength: everything is NaN
    then. Wins and ties must lead from every editor to every other (Ford 1957).
    """
    unknown = np.full(editors, np.nan)
    key = (outcomes.first.astype(np.int64) * editors + outcomes.second) * 2 + outcomes.tied
    distinct, column = np.unique(key, return_inverse=True)
    _, row = np.unique(outcomes.group, return_inverse=True)
    groups = int(row.max(initial=-1)) + 1
    kinds = _Kinds(distinct // (2 * editors), distinct // 2 % editors, distinct % 2 == 1, editors)
    per_group = csr_array(coo_array((np.ones(key.size), (row, column)), shape=(groups, distinct.size)))
    fitted = _fit(kinds, np.asarray(per_group.sum(axis=0)).ravel())
    if fitted is None:
        return Strengths(unknown, unknown.copy(), unknown.copy(), np.nan, 0, 0)
    generator = np.random.default_rng(seed)
    draws = generator.multinomial(groups, np.full(groups, 1 / groups), size=resamples)
    refits = [refit[0] for weights in draws @ per_group if (refit := _fit(kinds, np.asarray(weights))) is not None]
    tail = (1 - confidence) / 2
    low, high = unknown, unknown
    if refits and len(refits) >= 0.9 * resamples:
        low, high = np.quantile(np.array(refits), [tail, 1 - tail], axis=0)
    return Strengths(fitted[0], low, high, fitted[1], len(refits), resamples)


@dataclass(frozen=True, slots=True)
class _Kinds:
    """The distinct kinds of outcomes: who won against whom, or tied."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    tied: NDArray[np.bool_]
    editors: int


def _fit(kinds: _Kinds, weights: Floats) -> tuple[Floats, float] | None:
    """Log strengths with mean 0 and ν, or None where the maximum of the likelihood lies at infinity."""
    import evalica  # Here, since it takes a third of a second and the rest of the package does without.

    some = weights > 0
    first, second, tied = kinds.first[some], kinds.second[some], kinds.tied[some]
    if kinds.editors < 2 or not _strongly_connected(first, second, tied, kinds.editors):
        return None
    winners = [evalica.Winner.Draw if tie else evalica.Winner.X for tie in tied.tolist()]
    result = evalica.newman(
        first.tolist(), second.tolist(), winners, weights=weights[some].tolist(), tolerance=TOLERANCE, limit=LIMIT
    )
    strength = np.log(result.scores.sort_index().to_numpy())
    return strength - strength.mean(), 2 * float(result.v)


def _strongly_connected(first: Codes, second: Codes, tied: NDArray[np.bool_], editors: int) -> bool:
    """Do wins, and ties in both directions, lead from every editor to every other?"""
    start, end = np.concatenate([first, second[tied]]), np.concatenate([second, first[tied]])
    graph = coo_array((np.ones(start.size), (start, end)), shape=(editors, editors))
    parts, _ = connected_components(graph.tocsr(), directed=True, connection="strong")
    return int(parts) == 1
