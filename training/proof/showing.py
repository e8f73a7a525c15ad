"""A proof's figures as the texts and places that its page shows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from training.posttraining.proof_figures import Estimate, Gain, Preference
from training.proof.report import Report, ScorerRow, TaskRow, interval, percent

NONE = "–"


@dataclass(frozen=True)
class Cell:
    """A figure with its limits; ``title`` tells more of it."""

    text: str
    limits: str = ""
    title: str = ""


@dataclass(frozen=True)
class Bar:
    """Places of an interval from 0 to 100 percent, for a drawing."""

    low: str
    high: str
    value: str


def of(made: Report) -> dict[str, Any]:
    return {
        "figures": [*(_choices(made, made.preference) if made.preference else []), *_scores(made.gain), *_people(made)],
        "bar": _bar(made.preference.rate) if made.preference else None,
        "tasks": [_task(row) for row in made.tasks],
        "scorers": [_scorer(row) for row in made.scorers],
    }


def share(estimate: Estimate) -> Cell:
    """In percent."""
    title = ""
    if not math.isnan(estimate.few_low):
        title = _("Bootstrap over source images [%(low)s, %(high)s]; Wilson, one vote an image [%(a)s, %(b)s]") % {
            "low": percent(estimate.low),
            "high": percent(estimate.high),
            "a": percent(estimate.few_low),
            "b": percent(estimate.few_high),
        }
    return Cell(percent(estimate.value), interval(estimate, 100), title)


def score(estimate: Estimate, *, signed: bool = False) -> Cell:
    text = NONE if math.isnan(estimate.value) else f"{estimate.value:{'+' if signed else ''}.2f}"
    return Cell(text, interval(estimate, digits=2))


def number(value: float, digits: int = 2) -> str:
    return NONE if math.isnan(value) else f"{value:.{digits}f}"


def _choices(made: Report, voted: Preference) -> list[tuple[str, Cell]]:
    bad = _("%(n)s %% both bad") % {"n": percent(made.both_bad)}
    lean = _("left is chosen in %(n)s %%") % {"n": percent(voted.lean)}
    even = Cell(percent(voted.even), _("it stood left in %(n)s %%") % {"n": percent(voted.shown_left)}, lean)
    rows = [
        (_("Win rate, %"), share(voted.rate)),
        (_("Ties, %"), Cell(percent(voted.ties), bad)),
        (_("Win rate, sides weighed alike, %"), even),
    ]
    if made.agreement:
        alpha = _("ordinal α %(n)s") % {"n": number(made.agreement.alpha)}
        rows.append((_("Annotators who say the same, %"), Cell(percent(made.agreement.same), alpha)))
    return rows


def _scores(rated: Gain | None) -> list[tuple[str, Cell]]:
    if rated is None:
        return []
    return [
        (_("Mean score before"), score(rated.before)),
        (_("Mean score after"), score(rated.after)),
        (_("Difference"), score(rated.difference, signed=True)),
    ]


def _people(made: Report) -> list[tuple[str, Cell]]:
    rows = []
    if made.gain:
        rows.append((_("Agreement on ratings, α"), Cell(number(made.alpha), f"ICC(2,1) {number(made.icc)}")))
    who = str(made.progress.people)
    simulated = _("and %(n)d simulated") % {"n": made.progress.simulated} if made.progress.simulated else ""
    judged = Cell(f"{made.progress.done:,}", _("of %(n)s") % {"n": f"{made.progress.target:,}"})
    return [*rows, (_("People"), Cell(who, simulated)), (_("Judgements"), judged)]


def _bar(estimate: Estimate) -> Bar | None:
    low, high = estimate.limits
    if math.isnan(low):
        return None
    return Bar(*(f"{100 * min(max(value, 0.0), 1.0):.1f}%" for value in (low, high, estimate.value)))


def _task(row: TaskRow) -> dict[str, Any]:
    voted, rated = row.preference, row.gain
    return {
        "name": row.name,
        "votes": voted.rate.n if voted else 0,
        "rate": share(voted.rate) if voted else None,
        "ties": percent(voted.ties) if voted else None,
        "scores": [score(rated.before), score(rated.after), score(rated.difference, signed=True)] if rated else [],
        "sources": max(voted.rate.sources if voted else 0, rated.difference.sources if rated else 0),
    }


def _scorer(row: ScorerRow) -> dict[str, Any]:
    limits = "" if math.isnan(row.echo.pcc_low) else f"[{row.echo.pcc_low:.2f}, {row.echo.pcc_high:.2f}]"
    return {
        "row": row,
        "same": share(row.echo.same),
        "pcc": Cell(number(row.echo.pcc), limits),
        "srcc": number(row.echo.srcc),
        "prefers": score(row.echo.prefers, signed=True),
    }
