"""The counts of the funnel, over all data sets and studies.

They are taken anew for each look while there is little to count, so that the page is never behind. From LARGE rows on
they are kept for KEPT seconds, and the page says when they were taken: with a million candidates the queries take a
second or two, and an open page asks every few seconds.
"""

from collections import Counter
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

import redis
from django.core.cache import cache
from django.db import connection
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum
from django.utils import timezone

from annotation.models import Candidate, Case, Dataset, Mark, Proposal, ProposalState, Purpose, Unit, Unmade
from scoring.models import Score

LARGE = 50_000
KEPT = 30
KEY = "overview:counts"
ByKey = list[list[int]]  # [key of a data set or study, count], the largest count first


@dataclass(frozen=True)
class Counts:
    """Numbers of rows. A case is bare without a candidate; a source is unseen where nobody looked for a category."""

    cases: int
    sources: int
    categorised: int  # sources
    candidates: int
    unmade: int
    marks: int
    judged: int  # candidates with a mark
    tasks: int  # that have cases
    scored: int  # by judges: a score of a candidate by a version of a prompt
    bare: ByKey  # by data set, as the next four
    unseen: ByKey
    proposals: ByKey  # that wait
    aside: ByKey  # set aside and not kept
    undecided: ByKey  # of these, nobody has looked at
    made: list[int]  # data sets with candidates
    units: list[list[int]]  # [study, answers wanted, answers given]
    database_bytes: int
    counted_at: str  # ISO time

    @property
    def usable(self) -> int:
        return self.candidates - total(self.aside)

    @property
    def covered(self) -> int:
        """Cases with a candidate."""
        return self.cases - total(self.bare)

    @property
    def wanted(self) -> int:
        return sum(wanted for _study, wanted, _given in self.units)

    @property
    def given(self) -> int:
        return sum(given for _study, _wanted, given in self.units)

    @property
    def is_large(self) -> bool:
        return self.cases + self.candidates + self.marks + self.wanted >= LARGE

    @property
    def moment(self) -> datetime:
        return datetime.fromisoformat(self.counted_at)


def total(rows: ByKey) -> int:
    return sum(count for _key, count in rows)


def counts() -> Counts:
    """Twelve queries, the database's size among them; none where they are kept."""
    if kept := _read():
        return kept
    fresh = _count()
    if fresh.is_large:
        _write(fresh)
    return fresh


def _count() -> Counts:
    known = Q(source__source_facts__category__isnull=False)
    looked_at = Q(source__source_facts__isnull=False) & ~Q(source__source_facts__method="")
    cases = Case.objects.aggregate(
        cases=Count("pk"),
        sources=Count("source", distinct=True),
        categorised=Count("source", distinct=True, filter=known),
        tasks=Count("task", distinct=True),
    )
    bare = Case.objects.filter(~Exists(Candidate.objects.filter(case=OuterRef("pk"))))
    unseen = Case.objects.filter(~(known | looked_at)).order_by().values_list("dataset")
    marks = Mark.objects.standing().aggregate(marks=Count("pk"), judged=Count("candidate", distinct=True))
    units = (
        Unit.objects.filter(purpose=Purpose.LIVE)
        .order_by()
        .values_list("study")
        .annotate(wanted=Sum("target"), given=Sum("done"))
    )
    aside, undecided = _faults()
    of_dataset = Candidate.objects.filter(case__dataset=OuterRef("pk"))
    return Counts(
        **cases,
        **marks,
        candidates=Candidate.objects.count(),
        unmade=Unmade.objects.count(),
        scored=Score.objects.filter(value__isnull=False).count(),
        bare=_by(bare, "dataset"),
        unseen=_largest_first(unseen.annotate(n=Count("source", distinct=True))),
        proposals=_by(Proposal.objects.filter(state=ProposalState.OPEN), "dataset"),
        aside=aside,
        undecided=undecided,
        made=list(Dataset.objects.filter(Exists(of_dataset)).order_by("pk").values_list("pk", flat=True)),
        units=[list(row) for row in units],
        database_bytes=_database_bytes(),
        counted_at=timezone.now().isoformat(),
    )


def _faults() -> tuple[ByKey, ByKey]:
    """By data set: the candidates set aside, and those of them that nobody has looked at.

    In this form the partial index on candidates with a fault is taken, by SQLite too, which compares words.
    """
    rows = Candidate.objects.filter(~Q(fault="")).filter(Q(fault_kept=None) | Q(fault_kept=False)).order_by()
    aside: Counter[int] = Counter()
    undecided: Counter[int] = Counter()
    for data, kept, count in rows.values_list("case__dataset", "fault_kept").annotate(n=Count("pk")):
        aside[data] += count
        if kept is None:
            undecided[data] += count
    return _largest_first(aside.items()), _largest_first(undecided.items())


def _by(rows: QuerySet[Any], key: str) -> ByKey:
    return _largest_first(rows.order_by().values_list(key).annotate(n=Count("pk")))


def _largest_first(rows: Any) -> ByKey:
    return [list(row) for row in sorted(rows, key=lambda row: (-row[1], row[0]))]


def _database_bytes() -> int:
    """Size on disk."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_database_size(current_database())")
        else:
            cursor.execute("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
        return int(cursor.fetchone()[0])


# What is kept -------------------------------------------------------------------------------------------------------


def _read() -> Counts | None:
    try:
        row = cache.get(KEY)
    except redis.RedisError:  # the page works without Redis, more slowly
        return None
    names = {field.name for field in fields(Counts)}
    return Counts(**row) if row and row.keys() == names else None  # another release may have kept other fields


def _write(fresh: Counts) -> None:
    try:
        cache.set(KEY, asdict(fresh), KEPT)
    except redis.RedisError:
        return
