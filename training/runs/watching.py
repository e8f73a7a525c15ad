"""What the page of a run shows besides its state: curves, gains, samples side by side, the watch's question."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from annotation.models import Editor
from training.models import TrainedEditor
from training.posttraining.rewards import TOP, RewardSpec, WrongReward
from training.proof.queries import of_job as proofs_of
from training.reward_models.charts import Chart, Series, chart
from training.runs import figures
from training.runs.progress import Progress, read_progress, value_of
from webapp.jobs.models import Job

SAMPLES = Path("outputs") / "samples"
FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}\.png")
PARTS = re.compile(r"(?:outputs/)?(?:samples/)?(.+)")
SHOWN = 12  # samples on the page of a run; the others are on the page of its samples


@dataclass(frozen=True)
class Sample:
    """A fixed case: names of the files of its source, of the base's edit and of the edit after that round."""

    case: str
    source: str
    before: str
    after: str


def context(job: Job) -> dict[str, Any]:
    """A handful of queries; more where people judge the editor blind."""
    progress = read_progress(job.folder)
    look = progress.look(None)
    names, tasks = figures.task_rows(progress.latest)
    question = progress.question(int(job.config.get("acknowledged", 0)))
    made = TrainedEditor.objects.filter(job=job).select_related("editor").first()
    return {
        "run": job,
        "progress": progress,
        "panels": figures.panels(progress),
        "gains": figures.gain_rows(progress.latest),
        "task_names": names,
        "task_rows": tasks,
        "phases": figures.phases_of(progress.rounds),
        "wrong_ratios": figures.wrong_ratios(progress.rounds),
        "look": look,
        "samples": samples_of(look)[:SHOWN],
        "question": question if job.is_resumable else None,
        "trained": made,
        "base": Editor.objects.filter(slug=job.config.get("base", "")).first(),
        "map": reward_chart(job.config.get("reward") or {}),
        "sources": job.config.get("rewards") or [],
        "held_out": job.config.get("held_out") or [],
        "data": job.config.get("names") or {},
        "counts": job.config.get("counts") or {},
        "notice": job.config.get("notice", ""),
        "images": total(progress, "images"),
        **proofs_of(job),
    }


def total(progress: Progress, name: str) -> int:
    return round(sum(value_of(row, name) or 0 for row in progress.rounds))


def samples_of(look: Mapping[str, Any] | None) -> list[Sample]:
    rows = (look or {}).get("samples")
    found = []
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict):
            files = [file_name(row.get(name)) for name in ("source", "before", "after")]
            found.append(Sample(str(row.get("key") or row.get("case") or ""), *files))
    return found


def file_name(told: object) -> str:
    """The name below outputs/samples, or "" for what is none."""
    match = PARTS.fullmatch(told) if isinstance(told, str) else None
    name = match[1] if match else ""
    return name if FILE.fullmatch(name) else ""


def sample_path(job: Job, name: str) -> Path | None:
    """The picture of that name in a run's samples; None for a name that is none, or leads elsewhere."""
    folder = (job.folder / SAMPLES).resolve()
    path = (folder / name).resolve()
    return path if FILE.fullmatch(name) and path.is_relative_to(folder) and path.is_file() else None


def reward_chart(shape: Mapping[str, Any]) -> Chart | None:
    """The reward over a judge's score, brought to 0..5, for the given α and β. None for settings that are wrong."""
    try:
        spec = RewardSpec.from_json(shape)
    except WrongReward:
        return None
    return chart([Series(_("reward"), spec.curve())], up=(0.0, 1.0), across=(0.0, TOP))
