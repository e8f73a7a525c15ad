"""Figures of a large study are computed once and kept for a minute, with the time at which they were taken.

A small study is computed each time, so that its pages are never behind. What is kept is plain JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import redis
from django.core.cache import cache
from django.utils import timezone

from annotation.models import Study

LARGE = 4_000  # judgements: from here on figures are kept
LARGE_BOOTSTRAP = 500  # the same for those that need a bootstrap, which takes seconds
KEPT = 60  # seconds

Value = TypeVar("Value")


@dataclass(frozen=True)
class Kept(Generic[Value]):
    """``taken_at``: when ``value`` was computed; ``is_kept``: it may be behind by up to ``KEPT`` seconds."""

    value: Value
    taken_at: datetime
    is_kept: bool


def kept_for(
    study: Study, name: str, judgements: int, make: Callable[[], dict[str, Any]], large: int | None = None
) -> Kept[dict[str, Any]]:
    """``make()``, or what it said at most a minute ago where the study has many ``judgements``: ``large`` or more."""
    if judgements < (LARGE if large is None else large):
        return Kept(make(), timezone.now(), is_kept=False)
    key = f"study:{study.uid}:{name}"
    found = _read(key)
    if found is None:
        found = {"at": timezone.now().isoformat(), "value": make()}
        _write(key, found)
    return Kept(found["value"], datetime.fromisoformat(found["at"]), is_kept=True)


def _read(key: str) -> Any:
    try:
        return cache.get(key)
    except redis.RedisError:  # pages work without Redis, more slowly
        return None


def _write(key: str, value: Any) -> None:
    try:
        cache.set(key, value, KEPT)
    except redis.RedisError:
        return
