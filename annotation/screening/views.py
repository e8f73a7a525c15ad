"""The page of annotators × checks with its concerns and decisions, and the message that an annotator reads."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from annotation.access import member_of, study_of
from annotation.models import CheckKind, Concern, DecisionKind, Study
from annotation.screening import deciding, queries, services
from annotation.screening.forms import ON_CONCERN, WITHOUT, DecisionForm
from webapp.accounts.access import engineers, may_change, signed_in, user_of
from webapp.core.paging import page_of

PEOPLE_ON_PAGE = 40
CONCERNS_ON_PAGE = 20


@engineers
def checks(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Annotators × checks, a page at a time by the order in which they joined."""
    study = study_of(request, uid)
    page = page_of(request, queries.members_of(study), PEOPLE_ON_PAGE, newest_first=False)
    value = {"page": page, "rows": queries.rows_of(study, page.rows), "kinds": CheckKind.labels}
    return _show(request, "screening/checks.html", study, **value, summary=queries.summary(study))


@engineers
def concerns(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Concerns that wait for a decision, or (?decided=1) those that had one."""
    study, is_open = study_of(request, uid), "decided" not in request.GET
    page = page_of(request, queries.concerns_of(study, is_open=is_open), CONCERNS_ON_PAGE)
    forms = [(row, DecisionForm(kinds=ON_CONCERN, concern_kind=row.kind, auto_id=f"c{row.pk}-%s")) for row in page.rows]
    return _show(request, "screening/concerns.html", study, page=page, concerns=forms, is_open=is_open)


@engineers
def decisions(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Everything that was decided about annotators, newest first."""
    study = study_of(request, uid)
    page = page_of(request, queries.decisions_of(study))
    return _show(request, "screening/decisions.html", study, page=page)


@engineers
def annotator(request: HttpRequest, uid: UUID, pk: int) -> HttpResponse:
    """One annotator: their row, and a decision without a concern."""
    study = study_of(request, uid, change=request.method == "POST")
    member = get_object_or_404(queries.members_of(study), user__pk=pk)
    form = DecisionForm(request.POST or None, kinds=WITHOUT)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        about = {"study": study, "annotator": member.user, "by": user_of(request), "note": data["note"]}
        try:
            deciding.act(DecisionKind(data["kind"]), to_annotator=data["to_annotator"], **about)
        except ValidationError as error:
            form.add_error(None, list(error.messages))
        else:
            messages.success(request, _("Done, and written down."))
            return redirect("study_annotator", study.uid, pk)
    (row,) = queries.rows_of(study, [member])
    page = page_of(request, queries.decisions_of(study).filter(annotator=pk), CONCERNS_ON_PAGE)
    value = {"row": row, "rows": [row], "form": form, "page": page, "kinds": CheckKind.labels}
    return _show(request, "screening/annotator.html", study, **value)


def _show(request: HttpRequest, template: str, study: Study, **value: Any) -> HttpResponse:
    changeable = may_change(user_of(request), study.created_by_id)
    return render(request, template, {"study": study, "may_change": changeable, **value})


@engineers
@require_POST
def decide(request: HttpRequest, uid: UUID, concern: UUID) -> HttpResponse:
    study = study_of(request, uid, change=True)
    row = get_object_or_404(Concern, uid=concern, study=study)
    form = DecisionForm(request.POST, kinds=ON_CONCERN)
    if not form.is_valid():
        messages.error(request, _("Choose one of the decisions."))
        return redirect("study_concerns", study.uid)
    try:
        deciding.decide(concern=row, by=user_of(request), **form.cleaned_data)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, _("Done, and written down."))
    return redirect("study_concerns", study.uid)


@engineers
@require_POST
def look(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Run all screens now, over everybody's whole work."""
    study = study_of(request, uid, change=True)
    found = len(services.screen_all(study=study))
    words = ngettext("%(n)d concern is open after this look.", "%(n)d concerns are open after this look.", found)
    messages.success(request, words % {"n": found})
    return redirect("study_checks", study.uid)


@signed_in
def message(request: HttpRequest, uid: UUID) -> HttpResponse:
    """The annotator's own page: what they were told, and "I have read this"."""
    member = member_of(request, uid)
    told = queries.unread(member)
    if told is None:
        return redirect("workplace", member.study.uid)
    if request.method == "POST" and request.POST.get("message") == str(told.uid):
        deciding.acknowledge(member=member, decision=told)
        return redirect("work_message", member.study.uid)
    return render(request, "screening/message.html", {"study": member.study, "told": told})
