"""What goes over the wire: bodies within limits, refusals in words, pages by key. A view is an ``Api``."""

from __future__ import annotations

import json
import math
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError as Refusal
from django.db.models import Model, QuerySet
from django.http import UnreadablePostError
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.exceptions import APIException, ErrorDetail, ParseError, ValidationError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, exception_handler

from scoring.api.access import READ, MayAsk, PerMinute, TokenAuthentication
from webapp.accounts.access import may_change

LARGEST_KEY = 2**63 - 1
LONGEST_NUMBER = 19  # characters
PAGE, LARGEST_PAGE = 50, 200


class TooLarge(APIException):
    status_code = 413
    default_code = "too_large"


class Conflict(APIException):
    """The request is sound, and what it is about does not allow it now."""

    status_code = 409
    default_code = "conflict"


class BodyParser(BaseParser):
    """JSON of a limited size and depth, without NaN: what the database could not keep is refused here."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0
        try:
            body = stream.read(most + 1)
        except UnreadablePostError:
            raise ParseError(_("The request broke off.")) from None
        if len(body) > most:
            raise TooLarge(_("The body is larger than %(mb)d MB.") % {"mb": most // 2**20})
        try:
            return json.loads(body.decode("utf-8"), parse_constant=_no_constant, parse_int=_whole, parse_float=_real)
        except (ValueError, RecursionError) as error:
            words = _("The body is no JSON that can be read: %(why)s") % {"why": str(error)[:200]}
            raise ParseError(words) from None


def _no_constant(name: str) -> float:
    raise ValueError(_("%(name)s is no number of JSON.") % {"name": name})


def _whole(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise ValueError(_("A number is too large."))
    return int(text)


def _real(text: str) -> float:
    if not math.isfinite(float(text)):
        raise ValueError(_("A number is too large."))
    return float(text)


def refuse(error: Exception, context: dict[str, Any]) -> Response | None:
    """Each refusal as {"error": a sentence, "fields": {name: [sentences]}}; None for what is our own mistake."""
    if isinstance(error, Refusal):
        error = ValidationError(error.message_dict if hasattr(error, "error_dict") else error.messages)
    response = exception_handler(error, context)
    if response is None:
        return None
    fields: dict[str, list[str]] = {}
    if isinstance(error, ValidationError):
        _collect(error.detail, "", fields)
        first, sentences = next(iter(fields.items()))
        sentence = f"{first}: {sentences[0]}" if first else sentences[0]
        fields.pop("", None)
    else:
        sentence = str(getattr(error, "detail", "")) or _("There is nothing here, or it is not yours to see.")
        if response.status_code == 404:
            sentence = _("There is nothing here, or it is not yours to see.")
    response.data = {"error": sentence, "fields": fields}
    return response


def _collect(detail: Any, name: str, into: dict[str, list[str]]) -> None:
    """Sentences by the path of their field: events.0, settings.raters."""
    if isinstance(detail, dict):
        for key, inner in detail.items():
            own = "" if key in ("non_field_errors", "__all__") else str(key)
            _collect(inner, ".".join(part for part in (name, own) if part), into)
        return
    for place, inner in enumerate(detail if isinstance(detail, list) else [detail]):
        if isinstance(inner, ErrorDetail | str):
            into.setdefault(_sendable(name), []).append(_sendable(inner))
        else:
            _collect(inner, f"{name}.{place}" if name else str(place), into)


def _sendable(text: str) -> str:
    """Without halves of characters: a refusal quotes what came, and UTF-8 cannot carry them."""
    return str(text).encode(errors="replace").decode()


class Input(serializers.Serializer):
    """What a client sends. A field that nobody knows is refused: a typing error must not pass as a default."""

    def to_internal_value(self, data: Any) -> Any:
        known = super().to_internal_value(data)
        if unknown := sorted(set(map(str, data)) - set(self.fields)):
            words = _("There is no such field. Known: %(known)s.") % {"known": ", ".join(self.fields)}
            raise ValidationError({name[:100]: [words] for name in unknown[:20]})
        return known


class PageQuery(Input):
    after = serializers.IntegerField(
        min_value=0, max_value=LARGEST_KEY, default=0, help_text="Rows after this key: the one in “next”."
    )
    limit = serializers.IntegerField(min_value=1, max_value=LARGEST_PAGE, default=PAGE, help_text="Rows of a page.")


class Api(APIView):
    """A view of the interface. ``scope`` for reading, ``write_scope`` for the rest; ``heavy``: computes much."""

    authentication_classes: ClassVar[list[Any]] = [TokenAuthentication]
    permission_classes: ClassVar[list[Any]] = [MayAsk]
    throttle_classes: ClassVar[list[Any]] = [PerMinute]
    parser_classes: ClassVar[list[Any]] = [BodyParser]
    renderer_classes: ClassVar[list[Any]] = [JSONRenderer]
    scope: ClassVar[str] = READ
    write_scope: ClassVar[str] = READ
    heavy: ClassVar[bool] = False

    def get_exception_handler(self) -> Any:
        return refuse


def read(kind: type[Any], data: Any) -> dict[str, Any]:
    """The checked values of a body or a query. Raises ValidationError with the field."""
    serializer = kind(data=data)
    serializer.is_valid(raise_exception=True)
    values: dict[str, Any] = serializer.validated_data
    return values


def page_rows(request: Request, rows: QuerySet[Any], query: dict[str, Any]) -> tuple[list[Any], str | None]:
    """The page after a key, oldest first, and the address of the next one. Rows that come meanwhile are at the end."""
    limit = query["limit"]
    found = list(rows.filter(id__gt=query["after"]).order_by("id")[: limit + 1])
    if len(found) <= limit:
        return found, None
    address = request.query_params.copy()
    address["after"] = str(found[limit - 1].pk)
    return found[:limit], request.build_absolute_uri(f"{request.path}?{address.urlencode()}")


def found_or_404(rows: QuerySet[Any], uid: UUID) -> Any:
    return get_object_or_404(rows, uid=uid)


def check_owner(request: Request, row: Model) -> None:
    """Only who made it, and admins, change it."""
    from rest_framework.exceptions import PermissionDenied

    if not may_change(request.user, getattr(row, "created_by_id", None)):
        raise PermissionDenied(_("This belongs to somebody else. Ask them or an admin."))


def finite(value: Any) -> Any:
    """Without NaN and infinity, which JSON does not have: a figure that does not exist is null."""
    if isinstance(value, dict):
        return {str(key): finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
