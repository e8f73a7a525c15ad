"""How well a scorer agrees with people: correlation, distance, use of the scale, and a constant predictor beside it.

One row a triple (source, instruction, edited image): ``human`` is the mean of people's scores, ``scorer`` the scorer's.
Correlation is blind to the level, so bias, distance and the range that is used always stand beside it. Intervals that
respect source images are in ``bootstrap``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from scoring.stats.grouped import EDGE, Codes, Counts, Floats

LOW, HIGH = 0, 5
"""Ends of the scale of HP-scores."""
MOST_LEVELS = 101
"""A confusion table with more levels than 0 to 100 tells nobody anything."""
STEEPEST = 0.999
"""A correlation counts as at most this in a Fisher mean: one perfect agreement on few triples must not decide it."""

NO_TRIPLES = "there is no triple with both scores"
TOO_FEW = "there are fewer than 3 triples"
NO_FISHER = "a Fisher interval needs 4 triples"
ONE_LINE = "all triples lie on one line, where a Fisher interval has no width"
SAME_SCORER = "the scorer gives one value to everything"
SAME_PEOPLE = "people give one value to everything"
CONSTANT = "a constant correlates with nothing"


@dataclass(frozen=True, slots=True)
class ScaleUse:
    """Smallest, largest and standard deviation (n - 1) of the scores; ``levels`` is the share of levels that occur."""

    minimum: float
    maximum: float
    std: float
    levels: float


@dataclass(frozen=True, slots=True)
class ConstantPredictor:
    """Figures on the same triples of always saying ``value``, the mean of people. Its correlation is undefined."""

    value: float
    mae: float
    rmse: float
    within_one: float


@dataclass(frozen=True, slots=True)
class Correlation:
    """Agreement of a scorer with people on ``n`` triples; ``left_out`` rows lacked a score. NaN: see ``reasons``.

    ``pcc`` with its Fisher interval, ``srcc``, Kendall's ``tau_b``; ``mae``, ``rmse`` and ``bias`` (mean of scorer
    minus human) in units of the scores; ``within_one`` is the share of triples at most 1 apart. ``levels``, shape
    (levels,): the integers of the scale; ``confusion``, shape (levels, levels): triples by human level (rows) and
    scorer level (columns), scores rounded with halves up; ``outside`` scores lay off the scale and were counted at its
    end. ``reasons`` has the name of each field that is NaN, with a sentence.
    """

    n: int
    left_out: int
    pcc: float
    pcc_low: float
    pcc_high: float
    srcc: float
    tau_b: float
    mae: float
    rmse: float
    bias: float
    within_one: float
    human: ScaleUse
    scorer: ScaleUse
    constant: ConstantPredictor
    levels: Counts
    confusion: Counts
    outside: int
    reasons: Mapping[str, str]

    @property
    def human_histogram(self) -> Counts:
        """Triples per human level, shape (levels,)."""
        return np.asarray(self.confusion.sum(axis=1))

    @property
    def scorer_histogram(self) -> Counts:
        """Triples per scorer level, shape (levels,)."""
        return np.asarray(self.confusion.sum(axis=0))


def correlation(
    human: Floats, scorer: Floats, *, low: int = LOW, high: int = HIGH, confidence: float = 0.95
) -> Correlation:
    """All figures for two columns of shape (triples,) on a scale of integers ``low`` to ``high``.

    Rows where a score is not finite are left out. Raises ValueError for columns of different lengths or a scale that is
    none. Pearson 1895, Spearman 1904, Kendall 1945 (τ-b); interval by Fisher's z, 1921.
    """
    if not 0 < high - low < MOST_LEVELS:
        raise ValueError(f"A scale from {low} to {high} has no levels to count; it needs 2 to {MOST_LEVELS}.")
    (human, scorer), left_out = complete(human, scorer)
    n = human.size
    pcc = pearson(human, scorer)
    pcc_low, pcc_high = fisher_interval(pcc, n, confidence)
    error = scorer - human
    people, own = level_of(human, low, high), level_of(scorer, low, high)
    size = high - low + 1
    off = (human < low) | (human > high), (scorer < low) | (scorer > high)
    return Correlation(
        n=n,
        left_out=left_out,
        pcc=pcc,
        pcc_low=pcc_low,
        pcc_high=pcc_high,
        srcc=pearson(midranks(human), midranks(scorer)),
        tau_b=kendall_tau_b(human, scorer),
        mae=_mean(np.abs(error)),
        rmse=math.sqrt(_mean(error**2)),
        bias=_mean(error),
        within_one=within_one(error),
        human=_scale_use(human, people, size),
        scorer=_scale_use(scorer, own, size),
        constant=_constant(human),
        levels=np.arange(low, high + 1),
        confusion=np.bincount(people * size + own, minlength=size * size).reshape(size, size),
        outside=int(np.count_nonzero(off[0]) + np.count_nonzero(off[1])),
        reasons=_reasons(human, scorer, pcc, pcc_low),
    )


def complete(*columns: Floats) -> tuple[list[Floats], int]:
    """The rows where every column is finite, and how many rows are left out. Raises ValueError for ragged columns."""
    arrays = [np.asarray(column, dtype=np.float64) for column in columns]
    if any(array.ndim != 1 or array.size != arrays[0].size for array in arrays):
        raise ValueError("The columns must be rows of numbers of one length.")
    known = np.logical_and.reduce([np.isfinite(array) for array in arrays])
    return [array[known] for array in arrays], int(known.size - np.count_nonzero(known))


def pearson(first: Floats, second: Floats) -> float:
    """Pearson correlation; NaN for fewer than 3 rows or a column of one value."""
    if first.size < 3 or is_constant(first) or is_constant(second):
        return math.nan
    x, y = first - first.mean(), second - second.mean()
    r = float(x @ y / (np.linalg.norm(x) * np.linalg.norm(y)))
    return min(1.0, max(-1.0, r))


def is_constant(values: Floats) -> bool:
    """Are all values the same, but for rounding?"""
    return values.size == 0 or float(np.ptp(values)) <= EDGE * float(np.abs(values).max())


def midranks(values: Floats) -> Floats:
    """Ranks from 1, ties sharing their mean rank."""
    _, code, frequency = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(frequency) - (frequency - 1) / 2)[code]
    return ranks


def kendall_tau_b(first: Floats, second: Floats) -> float:
    """(C - D)/√((pairs - ties in first)·(pairs - ties in second)), in n·log² n; NaN as for ``pearson``."""
    n = first.size
    if n < 3 or is_constant(first) or is_constant(second):
        return math.nan
    x, y = (np.unique(values, return_inverse=True)[1] for values in (first, second))
    both = x.astype(np.int64) * n + y
    # In the order of first, then second: of the pairs that differ in both, exactly the discordant ones stand wrong.
    discordant = _inversions(y[np.argsort(both)])
    pairs = n * (n - 1) // 2
    tied_x, tied_y, tied_both = _tied_pairs(x), _tied_pairs(y), _tied_pairs(both)
    surplus = pairs - tied_x - tied_y + tied_both - 2 * discordant
    return min(1.0, max(-1.0, surplus / math.sqrt(pairs - tied_x) / math.sqrt(pairs - tied_y)))


def _tied_pairs(codes: Codes) -> int:
    frequency = np.unique(codes, return_counts=True)[1].astype(np.int64)
    return int(np.sum(frequency * (frequency - 1) // 2))


def _inversions(codes: Codes) -> int:
    """Pairs of rows whose codes stand in the wrong order, bit by bit from the highest.

    Two codes are told apart by the first bit in which they differ: among the rows that agree in all higher bits, kept
    in their order, each 0 counts the 1s before it.
    """
    total = 0
    for bit in range(int(codes.max(initial=0)).bit_length()):
        ordered = codes[np.argsort(codes >> (bit + 1), kind="stable")]
        ones = (ordered >> bit) & 1
        before = np.cumsum(ones) - ones
        family = ordered >> (bit + 1)
        begins = np.flatnonzero(np.append(True, family[1:] != family[:-1]))
        earlier = np.repeat(before[begins], np.diff(np.append(begins, codes.size)))
        total += int(np.sum((before - earlier)[ones == 0]))
    return total


def fisher_interval(r: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """tanh(atanh r ± z/√(n - 3)); NaN for n < 4 and where |r| = 1."""
    if n < 4 or not abs(r) < 1 - EDGE:
        return math.nan, math.nan
    half = float(ndtri((1 + confidence) / 2)) / math.sqrt(n - 3)
    return math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half)


@dataclass(frozen=True, slots=True)
class FisherMean:
    """Mean of ``used`` correlations with its interval; ``left_out`` others were undefined or had fewer than 4 rows."""

    value: float
    low: float
    high: float
    used: int
    left_out: int


def fisher_mean(r: Floats, n: Counts, *, confidence: float = 0.95) -> FisherMean:
    """Mean of atanh r with weights n - 3, back by tanh; the parts are taken as independent. Both of shape (parts,).

    A correlation beyond ±0.999 counts as that, unless all of them are; then their weighted mean stands.
    """
    usable = np.isfinite(r) & (n > 3)
    r, weight = r[usable], (n[usable] - 3).astype(np.float64)
    left_out = int(usable.size - r.size)
    if r.size == 0:
        return FisherMean(math.nan, math.nan, math.nan, 0, left_out)
    if np.all(np.abs(r) >= STEEPEST):
        return FisherMean(float(np.average(r, weights=weight)), math.nan, math.nan, r.size, left_out)
    z = float(np.average(np.arctanh(np.clip(r, -STEEPEST, STEEPEST)), weights=weight))
    half = float(ndtri((1 + confidence) / 2)) / math.sqrt(weight.sum())
    return FisherMean(math.tanh(z), math.tanh(z - half), math.tanh(z + half), r.size, left_out)


def level_of(scores: Floats, low: int, high: int) -> Codes:
    """Nearest level as a code from 0 for ``low``; halves go up, as 4.5 counts as a 5. Off the scale: its end."""
    levels: Codes = np.clip(np.floor(scores + 0.5 + EDGE), low, high).astype(np.int64) - low
    return levels


def within_one(error: Floats) -> float:
    """Share of rows at most 1 apart; NaN without rows."""
    return _mean((np.abs(error) <= 1 + EDGE).astype(np.float64))


def _mean(values: Floats) -> float:
    return float(values.mean()) if values.size else math.nan


def _scale_use(scores: Floats, levels: Codes, size: int) -> ScaleUse:
    if scores.size == 0:
        return ScaleUse(math.nan, math.nan, math.nan, math.nan)
    std = float(scores.std(ddof=1)) if scores.size > 1 else math.nan
    return ScaleUse(float(scores.min()), float(scores.max()), std, np.unique(levels).size / size)


def _constant(human: Floats) -> ConstantPredictor:
    value = _mean(human)
    error = human - value
    return ConstantPredictor(value, _mean(np.abs(error)), math.sqrt(_mean(error**2)), within_one(error))


def _reasons(human: Floats, scorer: Floats, pcc: float, pcc_low: float) -> dict[str, str]:
    """Field name to the sentence why it is NaN."""
    found = {}
    if math.isnan(pcc):
        reason = undefined(human, scorer)
        found = dict.fromkeys(("pcc", "pcc_low", "pcc_high", "srcc", "tau_b"), reason)
    elif math.isnan(pcc_low):
        found = dict.fromkeys(("pcc_low", "pcc_high"), NO_FISHER if human.size < 4 else ONE_LINE)
    if human.size == 0:
        found |= dict.fromkeys(("mae", "rmse", "bias", "within_one"), NO_TRIPLES)
    return found | {"constant_pcc": CONSTANT}


def undefined(human: Floats, scorer: Floats) -> str:
    """Why two columns have no correlation, in a sentence."""
    if human.size == 0:
        return NO_TRIPLES
    if human.size < 3:
        return TOO_FEW
    return SAME_SCORER if is_constant(scorer) else SAME_PEOPLE
