"""Post-training runs: the list, a new run, samples of a run, runs side by side; trained editors."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.files.storage import default_storage
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from scoring.asking.forms import beside
from training.models import TrainedEditor
from training.runs import overlay, queries, registry, spending, starting, watching
from training.runs.forms import NoteForm, RunForm, ShapeForm, initial_of
from training.runs.progress import read_progress
from training.runs.settings import preset_values
from webapp.accounts.access import admins, engineers, may_change, user_of
from webapp.core.paging import page_of
from webapp.jobs.folder import JobError
from webapp.jobs.models import Job


@engineers
def runs(request: HttpRequest) -> HttpResponse:
    page = page_of(request, queries.runs())
    return render(request, "runs/runs.html", {"page": page, "rows": queries.listed(page.rows)})


@admins
def new_run(request: HttpRequest) -> HttpResponse:
    """GET with the form's values shows what it comes to; POST starts it. Admins alone: a run keeps GPUs for days.

    ``?like=UID`` begins with the values of another run, ``?base=`` and ``?dataset=`` with those short names.
    """
    given = request.POST or (request.GET if "preset" in request.GET else None)
    form = RunForm(given, initial=_initial(request))
    checked = None
    if form.is_valid():
        wish = form.wish()
        if request.method == "POST":
            try:
                return redirect(starting.start_run(wish=wish, by=user_of(request)))
            except ValidationError as error:
                beside(form, error)
        checked = starting.check(wish)
    context = {
        "form": form,
        "checked": checked,
        "estimate": checked.estimate if checked else None,
        "spending": spending.warnings(checked.rewards, checked.held_out, checked.estimate) if checked else [],
        "presets": preset_values(),
        "modules": form.modules(),
        "map": watching.reward_chart(form.shape()),
    }
    return render(request, "runs/new.html", context)


def _initial(request: HttpRequest) -> dict[str, Any]:
    uid = request.GET.get("like", "")
    try:
        job = Job.objects.filter(kind=starting.NAME, uid=UUID(uid)).first() if uid else None
    except ValueError:
        job = None
    return initial_of(job) if job else {name: request.GET[name] for name in ("base", "dataset") if name in request.GET}


@engineers
def run_curve(request: HttpRequest) -> HttpResponse:
    """The curve of the reward map, drawn anew while α and β are typed; empty where they are no numbers."""
    form = ShapeForm(request.GET)
    found = watching.reward_chart(form.cleaned_data["shape"].to_json()) if form.is_valid() else None
    return render(request, "runs/map.html", {"map": found})


def _run(request: HttpRequest, uid: UUID, change: bool = False) -> Job:
    found = get_object_or_404(Job.objects.select_related("created_by"), kind=starting.NAME, uid=uid)
    if change and not may_change(user_of(request), found.created_by_id):
        raise PermissionDenied(_("This run is somebody else's. Ask them or an admin."))
    return found


@engineers
def run_samples(request: HttpRequest, uid: UUID) -> HttpResponse:
    """The fixed cases as they were edited after a round: ``?round=N``, else the last look."""
    job = _run(request, uid)
    progress = read_progress(job.folder)
    asked = request.GET.get("round", "")
    look = progress.look(int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 9 else None)
    context = {"run": job, "looks": progress.looks, "look": look, "samples": watching.samples_of(look)}
    return render(request, "runs/samples.html", {**context, "notice": job.config.get("notice", "")})


@engineers
def run_sample(request: HttpRequest, uid: UUID, name: str) -> HttpResponseBase:
    """One picture of a run. A run that goes on from an earlier place makes some of them again."""
    path = watching.sample_path(_run(request, uid), name)
    if path is None:
        raise Http404
    response = FileResponse(path.open("rb"), content_type="image/png")
    response["Cache-Control"] = "private, max-age=60"
    return response


@engineers
@require_POST
def run_go_on(request: HttpRequest, uid: UUID) -> HttpResponse:
    """The answer to the watch's question: go on."""
    job = _run(request, uid, change=True)
    question = read_progress(job.folder).question(int(job.config.get("acknowledged", 0)))
    try:
        if question is None:
            raise ValidationError(_("The watch has no open question about this run."))
        starting.go_on(job=job, number=question["round"])
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(
            request, _("The run goes on. The watch asks again when it finds the same after a later round.")
        )
    return redirect(job)


@engineers
@require_POST
def run_keep(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Keep the best LoRA so far as an editor, of a run that has stopped."""
    job = _run(request, uid, change=True)
    if job.is_active:
        messages.error(request, _("The run is at work. Cancel it first; then its best LoRA so far can be kept."))
        return redirect(job)
    try:
        made = registry.register(job=job, summary=job.summary)
    except JobError as error:
        messages.error(request, str(error))
        return redirect(job)
    messages.success(request, _("The best LoRA so far is kept as an editor."))
    return redirect(made)


@engineers
def compare_runs(request: HttpRequest) -> HttpResponse:
    """``?run=UID&run=UID…``: curves overlaid, edits of the same cases, settings that differ."""
    jobs = queries.named(request.GET.getlist("run"))
    found = overlay.compared(jobs)
    context = {
        "runs": found,
        "panels": overlay.panels(found),
        "cases": overlay.cases(found),
        "differences": overlay.differences(found),
        "notice": " ".join(dict.fromkeys(words for job in jobs if (words := job.config.get("notice", "")))),
        "most": overlay.MOST,
    }
    return render(request, "runs/compare.html", context)


# Trained editors -----------------------------------------------------------------------------------------------------


def _trained(slug: str) -> TrainedEditor:
    return get_object_or_404(TrainedEditor.objects.select_related("editor", "base", "job"), editor__slug=slug)


def _may_change(request: HttpRequest, found: TrainedEditor) -> bool:
    return may_change(user_of(request), found.job.created_by_id if found.job else None)


@engineers
def trained_editor(request: HttpRequest, slug: str) -> HttpResponse:
    """The card. Its note is changed by whoever started the run, and by admins."""
    found = _trained(slug)
    form = NoteForm(request.POST or None, initial={"note": found.note})
    if request.method == "POST":
        if not _may_change(request, found):
            raise PermissionDenied(_("This editor was trained by somebody else. Ask them or an admin."))
        if form.is_valid():
            registry.set_note(trained=found, note=form.cleaned_data["note"])
            messages.success(request, _("The note was kept."))
            return redirect(found)
    context = {**queries.page_of_trained(found), "note_form": form, "may_change": _may_change(request, found)}
    return render(request, "runs/trained.html", context)


@engineers
def trained_editor_file(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The LoRA as safetensors, with its α: diffusers loads it by load_lora_weights."""
    found = _trained(slug)
    if not registry.is_there(found):
        raise Http404(_("The LoRA's file is gone. Restore the folder of uploads from a backup."))
    name = f"{found.editor.slug}.safetensors"
    file = default_storage.open(registry.file_of(found))
    return FileResponse(file, as_attachment=True, filename=name, content_type="application/octet-stream")
