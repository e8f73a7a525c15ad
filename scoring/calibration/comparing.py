"""Versions beside each other on the same triples: paired intervals, a plain sentence, ablation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from django.utils.translation import gettext as _

from scoring.calibration.figures import RESAMPLES, number
from scoring.calibration.parts import DEV, HELD_OUT
from scoring.calibration.triples import People, people_of
from scoring.models import Calibration, PromptVersion, Question
from scoring.stats.bootstrap import Difference, ScorerComparison, compare
from scoring.stats.correlate import pearson
from scoring.stats.grouped import Floats

Json = dict[str, Any]
POWER_AT = 0.05  # the difference for which the needed number of triples is told


@dataclass(frozen=True)
class Comparison:
    """``second`` against ``first`` on the ``n`` triples of a ``part`` (see parts.py) that both scored."""

    part: str
    n: int
    sources: int
    pcc: tuple[Json, Json]  # of each: value, low, high
    difference: Json  # of the PCC: value, low, high, share of resamples in which second is better
    mae: Json
    verdict: str
    sentence: str


def compare_versions(calibration: Calibration, first: PromptVersion, second: PromptVersion) -> list[Comparison]:
    """On the dev part, and on the held-out part where somebody has looked at it for both versions."""
    people = people_of(calibration)
    scores = [people.scores_of(version, calibration.judge).value for version in (first, second)]
    looked = set(calibration.looks.filter(version__in=(first, second)).values_list("version", flat=True))
    parts = [(DEV, ~people.held_out)]
    if looked == {first.pk, second.pk}:
        parts.append((HELD_OUT, people.held_out))
    return [_compared(name, people, scores[0], scores[1], rows) for name, rows in parts]


def _compared(name: str, people: People, first: Floats, second: Floats, rows: Any) -> Comparison:
    found = compare(people.human[rows], first[rows], second[rows], people.cluster[rows], resamples=RESAMPLES)
    known = rows & np.isfinite(first) & np.isfinite(second)
    pcc = [
        _interval(pearson(people.human[known], scores[known]), side)
        for scores, side in ((first, found.first), (second, found.second))
    ]
    return Comparison(
        part=name,
        n=found.n,
        sources=found.first.clusters,
        pcc=(pcc[0], pcc[1]),
        difference=_difference(found.differences["pcc"]),
        mae=_difference(found.differences["mae"]),
        verdict=found.verdict,
        sentence=sentence(found),
    )


def _interval(value: float, side: Any) -> Json:
    interval = side.intervals["pcc"]
    return {"value": number(value), "low": number(interval.low), "high": number(interval.high)}


def _difference(found: Difference) -> Json:
    return {
        "value": number(found.value),
        "low": number(found.low),
        "high": number(found.high),
        "better": number(found.better),
    }


def sentence(found: ScorerComparison) -> str:
    """What the comparison says, for somebody who reads no intervals."""
    gap = found.differences["pcc"]
    words = {"n": found.n, "gap": f"{abs(gap.value):.2f}", "low": f"{gap.low:+.2f}", "high": f"{gap.high:+.2f}"}
    if found.verdict == "better":
        text = _("The second is better: its PCC is %(gap)s higher on the same %(n)d triples [%(low)s, %(high)s].")
    elif found.verdict == "worse":
        text = _("The second is worse: its PCC is %(gap)s lower on the same %(n)d triples [%(low)s, %(high)s].")
    elif found.verdict == "not distinguishable":
        text = _("Not distinguishable on these %(n)d triples: the difference lies in [%(low)s, %(high)s].")
        needed = found.triples_for(max(abs(gap.value), POWER_AT))
        if np.isfinite(needed) and needed > found.n:
            more = _("To see a difference of %(gap)s would take about %(needed)d triples.")
            shown = {"gap": f"{max(abs(gap.value), POWER_AT):.2f}", "needed": round(needed, -1)}
            return f"{text % words} {more % shown}"
    else:
        return _("Not determined: %(reason)s.") % {"reason": found.reasons.get("pcc", "") or _("too few triples")}
    return text % words


# Ablation ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ablated:
    """What a question adds: the version with it against the version without, on the dev part. None: not scored yet."""

    question: Question
    without: PromptVersion | None
    comparison: Comparison | None


def ablation(calibration: Calibration, version: PromptVersion, trials: dict[str, PromptVersion]) -> list[Ablated]:
    """``trials``: by question key, the version without it. The difference is that of the whole version to it, so a
    positive one says that the question helps."""
    people = people_of(calibration)
    whole = people.scores_of(version, calibration.judge).value
    rows = []
    for question in version.asked:
        trial = trials.get(question.key)
        found = None
        if trial is not None:
            without = people.scores_of(trial, calibration.judge).value
            if np.isfinite(without[~people.held_out]).any():
                found = _compared(DEV, people, without, whole, ~people.held_out)
        rows.append(Ablated(question, trial, found))
    return rows
