"""The first page of each role, and the figures for monitoring."""

import hmac

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from webapp.accounts.access import engineers, signed_in, user_of
from webapp.dashboard import metrics as figures
from webapp.dashboard import queries


@signed_in
def home(request: HttpRequest) -> HttpResponse:
    """Annotators go to their work, everybody else to the overview."""
    return redirect("overview" if user_of(request).is_engineer else "work")


@engineers
def overview(request: HttpRequest) -> HttpResponse:
    return render(request, "dashboard/overview.html", queries.overview())


def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus figures, for whoever knows EDITLOOP_METRICS_TOKEN; without one there is no such page."""
    expected = f"Bearer {settings.METRICS_TOKEN}"
    given = request.headers.get("Authorization", "")
    if not settings.METRICS_TOKEN or not hmac.compare_digest(given.encode(), expected.encode()):
        return HttpResponse(status=404)
    return HttpResponse(figures.text(), content_type=figures.CONTENT_TYPE)
