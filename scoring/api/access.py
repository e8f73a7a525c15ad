"""Who may ask what: tokens, their scopes, the role behind them, and how often.

A token is its owner's. What it may do is the smaller of its scopes and of what the owner's role allows now: engineers
and admins alone, because almost everything here tells which editor made an image, and annotators must not know.
"""

from __future__ import annotations

import time
from typing import Any

import redis
from django.core.cache import cache
from django.utils.translation import gettext as _
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from webapp.accounts.models import ApiToken, Scope, User
from webapp.accounts.tokens import find_token

SAFE = ("GET", "HEAD")


class TokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer editloop_…``. ``request.auth`` is the token's row."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        kind, _space, text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if kind.lower() != "bearer":
            return None
        token = find_token(text.strip()) if text.isascii() else None
        if token is None:
            raise AuthenticationFailed(_("This token is not known. Make one on the page Tokens."))
        if not token.is_open or not token.user.is_active:
            raise AuthenticationFailed(_("This token was revoked, or its last day is over."))
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class MayAsk(BasePermission):
    """The owner's role first, then the scope that the view names for the method."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not isinstance(request.user, User):
            raise NotAuthenticated(_("Send a token as Authorization: Bearer …; you make one on the page Tokens."))
        if not request.user.is_engineer:
            raise PermissionDenied(_("Your role does not allow this."))
        wanted = view.scope if request.method in SAFE else view.write_scope
        if isinstance(request.auth, ApiToken) and wanted not in request.auth.scopes:
            raise PermissionDenied(_("This token lacks the scope “%(scope)s”.") % {"scope": wanted})
        return True


class PerMinute(BaseThrottle):
    """So many requests in each minute of the clock, for a token. Redis away: no limit, rather than no answer."""

    reads, writes, heavy = 600, 60, 30
    left = 0.0

    def allow_request(self, request: Request, view: Any) -> bool:
        if not isinstance(request.auth, ApiToken):
            return True
        kind = "heavy" if view.heavy else "reads" if request.method in SAFE else "writes"
        minute, into = divmod(time.time(), 60)
        self.left = 60 - into
        most: int = getattr(self, kind)
        return self._count(f"api:{request.auth.pk}:{kind}:{int(minute)}") <= most

    def _count(self, key: str) -> int:
        try:
            cache.add(key, 0, timeout=120)
            return int(cache.incr(key))
        except (redis.RedisError, ValueError):
            return 0

    def wait(self) -> float:
        return self.left


READ, STUDIES, EXPORTS, JOBS = Scope.READ, Scope.STUDIES, Scope.EXPORTS, Scope.JOBS
