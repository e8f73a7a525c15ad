"""What a reader of MOS results must be told, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from scoring.stats.agreement import AgreementResult
from scoring.stats.csvfile import Names
from scoring.stats.grouped import Codes, Flags, counts
from scoring.stats.mos import MosResult, MosSettings
from scoring.stats.outliers import BT500_NEEDS, LITERAL_NEEDS, units_below

SHOWN = 5

OUTLIER_RULES = {
    "literal": "|r - mean| > {k:g} sample std over all ratings of the item",
    "leave-one-out": "|r - mean| > {k:g} sample std of the item's other ratings, floored at {f:g} pooled std",
    "pooled": "residual of the annotator's z-score from the item's mean z-score > {k:g} std of all residuals",
    "bt500": "ITU-R BT.500 limits by kurtosis: mean ± 2 population std, or ± sqrt(20)",
    "none": "no check",
}
REJECTIONS = {
    "bt500": "ITU-R BT.500: more than {cap:.0%} of one's own ratings outside the limits, on both sides; the standard's "
    "own rule decides, without a binomial test; the ratings of annotators who stay are all kept",
    "none": "nobody is rejected",
}
BY_RATE = (
    "more than {cap:.0%} of one's ratings are outliers, on at least {n} ratings, and a binomial test against {cap:.0%} "
    "gives p < {p:g}; flags are set once, over all ratings"
)
SCALES = {
    "zscore": "0 to 100: 100·(z + 3)/6 of the annotator's z-score",
    "mean": "units of the scores",
    "p910": "units of the scores, annotators' biases removed (ITU-T P.910)",
    "corrected": "units of the scores, annotators' biases removed (ITU-T P.910, inconsistency by degrees of freedom)",
}
INTERVALS = {"p910": "normal, of the bias-corrected ratings", "corrected": "Student t, of the bias-corrected ratings"}
PLAIN_BIAS = "mean and population std of score minus item mean, over all ratings of items with two or more"
MODEL_BIAS = "the model's Δ and υ"


def describe(settings: MosSettings) -> dict[str, Any]:
    """The settings in force as a JSON object, with each rule in words."""
    rule, limits = settings.outlier_rule, settings.rejection
    numbers = {"cap": limits.cap, "n": limits.minimum_ratings, "p": limits.significance}
    return {
        "method": settings.method,
        "scale": SCALES[settings.method],
        "outliers": rule,
        "outlier_rule": OUTLIER_RULES[rule].format(k=settings.multiplier, f=settings.floor_share),
        "rejection": REJECTIONS.get(rule, BY_RATE).format(**numbers),
        "repeats": "averaged after the checks; n counts annotators",
        "std": "sample (n - 1)",
        "interval": INTERVALS.get(settings.method, "Student t of the mean"),
        "confidence": settings.confidence,
        "clip": settings.clip if settings.method == "zscore" else None,
        "bias_and_inconsistency": MODEL_BIAS if settings.method in ("p910", "corrected") else PLAIN_BIAS,
    }


def warnings(result: MosResult) -> list[str]:
    """Sentences about everything that limits what the scores mean, most severe first, each with a few names at most."""
    return [*_of_design(result), *_of_checks(result), *_of_annotators(result), *_of_items(result)]


def reasons(result: MosResult) -> list[str | None]:
    """Per rater: why rejected, kept in spite of a high rate, or not used."""
    found: list[str | None] = [None] * result.panel.raters
    for rater in np.flatnonzero(~result.used).tolist():
        found[rater] = "not used: no rating remains after the checks"
    straight, single = result.scored.straight, result.scored.single
    if straight is not None and single is not None:
        for rater in np.flatnonzero(straight).tolist():
            found[rater] = "not used: all remaining scores are the same, so there is no z-score"
        for rater in np.flatnonzero(single).tolist():
            found[rater] = "not used: one rating has no z-score"
    for rater, reason in result.rejection.reasons.items():
        other = found[rater]
        found[rater] = reason if other is None or result.rejection.rejected[rater] else f"{reason}; {other}"
    return found


def _named(names: Names, codes: Codes) -> str:
    shown = ", ".join(names[code].as_py() for code in codes[:SHOWN].tolist())
    return f"{shown} and {codes.size - SHOWN} more" if codes.size > SHOWN else shown


def _raters(result: MosResult, flags: Flags) -> str:
    """Number and names of the people behind the flagged raters."""
    people = np.unique(result.panel.rater_annotator[flags]).astype(np.int64)
    noun = "annotator" if people.size == 1 else "annotators"
    return f"{people.size} {noun} ({_named(result.table.annotators, people)})"


def _of_design(result: MosResult) -> Iterator[str]:
    panel, names = result.panel, result.table.dimensions
    apart = np.flatnonzero(result.parts > 1)
    for dimension in apart[:SHOWN].tolist():
        yield (
            f"{names[dimension].as_py()}: annotators and items fall into {result.parts[dimension]} parts that share "
            "neither; scores of different parts cannot be compared"
        )
    if apart.size > SHOWN:
        yield f"the same holds for {apart.size - SHOWN} more dimensions"
    alone = np.flatnonzero(counts(panel.rater_dimension, panel.dimensions) == 1)
    if alone.size:
        yield (
            f"{_named(names, alone)}: there is only one annotator, so the scores are one person's and nothing could be "
            "checked"
        )
    model = result.scored.model
    if model and not model.converged.all():
        rough = _named(names, np.flatnonzero(~model.converged))
        yield f"{rough}: the alternation for biases and inconsistencies did not converge; take these scores as rough"


def _of_checks(result: MosResult) -> Iterator[str]:
    panel, rule = result.panel, result.settings.outlier_rule
    if rule == "literal" and (few := units_below(panel, LITERAL_NEEDS)):
        yield (
            "the rule literal cannot fire on 5 ratings or fewer: |r - mean| is at most (n - 1)/sqrt(n) sample std, "
            f"1.79 at n = 5; so {few} of {panel.units} scored items were not checked at all"
        )
    if rule == "bt500" and (few := units_below(panel, BT500_NEEDS)):
        yield (
            "the limits of BT.500 cannot be reached by 4 ratings or fewer: |r - mean| is at most sqrt(n - 1) std, 1.73 "
            f"at n = 4; so {few} of {panel.units} scored items screened nobody"
        )
    if result.dropped:
        yield f"{result.dropped} of {panel.score.size} ratings were left out as outliers"
    if result.rejection.rejected.any():
        yield f"rejected: {_raters(result, result.rejection.rejected)}; the reasons stand with the annotators"
    if result.repeats:
        yield f"{result.repeats} repeated ratings of the same item by the same annotator were averaged into one each"
    if result.scored.clipped:
        yield f"{result.scored.clipped} rescaled ratings lay outside 0 to 100 and were clipped"


def _of_annotators(result: MosResult) -> Iterator[str]:
    scored = result.scored
    if scored.straight is not None and scored.straight.any():
        yield f"always the same score, so no z-score, not used: {_raters(result, scored.straight)}"
    if scored.single is not None and scored.single.any():
        yield (
            f"only one rating in a dimension, so no z-score, not used there: {_raters(result, scored.single)}; "
            "the method mean uses them"
        )


def _of_items(result: MosResult) -> Iterator[str]:
    n, panel = result.scored.n, result.panel
    for count, what in ((0, "have no usable rating and no score"), (1, "have one rating, so no std and no interval")):
        found = n == count
        if found.any():
            items = np.unique(panel.unit_item[found]).astype(np.int64)
            yield f"{int(found.sum())} of {panel.units} scored items {what} ({_named(result.table.items, items)})"


AGREEMENT_SETTINGS = {
    "unit": "at the top one item in one dimension, so differences between dimensions count as agreement; read the "
    "dimensions one by one",
    "alpha": "Krippendorff, over items with two annotators or more",
    "icc": "ICC(2,1) and, as icc_k, ICC(2,k): two-way random, absolute agreement, on the largest block found of items "
    "(icc_items) that the same annotators (icc_annotators) all scored; other scores are left out",
    "weighted_kappa": "quadratic weights, mean over pairs of annotators with at least two shared items (kappa_pairs)",
    "pairs": "pairs of annotators who share an item",
    "repeats": "averaged first",
}


def agreement_warnings(result: AgreementResult) -> list[str]:
    """Why a figure is missing, in sentences."""
    found = result.pooled
    sentences = []
    if found.annotators < 2:
        sentences.append("there is only one annotator: nothing can be said about agreement")
    elif not found.shared:
        sentences.append("no item was scored by two annotators: nothing can be said about agreement")
    elif np.isnan(found.alpha):
        sentences.append("all scores of shared items are the same: agreement is undefined, not perfect")
    elif np.isnan(found.kappa.mean):
        sentences.append("no two annotators share two items with different scores: weighted kappa is undefined")
    if found.shared and np.isnan(found.icc.single) and not np.isnan(found.alpha):
        sentences.append("no two annotators scored the same two items with any variation: ICC is undefined")
    block = found.icc.items * found.icc.annotators
    if block and 2 * block < found.scores:
        sentences.append(
            f"ICC rests on {block} of {found.scores} scores ({found.icc.items} items by {found.icc.annotators} "
            "annotators); alpha uses all of the shared ones"
        )
    if result.repeats:
        sentences.append(
            f"{result.repeats} repeated ratings of the same item by the same annotator were averaged into one each"
        )
    return sentences
