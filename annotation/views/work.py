"""The annotator's side: my work, the annotation pages and what they send."""

import json
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from annotation import leases, pages, queries, studies, work
from annotation.access import assignment_of, member_of
from webapp.accounts.access import api_signed_in, signed_in, user_of

AHEAD = 8  # the most items that a page may hold at once


@signed_in
def my_work(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    studies.join_invited(user)
    return render(request, "work/my_work.html", {"rows": queries.work_of(user)})


@signed_in
def workplace(request: HttpRequest, uid: UUID) -> HttpResponse:
    """The rating, ranking or pairwise page of a study."""
    member = member_of(request, uid)
    value = pages.study_value(member)
    return render(request, f"work/{value['kind']}.html", {"study": member.study, "value": value})


def _body(request: HttpRequest) -> dict[str, Any] | None:
    try:
        value = json.loads(request.body)
    except (ValueError, RecursionError):  # the second: nested thousands of levels deep
        return None
    return value if isinstance(value, dict) else None


def _wish(body: dict[str, Any]) -> tuple[int, list[str]]:
    """How many assignments the page wants to hold, and which it has."""
    want, have = body.get("want"), body.get("have")
    names = [str(uid) for uid in have] if isinstance(have, list) else []
    return min(max(want, 0), AHEAD) if type(want) is int else 1, names[: 2 * AHEAD]


def _unreadable() -> JsonResponse:
    return JsonResponse({"error": _("The request could not be read.")}, status=400)


@api_signed_in
@require_POST
def next_items(request: HttpRequest, uid: UUID) -> HttpResponse:
    member, body = member_of(request, uid), _body(request)
    if body is None:
        return _unreadable()
    want, have = _wish(body)
    return JsonResponse(pages.more_work(member, leases.mine(member), want=want, have=have))


@api_signed_in
@require_POST
def events(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Store events; in the same answer give the next items, so that an item costs one request."""
    member, body = member_of(request, uid), _body(request)
    rows = body.get("events") if body else None
    if body is None or not isinstance(rows, list):
        return _unreadable()
    if len(rows) > work.BATCH:
        return JsonResponse({"error": _("Send at most %(most)d events at once.") % {"most": work.BATCH}}, status=413)
    outcome = work.record(member=member, events=[work.read_event(row) for row in rows])
    want, have = _wish(body)
    more = pages.more_work(member, outcome.assignments, want=want, have=have)
    answer = {"saved": outcome.saved, "refused": outcome.refused, "submitted": outcome.submitted}
    return JsonResponse({**answer, **more})


@api_signed_in
@require_POST
def back(request: HttpRequest, uid: UUID) -> HttpResponse:
    member, body = member_of(request, uid), _body(request)
    before = body.get("before") if body else None
    if body is None or not (before is None or work.is_uuid(str(before))):
        return _unreadable()
    found = work.step_back(member=member, before=before)
    values = pages.assignment_values([found] if found else [], member)
    return JsonResponse({"assignment": values[0] if values else None})


@signed_in
def image(request: HttpRequest, uid: UUID, letter: str) -> HttpResponse:
    """An image of one's own assignment. The address names a letter, so it tells nothing about who made the image."""
    found = pages.image_behind(assignment_of(request, uid), letter)
    if found is None:
        return HttpResponse(status=404)
    response = HttpResponse(found.read_view(), content_type="image/webp")
    response.headers["Cache-Control"] = "private, max-age=86400, immutable"
    return response
