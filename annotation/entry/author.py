"""The author's pages of the way in: guidelines and their versions, reference items, who stands where."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.forms import BaseFormSet, formset_factory
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from annotation.access import study_of
from annotation.entry import guide, queries, services
from annotation.entry.forms import DecisionForm, ExampleForm, GuidelinesForm, ReferenceForm
from annotation.entry.services import Example
from annotation.models import Guidelines, Member, Purpose, Study, Unit
from annotation.protocols import RATING
from webapp.accounts.access import engineers, may_change, user_of
from webapp.core.paging import page_of

Examples = formset_factory(ExampleForm, extra=0, can_delete=True)
GUIDELINES = "guidelines"  # what candidates are chosen for, besides the purposes of reference items


def _key(study: Study) -> str:
    return f"guidelines.{study.uid}"


@engineers
def guidelines(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Edit the guidelines. What is not published yet is a draft of this person's session."""
    study = study_of(request, uid, change=request.method == "POST")
    if request.method == "POST":
        return _guidelines_sent(request, study)
    draft = request.session.get(_key(study)) or _published(study)
    form, rows = GuidelinesForm(initial=draft), _rows(study, initial=draft["examples"])
    return _guidelines_page(request, study, form, rows)


def _rows(study: Study, **more: Any) -> BaseFormSet[ExampleForm]:
    return Examples(prefix="examples", form_kwargs={"study": study}, **more)


def _published(study: Study) -> dict[str, Any]:
    newest = study.guideline_versions.order_by("-number").first()
    rows = newest.examples.select_related("candidate") if newest else ()
    examples = [
        {"candidate": str(row.candidate.uid), "dimension": row.dimension, "score": row.score, "words": row.words}
        for row in rows
    ]
    return {"text": study.guidelines, "note": "", "examples": examples}


def _guidelines_page(
    request: HttpRequest, study: Study, form: GuidelinesForm, rows: BaseFormSet[ExampleForm]
) -> HttpResponse:
    values = [str(row["candidate"].value() or "") for row in rows.forms]
    pictures = {str(one.uid): one for one in queries.chosen(study, values)}
    for row, value in zip(rows.forms, values, strict=True):
        row.picture = pictures.get(value)
    context = {
        "study": study,
        "form": form,
        "rows": rows,
        "version": study.guideline_versions.order_by("-number").first(),
        "is_draft": _key(study) in request.session or form.is_bound,
        "may_change": may_change(user_of(request), study.created_by_id),
    }
    return render(request, "entry/author/guidelines.html", context)


def _guidelines_sent(request: HttpRequest, study: Study) -> HttpResponse:
    action, here = request.POST.get("action"), redirect("study_guidelines", study.uid)
    if action == "discard":
        request.session.pop(_key(study), None)
        return here
    if action == "add":
        _add_to_draft(request, study)
        return redirect(f"{reverse('study_guidelines', args=[study.uid])}#examples")
    form, rows = GuidelinesForm(request.POST), _rows(study, data=request.POST)
    if action == "pick":
        request.session[_key(study)] = _draft(form, rows)
        return redirect(f"{reverse('study_entry_pick', args=[study.uid])}?for={GUIDELINES}")
    if not (form.is_valid() and rows.is_valid()):
        return _guidelines_page(request, study, form, rows)
    try:
        services.publish_guidelines(
            study=study,
            text=form.cleaned_data["text"],
            note=form.cleaned_data["note"],
            examples=_examples(study, rows),
            by=user_of(request),
        )
    except ValidationError as error:
        form.add_error(None, list(error.messages))
        return _guidelines_page(request, study, form, rows)
    request.session.pop(_key(study), None)
    messages.success(request, _("Published. Annotators read it before they get more work."))
    return here


def _add_to_draft(request: HttpRequest, study: Study) -> None:
    draft = request.session.get(_key(study)) or _published(study)
    for one in queries.chosen(study, request.POST.getlist("candidate"))[:1]:
        first = study.protocol.dimensions[0].key
        draft["examples"].append({"candidate": str(one.uid), "dimension": first, "score": None, "words": ""})
    request.session[_key(study)] = draft


def _draft(form: GuidelinesForm, rows: BaseFormSet[ExampleForm]) -> dict[str, Any]:
    """The form as it was sent, right or wrong, so that nothing is lost while an example is chosen."""
    names = ("candidate", "dimension", "score", "words")
    sent = [row for row in rows.forms if not row["DELETE"].value()]
    examples = [{name: row[name].value() for name in names} for row in sent]
    return {"text": form["text"].value() or "", "note": form["note"].value() or "", "examples": examples}


def _examples(study: Study, rows: BaseFormSet[ExampleForm]) -> list[Example]:
    data = [row.cleaned_data for row in rows.forms if not row.cleaned_data.get("DELETE")]
    found = {one.uid: one for one in queries.chosen(study, [str(row["candidate"]) for row in data])}
    if any(row["candidate"] not in found for row in data):
        raise ValidationError(_("An example is a candidate of the study's data set."))
    return [Example(found[row["candidate"]], row["dimension"], row["score"], row["words"]) for row in data]


@engineers
def history(request: HttpRequest, uid: UUID) -> HttpResponse:
    study = study_of(request, uid)
    page = page_of(request, Guidelines.objects.filter(study=study).select_related("created_by"), size=20)
    return render(
        request, "entry/author/history.html", {"study": study, "page": page, "rows": guide.history(study, page.rows)}
    )


@engineers
def entry(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Which steps are on, and the reference items."""
    study = study_of(request, uid)
    purpose = request.GET.get("for", "")
    page = page_of(request, queries.references_of(study, purpose), size=24)
    context = {
        "study": study,
        "entry": study.protocol.entry,
        "pass_mark": round(100 * study.protocol.entry.pass_mark),
        "version": study.guideline_versions.order_by("-number").first(),
        "counts": queries.counts_of(study),
        "purposes": [(one.value, one.label) for one in services.WITH_REFERENCE],
        "purpose": purpose,
        "page": page,
        "rows": queries.rows_of(study, page.rows),
        "may_change": may_change(user_of(request), study.created_by_id),
    }
    return render(request, "entry/author/entry.html", context)


@engineers
def pick(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Choose candidates, for an example or for a reference item."""
    study = study_of(request, uid)
    wanted, find = request.GET.get("for", ""), request.GET.get("find", "").replace("\0", "")
    page = page_of(request, queries.cases_of(study, find), size=12, newest_first=False)
    context = {
        "study": study,
        "wanted": wanted,
        "is_example": wanted == GUIDELINES,
        "one": wanted == GUIDELINES or study.protocol.kind == RATING,
        "find": find,
        "page": page,
        "groups": queries.groups_of(study, page.rows),
    }
    return render(request, "entry/author/pick.html", context)


@engineers
def new_reference(request: HttpRequest, uid: UUID) -> HttpResponse:
    """The right answer to an item of the candidates that were chosen."""
    study = study_of(request, uid, change=request.method == "POST")
    sent = request.POST if request.method == "POST" else request.GET
    candidates = queries.chosen(study, sent.getlist("candidate"))
    if not candidates:
        messages.error(request, _("Choose what the item shows."))
        return redirect("study_entry_pick", study.uid)
    initial = {"purpose": request.GET.get("for", Purpose.TRAINING)}
    form = ReferenceForm(request.POST or None, study=study, candidates=candidates, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            services.add_reference(study=study, by=user_of(request), **form.values())
        except ValidationError as error:
            form.add_error(None, list(error.messages))
        else:
            messages.success(request, _("Added."))
            return redirect("study_entry", study.uid)
    return render(request, "entry/author/reference.html", {"study": study, "form": form, "case": candidates[0].case})


@engineers
@require_POST
def withdraw(request: HttpRequest, uid: UUID, unit: UUID) -> HttpResponse:
    study = study_of(request, uid, change=True)
    found = get_object_or_404(Unit.objects.select_related("reference"), study=study, uid=unit, reference__isnull=False)
    services.withdraw_reference(reference=found.reference)
    messages.success(request, _("Withdrawn. What was answered to it stays."))
    return redirect("study_entry", study.uid)


@engineers
def people(request: HttpRequest, uid: UUID) -> HttpResponse:
    study = study_of(request, uid)
    page = page_of(request, queries.members_of(study), newest_first=False)
    context = {
        "study": study,
        "page": page,
        "rows": queries.standings(study, page.rows),
        "may_change": may_change(user_of(request), study.created_by_id),
    }
    return render(request, "entry/author/people.html", context)


@engineers
@require_POST
def decide(request: HttpRequest, uid: UUID, member: UUID) -> HttpResponse:
    study = study_of(request, uid, change=True)
    found, form = get_object_or_404(Member, study=study, uid=member), DecisionForm(request.POST)
    if form.is_valid():
        services.decide(member=found, by=user_of(request), **form.cleaned_data)
        messages.success(request, _("Done, and kept on record."))
    else:
        messages.error(request, _("Give one more try, or let in; a note has at most 300 characters."))
    return redirect("study_entry_people", study.uid)
