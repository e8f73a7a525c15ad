"""Strengths of the candidates of a whole study, by dimension: what ``stats strength`` computes.

Here a candidate's name is the same in every group: an editor. Bradley-Terry compares the mean ranks of a group, as the
exported pairs do; Plackett-Luce takes every annotator's own order. Both draw whole groups for their intervals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from scoring.stats.grouped import Codes, Counts, Flags, counts
from scoring.stats.jsonout import Rows, name_cells, number_cells
from scoring.stats.pairs import preference_pairs
from scoring.stats.plackett import plackett_luce
from scoring.stats.ranks import RankPanel, RankResult, orders, rank_groups
from scoring.stats.strength import Strengths, comparisons, editor_strengths
from scoring.stats.table import Rankings

Model = Literal["bt", "pl"]
MODELS: dict[Model, str] = {
    "bt": "Bradley-Terry with ties (Davidson), of the pairs of mean ranks of each group",
    "pl": "Plackett-Luce with ties (Davidson-Luce), of every annotator's own order",
}
FEW = 10
"""With fewer groups than this an interval is a guess."""


@dataclass(frozen=True, slots=True)
class DimensionStrengths:
    """``strengths`` of ``candidates`` (codes into the table's), from so many ``groups`` and ``orders``."""

    dimension: str
    candidates: Codes
    strengths: Strengths
    groups: int
    orders: int


def study_strengths(
    table: Rankings, model: Model, *, resamples: int = 200, seed: int = 0, pseudo: float = 0.0
) -> list[DimensionStrengths]:
    """Per dimension, of the candidates that were ranked in it. ``pseudo``: see ``plackett_luce``; for ``pl`` alone."""
    ranked = rank_groups(table)
    panel = ranked.panel
    tiers = orders(panel)
    found = []
    for code, name in enumerate(table.dimensions.to_pylist()):
        groups = panel.group_dimension == code
        present = np.unique(panel.cell_candidate[groups[panel.cell_group]])
        position = np.full(len(table.candidates), -1, dtype=np.int64)
        position[present] = np.arange(present.size)
        rankings = np.flatnonzero(groups[panel.ranking_group])
        if model == "bt":
            made = _bradley_terry(ranked, groups, position, resamples, seed)
        else:
            own = [[tuple(position[list(tier)].tolist()) for tier in tiers[number]] for number in rankings.tolist()]
            of_group = panel.ranking_group[rankings].tolist()
            made = plackett_luce(own, present.size, groups=of_group, resamples=resamples, seed=seed, pseudo=pseudo)
        found.append(DimensionStrengths(name, present, made, int(groups.sum()), rankings.size))
    return found


def _bradley_terry(ranked: RankResult, groups: Flags, position: Codes, resamples: int, seed: int) -> Strengths:
    panel = ranked.panel
    pairs, ties = preference_pairs(panel.sizes, ranked.mean_rank)
    pairs, ties = (some.choose(groups[panel.cell_group[some.better]]) for some in (pairs, ties))
    outcomes = comparisons(pairs, ties, panel.cell_group, position[panel.cell_candidate])
    return editor_strengths(outcomes, int(position.max(initial=-1)) + 1, resamples=resamples, seed=seed)


def strength_document(table: Rankings, found: list[DimensionStrengths], model: Model, pseudo: float) -> dict[str, Any]:
    """Keys settings, counts, warnings, candidates (Rows) and ties. null: not determined."""
    number = [one.candidates.size for one in found]
    dimension = np.repeat(np.arange(len(found)), number)
    columns = {
        name: np.concatenate([getattr(one.strengths, name) for one in found] or [np.zeros(0)])
        for name in ("strength", "low", "high")
    }
    codes = np.concatenate([one.candidates for one in found] or [np.zeros(0, dtype=np.int64)])
    return {
        "settings": {
            "model": MODELS[model],
            "strength": "natural logarithm, mean 0 over candidates",
            "interval": "95 % percentile, bootstrap of whole groups",
            "pseudo": pseudo if model == "pl" else None,
        },
        "counts": {
            "ranks": int(table.rank.size),
            "annotators": len(table.annotators),
            "groups": len(table.groups),
            "candidates": len(table.candidates),
            "dimensions": len(found),
        },
        "warnings": [sentence for one in found for sentence in _warnings(one)],
        "candidates": Rows(
            {
                "candidate": name_cells(table.candidates, codes),
                "dimension": name_cells(table.dimensions, dimension),
                "strength": number_cells(columns["strength"]),
                "ci_low": number_cells(columns["low"]),
                "ci_high": number_cells(columns["high"]),
                "groups": number_cells(_groups_of(table, dimension, codes)),
            }
        ),
        "ties": [
            {
                "dimension": one.dimension,
                "of_two": _finite(one.strengths.tie),
                "by_size": [_finite(value) for value in one.strengths.ties],
                "resamples": one.strengths.resamples,
                "usable": one.strengths.usable,
            }
            for one in found
        ],
    }


def _groups_of(table: Rankings, dimension: Codes, candidate: Codes) -> Counts:
    panel = RankPanel.of(table)
    size = len(table.candidates)
    key = panel.group_dimension[panel.cell_group] * size + panel.cell_candidate
    found: Counts = counts(key, max(1, size * len(table.dimensions)))[dimension * size + candidate]
    return found


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _warnings(one: DimensionStrengths) -> list[str]:
    made = one.strengths
    if np.isnan(made.strength).all():
        return [
            f"{one.dimension}: there are no strengths: a candidate that was never below, or never above, the others "
            "has no finite one, and candidates that never met, not even through others, cannot be compared"
        ]
    sentences = []
    if np.isnan(made.strength).any():
        sentences.append(f"{one.dimension}: some candidates were never compared with another")
    if made.resamples and np.isnan(made.low).all():
        sentences.append(
            f"{one.dimension}: no intervals: only {made.usable} of {made.resamples} resamples of the groups have "
            "strengths"
        )
    elif one.groups < FEW:
        sentences.append(f"{one.dimension}: {one.groups} groups are few: the intervals are rough")
    return sentences
