"""What the page of a training shows besides its state: curves, held-out figures, the examples it gets most wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from annotation.models import Candidate
from training.models import LabelledSet, RewardModel
from training.reward_models import figures
from training.reward_models.progress import read_progress
from webapp.jobs.models import Job

SHOWN = 12  # examples


@dataclass(frozen=True)
class Wrong:
    """A pair of which people found ``better`` better and the model ``worse``. ``predicted``: the chance that it gave to
    what people said. ``margin``: by how much it prefers the worse one, on people's scale."""

    dimension: str
    better: Candidate
    worse: Candidate
    predicted: float | None
    margin: float | None


def context(job: Job) -> dict[str, Any]:
    """Four queries."""
    progress, found = read_progress(job.folder), set_of(job)
    dimensions = found.dimensions if found else []
    best = progress.best
    calibration = (best or {}).get("calibration")
    return {
        "labelled_set": found,
        "model": RewardModel.objects.filter(job=job).first(),
        "notice": found.notice if found else "",
        "looks": len(progress.held),
        "last": progress.last,
        "best": best,
        "charts": {
            "loss": figures.loss_chart(progress),
            "nll": figures.nll_chart(progress),
            "norm": figures.norm_chart(progress),
            "rate": figures.rate_chart(progress),
            "accuracy": figures.accuracy_charts(dimensions, progress),
            "reliability": figures.reliability_chart(calibration),
        },
        "calibration": calibration,
        "rows": figures.live_rows(dimensions, progress) if best else [],
        "baseline_names": figures.baseline_names(),
        "worst": wrong(progress.worst, dimensions),
    }


def set_of(job: Job) -> LabelledSet | None:
    return LabelledSet.objects.filter(uid=job.config["labelled_set"]).first()


def wrong(rows: Sequence[Mapping[str, Any]], dimensions: Sequence[Mapping[str, Any]]) -> list[Wrong]:
    """The examples with their pictures; those whose candidates were deleted are left out. One query."""
    labels = {one["key"]: one.get("label") or one["key"] for one in dimensions}
    rows = rows[:SHOWN]
    uids = {uid for row in rows for side in ("better", "worse") if (uid := _uid(row.get(side)))}
    if not uids:
        return []
    there = {one.uid: one for one in Candidate.objects.filter(uid__in=uids).select_related("image", "case__source")}
    found = []
    for row in rows:
        better, worse = (there.get(uid) if (uid := _uid(row.get(side))) else None for side in ("better", "worse"))
        if better and worse:
            dimension = labels.get(row.get("dimension", ""), str(row.get("dimension", "")))
            found.append(Wrong(dimension, better, worse, row.get("predicted"), row.get("margin")))
    return found


def _uid(value: object) -> UUID | None:
    try:
        return UUID(str(value))
    except ValueError:
        return None
