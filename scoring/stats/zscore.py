"""z-scores within an annotator, and their scale of 0 to 100 (EditHF-1M, section 3.3).

z-scores remove an annotator's mean and spread. They are fair only where annotators saw a random mix of items: one who
was given only good edits gets the same mean of 0 as one who was given only bad ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scoring.stats.grouped import Flags, Floats, gather, moments
from scoring.stats.table import Panel


@dataclass(frozen=True, slots=True)
class ZScores:
    """``panel`` holds z in place of the score for the rows that have one.

    ``kept`` flags those rows of the input. Per rater: ``single`` (only one rating) and ``straight`` (always the same
    score), who have no z-score.
    """

    panel: Panel
    kept: Flags
    single: Flags
    straight: Flags


def zscores(panel: Panel) -> ZScores:
    """z = (r - mean_i)/std_i over rater i's rows, sample std. Raters without a spread are left out."""
    per_rater, deviation = moments(panel.rater, panel.score, panel.raters)
    std = per_rater.std()
    single, straight = per_rater.n == 1, (per_rater.n > 1) & (std == 0)
    usable = std > 0
    kept = usable[panel.rater]
    deviation /= gather(np.where(usable, std, 1.0), panel.rater)
    scaled = panel.with_rows(panel.unit, panel.rater, deviation)
    return ZScores(panel=scaled.keep(kept), kept=kept, single=single, straight=straight)


def rescale(z: Floats, *, clip: bool = True) -> tuple[Floats, int]:
    """100·(z + 3)/6, by default clipped to 0..100; the values and how many were clipped."""
    scaled = z + 3.0
    scaled *= 100.0 / 6.0
    if not clip:
        return scaled, 0
    clipped = int(np.count_nonzero(scaled < 0) + np.count_nonzero(scaled > 100))
    return np.clip(scaled, 0.0, 100.0, out=scaled), clipped
