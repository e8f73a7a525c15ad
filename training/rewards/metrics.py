"""Figures of a reward model from its predictions and people's judgements, each with an interval by source image.

``report`` has them all. Higher is better for ``human``: MOS, or minus the mean rank.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from scoring.stats.bootstrap import bootstrap
from scoring.stats.correlate import STEEPEST, complete, is_constant, midranks, pearson
from scoring.stats.grouped import EDGE, Codes, Counts, Flags, Floats, ratio
from training.rewards.accuracy import (
    Pairs,
    best_threshold,
    side_gap,
    sides,
    strict_tuples,
    tuned_ties,
    tuples_of,
    with_ties,
    without_ties,
)
from training.rewards.estimates import Estimate, Resampling, from_sums, mean_of
from training.rewards.reliability import Curve, curve, negative_log_likelihood, spread_of, win_probability

SMALLEST_GROUP = 3
TUPLES = (2, 3, 4)


@dataclass(frozen=True, slots=True)
class Items:
    """Candidates in one dimension, all columns (n,). ``human``: NaN where nobody judged. ``sigma``: of the model.

    ``group``, ``source``, ``editor``: any integers.
    """

    mu: Floats
    sigma: Floats
    human: Floats
    group: Codes
    source: Codes
    editor: Codes

    def part(self, rows: Flags) -> Items:
        return Items(
            mu=self.mu[rows],
            sigma=self.sigma[rows],
            human=self.human[rows],
            group=self.group[rows],
            source=self.source[rows],
            editor=self.editor[rows],
        )


@dataclass(frozen=True, slots=True)
class Report:
    """``figures`` by name; ``reliability``; ``threshold`` of the ties given, and the best one on these labels, which is
    what to freeze where these labels are a dev split."""

    figures: Mapping[str, Estimate]
    reliability: Curve
    threshold: float
    tuned_threshold: float

    def to_json(self) -> dict[str, Any]:
        """NaN becomes None."""
        shape = self.reliability
        curves = {name: _finite(getattr(shape, name).tolist()) for name in ("edges", "said", "right", "n")}
        return {
            "figures": {name: _finite(asdict(figure)) for name, figure in self.figures.items()},
            "reliability": curves,
            "threshold": self.threshold,
            "tuned_threshold": self.tuned_threshold,
        }


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def report(
    items: Items,
    *,
    first: Counts | None = None,
    second: Counts | None = None,
    outcome: Codes | None = None,
    threshold: float = 0.0,
    best_of_sizes: tuple[int, ...] = (2, 4),
    resampling: Resampling | None = None,
) -> Report:
    """Every figure. Pairs are people's: row numbers ``first`` and ``second`` with their ``outcome``; without them, all
    pairs within groups by ``human``. ``threshold``: of ties, fixed on other data; 0 says only equal scores are."""
    resampling = resampling or Resampling()
    if first is None or second is None or outcome is None:
        first, second, outcome = pairs_within(items.group, items.human)
    pairs = Pairs(items.mu[first] - items.mu[second], outcome, items.source[first])
    spread = spread_of(items.sigma[first], items.sigma[second])
    reliability = curve(pairs, win_probability(pairs.difference, spread), resampling)
    figures = correlations(items, resampling)
    figures["pairs_without_ties"] = without_ties(pairs, resampling)
    figures["pairs_with_ties"] = with_ties(pairs, threshold, resampling)
    figures["pairs_with_ties_tuned"] = tuned_ties(pairs, resampling)
    figures["side_gap"] = side_gap(pairs, sides(outcome.size, resampling.seed), resampling)
    figures["ece"] = reliability.ece
    figures["nll"] = negative_log_likelihood(pairs, spread, resampling)
    for size in TUPLES:
        figures[f"tuples_{size}"] = _tuples(items, size, threshold, resampling)
    for size in best_of_sizes:
        figures[f"best_of_{size}"] = best_of(items, size, resampling)
    return Report(figures, reliability, threshold, best_threshold(pairs.difference, pairs.outcome)[0])


def pairs_within(group: Codes, human: Floats) -> tuple[Counts, Counts, Codes]:
    """All pairs of judged candidates of a group: row numbers of both, and 1, 0, -1 by ``human``; shapes (pairs,)."""
    found = [
        np.array(list(combinations(np.flatnonzero((group == name) & np.isfinite(human)), 2)), dtype=np.int64)
        for name in np.unique(group)
    ]
    first, second = np.concatenate([np.empty((0, 2), np.int64), *(rows.reshape(-1, 2) for rows in found)]).T
    lead = human[first] - human[second]
    return first, second, np.where(np.abs(lead) <= EDGE, 0, np.sign(lead)).astype(np.int64)


# Correlations --------------------------------------------------------------------------------------------------------


def correlations(items: Items, resampling: Resampling) -> dict[str, Estimate]:
    """``srcc`` and ``plcc`` over all items, both means within groups, and ``editors_srcc``."""
    return (
        over_items(items, resampling) | within_groups(items, resampling) | {"editors_srcc": editors(items, resampling)}
    )


def over_items(items: Items, resampling: Resampling) -> dict[str, Estimate]:
    """SRCC and PLCC (no fitted curve) of mu and people's score over all judged candidates."""
    (human, mu), skipped = complete(items.human, items.mu)
    drawn = bootstrap(
        items.human,
        items.mu,
        items.source,
        resamples=resampling.resamples,
        seed=resampling.seed,
        confidence=resampling.confidence,
    )
    found = {}
    for name, key, value in (
        ("srcc", "srcc", pearson(midranks(human), midranks(mu))),
        ("plcc", "pcc", pearson(human, mu)),
    ):
        limits = drawn.intervals[key]
        why = drawn.reasons.get(key, "")
        found[name] = Estimate(value, limits.low, limits.high, human.size, drawn.clusters, skipped, why)
    return found


def within_groups(items: Items, resampling: Resampling) -> dict[str, Estimate]:
    """``group_srcc``: the plain mean of the groups' SRCC. ``group_srcc_fisher``: tanh of the mean of arctanh.

    Skipped and counted: groups with fewer than three judged candidates, and those that people judge all alike. A group
    to which the model gives one score has an SRCC of 0: it is not ordered, and to skip it would be a reward.
    In the Fisher mean a correlation counts as at most ±0.999, or one perfect group of three would decide it.
    """
    names, place = np.unique(items.group, return_index=True)
    r = np.array([_srcc(items.mu[items.group == name], items.human[items.group == name]) for name in names])
    source = items.source[place]
    z = np.arctanh(np.clip(r, -STEEPEST, STEEPEST))
    note = f"arctanh before the mean, tanh after it; correlations beyond {STEEPEST} count as that"
    return {
        "group_srcc": mean_of(r, source, resampling, note="plain mean"),
        "group_srcc_fisher": mean_of(z, source, resampling, note=note, back=lambda mean: np.asarray(np.tanh(mean))),
    }


def _srcc(mu: Floats, human: Floats) -> float:
    (mu, human), _ = complete(mu, human)
    if human.size < SMALLEST_GROUP or is_constant(human):
        return math.nan
    return 0.0 if is_constant(mu) else pearson(midranks(mu), midranks(human))


def editors(items: Items, resampling: Resampling) -> Estimate:
    """SRCC of the editors' mean scores with their human means, over the same judged candidates. ``n``: editors."""
    judged = items.part(np.isfinite(items.human))
    names, code = np.unique(judged.editor, return_inverse=True)
    rows = np.zeros((judged.mu.size, 3, names.size))
    rows[np.arange(judged.mu.size), :, code] = np.stack([np.ones(judged.mu.size), judged.mu, judged.human], axis=1)

    def srcc(totals: Floats) -> Floats:
        n, mu, human = np.moveaxis(totals.reshape(-1, 3, names.size), 1, 0)
        pairs = zip(ratio(mu, n), ratio(human, n), strict=True)
        return np.array([_srcc(*row) for row in pairs]).reshape(totals.shape[:-1])

    found = from_sums(rows.reshape(judged.mu.size, 3 * names.size), judged.source, srcc, resampling)
    note = f"{names.size} editors; fewer than 3 have no correlation" if names.size < SMALLEST_GROUP else ""
    return Estimate(found.value, found.low, found.high, names.size, found.sources, 0, found.why, note)


# Choosing ------------------------------------------------------------------------------------------------------------


def best_of(items: Items, size: int, resampling: Resampling) -> Estimate:
    """What people gain when the model picks the best of ``size`` candidates: 0 as a random pick, 1 as their own.

    Exact expectation over all subsets of ``size`` of each group, equal scores picked at random: (mean human score of
    the model's pick - mean of all)/(mean of people's pick - mean of all), sums over groups. Groups with fewer than
    ``size`` judged candidates are skipped.
    """
    names, place = np.unique(items.group, return_index=True)
    rows, kept = [], []
    for name, row in zip(names, place, strict=True):
        (mu, human), _ = complete(items.mu[items.group == name], items.human[items.group == name])
        if human.size >= size:
            rows.append([best_of_value(mu, human, size), human.mean(), best_of_value(human, human, size)])
            kept.append(items.source[row])

    def share(totals: Floats) -> Floats:
        return ratio(totals[..., 0] - totals[..., 1], totals[..., 2] - totals[..., 1])

    values = np.array(rows, dtype=np.float64).reshape(-1, 3)
    note = "; ".join(
        f"{word} {mean:.4g}" for word, mean in zip(("picked", "random", "best"), _means(values), strict=False)
    )
    return from_sums(
        values, np.array(kept, dtype=np.int64), share, resampling, skipped=names.size - len(rows), note=note
    )


def best_of_value(score: Floats, truth: Floats, size: int) -> float:
    """Expected truth of the highest score among ``size`` of n candidates drawn without replacement; both (n,).

    The candidate of rank k from 0 is the highest of C(n - 1 - k, size - 1) of the C(n, size) subsets.
    """
    n = score.size
    _, shelf = np.unique(-score, return_inverse=True)
    mean = np.bincount(shelf, weights=truth) / np.bincount(shelf)  # equal scores: any of them alike
    chance = np.array([math.comb(n - 1 - k, size - 1) for k in range(n)]) / math.comb(n, size)
    return float(chance @ mean[np.sort(shelf)])


def _means(values: Floats) -> list[float]:
    return [float(mean) for mean in values.mean(axis=0)] if len(values) else []


def _tuples(items: Items, size: int, threshold: float, resampling: Resampling) -> Estimate:
    judged = items.part(np.isfinite(items.human))
    return strict_tuples(
        judged.mu,
        judged.human,
        tuples_of(judged.group, size, seed=resampling.seed),
        group=judged.group,
        source=judged.source,
        resampling=resampling,
        threshold=threshold,
    )
