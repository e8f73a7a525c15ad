"""Judges compared: stored votes of judges beside people's, for engineers and admins."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from scoring.models import VoteSet
from scoring.votes import queries, services
from scoring.votes.forms import VotesForm
from scoring.votes.table import table_csv
from webapp.accounts.access import engineers, may_change, user_of
from webapp.core.paging import page_of


@engineers
def vote_sets(request: HttpRequest) -> HttpResponse:
    form = VotesForm(request.POST, request.FILES) if request.method == "POST" else VotesForm()
    if form.is_valid():
        try:
            made = services.create_vote_set(by=user_of(request), **form.cleaned_data)
        except services.SameFile as same:
            messages.info(request, _("This file is here already. This is its page; nothing was kept twice."))
            return redirect("vote_set", same.found.uid)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, _("The votes were read and kept."))
            return redirect("vote_set", made.uid)
    return render(request, "votes/vote_sets.html", {"form": form, "page": page_of(request, queries.vote_sets())})


@engineers
def vote_set(request: HttpRequest, uid: UUID) -> HttpResponse:
    """``?one=JUDGE&other=JUDGE`` compares two of its judges."""
    found = _found(uid)
    may = may_change(user_of(request), found.created_by_id)
    return render(request, "votes/vote_set.html", {**queries.page_of_set(found, request.GET), "may_change": may})


@engineers
def vote_set_table(request: HttpRequest, uid: UUID) -> HttpResponse:
    found = _found(uid)
    name = f"judges-{slugify(found.name) or found.uid}.csv"
    response = HttpResponse(table_csv(found), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@engineers
@require_POST
def delete_vote_set(request: HttpRequest, uid: UUID) -> HttpResponse:
    found = get_object_or_404(queries.vote_sets(), uid=uid)
    if not may_change(user_of(request), found.created_by_id):
        raise PermissionDenied(_("This belongs to somebody else. Ask them or an admin."))
    services.delete_vote_set(vote_set=found)
    messages.success(request, _("The votes were deleted."))
    return redirect("vote_sets")


def _found(uid: UUID) -> VoteSet:
    return get_object_or_404(VoteSet.objects.select_related("created_by"), uid=uid)
