"""Sweeps: the list, a new one, its grid with curves and table, what is done to all of its runs."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from scoring.asking.forms import beside
from training.models import Sweep
from training.runs import queries as runs
from training.runs import watching
from training.runs.forms import initial_of
from training.runs.settings import preset_values
from training.runs.sweeps import queries, services
from training.runs.sweeps.forms import SweepForm, ablation
from webapp.accounts.access import admins, engineers, may_change, user_of
from webapp.core.paging import page_of


@engineers
def sweeps(request: HttpRequest) -> HttpResponse:
    page = page_of(request, queries.sweeps())
    rows = [(sweep, queries.described(sweep)) for sweep in page.rows]
    return render(request, "sweeps/sweeps.html", {"page": page, "rows": rows})


@admins
def new_sweep(request: HttpRequest) -> HttpResponse:
    """GET with the form's values shows the grid and what it comes to; POST starts all runs. Admins alone, as for runs.

    ``?like=UID`` begins with the values of a run, ``?ablation=rank`` or ``data`` with what HP-Edit varied.
    """
    given = request.POST or (request.GET if "preset" in request.GET else None)
    form = SweepForm(given, initial=_initial(request))
    preview = None
    if form.is_valid():
        plan = form.plan()
        if request.method == "POST":
            try:
                return redirect(services.start_sweep(plan=plan, by=user_of(request)))
            except ValidationError as error:
                beside(form, error)
        preview = services.preview(plan)
    context = {
        "form": form,
        "preview": preview,
        "presets": preset_values(),
        "modules": form.modules(),
        "map": watching.reward_chart(form.shape()),
        "like": request.GET.get("like", ""),
    }
    return render(request, "sweeps/new.html", context)


def _initial(request: HttpRequest) -> dict[str, Any]:
    chosen = ablation(request.GET.get("ablation", ""))
    named = runs.named([request.GET.get("like", "")])
    like = initial_of(named[0]) if named else {}
    return {**({"preset": "hp-edit"} if chosen and not like else {}), **like, **chosen}


def _found(request: HttpRequest, slug: str, change: bool = False) -> Sweep:
    found = get_object_or_404(Sweep.objects.select_related("created_by"), slug=slug)
    if change and not may_change(user_of(request), found.created_by_id):
        raise PermissionDenied(_("This sweep is somebody else's. Ask them or an admin."))
    return found


def _context(request: HttpRequest, found: Sweep) -> dict[str, Any]:
    page = page_of(request, queries.runs_of(found), size=queries.TABLE, newest_first=False)
    return {
        **queries.page_of_sweep(found, request.GET),
        "page": page,
        "rows": queries.shown(found, page.rows),
        "may_change": may_change(user_of(request), found.created_by_id),
    }


@engineers
def sweep(request: HttpRequest, slug: str) -> HttpResponse:
    return render(request, "sweeps/sweep.html", _context(request, _found(request, slug)))


@engineers
def sweep_now(request: HttpRequest, slug: str) -> HttpResponse:
    """The moving part of a sweep's page, fetched again while runs are at work."""
    return render(request, "sweeps/now.html", _context(request, _found(request, slug)))


@engineers
def sweep_table(request: HttpRequest, slug: str) -> HttpResponseBase:
    found = _found(request, slug)
    response = StreamingHttpResponse(queries.table_csv(found), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="sweep-{found.slug}.csv"'
    return response


@engineers
@require_POST
def sweep_cancel(request: HttpRequest, slug: str) -> HttpResponse:
    found = _found(request, slug, change=True)
    n = services.cancel_all(sweep=found)
    words = ngettext("%(n)d run stops and keeps its place.", "%(n)d runs stop and keep their place.", n)
    messages.success(request, words % {"n": n})
    return redirect(found)


@engineers
@require_POST
def sweep_resume(request: HttpRequest, slug: str) -> HttpResponse:
    found = _found(request, slug, change=True)
    n, waiting = services.resume_all(sweep=found)
    messages.success(request, ngettext("%(n)d run goes on.", "%(n)d runs go on.", n) % {"n": n})
    if waiting:
        words = ngettext(
            "%(n)d run waits for an answer to its watch. Give it on the run's page.",
            "%(n)d runs wait for an answer to their watch. Give it on the runs' pages.",
            waiting,
        )
        messages.warning(request, words % {"n": waiting})
    return redirect(found)


@engineers
@require_POST
def delete_sweep(request: HttpRequest, slug: str) -> HttpResponse:
    services.delete_sweep(sweep=_found(request, slug, change=True))
    messages.success(request, _("The sweep was deleted. Its runs and their editors stay."))
    return redirect("sweeps")
