"""What the annotation pages send, and the answers to what cannot be read."""

import json
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext as _

from annotation import work

AHEAD = 8  # the most items that a page may hold at once


def body_of(request: HttpRequest) -> dict[str, Any] | None:
    try:
        value = json.loads(request.body)
    except (ValueError, RecursionError):  # the second: nested thousands of levels deep
        return None
    return value if isinstance(value, dict) else None


def events_of(body: dict[str, Any] | None) -> list[Any] | None:
    rows = body.get("events") if body else None
    return rows if isinstance(rows, list) else None


def wish_of(body: dict[str, Any]) -> tuple[int, list[str]]:
    """How many assignments the page wants to hold, and which it has."""
    want, have = body.get("want"), body.get("have")
    names = [str(uid) for uid in have] if isinstance(have, list) else []
    return min(max(want, 0), AHEAD) if type(want) is int else 1, names[: 2 * AHEAD]


def unreadable() -> JsonResponse:
    return JsonResponse({"error": _("The request could not be read.")}, status=400)


def too_many() -> JsonResponse:
    return JsonResponse({"error": _("Send at most %(most)d events at once.") % {"most": work.BATCH}}, status=413)
