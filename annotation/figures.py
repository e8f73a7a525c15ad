"""Counts of a data set. Those of a large one are kept for a minute and say when they were taken.

To count a million candidates takes up to half a second, which is too long for every view of a page; a small data set is
counted each time, so that its page is never behind. Counting needs no help from whoever adds or removes rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, TypeVar

import redis
from django.core.cache import cache
from django.db.models import Count
from django.utils import timezone

from annotation.models import Candidate, Case, Dataset

LARGE = 50_000  # candidates: from here on counts are kept
KEPT = 60  # seconds
MOST_MAKERS = 200  # editors with their settings, of one data set


@dataclass(frozen=True)
class Size:
    cases: int
    sources: int
    candidates: int

    @property
    def is_large(self) -> bool:
        return self.candidates >= LARGE


@dataclass(frozen=True)
class Figures(Size):
    """``editors``: the keys of those that made candidates. ``counted_at``: ISO time."""

    tasks: dict[str, int]
    splits: dict[str, int]
    categories: dict[str, int]  # "": uncategorised
    editors: list[int]
    counted_at: str

    @property
    def moment(self) -> datetime:
        return datetime.fromisoformat(self.counted_at)


def sizes_of(datasets: Sequence[Dataset]) -> list[Size]:
    """The size of each data set: two queries for all of them, none for those that are kept."""
    found = {data.pk: Size(**kept) for data in datasets if (kept := _read("size", data)) is not None}
    missing = [data for data in datasets if data.pk not in found]
    cases = Case.objects.filter(dataset__in=missing).order_by().values_list("dataset")
    rows = {pk: (n, m) for pk, n, m in cases.annotate(n=Count("pk"), m=Count("source", distinct=True))}
    made = Candidate.objects.filter(case__dataset__in=missing).order_by().values_list("case__dataset")
    candidates = dict(made.annotate(n=Count("pk")))
    for data in missing:
        count, sources = rows.get(data.pk, (0, 0))
        found[data.pk] = Size(count, sources, candidates.get(data.pk, 0))
        if found[data.pk].is_large:
            _write("size", data, asdict(found[data.pk]))
    return [found[data.pk] for data in datasets]


def figures_of(dataset: Dataset) -> Figures:
    """The counts of a data set: six queries, none where they are kept. Without counts by editor, for which SQLite sorts
    all rows."""
    (size,) = sizes_of([dataset])
    return Figures(**kept_for(dataset, "figures", size.is_large, lambda: asdict(_count(dataset, size))))


def _count(dataset: Dataset, size: Size) -> Figures:
    cases = dataset.cases.order_by()

    def by(field: str) -> dict[str, int]:
        return {value or "": count for value, count in cases.values_list(field).annotate(n=Count("pk"))}

    return Figures(
        **asdict(size),
        tasks=by("task"),
        splits=by("split"),
        categories=by("source__source_facts__category"),
        editors=sorted({editor for editor, _digest in makers_of(dataset, size)}),
        counted_at=timezone.now().isoformat(),
    )


def makers_of(dataset: Dataset, size: Size) -> list[list[Any]]:
    """[editor, hash of its settings] of all candidates, each once. Of very many, as where each row has settings of its
    own, some; then every editor comes with an empty hash as well."""
    return kept_for(dataset, "makers", size.is_large, lambda: _makers(dataset))


def _makers(dataset: Dataset) -> list[list[Any]]:
    rows = Candidate.objects.filter(case__dataset=dataset).order_by()
    found = [list(row) for row in rows.values_list("editor", "settings_hash").distinct()[:MOST_MAKERS]]
    if len(found) == MOST_MAKERS:
        found += [[editor, ""] for editor in rows.values_list("editor", flat=True).distinct()]
    return sorted(found)


# What is kept -------------------------------------------------------------------------------------------------------

Value = TypeVar("Value")


def kept_for(dataset: Dataset, name: str, large: bool, make: Callable[[], Value]) -> Value:
    """``make()``, or what it said at most a minute ago where the data set is large. The value must be plain JSON."""
    if not large:
        return make()
    found = _read(name, dataset)
    if found is None:
        found = make()
        _write(name, dataset, found)
    return found  # type: ignore[no-any-return]


def _key(name: str, dataset: Dataset) -> str:
    return f"dataset:{dataset.uid}:{name}"


def _read(name: str, dataset: Dataset) -> Any:
    try:
        return cache.get(_key(name, dataset))
    except redis.RedisError:  # pages work without Redis, more slowly
        return None


def _write(name: str, dataset: Dataset, value: Any) -> None:
    try:
        cache.set(_key(name, dataset), value, KEPT)
    except redis.RedisError:
        return
