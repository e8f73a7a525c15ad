"""Scores with each annotator's bias and inconsistency: ITU-T P.910 (annex E) and P.913, and a repair for sparse panels.

Model: r_ij = ψ_j + Δ_i + υ_i·ε, with ψ_j the score of item j, Δ_i the bias and υ_i the inconsistency of annotator i.
Alternation until ψ stands still: Δ_i is the mean of r_ij - ψ_j over j; υ_i the population std of the residuals e_ij;
ψ_j the mean of r_ij - Δ_i weighted by 1/υ_i².

On sparse panels that alternation collapses: an annotator with a small υ_i pulls their items' ψ towards their own
ratings, which makes υ_i smaller still. ``corrected`` divides by the degrees of freedom that are left instead:
υ_i² = Σ_j e_ij² / (Σ_j (1 - h_ij) - 1), h_ij being annotator i's share of the weight of item j.

Where annotators share items with their neighbours alone (annotators k, k + 1, k + 2 on item k), biases travel around
the ring one step a round, and the alternation takes thousands of rounds. So when ψ changes in the same direction by the
same share ρ round after round, it leaps to where that sum ends, ρ/(1 - ρ) changes ahead (Aitken), and goes on from
there. It ends where the alternation ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scoring.stats.grouped import Counts, Flags, Floats, counts, gather, medians, ratio, sums
from scoring.stats.table import Panel

TOLERANCE = 1e-9
"""Stop when ψ changes by less than this share of its own spread (root mean square over a dimension's items)."""
LIMIT = 3000
"""Most rounds; complete panels take some tens, sparse ones a hundred, a ring of neighbours some hundreds or more."""
REST = 8
"""Rounds between two leaps."""
STEADY = 0.998
"""Cosine of two changes of ψ above which the alternation is crawling in one direction."""
FARTHEST = 500.0
"""Longest leap, in changes of ψ."""
FLOOR = 0.1
"""υ_i is kept above this share of the dimension's median υ."""


@dataclass(frozen=True, slots=True)
class SubjectModel:
    """Result in units of the raw scores. NaN for units and raters without rows.

    Per unit: ``score`` ψ. Per rater: ``bias`` Δ and ``inconsistency`` υ with their standard errors υ/√N and υ/√(2N).
    Per dimension: whether the alternation ``converged`` and after how many ``rounds``.
    """

    score: Floats
    bias: Floats
    bias_error: Floats
    inconsistency: Floats
    inconsistency_error: Floats
    converged: Flags
    rounds: Counts


def subject_model(
    panel: Panel, *, corrected: bool, tolerance: float = TOLERANCE, limit: int = LIMIT, floor: float = FLOOR
) -> SubjectModel:
    """Solve the model for all dimensions at once; a dimension that has converged is left as it is.

    Biases of a dimension are shifted to average 0 over its ratings, since the data determine only the sums ψ + Δ.
    """
    n = counts(panel.rater, panel.raters)
    score = ratio(sums(panel.unit, panel.score, panel.units), counts(panel.unit, panel.units))
    bias, inconsistency = np.zeros(panel.raters), np.ones(panel.raters)
    weight = np.ones(panel.raters)
    running = counts(panel.unit_dimension, panel.dimensions) > 0
    rounds = np.zeros(panel.dimensions, dtype=np.int64)
    before = np.zeros(panel.units)
    for number in range(1, limit + 1):
        if not running.any():
            break
        rounds += running
        new_bias, squares = _residuals(panel, score, n)
        degrees = _degrees(panel, weight, n) if corrected else n.astype(np.float64)
        new_inconsistency = _floored(panel, squares, degrees, floor)
        moving = running[panel.rater_dimension]
        bias = np.where(moving, new_bias, bias)
        inconsistency = np.where(moving, new_inconsistency, inconsistency)
        weight = inconsistency**-2.0
        new_score = np.where(running[panel.unit_dimension], _weighted_scores(panel, bias, weight), score)
        running = running & _moves(panel, score, new_score, tolerance)
        change = np.nan_to_num(new_score - score)
        leap = np.where(running & (number % REST == 0), _leap(panel, change, before), 0.0)
        score, before = new_score + leap[panel.unit_dimension] * change, change
    shift = _mean_bias(panel, bias, n)
    present = n > 0
    inconsistency = np.where(present, inconsistency, np.nan)
    error = inconsistency / np.sqrt(np.maximum(n, 1))
    return SubjectModel(
        score=score + shift[panel.unit_dimension],
        bias=np.where(present, bias - shift[panel.rater_dimension], np.nan),
        bias_error=error,
        inconsistency=inconsistency,
        inconsistency_error=error / np.sqrt(2),
        converged=~running,
        rounds=rounds,
    )


def _residuals(panel: Panel, score: Floats, n: Counts) -> tuple[Floats, Floats]:
    """Each rater's bias against the scores, and the sum of squares of what that leaves."""
    residual = panel.score - gather(score, panel.unit)
    bias = ratio(sums(panel.rater, residual, panel.raters), n)
    residual -= gather(bias, panel.rater)
    return bias, sums(panel.rater, residual * residual, panel.raters)


def _degrees(panel: Panel, weight: Floats, n: Counts) -> Floats:
    """Degrees of freedom left in each rater's residuals: Σ_j (1 - h_ij) - 1."""
    total = sums(panel.unit, gather(weight, panel.rater), panel.units)
    share = weight * sums(panel.rater, ratio(np.ones(panel.units), total)[panel.unit], panel.raters)
    return n - share - 1


def _floored(panel: Panel, squares: Floats, degrees: Floats, floor: float) -> Floats:
    """υ per rater. Raters with less than one degree of freedom say nothing about it and get their dimension's value."""
    dimension, size = panel.rater_dimension, panel.dimensions
    known = degrees >= 1
    pooled = np.sqrt(ratio(sums(dimension[known], squares[known], size), sums(dimension[known], degrees[known], size)))
    pooled = np.where(pooled > 0, pooled, 1.0)
    own = np.where(known, np.sqrt(ratio(squares, degrees)), pooled[dimension])
    median = medians(dimension, own, size)
    # All weights are equal where everyone agrees exactly: a median of 0 floors nothing.
    lowest = floor * np.where(median > 0, median, pooled)
    return np.maximum(own, lowest[dimension])


def _weighted_scores(panel: Panel, bias: Floats, weight: Floats) -> Floats:
    row_weight = gather(weight, panel.rater)
    total = sums(panel.unit, row_weight, panel.units)
    row_weight *= panel.score - gather(bias, panel.rater)
    return ratio(sums(panel.unit, row_weight, panel.units), total)


def _moves(panel: Panel, old: Floats, new: Floats, tolerance: float) -> Flags:
    """Per dimension: is the root mean square change of ψ above the tolerance, relative to the spread of ψ?"""
    known = np.isfinite(new)
    dimension, size = panel.unit_dimension[known], panel.dimensions
    mean = ratio(sums(dimension, new[known], size), counts(dimension, size))
    change = sums(dimension, (new[known] - old[known]) ** 2, size)
    spread = sums(dimension, (new[known] - mean[dimension]) ** 2, size)
    # Rounding alone moves ψ by about 1e-16 of its size, which matters where all items are rated alike.
    rounding = sums(dimension, (1e-14 * new[known]) ** 2, size)
    moves: Flags = change > np.maximum(tolerance**2 * spread, rounding)
    return moves


def _leap(panel: Panel, change: Floats, before: Floats) -> Floats:
    """Per dimension: so many more of these changes are to come, if they shrink steadily; 0 where they do not."""
    along, now, then = (
        sums(panel.unit_dimension, product, panel.dimensions)
        for product in (change * before, change * change, before * before)
    )
    share = np.nan_to_num(ratio(along, then))
    steady = (along > STEADY * np.sqrt(now * then)) & (share < 1)
    return np.where(steady, np.minimum(share / (1 - np.minimum(share, 1 - 1e-9)), FARTHEST), 0.0)


def _mean_bias(panel: Panel, bias: Floats, n: Counts) -> Floats:
    """Bias averaged over the ratings of each dimension."""
    weighted = sums(panel.rater_dimension, np.where(n > 0, bias, 0.0) * n, panel.dimensions)
    total = sums(panel.rater_dimension, n.astype(np.float64), panel.dimensions)
    return np.nan_to_num(ratio(weighted, total))
