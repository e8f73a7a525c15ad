"""Reads of the interface: rows with all that their serializers show, in a number of queries that does not grow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from django.db.models import Prefetch, QuerySet

from annotation import queries
from annotation.figures import sizes_of
from annotation.models import Candidate, Case, Dataset, Judgement, Mark, Member, Study
from scoring import results, tables
from scoring.api.wire import finite
from webapp.jobs.models import Job


def datasets() -> QuerySet[Dataset]:
    return Dataset.objects.select_related("derived_from")


def with_sizes(rows: Sequence[Dataset]) -> Sequence[Dataset]:
    for row, size in zip(rows, sizes_of(rows), strict=True):
        row.size = size  # type: ignore[attr-defined]
    return rows


def cases(dataset: Dataset, task: str = "", split: str = "") -> QuerySet[Case]:
    given = {"task": task, "split": split}
    rows = dataset.cases.filter(**{name: value for name, value in given.items() if value})
    return rows.select_related("source")


def candidates(dataset: Dataset, case: str = "", editor: str = "", usable: bool = False) -> QuerySet[Candidate]:
    given = {"case__key": case, "editor__slug": editor}
    rows = Candidate.objects.filter(case__dataset=dataset, **{name: value for name, value in given.items() if value})
    rows = rows.usable() if usable else rows
    return rows.select_related("case", "editor", "image")


def studies(dataset: str = "", state: str = "") -> QuerySet[Study]:
    given = {"dataset__uid": dataset, "state": state}
    return Study.objects.filter(**{name: value for name, value in given.items() if value}).select_related("dataset")


def with_progress(rows: Sequence[Study]) -> Sequence[Study]:
    """Four queries for all of them."""
    simulated = [row.pk for row in rows if row.is_simulated]
    people = Judgement.objects.filter(study__in=simulated, annotator__is_simulated=False) if simulated else None
    mixed = set() if people is None else set(people.order_by().values_list("study", flat=True).distinct())
    for row, progress in zip(rows, queries.study_progress(rows), strict=True):
        row.progress = progress  # type: ignore[attr-defined]
        row.notice_words = row.notice_with(row.pk in mixed)  # type: ignore[attr-defined]
    return rows


def members(study: Study) -> QuerySet[Member]:
    return study.members.select_related("user")


def judgements(study: Study, given: dict[str, Any]) -> QuerySet[Judgement]:
    """``given``: the checked query of the list."""
    rows = Judgement.objects.filter(study=study)
    if given["purpose"] != "any":
        rows = rows.filter(unit__purpose=given["purpose"])
    if given["counted"]:
        rows = rows.filter(pk__in=tables.counted_marks(study).values("judgement"))
    for name in ("annotator", "unit__dimension", "flag", "updated_at__gte", "unit__item__uid"):
        if given.get(name):
            rows = rows.filter(**{name: given[name]})
    return whole(rows)


def whole(rows: QuerySet[Judgement]) -> QuerySet[Judgement]:
    """With what a judgement's answer shows: two queries."""
    marks = Mark.objects.select_related("candidate__editor").order_by("id")
    return rows.select_related("study", "annotator", "unit__item__case").prefetch_related(
        Prefetch("marks", queryset=marks)
    )


def results_of(study: Study) -> dict[str, Any]:
    """The figures of the study's page, as JSON has them."""
    found = results.of_study(study)
    keys = [dimension.key for dimension in study.protocol.dimensions]
    (progress,) = queries.study_progress([study])
    value = {
        "study": str(study.uid),
        "notice": study.notice,
        "kind": found.kind,
        "dimensions": keys,
        "progress": progress,
        "editors": [
            {
                "editor": row.editor.slug,
                "name": row.editor.name,
                "candidates": row.count,
                "values": dict(zip(keys, row.values, strict=True)),
                "overall": row.overall,
            }
            for row in found.editors
        ],
        "agreement": {name: asdict(row) for name, row in found.agreement},
        "concordance": [asdict(row) for row in found.concordance],
        "annotators": [asdict(row) for row in found.annotators],
        "warnings": [str(warning) for warning in found.warnings],
    }
    made: dict[str, Any] = finite(value)
    return made


def jobs(kind: str = "", state: str = "") -> QuerySet[Job]:
    given = {"kind": kind, "state": state}
    return Job.objects.filter(parent=None, **{name: value for name, value in given.items() if value})


def with_notices(rows: Sequence[Job]) -> Sequence[Job]:
    """What must be said of the studies that exports are of."""
    wanted = {str(row.config.get("study", "")) for row in rows}
    known = {str(row.uid): row for row in with_progress(list(studies().filter(uid__in=wanted)))}
    for row in rows:
        study: Any = known.get(str(row.config.get("study", "")))
        row.notice_words = study.notice_words if study else ""  # type: ignore[attr-defined]
    return rows


def study_choices() -> list[tuple[Any, str]]:
    """The newest studies, for the form of a webhook."""
    return list(Study.objects.order_by("-id").values_list("uid", "name")[:500])
