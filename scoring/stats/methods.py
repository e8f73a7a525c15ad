"""Two methods beside each other: the papers' z-score MOS, and ``corrected`` (bias and inconsistency, P.910 repaired).

They rest on different assumptions: z-scores remove an annotator's mean and spread and need a random mix of items; the
subject model removes the bias against the items' own scores and weighs erratic annotators down, rejecting nobody. Where
they order the items alike, a result does not hang on the choice. Where they do not, a reader must know.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scoring.stats.correlate import is_constant, midranks, pearson
from scoring.stats.grouped import Floats
from scoring.stats.mos import MosResult, MosSettings, mean_opinion_scores
from scoring.stats.notes import reasons
from scoring.stats.table import Ratings


@dataclass(frozen=True, slots=True)
class RejectedAnnotator:
    """Somebody whom a method leaves out of a dimension, rejected or without a z-score, and why, in words."""

    annotator: str
    dimension: str
    reason: str


@dataclass(frozen=True, slots=True)
class DimensionComparison:
    """``items`` that both methods score, and Spearman's correlation of their scores; NaN below three items, or where a
    method gives all the same score.
    """

    dimension: str
    items: int
    rank_correlation: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Results of both methods on the same ratings: the same units in the same order, so their columns stand together.

    ``zscore`` is on 0 to 100, ``corrected`` in units of the ratings.
    """

    zscore: MosResult
    corrected: MosResult
    dimensions: tuple[DimensionComparison, ...]
    zscore_rejected: tuple[RejectedAnnotator, ...]
    corrected_rejected: tuple[RejectedAnnotator, ...]


def side_by_side(ratings: Ratings, settings: MosSettings | None = None) -> Comparison:
    """Score by both methods; ``settings`` are those of the z-score method (its rule, limits and confidence).

    ``corrected`` keeps everybody unless the settings name a rule. Never raises on odd data.
    """
    settings = settings or MosSettings()
    zscore = mean_opinion_scores(ratings, _with_method(settings, "zscore"))
    corrected = mean_opinion_scores(ratings, _with_method(settings, "corrected"))
    panel, names = zscore.panel, ratings.dimensions.to_pylist()
    compared = []
    for code, name in enumerate(names):
        rows = panel.unit_dimension == code
        both = rows & np.isfinite(zscore.scored.mos) & np.isfinite(corrected.scored.mos)
        correlation = rank_correlation(zscore.scored.mos[both], corrected.scored.mos[both])
        compared.append(DimensionComparison(name, int(both.sum()), correlation))
    return Comparison(zscore, corrected, tuple(compared), left_out(zscore), left_out(corrected))


def _with_method(settings: MosSettings, method: str) -> MosSettings:
    return MosSettings(
        method=method,  # type: ignore[arg-type]
        outliers=settings.outliers,
        multiplier=settings.multiplier,
        floor_share=settings.floor_share,
        rejection=settings.rejection,
        clip=settings.clip,
        confidence=settings.confidence,
    )


def rank_correlation(first: Floats, second: Floats) -> float:
    """Spearman's correlation of two columns of finite scores; NaN below three rows or where one is constant."""
    if first.size < 3 or is_constant(first) or is_constant(second):
        return np.nan
    return float(pearson(midranks(first), midranks(second)))


def left_out(result: MosResult) -> tuple[RejectedAnnotator, ...]:
    """Everybody none of whose ratings counts in a dimension, in the order of the panel."""
    annotators, dimensions = result.table.annotators, result.table.dimensions
    out = result.rejection.rejected | ~result.used
    why, panel = reasons(result), result.panel
    return tuple(
        RejectedAnnotator(
            annotators[int(panel.rater_annotator[rater])].as_py(),
            dimensions[int(panel.rater_dimension[rater])].as_py(),
            why[rater] or "",
        )
        for rater in np.flatnonzero(out).tolist()
    )
