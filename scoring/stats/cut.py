"""What "drop the edits that score at least s" would drop, against what people find perfect.

The pipeline of hard cases keeps what an editor does not do perfectly yet. Dropped and perfect is right, dropped and not
perfect throws a hard case away. Intervals are Wilson's (1927), of triples drawn one by one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from scoring.stats.correlate import NO_TRIPLES, complete
from scoring.stats.grouped import EDGE, Counts, Floats, ratio

THRESHOLD = 5.0
PERFECT = 4.5

NONE_DROPPED = "the cut drops nothing"
NONE_PERFECT = "people find no triple perfect"


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its Wilson interval; NaN where there is nothing to take a share of."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Cut:
    """Dropping the triples with scorer at least ``threshold``, of ``n``; ``left_out`` rows lacked a score.

    ``dropped`` triples go, ``perfect`` have a human mean of at least the mark, ``both`` are both. ``share`` is
    dropped/n, ``precision`` both/dropped, ``recall`` both/perfect. ``reasons`` has a sentence for each that is NaN.
    """

    threshold: float
    n: int
    left_out: int
    dropped: int
    perfect: int
    both: int
    share: Share
    precision: Share
    recall: Share
    reasons: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CutCurve:
    """The cut at every score that the scorer gave, ascending; all of shape (thresholds,), NaN where undefined."""

    threshold: Floats
    dropped: Counts
    both: Counts
    share: Floats
    precision: Floats
    recall: Floats


def cut(
    human: Floats, scorer: Floats, *, threshold: float = THRESHOLD, perfect: float = PERFECT, confidence: float = 0.95
) -> Cut:
    """One cut; columns of shape (triples,). Raises ValueError for columns of different lengths."""
    (human, scorer), left_out = complete(human, scorer)
    goes, good = scorer >= threshold - EDGE, human >= perfect - EDGE
    dropped, marked, both = (int(np.count_nonzero(flags)) for flags in (goes, good, goes & good))
    reasons = {}
    if human.size == 0:
        reasons = dict.fromkeys(("share", "precision", "recall"), NO_TRIPLES)
    else:
        if not dropped:
            reasons["precision"] = NONE_DROPPED
        if not marked:
            reasons["recall"] = NONE_PERFECT
    return Cut(
        threshold=threshold,
        n=human.size,
        left_out=left_out,
        dropped=dropped,
        perfect=marked,
        both=both,
        share=wilson(dropped, human.size, confidence),
        precision=wilson(both, dropped, confidence),
        recall=wilson(both, marked, confidence),
        reasons=reasons,
    )


def curve(human: Floats, scorer: Floats, *, perfect: float = PERFECT) -> CutCurve:
    """The cut at every different score of the scorer, without intervals. Arguments and errors as for ``cut``."""
    (human, scorer), _ = complete(human, scorer)
    threshold, code = np.unique(scorer, return_inverse=True)
    good = (human >= perfect - EDGE).astype(np.int64)
    dropped = np.cumsum(np.bincount(code, minlength=threshold.size)[::-1])[::-1]
    both = np.cumsum(np.bincount(code, weights=good, minlength=threshold.size)[::-1])[::-1].astype(np.int64)
    return CutCurve(
        threshold=threshold,
        dropped=dropped,
        both=both,
        share=ratio(dropped, np.full(threshold.size, human.size)),
        precision=ratio(both, dropped),
        recall=ratio(both, np.full(threshold.size, good.sum())),
    )


def wilson(k: int, n: int, confidence: float = 0.95) -> Share:
    """k of n with Wilson's score interval; NaN for n = 0."""
    if n == 0:
        return Share(math.nan, math.nan, math.nan)
    z = float(ndtri((1 + confidence) / 2))
    p = k / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return Share(p, 0.0 if k == 0 else middle - half, 1.0 if k == n else middle + half)
