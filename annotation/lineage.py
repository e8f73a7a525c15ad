"""Where rows come from: the jobs behind a candidate and a data set, and the judgements that a candidate got."""

import json
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import Count, Max, Min, Q, QuerySet
from django.shortcuts import get_object_or_404

from annotation.models import Candidate, Case, Dataset, DatasetVersion, Study
from webapp.jobs.models import Job

KINDS = ("import", "generate", "propose")  # instruction writing makes cases, too
SHOWN = 20


def case_of(uid: UUID) -> Case:
    rows = Case.objects.select_related("dataset", "source__source_facts__category", "mask", "task")
    return get_object_or_404(rows, uid=uid)


def candidate_of(uid: UUID) -> Candidate:
    rows = Candidate.objects.select_related(
        "case__dataset", "case__source", "case__task", "image", "editor", "job__parent", "fault_decided_by"
    )
    return get_object_or_404(rows, uid=uid)


def studies_of(candidate: Candidate) -> QuerySet[Study]:
    """The studies that judged a candidate, each with its number of ``judgements``, and the scores and ranks given."""
    mine = Q(judgements__marks__candidate=candidate)
    return (
        Study.objects.filter(mine)
        .annotate(
            given=Count("judgements", filter=mine, distinct=True),
            lowest=Min("judgements__marks__score", filter=mine),
            highest=Max("judgements__marks__score", filter=mine),
            best=Min("judgements__marks__rank", filter=mine),
            worst=Max("judgements__marks__rank", filter=mine),
        )
        .order_by("pk")
    )


def jobs_of(dataset: Dataset) -> Iterable[Job]:
    """The newest jobs that brought rows into a data set: imports, generation, instruction writing."""
    about = Q(config__slug=dataset.slug) | Q(config__dataset=str(dataset.uid))
    return Job.objects.filter(about, kind__in=KINDS, parent=None).select_related("created_by").order_by("-pk")[:SHOWN]


def freeze_of(version: DatasetVersion) -> Job | None:
    """The job that made a version; None once it is deleted."""
    made = Job.objects.filter(kind="freeze", config__dataset=str(version.dataset.uid), summary__new=True)
    return made.filter(summary__version=str(version.uid)).first()


def pretty(value: dict[str, Any]) -> str:
    """JSON for people; empty for nothing."""
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) if value else ""
