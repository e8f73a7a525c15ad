"""What a reader of rankings must be told, in sentences."""

from __future__ import annotations

from typing import Any

import numpy as np

from scoring.stats.ranks import RankResult


def describe(threshold: float) -> dict[str, Any]:
    """The rules in force in words."""
    return {
        "threshold": threshold,
        "contested": "Kendall's W below the threshold; null where W is undefined",
        "ranks": "mean over annotators, 1 is best, ties share their mean rank; the k ranks of an annotator who ranked "
        "only k of n candidates are multiplied by (n + 1)/(k + 1)",
        "agreement": "Kendall's W with tie correction and mean pairwise tau-b, over those who ranked all candidates",
        "pairs": "different mean ranks, largest gap first; equal mean ranks are ties",
        "wins": "candidates with a worse mean rank, plus half of those with the same",
        "repeats": "averaged first",
    }


def group_notes(result: RankResult) -> list[str | None]:
    """Per group: why W is missing, or which rankings do not count for it."""
    found: list[str | None] = [None] * result.panel.groups
    sizes = result.panel.sizes
    partial = result.rankings - result.complete
    for group in np.flatnonzero(np.isnan(result.kendall_w) | (partial > 0)).tolist():
        undefined = bool(np.isnan(result.kendall_w[group]))
        found[group] = _group_note(sizes[group], result.rankings[group], result.complete[group], undefined)
    return found


def _group_note(size: np.int64, rankings: np.int64, complete: np.int64, undefined: bool) -> str:
    if size == 1:
        return "one candidate only: there is nothing to rank"
    if rankings == 1:
        return "one annotator only: agreement is unknown"
    if complete < 2:
        return f"{complete} of {rankings} annotators ranked all {size} candidates: agreement is unknown"
    if undefined:
        return "every annotator ranked all candidates equal: agreement is undefined"
    return f"{rankings - complete} of {rankings} annotators ranked only some of the {size} candidates"


def warnings(result: RankResult) -> list[str]:
    """Sentences about everything that limits what the ranks mean."""
    unknown = int(np.count_nonzero(np.isnan(result.kendall_w)))
    partial = int((result.rankings - result.complete).sum())
    contested = int(np.count_nonzero(result.contested))
    total = result.panel.groups
    sentences = []
    if contested:
        sentences.append(f"{contested} of {total} groups are contested: Kendall's W is below {result.threshold:g}")
    if unknown:
        sentences.append(f"{unknown} of {total} groups have no Kendall's W; the reason stands with the group")
    if partial:
        sentences.append(
            f"{partial} rankings cover only some of their group's candidates; they count for mean ranks, stretched to "
            "the group's size, and not for agreement"
        )
    if result.panel.repeats:
        sentences.append(
            f"{result.panel.repeats} rows ranked a candidate again for the same annotator, group and dimension; their "
            "ranks were averaged"
        )
    return sentences
