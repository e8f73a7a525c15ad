"""Reward models as versions: what a training job made is registered, noted, made a judge, downloaded, deleted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils.text import slugify
from django.utils.translation import gettext as _

from scoring.asking.judges import create_judge
from scoring.models import Judge
from training.models import LabelledSet, RewardModel
from training.reward_models.progress import read_progress
from webapp.accounts.models import User
from webapp.jobs.folder import JobError, read_json
from webapp.jobs.models import Job

KIND = "reward"  # of judges
OVERALL = "overall"
CARD = "reward.json"  # of a checkpoint
TRIES = 5
RESERVED = ("new",)  # an address of ours


def slug_of(name: str) -> str:
    """Raises ValidationError, by field, for a name of which no address can be made."""
    slug = slugify(name)[:80].strip("-_")
    if not slug or slug in RESERVED:
        raise ValidationError({"name": _("Use another name, with at least one Latin letter or digit.")})
    return slug


def folder_of(model: RewardModel) -> Path:
    return Path(settings.MODELS_ROOT) / model.folder


# Register ------------------------------------------------------------------------------------------------------------


def register(*, job: Job, summary: dict[str, Any]) -> RewardModel:
    """The version that a training job made; repeats change nothing. Raises JobError where the checkpoint is not whole.

    The files come first, under a name that nobody reads, and get theirs in one step; the row comes last. Killed in
    between, the next try begins anew: a folder without a row is nobody's.
    """
    if found := RewardModel.objects.filter(job=job).first():
        return found
    told = _told(job.folder / "outputs" / "model")
    labelled_set = LabelledSet.objects.filter(uid=job.config["labelled_set"]).first()
    if labelled_set is None:
        raise JobError(_("The training set was deleted while the job ran. The checkpoint is in the job's folder."))
    name = str(job.uid)
    size = _copy(job.folder / "outputs" / "model", Path(settings.MODELS_ROOT) / name)
    model = RewardModel(
        name=job.config["name"],
        slug=slug_of(job.config["name"]),
        labelled_set=labelled_set,
        job=job,
        config=told.get("config") or job.config["config"],
        metrics={**_figures(summary), "worst": read_progress(job.folder).worst},
        dimensions=told["dimensions"],
        folder=name,
        fingerprint=told["fingerprint"],
        size=size,
        note=job.config.get("note", ""),
        notice=labelled_set.notice or str(told.get("notice") or ""),
        created_by=job.created_by,
    )
    return _numbered(model)


def _told(folder: Path) -> dict[str, Any]:
    """What the checkpoint says of itself. Raises JobError."""
    try:
        told = read_json(folder / CARD)
    except ValueError:
        told = None
    if not isinstance(told, dict) or not told.get("dimensions") or not told.get("fingerprint"):
        raise JobError(_("The job ended without a whole checkpoint in outputs/model. Look at the log."))
    return told


def _figures(summary: dict[str, Any]) -> dict[str, Any]:
    metrics = summary.get("metrics")
    told = {name: summary[name] for name in ("cpu_seconds", "steps", "stopped", "best_step") if name in summary}
    return {**(metrics if isinstance(metrics, dict) else {}), "training": told}


def _copy(source: Path, target: Path) -> int:
    """Bytes of the files. What is at ``target`` without a row is left over from a try that was killed."""
    part = target.with_name(f".{target.name}.part")
    for old in (part, target):
        if old.exists():
            shutil.rmtree(old)
    part.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, part)
    size = 0
    for path in files_of(part):
        with path.open("rb") as file:
            os.fsync(file.fileno())
        size += path.stat().st_size
    os.replace(part, target)
    return size


def files_of(folder: Path) -> Iterator[Path]:
    """Ordinary files, in a fixed order."""
    yield from sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _numbered(model: RewardModel) -> RewardModel:
    """Save as the next version of its name. Of two at once, the second takes the next number."""
    for attempt in range(TRIES):
        newest = RewardModel.objects.filter(slug=model.slug).aggregate(last=Max("number"))["last"]
        model.number = (newest or 0) + 1
        try:
            with transaction.atomic():
                model.full_clean(validate_unique=False, validate_constraints=False)
                model.save(force_insert=True)
            return model
        except IntegrityError:
            if made := RewardModel.objects.filter(job=model.job).first():
                return made
            if attempt == TRIES - 1:
                raise
    raise AssertionError("unreachable")


# Afterwards ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def make_judge(*, model: RewardModel, dimension: str, name: str, by: User | None) -> Judge:
    """A judge that scores as this version does, overall or in one dimension. Raises ValidationError."""
    RewardModel.objects.select_for_update().filter(pk=model.pk).first()  # it is not deleted meanwhile
    given = {"model": model.slug, "number": model.number, "dimension": dimension}
    return create_judge(name=name, kind=KIND, settings=given, by=by)


def judges_of(model: RewardModel) -> list[Judge]:
    return list(Judge.objects.filter(kind=KIND, settings__model=model.slug, settings__number=model.number))


@transaction.atomic
def set_note(*, model: RewardModel, note: str) -> RewardModel:
    model.note = note.strip()
    model.full_clean()
    model.save(update_fields=["note"])
    return model


@transaction.atomic
def delete_model(*, model: RewardModel) -> None:
    """The version and its files. Raises ValidationError while a judge uses it."""
    locked = RewardModel.objects.select_for_update().get(pk=model.pk)
    if judges := judges_of(locked):
        names = ", ".join(judge.name for judge in judges)
        raise ValidationError(_("It is used by the judge %(names)s. Delete that first.") % {"names": names})
    folder = folder_of(locked)
    locked.delete()
    transaction.on_commit(lambda: shutil.rmtree(folder, ignore_errors=True))
