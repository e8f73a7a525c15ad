"""Instructions that a model proposed: the list, the job that asks for more, and the review page."""

import json
from uuid import UUID

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from annotation.access import dataset_of
from annotation.instructions import propose, queries, review
from annotation.instructions.forms import ProposeForm
from annotation.models import ProposalState
from webapp.accounts.access import api_signed_in, engineers, user_of
from webapp.core.paging import page_of


@engineers
def proposals(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Any engineer may ask for proposals and review them: they add cases and change none that is there."""
    found = dataset_of(request, uid)
    form = ProposeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            job = propose.start_proposing(
                dataset=found,
                endpoint=data["endpoint"],
                tasks=data["tasks"],
                count=data["count"],
                limit=data["limit"] or 0,
                most_cost=data["most_cost"],
                by=user_of(request),
            )
        except ValidationError as error:
            form.add_error(None, list(error.messages))
        else:
            return redirect(job)
    chosen = {name: request.GET.get(name, "") for name in ("task", "state")}
    context = {
        "dataset": found,
        "form": form,
        "lines": queries.lines_of(found),
        "states": ProposalState.choices,
        "chosen": chosen,
        "page": page_of(request, queries.proposals_of(found, **chosen), size=30),
    }
    return render(request, "proposals/proposals.html", context)


@engineers
def review_page(request: HttpRequest, uid: UUID) -> HttpResponse:
    found = dataset_of(request, uid)
    value = review.page_value(found, user_of(request), task=request.GET.get("task", ""))
    return render(request, "proposals/review.html", {"dataset": found, "value": value, "sentences": review.sentences()})


@require_POST
@api_signed_in
@engineers
def review_events(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Carry out what a person decided, and give the next proposals in the same answer."""
    found = dataset_of(request, uid)
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):  # the second: nested thousands of levels deep
        body = None
    events = body.get("events", []) if isinstance(body, dict) else None
    if not isinstance(events, list):
        return JsonResponse({"error": _("The request could not be read.")}, status=400)
    if len(events) > review.BATCH:
        return JsonResponse({"error": _("Send at most %(n)d events at once.") % {"n": review.BATCH}}, status=413)
    user, task = user_of(request), body.get("task")
    outcome = review.apply_events(found, events, user)
    wish = {"have": body.get("have"), "want": body.get("want")}
    return JsonResponse({**outcome, **review.more(found, user, task=task if isinstance(task, str) else "", **wish)})
