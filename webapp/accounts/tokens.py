"""Tokens of the interface for programs: made by a person for themselves, shown once, kept as their hash."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from datetime import time as clock

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from webapp.accounts.models import ApiToken, Scope, User

PREFIX = "editloop_"  # by it a scanner of repositories knows what it has found
MOST = 20  # open ones of a person
USE_NOTED_EVERY = timedelta(minutes=1)


def hash_of(token: str) -> str:
    """The token has 256 random bits, so a plain hash cannot be turned back."""
    return hashlib.sha256(token.encode()).hexdigest()


@transaction.atomic
def make_token(*, by: User, name: str, scopes: Sequence[str], last_day: date | None = None) -> tuple[ApiToken, str]:
    """A new token of this person and its text, which is shown once. ``last_day``: it works until that day ends."""
    if not by.is_engineer:
        raise PermissionDenied(_("Your role does not allow this."))
    if not scopes or not set(scopes) <= set(Scope.values):
        raise ValidationError({"scopes": _("Choose at least one from the list.")})
    if last_day and last_day < timezone.localdate():
        raise ValidationError({"last_day": _("This day is over already.")})
    if open_tokens(by).count() >= MOST:
        raise ValidationError(_("You have %(most)d tokens that work. Revoke one first.") % {"most": MOST})
    text = PREFIX + secrets.token_urlsafe(32)
    token = ApiToken(
        user=by,
        name=name,
        token_hash=hash_of(text),
        hint=text[: len(PREFIX) + 3],
        scopes=[scope for scope in Scope.values if scope in scopes],
        expires_at=timezone.make_aware(datetime.combine(last_day, clock.max)) if last_day else None,
    )
    token.full_clean()
    token.save()
    return token, text


def open_tokens(user: User) -> QuerySet[ApiToken]:
    now = timezone.now()
    return ApiToken.objects.filter(Q(expires_at=None) | Q(expires_at__gt=now), user=user, revoked_at=None)


def revoke(*, token: ApiToken) -> None:
    ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now())


def find_token(text: str) -> ApiToken | None:
    """The token of this text, whether it still works or not, with its owner. Notes its use, once a minute."""
    token = ApiToken.objects.select_related("user").filter(token_hash=hash_of(text)).first()
    now = timezone.now()
    if token and token.is_open and (token.last_used_at is None or token.last_used_at < now - USE_NOTED_EVERY):
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return token
