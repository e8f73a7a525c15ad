"""Data sets, cases and images, for engineers and admins."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from annotation import browse, comparing, filters, imports, lineage, queries, statistics
from annotation.access import dataset_of
from annotation.figures import figures_of, sizes_of
from annotation.forms import UploadForm, UploadIntoForm
from annotation.models import Dataset, StoredImage
from webapp.accounts.access import engineers, may_change, signed_in, user_of
from webapp.core.paging import page_of


@engineers
def datasets(request: HttpRequest) -> HttpResponse:
    page = page_of(request, Dataset.objects.select_related("created_by"))
    rows = list(zip(page.rows, sizes_of(page.rows), strict=True))
    return render(request, "library/datasets.html", {"page": page, "rows": rows})


@engineers
def dataset(request: HttpRequest, uid: UUID) -> HttpResponse:
    found = dataset_of(request, uid)
    figures = figures_of(found)
    offered = filters.chosen(browse.case_filters(figures), request.GET)
    newest = offered.values.get("order") == browse.NEWEST
    context = {
        "dataset": found,
        "figures": figures,
        "filters": offered,
        "page": page_of(request, browse.cases_of(found, offered.values), size=24, newest_first=newest),
        "may_change": may_change(user_of(request), found.created_by_id),
    }
    return render(request, "library/dataset.html", context)


@engineers
def candidates(request: HttpRequest, uid: UUID) -> HttpResponse:
    """A contact sheet of a data set's candidates."""
    found = dataset_of(request, uid)
    offered = filters.chosen(browse.candidate_filters(found, request.GET), request.GET)
    newest = offered.values.get("order") == browse.NEWEST
    page = page_of(request, browse.candidates_of(found, offered.values), size=120, newest_first=newest)
    context = {"dataset": found, "filters": offered, "page": browse.loaded(page)}
    return render(request, "library/candidates.html", context)


@engineers
def statistics_page(request: HttpRequest, uid: UUID) -> HttpResponse:
    found = dataset_of(request, uid)
    origin = {"recipe": lineage.pretty(found.recipe), "jobs": lineage.jobs_of(found)}
    return render(request, "library/statistics.html", {"dataset": found, **statistics.of(found), **origin})


@engineers
def case(request: HttpRequest, uid: UUID) -> HttpResponse:
    found = lineage.case_of(uid)
    context = {"case": found, "dataset": found.dataset, "grid": comparing.grid_of(found)}
    return render(request, "library/case.html", context)


@engineers
def compare(request: HttpRequest, uid: UUID) -> HttpResponse:
    """One or two candidates of a case over each other and over the source."""
    found = lineage.case_of(uid)
    return render(request, "library/compare.html", {"value": comparing.value_of(found, request.GET.getlist("show"))})


@engineers
def candidate(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Where a candidate comes from and what became of it."""
    found = lineage.candidate_of(uid)
    context = {
        "candidate": found,
        "dataset": found.case.dataset,
        "settings_text": lineage.pretty(found.settings),
        "studies": lineage.studies_of(found),
    }
    return render(request, "library/candidate.html", context)


@engineers
def image(request: HttpRequest, uid: UUID) -> HttpResponse:
    """An image by its own address: for those who may know who made it. Annotators have addresses of their own."""
    found = get_object_or_404(StoredImage, uid=uid)
    response = HttpResponse(found.read_view(), content_type="image/webp")
    response.headers["Cache-Control"] = "private, max-age=86400, immutable"
    return response


@engineers
def new_import(request: HttpRequest) -> HttpResponse:
    form = UploadForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        job = imports.start_import(by=user_of(request), **form.cleaned_data)
        return redirect(job)
    return render(request, "library/import.html", {"form": form, "dataset": None})


@engineers
def import_into(request: HttpRequest, uid: UUID) -> HttpResponse:
    found = dataset_of(request, uid, change=True)
    form = UploadIntoForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        job = imports.start_import(archive=form.cleaned_data["archive"], by=user_of(request), dataset=found)
        return redirect(job)
    return render(request, "library/import.html", {"form": form, "dataset": found})


@signed_in
def attribution(request: HttpRequest) -> HttpResponse:
    """Where pictures come from and under which licences. Open to everybody who is signed in."""
    return render(request, "library/attribution.html", {"rows": queries.attributions()})
