"""Benchmarks of scorers, for engineers and admins; importing files and model work are for admins."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from scoring.asking.forms import beside
from training.benchmarks import queries, services, showing
from training.benchmarks.forms import ImportForm, MakeForm, RunForm
from training.models import Benchmark
from webapp.accounts.access import admins, engineers, may_change, user_of
from webapp.core.paging import page_of


@engineers
def benchmarks(request: HttpRequest) -> HttpResponse:
    """The list; POST makes a labelled set a benchmark."""
    form = MakeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.make(labelled_set=form.cleaned_data["labelled_set"], by=user_of(request))
        except ValidationError as error:
            beside(form, error)
        else:
            messages.success(request, _("The set is a benchmark now. Its figures are being computed."))
            return redirect(made)
    page = page_of(request, queries.benchmarks())
    return render(request, "benchmarks/benchmarks.html", {"page": page, "form": form})


@admins
def import_benchmark(request: HttpRequest) -> HttpResponse:
    """Published files in a folder on the server become a labelled set and a benchmark."""
    form = ImportForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        task = data["task"].pk if data["task"] else ""
        try:
            made = services.start_import(**{**data, "task": task}, by=user_of(request))
        except ValidationError as error:
            beside(form, error)
        else:
            return redirect(made.job) if made.job else redirect("benchmarks")
    return render(request, "benchmarks/import.html", {"form": form, "abouts": queries.layouts()})


@engineers
def benchmark(request: HttpRequest, slug: str) -> HttpResponse:
    """The figures; POST runs a scorer, for any engineer: scores change no candidate."""
    found = _found(slug)
    form = RunForm(request.POST or None, benchmark=found)
    if request.method == "POST" and form.is_valid():
        try:
            job = services.start_run(benchmark=found, by=user_of(request), **form.cleaned_data)
        except ValidationError as error:
            beside(form, error)
        else:
            return redirect(job)
    may = may_change(user_of(request), found.created_by_id)
    context = {**queries.page(found, request.GET), "form": form, "may_change": may}
    return render(request, "benchmarks/benchmark.html", context)


@engineers
@require_POST
def refresh_benchmark(request: HttpRequest, slug: str) -> HttpResponse:
    """Compute all figures anew from the scores as they are."""
    made = services.start_computing(benchmark=_found(slug), by=user_of(request))
    return redirect(made.job) if made.job else redirect(made)


@engineers
def benchmark_table(request: HttpRequest, slug: str) -> HttpResponse:
    found = _found(slug)
    content = showing.table_csv(found, queries.results_of(found))
    response = HttpResponse(content, content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="benchmark-{found.labelled_set.slug}.csv"'
    return response


@engineers
@require_POST
def delete_benchmark(request: HttpRequest, slug: str) -> HttpResponse:
    found = _found(slug)
    if not may_change(user_of(request), found.created_by_id):
        raise PermissionDenied(_("This belongs to somebody else. Ask them or an admin."))
    try:
        services.delete(benchmark=found)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect(found)
    messages.success(request, _("The benchmark was deleted. Its scores and its set stay."))
    return redirect("benchmarks")


def _found(slug: str) -> Benchmark:
    rows = Benchmark.objects.select_related("labelled_set__dataset", "created_by", "job")
    return get_object_or_404(rows, labelled_set__slug=slug)
