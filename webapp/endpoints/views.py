"""Endpoints, for admins."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from webapp.accounts.access import admins, user_of
from webapp.core.paging import page_of
from webapp.endpoints import services
from webapp.endpoints.forms import EndpointForm
from webapp.endpoints.models import Endpoint


@admins
def endpoints(request: HttpRequest) -> HttpResponse:
    page = page_of(request, Endpoint.objects.select_related("created_by"))
    return render(request, "endpoints/endpoints.html", {"page": page})


@admins
@sensitive_post_parameters("key")
def new(request: HttpRequest) -> HttpResponse:
    return _edit(request, Endpoint(created_by=user_of(request)))


@admins
@sensitive_post_parameters("key")
def endpoint(request: HttpRequest, uid: UUID) -> HttpResponse:
    return _edit(request, get_object_or_404(Endpoint, uid=uid))


def _edit(request: HttpRequest, found: Endpoint) -> HttpResponse:
    title = found.name
    form = EndpointForm(request.POST or None, instance=found)
    if request.method == "POST" and form.is_valid():
        try:
            saved = services.save_endpoint(endpoint=form.save(commit=False), **form.secret())
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, _("Saved. Try it now."))
            return redirect(saved)
    return render(request, "endpoints/endpoint.html", {"form": form, "endpoint": found, "title": title})


@admins
@require_POST
def delete(request: HttpRequest, uid: UUID) -> HttpResponse:
    services.delete_endpoint(endpoint=get_object_or_404(Endpoint, uid=uid))
    messages.success(request, _("Deleted. Jobs that name this endpoint will say that it is missing."))
    return redirect("endpoints")


@admins
@require_POST
def try_out(request: HttpRequest, uid: UUID) -> HttpResponse:
    found = get_object_or_404(Endpoint, uid=uid)
    try:
        messages.success(request, services.try_out(endpoint=found))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect(found)
