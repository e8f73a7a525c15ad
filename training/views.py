"""Starting candidate generation."""

from uuid import UUID

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from annotation.access import dataset_of
from training import generation
from training.forms import GenerationForm
from webapp.accounts.access import engineers, user_of


@engineers
def generate(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Any engineer may make candidates of any data set: they are added to it and change nothing that is there."""
    dataset = dataset_of(request, uid)
    form = GenerationForm(request.POST or None, dataset=dataset)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            job = generation.start_generation(
                dataset=dataset,
                editors=list(data["editors"]),
                seeds=data["seeds"],
                tasks=data["tasks"],
                splits=data["splits"],
                sample=data["sample"] or 0,
                limit=data["limit"] or 0,
                by=user_of(request),
            )
        except ValidationError as error:
            form.add_error(None, list(error.messages))
        else:
            return redirect(job)
    return render(request, "generation/new.html", {"form": form, "dataset": dataset})
