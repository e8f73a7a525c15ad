"""The first page of each role, and the figures for monitoring."""

import hmac

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render

from webapp.accounts.access import engineers, signed_in, user_of
from webapp.accounts.models import User
from webapp.dashboard import metrics as figures
from webapp.dashboard import queries
from webapp.live.streams import stream


@signed_in
def home(request: HttpRequest) -> HttpResponse:
    """Annotators go to their work, everybody else to the overview."""
    return redirect("overview" if user_of(request).is_engineer else "work")


@engineers
def overview(request: HttpRequest) -> HttpResponse:
    return render(request, "dashboard/overview.html", queries.overview())


@engineers
def overview_now(request: HttpRequest) -> HttpResponse:
    """The moving part of the overview, fetched again when a job starts or ends, and every few seconds."""
    return render(request, "dashboard/now.html", queries.overview())


async def live(request: HttpRequest) -> HttpResponseBase:
    """Events of all jobs: one started or ended."""
    if not await sync_to_async(_may_watch)(await request.auser()):
        return HttpResponse(status=404)
    return await stream(request, "jobs")


def _may_watch(user: User | AnonymousUser) -> bool:
    return isinstance(user, User) and user.is_engineer


def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus figures, for whoever knows EDITLOOP_METRICS_TOKEN; without one there is no such page."""
    expected = f"Bearer {settings.METRICS_TOKEN}"
    given = request.headers.get("Authorization", "")
    if not settings.METRICS_TOKEN or not hmac.compare_digest(given.encode(), expected.encode()):
        return HttpResponse(status=404)
    return HttpResponse(figures.text(), content_type=figures.CONTENT_TYPE)
