"""The events behind a judgement, in words and as they came."""

import json
from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from annotation.models import Event, Judgement

KINDS = {
    "open": _("opened"),
    "score": _("score"),
    "place": _("put on a shelf"),
    "duel": _("comparison of two"),
    "move": _("moved by hand"),
    "compare": _("looked closer"),
    "flag": _("flag"),
    "remark": _("remark"),
    "undo": _("took the last action back"),
    "submit": _("submitted"),
}


def events_of(judgement: Judgement) -> QuerySet[Event]:
    """Every action that the server has for the judgement's assignment, the first one first."""
    return Event.objects.filter(assignment=judgement.assignment_id)


def worded(events: Iterable[Event]) -> list[tuple[Event, str, str]]:
    """Each event with its kind in words and its data as text."""
    return [(event, str(KINDS.get(event.kind, event.kind)), as_text(event.data)) for event in events]


def as_text(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, sort_keys=True) if data else ""
