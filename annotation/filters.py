"""Filters of a list. What is chosen stands in the address, so that a view can be shared.

Every filter is a function from rows to fewer rows. A value that no filter knows is left out, as an old link may have
one.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import QuerySet
from django.http import QueryDict

LONGEST = 200  # characters of a value
NUMBER = "[0-9]{1,18}"
Choices = list[tuple[str, str]]
Known = Mapping[str, Callable[[Any, str], Any]]


@dataclass(frozen=True)
class Filter:
    """One filter of a list: ``choices`` or, without them, a field of the input type ``kind`` whose values match
    ``pattern``. ``unset``: the words for no choice, if not "all". ``rare`` ones are folded away until they are used."""

    name: str
    label: str
    choices: Choices | None = None
    kind: str = "text"
    pattern: str = ".*"
    example: str = ""
    unset: str = ""
    rare: bool = False
    value: str = ""
    without: str = ""  # the address's query without this filter

    @property
    def chip(self) -> str:
        """What is chosen, in words."""
        return f"{self.label}: {dict(self.choices or []).get(self.value, self.value)}"


@dataclass(frozen=True)
class Filters:
    """The filters of a list with their values."""

    fields: list[Filter]

    @property
    def common(self) -> list[Filter]:
        return [one for one in self.fields if not one.rare]

    @property
    def rare(self) -> list[Filter]:
        return [one for one in self.fields if one.rare]

    @property
    def used(self) -> list[Filter]:
        return [one for one in self.fields if one.value]

    @property
    def rare_used(self) -> bool:
        return any(one.rare for one in self.used)

    @property
    def values(self) -> dict[str, str]:
        return {one.name: one.value for one in self.used}


def chosen(filters: list[Filter], query: QueryDict) -> Filters:
    """The filters with their values from the address; a value that cannot be is none."""
    return Filters([replace(one, value=_valid(one, query), without=_without(query, one)) for one in filters])


def _valid(one: Filter, query: QueryDict) -> str:
    value = query.get(one.name, "").strip().replace("\0", "")[:LONGEST]
    if one.choices is not None:
        return value if value in dict(one.choices) else ""
    return value if re.fullmatch(one.pattern, value, re.DOTALL) else ""


def _without(query: QueryDict, one: Filter) -> str:
    rest = query.copy()
    for name in (one.name, "after", "before"):
        rest.pop(name, None)
    return "?" + rest.urlencode()


def narrowed(rows: QuerySet[Any], known: Known, values: Mapping[str, str]) -> QuerySet[Any]:
    for name, value in values.items():
        rows = known[name](rows, value)
    return rows
