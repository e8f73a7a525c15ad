"""The scores of a data set: what they are, the candidates behind them, and the hard cases they leave."""

from uuid import UUID

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from annotation import filters
from annotation.access import dataset_of
from scoring.asking.forms import beside
from scoring.asking.queries import running_for
from scoring.filtering import pages, queries, services
from scoring.filtering.forms import FilterForm
from webapp.accounts.access import engineers, user_of
from webapp.core.paging import page_of


@engineers
def hard_cases(request: HttpRequest, uid: UUID) -> HttpResponse:
    """GET shows the scores and what a rule would do; POST makes the filtered set. Any engineer may: it is theirs."""
    found = dataset_of(request, uid)
    tasks = queries.scorers_of(found)
    form = FilterForm(request.POST or request.GET or None, tasks=tasks)
    if request.method == "POST" and form.tasks and form.is_valid():
        name = form.cleaned_data["name"]
        try:
            job = services.start_filtering(dataset=found, name=name, rule=form.rule(), by=user_of(request))
        except ValidationError as error:
            beside(form, error)
        else:
            return redirect(job)
    context = {**pages.page(found, tasks, form), "running": running_for(found)}
    return render(request, "filtering/hard_cases.html", context)


@engineers
def scored_candidates(request: HttpRequest, uid: UUID) -> HttpResponse:
    """A contact sheet of the candidates that have a score, or a reason for none."""
    found = dataset_of(request, uid)
    offered = filters.chosen(queries.list_filters(queries.scorers_of(found)), request.GET)
    page = queries.loaded(page_of(request, queries.scored(found, offered.values), size=120))
    notices = sorted({score.judge.notice for score in page if score.judge.notice})
    context = {"dataset": found, "filters": offered, "page": page, "notices": notices}
    return render(request, "filtering/scored.html", context)
