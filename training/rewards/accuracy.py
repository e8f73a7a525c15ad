"""How often a reward model orders two, three or four candidates as people do.

A pair is ``difference``, the model's score of the first less that of the second, and ``outcome``: 1 where people prefer
the first, -1 the second, 0 a tie. Accuracy with ties has three definitions, and each has its name: ``TIES_IGNORED``,
``TIES_GIVEN`` (a threshold that was frozen before), ``TIES_TUNED`` (the best threshold on these very labels).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from scoring.stats.bootstrap import draws
from scoring.stats.grouped import EDGE, Codes, Counts, Flags, Floats
from training.rewards.estimates import Estimate, Resampling, from_sums, mean_of, with_interval

TIES_IGNORED = "ties ignored: pairs that people decided; equal scores are half right"
TIES_GIVEN = "ties by a threshold that was fixed before"
TIES_TUNED = "tuned on these labels: the threshold is the best one for them, so the figure flatters"
Equal = Literal["half", "wrong"]
Ties = Literal["demanded", "excluded"]
MOST_TUPLES = 1000


@dataclass(frozen=True, slots=True)
class Pairs:
    """``difference``, ``outcome`` and ``source`` (pairs,): source images as any integers."""

    difference: Floats
    outcome: Codes
    source: Codes

    def decided(self) -> Pairs:
        """Those of which people prefer one."""
        return self.part(self.outcome != 0)

    def part(self, rows: Flags) -> Pairs:
        return Pairs(self.difference[rows], self.outcome[rows], self.source[rows])


def credit(difference: Floats, outcome: Codes, equal: Equal = "half") -> Floats:
    """What each decided pair earns: 1 for the right sign, 0 for the wrong one; equal scores are half right, as the
    concordance index counts, or wrong. Shape (pairs,)."""
    half = 0.5 if equal == "half" else 0.0
    return np.where(difference == 0, half, (np.sign(difference) == outcome).astype(np.float64))


def without_ties(pairs: Pairs, resampling: Resampling, equal: Equal = "half") -> Estimate:
    """Share of decided pairs in people's order: TIES_IGNORED."""
    decided = pairs.decided()
    note = TIES_IGNORED if equal == "half" else TIES_IGNORED.replace("half right", "wrong")
    found = np.full(pairs.outcome.shape, np.nan)
    found[pairs.outcome != 0] = credit(decided.difference, decided.outcome, equal)
    return mean_of(found, pairs.source, resampling, note=note)


def right_with_ties(difference: Floats, outcome: Codes, threshold: float) -> Flags:
    """Is the outcome predicted? The model says tie where |difference| <= threshold; ``threshold`` is 0 or more."""
    predicted = np.where(np.abs(difference) <= threshold, 0, np.sign(difference))
    right: Flags = predicted == outcome
    return right


def with_ties(pairs: Pairs, threshold: float, resampling: Resampling) -> Estimate:
    """Share of all pairs whose outcome, ties included, is predicted at a threshold from a dev split: TIES_GIVEN.

    Raises ValueError for a threshold below 0.
    """
    if not threshold >= 0:
        raise ValueError(f"A tie threshold is 0 or more, not {threshold}.")
    right = right_with_ties(pairs.difference, pairs.outcome, threshold)
    return mean_of(right.astype(np.float64), pairs.source, resampling, note=TIES_GIVEN)


def best_threshold(difference: Floats, outcome: Codes) -> tuple[float, float]:
    """The smallest of the best thresholds and its accuracy: exact, over "only equal scores are ties" and every
    |difference|. Deutsch et al. 2023 (tie calibration). NaN for the accuracy without pairs."""
    if difference.size == 0:
        return 0.0, math.nan
    scan = _Scan.of(difference, outcome)
    accuracy = scan.accuracies(np.ones((1, difference.size)))[0]
    return float(scan.thresholds[accuracy.argmax()]), float(accuracy.max())


def tuned_ties(pairs: Pairs, resampling: Resampling) -> Estimate:
    """Accuracy at the best threshold on these labels: TIES_TUNED. Each resample is tuned anew."""
    if pairs.outcome.size == 0:
        return mean_of(pairs.difference, pairs.source, resampling, note=TIES_TUNED)
    codes = np.unique(pairs.source, return_inverse=True)[1]
    sources, scan = int(codes.max()) + 1, _Scan.of(pairs.difference, pairs.outcome)
    found = np.empty(resampling.resamples)
    for part, weights in draws(sources, resampling.resamples, resampling.seed, codes.size):
        found[part] = scan.accuracies(weights[:, codes]).max(axis=1)
    value = best_threshold(pairs.difference, pairs.outcome)[1]
    return with_interval(value, found, sources, resampling, n=codes.size, note=TIES_TUNED)


@dataclass(frozen=True, slots=True)
class _Scan:
    """Pairs in the order of |difference|: what a tie in place of a choice gains, and the last place of each threshold.

    Place 0 of ``thresholds`` is 0 with nobody below; equal |difference| turn into ties together.
    """

    order: Codes
    right: Floats
    gain: Floats
    last: Codes
    thresholds: Floats

    @classmethod
    def of(cls, difference: Floats, outcome: Codes) -> _Scan:
        far = np.abs(difference)
        order = np.argsort(far, kind="stable")
        right = ((np.sign(difference) == outcome) & (difference != 0)).astype(np.float64)[order]
        gain = (outcome == 0).astype(np.float64)[order] - right
        values, frequency = np.unique(far, return_counts=True)
        return cls(order, right, gain, np.cumsum(frequency) - 1, np.append(0.0, values))

    def accuracies(self, weights: Floats) -> Floats:
        """At each threshold, (resamples, thresholds); ``weights`` (resamples, pairs): how often each pair stands."""
        ordered = weights[:, self.order]
        gained = np.cumsum(ordered * self.gain, axis=1)[:, self.last]
        gained = np.concatenate([np.zeros((len(weights), 1)), gained], axis=1)
        total: Floats = ((ordered @ self.right)[:, None] + gained) / ordered.sum(axis=1, keepdims=True)
        return total


# Sides ---------------------------------------------------------------------------------------------------------------


def sides(pairs: int, seed: int) -> Flags:
    """True where the second candidate is to be shown on the left: half of the pairs by chance, from a seed."""
    return np.random.default_rng(seed).random(pairs) < 0.5


def side_gap(pairs: Pairs, swapped: Flags, resampling: Resampling) -> Estimate:
    """Share right where people's choice was shown on the left, less where it was on the right; decided pairs.

    ``difference`` must have been measured in the order shown, for models that see both at once. 0 for a fair one.
    """
    decided = pairs.decided()
    left = (decided.outcome == 1) != swapped[pairs.outcome != 0]
    earned = credit(decided.difference, decided.outcome)
    rows = np.stack([earned * left, left, earned * ~left, ~left], axis=1).astype(np.float64)

    def gap(totals: Floats) -> Floats:
        right, n = totals[..., [0, 2]], totals[..., [1, 3]]
        share = np.divide(right, n, out=np.full(right.shape, np.nan), where=n > 0)
        return np.asarray(share[..., 0] - share[..., 1])

    return from_sums(rows, decided.source, gap, resampling, skipped=pairs.outcome.size - decided.outcome.size)


# Tuples --------------------------------------------------------------------------------------------------------------


def tuples_of(group: Codes, size: int, *, most: int = MOST_TUPLES, seed: int = 0) -> Counts:
    """All subsets of ``size`` members of each group, as row numbers (tuples, size).

    A group with more than ``most`` of them gives that many, drawn with replacement.
    """
    generator = np.random.default_rng(seed)
    found = [np.empty((0, size), dtype=np.int64)]
    for name in np.unique(group):
        members = np.flatnonzero(group == name)
        if math.comb(members.size, size) <= most:
            found.append(np.array(list(combinations(members, size)), dtype=np.int64).reshape(-1, size))
        else:
            found.append(members[generator.random((most, members.size)).argsort(axis=1)[:, :size]])
    return np.concatenate(found)


def strict_tuples(
    score: Floats,
    human: Floats,
    members: Counts,
    *,
    group: Codes,
    source: Codes,
    resampling: Resampling,
    ties: Ties = "demanded",
    threshold: float = 0.0,
) -> Estimate:
    """Share of tuples in which every pair is right (EditReward 2.2 and A.3), mean over tuples of a group, then groups.

    ``score``, ``human`` (n,), higher is better, ``group`` and ``source`` (n,); ``members`` (tuples, K) of row numbers.
    The paper asks for all pairwise relations of a tuple and does not say what a tie is. "demanded": people's tie is
    such a relation, right where |difference| <= threshold, and a pair that they decided must lie beyond it.
    "excluded": their ties are not looked at, a tuple without a decided pair is skipped, ``threshold`` plays no part.
    Equal scores never decide a pair. Tuples with a member that people did not judge are skipped.
    """
    first, second = np.array(list(combinations(range(members.shape[1]), 2))).T
    lead = human[members[:, first]] - human[members[:, second]]
    outcome = np.where(np.abs(lead) <= EDGE, 0, np.sign(lead))
    difference = score[members[:, first]] - score[members[:, second]]
    counts = np.asarray(np.isfinite(lead).all(axis=1))
    if ties == "demanded":
        right = right_with_ties(difference, outcome, threshold)
    else:
        right = np.asarray(np.sign(difference) == outcome) | np.asarray(outcome == 0)
        counts &= (outcome != 0).any(axis=1)
    rows, earned = members[counts, 0], np.asarray(right.all(axis=1))[counts].astype(np.float64)
    _, place, code = np.unique(group[rows], return_index=True, return_inverse=True)
    means = np.bincount(code, weights=earned) / np.bincount(code)
    note = f"ties {ties}; {int(counts.sum())} tuples, {int((~counts).sum())} skipped"
    return mean_of(means, source[rows[place]], resampling, note=note)


def ranks_of(label: str, size: int) -> tuple[int, ...]:
    """Ranks from 0 of the candidates A, B, C ... in a label such as "C>A=B"; equal is a tie.

    A word after the ties, as in "A=B=Good" or "A=B=Bad", says how good they are and changes no rank. Raises ValueError
    for a label that does not name each of the ``size`` candidates once.
    """
    shelves = [re.split(r"\s*=\s*", shelf.strip()) for shelf in label.split(">")]
    ranks = {name: rank for rank, shelf in enumerate(shelves) for name in shelf if len(name) == 1}
    words = [name for shelf in shelves for name in shelf if len(name) != 1]
    wanted = [chr(ord("A") + place) for place in range(size)]
    named = [name for shelf in shelves for name in shelf if len(name) == 1]
    if sorted(named) != wanted or any(word not in ("Good", "Bad") for word in words):
        raise ValueError(f"The label {label!r:.60} does not order the candidates {', '.join(wanted)}.")
    return tuple(ranks[name] for name in wanted)
