"""The OpenAPI description of the interface, and the page that shows it to people."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import inline_serializer
from rest_framework import serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request
from rest_framework.response import Response

from scoring.api.access import TokenAuthentication
from scoring.api.serializers import Output
from scoring.api.wire import Api
from webapp.accounts.access import engineers

METHODS = ("get", "post", "patch", "delete")
ERRORS = {
    "400": "Something of the request is wrong: which field, and why.",
    "401": "No token, or one that does not work.",
    "403": "The role or the scopes do not allow it, or it is somebody else's.",
    "404": "There is nothing here, or it is not yours to see.",
    "429": "Too many requests in this minute. Retry-After says how many seconds to wait.",
}
BODY_ERRORS = {"413": "The body is larger than 2 MB.", "415": "The body is not application/json."}
ABOUT = "Data sets, studies, judgements, exports and jobs of Editloop, for programs. Guide: docs/api.md."


def paged(row: type[Output], notice: bool = False) -> Any:
    """The answer of a list: ``results``, and ``next``, the address of the next page."""
    more = {"notice": serializers.CharField(allow_blank=True)} if notice else {}
    fields = {"results": row(many=True), "next": serializers.URLField(allow_null=True), **more}
    return inline_serializer(f"{row.__name__}Page", fields)


class _TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself
    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "A token made on the page Tokens."}


def with_errors(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Every operation with the refusals that it can answer with, and the scope that it needs."""
    result["components"]["schemas"]["Error"] = {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {"type": "string"},
            "fields": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
        },
    }
    for operations in result["paths"].values():
        for method, operation in operations.items():
            if method in METHODS:
                errors = {**ERRORS, **(BODY_ERRORS if method in ("post", "patch") else {})}
                for status, words in errors.items():
                    operation["responses"].setdefault(status, _error(words))
    return result


def _error(words: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {"description": words, "content": content}


@cache
def schema() -> dict[str, Any]:
    """The description; the same for everybody, so made once a process."""
    made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return made


class Schema(Api):
    """The description itself: for token holders, and for engineers who are signed in."""

    schema = None  # it does not describe itself
    authentication_classes = [TokenAuthentication, SessionAuthentication]  # DRF's own name

    def get(self, request: Request) -> Response:
        return Response(schema(), content_type="application/vnd.oai.openapi+json")


@engineers
@require_safe
def reference(request: HttpRequest) -> HttpResponse:
    """All operations on one page, from the description."""
    rows = [
        {"method": method.upper(), "path": path, **operation}
        for path, operations in schema()["paths"].items()
        for method, operation in operations.items()
        if method in METHODS
    ]
    groups: dict[str, list[Any]] = {}
    for row in rows:
        groups.setdefault(row["tags"][0], []).append(row)
    return render(request, "api/reference.html", {"groups": groups.items()})
