"""Benchmarks of editors, for engineers and admins. Filling is for any engineer, as generation and scoring are."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from scoring.asking.forms import beside
from training.editor_benchmarks import filling, queries, services, showing
from training.editor_benchmarks.comparing import compare
from training.editor_benchmarks.forms import EditorsForm, FillForm, NewForm
from training.editor_benchmarks.reading import read
from training.models import EditorBenchmark
from webapp.accounts.access import engineers, may_change, user_of
from webapp.core.paging import page_of


def _found(request: HttpRequest, slug: str, change: bool = False) -> EditorBenchmark:
    rows = EditorBenchmark.objects.select_related("dataset", "judge", "base", "created_by")
    found = get_object_or_404(rows, slug=slug)
    if change and not may_change(user_of(request), found.created_by_id):
        raise PermissionDenied(_("This benchmark is somebody else's. Ask them or an admin."))
    return found


@engineers
def editor_benchmarks(request: HttpRequest) -> HttpResponse:
    page = page_of(request, queries.benchmarks())
    return render(request, "editor_benchmarks/benchmarks.html", {"page": page})


@engineers
def new_editor_benchmark(request: HttpRequest) -> HttpResponse:
    """``?editor=SLUG&base=SLUG`` chooses these at first."""
    initial = {"editors": request.GET.getlist("editor"), "base": request.GET.get("base", "")}
    form = NewForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            return redirect(services.create(**form.wish(), by=user_of(request)))
        except ValidationError as error:
            beside(form, error)
    return render(request, "editor_benchmarks/new.html", {"form": form})


@engineers
def editor_benchmark(request: HttpRequest, slug: str) -> HttpResponse:
    return _page(request, _found(request, slug))


def _page(request: HttpRequest, found: EditorBenchmark, **forms: Any) -> HttpResponse:
    may = may_change(user_of(request), found.created_by_id)
    shown = {"fill_form": FillForm(), "editors_form": EditorsForm(benchmark=found) if may else None, **forms}
    context = {**queries.page(found, request.GET), **shown, "may_change": may}
    return render(request, "editor_benchmarks/benchmark.html", context)


@engineers
def editor_benchmark_now(request: HttpRequest, slug: str) -> HttpResponse:
    """The moving part of the page."""
    found = _found(request, slug)
    context = {"benchmark": found, "progress": queries.progress_of(found, read(found)), "fill_form": FillForm()}
    return render(request, "editor_benchmarks/now.html", context)


@engineers
@require_POST
def fill_editor_benchmark(request: HttpRequest, slug: str) -> HttpResponse:
    """Make what is missing."""
    found, form = _found(request, slug), FillForm(request.POST)
    if form.is_valid():
        try:
            filling.fill(benchmark=found, most_cost=form.cleaned_data["most_cost"], by=user_of(request))
        except ValidationError as error:
            beside(form, error)
        else:
            messages.success(request, _("What is missing is being made."))
            return redirect(found)
    return _page(request, found, fill_form=form)


@engineers
@require_POST
def change_editor_benchmark(request: HttpRequest, slug: str) -> HttpResponse:
    """Who takes part."""
    found = _found(request, slug, change=True)
    form = EditorsForm(request.POST)
    if form.is_valid():
        editors, base = list(form.cleaned_data["editors"]), form.cleaned_data["base"]
        try:
            services.change_editors(benchmark=found, editors=editors, base=base)
        except ValidationError as error:
            beside(form, error)
        else:
            messages.success(request, _("The editors were changed."))
            return redirect(found)
    return _page(request, found, editors_form=form)


@engineers
def editor_benchmark_gallery(request: HttpRequest, slug: str) -> HttpResponse:
    """``?editor=SLUG`` is compared with the base."""
    found = _found(request, slug)
    asked = request.GET.get("editor", "")
    others = found.editors.filter(slug=asked) if asked else found.editors.order_by("slug")
    other = others.exclude(pk=found.base.pk).first() if found.base else None
    if other is None:
        raise Http404(_("There are no two editors to compare."))
    return render(request, "editor_benchmarks/gallery.html", queries.gallery(found, other, request.GET))


@engineers
def editor_benchmark_table(request: HttpRequest, slug: str) -> HttpResponse:
    """CSV; ``?set=common`` as on the page."""
    found = _found(request, slug)
    compared = compare(found, read(found), request.GET.get("set") == "common")
    response = HttpResponse(showing.table_csv(found, compared), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="benchmark-{found.slug}.csv"'
    return response


@engineers
@require_POST
def delete_editor_benchmark(request: HttpRequest, slug: str) -> HttpResponse:
    found = _found(request, slug, change=True)
    try:
        services.delete(benchmark=found)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect(found)
    messages.success(request, _("The benchmark was deleted. Images and scores stay."))
    return redirect("editor_benchmarks")
