"""A monotone map from a scorer's level to people's level.

Correlation says nothing about the level, but "drop what scores 5" does. The map is the isotonic regression of people's
scores on the scorer's (Barlow and others 1972), fitted on the dev part, kept with the prompt's version, and applied by
straight lines between its knots. It cannot change the order of scores; a scorer that people disagree with in direction
gets a flat map, which says that its level means nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from scoring.stats.correlate import complete
from scoring.stats.grouped import Floats, counts, sums

NEEDED = 3
"""Different scores of the scorer; with fewer the map would say no more than a mean or two."""


@dataclass(frozen=True, slots=True)
class LevelMap:
    """Knots: ``scorer`` ascending, ``human`` never falling, of equal length. No knots: the identity."""

    scorer: tuple[float, ...] = ()
    human: tuple[float, ...] = ()

    @property
    def identity(self) -> bool:
        """Does the map change nothing?"""
        return not self.scorer

    @property
    def flat(self) -> bool:
        """Is everything mapped to one level? Then the scorer does not rise with people."""
        return bool(self.human) and self.human[0] == self.human[-1]

    def apply(self, scorer: Floats) -> Floats:
        """Scores at people's level, shape as given: straight lines between the knots, beyond them the end's level."""
        scores = np.asarray(scorer, dtype=np.float64)
        return scores.copy() if self.identity else np.interp(scores, self.scorer, self.human)

    def to_json(self) -> list[list[float]]:
        """Knots [scorer, human] in ascending order."""
        return [list(knot) for knot in zip(self.scorer, self.human, strict=True)]

    @classmethod
    def from_json(cls, knots: object) -> LevelMap:
        """What ``to_json`` gave. Raises ValueError in words for anything else."""
        if not isinstance(knots, Sequence) or isinstance(knots, str | bytes):
            raise ValueError("A level map is a list of pairs of numbers.")
        if len(knots) == 1:
            raise ValueError("A level map has at least two knots, or none.")
        pairs = [_knot(number, knot) for number, knot in enumerate(knots, start=1)]
        for number, (before, after) in enumerate(pairwise(pairs), start=2):
            if after[0] <= before[0]:
                raise ValueError(f"Knot {number} of the level map: the scorer's scores must ascend.")
            if after[1] < before[1]:
                raise ValueError(f"Knot {number} of the level map: people's scores must not fall.")
        return cls(tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs))


def fit(human: Floats, scorer: Floats) -> LevelMap:
    """The least-squares monotone map on rows where both are finite, shape (triples,); ties of the scorer are pooled.

    The identity where the scorer gave fewer than 3 different scores. Raises ValueError for columns of different
    lengths.
    """
    from scipy.optimize import isotonic_regression  # takes as long to load as all the rest of a start

    (human, scorer), _ = complete(human, scorer)
    scores, code = np.unique(scorer, return_inverse=True)
    if scores.size < NEEDED:
        return LevelMap()
    weight = counts(code, scores.size)
    found = isotonic_regression(sums(code, human, scores.size) / weight, weights=weight)
    level = np.maximum.accumulate(found.x)
    # Of a level stretch only the ends are knots.
    inner = np.zeros(scores.size, dtype=bool)
    inner[1:-1] = (level[1:-1] == level[:-2]) & (level[1:-1] == level[2:])
    return LevelMap(tuple(scores[~inner].tolist()), tuple(level[~inner].tolist()))


def _knot(number: int, knot: object) -> tuple[float, float]:
    if not isinstance(knot, Sequence) or isinstance(knot, str | bytes) or len(knot) != 2:
        raise ValueError(f"Knot {number} of the level map is no pair of numbers.")
    scorer, human = knot
    for value in (scorer, human):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"Knot {number} of the level map is no pair of numbers.")
    return float(scorer), float(human)
