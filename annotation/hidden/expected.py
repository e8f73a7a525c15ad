"""What passes a hidden check. Pure: no Django, no database.

Scores and shelves are compared as shares of their scale, so that one rule serves every protocol.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from annotation.protocols import SHELVES, Dimension

TOP, BOTTOM = "top", "bottom"
OF_SOURCE = {"preservation": TOP, "alignment": BOTTOM, "following": BOTTOM, "overall": BOTTOM}
"""Where the untouched source belongs: nothing of it was lost, and nothing that was asked for was done. In any other
dimension, such as visual quality, nobody can say."""
END = 0.2  # the lowest and the highest fifth of a scale are its ends
NEAR = 0.25  # of the scale: two answers to the same question this close agree
NEAR_RANKS = 1  # places that lie between two equal pictures at most
OPPOSED = 0.25  # of the pairs of a group: two rankings that order so many the other way round still agree
WITHOUT_WINNER = ("tie", "both_bad")
ROUNDING = 1e-9


@dataclass(frozen=True)
class Verdict:
    """How an answer stood a check. ``found``: what was expected and what was said, as the page shows it."""

    passed: bool
    found: dict[str, Any] = field(default_factory=dict)


def share_of_scale(dimension: Dimension, score: float) -> float:
    return (score - dimension.low) / (dimension.high - dimension.low)


def source_rated(dimensions: Sequence[Dimension], scores: Mapping[str, float], flag: str) -> Verdict | None:
    """Of the untouched source: at the end of the scale where it belongs, in every dimension that has one; "no edit at
    all" is right whatever the scores. None if there is nothing to compare."""
    wanted = {d.key: OF_SOURCE[d.key] for d in dimensions if d.key in OF_SOURCE and scores.get(d.key) is not None}
    said = {key: scores[key] for key in wanted}
    found = {"expected": wanted, "answered": said, "flag": flag}
    if flag == "no_edit":
        return Verdict(True, found)
    if not wanted:
        return None
    by_key = {d.key: d for d in dimensions}
    return Verdict(all(_at_end(share_of_scale(by_key[key], said[key]), wanted[key]) for key in wanted), found)


def source_ranked(dimension: str, shelf: float) -> Verdict | None:
    """Of the untouched source in a ranking: on one of the two lowest or highest shelves. An order cannot contradict its
    shelves, so an edit that was found clearly better (shelf 2 or higher) then stands above it."""
    wanted = OF_SOURCE.get(dimension)
    if wanted is None:
        return None
    return Verdict(_at_end(shelf / (SHELVES - 1), wanted), {"expected": {dimension: wanted}, "shelf": shelf})


def _at_end(share: float, end: str) -> bool:
    return share <= END + ROUNDING if end == BOTTOM else share >= 1 - END - ROUNDING


def same_scores(
    dimensions: Sequence[Dimension], first: Mapping[str, float], second: Mapping[str, float]
) -> Verdict | None:
    """Two ratings of the same picture: on average over the dimensions no further apart than a quarter of the scale, or
    one step of it where that is more. None without a dimension that both answer."""
    both = [d for d in dimensions if first.get(d.key) is not None and second.get(d.key) is not None]
    if not both:
        return None
    apart = sum(abs(first[d.key] - second[d.key]) / (d.high - d.low) for d in both) / len(both)
    room = sum(max(NEAR, d.step / (d.high - d.low)) for d in both) / len(both)
    found = {"first": dict(first), "again": dict(second), "apart": round(apart, 4), "allowed": round(room, 4)}
    return Verdict(apart <= room + ROUNDING, found)


def same_place(shelves: tuple[float, float], ranks: tuple[float, float]) -> Verdict:
    """The same picture twice in one ranking: on one shelf, or no more than one place apart."""
    passed = shelves[0] == shelves[1] or abs(ranks[0] - ranks[1]) <= NEAR_RANKS + ROUNDING
    return Verdict(passed, {"shelves": list(shelves), "ranks": list(ranks)})


def same_order(first: Mapping[Any, float], second: Mapping[Any, float]) -> Verdict | None:
    """Two rankings of a group, as ranks by candidate: at most a quarter of its pairs the other way round. A tie opposes
    nothing. None where fewer than two candidates are in both."""
    pairs = list(combinations(sorted(first.keys() & second.keys()), 2))
    if not pairs:
        return None
    opposed = sum((first[a] - first[b]) * (second[a] - second[b]) < 0 for a, b in pairs) / len(pairs)
    return Verdict(opposed <= OPPOSED + ROUNDING, {"opposed": round(opposed, 4), "allowed": OPPOSED})


def same_choice(first: str, second: str) -> Verdict:
    """Two verdicts on a pair, as the chosen candidate: the same; "tie" and "both bad" choose nobody alike."""
    plain = ["none" if choice in WITHOUT_WINNER else choice for choice in (first, second)]
    return Verdict(plain[0] == plain[1], {"first": first, "again": second})


def rank_without(rank: float, controls: Iterable[float]) -> float:
    """The rank that is left when candidates of the given ranks are taken out of the order; ties share their mean."""
    return rank - sum(1.0 if one < rank else 0.5 if one == rank else 0.0 for one in controls)
