"""Which candidates a scoring job is for, as JSON in its configuration."""

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from annotation.models import Candidate, Dataset
from annotation.models.library import CandidateQuerySet
from scoring import tables
from scoring.calibration.parts import is_held_out
from scoring.models import Calibration, PromptVersion

CHUNK = 500
Selection = dict[str, Any]


def of_dataset(
    dataset: Dataset,
    *,
    splits: list[str] | None = None,
    editors: list[str] | None = None,
    tasks: list[str] | None = None,
) -> Selection:
    """``tasks``: for a prompt that is for every task; empty means all, as for the others."""
    return {"dataset": str(dataset.uid), "splits": splits or [], "editors": editors or [], "tasks": tasks or []}


def of_calibration(calibration: Calibration, *, dev_only: bool = False) -> Selection:
    """``dev_only``: what a program tries out must not cost anything on the held-out part, which it may not see."""
    return {"calibration": str(calibration.uid), "dev_only": dev_only}


def of_candidates(keys: list[int]) -> Selection:
    return {"candidates": keys}


def candidates_of(selection: Selection, version: PromptVersion) -> CandidateQuerySet:
    """The candidates that the version can score: of its task, not set aside. Raises ValidationError where they cannot
    be found any more."""
    task = version.prompt.task_id
    rows = Candidate.objects.usable()
    if "calibration" in selection:
        calibration = _one(Calibration, selection["calibration"], _("The calibration was deleted."))
        rows = rated(calibration)
        if selection["dev_only"]:
            rows = rows.filter(case__source__in=_dev_sources(calibration, rows))
    elif "candidates" in selection:
        rows = Candidate.objects.filter(pk__in=selection["candidates"])
    else:
        dataset = _one(Dataset, selection["dataset"], _("The data set was deleted."))
        rows = rows.filter(case__dataset=dataset)
        if selection["splits"]:
            rows = rows.filter(case__split__in=selection["splits"])
        if selection["editors"]:
            rows = rows.filter(editor__slug__in=selection["editors"])
        if selection.get("tasks"):
            rows = rows.filter(case__task__in=selection["tasks"])
    return rows.filter(case__task=task) if task else rows


def rated(calibration: Calibration) -> CandidateQuerySet:
    """Candidates that people have scored in the calibration's study and dimension."""
    marks = tables.counted_marks(calibration.study).filter(dimension=calibration.dimension, score__isnull=False)
    rows = Candidate.objects.filter(pk__in=marks.values("candidate"))
    return rows.filter(case__task=calibration.prompt.task_id) if calibration.prompt.task_id else rows


def _dev_sources(calibration: Calibration, rows: CandidateQuerySet) -> list[int]:
    sources = rows.values_list("case__source", "case__source__sha256").distinct()
    return [pk for pk, sha256 in sources if not is_held_out(calibration.seed, sha256, calibration.held_out)]


def in_order(rows: CandidateQuerySet) -> Iterator[Candidate]:
    """One after the other, the candidates of a case together, with what a request needs."""
    return (
        rows.select_related("image", "case__source", "case__task").order_by("case_id", "id").iterator(chunk_size=CHUNK)
    )


def _one(model: Any, uid: str, gone: str) -> Any:
    found = model.objects.filter(uid=uid).first()
    if found is None:
        raise ValidationError(gone)
    return found
