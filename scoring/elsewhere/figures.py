"""All figures of a set of judgements made elsewhere, as JSON, and its table of scores as columns. Pure.

What a figure cannot say is null in the JSON and NaN in the columns.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from scoring.elsewhere.agreeing import parts
from scoring.elsewhere.found import RANKINGS, RATINGS, VOTES, Column
from scoring.elsewhere.leaderboard import Cells, boards
from scoring.elsewhere.luce import group_strengths
from scoring.elsewhere.table import Judgements
from scoring.stats import notes, ranknotes
from scoring.stats.agreement import AgreementResult, agreement
from scoring.stats.grouped import Codes, counts
from scoring.stats.methods import Comparison, RejectedAnnotator, side_by_side
from scoring.stats.mos import MosResult, MosSettings, mean_opinion_scores
from scoring.stats.ranks import RankResult, rank_groups
from scoring.stats.table import Panel
from scoring.stats.votes import VOTES as VOTE_CODES
from scoring.stats.votes import wilson

VERSION = 1
"""Of this form; figures of an older one are computed anew."""
OVERALL = "√(SC·PQ)"
MOST_PEOPLE = 400
"""Rows of annotators on the page; the rest is counted."""
AXES = ("group", "editor", "task")


@dataclass(frozen=True, slots=True)
class Made:
    """``figures`` go to the database, ``scores`` to a file: columns of one length, for the table on the page."""

    figures: dict[str, Any]
    scores: dict[str, Any]


def compute(judged: Judgements, layout: str) -> Made:
    """Every figure of a set. Never raises on odd data: what cannot be computed is left out, and said."""
    made = {RATINGS: _of_ratings, RANKINGS: _of_rankings, VOTES: _of_votes}[judged.kind](judged, layout)
    return replace(made, figures=plain({"version": VERSION, "kind": judged.kind, **made.figures}))


def plain(value: Any) -> Any:
    """The same for JSON: NaN becomes null, columns become lists."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


# Ratings ------------------------------------------------------------------------------------------------------------


def with_overall(rated: Judgements, layout: str) -> Judgements:
    """ImagenHub's ratings with the rater's overall score of an item, √(SC·PQ), as a further dimension."""
    if not layout.startswith("ImagenHub") or rated.values is None:
        return rated
    names = rated.columns["dimension"].texts()
    if "SC" not in names or not {"PR", "PQ"} & set(names):
        return rated
    second = "PR" if "PR" in names else "PQ"
    dimension, item = rated.columns["dimension"].codes, rated.columns["item"]
    key = rated.columns["annotator"].codes.astype(np.int64) * len(item) + item.codes
    first, other = (np.flatnonzero(dimension == names.index(name)) for name in ("SC", second))
    _, one, two = np.intersect1d(key[first], key[other], return_indices=True)
    rows, partner = first[one], other[two]
    values = np.sqrt(rated.values[rows] * rated.values[partner])
    columns = {
        name: Column(np.concatenate([column.codes, column.codes[rows]]), column.names)
        for name, column in rated.columns.items()
    }
    codes = columns["dimension"].codes
    codes[dimension.size :] = len(names)
    columns["dimension"] = Column(codes, pa.array([*names, OVERALL], pa.string()))
    return Judgements(rated.kind, columns, np.concatenate([rated.values, values]))


def _of_ratings(given: Judgements, layout: str) -> Made:
    rated = with_overall(given, layout)
    table = rated.ratings()
    both = side_by_side(table)
    mean = mean_opinion_scores(table, MosSettings(method="mean", outliers="none"))
    ordinal, interval = agreement(table, "ordinal"), agreement(table, "interval")
    figures = {
        "dimensions": _dimensions(rated, ordinal, interval),
        "methods": _methods(both),
        "parts": parts(rated),
        "annotators": _annotators(both.zscore, both.corrected),
        "boards": boards(_rating_cells(rated, mean)) if "editor" in rated.columns else [],
        "warnings": {
            "zscore": notes.warnings(both.zscore),
            "corrected": notes.warnings(both.corrected),
            "agreement": notes.agreement_warnings(ordinal),
        },
        "derived": OVERALL if rated is not given else "",
    }
    return Made(figures, _score_columns(rated, mean, both))


def _dimensions(rated: Judgements, ordinal: AgreementResult, interval: AgreementResult) -> list[dict[str, Any]]:
    """Per dimension: the scale as it was used, and agreement."""
    assert rated.values is not None
    found = []
    for code, (name, one, other) in enumerate(
        zip(ordinal.table.dimensions.to_pylist(), ordinal.dimensions, interval.dimensions, strict=True)
    ):
        score = rated.values[rated.columns["dimension"].codes == code]
        found.append(
            {
                "dimension": name,
                "scores": one.scores,
                "annotators": one.annotators,
                "items": one.items,
                "shared": one.shared,
                "low": score.min(),
                "high": score.max(),
                "mean": score.mean(),
                "levels": int(np.unique(score).size),
                "ordinal": one.alpha,
                "interval": other.alpha,
                "icc": one.icc.single,
                "icc_k": one.icc.average,
                "icc_items": one.icc.items,
                "icc_annotators": one.icc.annotators,
                "kappa": one.kappa.mean,
                "kappa_pairs": one.kappa.defined,
            }
        )
    return found


def _methods(both: Comparison) -> dict[str, Any]:
    def people(rejected: tuple[RejectedAnnotator, ...]) -> list[dict[str, str]]:
        return [
            {"annotator": one.annotator, "dimension": one.dimension, "reason": one.reason}
            for one in rejected[:MOST_PEOPLE]
        ]

    compared = [
        {"dimension": one.dimension, "items": one.items, "correlation": one.rank_correlation} for one in both.dimensions
    ]
    return {
        "dimensions": compared,
        "zscore": people(both.zscore_rejected),
        "corrected": people(both.corrected_rejected),
        "zscore_count": len(both.zscore_rejected),
        "corrected_count": len(both.corrected_rejected),
    }


def _annotators(zscore: MosResult, corrected: MosResult) -> dict[str, Any]:
    """Annotators by dimension, those first whom the z-score method flags most."""
    panel, reasons = zscore.panel, notes.reasons(zscore)
    names, dimensions = zscore.table.annotators.to_pylist(), zscore.table.dimensions.to_pylist()
    share = zscore.outliers / np.maximum(zscore.ratings, 1)
    rows = [
        {
            "annotator": names[panel.rater_annotator[rater]],
            "dimension": dimensions[panel.rater_dimension[rater]],
            "ratings": zscore.ratings[rater],
            "outliers": zscore.outliers[rater],
            "bias": corrected.bias[rater],
            "inconsistency": corrected.inconsistency[rater],
            "reason": reasons[rater] or "",
            "used": bool(zscore.used[rater] and not zscore.rejection.rejected[rater]),
        }
        for rater in np.argsort(-share, kind="stable")[:MOST_PEOPLE].tolist()
    ]
    return {"rows": rows, "count": panel.raters}


def _rating_cells(rated: Judgements, mean: MosResult) -> Cells:
    panel, table = mean.panel, mean.table
    none = np.zeros(len(table.items), dtype=np.int64)
    task, editor, group = rated.of("item", "task"), rated.of("item", "editor"), rated.of("item", "group")
    item = panel.unit_item
    row = Panel.of(table)  # the same units: mean_opinion_scores makes its panel so
    assert editor is not None
    return Cells(
        group=(np.arange(len(table.items)) if group is None else group)[item],
        editor=editor[item],
        task=(none if task is None else task)[item],
        dimension=panel.unit_dimension,
        figure=mean.scored.mos,
        place=-mean.scored.mos,
        row_cell=row.unit,
        row_annotator=row.rater_annotator[row.rater],
        row_place=-row.score,
        editors=rated.columns["editor"].texts(),
        tasks=rated.columns["task"].texts() if task is not None else [""],
        dimensions=table.dimensions.to_pylist(),
    )


def _score_columns(rated: Judgements, mean: MosResult, both: Comparison) -> dict[str, Any]:
    """The table of scores: an item in a dimension a row, in the order of the panel."""
    panel = mean.panel
    columns: dict[str, Any] = {
        "item": rated.columns["item"].names.take(panel.unit_item),
        "dimension": rated.columns["dimension"].names.take(panel.unit_dimension),
        **_axes(rated, "item", panel.unit_item, AXES),
        "n": mean.scored.n,
        "mean": mean.scored.mos,
    }
    for name, made in (("zscore", both.zscore), ("corrected", both.corrected)):
        columns |= {name: made.scored.mos, f"{name}_low": made.scored.low, f"{name}_high": made.scored.high}
    return columns


def _axes(judged: Judgements, owner: str, codes: Codes, names: tuple[str, ...]) -> dict[str, Any]:
    """Texts of a thing's group, editor and task, where the set has them."""
    found = {}
    for name in names:
        of = judged.of(owner, name)
        if of is not None:
            found[name] = judged.columns[name].names.take(of[codes])
    return found


# Rankings -----------------------------------------------------------------------------------------------------------


def _of_rankings(ranked: Judgements, layout: str) -> Made:
    table = ranked.rankings()
    result = rank_groups(table)
    luce = group_strengths(result)
    columns: dict[str, Any] = {
        "group": table.groups.take(result.panel.group_name[result.panel.cell_group]),
        "candidate": table.candidates.take(result.panel.cell_candidate),
        "dimension": table.dimensions.take(result.panel.group_dimension[result.panel.cell_group]),
        **_axes(ranked, "candidate", result.panel.cell_candidate, ("editor",)),
        **_axes(ranked, "group", result.panel.group_name[result.panel.cell_group], ("task",)),
        "n": counts(result.panel.cell, result.panel.cell_group.size),
        "mean_rank": result.mean_rank,
        "wins": result.wins,
        "strength": luce.strength,
        "strength_alone": luce.alone,
        "kendall_w": result.kendall_w[result.panel.cell_group],
    }
    figures = {
        "dimensions": _concordance(result),
        "luce": {"groups": luce.groups, "plain": luce.plain, "joined": luce.joined, "left_out": luce.left_out},
        "ties": _ties(result),
        "boards": boards(_ranking_cells(ranked, result)) if "editor" in ranked.columns else [],
        "warnings": {"rankings": ranknotes.warnings(result)},
    }
    return Made(figures, columns)


def _concordance(result: RankResult) -> list[dict[str, Any]]:
    found = []
    panel = result.panel
    for code, name in enumerate(result.table.dimensions.to_pylist()):
        here = panel.group_dimension == code
        known, tau = here & np.isfinite(result.kendall_w), result.tau_b[here]
        found.append(
            {
                "dimension": name,
                "groups": int(here.sum()),
                "rankings": int(result.rankings[here].sum()),
                "measured": int(known.sum()),
                "w": result.kendall_w[known].mean() if known.any() else np.nan,
                "tau": np.nanmean(tau) if np.isfinite(tau).any() else np.nan,
                "contested": int((result.contested & here).sum()),
            }
        )
    return found


def _ties(result: RankResult) -> int:
    """Rankings in which two candidates or more share a rank."""
    panel = result.panel
    _, code = np.unique(panel.rank, return_inverse=True)
    key = panel.ranking.astype(np.int64) * (int(code.max()) + 1) + code
    distinct, often = np.unique(key, return_counts=True)
    return int(np.unique(distinct[often > 1] // (int(code.max()) + 1)).size)


def _ranking_cells(ranked: Judgements, result: RankResult) -> Cells:
    panel, table = result.panel, result.table
    editor, task = ranked.of("candidate", "editor"), ranked.of("group", "task")
    assert editor is not None
    group = panel.group_name[panel.cell_group]
    return Cells(
        group=group,
        editor=editor[panel.cell_candidate],
        task=(np.zeros(len(table.groups), dtype=np.int64) if task is None else task)[group],
        dimension=panel.group_dimension[panel.cell_group],
        figure=result.mean_rank,
        place=result.mean_rank,
        row_cell=panel.cell,
        row_annotator=panel.ranking_annotator[panel.ranking],
        row_place=panel.rank,
        editors=ranked.columns["editor"].texts(),
        tasks=ranked.columns["task"].texts() if task is not None else [""],
        dimensions=table.dimensions.to_pylist(),
    )


# Votes --------------------------------------------------------------------------------------------------------------


def _of_votes(voted: Judgements, layout: str) -> Made:
    """How often each vote was given; a pair's two edits have no names, so there are no strengths of editors."""
    pair, vote = voted.columns["pair"], voted.columns["vote"]
    texts = vote.texts()
    found = Counter({texts[code]: int(count) for code, count in enumerate(counts(vote.codes, len(vote)))})
    total = voted.rows
    shares = []
    for name in VOTE_CODES:
        low, high = wilson(np.array([float(found[name])]), np.array([total]))
        shares.append(
            {"vote": name, "count": found[name], "share": found[name] / total, "low": low[0], "high": high[0]}
        )
    decided = found["A"] + found["B"]
    low, high = wilson(np.array([float(found["A"])]), np.array([decided]))
    side = {"n": decided, "share": found["A"] / decided if decided else math.nan, "low": low[0], "high": high[0]}
    table: dict[str, Any] = {"pair": pair.names.take(pair.codes), **_axes(voted, "pair", pair.codes, ("group",))}
    table["vote"] = vote.names.take(vote.codes)
    return Made({"votes": shares, "side": side, "warnings": {}}, table)
