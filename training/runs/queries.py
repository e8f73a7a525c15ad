"""Reads of runs and of the editors that they made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core.files.storage import default_storage
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from annotation.models import Dataset, Editor
from training.editor_benchmarks.queries import rows_of
from training.models import TrainedEditor
from training.proof.queries import of_editor as proofs_of
from training.runs import figures, registry, watching
from training.runs.figures import Gain
from training.runs.overlay import MOST
from training.runs.progress import read_progress
from training.runs.starting import NAME
from webapp.jobs.models import Job


@dataclass(frozen=True)
class Listed:
    """A run in a list. ``gain``: of its last look, by the held-out judge where there is one."""

    job: Job
    base: str
    preset: str
    rewards: list[str]
    gain: Gain | None
    trained: TrainedEditor | None


def runs() -> QuerySet[Job]:
    return Job.objects.filter(kind=NAME).select_related("created_by")


def listed(jobs: Sequence[Job]) -> list[Listed]:
    """Two queries."""
    made = {one.job_id: one for one in TrainedEditor.objects.filter(job__in=jobs).select_related("editor")}
    bases = dict(
        Editor.objects.filter(slug__in={job.config.get("base", "") for job in jobs}).values_list("slug", "name")
    )
    return [
        Listed(
            job,
            bases.get(job.config.get("base", ""), job.config.get("base", "")),
            (job.config.get("config") or {}).get("preset", ""),
            [str(one.get("name", "")) for one in job.config.get("rewards") or []],
            figures.last_gain(last_look(job.summary)),
            made.get(job.pk),
        )
        for job in jobs
    ]


def last_look(summary: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Of a job that is done from its result, else as its events came."""
    looks = summary.get("looks")
    found = looks.get("last") if isinstance(looks, dict) else None
    return found or summary.get("last_look")


def named(uids: Sequence[str]) -> list[Job]:
    """The runs of these UIDs in their order, as many as can be compared. One query."""
    wanted = []
    for uid in uids:
        try:
            wanted.append(UUID(uid))
        except ValueError:
            continue
    found = {job.uid: job for job in runs().filter(uid__in=wanted[:MOST])}
    return [found[uid] for uid in dict.fromkeys(wanted) if uid in found]


def _identity(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What tells a judge from another one, in words: its model or prompts with their versions."""
    found = [(name, str(told[name])) for name in ("judge", "model", "number", "dimension", "address") if name in told]
    found += [("fingerprint", str(told["fingerprint"])[:16])] if "fingerprint" in told else []
    asked = told.get("asked")
    found += [("asks", str(asked.get("model", "")))] if isinstance(asked, dict) else []
    versions = told.get("versions") or []
    return [*found, *((_("prompt"), f"{one.get('prompt')} v{one.get('number')}") for one in versions)]


def page_of_trained(found: TrainedEditor) -> dict[str, Any]:
    """Everything that a trained editor's page shows."""
    looks = found.metrics.get("looks") or {}
    best = looks.get("best") or looks.get("last")
    names, tasks = figures.task_rows(best)
    job = found.job
    there = registry.is_there(found)
    wanted = found.data.get("wanted") or {}
    return {
        "trained": found,
        "judges": [(one, _identity(one.get("identity") or {})) for one in found.reward],
        "editor": found.editor,
        "notice": registry.notice_of(found.base, found.data.get("notice", "")),
        "lora": registry.file_of(found).rpartition("/")[2].removesuffix(".safetensors"),
        "size": default_storage.size(registry.file_of(found)) if there else None,
        "gains": figures.gain_rows(best),
        "best": best,
        "task_names": names,
        "task_rows": tasks,
        "panels": figures.panels(read_progress(job.folder)) if job else [],
        "samples": watching.samples_of(best)[: watching.SHOWN] if job else [],
        "dataset": Dataset.objects.filter(uid=str(wanted["dataset"])).first() if wanted.get("dataset") else None,
        "map": watching.reward_chart(found.data.get("reward") or {}),
        "config": json.dumps(found.config, indent=2, ensure_ascii=False),
        "made": found.editor.candidates.count(),
        "benchmarks": rows_of(found.editor),
        **proofs_of(found.editor),
    }
