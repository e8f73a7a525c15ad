"""Blind proofs: the list, the form, a proof's page with its figures, its pairs and its table."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from annotation.models import Editor
from scoring.asking.forms import beside
from training.models import Proof
from training.proof import queries, services, starting, table
from training.proof.forms import ProofForm
from webapp.accounts.access import engineers, may_change, user_of
from webapp.core.paging import page_of


@engineers
def proofs(request: HttpRequest) -> HttpResponse:
    page = page_of(request, queries.proofs())
    return render(request, "proofs/proofs.html", {"page": page, "rows": queries.listed(page.rows)})


@engineers
def new_proof(request: HttpRequest, slug: str) -> HttpResponse:
    """Any engineer may, as with generation and studies: it changes neither editor."""
    trained = get_object_or_404(Editor, slug=slug)
    form = ProofForm(request.POST or None, trained=trained)
    if request.method == "POST" and form.is_valid():
        try:
            made = starting.start_proof(
                base=form.cleaned_data["base"], trained=trained, wish=form.wish(), by=user_of(request)
            )
        except ValidationError as error:
            beside(form, error)
        else:
            return redirect(made)
    return render(request, "proofs/new.html", {"form": form, "trained": trained})


def _found(request: HttpRequest, uid: UUID, change: bool = False) -> Proof:
    found = get_object_or_404(queries.proofs(), uid=uid)
    if change and not may_change(user_of(request), found.created_by_id):
        raise PermissionDenied(_("This belongs to somebody else. Ask them or an admin."))
    return found


@engineers
def proof(request: HttpRequest, uid: UUID) -> HttpResponse:
    found = _found(request, uid)
    may = may_change(user_of(request), found.created_by_id)
    return render(request, "proofs/proof.html", {**queries.page_of(found), "may_change": may})


@engineers
def proof_now(request: HttpRequest, uid: UUID) -> HttpResponse:
    """The moving part of a proof's page, fetched again when a judgement came in."""
    found = _found(request, uid)
    may = may_change(user_of(request), found.created_by_id)
    return render(request, "proofs/now.html", {**queries.moving(found), "may_change": may})


@engineers
@require_POST
def proof_begin(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Begin with the images that are there, though the job that makes them was stopped."""
    found = _found(request, uid, change=True)
    try:
        services.begin_anyway(proof=found)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect(found)


@engineers
def proof_pairs(request: HttpRequest, uid: UUID) -> HttpResponse:
    return render(request, "proofs/pairs.html", queries.pairs_page(_found(request, uid), request.GET.get("from", "")))


@engineers
def proof_table(request: HttpRequest, uid: UUID) -> HttpResponseBase:
    found = _found(request, uid)
    response = StreamingHttpResponse(table.rows_of(found), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="proof-{found.pk}.csv"'
    return response
