"""What the output checks set aside, for a person to look at."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from annotation import faults
from annotation.access import dataset_of
from annotation.models import Candidate, Fault
from webapp.accounts.access import engineers, user_of
from webapp.core.paging import page_of

PER_PAGE = 24
UNMADE_SHOWN = 30


@engineers
def review(request: HttpRequest, uid: UUID) -> HttpResponse:
    """The images with a fault, filtered by editor, fault and decision; above them the counts of every editor."""
    dataset = dataset_of(request, uid)
    chosen = {name: request.GET.get(name, "") for name in ("editor", "fault", "state")}
    rows = faults.found_in(dataset).select_related("image", "case__source", "case__task", "editor")
    if chosen["editor"]:
        rows = rows.filter(editor__slug=chosen["editor"])
    if chosen["fault"] in Fault.values:
        rows = rows.filter(fault=chosen["fault"])
    if chosen["state"] in faults.STATES:
        rows = faults.in_state(rows, chosen["state"])
    context = {
        "dataset": dataset,
        "page": page_of(request, rows, PER_PAGE),
        "editors": faults.by_editor(dataset),
        "faults": Fault.choices,
        "unmade": faults.unmade_in(dataset)[:UNMADE_SHOWN],
        "chosen": chosen,
    }
    return render(request, "library/faults.html", context)


@engineers
@require_POST
def decide(request: HttpRequest, uid: UUID) -> HttpResponse:
    """One decision; the answer is the image's card alone, so that the page keeps its place."""
    rows = Candidate.objects.select_related("image", "case__source", "case__dataset", "editor")
    candidate = get_object_or_404(rows, uid=uid)
    try:
        faults.decide(candidate=candidate, decision=request.POST.get("decision", ""), by=user_of(request))
    except ValidationError as error:
        return HttpResponse(" ".join(error.messages), status=400, content_type="text/plain; charset=utf-8")
    if "HX-Request" not in request.headers:
        return redirect("faults", candidate.case.dataset.uid)
    return render(request, "library/fault.html", {"candidate": candidate})


@engineers
@require_POST
def check(request: HttpRequest, uid: UUID) -> HttpResponse:
    job = faults.start_checks(dataset=dataset_of(request, uid), by=user_of(request))
    messages.success(request, job.title)
    return redirect(job)
