"""Data sets, cases and images, for engineers and admins."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from annotation import imports, queries
from annotation.access import dataset_of
from annotation.forms import UploadForm, UploadIntoForm
from annotation.models import Case, Dataset, Split, StoredImage
from webapp.accounts.access import engineers, may_change, signed_in, user_of
from webapp.core.paging import page_of


@engineers
def datasets(request: HttpRequest) -> HttpResponse:
    page = page_of(request, Dataset.objects.select_related("created_by"))
    rows = list(zip(page.rows, queries.dataset_figures(page.rows), strict=True))
    return render(request, "library/datasets.html", {"page": page, "rows": rows})


@engineers
def dataset(request: HttpRequest, uid: UUID) -> HttpResponse:
    found = dataset_of(request, uid)
    chosen = {name: request.GET.get(name, "") for name in ("task", "split", "text")}
    context = {
        "dataset": found,
        "figures": queries.dataset_figures([found])[0],
        "tasks": queries.tasks_of(found),
        "editors": queries.editors_of(found),
        "splits": Split.choices,
        "chosen": chosen,
        "page": page_of(request, queries.cases_of(found, **chosen), size=24, newest_first=False),
        "may_change": may_change(user_of(request), found.created_by_id),
    }
    return render(request, "library/dataset.html", context)


@engineers
def case(request: HttpRequest, uid: UUID) -> HttpResponse:
    rows = Case.objects.select_related("dataset", "source", "mask", "task")
    found = get_object_or_404(rows, uid=uid)
    candidates = found.candidates.select_related("image", "editor", "job").order_by("editor__slug", "seed")
    return render(request, "library/case.html", {"case": found, "dataset": found.dataset, "candidates": candidates})


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
