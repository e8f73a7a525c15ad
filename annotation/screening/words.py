"""What a finding says, in one sentence for the person who decides, and a first draft of words for the annotator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.utils.translation import gettext as _

from annotation.screening.rules import Finding

Figures = dict[str, Any]


def sentence(finding: Finding) -> str:
    return _SENTENCES[finding.kind](finding.figures)


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"


def _checks(figures: Figures, what: str) -> str:
    values = {
        "failed": figures["failed"],
        "n": figures["checks"],
        "what": what,
        "share": _share(figures["share"]),
        "allowed": _share(figures["allowed"]),
        "p": f"{figures['p']:.2g}",
    }
    words = _(
        "%(failed)d of %(n)d %(what)s failed: %(share)s, where %(allowed)s are borne. Somebody who fails at that rate "
        "has so many with probability %(p)s."
    )
    return words % values


def _speed(figures: Figures) -> str:
    values = {
        "short": figures["short"],
        "n": figures["judgements"],
        "least": f"{figures['least_seconds']:g}",
        "median": f"{figures['median']:.1f}",
        "usual": f"{figures['usual']:.1f}",
    }
    if figures["least_seconds"]:
        words = _("%(short)d of %(n)d answers took less than %(least)s s; the usual time is %(median)s s.")
    else:
        words = _("The usual time for an answer is %(median)s s; the others take %(usual)s s.")
    return words % values


def _straight(figures: Figures) -> str:
    words = _("The same answer %(longest)d times in a row; %(different)d different answers in %(answers)d.")
    return words % figures


def _reversed(figures: Figures) -> str:
    words = _("Scores go against the others': correlation %(r)s over %(n)d scores (99 %% sure: at most %(most)s).")
    return words % _correlation(figures)


def _random(figures: Figures) -> str:
    words = _(
        "Scores show no trace of the others': correlation %(r)s over %(n)d scores, where the typical annotator has "
        "%(typical)s."
    )
    return words % _correlation(figures)


def _correlation(figures: Figures) -> dict[str, Any]:
    names = {"r": "correlation", "most": "at_most", "typical": "typical"}
    return {"n": figures["scores"], **{short: f"{figures[name]:.2f}" for short, name in names.items()}}


def _outliers(figures: Figures) -> str:
    words = _("%(far)d of %(scores)d scores are far from the others': %(percent)s, p = %(p_text)s.")
    return words % {**figures, "percent": _share(figures["share"]), "p_text": f"{figures['p']:.2g}"}


_SENTENCES: dict[str, Callable[[Figures], str]] = {
    "gold": lambda figures: _checks(figures, _("gold items")),
    "attention": lambda figures: _checks(figures, _("attention checks")),
    "repeat": lambda figures: _checks(figures, _("repeated items")),
    "source": lambda figures: _checks(figures, _("checks with the untouched source")),
    "duplicate": lambda figures: _checks(figures, _("checks with the same picture twice")),
    "speed": _speed,
    "straight": _straight,
    "reversed": _reversed,
    "random": _random,
    "outliers": _outliers,
}


def draft(kind: str) -> str:
    """A warning in plain words, for the person who decides to send or to change."""
    return {
        "gold": _("Some of your answers differ from what the guidelines ask for. Please read them again."),
        "attention": _("Some pictures came with an unusual instruction. Please read the instruction of each item."),
        "repeat": _("You answered some items differently when they came again. Please take your time with each."),
        "source": _(
            "Some pictures had no edit at all. Please compare each with the source: hold the space bar to see it."
        ),
        "duplicate": _("The same picture was there twice and got different places. Please look closely."),
        "speed": _("Some answers came very fast. Please look at the whole picture before you answer."),
        "straight": _("Many of your answers were the same. Please use the whole scale where the pictures differ."),
        "reversed": _("Your answers go the other way than most. Please check which end of the scale is good."),
        "random": _("Your answers differ much from those of others. Please read the guidelines again."),
        "outliers": _("Some of your answers are far from those of others. Please read the guidelines again."),
    }[kind]
