"""The calibration page: a prompt on the left, its agreement with people on the right, live."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from uuid import UUID

import redis
from asgiref.sync import sync_to_async
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from annotation.models import Candidate, Task
from scoring.asking.forms import beside
from scoring.asking.jobs import channel_of
from scoring.calibration import comparing, disagreements, drift, queries, services, table, trials
from scoring.calibration.figures import page_figures
from scoring.calibration.forms import ActivateForm, CalibrationForm, LimitForm, UnclearForm
from scoring.calibration.refining import RefineForm, accept, reject, start_refining
from scoring.models import Activation, Anchor, Calibration, PromptVersion, Suggestion
from scoring.prompts.forms import VersionForm
from scoring.prompts.services import create_version, draft_of
from webapp.accounts.access import engineers, user_of
from webapp.accounts.models import User
from webapp.core.paging import page_of
from webapp.live import boards

NUMBER = re.compile("[0-9]{1,9}")  # of a version, a place or a candidate, as an address may hold it
MOST_CHOSEN = 500  # points of the scatter

SHARED_SECONDS = 3


def _found(uid: UUID) -> Calibration:
    rows = Calibration.objects.select_related("prompt__task", "study__dataset", "judge", "current", "created_by")
    return get_object_or_404(rows, uid=uid)


def _version(calibration: Calibration, number: str | int | None) -> PromptVersion:
    """The version of that number; the one in use where there is no number. Raises Http404."""
    if number in (None, "") and calibration.current:
        number = calibration.current.number
    found = queries.version_of(calibration, int(str(number))) if NUMBER.fullmatch(str(number)) else None
    if found is None:
        raise Http404
    return found


def _at(calibration: Calibration, version: PromptVersion) -> HttpResponse:
    return redirect(f"{calibration.get_absolute_url()}?v={version.number}")


def _say(request: HttpRequest, error: ValidationError) -> None:
    for message in error.messages:
        messages.error(request, message)


@engineers
def calibrations(request: HttpRequest) -> HttpResponse:
    page = page_of(request, queries.calibrations())
    return render(request, "calibration/calibrations.html", {"page": page, "scorers": queries.active_scorers()})


@engineers
def new_calibration(request: HttpRequest) -> HttpResponse:
    start = {name: request.GET[name] for name in ("prompt", "people", "judge") if name in request.GET}
    form = CalibrationForm(request.POST or None, people=queries.people_choices(), initial=start)
    if request.method == "POST" and form.is_valid():
        try:
            return redirect(services.create_calibration(**form.values(), by=user_of(request)))
        except ValidationError as error:
            beside(form, error)
    return render(request, "calibration/new.html", {"form": form})


@engineers
def calibration(request: HttpRequest, uid: UUID) -> HttpResponse:
    found = _found(uid)
    version = _version(found, request.GET.get("v"))
    return _page(request, found, version, VersionForm(start=draft_of(version)))


def _page(
    request: HttpRequest, found: Calibration, version: PromptVersion, form: VersionForm, status: int = 200
) -> HttpResponse:
    context = {
        **queries.page(found, version),
        "form": form,
        "activate": ActivateForm(),
        "refine": RefineForm(calibration=found),
        "figures": page_figures(found, version),
    }
    return render(request, "calibration/calibration.html", context, status=status)


@engineers
@require_POST
def score(request: HttpRequest, uid: UUID, number: int) -> HttpResponse:
    """Score what is not scored yet by this version."""
    found = _found(uid)
    version = _version(found, number)
    try:
        _start(found, version, user_of(request), _limit(request))
    except ValidationError as error:
        _say(request, error)
    return _at(found, version)


def _start(found: Calibration, version: PromptVersion, by: User, most_cost: float | None) -> None:
    services.use_version(calibration=found, version=version)
    services.score_versions(calibration=found, versions=[version], by=by, most_cost=most_cost)


@engineers
@require_POST
def new_version(request: HttpRequest, uid: UUID, number: int) -> HttpResponse:
    """A version from what was typed, scored at once."""
    found = _found(uid)
    parent, limit = _version(found, number), LimitForm(request.POST)
    form = VersionForm(request.POST, start=draft_of(parent))
    if not (form.is_valid() and limit.is_valid()):
        return _page(request, found, parent, form, 400)
    try:
        made = create_version(parent=parent, **form.content(), by=user_of(request))
    except ValidationError as error:
        form.add_error(None, error)
        return _page(request, found, parent, form, 400)
    try:
        _start(found, _version(found, made.number), user_of(request), limit.cleaned_data["most_cost"])
    except ValidationError as error:
        _say(request, error)
    return _at(found, made)


@engineers
@require_POST
def look(request: HttpRequest, uid: UUID, number: int) -> HttpResponse:
    """Show the held-out figures of this version, and count it."""
    found = _found(uid)
    version = _version(found, number)
    try:
        services.look(calibration=found, version=version, by=user_of(request))
    except ValidationError as error:
        _say(request, error)
    return _at(found, version)


@engineers
@require_POST
def level(request: HttpRequest, uid: UUID, number: int) -> HttpResponse:
    """Fit the level on the dev part, or forget it."""
    found = _found(uid)
    version = _version(found, number)
    try:
        if "forget" in request.POST:
            services.forget_level(calibration=found, version=version)
        else:
            services.fit_level(calibration=found, version=version)
    except ValidationError as error:
        _say(request, error)
    return _at(found, version)


@engineers
@require_POST
def activate(request: HttpRequest, uid: UUID, number: int) -> HttpResponse:
    found = _found(uid)
    version, form = _version(found, number), ActivateForm(request.POST)
    try:
        if not form.is_valid():
            raise ValidationError([_("The reason is too long.")])
        made = services.activate(calibration=found, version=version, by=user_of(request), **form.cleaned_data)
        messages.success(request, _("%(version)s is now the active scorer.") % {"version": version})
        if Anchor.objects.filter(task=made.task).exists():
            drift.start_check(task=made.task, version=version, judge=made.judge, by=user_of(request))
    except ValidationError as error:
        _say(request, error)
    return _at(found, version)


@engineers
def rows(request: HttpRequest, uid: UUID, number: int) -> HttpResponse:
    """The largest disagreements of the dev part from ?start=, or the candidates ?ids= of a choice in the scatter."""
    found = _found(uid)
    version = _version(found, number)
    if "ids" in request.GET:
        keys = [int(part) for part in request.GET["ids"].split(",")[:MOST_CHOSEN] if NUMBER.fullmatch(part)]
        context = {"rows": disagreements.of_candidates(found, version, keys), "chosen": len(keys)}
    else:
        start = int(request.GET["start"]) if NUMBER.fullmatch(request.GET.get("start", "")) else 0
        shown, count = disagreements.largest(found, version, start=start)
        after = start + len(shown)
        context = {"rows": shown, "next": after if after < count else None}
    return render(request, "calibration/rows.html", {**context, "calibration": found, "version": version})


@engineers
@require_POST
def unclear(request: HttpRequest, uid: UUID, number: int) -> HttpResponse:
    """Mark a disagreement as "guideline unclear"."""
    found = _found(uid)
    version, form = _version(found, number), UnclearForm(request.POST)
    try:
        if not form.is_valid():
            raise ValidationError([_("Write what the guideline leaves open.")])
        candidate = get_object_or_404(Candidate, pk=form.cleaned_data["candidate"])
        note = form.cleaned_data["note"]
        services.mark_unclear(calibration=found, candidate=candidate, version=version, note=note, by=user_of(request))
        messages.success(request, _("Noted. It stands on the study's page, for its guidelines."))
    except ValidationError as error:
        _say(request, error)
    return _at(found, version)


@engineers
def versions(request: HttpRequest, uid: UUID) -> HttpResponse:
    """The table of versions with their figures: a part of the page, fetched when something was scored."""
    found = _found(uid)
    current = found_number[0] if (found_number := NUMBER.fullmatch(request.GET.get("v", ""))) else ""

    def made() -> str:
        context = {"calibration": found, "rows": queries.version_rows(found), "current": current}
        return render_to_string("calibration/versions.html", context)

    return HttpResponse(_shared(f"calibration-versions:{found.uid}:{current}", made))


def _shared(key: str, make: Callable[[], str]) -> str:
    """A part of a page that is the same for everybody, made once for those who ask within a moment: many browsers ask
    when a page's figures come to rest."""
    try:
        if kept := cache.get(key):
            return str(kept)
        html = make()
        cache.set(key, html, SHARED_SECONDS)
    except redis.RedisError:
        return make()
    return html


@engineers
def triples(request: HttpRequest, uid: UUID, number: int) -> HttpResponseBase:
    """The triples behind the figures, as CSV: the held-out part only where somebody has looked."""
    found = _found(uid)
    version = _version(found, number)
    response = StreamingHttpResponse(table.rows_of(found, version), content_type="text/csv; charset=utf-8")
    name = f"{'simulation-' if found.study.is_simulated else ''}triples-{found.prompt.slug}-v{version.number}.csv"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@engineers
def compare(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Two versions on the same triples."""
    found = _found(uid)
    first, second = (_version(found, request.GET.get(name, "-")) for name in ("first", "second"))
    context = {
        "calibration": found,
        "first": first,
        "second": second,
        "parts": comparing.compare_versions(found, first, second),
        "notices": queries.notices(found),
    }
    return render(request, "calibration/compare.html", context)


@engineers
def ablation(request: HttpRequest, uid: UUID, number: int) -> HttpResponse:
    """GET shows what each question adds; POST scores the version without each of them in turn."""
    found = _found(uid)
    version = _version(found, number)
    if request.method == "POST":
        try:
            most = _limit(request)
            trials.start_ablation(calibration=found, version=version, by=user_of(request), most_cost=most)
        except ValidationError as error:
            _say(request, error)
        return redirect(reverse("ablation", args=[found.uid, version.number]))
    context = {
        "calibration": found,
        "version": version,
        "rows": comparing.ablation(found, version, trials.ablations_of(version)),
        "costs": queries.costs(found),
        "notices": queries.notices(found),
    }
    return render(request, "calibration/ablation.html", context)


@engineers
@require_POST
def refine(request: HttpRequest, uid: UUID, number: int) -> HttpResponse:
    """Let a program propose a question, once or in a loop."""
    found = _found(uid)
    version, form = _version(found, number), RefineForm(request.POST, calibration=found)
    try:
        if not form.is_valid():
            raise ValidationError([error for errors in form.errors.values() for error in errors])
        data = form.cleaned_data
        job = start_refining(
            calibration=found,
            version=version,
            proposer=data["proposer"],
            rounds=(data["rounds"] or 1) if "loop" in request.POST else 1,
            by=user_of(request),
            budget=data["budget"],
        )
    except ValidationError as error:
        _say(request, error)
        return _at(found, version)
    return redirect(job) if "loop" in request.POST else _at(found, version)


@engineers
@require_POST
def decide(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Accept or reject a proposed question. An accepted one is a version, scored at once on both parts."""
    rows = Suggestion.objects.select_related("calibration__prompt", "calibration__judge", "trial", "parent__prompt")
    suggestion = get_object_or_404(rows, uid=uid)
    found, version = _found(suggestion.calibration.uid), suggestion.parent
    try:
        if request.POST.get("decision") == "accept":
            most = _limit(request)
            version = accept(suggestion=suggestion, by=user_of(request))
            services.score_versions(calibration=found, versions=[version], by=user_of(request), most_cost=most)
        else:
            reject(suggestion=suggestion, by=user_of(request))
    except ValidationError as error:
        _say(request, error)
    return _at(found, version)


@engineers
@require_POST
def anchors(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Choose the anchors of the calibration's task."""
    found = _found(uid)
    try:
        count = drift.choose_anchors(calibration=found)
        messages.success(request, _("%(count)d anchors are chosen.") % {"count": count})
    except ValidationError as error:
        _say(request, error)
        return redirect(found)
    return redirect(reverse("drift", args=[found.prompt.task_id]))


@engineers
def drift_of(request: HttpRequest, slug: str) -> HttpResponse:
    """GET shows the checks of a task; POST begins this month's for the active scorer."""
    task = get_object_or_404(Task, slug=slug)
    context = drift.page(task)
    if request.method == "POST":
        try:
            _check(task, context["active"], user_of(request))
        except ValidationError as error:
            _say(request, error)
        return redirect(reverse("drift", args=[task.slug]))
    return render(request, "calibration/drift.html", context)


def _check(task: Task, active: object, by: User) -> None:
    if not isinstance(active, Activation):
        raise ValidationError(_("This task has no active scorer."))
    if drift.start_check(task=task, version=active.version, judge=active.judge, by=by) is None:
        raise ValidationError(_("This version was checked this month already."))


def _limit(request: HttpRequest) -> float | None:
    """What may be spent. Raises ValidationError."""
    form = LimitForm(request.POST)
    if not form.is_valid():
        raise ValidationError([_("Spend at most: enter a number, or nothing.")])
    limit: float | None = form.cleaned_data["most_cost"]
    return limit


async def live(request: HttpRequest, uid: UUID, number: int) -> HttpResponseBase:
    """The figures of one version, again whenever a score or a judgement came in."""
    page = await sync_to_async(_watched)(await request.auser(), uid, number)
    if page is None:
        return HttpResponse(status=404)
    found, version = page
    key = f"calibration {found.uid} {version.pk}"
    return await boards.show(key, [channel_of(version), found.study.channel, found.channel], partial(_now, uid, number))


def _watched(user: User | AnonymousUser, uid: UUID, number: int) -> tuple[Calibration, PromptVersion] | None:
    if not (isinstance(user, User) and user.is_engineer):
        return None
    found = Calibration.objects.filter(uid=uid).select_related("study").first()
    version = queries.version_of(found, number) if found else None
    return (found, version) if found and version else None


def _now(uid: UUID, number: int) -> dict[str, object]:
    """Read anew: the calibration's level map or looks may have changed meanwhile."""
    found = _found(uid)
    return page_figures(found, _version(found, number))
