"""What the judges of a run may cost: a run keeps no limit of spending, so that is said before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _

from scoring.asking.queries import used_by
from scoring.models import Judge
from training.runs.estimate import Estimate

Spec = dict[str, Any]
SERVICES = ("endpoint", "http")  # kinds of sources that are asked over the network


def warnings(rewards: Sequence[Spec], held_out: Sequence[Spec], found: Estimate | None) -> list[str]:
    """A sentence for each judge that is asked over the network, unless its answers so far were free. One or two
    queries for each."""
    if found is None:
        return []
    judges = len(rewards) + len(held_out)
    told = [_warning(one, (found.judgements // len(rewards)) + found.looked // judges) for one in rewards]
    told += [_warning(one, found.looked // judges) for one in held_out]
    return [words for words in told if words]


def _warning(one: Spec, asked: int) -> str:
    if one["kind"] not in SERVICES:
        return ""
    calls = asked * int(one.get("passes", 1))
    judge = Judge.objects.filter(slug=one["identity"].get("judge", "")).first()
    mean = used_by(judge).cost if judge else None
    if mean == 0:
        return ""
    about = {"name": one["name"], "calls": f"{calls:,}"}
    if mean is None:
        words = _(
            "“%(name)s” will be asked some %(calls)s times. What that costs is not known here, and a run keeps no "
            "limit."
        )
        return words % about
    words = _(
        "“%(name)s” will be asked some %(calls)s times: about %(cost)s by its answers so far. A run keeps no limit; "
        "cancel it when it is enough."
    )
    return words % {**about, "cost": f"{calls * mean:,.2f}"}
