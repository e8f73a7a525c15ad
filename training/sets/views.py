"""Training sets: the list, a new one, an import, the page of one and what people do there. For engineers and admins."""

from __future__ import annotations

from dataclasses import asdict

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from scoring.asking.forms import beside
from training.models import LabelledSet, SetState
from training.rewards.layouts import layout
from training.sets import freeze, imports, joining, queries, services
from training.sets.card import archive
from training.sets.forms import ImportForm, NewSetForm, RenameForm
from webapp.accounts.access import engineers, may_change, user_of
from webapp.core.paging import page_of
from webapp.jobs.folder import JobError

MOST_MARKS = 300_000  # that a preview reads


@engineers
def labelled_sets(request: HttpRequest) -> HttpResponse:
    page = page_of(request, queries.sets())
    for found in page:
        queries.shown(found)
    return render(request, "labelled_sets/labelled_sets.html", {"page": page})


@engineers
def new_labelled_set(request: HttpRequest) -> HttpResponse:
    """GET with the form's values shows what would be in it; POST makes it."""
    form = NewSetForm(request.POST or request.GET or None)
    shown = None
    if form.is_valid():
        studies, wish = list(form.cleaned_data["studies"]), form.wish()
        try:
            if request.method == "POST":
                name = form.cleaned_data["name"]
                made = services.start_from_studies(name=name, studies=studies, wish=wish, by=user_of(request))
                return redirect(made)
            services.slug_of(form.cleaned_data["name"])
            if joining.has_marks(studies) <= MOST_MARKS:
                shown = freeze.preview(studies, wish)
                shown |= queries.figures([asdict(one) for one in shown["dimensions"]], shown["facts"])
            else:
                messages.info(request, _("These studies are too large for a preview. The job counts everything."))
        except ValidationError as error:
            beside(form, error)
    return render(request, "labelled_sets/new.html", {"form": form, "preview": shown})


@engineers
def import_labelled_set(request: HttpRequest) -> HttpResponse:
    form = ImportForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            return redirect(imports.start_import(by=user_of(request), **form.values()))
        except ValidationError as error:
            beside(form, error)
    layouts = [layout(name) for name in imports.TRAINING]
    return render(request, "labelled_sets/import.html", {"form": form, "layouts": layouts})


def _found(request: HttpRequest, slug: str, change: bool = False) -> LabelledSet:
    found = get_object_or_404(queries.sets(), slug=slug)
    if change and not may_change(user_of(request), found.created_by_id):
        raise PermissionDenied(_("This training set is somebody else's. Ask them or an admin."))
    return found


@engineers
def labelled_set(request: HttpRequest, slug: str) -> HttpResponse:
    found = _found(request, slug)
    may = may_change(user_of(request), found.created_by_id)
    context = {
        **queries.page_of_set(queries.shown(found)),
        "may_change": may,
        "form": RenameForm(initial={"name": found.name}),
    }
    return render(request, "labelled_sets/labelled_set.html", context)


@engineers
def labelled_set_pairs(request: HttpRequest, slug: str) -> HttpResponse:
    """``?show=DIMENSION`` or ``?show=rejected``, from the place ``?after=N``."""
    found = _found(request, slug)
    first = found.dimensions[0]["key"] if found.dimensions else ""
    which, after = request.GET.get("show", first), request.GET.get("after", "0")
    start = int(after) if after.isascii() and after.isdigit() and len(after) < 9 else 0
    page = queries.pairs_page(found, which, start)
    return render(request, "labelled_sets/pairs.html", {"set": found, "page": page, "which": which})


@engineers
def labelled_set_file(request: HttpRequest, slug: str) -> HttpResponseBase:
    found = _found(request, slug)
    if found.state != SetState.READY:
        raise Http404
    try:
        file = archive(found)
    except JobError as error:
        raise Http404 from error
    return FileResponse(file, as_attachment=True, filename=f"{found.slug}.zip", content_type="application/zip")


@engineers
@require_POST
def rename_labelled_set(request: HttpRequest, slug: str) -> HttpResponse:
    found, form = _found(request, slug, change=True), RenameForm(request.POST)
    try:
        if not form.is_valid():
            raise ValidationError(_("Give a name of 1 to 120 characters."))
        services.rename(labelled_set=found, name=form.cleaned_data["name"])
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, _("The training set has another name. Its address stays."))
    return redirect("labelled_set", found.slug)


@engineers
@require_POST
def delete_labelled_set(request: HttpRequest, slug: str) -> HttpResponse:
    found = _found(request, slug, change=True)
    try:
        services.delete(labelled_set=found)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect(found)
    messages.success(request, _("The training set was deleted. Its data set and studies are still there."))
    return redirect("labelled_sets")
