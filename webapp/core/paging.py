"""Paging by key: a page costs the same wherever it lies, because it starts at an index entry and counts nothing."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Model, QuerySet
from django.http import HttpRequest

PAGE_SIZE = 50


@dataclass(frozen=True)
class Page:
    """``rows`` newest first; ``next`` and ``previous`` are query strings, empty where there is no such page."""

    rows: list[Any]
    next: str
    previous: str

    def __iter__(self) -> Any:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


def page_of(request: HttpRequest, rows: QuerySet[Any], size: int = PAGE_SIZE, newest_first: bool = True) -> Page:
    """The page that ``?after=ID`` or ``?before=ID`` names, or the first: also where no rows are left on that page, for
    an empty one is a dead end, and where the value is no number."""
    after, before = _key(request, "after"), _key(request, "before")
    forward, backward = ("id__lt", "id__gt") if newest_first else ("id__gt", "id__lt")
    order = "-id" if newest_first else "id"
    if before is not None and (found := list(rows.filter(**{backward: before}).order_by(_reversed(order))[: size + 1])):
        return _page(request, found[:size][::-1], before=len(found) > size, after=True)
    if after is not None and (found := list(rows.filter(**{forward: after}).order_by(order)[: size + 1])):
        return _page(request, found[:size], before=True, after=len(found) > size)
    found = list(rows.order_by(order)[: size + 1])
    return _page(request, found[:size], before=False, after=len(found) > size)


def _page(request: HttpRequest, rows: list[Model], before: bool, after: bool) -> Page:
    return Page(
        rows=rows,
        next=_query(request, after=rows[-1].pk) if after else "",
        previous=_query(request, before=rows[0].pk) if before else "",
    )


def _reversed(order: str) -> str:
    return order[1:] if order.startswith("-") else "-" + order


def _key(request: HttpRequest, name: str) -> int | None:
    value = request.GET.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None


def _query(request: HttpRequest, **changes: int) -> str:
    query = request.GET.copy()
    for name in ("after", "before"):
        query.pop(name, None)
    for name, value in changes.items():
        query[name] = str(value)
    return "?" + query.urlencode()
