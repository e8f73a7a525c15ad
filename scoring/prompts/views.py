"""Prompts, their versions, and the form in which a version begins."""

import re

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from scoring.models import Prompt, PromptVersion
from scoring.prompts import queries, services
from scoring.prompts.forms import PromptForm, VersionForm
from scoring.prompts.texts import shipped
from webapp.accounts.access import engineers, user_of
from webapp.core.paging import page_of

NUMBER = re.compile(r"[0-9]{1,9}")


@engineers
def prompts(request: HttpRequest) -> HttpResponse:
    """``?task=SLUG`` shows those of one task."""
    task = request.GET.get("task", "")
    page = page_of(request, queries.prompts(task), newest_first=False)
    context = {"page": page, "rows": queries.rows_of(page.rows), "tasks": queries.tasks_with_prompts(), "task": task}
    return render(request, "prompts/prompts.html", context)


@engineers
def new_prompt(request: HttpRequest) -> HttpResponse:
    form = PromptForm(request.POST or None, start=shipped()[0].versions[0].draft)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.create_prompt(**form.content(), by=user_of(request))
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, _("The prompt was made, with its first version."))
            return redirect(made)
    return render(request, "prompts/new_prompt.html", {"form": form})


@engineers
def prompt(request: HttpRequest, slug: str) -> HttpResponse:
    """``?trials=1`` shows the versions that programs tried, too."""
    found = get_object_or_404(Prompt.objects.select_related("task", "created_by"), slug=slug)
    trials = request.GET.get("trials") == "1"
    page = page_of(request, queries.versions(found, trials=trials))
    context = {
        "prompt": found,
        "page": page,
        "rows": queries.version_rows(found, page.rows),
        "newest": queries.newest_of(found),
        "trials": trials,
    }
    return render(request, "prompts/prompt.html", context)


@engineers
def version(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """``?with=NUMBER`` compares it with that version instead of its parent."""
    found = _version(slug, number)
    given = request.GET.get("with", "")
    other = queries.version_of(found.prompt, int(given)) if NUMBER.fullmatch(given) else None
    return render(request, "prompts/version.html", queries.page_of_version(found, other))


@engineers
def new_version(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """``number``: of the version to start from."""
    parent = _version(slug, number)
    form = VersionForm(request.POST or None, start=services.draft_of(parent))
    if request.method == "POST" and form.is_valid():
        try:
            made = services.create_version(parent=parent, by=user_of(request), **form.content())
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, _("Version %(number)d was made.") % {"number": made.number})
            return redirect(made)
    return render(request, "prompts/new_version.html", {"form": form, "parent": parent, "prompt": parent.prompt})


@engineers
@require_POST
def drop_trial(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    found = _version(slug, number)
    try:
        services.drop_trial(version=found)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect(found)
    messages.success(request, _("The trial was deleted."))
    return redirect(found.prompt)


def _version(slug: str, number: int) -> PromptVersion:
    found = queries.version_of(get_object_or_404(Prompt.objects.select_related("task"), slug=slug), number)
    if found is None:
        raise Http404
    return found
