"""Screens of one annotator, as pure functions of columns. What they return is for a person to look at.

A screen returns a ``Finding`` or None, and never decides. Thresholds that no setting of the study names stand here.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

LEAST_PAIRED = 20  # scores that both an annotator and others gave, before their correlation says anything
NEGATIVE, UNCERTAIN = 2.326, 1.645  # one-sided normal quantiles, 1 % and 5 %
CLEARLY = -0.2  # a correlation above it is no reversal, however many scores there are
TYPICAL = 0.3  # where annotators agree less than this, nobody can be told from chance
FEW = 0.9  # of the answers being the same one is too little variety
LEAST_TIMES = 20  # judgements whose times are compared with others'
HASTY = 0.25  # of the others' usual time
FAR = 2.5  # robust standard deviations from the others; of honest annotators 1.2 % lie further
FAR_ALLOWED, FAR_P = 0.05, 0.01  # share of ratings that may be far off, and how sure it must be that it is more
ROUNDING = 1e-9
MAD = 1.4826  # of a normal distribution: standard deviation / median absolute deviation


@dataclass(frozen=True)
class Finding:
    """``kind``: of ConcernKind. ``figures``: what it rests on, numbers that the page shows."""

    kind: str
    figures: dict[str, Any] = field(default_factory=dict)


def binomial_tail(failed: int, n: int, share: float) -> float:
    """P(X ≥ failed) for X binomial(n, share): how likely so many failures are for somebody who fails at that rate."""
    if failed <= 0:
        return 1.0
    if share <= 0.0 or share >= 1.0:
        return float(share >= 1.0)
    logs = (
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(share)
        + (n - k) * math.log1p(-share)
        for k in range(failed, n + 1)
    )  # fmt: skip
    return min(1.0, math.fsum(math.exp(one) for one in logs))


def failed_checks(kind: str, passed: Sequence[bool], *, allowed: float, least: int) -> Finding | None:
    """More failed checks than ``allowed`` (a share), once there were ``least`` of them."""
    n, failed = len(passed), sum(not one for one in passed)
    if n < least or failed <= allowed * n:
        return None
    p = binomial_tail(failed, n, allowed)
    return Finding(kind, {"checks": n, "failed": failed, "share": failed / n, "allowed": allowed, "p": p})


def longest_run(answers: Sequence[Hashable]) -> int:
    return max((sum(1 for _same in run) for _answer, run in groupby(answers)), default=0)


def straight_lining(answers: Sequence[Hashable], *, run: int) -> Finding | None:
    """``run`` equal answers in a row, or nearly all of twice as many answers the same one. Off at 0.

    ``answers``: in the order in which they were given, equal where the annotator did the same.
    """
    if not run or not answers:
        return None
    longest, common = longest_run(answers), max(Counter(answers).values())
    few = len(answers) >= 2 * run and common >= FEW * len(answers)
    if longest < run and not few:
        return None
    figures = {"answers": len(answers), "different": len(set(answers)), "longest": longest, "allowed": run}
    return Finding("straight", {**figures, "most_common": common})


def hasty(
    seconds: Sequence[float], others: Sequence[float], *, least_seconds: float, allowed: float, least: int
) -> Finding | None:
    """A share of answers above ``allowed`` given in less than ``least_seconds`` (0: off), or a median time below a
    quarter of the others'.

    ``seconds``: by the server's clock. ``others``: the median time of each other annotator; at least three of them.
    """
    n, mine = len(seconds), median(seconds) if seconds else 0.0
    short = sum(one < least_seconds for one in seconds)
    usual = median(others) if len(others) >= 3 else 0.0
    too_short = bool(least_seconds) and n >= least and short > allowed * n
    if not too_short and not (n >= LEAST_TIMES and mine < HASTY * usual):
        return None
    figures = {"judgements": n, "short": short, "least_seconds": least_seconds, "median": mine, "usual": usual}
    return Finding("speed", {**figures, "share": short / n, "allowed": allowed, "p": binomial_tail(short, n, allowed)})


# Beside the others ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scores:
    """Scores or places of a study, one row each: codes of the annotator, of what was judged (one candidate in one
    dimension, in one item) and of what values are comparable within (a dimension; a group, for places), the value, and
    when it was given (seconds of any clock). Shape (n,)."""

    annotator: Codes
    unit: Codes
    scale: Codes
    value: Floats
    at: Floats

    def beside_others(self) -> Beside:
        """Each row beside the mean of the other annotators' values of the same unit; rows without others are left out.

        Several values of one annotator and unit are averaged first; the newest says when.
        """
        order = np.lexsort((-self.at, self.unit, self.annotator))
        annotator, unit = self.annotator[order], self.unit[order]
        is_first = np.ones(order.size, dtype=bool)
        is_first[1:] = (annotator[1:] != annotator[:-1]) | (unit[1:] != unit[:-1])
        first, place = order[is_first], np.cumsum(is_first) - 1
        value = np.bincount(place, self.value[order]) / np.bincount(place)
        unit = self.unit[first]
        count, total = np.bincount(unit)[unit] - 1, np.bincount(unit, value)[unit] - value
        kept = count > 0
        first = first[kept]
        others = total[kept] / count[kept]
        return Beside(self.annotator[first], self.scale[first], value[kept], others, count[kept], self.at[first])


@dataclass(frozen=True)
class Beside:
    """Values of annotators beside the mean of ``count`` others; all of shape (rows,)."""

    annotator: Codes
    scale: Codes
    value: Floats
    others: Floats
    count: Codes
    at: Floats

    def of(self, annotator: int, after: float = -math.inf) -> NDArray[np.bool_]:
        """The rows of one annotator that came later than ``after``."""
        return np.asarray((self.annotator == annotator) & (self.at > after), dtype=np.bool_)

    def correlation(self, annotator: int, after: float = -math.inf) -> tuple[float, int]:
        """One annotator's correlation with the others' means within a scale, and how many free values it rests on.

        NaN where the others say the same throughout; 0 where the annotator alone does.
        """
        mine = self.of(annotator, after)
        names, scale = np.unique(self.scale[mine], return_inverse=True)
        x, y = _centred(self.value[mine], scale), _centred(self.others[mine], scale)
        own, theirs = math.sqrt(float((x * x).sum())), math.sqrt(float((y * y).sum()))
        n = int(mine.sum()) - max(len(names) - 1, 0)
        if theirs <= ROUNDING:
            return math.nan, n
        return (float((x * y).sum()) / (own * theirs) if own > ROUNDING else 0.0), n

    def residuals(self) -> Floats:
        """Value - others, less the annotator's own mean difference on the scale, as if that were a matter of taste;
        divided by the expected spread beside a mean of ``count`` others."""
        pair = self.annotator * (int(self.scale.max(initial=0)) + 1) + self.scale
        codes = np.unique(pair, return_inverse=True)[1]
        return _centred(self.value - self.others, codes) / np.sqrt(1 + 1 / np.maximum(self.count, 1))


def _centred(values: Floats, groups: Codes) -> Floats:
    means = np.bincount(groups, values) / np.maximum(np.bincount(groups), 1)
    return np.asarray(values - means[groups], dtype=np.float64)


def _bound(r: float, n: int, quantile: float) -> float:
    """r, moved by ``quantile`` standard errors of Fisher's z (1/√(n - 3))."""
    z = math.atanh(max(min(r, 1 - 1e-12), -1 + 1e-12)) + quantile / math.sqrt(n - 3)
    return math.tanh(z)


def against_others(r: float, n: int, typical: float) -> Finding | None:
    """``reversed`` where the correlation with the others is clearly negative; ``random`` where it is not above 0 though
    the typical annotator's clearly is.

    ``typical``: the median correlation of the other annotators; NaN where there are none.
    """
    if n < LEAST_PAIRED or not math.isfinite(r):
        return None
    figures = {"correlation": r, "scores": n, "typical": typical}
    if r <= CLEARLY and _bound(r, n, NEGATIVE) < 0:
        return Finding("reversed", {**figures, "at_most": _bound(r, n, NEGATIVE)})
    reach = _bound(r, n, UNCERTAIN)
    if _bound(r, n, -UNCERTAIN) <= 0 and typical >= TYPICAL and reach < typical:
        return Finding("random", {**figures, "at_most": reach})
    return None


def spread_of(residuals: Floats) -> float:
    """Their standard deviation as the median absolute deviation gives it: a few careless annotators do not widen it."""
    return MAD * float(np.median(np.abs(residuals))) if residuals.size else 0.0


def outlying(residuals: Floats, spread: float) -> Finding | None:
    """More ratings than 5 % further than 2.5 standard deviations from the others, surely so (one-sided, p < 0.01)."""
    n = int(residuals.size)
    if n < LEAST_PAIRED or spread <= 0:
        return None
    far = int((np.abs(residuals) > FAR * spread).sum())
    p = binomial_tail(far, n, FAR_ALLOWED)
    if far <= FAR_ALLOWED * n or p >= FAR_P:
        return None
    return Finding("outliers", {"scores": n, "far": far, "share": far / n, "allowed": FAR_ALLOWED, "p": p})
