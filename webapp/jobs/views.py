"""Job pages."""

from collections.abc import Callable
from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from webapp.accounts.access import engineers, may_change, user_of
from webapp.accounts.models import User
from webapp.core.paging import page_of
from webapp.jobs import kinds, queries, services
from webapp.jobs.models import Job
from webapp.live.streams import stream


def _job(request: HttpRequest, uid: UUID, change: bool = False) -> Job:
    job = get_object_or_404(Job.objects.select_related("created_by", "parent"), uid=uid)
    if change and not may_change(user_of(request), job.created_by_id):
        raise PermissionDenied(_("This job is somebody else's. Ask them or an admin."))
    return job


@engineers
def jobs(request: HttpRequest) -> HttpResponse:
    page = page_of(request, Job.objects.filter(parent=None).select_related("created_by"))
    health = [queries.queue_health(queue) for queue in (kinds.DEFAULT, kinds.GPU)]
    return render(request, "jobs/jobs.html", {"page": page, "health": health})


@engineers
def job(request: HttpRequest, uid: UUID) -> HttpResponse:
    found = _job(request, uid)
    kind = kinds.kind_of(found)
    context = {"kind": kind, "may_change": may_change(user_of(request), found.created_by_id)}
    return render(request, "jobs/job.html", {**_status(found), **kind.context(found), **context})


@engineers
def status(request: HttpRequest, uid: UUID) -> HttpResponse:
    """The moving part of the page, fetched again when the live stream says that something changed."""
    found = _job(request, uid)
    may = may_change(user_of(request), found.created_by_id)
    return render(request, "jobs/status.html", {**_status(found), "may_change": may})


@engineers
def part(request: HttpRequest, uid: UUID) -> HttpResponse:
    """What only this kind of job shows, fetched again as it grows."""
    found = _job(request, uid)
    kind = kinds.kind_of(found)
    return render(request, kind.template, kind.context(found)) if kind.template else HttpResponse(status=204)


def _status(found: Job) -> dict[str, object]:
    return {
        "job": found,
        "kind": kinds.kind_of(found),
        "links": kinds.kind_of(found).links(found),
        "trouble": queries.trouble(found),
        "seconds_left": queries.seconds_left(found),
        "rate": queries.rate(found),
        "parts": queries.parts(found) if found.is_shared else [],
        "log": queries.log_tail(found),
        "summary": {name: value for name, value in found.summary.items() if not isinstance(value, dict | list)},
    }


def _act(request: HttpRequest, uid: UUID, action: Callable[..., Job], done: str, **more: object) -> HttpResponse:
    found = _job(request, uid, change=True)
    try:
        found = action(job=found, **more)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, done)
    return redirect(found)


@engineers
@require_POST
def cancel(request: HttpRequest, uid: UUID) -> HttpResponse:
    return _act(request, uid, services.cancel, _("The job was asked to stop. It saves its place first."))


@engineers
@require_POST
def resume(request: HttpRequest, uid: UUID) -> HttpResponse:
    return _act(request, uid, services.resume, _("The job goes on."))


@engineers
@require_POST
def clone(request: HttpRequest, uid: UUID) -> HttpResponse:
    found = _job(request, uid)
    try:
        return redirect(services.clone(job=found, by=user_of(request)))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect(found)


async def live(request: HttpRequest, uid: UUID) -> HttpResponseBase:
    """Events of one job."""
    if not await sync_to_async(_may_watch)(await request.auser(), uid):
        return HttpResponse(status=404)
    return await stream(request, f"job:{uid}")


def _may_watch(user: User | AnonymousUser, uid: UUID) -> bool:
    return isinstance(user, User) and user.is_engineer and Job.objects.filter(uid=uid).exists()
