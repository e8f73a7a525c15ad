"""Making and running studies. The study's page itself, with its figures, belongs to scoring."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from annotation import studies
from annotation.access import study_of
from annotation.forms import MemberForm, StudyForm
from annotation.models import Candidate
from annotation.protocols import PRESETS
from webapp.accounts import services as accounts
from webapp.accounts.access import engineers, user_of
from webapp.accounts.models import Invitation, Role, User


@engineers
def new(request: HttpRequest) -> HttpResponse:
    initial = {"dataset": request.GET.get("dataset"), "preset": "group-rank"}
    form = StudyForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        candidates = Candidate.objects.filter(case__dataset=data["dataset"])
        if data["editors"]:
            candidates = candidates.filter(editor__in=data["editors"])
        try:
            study = studies.create_study(
                name=data["name"],
                dataset=data["dataset"],
                preset=data["preset"],
                protocol=form.protocol(),
                guidelines=data["guidelines"],
                by=user_of(request),
                candidates=candidates,
                sample=data["sample"] or 0,
            )
        except ValidationError as error:
            form.add_error(None, list(error.messages))
        else:
            messages.success(request, _("The study is open. Now invite annotators."))
            return redirect(study)
    return render(request, "studies/new.html", {"form": form, "presets": PRESETS})


@engineers
@require_POST
def change_state(request: HttpRequest, uid: UUID) -> HttpResponse:
    study = study_of(request, uid, change=True)
    try:
        studies.set_state(study=study, state=request.POST.get("state", ""))
    except ValidationError:
        messages.error(request, _("A study is open, paused or closed."))
    else:
        messages.success(request, _("The study is now: %(state)s.") % {"state": study.get_state_display()})
    return redirect(study)


@engineers
def members(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Who takes part: add people who have an account, or make a link for somebody who has none."""
    study = study_of(request, uid, change=request.method == "POST")
    form, link = MemberForm(request.POST if "user" in request.POST else None), ""
    if request.method == "POST" and "invite" in request.POST:
        _invitation, token = accounts.invite(by=user_of(request), role=Role.ANNOTATOR, study_uid=study.uid)
        link = request.build_absolute_uri(Invitation.path(token))
    elif request.method == "POST" and form.is_valid():
        studies.add_member(study=study, user=form.cleaned_data["user"])
        messages.success(request, _("Added."))
        return redirect("study_members", study.uid)
    rows = study.members.select_related("user").order_by("id")
    return render(request, "studies/members.html", {"study": study, "form": form, "link": link, "rows": rows})


@engineers
@require_POST
def remove_member(request: HttpRequest, uid: UUID, pk: int) -> HttpResponse:
    study = study_of(request, uid, change=True)
    studies.remove_member(study=study, user=get_object_or_404(User, pk=pk))
    messages.success(request, _("Removed from the study. What they judged stays."))
    return redirect("study_members", study.uid)
