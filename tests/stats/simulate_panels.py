"""The table of rules in docs/statistics.md: `python -m tests.stats.simulate_panels` prints it (seconds).

A simulation: 60 annotators made of arithmetic, 36 of them honest, rate 400 items with known true scores, 5 or 15
ratings an item, given out at random. Which rule rejects whom, and how close the scores then come to the truth.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scoring.stats.grouped import counts
from scoring.stats.mos import Method, MosSettings, OutlierRule, mean_opinion_scores
from scoring.stats.rejection import RejectionRule
from scoring.stats.table import Ratings

KINDS = {"honest": 36, "biased": 6, "noisy": 6, "straight": 4, "random": 4, "reversed": 4}
AS_PRINTED = RejectionRule(minimum_ratings=1, significance=1.0)
"""More than 5 % of one's ratings are outliers, and nothing else."""
RULES: dict[str, tuple[OutlierRule, RejectionRule]] = {
    "none": ("none", RejectionRule()),
    "literal, as printed": ("literal", AS_PRINTED),
    "literal, with the test": ("literal", RejectionRule()),
    "leave-one-out": ("leave-one-out", RejectionRule()),
    "pooled, as printed": ("pooled", AS_PRINTED),
    "pooled, with the test": ("pooled", RejectionRule()),
    "bt500": ("bt500", RejectionRule()),
}
METHODS: tuple[Method, ...] = ("mean", "zscore", "p910", "corrected")
SEEDS = 8


def panel(seed: int, per_item: int, items: int = 400) -> tuple[Ratings, dict[str, float]]:
    """Ratings 1 to 5 in tenths by annotators named after their kind, and the true scores."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(3, 0.8, items)
    names = [f"{kind}{number}" for kind, size in KINDS.items() for number in range(size)]
    bias = {name: rng.normal(0, 0.25) for name in names}
    lines = {name: float(np.round(rng.uniform(2, 4), 1)) for name in names}
    sides = {name: rng.choice((-1.0, 1.0)) for name in names}

    def rating(name: str, item: int) -> float:
        kind, worth = name.rstrip("0123456789"), truth[item]
        if kind == "straight":
            return lines[name]
        if kind == "random":
            return float(rng.uniform(1, 5))
        if kind == "biased":
            worth = 3 + 0.6 * (worth - 3) + sides[name]
        elif kind == "reversed":
            worth = 6 - worth
        return float(worth + bias[name] + (1.5 if kind == "noisy" else 0.5) * rng.normal())

    rows = [
        (name, f"i{item}", "d", float(np.clip(np.round(rating(name, item), 1), 1, 5)))
        for item in range(items)
        for name in rng.permutation(names)[:per_item].tolist()
    ]
    return Ratings.from_rows(rows), {f"i{item}": float(truth[item]) for item in range(items)}


def removed(ratings: Ratings, rule: OutlierRule, rejection: RejectionRule) -> dict[str, int]:
    """How many of each kind a rule rejects."""
    result = mean_opinion_scores(ratings, MosSettings(method="mean", outliers=rule, rejection=rejection))
    out = result.rejection.rejected
    names = [ratings.annotators[int(code)].as_py() for code in result.panel.rater_annotator[out].tolist()]
    return {kind: sum(name.startswith(kind) for name in names) for kind in KINDS}


def correlation(ratings: Ratings, truth: dict[str, float], settings: MosSettings) -> float:
    """Of the scores with the truth, over the items that have a score."""
    result = mean_opinion_scores(ratings, settings)
    psi = np.array([truth[ratings.items[int(code)].as_py()] for code in result.panel.unit_item.tolist()])
    known = np.isfinite(result.scored.mos)
    return float(np.corrcoef(result.scored.mos[known], psi[known])[0, 1])


def kept(ratings: Ratings, rule: OutlierRule, rejection: RejectionRule) -> float:
    """Share of the ratings that count."""
    result = mean_opinion_scores(ratings, MosSettings(method="mean", outliers=rule, rejection=rejection))
    return float(counts(result.scored.values.rater, result.panel.raters).sum() / ratings.score.size)


def table(per_item: int, seeds: Sequence[int]) -> list[list[str]]:
    """One line a rule, as it stands in the documentation."""
    panels = [panel(seed, per_item) for seed in seeds]
    lines = []
    for name, (rule, rejection) in RULES.items():
        people = [removed(ratings, rule, rejection) for ratings, _ in panels]
        share = np.mean([kept(ratings, rule, rejection) for ratings, _ in panels])
        close = [
            np.mean(
                [
                    correlation(ratings, truth, MosSettings(method=method, outliers=rule, rejection=rejection))
                    for ratings, truth in panels
                ]
            )
            for method in METHODS
        ]
        gone = [f"{np.mean([one[kind] for one in people]):.1f}" for kind in KINDS]
        lines.append([name, *gone, f"{share:.0%}", *(f"{value:.3f}" for value in close)])
    return lines


def main() -> None:
    """Print both tables in Markdown."""
    heads = ["rule", *(f"{kind} ({size})" for kind, size in KINDS.items()), "ratings kept", *METHODS]
    for per_item in (5, 15):
        print(f"\n{per_item} ratings an item, mean of {SEEDS} simulated studies")
        for line in [heads, ["---"] * len(heads), *table(per_item, range(SEEDS))]:
            print("| " + " | ".join(line) + " |")


if __name__ == "__main__":
    main()
