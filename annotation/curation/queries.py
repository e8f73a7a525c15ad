"""Reads for categories, balance and splits. Whole data sets are counted by the database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet

from annotation.curation.balance import UNCATEGORISED, Row
from annotation.curation.categorisers import PERSON
from annotation.curation.phash import NEAR, near_groups
from annotation.models import Case, Category, Dataset, Source, Split, StoredImage, Task

FREQUENT = 9  # categories with a digit of their own on the tagging page
CATEGORY = "source__source_facts__category"


def sources_of(dataset: Dataset) -> QuerySet[StoredImage]:
    """The distinct source images of a data set."""
    return StoredImage.objects.filter(pk__in=dataset.cases.order_by().values("source"))


def cells_of(dataset: Dataset) -> dict[str, dict[str, int]]:
    """Cases by task and category; those without a category under UNCATEGORISED. One query."""
    cells: dict[str, dict[str, int]] = defaultdict(dict)
    rows = dataset.cases.order_by().values_list("task", CATEGORY).annotate(count=Count("id"))
    for task, category, count in sorted(rows, key=str):
        cells[task][category or UNCATEGORISED] = count
    return dict(cells)


def rows_of(dataset: Dataset) -> list[Row]:
    """Every case as the balancing draw sees it: by names that are the same wherever the data set is imported."""
    values = dataset.cases.order_by().values_list("key", CATEGORY, "task", "source__sha256")
    found = values.iterator(chunk_size=5000)
    return [Row(key, category or UNCATEGORISED, task, source) for key, category, task, source in found]


@dataclass(frozen=True)
class Line:
    """One line of the table of categories: the cases of each task, in the order of ``tasks``."""

    name: str
    group: str
    counts: list[int]

    @property
    def total(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True)
class Table:
    tasks: list[Task]
    lines: list[Line]  # categories that occur, the most frequent first
    uncategorised: Line


def table_of(cells: Mapping[str, Mapping[str, int]]) -> Table:
    """The cells with names, as a table. Two queries."""
    tasks = list(Task.objects.filter(pk__in=cells))

    def counts(slug: str) -> list[int]:
        return [cells[task.pk].get(slug, 0) for task in tasks]

    names = {slug for row in cells.values() for slug in row if slug != UNCATEGORISED}
    lines = [Line(one.name, one.group, counts(one.pk)) for one in Category.objects.filter(pk__in=names)]
    lines.sort(key=lambda line: -line.total)
    return Table(tasks, lines, Line("", "", counts(UNCATEGORISED)))


def source_figures(dataset: Dataset) -> dict[str, int]:
    """Of the data set's source images: how many there are, who categorised them, and how many have a hash. One query.

    ``refused``: somebody or something looked and found no category; ``unseen``: nobody and nothing has looked.
    """
    has, person = Q(source_facts__category__isnull=False), Q(source_facts__method=PERSON)
    looked = Q(source_facts__isnull=False) & ~Q(source_facts__method="")
    figures = sources_of(dataset).aggregate(
        sources=Count("id"),
        by_person=Count("id", filter=has & person),
        by_model=Count("id", filter=has & ~person),
        refused=Count("id", filter=looked & ~has),
        hashed=Count("id", filter=Q(source_facts__phash__gt="")),
    )
    found = {name: count or 0 for name, count in figures.items()}
    found["unseen"] = found["sources"] - found["by_person"] - found["by_model"] - found["refused"]
    return found


def to_tag(dataset: Dataset, *, check: bool, after: int = 0) -> QuerySet[StoredImage]:
    """Source images that wait for a person, by key: those without a category, or (``check``) those that a model named.

    An image of which a person has said "none of these" waits no more.
    """
    person = Q(source_facts__method=PERSON)
    waiting = sources_of(dataset).filter(pk__gt=after).filter(~person | Q(source_facts__isnull=True))
    return waiting.filter(source_facts__category__isnull=not check).select_related("source_facts").order_by("pk")


def frequent_of(dataset: Dataset) -> list[str]:
    """The categories that the data set has most of, then others in their order: those with a digit."""
    counts = Source.objects.filter(image__in=sources_of(dataset), category__isnull=False).order_by()
    known = dict(counts.values_list("category").annotate(count=Count("id")))
    slugs = list(Category.objects.values_list("slug", flat=True))
    return sorted(slugs, key=lambda slug: -known.get(slug, 0))[:FREQUENT]


@dataclass(frozen=True)
class NearGroup:
    """Source images that look the same, by key, and the splits that their cases are in."""

    images: list[int]
    splits: list[str]

    @property
    def key(self) -> int:
        return self.images[0]

    @property
    def is_divided(self) -> bool:
        return len(self.splits) > 1


def hashes_of(dataset: Dataset) -> dict[int, str]:
    """The perceptual hash of every source image that has one."""
    rows = Source.objects.filter(image__in=sources_of(dataset)).exclude(phash="").order_by("image")
    return dict(rows.values_list("image_id", "phash"))


def near_duplicates(dataset: Dataset) -> list[NearGroup]:
    """Groups of source images within NEAR bits of each other, by key. Two queries."""
    hashes = hashes_of(dataset)
    images, splits = list(hashes), defaultdict[int, set[str]](set)
    for image, split in dataset.cases.order_by().values_list("source", "split").distinct():
        splits[image].add(split)
    groups = [[images[place] for place in group] for group in near_groups(list(hashes.values()), NEAR)]
    return [NearGroup(group, _in_order(set().union(*(splits[image] for image in group)))) for group in groups]


def _in_order(splits: set[str]) -> list[str]:
    return [str(split) for split in Split.values if split in splits]


def split_figures(dataset: Dataset) -> list[tuple[str, int, int]]:
    """(split, cases, source images) of every split. One query."""
    rows = dataset.cases.order_by().values_list("split").annotate(n=Count("id"), sources=Count("source", distinct=True))
    found = {split: (cases, sources) for split, cases, sources in rows}
    return [(str(label), *found.get(split, (0, 0))) for split, label in Split.choices]


def sources_in_two_splits(dataset: Dataset) -> int:
    """Source images with cases in more than one split. One query."""
    rows = Case.objects.filter(dataset=dataset).order_by().values("source")
    return rows.annotate(splits=Count("split", distinct=True)).filter(splits__gt=1).count()
