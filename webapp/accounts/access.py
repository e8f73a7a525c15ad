"""The access helpers that come first in every view."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.utils.translation import gettext as _

from webapp.accounts.models import User

View = Callable[..., HttpResponseBase]


def user_of(request: HttpRequest) -> User:
    """The signed-in user. Call it only behind one of the decorators here."""
    return cast(User, request.user)


def signed_in(view: View) -> View:
    """Anonymous people go to the sign-in page."""
    return login_required(view)


def engineers(view: View) -> View:
    """Engineers and admins."""
    return _only(view, lambda user: user.is_engineer)


def admins(view: View) -> View:
    return _only(view, lambda user: user.is_admin)


def _only(view: View, allowed: Callable[[User], bool]) -> View:
    @wraps(view)
    def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not allowed(user_of(request)):
            raise PermissionDenied(_("Your role does not allow this."))
        return view(request, *args, **kwargs)

    return signed_in(inner)


def api_signed_in(view: View) -> View:
    """For scripts: 401 with a sentence, where a redirect to a page would look like success."""

    @wraps(view)
    def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return JsonResponse({"error": _("You are signed out. Sign in again; nothing is lost.")}, status=401)
        return view(request, *args, **kwargs)

    return inner


def may_change(user: User, owner_id: int | None) -> bool:
    """Admins change everything; others change what they made."""
    return user.is_admin or (user.is_engineer and owner_id == user.pk)
