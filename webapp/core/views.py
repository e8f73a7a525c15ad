"""Answers that belong to no part of the product: health, refusals."""

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _


def health(request: HttpRequest) -> HttpResponse:
    """200 when the database answers. For load balancers and container health checks."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return HttpResponse(_("The database does not answer."), content_type="text/plain", status=503)
    return HttpResponse("ok", content_type="text/plain")


def wants_json(request: HttpRequest) -> bool:
    asked = request.content_type == "application/json" or "application/json" in request.headers.get("Accept", "")
    return asked or request.path.startswith("/api/v1/")


def refusal(request: HttpRequest, status: int, sentence: str) -> HttpResponse:
    """An error in the user's words: JSON to a script, a page to a person."""
    if wants_json(request):
        return JsonResponse({"error": sentence}, status=status)
    about = request if status < 500 else None  # who asks is in the database, which may be what broke
    return render(about, "error.html", {"status": status, "sentence": sentence}, status=status)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return refusal(request, 403, _("This page is too old, or cookies are off. Load it again and repeat the step."))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return refusal(request, 400, _("The request could not be read."))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return refusal(request, 403, str(exception) or _("Your role does not allow this."))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return refusal(request, 404, _("There is nothing here, or it is not yours to see."))


def too_many_requests(request: HttpRequest) -> HttpResponse:
    return refusal(request, 429, _("Too many requests in a short time. Wait a minute, then try again."))


def server_error(request: HttpRequest) -> HttpResponse:
    return refusal(
        request, 500, _("Something broke on our side. It has been logged. Nothing you sent was half stored.")
    )
