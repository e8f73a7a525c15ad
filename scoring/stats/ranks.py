"""From rankings of candidates to mean ranks, agreement and a mark for contested groups.

A group is ranked per dimension; here "group" means one group in one dimension throughout. Lower ranks are better, ties
share their mean rank, and only the order of an annotator's ranks counts: 1,2,5,3 says the same as 1,2,4,3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from scoring.stats.concordance import kendall_w, mean_tau_b
from scoring.stats.grouped import Codes, Counts, Flags, Floats, compress, counts, ranges, ratio, sums
from scoring.stats.table import Rankings

THRESHOLD = 0.5
"""Groups with Kendall's W below this are contested."""


@dataclass(frozen=True, slots=True)
class RankPanel:
    """Rankings with group and dimension folded together. A **cell** is a candidate in its group, a **ranking** one
    annotator's order of a group.

    Rows, sorted by ranking, then cell: ``cell``, ``ranking``, ``rank``. Per cell (sorted by group): ``cell_group`` and
    ``cell_candidate``. Per ranking (sorted by group): ``ranking_group`` and ``ranking_annotator``. Per group:
    ``group_name`` and ``group_dimension``. ``repeats`` counts the rows that repeated another one.
    """

    cell: Codes
    ranking: Codes
    rank: Floats
    cell_group: Codes
    cell_candidate: Codes
    ranking_group: Codes
    ranking_annotator: Codes
    group_name: Codes
    group_dimension: Codes
    repeats: int

    @classmethod
    def of(cls, table: Rankings) -> RankPanel:
        """Repeated ranks of one candidate by one annotator in one group are averaged."""
        n_groups, n_candidates, n_annotators = len(table.groups), len(table.candidates), len(table.annotators)
        keys = table.dimension.astype(np.int64) * n_groups + table.group
        group, group_keys = compress(keys, len(table.dimensions) * n_groups)
        cell, cell_keys = compress(group * n_candidates + table.candidate, group_keys.size * n_candidates)
        ranking, ranking_keys = compress(group * n_annotators + table.annotator, group_keys.size * n_annotators)
        distinct, row = np.unique(ranking * cell_keys.size + cell, return_inverse=True)
        rank = ratio(sums(row, table.rank, distinct.size), counts(row, distinct.size))
        return cls(
            cell=distinct % max(cell_keys.size, 1),
            ranking=distinct // max(cell_keys.size, 1),
            rank=rank,
            cell_group=cell_keys // max(n_candidates, 1),
            cell_candidate=cell_keys % max(n_candidates, 1),
            ranking_group=ranking_keys // max(n_annotators, 1),
            ranking_annotator=ranking_keys % max(n_annotators, 1),
            group_name=group_keys % max(n_groups, 1),
            group_dimension=group_keys // max(n_groups, 1),
            repeats=table.rank.size - distinct.size,
        )

    @property
    def groups(self) -> int:
        """Number of groups."""
        return self.group_name.size

    @property
    def sizes(self) -> Counts:
        """Candidates per group."""
        return counts(self.cell_group, self.groups)

    @property
    def lengths(self) -> Counts:
        """Candidates per ranking."""
        return counts(self.ranking, self.ranking_group.size)


def orders(panel: RankPanel) -> list[list[tuple[int, ...]]]:
    """Per ranking its tiers of candidates, best first: what Plackett-Luce reads."""
    order = np.lexsort((panel.rank, panel.ranking))
    ranking, rank = panel.ranking[order], panel.rank[order]
    candidate = panel.cell_candidate[panel.cell[order]]
    starts = np.ones(order.size, dtype=bool)
    starts[1:] = (ranking[1:] != ranking[:-1]) | (rank[1:] != rank[:-1])
    first = np.flatnonzero(starts)
    found: list[list[tuple[int, ...]]] = [[] for _ in range(panel.ranking_group.size)]
    for number, tier in zip(ranking[first].tolist(), np.split(candidate, first[1:]), strict=False):
        found[number].append(tuple(tier.tolist()))
    return found


@dataclass(frozen=True, slots=True)
class MidRanks:
    """Ranks 1..k within each block, ties sharing their mean; per block Σ(t³ - t) and Σ t(t - 1)/2 over its ties."""

    rank: Floats
    tie_cubes: Floats
    tie_pairs: Floats


def midranks(block: Codes, value: Floats, blocks: int) -> MidRanks:
    """Rank ``value`` within blocks, smallest first."""
    order = np.lexsort((value, block))
    ordered_block, ordered = block[order], value[order]
    new = np.ones(order.size, dtype=bool)
    new[1:] = (ordered_block[1:] != ordered_block[:-1]) | (ordered[1:] != ordered[:-1])
    run = np.cumsum(new) - 1
    first = np.flatnonzero(new)
    size = np.diff(np.append(first, order.size))
    position = ranges(counts(block, blocks))[first]
    rank = np.empty(order.size)
    rank[order] = (position + (size + 1) / 2)[run]
    tied = size.astype(np.float64)
    return MidRanks(
        rank=rank,
        tie_cubes=sums(ordered_block[first], tied**3 - tied, blocks),
        tie_pairs=sums(ordered_block[first], tied * (tied - 1) / 2, blocks),
    )


@dataclass(frozen=True, slots=True)
class RankResult:
    """Per cell (sorted by group, best mean rank first): ``mean_rank`` and ``wins``. Per group: ``rankings`` by any
    annotator, ``complete`` ones, ``kendall_w`` and ``tau_b`` over the complete ones (NaN: undefined).
    """

    table: Rankings
    panel: RankPanel
    threshold: float
    mean_rank: Floats
    wins: Floats
    rankings: Counts
    complete: Counts
    kendall_w: Floats
    tau_b: Floats

    @property
    def contested(self) -> Flags:
        """W is known and below the threshold."""
        return self.kendall_w < self.threshold


def rank_groups(table: Rankings, threshold: float = THRESHOLD) -> RankResult:
    """Mean ranks, wins and agreement of every group.

    A ranking of only k of the n candidates has its ranks stretched by (n + 1)/(k + 1), their expected place among all
    n; it counts for the mean ranks and not for the agreement, which is over the complete rankings.
    """
    panel = RankPanel.of(table)
    sizes, lengths = panel.sizes, panel.lengths
    n_rankings = panel.ranking_group.size
    own = midranks(panel.ranking, panel.rank, n_rankings)
    whole = lengths == sizes[panel.ranking_group]
    stretch = (sizes[panel.ranking_group] + 1) / (lengths + 1)
    n_cells = panel.cell_group.size
    ranks = np.where(whole[panel.ranking], own.rank, own.rank * stretch[panel.ranking])
    mean_rank = ratio(sums(panel.cell, ranks, n_cells), counts(panel.cell, n_cells))
    complete = counts(panel.ranking_group[whole], panel.groups)
    rows = whole[panel.ranking]
    rank_sum = sums(panel.cell[rows], own.rank[rows], n_cells)
    tie_cubes = sums(panel.ranking_group[whole], own.tie_cubes[whole], panel.groups)
    result = RankResult(
        table=table,
        panel=panel,
        threshold=threshold,
        mean_rank=mean_rank,
        wins=sizes[panel.cell_group] - midranks(panel.cell_group, mean_rank, panel.groups).rank,
        rankings=counts(panel.ranking_group, panel.groups),
        complete=complete,
        kendall_w=kendall_w(panel.cell_group, rank_sum, complete, sizes, tie_cubes),
        tau_b=mean_tau_b(panel.ranking_group[whole], own.rank[rows], sizes, own.tie_pairs[whole]),
    )
    return _best_first(result)


def _best_first(result: RankResult) -> RankResult:
    """Cells of each group in the order of their mean rank; equal ones keep the order of the table."""
    panel = result.panel
    order = np.lexsort((result.mean_rank, panel.cell_group))
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    panel = replace(
        panel, cell=place[panel.cell], cell_group=panel.cell_group[order], cell_candidate=panel.cell_candidate[order]
    )
    return replace(result, panel=panel, mean_rank=result.mean_rank[order], wins=result.wins[order])
