"""What the pages of votes show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from django.db.models import QuerySet

from scoring.models import VoteSet
from scoring.stats.votes import VOTES
from scoring.votes.comparing import compared
from scoring.votes.forms import CompareForm
from scoring.votes.showing import MEASURE_NAMES, VOTE_NAMES, WHYS, percent
from scoring.votes.table import Votes, baselines, judge_rows

EXAMPLES = 30


def vote_sets() -> QuerySet[VoteSet]:
    """For lists: without the votes themselves, which are large."""
    return VoteSet.objects.defer("rows").select_related("created_by")


def page_of_set(vote_set: VoteSet, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Everything on the page of a set; ``asked`` may name two judges to compare."""
    votes = Votes(vote_set)
    rows = judge_rows(votes)
    always = baselines(votes.ballots)
    names = [row.name for row in rows]
    first_two = dict(zip(("one", "other"), names, strict=False))
    form = CompareForm(asked if "one" in asked else None, judges=names, initial=first_two)
    return {
        "vote_set": vote_set,
        "rows": rows,
        "baselines": always,
        "best": next(row for row in always if row.is_best),
        "random": always[-1],
        "people": _people(votes),
        "groups": votes.ballots.groups,
        "measure_names": list(MEASURE_NAMES.values()),
        "vote_names": VOTE_NAMES,
        "whys": list(WHYS.values()),
        "form": form,
        "compared": compared(votes, form.cleaned_data) if form.is_bound and form.is_valid() else None,
        "examples": [(judge, text, count) for (judge, text), count in votes.unreadable.most_common(EXAMPLES)],
        "unreadable": sum(votes.unreadable.values()),
        "kinds": len(votes.unreadable),
    }


def _people(votes: Votes) -> list[tuple[Any, int, str]]:
    """Each vote's name, how often people gave it, and its share in percent."""
    found = np.bincount(votes.ballots.people, minlength=len(VOTES)).tolist()
    return [(name, n, percent(n / votes.ballots.pairs)) for name, n in zip(VOTE_NAMES, found, strict=True)]
