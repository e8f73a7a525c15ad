"""A study's page with its figures, and exports."""

from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from annotation import queries
from annotation.access import study_of
from annotation.models import Study
from annotation.simulation.forms import SimulationForm
from annotation.simulation.truth import is_drawn
from scoring import services
from scoring.boards.views import context_of
from scoring.calibration.forms import SettleForm
from scoring.calibration.services import settle_unclear as settle
from scoring.exports import file_of, start_export
from scoring.forms import ExportForm
from scoring.models import UnclearPoint
from webapp.accounts.access import engineers, may_change, user_of
from webapp.accounts.models import User
from webapp.core.paging import page_of
from webapp.jobs.models import Job
from webapp.live.streams import stream


@engineers
def studies(request: HttpRequest) -> HttpResponse:
    page = page_of(request, queries.studies())
    rows = list(zip(page.rows, queries.study_progress(page.rows), strict=True))
    return render(request, "studies/studies.html", {"page": page, "rows": rows})


@engineers
def study(request: HttpRequest, uid: UUID) -> HttpResponse:
    found = study_of(request, uid)
    may = may_change(user_of(request), found.created_by_id)
    context = {
        **context_of(request, found, "overview"),
        "simulation": SimulationForm() if may and is_drawn(found.dataset) else None,
        "unclear": found.unclear_points.filter(settled_at=None).select_related(
            "candidate__image", "candidate__case__source", "by", "calibration"
        ),
        "form": ExportForm(initial={"table": "pairs" if found.protocol.kind != "rating" else "mos"}),
    }
    return render(request, "studies/study.html", context)


@engineers
def figures(request: HttpRequest, uid: UUID) -> HttpResponse:
    """The moving part of a study's page, fetched again when a judgement came in."""
    found = study_of(request, uid)
    return render(request, "studies/figures.html", context_of(request, found, "overview"))


@engineers
@require_POST
def ask_more(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Send groups on which people disagree to more annotators, once."""
    found = study_of(request, uid, change=True)
    count = services.ask_more_raters(study=found)
    message = ngettext("%(n)d group goes to more people.", "%(n)d groups go to more people.", count)
    messages.success(request, message % {"n": count})
    return redirect(found)


@engineers
@require_POST
def export(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Everybody who may see a study may take its figures out."""
    found, form = study_of(request, uid), ExportForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose a table and a format from the lists."))
        return redirect(found)
    data = form.cleaned_data
    by = user_of(request)
    return redirect(
        start_export(study=found, table=data["table"], format=data["format"], options=form.options(), by=by)
    )


@engineers
@require_POST
def settle_unclear(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Add words to the study's guidelines for a point that they left open, or put it aside."""
    point = get_object_or_404(UnclearPoint.objects.select_related("study"), uid=uid)
    found, form = study_of(request, point.study.uid, change=True), SettleForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("That is too long for one point: 5,000 characters at most."))
        return redirect(found)
    try:
        settle(point=point, words=form.cleaned_data["words"], by=user_of(request))
        messages.success(request, _("The guidelines have it.") if form.cleaned_data["words"] else _("Put aside."))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect(found)


@engineers
def exports(request: HttpRequest) -> HttpResponse:
    page = page_of(request, Job.objects.filter(kind="export").select_related("created_by"))
    return render(request, "exports/exports.html", {"page": page})


@engineers
def export_file(request: HttpRequest, uid: UUID) -> HttpResponseBase:
    path = file_of(get_object_or_404(Job, uid=uid, kind="export"))
    if path is None:
        raise Http404
    return FileResponse(path.open("rb"), as_attachment=True, filename=path.name)


async def live(request: HttpRequest, uid: UUID) -> HttpResponseBase:
    """Events of one study: a judgement came in."""
    if not await sync_to_async(_may_watch)(await request.auser(), uid):
        return HttpResponse(status=404)
    return await stream(request, f"study:{uid}")


def _may_watch(user: User | AnonymousUser, uid: UUID) -> bool:
    return isinstance(user, User) and user.is_engineer and Study.objects.filter(uid=uid).exists()
