"""Writes: start a training set from studies, give it another name, delete it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import ProtectedError
from django.utils.text import slugify
from django.utils.translation import gettext as _

from annotation.models import Study
from training.models import LabelledSet
from training.sets import joining, keeping
from training.sets.wishes import Wish
from webapp.accounts.models import User
from webapp.jobs import services as jobs

KIND = "training-set"
ADDRESSES = ("new", "import")
NOTICE = 200  # characters of LabelledSet.notice


@transaction.atomic
def start_from_studies(*, name: str, studies: Sequence[Study], wish: Wish, by: User | None) -> LabelledSet:
    """A job that freezes what these studies say, and the row that it fills. Raises ValidationError."""
    if not studies:
        raise ValidationError({"studies": _("Choose at least one study.")})
    if not joining.dimensions_of(studies, wish):
        raise ValidationError({"dimensions": _("None of the studies asks for these dimensions.")})
    if not joining.has_marks(studies):
        raise ValidationError({"studies": _("Nobody has judged anything in these studies yet.")})
    ordered = sorted(studies, key=lambda study: study.pk)
    datasets = {study.dataset_id for study in ordered}
    origin = {"kind": "studies", "studies": [str(study.uid) for study in ordered], "wish": wish.to_json()}
    made = new_row(name=name, origin=origin, by=by)
    made.dataset = ordered[0].dataset if len(datasets) == 1 else None
    made.notice = notice_of(ordered)
    made.is_simulated = any(study.is_simulated for study in ordered)
    made.job = jobs.start(kind=KIND, title=_("Training set %(name)s") % {"name": name}, config=_config(made), by=by)
    made.save()
    made.studies.set(ordered)
    return made


def _config(made: LabelledSet) -> dict[str, Any]:
    return {"set": str(made.uid), **made.origin}


def new_row(*, name: str, origin: dict[str, Any], by: User | None) -> LabelledSet:
    """A row that is being made, not saved yet. Raises ValidationError for a name that is taken or has no letter."""
    made = LabelledSet(slug=slug_of(name), name=name.strip(), origin=origin, created_by=by)
    made.full_clean(exclude=["origin", "dimensions", "facts", "studies"])
    return made


def slug_of(name: str, but: LabelledSet | None = None) -> str:
    slug = slugify(name)[:80]
    if not slug:
        raise ValidationError({"name": _("Use at least one letter or digit.")})
    if slug in ADDRESSES:
        raise ValidationError({"name": _("A page has this name. Choose another one.")})
    others = LabelledSet.objects.exclude(pk=but.pk) if but else LabelledSet.objects.all()
    if others.filter(slug=slug).exists():
        raise ValidationError({"name": _("There is a training set of this name already. Choose another name.")})
    return slug


def notice_of(studies: Sequence[Study]) -> str:
    """What every page and export must say of the set: that judgements are simulated comes before all else."""
    simulated = [study for study in studies if study.is_simulated]
    parts = []
    if simulated and len(simulated) == len(studies) and not any(study.has_people for study in simulated):
        parts.append(_("Simulation. A program made these judgements."))
    elif simulated:
        parts.append(_("Simulation. A program made some of these judgements."))
    parts += dict.fromkeys(study.dataset.notice for study in studies if study.dataset.notice)
    text = " ".join(parts)
    return text if len(text) <= NOTICE else text[: NOTICE - 1] + "…"


@transaction.atomic
def rename(*, labelled_set: LabelledSet, name: str) -> LabelledSet:
    """Another name; the address stays, since checkpoints and reports name it. Raises ValidationError."""
    if not slugify(name):
        raise ValidationError({"name": _("Use at least one letter or digit.")})
    labelled_set.name = name.strip()
    labelled_set.full_clean(exclude=["origin", "dimensions", "facts"])
    labelled_set.save(update_fields=["name"])
    return labelled_set


def delete(*, labelled_set: LabelledSet) -> None:
    """Delete a set with its files. Its data set stays. Raises ValidationError where a model was trained on it."""
    if labelled_set.job is not None and labelled_set.job.is_active:
        raise ValidationError(_("A job makes this set now. Cancel the job first."))
    files = keeping.files_of(labelled_set)
    try:
        with transaction.atomic():
            labelled_set.delete()
            for name in files:
                transaction.on_commit(partial(default_storage.delete, name))
    except ProtectedError as error:
        message = _("%(count)d reward models or benchmarks are made from this set. It stays as long as they are there.")
        raise ValidationError(message % {"count": len(error.protected_objects)}) from error
