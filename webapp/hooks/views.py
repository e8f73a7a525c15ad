"""Webhooks, for engineers: their own; admins see all."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from webapp.accounts.access import engineers, user_of
from webapp.core.paging import page_of
from webapp.hooks import services, studies
from webapp.hooks.events import EVENTS
from webapp.hooks.forms import WebhookForm
from webapp.hooks.models import Delivery, Webhook
from webapp.hooks.sending import TRIES


def _mine(request: HttpRequest) -> QuerySet[Webhook]:
    """An address can hold a secret of its receiver, so other engineers do not see it."""
    user, rows = user_of(request), Webhook.objects.select_related("created_by")
    return rows if user.is_admin else rows.filter(created_by=user)


@engineers
@never_cache
def webhooks(request: HttpRequest) -> HttpResponse:
    form, made, secret = WebhookForm(request.POST or None, initial={"study": request.GET.get("study")}), None, ""
    if request.method == "POST" and form.is_valid():
        try:
            made, secret = services.add_webhook(by=user_of(request), **form.values())
            form = WebhookForm()
        except ValidationError as error:
            form.add_error(None, error)
    page = page_of(request, _mine(request))
    return render(request, "hooks/webhooks.html", {"page": page, "form": form, "made": made, "secret": secret})


@engineers
def webhook(request: HttpRequest, uid: UUID) -> HttpResponse:
    found = get_object_or_404(_mine(request), uid=uid)
    context = {
        "hook": found,
        "events": [EVENTS[event] for event in found.events if event in EVENTS],
        "study": dict(studies.known()).get(str(found.study_uid), found.study_uid),
        "page": page_of(request, found.deliveries.all()),
        "tries": TRIES,
    }
    return render(request, "hooks/webhook.html", context)


@engineers
@require_POST
def switch(request: HttpRequest, uid: UUID) -> HttpResponse:
    found = get_object_or_404(_mine(request), uid=uid)
    try:
        services.switch(hook=found, on=not found.is_active)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, _("Switched on.") if found.is_active else _("Switched off. Nothing is lost."))
    return redirect(found)


@engineers
@require_POST
def test(request: HttpRequest, uid: UUID) -> HttpResponse:
    found = get_object_or_404(_mine(request), uid=uid)
    sent = services.send_test(hook=found)
    if sent.state == Delivery.State.DELIVERED:
        messages.success(request, _("It arrived: the receiver answered %(status)d.") % {"status": sent.status})
    else:
        words = {"answer": sent.answer, "status": sent.status or _("nothing")}
        messages.error(request, _("It was not taken. Answer: %(status)s. %(answer)s") % words)
    return redirect(found)


@engineers
@require_POST
def delete(request: HttpRequest, uid: UUID) -> HttpResponse:
    services.delete_webhook(hook=get_object_or_404(_mine(request), uid=uid))
    messages.success(request, _("Deleted, with its deliveries."))
    return redirect("webhooks")


@engineers
@require_POST
def redeliver(request: HttpRequest, uid: UUID) -> HttpResponse:
    rows = Delivery.objects.select_related("webhook")
    found = get_object_or_404(rows.filter(webhook__in=_mine(request)), uid=uid)
    try:
        services.redeliver(delivery=found)
        messages.success(request, _("It is sent once more."))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect(found.webhook)
