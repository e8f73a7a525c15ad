"""Agreement of complete rankings of a group: Kendall's W with tie correction, and the mean pairwise Kendall τ-b."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from scoring.stats.grouped import Codes, Counts, Floats, counts, ranges, ratio, sums

BLOCK = 4_000_000


def kendall_w(cell_group: Codes, rank_sum: Floats, rankings: Counts, sizes: Counts, tie_cubes: Floats) -> Floats:
    """W = 12·S/(m²(n³ - n) - m·ΣT) per group, S the squared deviations of the candidates' rank sums from their mean.

    ``rank_sum`` per cell over the m complete ``rankings`` of its group, ``sizes`` the n candidates, ``tie_cubes``
    Σ(t³ - t) over all ties of all rankings (Kendall and Babington Smith 1939; Siegel's tie correction). NaN for fewer
    than two rankings, and where every ranking ties everything.
    """
    m, n = rankings.astype(np.float64), sizes.astype(np.float64)
    deviation = rank_sum - (m * (n + 1) / 2)[cell_group]
    spread = sums(cell_group, deviation**2, sizes.size)
    most = m**2 * (n**3 - n) - m * tie_cubes
    return ratio(12 * spread, np.where(rankings > 1, most, 0.0))


def mean_tau_b(ranking_group: Codes, rank: Floats, sizes: Counts, tie_pairs: Floats) -> Floats:
    """Mean τ-b over all pairs of complete rankings of a group, NaN for fewer than two that order anything.

    ``rank`` holds the rankings one after another, each with its candidates in the same order within a group. τ-b of two
    rankings is the cosine of their vectors of signs over candidate pairs, so with unit vectors u the mean over ranking
    pairs is (|Σu|² - m)/(m(m - 1)): linear in the rankings instead of quadratic.
    """
    n_groups = sizes.size
    n = sizes.astype(np.float64)
    ordered_pairs = (n * (n - 1) / 2)[ranking_group] - tie_pairs
    m = counts(ranking_group[ordered_pairs > 0], n_groups)
    squares = np.zeros(n_groups)
    lengths = sizes[ranking_group]
    start = np.cumsum(lengths) - lengths
    for begin, end in _blocks(ranking_group, lengths * (lengths - 1) // 2):
        chosen = slice(begin, end)
        rows = slice(start[begin], start[end - 1] + lengths[end - 1])
        group = ranking_group[chosen] - ranking_group[begin]
        block_sizes = sizes[ranking_group[begin] : ranking_group[end - 1] + 1]
        squares[ranking_group[begin] : ranking_group[end - 1] + 1] = _squared_sums(
            group, rank[rows], block_sizes, ordered_pairs[chosen]
        )
    return ratio(squares - m, m * (m - 1))


def _squared_sums(group: Codes, rank: Floats, sizes: Counts, ordered_pairs: Floats) -> Floats:
    """|Σu|² per group."""
    lengths = sizes[group]
    pairs = lengths * (lengths - 1) // 2
    first, second = pairs_within(lengths)
    sign = np.sign(rank[second] - rank[first])
    unit = np.repeat(np.sqrt(ratio(np.ones(ordered_pairs.size), ordered_pairs)), pairs)
    group_pairs = sizes * (sizes - 1) // 2
    offset = np.cumsum(group_pairs) - group_pairs
    key = np.repeat(offset[group], pairs) + ranges(pairs)
    total = sums(key, np.nan_to_num(sign * unit), int(group_pairs.sum()))
    return sums(np.repeat(np.arange(sizes.size), group_pairs), total**2, sizes.size)


def _blocks(ranking_group: Codes, work: Counts) -> Iterator[tuple[int, int]]:
    """Cut the rankings, sorted by group, into ranges of whole groups of about BLOCK candidate pairs each."""
    if ranking_group.size == 0:
        return
    edges = np.append(np.flatnonzero(np.diff(ranking_group)) + 1, ranking_group.size)
    done = np.cumsum(work)[edges - 1] // BLOCK
    last = np.append(np.flatnonzero(np.diff(done)), edges.size - 1)
    begin = 0
    for end in edges[last].tolist():
        yield begin, end
        begin = end


def pairs_within(lengths: Counts) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row numbers (first, second) of all pairs within consecutive blocks of ``lengths`` rows, first before second."""
    later = np.repeat(lengths, lengths) - 1 - ranges(lengths)
    first = np.repeat(np.arange(later.size), later)
    return first, first + 1 + ranges(later)
