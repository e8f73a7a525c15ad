"""The figures of a calibration page, as JSON: computed once and sent to everybody who watches.

Of the held-out part nothing is told, neither a figure nor a point, until somebody has looked at it for this version.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
from django.db.models import Count, Q, Sum

from scoring.calibration.triples import People, Scores, people_of
from scoring.judging.contract import SCORED
from scoring.models import Answer, Calibration, LevelMap, Look, Method, PromptVersion
from scoring.stats import levelmap
from scoring.stats.bootstrap import Bootstrap, bootstrap
from scoring.stats.correlate import Correlation, correlation
from scoring.stats.cut import Share, cut
from scoring.stats.grouped import Flags, Floats

RESAMPLES = 1000
LEVELLED = ("mae", "rmse", "bias", "within_one")
NO_LEVEL = "z-scores say who is better, not how good"
KEYS = 5000  # looked up at once
FIGURES = ("pcc", "srcc", "tau_b", "mae", "rmse", "bias", "within_one")
Json = dict[str, Any]


def number(value: float) -> float | None:
    """A figure that does not exist is no number."""
    return round(float(value), 6) if math.isfinite(value) else None


def page_figures(calibration: Calibration, version: PromptVersion) -> Json:
    """Everything that moves on the page of a calibration for one version of its prompt."""
    people = people_of(calibration)
    scores = people.scores_of(version, calibration.judge)
    looked = calibration.looks.filter(version=version).exists()
    shown = np.ones(people.human.size, dtype=bool) if looked else ~people.held_out
    knots = LevelMap.objects.filter(calibration=calibration, version=version).values_list("knots", flat=True).first()
    return {
        "version": version.number,
        "count": counts(people, scores),
        "dev": part(people, scores.value, ~people.held_out, calibration),
        "held": part(people, scores.value, people.held_out, calibration) if looked else None,
        "looks": looks(calibration),
        "points": points(people, scores, shown),
        "ceiling": ceiling(people),
        "mapped": mapped(people, scores.value, ~people.held_out, calibration, knots) if knots else None,
        "mapped_held": mapped(people, scores.value, people.held_out, calibration, knots) if knots and looked else None,
        "used": used(people, calibration, version),
    }


def counts(people: People, scores: Scores) -> Json:
    """Rated triples by part, and what became of them: scored, not asked yet, or without a score and why."""
    status = Counter(scores.status)
    scored = sum(status[one.value] for one in SCORED)
    lost = {name: n for name, n in sorted(status.items()) if name and name not in SCORED}
    held = int(np.count_nonzero(people.held_out))
    return {
        "rated": int(people.human.size),
        "dev": int(people.human.size) - held,
        "held": held,
        "sources": int(np.unique(people.cluster).size),
        "ratings": int(people.ratings.sum()),
        "scored": scored,
        "waiting": status[""],
        "lost": lost,
    }


def part(people: People, scorer: Floats, rows: Any, calibration: Calibration) -> Json:
    """Every figure of one part with its interval from drawing source images."""
    human, scorer, cluster = people.human[rows], scorer[rows], people.cluster[rows]
    prompt = calibration.prompt
    found = correlation(human, scorer, low=prompt.low, high=prompt.high)
    spread = bootstrap(human, scorer, cluster, resamples=RESAMPLES)
    figures = {
        "n": found.n,
        "sources": spread.clusters,
        "figures": {name: _with_interval(name, found, spread) for name in FIGURES},
        "fisher": [number(found.pcc_low), number(found.pcc_high)],
        "constant": {
            "value": number(found.constant.value),
            "mae": number(found.constant.mae),
            "rmse": number(found.constant.rmse),
            "within_one": number(found.constant.within_one),
        },
        "range": {"human": _used_range(found.human), "scorer": _used_range(found.scorer)},
        "levels": found.levels.tolist(),
        "confusion": found.confusion.tolist(),
        "cut": dropped(human, scorer, prompt.high),
        "few_sources": spread.few_clusters,
    }
    return figures | _without_level(figures) if calibration.method == Method.ZSCORE else figures


def _without_level(figures: Json) -> Json:
    """z-scores say who is better, not how good: what needs a level is no figure."""
    none = {"value": None, "reason": NO_LEVEL}
    return {
        "figures": {**figures["figures"], **dict.fromkeys(LEVELLED, none)},
        "constant": dict.fromkeys(figures["constant"]),
        "cut": {**dict.fromkeys(figures["cut"]), "share": none, "precision": none, "recall": none},
        "confusion": [],
        "no_level": NO_LEVEL,
    }


def _with_interval(name: str, found: Correlation, spread: Bootstrap) -> Json:
    value = getattr(found, name)
    interval = spread.intervals.get(name)
    figure: Json = {"value": number(value)}
    if interval is not None and math.isfinite(value):
        figure |= {"low": number(interval.low), "high": number(interval.high)}
    if not math.isfinite(value):
        figure["reason"] = found.reasons.get(name, "")
    return figure


def _used_range(use: Any) -> Json:
    return {"min": number(use.minimum), "max": number(use.maximum), "levels": number(use.levels)}


def dropped(human: Floats, scorer: Floats, high: int) -> Json:
    """What "drop what scores the highest level" would drop, and whether people find that perfect, too."""
    found = cut(human, scorer, threshold=float(high), perfect=high - 0.5)
    shares = {"share": found.share, "precision": found.precision, "recall": found.recall}
    return {
        "threshold": found.threshold,
        "perfect_from": high - 0.5,
        "dropped": found.dropped,
        "perfect": found.perfect,
        **{name: _share(share) for name, share in shares.items()},
    }


def _share(share: Share) -> Json:
    return {"value": number(share.value), "low": number(share.low), "high": number(share.high)}


def points(people: People, scores: Scores, rows: Any) -> list[list[Any]]:
    """Of each scored triple that may be shown: candidate, human, scorer, ratings, whether it is held out."""
    known = np.flatnonzero(rows & np.isfinite(scores.value))
    return [
        [
            int(people.candidates[row]),
            round(float(people.human[row]), 3),
            round(float(scores.value[row]), 3),
            int(people.ratings[row]),
            int(people.held_out[row]),
        ]
        for row in known
    ]


def ceiling(people: People) -> Json:
    """The most that any scorer can reach against these ratings, and what one more person reaches."""
    found = people.ceiling
    return {
        "value": number(found.ceiling),
        "low": number(found.ceiling_low),
        "high": number(found.ceiling_high),
        "reliability": number(found.reliability),
        "one_person": number(found.leave_one_out),
        "raters": number(found.raters),
        "reason": found.reasons.get("ceiling", ""),
    }


def mapped(people: People, scorer: Floats, rows: Flags, calibration: Calibration, knots: Any) -> Json:
    """The level of these rows after the map that was fitted on the dev part: it moves level and cut, and hardly the
    correlation. On the dev part it is measured where it was fitted."""
    level = levelmap.LevelMap.from_json(knots)
    human, after = people.human[rows], level.apply(scorer[rows])
    found = correlation(human, after, low=calibration.prompt.low, high=calibration.prompt.high)
    figures = {name: number(getattr(found, name)) for name in FIGURES}
    return {"knots": knots, "figures": figures, "cut": dropped(human, after, calibration.prompt.high)}


def used(people: People, calibration: Calibration, version: PromptVersion) -> Json:
    """What the answers about these triples cost and how long they took; those from the cache cost nothing again."""
    scores = version.scores.filter(judge=calibration.judge, candidate__in=people.candidates.tolist())
    keys = [key for found in scores.values_list("keys", flat=True) for key in found]
    answers, seconds, cost, unpriced = 0, 0.0, 0.0, 0
    for start in range(0, len(keys), KEYS):
        row = Answer.objects.filter(key__in=keys[start : start + KEYS]).aggregate(
            n=Count("id"), paid=Sum("cost"), took=Sum("seconds"), unpriced=Count("id", filter=Q(cost=None))
        )
        answers, unpriced = answers + row["n"], unpriced + row["unpriced"]
        seconds, cost = seconds + (row["took"] or 0.0), cost + (row["paid"] or 0.0)
    return {
        "answers": answers,
        "cost": None if unpriced else round(cost, 6),
        "seconds": round(seconds / answers, 3) if answers else None,
    }


def looks(calibration: Calibration) -> Json:
    """How often anybody looked at the held-out part, and for how many versions: on all desks of the prompt, which have
    one split."""
    rows = Look.objects.filter(calibration__prompt=calibration.prompt_id)
    row = rows.aggregate(all=Count("id"), versions=Count("version", distinct=True))
    return {"all": row["all"], "versions": row["versions"]}
