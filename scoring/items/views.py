"""The pages of single items: lists, one item with its judgements, one judgement with its events, decisions."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _

from annotation.access import study_of
from annotation.models import Item, Judgement, Study
from scoring.items import lists, queries
from scoring.items.forms import DecisionForm
from scoring.items.history import as_text, events_of, worded
from scoring.items.queries import ItemPage
from scoring.reannotation import queries as reannotation
from scoring.reannotation.services import adjudicate as decide
from webapp.accounts.access import engineers, may_change, user_of
from webapp.core.paging import page_of

ITEMS, JUDGEMENTS, EVENTS = 20, 50, 100  # on one page


@engineers
def items(request: HttpRequest, uid: UUID) -> HttpResponse:
    """All items of a study, or those with one candidate or of one case."""
    study = study_of(request, uid)
    rows = Item.objects.filter(study=study)
    wanted = {name: value for name in ("candidate", "case") if (value := _uuid(request.GET.get(name)))}
    if "candidate" in wanted:
        rows = rows.filter(entries__candidate__uid=wanted["candidate"])
    if "case" in wanted:
        rows = rows.filter(case__uid=wanted["case"])
    return _list(request, study, rows, {"tab": "items", "filtered": bool(wanted)})


@engineers
def contested(request: HttpRequest, uid: UUID) -> HttpResponse:
    """The items on which people still disagree; ``?show=undecided``: that nobody has decided on."""
    study = study_of(request, uid)
    undecided = request.GET.get("show") == "undecided"
    rows = reannotation.contested(study, undecided=undecided)
    return _list(request, study, rows, {"tab": "contested", "undecided": undecided})


def _list(request: HttpRequest, study: Study, rows: Any, context: dict[str, Any]) -> HttpResponse:
    page = page_of(request, lists.listed(rows), size=ITEMS)
    for item in page.rows:
        item.study = study
    may = may_change(user_of(request), study.created_by_id)
    shown = {**context, "study": study, "page": page, "rows": lists.item_rows(page.rows), "may_change": may}
    return render(request, "items/items.html", shown)


@engineers
def item(request: HttpRequest, uid: UUID) -> HttpResponse:
    """One item with all its judgements."""
    page = _page_of(request, _item_of(request, uid))
    return render(request, "items/item.html", _shown(request, page))


@engineers
def adjudicate(request: HttpRequest, uid: UUID) -> HttpResponse:
    """A senior's decision, blind: the editors' names come once it is made."""
    found = _item_of(request, uid, change=True)
    user, page = user_of(request), ItemPage(found, names=False)
    form = DecisionForm(request.POST or None, protocol=found.study.protocol, candidates=page.edits)
    if request.method == "POST" and form.is_valid():
        try:
            decide(item=found, answers=form.answers, note=form.cleaned_data["note"], by=user)
        except ValidationError as error:
            form.add_error(None, list(error.messages))
        else:
            messages.success(request, _("Kept beside the annotators' judgements."))
            return redirect("item", found.uid)
    parts = form.parts()
    questions = [(question, parts[question.dimension.key]) for question in page.questions]
    return render(request, "items/adjudicate.html", {**_shown(request, page), "form": form, "questions": questions})


@engineers
def judgement(request: HttpRequest, uid: UUID) -> HttpResponse:
    """One judgement and every action that led to it."""
    rows = Judgement.objects.select_related("assignment", "annotator", "unit__item").prefetch_related("marks", "checks")
    found = get_object_or_404(rows, uid=uid)
    page = _page_of(request, _item_of(request, found.unit.item.uid))
    events = page_of(request, events_of(found), size=EVENTS, newest_first=False)
    (row,) = page.rows([found])
    named = {"page": page, "item": page.item, "study": page.study, "row": row, "order": page.order_of(found)}
    told = {"events": events, "worded": worded(events.rows), "answer": as_text(found.answer)}
    return render(request, "items/judgement.html", {**named, **told})


def _item_of(request: HttpRequest, uid: UUID, change: bool = False) -> Item:
    rows = Item.objects.select_related("case__source", "case__task", "study")
    found = get_object_or_404(rows, uid=uid)
    found.study = study_of(request, found.study.uid, change)
    return found


def _page_of(request: HttpRequest, item: Item) -> ItemPage:
    """The item with its editors' names: but who may still decide on it has to ask for them."""
    user, page = user_of(request), ItemPage(item, names=True)
    may = item.is_contested and may_change(user, item.study.created_by_id)
    blind = may and "names" not in request.GET and not page.was_decided_by(user.pk)
    return ItemPage(item, names=False) if blind else page


def _shown(request: HttpRequest, page: ItemPage) -> dict[str, Any]:
    judgements = page_of(request, queries.judgements_of(page.item), size=JUDGEMENTS)
    rows, may = page.rows(judgements.rows), may_change(user_of(request), page.study.created_by_id)
    named = {"page": page, "item": page.item, "study": page.study, "may_change": may}
    return {**named, "judgements": judgements, "rows": rows}


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None
