"""Counts of a data set. Those of a large one are kept for a minute and say when they were taken.

To count a million candidates takes half a second, which is too long for every view of a page; a small data set is
counted each time, so that its page is never behind. Counting needs no help from whoever adds or removes rows.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, TypeVar

import redis
from django.core.cache import cache
from django.db.models import Count
from django.utils import timezone

from annotation.models import Candidate, Case, Dataset

LARGE = 50_000  # candidates: from here on counts are kept
KEPT = 60  # seconds


@dataclass(frozen=True)
class Figures:
    """``makers``: (editor's key, candidates it made). ``counted_at``: ISO time."""

    cases: int
    sources: int
    tasks: dict[str, int]
    splits: dict[str, int]
    categories: dict[str, int]  # "": uncategorised
    makers: list[tuple[int, int]]
    counted_at: str

    @property
    def candidates(self) -> int:
        return sum(count for _editor, count in self.makers)

    @property
    def by_editor(self) -> dict[int, int]:
        return dict(self.makers)

    @property
    def editors(self) -> int:
        return len(self.makers)

    @property
    def is_large(self) -> bool:
        return self.candidates >= LARGE

    @property
    def moment(self) -> datetime:
        return datetime.fromisoformat(self.counted_at)


def figures_of(datasets: Sequence[Dataset]) -> list[Figures]:
    """The counts of each data set: five queries for all of them, none for those that are kept."""
    kept = {data.pk: _read("figures", data) for data in datasets}
    missing = [data for data in datasets if kept[data.pk] is None]
    fresh = _count(missing) if missing else {}
    for data in missing:
        if fresh[data.pk].is_large:
            _write("figures", data, asdict(fresh[data.pk]))
    names = [field.name for field in fields(Figures)]
    return [
        fresh[data.pk] if (value := kept[data.pk]) is None else Figures(**{name: value[name] for name in names})
        for data in datasets
    ]


def _count(datasets: list[Dataset]) -> dict[int, Figures]:
    cases = Case.objects.filter(dataset__in=datasets).order_by().values_list("dataset")
    sources = dict(cases.annotate(n=Count("source", distinct=True)))
    tasks = _grouped(cases.values_list("dataset", "task").annotate(n=Count("pk")))
    splits = _grouped(cases.values_list("dataset", "split").annotate(n=Count("pk")))
    categories = _grouped(cases.values_list("dataset", "source__source_facts__category").annotate(n=Count("pk")))
    makers = _makers(datasets)
    now = timezone.now().isoformat()
    return {
        data.pk: Figures(
            cases=sum(tasks[data.pk].values()),
            sources=sources.get(data.pk, 0),
            tasks=tasks[data.pk],
            splits=splits[data.pk],
            categories=categories[data.pk],
            makers=sorted(makers[data.pk]),
            counted_at=now,
        )
        for data in datasets
    }


def _makers(datasets: list[Dataset]) -> dict[int, list[tuple[int, int]]]:
    """(editor, candidates) of each data set. For one alone the group is the editor: SQLite then needs no sorting, and
    half the time."""
    makers: dict[int, list[tuple[int, int]]] = defaultdict(list)
    rows = Candidate.objects.order_by()
    if len(datasets) == 1:
        data = datasets[0].pk
        makers[data] = list(rows.filter(case__dataset=data).values_list("editor").annotate(n=Count("pk")))
        return makers
    rows = rows.filter(case__dataset__in=datasets)
    for data, editor, count in rows.values_list("case__dataset", "editor").annotate(n=Count("pk")):
        makers[data].append((editor, count))
    return makers


def _grouped(rows: Any) -> dict[int, dict[str, int]]:
    counts: dict[int, dict[str, int]] = defaultdict(dict)
    for data, value, count in rows:
        counts[data][value or ""] = count
    return counts


# What is kept -------------------------------------------------------------------------------------------------------

Value = TypeVar("Value")


def kept_for(dataset: Dataset, name: str, figures: Figures, make: Callable[[], Value]) -> Value:
    """``make()``, or what it said at most a minute ago where the data set is large. The value must be plain JSON."""
    if not figures.is_large:
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
