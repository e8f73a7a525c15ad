"""What the sources of a data set show, which of them look the same, and balanced draws and splits."""

import json
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from annotation.access import dataset_of
from annotation.curation import hashing, pages, queries, services, tagging
from annotation.curation.categorisers import categorisers
from annotation.curation.forms import BalanceForm, SplitsForm
from annotation.models import Dataset
from webapp.accounts.access import api_signed_in, engineers, may_change, user_of


@engineers
def categories(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Counts by category and task. Any engineer may categorise: it changes no case."""
    found = dataset_of(request, uid)
    ways = [(way, way.form(request.POST if _begins(request, way.name) else None)) for way in categorisers()]
    if request.method == "POST" and (address := _begun(request, found, ways)):
        return redirect(address)
    cells = queries.cells_of(found)
    context = {"ways": ways, "table": queries.table_of(cells), "figures": queries.source_figures(found)}
    return render(request, "library/categories.html", {"dataset": found, **context})


def _begins(request: HttpRequest, name: str) -> bool:
    return request.POST.get("begin") == name


def _begun(request: HttpRequest, dataset: Dataset, ways: list[tuple[Any, forms.Form]]) -> str:
    """Start the way that the button names. Returns where it goes on; nothing if its form has faults."""
    for way, form in ways:
        if _begins(request, way.name) and form.is_valid():
            try:
                address: str = way.begin(dataset=dataset, by=user_of(request), **form.cleaned_data)
            except ValidationError as error:
                form.add_error(None, list(error.messages))
            else:
                return address
    return ""


@engineers
@require_POST
def hash_sources(request: HttpRequest, uid: UUID) -> HttpResponse:
    return redirect(hashing.start_hashing(dataset=dataset_of(request, uid), by=user_of(request)))


@engineers
def duplicates(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Source images that look the same."""
    found = dataset_of(request, uid)
    divided = request.GET.get("divided") == "1"
    context = pages.duplicates(found, divided=divided, after=request.GET.get("after", ""))
    return render(request, "library/duplicates.html", {"dataset": found, **context})


@engineers
def tagging_page(request: HttpRequest, uid: UUID) -> HttpResponse:
    found = dataset_of(request, uid)
    value = tagging.page_value(found, check=request.GET.get("check") == "1")
    context = {"dataset": found, "value": value, "sentences": tagging.sentences()}
    return render(request, "library/tagging.html", context)


@require_POST
@api_signed_in
@engineers
def tagging_events(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Keep what a person said, and give the next images in the same answer."""
    found = dataset_of(request, uid)
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):  # the second: nested thousands of levels deep
        body = None
    events = body.get("events", []) if isinstance(body, dict) else None
    if not isinstance(events, list):
        return JsonResponse({"error": _("The request could not be read.")}, status=400)
    if len(events) > tagging.BATCH:
        return JsonResponse({"error": _("Send at most %(n)d events at once.") % {"n": tagging.BATCH}}, status=413)
    outcome = tagging.apply_events(found, events, user_of(request))
    check, after, want = body.get("check") is True, body.get("after"), body.get("want")
    return JsonResponse({**outcome, "images": tagging.images(found, check=check, after=after, want=want)})


@engineers
def balance(request: HttpRequest, uid: UUID) -> HttpResponse:
    """GET shows what the targets would draw; POST makes the data set. Any engineer may: the new one is theirs."""
    found = dataset_of(request, uid)
    cells = queries.cells_of(found)
    form = BalanceForm(request.POST or request.GET or None, supply=cells)
    if request.method == "POST" and form.is_valid():
        name = request.POST.get("name", "")
        try:
            made = services.make_balanced(dataset=found, name=name, recipe=form.recipe(), by=user_of(request))
        except ValidationError as error:
            form.add_error(None, list(error.messages))
        else:
            messages.success(request, _("The data set is made."))
            return redirect(made)
    return _balance_page(request, found, form, SplitsForm())


@engineers
@require_POST
def splits(request: HttpRequest, uid: UUID) -> HttpResponse:
    found = dataset_of(request, uid, change=True)
    form = SplitsForm(request.POST)
    if form.is_valid():
        data = form.cleaned_data
        try:
            services.apply_splits(dataset=found, fractions=form.fractions(), seed=data["seed"], near=data["near"])
        except ValidationError as error:
            form.add_error(None, list(error.messages))
        else:
            messages.success(request, _("The data set is divided."))
            return redirect("balance", found.uid)
    return _balance_page(request, found, BalanceForm(supply=queries.cells_of(found)), form)


def _balance_page(request: HttpRequest, found: Dataset, form: BalanceForm, splits_form: SplitsForm) -> HttpResponse:
    context = {
        "dataset": found,
        "form": form,
        "splits_form": splits_form,
        "name": request.POST.get("name", ""),
        "preview": pages.preview(form),
        "splits": queries.split_figures(found),
        "in_two_splits": queries.sources_in_two_splits(found),
        "may_change": may_change(user_of(request), found.created_by_id),
    }
    return render(request, "library/balance.html", context)
