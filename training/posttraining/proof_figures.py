"""What a blind study of an editor before and after its training says. Pure: tables in, figures with intervals out.

A vote is 1 where the trained editor's edit was chosen, 0 where the base's was, ½ for a tie or both bad. Judgements of
edits of one source image go together, so intervals come from drawing whole source images (percentile bootstrap,
Davison and Hinkley 1997, 3.8). Of few source images such an interval is too narrow, and none at all where all agree:
then the verdict also asks an interval that holds for few, Wilson's (1927) for a share, Student's for a mean, each with
one value a source image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from scoring.stats.agreement import krippendorff_alpha
from scoring.stats.bootstrap import FEW_CLUSTERS, bootstrap, draws
from scoring.stats.correlate import complete, midranks, pearson
from scoring.stats.grouped import Codes, Flags, Floats, ratio, sums
from scoring.stats.intervals import t_interval
from scoring.stats.votes import wilson

RESAMPLES = 2000
FEWEST = 6
"""Source images that can decide: of five that all agree, a sign test is not yet at 5 % (two-sided p = 2/2⁵)."""
TIE = 0.5

Verdict = Literal["better", "worse", "unclear", ""]
"""Of the trained editor beside its base; empty: nothing was judged."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over ``n`` rows of ``sources`` source images with its 95 % bootstrap interval. NaN: not determined.

    ``few_low``, ``few_high``: the interval with one value a source image, which holds for few of them.
    """

    value: float
    low: float
    high: float
    n: int
    sources: int
    few_low: float = math.nan
    few_high: float = math.nan

    @property
    def few(self) -> bool:
        """Fewer than ten source images: the bootstrap's interval is too narrow."""
        return self.sources < FEW_CLUSTERS

    @property
    def limits(self) -> tuple[float, float]:
        """The interval that counts: the bootstrap's; of few source images, the outer limits of both."""
        if not self.few or math.isnan(self.few_low):
            return self.low, self.high
        return float(np.fmin(self.low, self.few_low)), float(np.fmax(self.high, self.few_high))

    def against(self, level: float) -> Verdict:
        """Whether the interval lies above ``level`` or below it. Too few source images decide nothing."""
        low, high = self.limits
        if not self.n:
            return ""
        if self.sources < FEWEST:
            return "unclear"
        return "better" if low > level else "worse" if high < level else "unclear"


def mean(
    values: Floats,
    source: Codes,
    *,
    within: tuple[float, float] = (-math.inf, math.inf),
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Mean of ``values`` (rows,) with intervals over source images ``source`` (rows,): bootstrap, and Student's of the
    images' own means, cut off at what is possible (``within``). Raises ValueError for columns of different lengths."""
    value, low, high, per_source = _drawn(values, source, resamples, seed)
    few_low, few_high = (float(np.clip(limit, *within)) for limit in _student(per_source))
    return Estimate(value, low, high, values.size, per_source.size, few_low, few_high)


def share(votes: Floats, source: Codes, *, resamples: int = RESAMPLES, seed: int = 0) -> Estimate:
    """Mean of ``votes`` in 0 to 1, as ``mean``; the interval for few is Wilson's with one vote a source image."""
    value, low, high, per_source = _drawn(votes, source, resamples, seed)
    n = per_source.size
    few_low, few_high = wilson(np.array([value * n]), np.array([n])) if n else (np.full(1, math.nan),) * 2
    return Estimate(value, low, high, votes.size, n, float(few_low[0]), float(few_high[0]))


def _drawn(values: Floats, source: Codes, resamples: int, seed: int) -> tuple[float, float, float, Floats]:
    """Mean, bootstrap limits and the means of the source images, shape (images,)."""
    if values.shape != source.shape or values.ndim != 1:
        raise ValueError("The columns must be rows of numbers of one length.")
    if values.size == 0:
        return math.nan, math.nan, math.nan, values
    _, code = np.unique(source, return_inverse=True)
    images = int(code.max()) + 1
    totals, sizes = sums(code, values, images), sums(code, np.ones(values.size), images)
    value, own = float(values.mean()), totals / sizes
    if images < 2:
        return value, math.nan, math.nan, own
    found = np.empty(resamples)
    for rows, times in draws(images, resamples, seed, images):
        found[rows] = ratio(times @ totals, times @ sizes)
    low, high = np.quantile(found, [0.025, 0.975])
    return value, float(low), float(high), own


def _student(values: Floats) -> tuple[float, float]:
    if values.size < 2:
        return math.nan, math.nan
    one = np.array([values.mean()]), np.array([values.std(ddof=1)]), np.array([values.size])
    low, high = t_interval(*one)
    return float(low[0]), float(high[0])


# Choices between the two ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Preference:
    """``rate``: share of votes for the trained editor, a tie a half. ``ties``: share of ties.

    ``shown_left``: in what share of judgements the trained editor's edit stood on the left. ``even``: the rate if it
    had stood on either side equally often. ``lean``: share of left choices among choices.
    """

    rate: Estimate
    ties: float
    wins: int
    losses: int
    shown_left: float
    even: float
    lean: float
    verdict: Verdict


def preference(votes: Floats, left: Floats, source: Codes) -> Preference:
    """From judgements, shape (judgements,): ``votes`` 0, ½ or 1; ``left`` 1 where the trained editor's was left."""
    rate = share(votes, source)
    decided = votes != TIE
    chose_left = votes[decided] == left[decided]
    sides = [votes[left == side] for side in (0, 1)]
    return Preference(
        rate=rate,
        ties=_mean(~decided),
        wins=int(np.count_nonzero(votes == 1)),
        losses=int(np.count_nonzero(votes == 0)),
        shown_left=_mean(left),
        even=(_mean(sides[0]) + _mean(sides[1])) / 2,
        lean=_mean(chose_left),
        verdict=rate.against(TIE),
    )


def _mean(values: Floats | Flags) -> float:
    return float(values.mean()) if values.size else math.nan


@dataclass(frozen=True, slots=True)
class Agreement:
    """Annotators on the same pair: share of pairs of annotators who said the same of win, tie and loss, and ordinal α.

    ``pairs``: that several judged.
    """

    same: float
    alpha: float
    pairs: int


def agreement(votes: Floats, pair: Codes) -> Agreement:
    """Of votes 0, ½ and 1 on ``pair``, both of shape (judgements,), one row an annotator and pair."""
    _, code, counts = np.unique(pair, return_inverse=True, return_counts=True)
    units = counts.size
    alike = sum(
        (_two(sums(code[votes == vote], np.ones(int((votes == vote).sum())), units))).sum() for vote in (0, TIE, 1)
    )
    of = _two(counts.astype(np.float64)).sum()
    same = float(alike / of) if of else math.nan
    return Agreement(same, krippendorff_alpha(code, votes, units, "ordinal"), int(np.count_nonzero(counts > 1)))


def _two(counts: Floats) -> Floats:
    """Pairs that can be drawn from each."""
    return counts * (counts - 1) / 2


# Scores before and after ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Gain:
    """Mean opinion scores of the base (``before``) and the trained editor (``after``) over the same pairs, in units of
    the scale, and their paired ``difference``."""

    before: Estimate
    after: Estimate
    difference: Estimate
    verdict: Verdict


def gain(before: Floats, after: Floats, source: Codes, *, low: float = 0, high: float = 5) -> Gain:
    """From pairs, shape (pairs,): each candidate's mean score on a scale from ``low`` to ``high``. Pairs where one has
    none (NaN) are left out."""
    known = np.isfinite(before) & np.isfinite(after)
    before, after, source = before[known], after[known], source[known]
    difference = mean(after - before, source, within=(low - high, high - low))
    first, second = (mean(scores, source, within=(low, high)) for scores in (before, after))
    return Gain(first, second, difference, difference.against(0))


# A scorer beside people ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Echo:
    """Whether a scorer says the same. ``same``: of the ``same.n`` pairs that people decided, the share on which it
    prefers the edit that they prefer; equal scores count a half. ``pcc``, ``srcc``: its differences of scores beside
    people's on ``n`` pairs, with bootstrap limits of the first. ``prefers``: its own mean difference, after - before.
    """

    same: Estimate
    pcc: float
    pcc_low: float
    pcc_high: float
    srcc: float
    n: int
    prefers: Estimate


def echo(votes: Floats, people: Floats, scorer: Floats, source: Codes) -> Echo:
    """From pairs, shape (pairs,): mean ``votes``, people's difference of scores, the scorer's; NaN where there is none.

    Without opinion scores give the votes as ``people`` as well: a correlation is blind to the scale.
    """
    scored = np.isfinite(scorer)
    decided = scored & np.isfinite(votes) & (votes != TIE)
    right = np.where(scorer == 0, 0.5, (scorer > 0) == (votes > TIE)).astype(np.float64)
    (mine, theirs), _left_out = complete(people, scorer)
    drawn = bootstrap(people, scorer, source).intervals["pcc"]
    return Echo(
        same=share(right[decided], source[decided]),
        pcc=pearson(mine, theirs),
        pcc_low=drawn.low,
        pcc_high=drawn.high,
        srcc=pearson(midranks(mine), midranks(theirs)),
        n=mine.size,
        prefers=mean(scorer[scored], source[scored]),
    )
