"""Reads of calibrations for their pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db.models import Count, Exists, OuterRef, QuerySet
from django.utils.translation import gettext as _

from annotation.models import Mark, Study, Task
from scoring.asking.backends import backend
from scoring.asking.jobs import KINDS
from scoring.calibration.figures import RESAMPLES, number
from scoring.calibration.triples import dimension_of, people_of
from scoring.models import Activation, Calibration, LevelMap, PromptVersion
from scoring.stats.bootstrap import bootstrap
from scoring.stats.correlate import correlation
from webapp.jobs.models import ACTIVE, RESUMABLE, Job

VERSIONS = 30  # newest on the page; each has its figures computed


def calibrations() -> QuerySet[Calibration]:
    rows = Calibration.objects.select_related("prompt__task", "study__dataset", "judge", "current", "created_by")
    return rows.annotate(looked=Count("looks"))


def people_choices() -> list[tuple[str, str]]:
    """Studies with scores, by dimension: (uid/dimension, name). What is no people's says so."""
    scored = Mark.objects.filter(judgement__study=OuterRef("pk"), score__isnull=False).counted()
    studies = Study.objects.filter(Exists(scored)).select_related("dataset").order_by("-id")
    return [
        (f"{study.uid}/{dimension.key}", f"{study.name}: {dimension.label}{_marks(study)}")
        for study in studies
        for dimension in study.protocol.dimensions
    ]


def _marks(study: Study) -> str:
    marks = [_("simulation")] if study.is_simulated else []
    marks += [study.dataset.notice] if study.dataset.notice else []
    return f" ({', '.join(marks)})" if marks else ""


def version_of(calibration: Calibration, number: int) -> PromptVersion | None:
    rows = PromptVersion.objects.filter(prompt=calibration.prompt_id, number=number)
    return rows.select_related("prompt__task", "parent", "author").prefetch_related("questions").first()


@dataclass(frozen=True)
class VersionRow:
    """A version with its figures on the dev part; on the held-out part where somebody has looked. None: not scored."""

    version: PromptVersion
    n: int
    pcc: dict[str, float | None]
    held: float | None
    mae: float | None
    is_active: bool


def version_rows(calibration: Calibration) -> list[VersionRow]:
    """The newest versions, newest first. A few queries, and one a version."""
    people = people_of(calibration)
    versions = calibration.prompt.versions.filter(is_trial=False).select_related("prompt", "author")
    versions = versions.prefetch_related("questions")
    looked = set(calibration.looks.values_list("version", flat=True))
    active = set(
        Activation.objects.filter(version__prompt=calibration.prompt_id, ended_at=None).values_list(
            "version", flat=True
        )
    )
    rows = []
    for version in versions.order_by("-number")[:VERSIONS]:
        scorer = people.scores_of(version, calibration.judge).value
        dev, held = ~people.held_out, people.held_out
        found = correlation(people.human[dev], scorer[dev], low=calibration.prompt.low, high=calibration.prompt.high)
        interval = bootstrap(people.human[dev], scorer[dev], people.cluster[dev], resamples=RESAMPLES).intervals["pcc"]
        unseen = correlation(people.human[held], scorer[held]).pcc if version.pk in looked else np.nan
        rows.append(
            VersionRow(
                version=version,
                n=found.n,
                pcc={"value": number(found.pcc), "low": number(interval.low), "high": number(interval.high)},
                held=number(unseen),
                mae=number(found.mae),
                is_active=version.pk in active,
            )
        )
    return rows


def job_of(calibration: Calibration, version: PromptVersion) -> Job | None:
    """The latest scoring job of this desk for this version that is not done: at work, stopped or failed."""
    for job in Job.objects.filter(kind__in=KINDS, state__in=(*ACTIVE, *RESUMABLE), parent=None).order_by("-id")[:50]:
        selection = job.config["selection"]
        if selection.get("calibration") == str(calibration.uid) and str(version.uid) in job.config["versions"]:
            return job
    return None


def page(calibration: Calibration, version: PromptVersion) -> dict[str, Any]:
    """What stands still on the page; what moves is in figures.page_figures."""
    return {
        "calibration": calibration,
        "version": version,
        "versions": calibration.prompt.versions.filter(is_trial=False).order_by("-number"),
        "job": job_of(calibration, version),
        "active": active_of(calibration),
        "level": LevelMap.objects.filter(calibration=calibration, version=version).first(),
        "looked": calibration.looks.filter(version=version).exists(),
        "suggestions": calibration.suggestions.filter(state="open").select_related("trial", "parent").order_by("-id"),
        "notices": notices(calibration),
        "dimension": dimension_of(calibration),
        "costs": costs(calibration),
    }


def costs(calibration: Calibration) -> bool:
    """Whether the judge is a service that is paid."""
    found = backend(calibration.judge.kind)
    return bool(found and found.endpoints(calibration.judge.settings))


def active_of(calibration: Calibration) -> Activation | None:
    rows = Activation.objects.filter(task=calibration.prompt.task_id, dimension=calibration.prompt.dimension)
    return rows.filter(ended_at=None).select_related("version__prompt", "judge", "by").first()


def notices(calibration: Calibration) -> str:
    """What is to be said on every page of it: demo data, simulated annotators, a demo judge."""
    return " ".join(text for text in (calibration.study.notice, calibration.judge.notice) if text)


def active_scorers() -> list[tuple[Task, list[Activation]]]:
    """Each task that has had a scorer, with its activations, newest first."""
    rows = Activation.objects.select_related("task", "version__prompt", "judge", "by", "calibration__study")
    found: dict[str, tuple[Task, list[Activation]]] = {}
    for row in rows.order_by("task__position", "-id"):
        found.setdefault(row.task_id, (row.task, []))[1].append(row)
    return list(found.values())
