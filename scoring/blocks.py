"""Rankings of groups that were shown in blocks: the blocks of a case joined into one ranking, by Plackett-Luce.

Each block gives orders of a few candidates. Plackett-Luce (``scoring.stats.plackett``) finds the strengths of all that
explain these orders best. Few people order each block, so somebody is often first wherever they are shown; a pull of
PSEUDO towards the middle keeps their strength finite. Blocks that share no candidates yet are not joined.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from django.db.models import Count
from django.utils.translation import ngettext
from scipy.stats import rankdata

from annotation.blocks import hang_together
from annotation.models import ItemCandidate, Study
from annotation.protocols import RANKING
from scoring import tables
from scoring.stats.plackett import plackett_luce
from scoring.stats.ranks import RankPanel
from scoring.stats.table import Rankings

JOINED = "joined"  # stands for the annotators in a table of joined rankings
PSEUDO = 0.5  # wins and losses against a made-up candidate, as Firth, Kosmidis and Turner (2019) have it

Key = tuple[str, str]
"""Case and dimension."""

Tiers = list[list[str]]
"""An order of candidates, best first; those of one tier are tied."""


@dataclass(frozen=True)
class Strength:
    """A candidate's place among all of its case. ``strength``: log, mean 0 in the group; ``rank``: 1 is best, equal
    strengths share their mean rank; ``orders``: rankings of blocks that the group's strengths rest on."""

    group: str
    dimension: str
    candidate: str
    strength: float
    rank: float
    orders: int


@dataclass(frozen=True)
class Joined:
    """``rows``: of the groups that could be joined; ``apart``: those whose blocks share no candidates so far."""

    rows: list[Strength]
    apart: list[Key]


def warnings(study: Study, table: Rankings) -> list[str]:
    """What is missing so far in the joint rankings of a study that has blocks, as sentences. ``table``: the rankings of
    its blocks, see ``tables.rankings``."""
    _case_of, blocked = _cases(study)
    found = _orders(table, blocked)
    apart = sum(not _hangs_together(orders) for orders in found.values())
    candidates = _candidates(study)
    partial = sum(len(_names(orders)) < candidates[case] for (case, _dimension), orders in found.items())
    words = []
    if apart:
        text = ngettext(
            "The blocks of %(n)d group do not hang together yet, so it has no joint ranking. "
            "More judgements settle that.",
            "The blocks of %(n)d groups do not hang together yet, so they have no joint ranking. "
            "More judgements settle that.",
            apart,
        )
        words.append(text % {"n": apart})
    if partial:
        text = ngettext(
            "Some candidates of %(n)d group are in no judged block yet: its joint ranking is of the others.",
            "Some candidates of %(n)d groups are in no judged block yet: their joint rankings are of the others.",
            partial,
        )
        words.append(text % {"n": partial})
    return words


def _candidates(study: Study) -> Counter[str]:
    """How many candidates each case has in the study."""
    shown = ItemCandidate.objects.filter(item__study=study, candidate__control="").order_by()
    rows = shown.values_list("item__case__uid").annotate(n=Count("candidate", distinct=True))
    return Counter({str(case): n for case, n in rows})


def has_blocks(study: Study) -> bool:
    """Whether some case of this study is shown in blocks. No query for a study that does not ask for them."""
    if study.protocol.kind != RANKING or not study.protocol.block:
        return False
    return study.items.order_by().values("case").annotate(blocks=Count("id")).filter(blocks__gt=1).exists()


def rankings(study: Study, *, include_extra: bool = False) -> Rankings:
    """Ranks by (annotator, group, dimension, candidate) with one group for each case.

    Where a case was shown in blocks it has one ranking, the joint one, by the annotator JOINED: how far people agree is
    to be measured within blocks, see ``tables.rankings``, which is also what this is for a study without blocks.
    """
    table = tables.rankings(study, include_extra=include_extra)
    if not has_blocks(study):
        return table
    case_of, blocked = _cases(study)
    whole = _rows(table, case_of, blocked)
    return Rankings.from_rows(
        [*whole, *((JOINED, r.group, r.dimension, r.candidate, r.rank) for r in join(table, blocked).rows)]
    )


def joined(study: Study, *, include_extra: bool = False) -> Joined:
    """The joint ranking of every case that was shown in blocks, with strengths."""
    if not has_blocks(study):
        return Joined([], [])
    _case_of, blocked = _cases(study)
    return join(tables.rankings(study, include_extra=include_extra), blocked)


def _cases(study: Study) -> tuple[dict[str, str], dict[str, str]]:
    """The case of each item, and the same of those items alone that are blocks. UIDs."""
    case_of = {str(item): str(case) for item, case in study.items.order_by("pk").values_list("uid", "case__uid")}
    items: dict[str, list[str]] = defaultdict(list)
    for item, case in case_of.items():
        items[case].append(item)
    return case_of, {item: case for item, case in case_of.items() if len(items[case]) > 1}


def _rows(
    table: Rankings, case_of: Mapping[str, str], blocked: Mapping[str, str]
) -> Iterator[tuple[str, str, str, str, float]]:
    """The rows of groups that were shown whole, under the names of their cases."""
    columns = (table.annotators, table.groups, table.dimensions, table.candidates)
    annotators, groups, dimensions, candidates = (names.to_pylist() for names in columns)
    codes = zip(table.annotator, table.group, table.dimension, table.candidate, table.rank, strict=True)
    for annotator, group, dimension, candidate, rank in codes:
        if (name := groups[group]) not in blocked:
            yield annotators[annotator], case_of[name], dimensions[dimension], candidates[candidate], float(rank)


def join(table: Rankings, case_of: Mapping[str, str]) -> Joined:
    """Join the rankings of blocks. ``case_of``: the case of each block; groups of the table that are not in it are left
    out. An annotator's ranks of one block in several rounds are averaged first."""
    orders = _orders(table, case_of)
    rows: list[Strength] = []
    apart: list[Key] = []
    for key in sorted(orders):
        if _hangs_together(orders[key]):
            rows += _strengths(key, orders[key])
        else:
            apart.append(key)
    return Joined(rows, apart)


def _hangs_together(orders: Sequence[Tiers]) -> bool:
    return hang_together([[name for tier in order for name in tier] for order in orders])


def _names(orders: Sequence[Tiers]) -> set[str]:
    return {name for order in orders for tier in order for name in tier}


def _orders(table: Rankings, case_of: Mapping[str, str]) -> dict[Key, list[Tiers]]:
    """The rankings of each case and dimension: tiers of candidates, best first."""
    panel = RankPanel.of(table)
    groups, dimensions = table.groups.to_pylist(), table.dimensions.to_pylist()
    names = table.candidates.take(panel.cell_candidate).to_pylist()
    found: dict[Key, list[Tiers]] = defaultdict(list)
    rows = zip(panel.ranking.tolist(), panel.rank.tolist(), panel.cell.tolist(), strict=True)
    for ranking, ranked in groupby(sorted(rows), key=lambda row: row[0]):
        group = panel.ranking_group[ranking]
        block = groups[panel.group_name[group]]
        if block in case_of:
            tiers = [
                [names[cell] for _ranking, _rank, cell in tier] for _rank, tier in groupby(ranked, lambda row: row[1])
            ]
            found[case_of[block], dimensions[panel.group_dimension[group]]].append(tiers)
    return found


def _strengths(key: Key, orders: Sequence[Tiers]) -> list[Strength]:
    names = sorted(_names(orders))
    code = {name: number for number, name in enumerate(names)}
    coded = [[tuple(code[name] for name in tier) for tier in order] for order in orders]
    strength = plackett_luce(coded, len(names), pseudo=PSEUDO).strength
    ranks = rankdata(-np.round(strength, 6), method="average")
    return [
        Strength(*key, name, float(strength[number]), float(ranks[number]), len(orders))
        for number, name in enumerate(names)
        if np.isfinite(strength[number])
    ]
