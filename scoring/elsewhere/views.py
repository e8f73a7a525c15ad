"""Judgements made elsewhere: import, page of a set, its scores as CSV; for engineers and admins."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from scoring.elsewhere import queries, services
from scoring.elsewhere.forms import JudgementsForm
from scoring.models import JudgementSet
from webapp.accounts.access import engineers, may_change, user_of
from webapp.core.paging import page_of


@engineers
def judgement_sets(request: HttpRequest) -> HttpResponse:
    form = JudgementsForm(request.POST, request.FILES) if request.method == "POST" else JudgementsForm()
    if form.is_valid():
        try:
            made = services.import_judgements(by=user_of(request), **form.cleaned_data)
        except services.SameFile as same:
            messages.info(request, _("This file is here already. This is its page; nothing was kept twice."))
            return redirect(same.found)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, _("The judgements were read and kept."))
            return redirect(made)
    page = page_of(request, queries.judgement_sets())
    return render(request, "elsewhere/judgement_sets.html", {"form": form, "page": page})


@engineers
def judgement_set(request: HttpRequest, uid: UUID) -> HttpResponse:
    """``?row=N`` is a page of scores, ``?study=UID`` compares with a study that has the same candidates."""
    found = get_object_or_404(queries.judgement_set(uid))
    may = may_change(user_of(request), found.created_by_id)
    return render(
        request, "elsewhere/judgement_set.html", {**queries.page_of_set(found, request.GET), "may_change": may}
    )


@engineers
def judgement_scores(request: HttpRequest, uid: UUID) -> HttpResponseBase:
    found = get_object_or_404(queries.judgement_set(uid))
    if not found.scores:
        raise Http404(_("The figures are not computed yet."))
    response = StreamingHttpResponse(queries.scores_csv(found), content_type="text/csv; charset=utf-8")
    kind = f"{found.nature}-" if found.notice else ""
    name = f"{kind}{slugify(found.name) or found.uid}-scores.csv"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@engineers
@require_POST
def judgement_figures(request: HttpRequest, uid: UUID) -> HttpResponse:
    found = _mine(request, uid)
    try:
        services.start_figures(judgement_set=found, by=user_of(request))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, _("A job computes the figures anew."))
    return redirect(found)


@engineers
@require_POST
def delete_judgements(request: HttpRequest, uid: UUID) -> HttpResponse:
    found = _mine(request, uid)
    try:
        services.delete_judgements(judgement_set=found)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect(found)
    messages.success(request, _("The judgements were deleted."))
    return redirect("judgement_sets")


def _mine(request: HttpRequest, uid: UUID) -> JudgementSet:
    found = get_object_or_404(queries.judgement_set(uid))
    if not may_change(user_of(request), found.created_by_id):
        raise PermissionDenied(_("This belongs to somebody else. Ask them or an admin."))
    return found
