"""Reward models: the list, a training, a version's page and what is done with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from scoring.asking.forms import beside
from training.models import RewardModel
from training.reward_models import queries, registry
from training.reward_models.estimate import estimate
from training.reward_models.forms import JudgeForm, NoteForm, TrainForm, preset_values
from training.reward_models.starting import problems_of, start_training
from webapp.accounts.access import engineers, may_change, user_of
from webapp.core.paging import page_of


@engineers
def reward_models(request: HttpRequest) -> HttpResponse:
    page = page_of(request, RewardModel.objects.select_related("labelled_set", "created_by"))
    context = {"page": page, "rows": queries.listed(page.rows), "running": queries.running()}
    return render(request, "reward_models/reward_models.html", context)


@engineers
def new_reward_model(request: HttpRequest) -> HttpResponse:
    """GET with the form's values shows what it comes to; POST starts it. Any engineer may, as with generation."""
    given = request.POST or (request.GET if "preset" in request.GET else None)
    form = TrainForm(given, initial={"set": request.GET.get("set", "")})
    found, problems = None, []
    if form.is_valid():
        data = form.cleaned_data
        try:
            if request.method == "POST":
                by = user_of(request)
                return redirect(
                    start_training(
                        labelled_set=data["set"], name=data["name"], config=data["config"], note=data["note"], by=by
                    )
                )
        except ValidationError as error:
            beside(form, error)
        else:
            problems = problems_of(data["set"], data["config"])
        found = estimate(data["set"], data["config"])
    context = {"form": form, "estimate": found, "problems": problems, "presets": preset_values()}
    return render(request, "reward_models/new.html", context)


def _model(request: HttpRequest, slug: str, number: int, change: bool = False) -> RewardModel:
    rows = RewardModel.objects.select_related("labelled_set", "created_by", "job")
    found = get_object_or_404(rows, slug=slug, number=number)
    if change and not may_change(user_of(request), found.created_by_id):
        raise PermissionDenied(_("This reward model is somebody else's. Ask them or an admin."))
    return found


@engineers
def reward_model(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    found = _model(request, slug, number)
    may = may_change(user_of(request), found.created_by_id)
    forms = {"judge_form": JudgeForm(model=found), "note_form": NoteForm(initial={"note": found.note})}
    return render(request, "reward_models/model.html", {**queries.page_of(found), **forms, "may_change": may})


@engineers
def reward_model_file(request: HttpRequest, slug: str, number: int) -> HttpResponseBase:
    """The checkpoint as a zip: safetensors and JSON, as ``python -m training.gpu.reward.serve`` takes it."""
    found = _model(request, slug, number)
    if not registry.folder_of(found).is_dir():
        raise Http404(_("The files of this version are gone. Restore the folder models/ from a backup."))
    response = StreamingHttpResponse(queries.zip_of(found), content_type="application/zip")
    response["Content-Disposition"] = f'attachment; filename="{found.slug}-v{found.number}.zip"'
    return response


def _act(request: HttpRequest, found: RewardModel, act: Callable[[], Any], done: str, then: Any = None) -> HttpResponse:
    try:
        made = act()
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect(found)
    messages.success(request, done)
    return redirect(then or made)


def _refused(request: HttpRequest, found: RewardModel, form: Form) -> HttpResponse:
    messages.error(request, " ".join(str(words) for errors in form.errors.values() for words in errors))
    return redirect(found)


@engineers
@require_POST
def reward_model_judge(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    found = _model(request, slug, number)
    form = JudgeForm(request.POST, model=found)
    if not form.is_valid():
        return _refused(request, found, form)
    data, by = form.cleaned_data, user_of(request)
    return _act(
        request,
        found,
        lambda: registry.make_judge(model=found, dimension=data["dimension"], name=data["name"], by=by),
        _("The judge was made. Score a data set with it, by the prompt “Reward model”."),
    )


@engineers
@require_POST
def reward_model_note(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    found = _model(request, slug, number, change=True)
    form = NoteForm(request.POST)
    if not form.is_valid():
        return _refused(request, found, form)
    note = form.cleaned_data["note"]
    return _act(request, found, lambda: registry.set_note(model=found, note=note), _("The note was kept."))


@engineers
@require_POST
def delete_reward_model(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    found = _model(request, slug, number, change=True)
    done = _("The version and its files were deleted.")
    return _act(request, found, lambda: registry.delete_model(model=found), done, then="reward_models")
