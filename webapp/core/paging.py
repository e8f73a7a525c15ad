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
    """The page that ``?after=ID`` or ``?before=ID`` names; a value that is no number means the first page."""
    after, before = _key(request, "after"), _key(request, "before")
    forward, backward = ("id__lt", "id__gt") if newest_first else ("id__gt", "id__lt")
    order = "-id" if newest_first else "id"
    if before is not None:
        found: list[Model] = list(rows.filter(**{backward: before}).order_by(_reversed(order))[: size + 1])
        more_before, more_after = len(found) > size, True
        found = found[:size][::-1]
    else:
        if after is not None:
            rows = rows.filter(**{forward: after})
        found = list(rows.order_by(order)[: size + 1])
        more_before, more_after = after is not None, len(found) > size
        found = found[:size]
    return Page(
        rows=found,
        next=_query(request, after=found[-1].pk) if more_after and found else "",
        previous=_query(request, before=found[0].pk) if more_before and found else "",
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
