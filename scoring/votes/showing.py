"""Figures as text in percent, and as positions in a plot; the words for votes, measures and reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from scoring.stats.votes import Measure, Rate

VOTE_NAMES = (gettext_lazy("A"), gettext_lazy("B"), gettext_lazy("tie"), gettext_lazy("both bad"))
CONSTANT_NAMES = (
    gettext_lazy("always A"),
    gettext_lazy("always B"),
    gettext_lazy("always tie"),
    gettext_lazy("always both bad"),
)
MEASURE_NAMES: dict[Measure, Any] = {
    "four": gettext_lazy("four-way"),
    "three": gettext_lazy("three-way"),
    "two": gettext_lazy("two-way"),
    "half": gettext_lazy("half credit"),
}
WHYS = {
    "no pairs": gettext_lazy("There is no pair to count."),
    "no answer": gettext_lazy("The judge has no readable answer on these pairs."),
    "nothing decided": gettext_lazy("People chose A or B on no pair."),
    "no choice": gettext_lazy("The judge chose A or B on no pair."),
    "one side": gettext_lazy("One of the two sides has no answered pair."),
    "one vote": gettext_lazy("People and the judge gave one and the same vote everywhere, so chance explains it all."),
    "one group": gettext_lazy("All pairs are of one source, so nothing can be drawn anew."),
}
VERDICTS = {
    "better": (gettext_lazy("better"), "good"),
    "worse": (gettext_lazy("worse"), "bad"),
    "same": (gettext_lazy("the same"), ""),
    "unclear": (gettext_lazy("not distinguishable"), "warn"),
}


@dataclass(frozen=True)
class Shown:
    """A figure as text in percent (or as it is, for κ), its interval, and why it is a dash."""

    value: str
    interval: str
    why: str


@dataclass(frozen=True)
class Plot:
    """Dot and interval on a line from 0 to 100 %; positions in percent of the width."""

    low: str
    high: str
    dot: str
    label: str


def shown(rate: Rate, signed: bool = False) -> Shown:
    low, high = (percent(value, signed) for value in (rate.low, rate.high))
    interval = "" if np.isnan(rate.low) or np.isnan(rate.high) else f"[{low}, {high}]"
    return Shown(percent(rate.value, signed), interval, why_of(rate))


def why_of(rate: Rate) -> str:
    return str(WHYS[rate.why]) if rate.why else ""


def percent(value: float, signed: bool = False) -> str:
    if np.isnan(value):
        return "–"
    return f"{100 * value:+.1f}".replace("-", "−") if signed else f"{100 * value:.1f}"


def number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


def position(value: float) -> str:
    return f"{100 * value:.2f}%"


def plot(rate: Rate) -> Plot:
    label = _("%(value)s %%, 95 %% interval %(low)s to %(high)s") % {
        "value": percent(rate.value),
        "low": percent(rate.low),
        "high": percent(rate.high),
    }
    return Plot(position(rate.low), position(rate.high), position(rate.value), label)
