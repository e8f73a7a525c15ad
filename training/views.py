"""Editors, and starting candidate generation."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from annotation.access import dataset_of
from annotation.models import Editor
from training import editors as services
from training import generation, queries
from training.forms import EditorForm, GenerationForm, initial_of
from training.models import TrainedEditor
from training.programs import program, programs
from webapp.accounts.access import engineers, may_change, user_of
from webapp.core.paging import page_of


@engineers
def editors(request: HttpRequest) -> HttpResponse:
    page = page_of(request, Editor.objects.makers())
    context = {"page": page, "rows": queries.rows_of(page.rows), "programs": programs()}
    return render(request, "editors/editors.html", context)


@engineers
def new_editor(request: HttpRequest, module: str) -> HttpResponse:
    """``?copy=SLUG`` starts from an editor of the same program."""
    found = program(module)
    if found is None:
        raise Http404
    copied = Editor.objects.filter(slug=request.GET.get("copy", ""), module=module).first()
    initial = initial_of(copied) if copied else None
    form = EditorForm(request.POST or None, request.FILES or None, program=found, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.create_editor(name=form.cleaned_data["name"], module=module, settings=form.settings())
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, _("The editor was made."))
            return redirect(made)
    return render(request, "editors/new.html", {"form": form, "program": found, "copied": copied})


@engineers
def editor(request: HttpRequest, slug: str) -> HttpResponse:
    found = get_object_or_404(Editor, slug=slug)
    return render(request, "editors/editor.html", queries.page_of_editor(found))


@engineers
@require_POST
def delete_editor(request: HttpRequest, slug: str) -> HttpResponse:
    found = get_object_or_404(Editor, slug=slug)
    card = TrainedEditor.objects.filter(editor=found).select_related("job").first()
    if card and not may_change(user_of(request), card.job.created_by_id if card.job else None):
        raise PermissionDenied(_("This editor was trained by somebody else. Ask them or an admin."))
    try:
        services.delete_editor(editor=found)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect(found)
    messages.success(request, _("The editor was deleted."))
    return redirect("editors")


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
    context = {"form": form, "dataset": dataset, "estimates": queries.estimates()}
    return render(request, "generation/new.html", context)
