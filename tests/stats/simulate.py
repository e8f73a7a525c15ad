"""The simulations behind docs/statistics.md: `python -m tests.stats.simulate` prints their tables (seconds).

Studies of one dimension: normal true scores, annotators with normal biases and log-normal inconsistencies, items given
to annotators at random. Everything is seeded.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from scoring.stats import outliers
from scoring.stats.grouped import Flags, counts
from scoring.stats.mos import MosSettings, mean_opinion_scores
from scoring.stats.p910 import subject_model
from scoring.stats.rejection import RejectionRule, reject_by_bt500, reject_by_rate
from scoring.stats.resample import mos_intervals
from scoring.stats.table import Panel, Ratings
from tests.stats.shared import simulated

METHODS = ("mean", "zscore", "p910", "corrected")


def accuracy() -> None:
    """Correlation of scores with the truth, coverage of the 95 % intervals, and recovered inconsistencies."""
    print("60 annotators, 400 items, no outlier rule, mean of 8 studies: correlation with the truth | coverage")
    for per_item in (5, 8, 15):
        found: dict[str, list[tuple[float, float]]] = {method: [] for method in METHODS}
        spreads = []
        for seed in range(8):
            ratings, truth, _, spread = simulated(seed, per_item)
            psi = np.array([truth[name] for name in ratings.items.to_pylist()])
            for method in METHODS:
                scored = mean_opinion_scores(ratings, MosSettings(method=method, outliers="none")).scored
                level = psi + (scored.mos - psi).mean()
                covered = np.mean((scored.low < level) & (level < scored.high)) if method != "zscore" else np.nan
                found[method].append((np.corrcoef(scored.mos, psi)[0, 1], covered))
            true = np.array([spread[name] for name in ratings.annotators.to_pylist()])
            panel = Panel.of(ratings)
            spreads.append([np.min(subject_model(panel, corrected=c).inconsistency / true) for c in (False, True)])
        line = "  ".join(
            f"{method} {np.mean(pairs, axis=0)[0]:.3f} | {np.mean(pairs, axis=0)[1]:.2f}"
            for method, pairs in found.items()
        )
        print(f"{per_item:3d} an item: {line}  smallest v found/true: {np.mean(spreads, axis=0).round(2)}")


def honest(per_item: int, seed: int = 0) -> Panel:
    """60 equally good annotators with 200 ratings each, scores 1 to 5 in tenths."""
    rng = np.random.default_rng(seed)
    items = 60 * 200 // per_item
    truth, bias = rng.normal(3, 0.8, items), rng.normal(0, 0.3, 60)
    rows = [
        (f"a{i}", f"i{j}", "q", float(np.clip(np.round(truth[j] + bias[i] + 0.6 * rng.normal(), 1), 1, 5)))
        for j in range(items)
        for i in rng.permutation(60)[:per_item]
    ]
    return Panel.of(Ratings.from_rows(rows))


def rejections() -> None:
    """What the rules do to honest annotators: share of ratings flagged, people above the cap, people rejected."""
    rules: dict[str, Callable[[Panel], Flags]] = {
        "literal": outliers.literal,
        "leave-one-out, floor 0.5": lambda panel: outliers.leave_one_out(panel, floor_share=0.5),
        "leave-one-out": outliers.leave_one_out,
        "pooled": outliers.pooled,
    }
    print("60 honest annotators, 200 ratings each: ratings flagged, annotators above 5 %, annotators rejected")
    for per_item in (3, 5, 15):
        panel = honest(per_item)
        ratings = counts(panel.rater, panel.raters)
        for name, rule in rules.items():
            flags = rule(panel)
            found = counts(panel.rater[flags], panel.raters)
            rejected = reject_by_rate(ratings, found, RejectionRule()).rejected.sum()
            print(f"{per_item:3d} an item, {name}: {flags.mean():.1%}, {(found / ratings > 0.05).sum()}, {rejected}")
        screened = outliers.bt500(panel)
        rejected = reject_by_bt500(ratings, screened).rejected.sum()
        above = ((screened.high + screened.low) / ratings > 0.05).sum()
        print(f"{per_item:3d} an item, bt500: {screened.flags.mean():.1%}, {above}, {rejected}")


def two_way() -> None:
    """Coverage of the bootstrap over annotators and items: of single items, and of the mean of 100 items."""
    print("two-way bootstrap of the same studies: coverage of items | of means of 100 items | by the items alone")
    for per_item in (5, 15):
        for method in ("mean", "zscore", "corrected"):
            single, grouped, naive = [], [], []
            for seed in range(30):
                ratings, truth, _, _ = simulated(seed, per_item)
                settings = MosSettings(method=method, outliers="none")  # type: ignore[arg-type]
                result = mean_opinion_scores(ratings, settings)
                names = ratings.items.to_pylist()
                groups = np.array([int(name[1:]) % 4 for name in names])
                found = mos_intervals(result, groups=groups.tolist(), resamples=200, seed=seed)
                scale = np.polyfit([truth[name] for name in names], result.scored.mos, 1)
                if method != "zscore":
                    scale = np.array([1.0, result.scored.mos.mean() - np.mean([truth[name] for name in names])])
                level = np.polyval(scale, [truth[name] for name in names])
                single.append(np.mean((found.low < level) & (level < found.high)))
                target = 50 if method == "zscore" else 3
                for one in found.groups:
                    scores = result.scored.mos[groups == one.group]
                    half = 1.98 * scores.std(ddof=1) / np.sqrt(scores.size)
                    grouped.append(one.low < target < one.high)
                    naive.append(abs(scores.mean() - target) < half)
            figures = " | ".join(f"{np.mean(covered):.2f}" for covered in (single, grouped, naive))
            print(f"{per_item:3d} an item, {method}: {figures}")


if __name__ == "__main__":
    accuracy()
    two_way()
    rejections()
