"""Starting a simulation. Its form is on the study's page."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from annotation.access import study_of
from annotation.simulation.forms import SimulationForm
from annotation.simulation.job import start_simulation
from webapp.accounts.access import engineers, user_of


@engineers
@require_POST
def simulate(request: HttpRequest, uid: UUID) -> HttpResponse:
    study, form = study_of(request, uid, change=True), SimulationForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Give a whole number of annotators of each kind, and a seed."))
        return redirect(study)
    try:
        job = start_simulation(
            study=study, annotators=form.annotators(), seed=form.cleaned_data["seed"], by=user_of(request)
        )
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect(study)
    return redirect(job)
