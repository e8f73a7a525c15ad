"""Reads for the curation of a data set: one pass over its scores, and counts of what is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from django.db.models import Count, F, Q, QuerySet
from django.db.models.functions import Substr

from annotation.models import Candidate, Dataset
from scoring.asking.queries import scores_of
from scoring.curation.choosing import Choice, Ints, Table
from scoring.filtering.queries import CATEGORY, EXAMPLES, Example, Scorer
from scoring.models import Score

CHUNK = 20_000  # rows held as Python objects at once
HEX = 15  # digits of a hash that a whole number of 64 bits has room for
COLUMNS = ("candidate", "case", "source", "editor", "task", "category", "split", "value", "tie")
NAMED = ("task", "category", "split")


def table_of(dataset: Dataset, scorers: Mapping[str, Scorer]) -> Table:
    """The candidates that their task's scorer gave a score, without those that are set aside.

    One query, read in chunks into columns of numbers: a million candidates take 72 MB, and as much again at the end.
    """
    chunks: dict[str, list[np.ndarray[Any, Any]]] = {name: [] for name in COLUMNS}
    codes: dict[str, dict[str, int]] = {name: {} for name in NAMED}
    for rows in _chunks(_scored(dataset, scorers).iterator(chunk_size=CHUNK)):
        for name, column in zip(COLUMNS, zip(*rows, strict=True), strict=True):
            chunks[name].append(_numbers(name, column, codes.get(name)))
    columns = {name: np.concatenate([_none(name), *found]) for name, found in chunks.items()}
    return Table(**columns, tasks=list(codes["task"]), categories=list(codes["category"]), splits=list(codes["split"]))


def _scored(dataset: Dataset, scorers: Mapping[str, Scorer]) -> QuerySet[Score, tuple[Any, ...]]:
    asked = Q(pk__in=[])
    for task, one in scorers.items():
        asked |= Q(candidate__case__task=task, version=one.version.pk, judge=one.judge.pk)
    return (
        scores_of(dataset)
        .filter(asked, value__isnull=False)
        .annotate(hash=Substr("candidate__image__sha256", 1, HEX), category=F(f"candidate__case__{CATEGORY}"))
        .values_list(
            "candidate",
            "candidate__case",
            "candidate__case__source",
            "candidate__editor",
            "candidate__case__task",
            "category",
            "candidate__case__split",
            "value",
            "hash",
        )
    )


def _chunks(rows: Iterator[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    while chunk := list(islice(rows, CHUNK)):
        yield chunk


def _numbers(name: str, column: Sequence[Any], codes: dict[str, int] | None) -> np.ndarray[Any, Any]:
    """``codes``: the numbers of names so far; new names are added."""
    if codes is not None:
        return np.array([codes.setdefault(one or "", len(codes)) for one in column], dtype=np.int64)
    if name == "tie":
        return np.array([int(one, 16) for one in column], dtype=np.int64)
    return np.array(column, dtype=_none(name).dtype)


def _none(name: str) -> np.ndarray[Any, Any]:
    return np.zeros(0, dtype=np.float64 if name == "value" else np.int64)


# What is there -------------------------------------------------------------------------------------------------------


def cases_by(dataset: Dataset) -> list[tuple[str, str, str, int]]:
    """Task, category or "", split and the number of such cases. One query."""
    rows = dataset.cases.order_by().values_list("task", CATEGORY, "split").annotate(n=Count("id"))
    return [(task, category or "", split, count) for task, category, split, count in rows]


def candidates_by(dataset: Dataset) -> list[tuple[str, int, bool, int]]:
    """Task, editor, whether they are set aside, and the number of such candidates. One query."""
    aside = ~Q(fault="") & (Q(fault_kept=False) | Q(fault_kept=None))
    rows = Candidate.objects.filter(case__dataset=dataset).order_by().annotate(aside=aside)
    return list(rows.values_list("case__task", "editor", "aside").annotate(n=Count("id")))


def kept_keys(dataset: Dataset, cases: Ints) -> set[str]:
    """The names of these cases."""
    wanted = set(np.unique(cases).tolist())
    rows = dataset.cases.order_by().values_list("pk", "key").iterator(chunk_size=CHUNK)
    return {key for pk, key in rows if pk in wanted}


# Examples ------------------------------------------------------------------------------------------------------------


def nearest(table: Table, choice: Choice) -> tuple[Ints, Ints]:
    """The candidates next to the cut that are kept, and those that compete and go; the nearest first."""
    held, gone = (
        np.flatnonzero(rows) for rows in (choice.kept, choice.pool & ~choice.kept & np.isfinite(choice.margin))
    )
    return _first(table, choice, held, 1), _first(table, choice, gone, -1)


def _first(table: Table, choice: Choice, rows: Ints, sign: int) -> Ints:
    return rows[np.lexsort((table.candidate[rows], table.tie[rows], sign * choice.margin[rows]))][:EXAMPLES]


def examples(table: Table, rows: Ints, scorers: Mapping[str, Scorer]) -> list[Example]:
    """These rows with their pictures, in order. One query."""
    asked = Q(version__in=[one.version for one in scorers.values()], judge__in=[one.judge for one in scorers.values()])
    scores = Score.objects.filter(asked, candidate__in=table.candidate[rows].tolist()).select_related(
        "candidate__image", "candidate__editor", "candidate__case__source", "candidate__case__task"
    )
    found: dict[int, Score] = {}
    for row in scores:
        mine = scorers[row.candidate.case.task_id]
        if (row.version_id, row.judge_id) == (mine.version.pk, mine.judge.pk):
            found[row.candidate_id] = row
    ordered = [found[key] for key in table.candidate[rows].tolist() if key in found]
    return [Example(row.candidate.case, None, row) for row in ordered]


def counted(rows: Sequence[tuple[Any, ...]], place: int) -> Counter[Any]:
    """The numbers in the last place of rows, summed by the value in another."""
    counts: Counter[Any] = Counter()
    for row in rows:
        counts[row[place]] += row[-1]
    return counts
