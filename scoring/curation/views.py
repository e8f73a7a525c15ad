"""The best candidates of a scored data set: what a rule would keep, and the data set made of it."""

from uuid import UUID

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from annotation.access import dataset_of
from scoring.asking.forms import beside
from scoring.asking.queries import running_for
from scoring.curation import pages, services
from scoring.curation.forms import CurationForm
from scoring.filtering.queries import scorers_of
from webapp.accounts.access import engineers, user_of


@engineers
def curation(request: HttpRequest, uid: UUID) -> HttpResponse:
    """GET shows what a rule would keep; POST makes the curated set. Any engineer may: it is theirs."""
    found = dataset_of(request, uid)
    tasks = scorers_of(found)
    form = CurationForm(request.POST or request.GET or None, tasks=tasks)
    if request.method == "POST" and form.tasks and form.is_valid():
        name = form.cleaned_data["name"]
        try:
            job = services.start_curation(dataset=found, name=name, rule=form.rule(), by=user_of(request))
        except ValidationError as error:
            beside(form, error)
        else:
            return redirect(job)
    context = {**pages.page(found, tasks, form), "running": running_for(found)}
    return render(request, "curation/curation.html", context)
