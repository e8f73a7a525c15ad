"""Writes: start a training set from studies, give it another name, delete it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils.text import slugify
from django.utils.translation import gettext as _

from annotation.models import Dataset, Study
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
    made.notice = notice_of(ordered)  # for its page; the job says it anew, of the judgements that it reads
    made.is_simulated = any(study.is_simulated for study in ordered)
    made.job = jobs.start(kind=KIND, title=_("Training set %(name)s") % {"name": name}, config=_config(made), by=by)
    save_new(made)
    made.studies.set(ordered)
    return made


def _config(made: LabelledSet) -> dict[str, Any]:
    return {"set": str(made.uid), **made.origin}


def new_row(*, name: str, origin: dict[str, Any], by: User | None) -> LabelledSet:
    """A row that is being made, not saved yet. Raises ValidationError for a name that is taken or has no letter."""
    made = LabelledSet(slug=slug_of(name), name=name.strip(), origin=origin, created_by=by)
    made.full_clean(exclude=["origin", "dimensions", "facts", "studies"])
    return made


def save_new(made: LabelledSet) -> None:
    """Raises ValidationError where another request took the name since it was looked at, such as a second click."""
    try:
        with transaction.atomic():
            made.save()
    except IntegrityError as error:
        raise ValidationError({"name": _taken()}) from error


def _taken() -> str:
    return _("There is a training set of this name already. Choose another name.")


def slug_of(name: str, but: LabelledSet | None = None) -> str:
    slug = slugify(name)[:80]
    if not slug:
        raise ValidationError({"name": _("Use at least one letter or digit.")})
    if slug in ADDRESSES:
        raise ValidationError({"name": _("A page has this name. Choose another one.")})
    others = LabelledSet.objects.exclude(pk=but.pk) if but else LabelledSet.objects.all()
    if others.filter(slug=slug).exists():
        raise ValidationError({"name": _taken()})
    return slug


def notice_of(studies: Sequence[Study], raters: Mapping[str, int] | None = None) -> str:
    """What every page and export must say of the set: that judgements are simulated comes before all else.

    ``raters``: how many people and simulated annotators made the marks of the set, where they were read.
    """
    simulated = any(study.is_simulated for study in studies)
    people = any(not study.is_simulated or study.has_people for study in studies)
    if raters:
        simulated, people = simulated or raters["simulated"] > 0, raters["people"] > 0
    parts = []
    if simulated and not people:
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
    """Delete a set with its files. Its data set stays, but for that of an import that did not end. Raises
    ValidationError where a model was trained on it."""
    if labelled_set.job is not None and labelled_set.job.is_active:
        raise ValidationError(_("A job makes this set now. Cancel the job first."))
    files = keeping.files_of(labelled_set)
    try:
        with transaction.atomic():
            _delete_unfinished(labelled_set)
            labelled_set.delete()
            for name in files:
                transaction.on_commit(partial(default_storage.delete, name))
    except ProtectedError as error:
        message = _("%(count)d reward models or benchmarks are made from this set. It stays as long as they are there.")
        raise ValidationError(message % {"count": len(error.protected_objects)}) from error


def _delete_unfinished(labelled_set: LabelledSet) -> None:
    """The data set that an import made before its worker died. Raises ValidationError where a study needs it."""
    if labelled_set.content_hash:  # it became ready once
        return
    recipe = {"recipe__kind": "labels", "recipe__set": str(labelled_set.uid)}
    for dataset in Dataset.objects.filter(**recipe):
        try:
            dataset.delete()
        except ProtectedError as error:
            message = _("There is a study of the data set “%(name)s”, which this import made. Delete the study first.")
            raise ValidationError(message % {"name": dataset.name}) from error
