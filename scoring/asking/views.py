"""Judges, and scoring a data set."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from annotation.access import dataset_of
from annotation.models import Dataset
from scoring.asking import judges as services
from scoring.asking import queries
from scoring.asking.backends import backend, backends
from scoring.asking.datasets import start_all
from scoring.asking.forms import JudgeForm, ScoreForm, beside
from scoring.asking.queries import Wish
from scoring.models import Judge
from webapp.accounts.access import engineers, may_change, user_of
from webapp.core.paging import page_of


@engineers
def judges(request: HttpRequest) -> HttpResponse:
    page = page_of(request, Judge.objects.select_related("created_by"))
    context = {"page": page, "rows": queries.rows_of(page.rows), "backends": backends()}
    return render(request, "judges/judges.html", context)


@engineers
def new_judge(request: HttpRequest, kind: str) -> HttpResponse:
    found = backend(kind)
    if found is None:
        raise Http404
    form = JudgeForm(request.POST or None, backend=found)
    if request.method == "POST" and form.is_valid():
        data, by = form.cleaned_data, user_of(request)
        try:
            made = services.create_judge(
                name=data["name"], kind=kind, settings=form.settings.cleaned_data, passes=data["passes"], by=by
            )
        except ValidationError as error:
            beside(form, error)
        else:
            messages.success(request, _("The judge was made."))
            return redirect(made)
    return render(request, "judges/new.html", {"form": form, "backend": found})


@engineers
def judge(request: HttpRequest, slug: str) -> HttpResponse:
    found = get_object_or_404(Judge.objects.select_related("created_by"), slug=slug)
    may = may_change(user_of(request), found.created_by_id)
    return render(request, "judges/judge.html", {**queries.page_of_judge(found), "may_change": may})


@engineers
@require_POST
def delete_judge(request: HttpRequest, slug: str) -> HttpResponse:
    found = get_object_or_404(Judge, slug=slug)
    if not may_change(user_of(request), found.created_by_id):
        raise PermissionDenied(_("This belongs to somebody else. Ask them or an admin."))
    try:
        services.delete_judge(judge=found)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect(found)
    messages.success(request, _("The judge was deleted."))
    return redirect("judges")


# Scoring a data set --------------------------------------------------------------------------------------------------


@engineers
def score_dataset(request: HttpRequest, uid: UUID) -> HttpResponse:
    """GET shows how much there is to score; POST starts the jobs. Any engineer may: scores change no candidate."""
    found = dataset_of(request, uid)
    cells = queries.cells_of(found)
    form = ScoreForm(request.POST or request.GET or None, dataset=found, cells=cells)
    wish = _wish(found, form) if form.is_valid() else None
    estimate = queries.estimate(wish, cells, [one.task for one in form.choices]) if wish else None
    if request.method == "POST" and wish and estimate:
        try:
            jobs = start_all(
                wish=wish, estimate=estimate, most_cost=form.cleaned_data["most_cost"], by=user_of(request)
            )
        except ValidationError as error:
            beside(form, error)
        else:
            message = ngettext("%(n)d scoring job was started.", "%(n)d scoring jobs were started.", len(jobs))
            messages.success(request, message % {"n": len(jobs)})
            return redirect(jobs[0]) if len(jobs) == 1 else redirect("hard_cases", found.uid)
    return render(request, "scoring/new.html", _page(found, form, estimate))


def _wish(dataset: Dataset, form: ScoreForm) -> Wish:
    data = form.cleaned_data
    editors = {slug: form.editor_keys[slug] for slug in data["editors"]}
    return Wish(dataset, data["judge"], form.wanted(), data["splits"], editors)


def _page(dataset: Dataset, form: ScoreForm, estimate: queries.Estimate | None) -> dict[str, Any]:
    running = queries.running_for(dataset)
    return {"dataset": dataset, "form": form, "estimate": estimate, "running": running}
