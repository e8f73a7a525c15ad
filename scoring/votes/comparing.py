"""Two judges of a set on the same pairs, in a table and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from scoring.stats.votes import MEASURES, Comparison, compare
from scoring.votes.showing import MEASURE_NAMES, VERDICTS, Shown, number, percent, shown
from scoring.votes.table import Votes


@dataclass(frozen=True)
class ComparedRow:
    name: str
    found: Comparison
    first: str
    second: str
    difference: Shown
    p: str
    verdict: str
    tone: str


def compared(votes: Votes, chosen: Mapping[str, str]) -> dict[str, Any]:
    one, other = chosen["one"], chosen["other"]
    pair = votes.names.index(one), votes.names.index(other)
    kinds = [(m, False) for m in MEASURES] + [("four", True)]
    rows = [_compared_row(compare(votes.ballots, *pair, m, both=both), both) for m, both in kinds]
    return {"one": one, "other": other, "rows": rows, "sentence": _sentence(rows[0].found, one, other)}


def _compared_row(found: Comparison, both: bool) -> ComparedRow:
    name = str(MEASURE_NAMES[found.measure])
    label, tone = VERDICTS[found.verdict]
    return ComparedRow(
        name=_("%(measure)s, both answered") % {"measure": name} if both else name,
        found=found,
        first=percent(found.first),
        second=percent(found.second),
        difference=shown(found.difference, signed=True),
        p="< 0.001" if found.p < 0.001 else number(found.p),
        verdict=str(label) if found.difference.n else "",
        tone=tone,
    )


def _sentence(found: Comparison, one: str, other: str) -> str:
    """The four-way comparison in words."""
    words = {
        "one": one,
        "other": other,
        "n": found.difference.n,
        "points": percent(abs(found.difference.value)),
        "low": percent(found.difference.low, signed=True),
        "high": percent(found.difference.high, signed=True),
    }
    if found.verdict == "same":
        return _("%(one)s and %(other)s are right on exactly the same pairs.") % words
    if found.difference.why:
        return (
            _("Whether %(one)s or %(other)s agrees better with people cannot be told: all pairs are of one source.")
            % words
        )
    if found.verdict == "better":
        return (
            _(
                "%(one)s agrees with people on %(points)s points more of the %(n)d pairs than %(other)s "
                "(95 %% interval %(low)s to %(high)s): it is better here."
            )
            % words
        )
    if found.verdict == "worse":
        return (
            _(
                "%(one)s agrees with people on %(points)s points less of the %(n)d pairs than %(other)s "
                "(95 %% interval %(low)s to %(high)s): it is worse here."
            )
            % words
        )
    return (
        _(
            "%(one)s and %(other)s are not distinguishable on these %(n)d pairs: the difference of %(points)s points "
            "has the 95 %% interval %(low)s to %(high)s, which includes 0."
        )
        % words
    )
