"""The annotator's pages before live work: the steps, and training and qualification on the annotation pages."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from annotation import markdown, sessions, work
from annotation.access import member_of
from annotation.entry import charts, gate, guide, practice, services
from annotation.entry.forms import PROBLEMS, ViewingForm
from annotation.entry.gate import Step
from annotation.models import GuidelineExample, Member, QualificationTry
from annotation.views import requests
from webapp.accounts.access import api_signed_in, signed_in

CHARTS = {"grey": charts.grey, "colour": charts.colour}


@signed_in
def way_in(request: HttpRequest, uid: UUID) -> HttpResponse:
    """The step that stands between this annotator and live work. A form for another step changes nothing."""
    member = member_of(request, uid)
    step = gate.step_of(member)
    if step is None:
        return redirect("workplace", uid)
    if request.method != "POST":
        return _page(request, member, step)
    if request.POST.get("step") != step:
        return redirect("way_in", uid)
    return _go_on(request, member, step)


def _go_on(request: HttpRequest, member: Member, step: Step) -> HttpResponse:
    if step == Step.CONSENT:
        services.agree(member=member)
    elif step == Step.GUIDELINES:
        number = request.POST.get("number", "")
        services.read_guidelines(member=member, number=_number(number, gate.newest_guidelines(member)))
    elif step == Step.VIEWING:
        return _check_viewing(request, member)
    elif step in practice.PURPOSES and practice.begin(member=member, step=step):
        return redirect("practice", member.study.uid)
    return redirect("way_in", member.study.uid)


def _number(text: str, most: int) -> int:
    """The version that a form names, no newer than there is."""
    return min(int(text), most) if text.isascii() and text.isdigit() and len(text) < 9 else 0


def _check_viewing(request: HttpRequest, member: Member) -> HttpResponse:
    form = ViewingForm(request.POST)
    if not form.is_valid():
        return _page(request, member, Step.VIEWING, form=form)
    answers = {name: form.cleaned_data[name] for name in CHARTS}
    services.check_viewing(member=member, measures=form.measures(), answers=answers)
    return redirect("way_in", member.study.uid)


def _page(request: HttpRequest, member: Member, step: Step, **more: Any) -> HttpResponse:
    contexts: dict[Step, Callable[[Member], dict[str, Any]]] = {
        Step.CONSENT: lambda one: {"html": markdown.render(one.study.protocol.entry.consent)},
        Step.GUIDELINES: lambda one: {"guide": guide.guide_of(one.study, one.guidelines_read)},
        Step.VIEWING: _viewing,
        Step.TRAINING: lambda one: {"has_begun": practice.has_begun(one, Step.TRAINING)},
        Step.QUALIFICATION: _qualification,
        Step.FAILED: _qualification,
    }
    context = {"study": member.study, "member": member, "step": step.value, "steps": _steps(member, step)}
    return render(request, f"entry/{step.value}.html", {**context, **contexts[step](member), **more})


def _steps(member: Member, now: Step) -> list[dict[str, Any]]:
    """The steps that this study has, in order, and how far the annotator is."""
    named = {
        Step.CONSENT: (_("Consent"), bool(member.study.protocol.entry.consent)),
        Step.GUIDELINES: (_("Guidelines"), gate.newest_guidelines(member) > 0),
        Step.VIEWING: (_("Viewing check"), member.study.protocol.entry.viewing),
        Step.TRAINING: (_("Training"), member.has_training),  # type: ignore[attr-defined]
        Step.QUALIFICATION: (_("Qualification"), member.has_qualification),  # type: ignore[attr-defined]
    }
    order = [step for step, (_label, is_on) in named.items() if is_on]
    at = order.index(Step.QUALIFICATION if now == Step.FAILED else now)
    return [{"label": named[step][0], "done": place < at, "now": place == at} for place, step in enumerate(order)]


def _viewing(member: Member) -> dict[str, Any]:
    problems = member.viewing.get("problems", [])
    return {
        "form": ViewingForm(),
        "problems": [PROBLEMS[name] for name in problems if name in PROBLEMS],
        "tries": member.viewing.get("tries", 0),
        "least_width": member.study.protocol.entry.least_width,
    }


def _qualification(member: Member) -> dict[str, Any]:
    entry = member.study.protocol.entry
    return {
        "pass_mark": round(100 * entry.pass_mark),
        "tries_left": gate.tries_left(member),
        "tries": [
            {"number": row.number, "share": round(100 * (row.share or 0)), "passed": row.passed}
            for row in QualificationTry.objects.filter(member=member, finished_at__isnull=False)
        ],
        "has_begun": practice.has_begun(member, Step.QUALIFICATION),
        "whom": member.study.created_by,
    }


@signed_in
@require_GET
def guidelines(request: HttpRequest, uid: UUID) -> HttpResponse:
    """The guidelines to look at again, at any time after the consent."""
    member = member_of(request, uid)
    if gate.step_of(member) == Step.CONSENT:
        return redirect("way_in", uid)
    return render(request, "entry/read.html", {"study": member.study, "guide": guide.guide_of(member.study)})


@signed_in
@require_GET
def example_image(request: HttpRequest, uid: UUID, pk: int, which: str) -> HttpResponse:
    """A picture of a guideline's example. The address tells its place in the guidelines, nothing about its editor."""
    member = member_of(request, uid)
    examples = GuidelineExample.objects.select_related("candidate__image", "candidate__case__source")
    example = get_object_or_404(examples, pk=pk, guidelines__study=member.study)
    if which not in ("source", "edit"):
        raise Http404
    image = example.candidate.image if which == "edit" else example.candidate.case.source
    response = HttpResponse(image.read_view(), content_type="image/webp")
    response.headers["Cache-Control"] = "private, max-age=86400, immutable"
    return response


@signed_in
@require_GET
def chart(request: HttpRequest, uid: UUID, name: str) -> HttpResponse:
    """A chart of the viewing check, with this attempt's digits."""
    member = member_of(request, uid)
    if name not in CHARTS:
        raise Http404
    response = HttpResponse(CHARTS[name](services.digits_of(member)[name]), content_type="image/png")
    response.headers["Cache-Control"] = "no-store"
    return response


# Training and qualification ------------------------------------------------------------------------------------------


@signed_in
@require_GET
def practice_page(request: HttpRequest, uid: UUID) -> HttpResponse:
    member = member_of(request, uid)
    step = gate.step_of(member)
    if step not in practice.PURPOSES or not practice.has_begun(member, step):
        return redirect("way_in", uid)
    value = practice.page_value(member, step)
    return render(request, f"work/{value['kind']}.html", {"study": member.study, "value": value})


@api_signed_in
@require_POST
def practice_next(request: HttpRequest, uid: UUID) -> HttpResponse:
    member, body = member_of(request, uid), requests.body_of(request)
    if body is None:
        return requests.unreadable()
    return JsonResponse(_more(member, gate.step_of(member), body))


@api_signed_in
@require_POST
def practice_events(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Store events of practice; after an answer in training say what was right."""
    member, body = member_of(request, uid), requests.body_of(request)
    events = requests.events_of(body)
    if body is None or events is None:
        return requests.unreadable()
    if len(events) > work.BATCH:
        return requests.too_many()
    step = gate.step_of(member)
    outcome = work.record(member=member, events=[work.read_event(row) for row in events])
    said = practice.feedback(member, outcome.submitted) if step == Step.TRAINING else None
    answer = {"saved": outcome.saved, "refused": outcome.refused, "submitted": outcome.submitted, "feedback": said}
    return JsonResponse({**answer, **_more(member, step, body)})


def _more(member: Member, step: Step | None, body: dict[str, Any]) -> dict[str, Any]:
    if step in practice.PURPOSES:
        want, have = requests.wish_of(body)
        return practice.more(member, step, want=want, have=have)
    progress = sessions.progress_of(member)
    return {"assignments": [], "progress": progress, "break": None, "done": None, "step": practice.over(member)}


@api_signed_in
@require_POST
def practice_back(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Answers to practice are final: after the feedback, a changed one would say nothing."""
    member_of(request, uid)
    return JsonResponse({"assignment": None})
