"""Mean opinion scores of items from ratings: checks, repeats, method, intervals (docs/statistics.md).

Order of work, per dimension: outlier ratings are flagged once over all ratings; annotators are rejected; the remaining
repeats of one annotator on one item are averaged; the method scores the items.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from scoring.stats import outliers as rules
from scoring.stats.connectivity import components
from scoring.stats.grouped import EDGE, Counts, Flags, Floats, counts, deviate, gather, moments, ratio, sums
from scoring.stats.intervals import normal_interval, t_interval
from scoring.stats.p910 import SubjectModel, subject_model
from scoring.stats.rejection import Rejection, RejectionRule, reject_by_bt500, reject_by_rate
from scoring.stats.table import Panel, Ratings, merge_repeats, repeated_units
from scoring.stats.zscore import rescale, zscores

Method = Literal["zscore", "p910", "corrected", "mean"]
OutlierRule = Literal["literal", "leave-one-out", "pooled", "bt500", "none"]
METHODS: tuple[Method, ...] = ("zscore", "p910", "corrected", "mean")
OUTLIER_RULES: tuple[OutlierRule, ...] = ("literal", "leave-one-out", "pooled", "bt500", "none")


@dataclass(frozen=True, slots=True)
class MosSettings:
    """How scores are made. ``outliers=None`` means the method's own default, see ``outlier_rule``."""

    method: Method = "zscore"
    outliers: OutlierRule | None = None
    multiplier: float = rules.MULTIPLIER
    floor_share: float = rules.FLOOR_SHARE
    rejection: RejectionRule = field(default_factory=RejectionRule)
    clip: bool = True
    confidence: float = 0.95

    def __post_init__(self) -> None:
        """Raise ValueError for a method or rule that does not exist, such as one from a form."""
        if self.method not in METHODS or self.outliers not in (None, *OUTLIER_RULES):
            raise ValueError(f"no such method or outlier rule: {self.method}, {self.outliers}")

    @property
    def outlier_rule(self) -> OutlierRule:
        """The rule in force: pooled for zscore and mean. The subject models weigh erratic annotators down: none."""
        if self.outliers is not None:
            return self.outliers
        return "none" if self.method in ("p910", "corrected") else "pooled"


@dataclass(frozen=True, slots=True)
class Scored:
    """What a method makes of the checked panel. Per unit: ``n`` annotators, ``mos``, ``std`` and the interval's limits.

    ``values`` are the rows that ``n`` and ``std`` describe, such as rescaled z-scores (for ``bootstrap_interval``). The
    z-score method flags the raters it cannot use, ``single`` and ``straight``; subject methods keep their ``model``.
    """

    values: Panel
    n: Counts
    mos: Floats
    std: Floats
    low: Floats
    high: Floats
    clipped: int = 0
    single: Flags | None = None
    straight: Flags | None = None
    model: SubjectModel | None = None


@dataclass(frozen=True, slots=True)
class MosResult:
    """Scores of all units and figures of all raters, as columns.

    Per unit (``panel.unit_item`` and ``panel.unit_dimension`` name it): ``scored``. Per rater (likewise): ``ratings``,
    ``outliers``, ``rejection``, ``used``, ``bias`` and ``inconsistency`` in units of the raw scores. NaN: no figure.
    """

    table: Ratings
    settings: MosSettings
    panel: Panel
    scored: Scored
    ratings: Counts
    outliers: Counts
    dropped: int
    repeats: int
    rejection: Rejection
    used: Flags
    bias: Floats
    inconsistency: Floats
    parts: Counts


def mean_opinion_scores(ratings: Ratings, settings: MosSettings | None = None) -> MosResult:
    """Score every item in every dimension. Never raises on odd data: what cannot be computed is NaN."""
    settings = settings or MosSettings()
    panel = Panel.of(ratings)
    with ThreadPoolExecutor(max_workers=1) as aside:
        # What the checks do not wait for takes a second processor where there is one.
        touched = aside.submit(repeated_units, panel)
        plain = aside.submit(plain_bias, panel)
        flags, rejection = check(panel, settings)
        # BT.500 rejects observers and keeps every rating of the others.
        dropped = np.zeros_like(flags) if settings.outlier_rule == "bt500" else flags
        gone = dropped | rejection.rejected[panel.rater] if bool(rejection.rejected.any()) else dropped
        merged, repeats = merge_repeats(panel.keep(~gone), touched.result())
        parts = aside.submit(components, merged)
        scored = SCORERS[settings.method](merged, settings)
    model = scored.model
    bias, inconsistency = (model.bias, model.inconsistency) if model else plain.result()
    return MosResult(
        table=ratings,
        settings=settings,
        panel=panel,
        scored=scored,
        ratings=counts(panel.rater, panel.raters),
        outliers=counts(panel.rater[flags], panel.raters),
        dropped=int(np.count_nonzero(dropped)),
        repeats=repeats,
        rejection=rejection,
        used=counts(scored.values.rater, panel.raters) > 0,
        bias=bias,
        inconsistency=inconsistency,
        parts=parts.result().parts,
    )


def check(panel: Panel, settings: MosSettings) -> tuple[Flags, Rejection]:
    """Outlier flags per row and rejections per rater, by the rule in force."""
    ratings = counts(panel.rater, panel.raters)
    rule = settings.outlier_rule
    if rule == "bt500":
        found = rules.bt500(panel)
        return found.flags, reject_by_bt500(ratings, found, settings.rejection.cap)
    if rule == "literal":
        flags = rules.literal(panel, settings.multiplier)
    elif rule == "leave-one-out":
        flags = rules.leave_one_out(panel, settings.multiplier, settings.floor_share)
    elif rule == "pooled":
        flags = rules.pooled(panel, settings.multiplier)
    else:
        return np.zeros(panel.score.size, dtype=bool), Rejection(np.zeros(panel.raters, dtype=bool), {})
    return flags, reject_by_rate(ratings, counts(panel.rater[flags], panel.raters), settings.rejection)


def score_mean(panel: Panel, settings: MosSettings) -> Scored:
    """Plain mean of the raw scores, Student t interval."""
    per_unit, _ = moments(panel.unit, panel.score, panel.units)
    std = per_unit.std()
    low, high = t_interval(per_unit.mean, std, per_unit.n, settings.confidence)
    return Scored(values=panel, n=per_unit.n, mos=per_unit.mean, std=std, low=low, high=high)


def score_zscore(panel: Panel, settings: MosSettings) -> Scored:
    """Mean of the rescaled z-scores, 0 to 100, Student t interval."""
    z = zscores(panel)
    values, clipped = rescale(z.panel.score, clip=settings.clip)
    rescaled = panel.with_rows(z.panel.unit, z.panel.rater, values)
    n, mos, deviation = deviate(rescaled.unit, rescaled.score, rescaled.units)
    std = np.sqrt(ratio(sums(rescaled.unit, deviation * deviation, rescaled.units), n - 1))
    std[std < 100 * EDGE] = 0.0  # Rounding: annotators who agree have the same z by different sums.
    low, high = t_interval(mos, std, n, settings.confidence)
    return Scored(
        values=rescaled,
        n=n,
        mos=mos,
        std=std,
        low=low,
        high=high,
        clipped=clipped,
        single=z.single,
        straight=z.straight,
    )


def score_subjects(panel: Panel, settings: MosSettings) -> Scored:
    """ψ of the subject model (ITU-T P.910), in units of the raw scores; std and interval from r - Δ.

    P.910 takes the normal quantile. The corrected model takes Student's, which keeps its promise on few ratings too.
    """
    corrected = settings.method == "corrected"
    model = subject_model(panel, corrected=corrected)
    unbiased = panel.with_rows(panel.unit, panel.rater, panel.score - gather(model.bias, panel.rater))
    per_unit, _ = moments(unbiased.unit, unbiased.score, unbiased.units)
    std = per_unit.std()
    if corrected:
        low, high = t_interval(model.score, std, per_unit.n, settings.confidence)
    else:
        low, high = normal_interval(model.score, std / np.sqrt(np.maximum(per_unit.n, 1)), settings.confidence)
    return Scored(
        values=unbiased,
        n=per_unit.n,
        mos=model.score,
        std=std,
        low=low,
        high=high,
        model=model,
    )


SCORERS: dict[Method, Callable[[Panel, MosSettings], Scored]] = {
    "zscore": score_zscore,
    "p910": score_subjects,
    "corrected": score_subjects,
    "mean": score_mean,
}


def plain_bias(panel: Panel) -> tuple[Floats, Floats]:
    """Per rater: mean and population std of r - mean_j over items with two ratings or more: P.910's first round."""
    n, _, deviation = deviate(panel.unit, panel.score, panel.units)
    # The deviation of an item's only rating is 0 and says nothing: it adds nothing to the sums and must not count.
    rater = panel.rater[(n > 1)[panel.unit]] if bool((n == 1).any()) else panel.rater
    ratings = counts(rater, panel.raters)
    bias = ratio(sums(panel.rater, deviation, panel.raters), ratings)
    square = ratio(sums(panel.rater, deviation * deviation, panel.raters), ratings)
    return bias, np.sqrt(np.maximum(square - bias**2, 0))
