"""The annotator's side: my work, the annotation pages and what they send."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from annotation import leases, pages, queries, sessions, studies, work
from annotation.access import assignment_of, member_of
from annotation.entry import gate
from annotation.entry.gate import Step
from annotation.models import PRACTICE, Assignment, Member
from annotation.views import requests
from webapp.accounts.access import api_signed_in, signed_in, user_of


@signed_in
def my_work(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    studies.join_invited(user)
    return render(request, "work/my_work.html", {"rows": queries.work_of(user)})


@signed_in
def workplace(request: HttpRequest, uid: UUID) -> HttpResponse:
    """The rating, ranking or pairwise page of a study, for those who passed the way in."""
    member = member_of(request, uid)
    if gate.step_of(member):
        return redirect("way_in", uid)
    value = pages.study_value(member)
    value["urls"]["guidelines"] = reverse("work_guidelines", args=[uid])
    return render(request, f"work/{value['kind']}.html", {"study": member.study, "value": value})


def _live(rows: list[Assignment]) -> list[Assignment]:
    """Without practice that was left undone: somebody may have been let in by hand."""
    return [row for row in rows if row.unit.purpose not in PRACTICE]


def _closed(member: Member, step: Step) -> dict[str, str]:
    """What the annotation page is told where the way in is not passed, or not any more."""
    words = {
        Step.CONSENT: _("Before you work here, agree to the terms of the study."),
        Step.GUIDELINES: _("There are guidelines to read before you go on. What you answered is saved."),
        Step.VIEWING: _("Before you work here, check your screen."),
        Step.TRAINING: _("Before you work here, go through the training."),
        Step.QUALIFICATION: _("Before you work here, pass the qualification test."),
        Step.FAILED: _("You did not pass the qualification test, so you cannot work in this study."),
    }
    return {"title": "", "sentence": words[step], "go": reverse("way_in", args=[member.study.uid])}


def _refused(member: Member, step: Step) -> JsonResponse:
    closed = _closed(member, step)
    return JsonResponse({"error": closed["sentence"], "go": closed["go"]}, status=403)


@api_signed_in
@require_POST
def next_items(request: HttpRequest, uid: UUID) -> HttpResponse:
    member, body = member_of(request, uid), requests.body_of(request)
    if body is None:
        return requests.unreadable()
    if step := gate.step_of(member):
        return _refused(member, step)
    want, have = requests.wish_of(body)
    return JsonResponse(pages.more_work(member, _live(leases.mine(member)), want=want, have=have))


@api_signed_in
@require_POST
def events(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Store events; in the same answer give the next items, so that an item costs one request.

    What belongs to items that were given out is stored even where the way in has closed since: nothing is lost.
    """
    member, body = member_of(request, uid), requests.body_of(request)
    rows = requests.events_of(body)
    if body is None or rows is None:
        return requests.unreadable()
    if len(rows) > work.BATCH:
        return requests.too_many()
    incoming, step = [work.read_event(row) for row in rows], gate.step_of(member)
    if step and not _holds_any(member, incoming):
        return _refused(member, step)
    outcome = work.record(member=member, events=incoming)
    want, have = requests.wish_of(body)
    answer = {"saved": outcome.saved, "refused": outcome.refused, "submitted": outcome.submitted}
    if step:
        closed: dict[str, Any] = {
            "assignments": [],
            "progress": sessions.progress_of(member),
            "break": None,
            "done": None,
        }
        return JsonResponse({**answer, **closed, "step": _closed(member, step)})
    return JsonResponse({**answer, **pages.more_work(member, _live(outcome.assignments), want=want, have=have)})


def _holds_any(member: Member, incoming: list[work.Incoming]) -> bool:
    """Whether one of the events belongs to an item that this annotator was given."""
    uids = {event.assignment for event in incoming if not event.problem}
    return Assignment.objects.filter(study=member.study, annotator=member.user, uid__in=uids).exists()


@api_signed_in
@require_POST
def back(request: HttpRequest, uid: UUID) -> HttpResponse:
    member, body = member_of(request, uid), requests.body_of(request)
    before = body.get("before") if body else None
    if body is None or not (before is None or work.is_uuid(str(before))):
        return requests.unreadable()
    if step := gate.step_of(member):
        return _refused(member, step)
    found = work.step_back(member=member, before=before)
    values: list[dict[str, Any]] = pages.assignment_values([found] if found else [], member)
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
