"""Judges: made with settings that never change, deleted while nothing was scored by them."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import ProtectedError
from django.utils.text import slugify
from django.utils.translation import gettext as _

from scoring.asking.backends import backend
from scoring.asking.jobs import KINDS
from scoring.models import Judge
from webapp.accounts.models import User
from webapp.jobs.models import ACTIVE, RESUMABLE, Job


@transaction.atomic
def create_judge(*, name: str, kind: str, settings: dict[str, Any], passes: int = 1, by: User | None = None) -> Judge:
    """Raises ValidationError for settings that the backend refuses, and for a name that is taken."""
    found = backend(kind)
    if found is None:
        raise ValidationError(_("There is no kind of judge “%(kind)s”.") % {"kind": kind})
    form = found.form(data=settings)
    if not form.is_valid():
        raise ValidationError([f"{name}: {error}" for name, errors in form.errors.items() for error in errors])
    kept = {name: value for name, value in form.cleaned_data.items() if value not in ("", None)}
    if passes > 1 and kept.get("temperature") == 0:
        raise ValidationError(_("Several passes at temperature 0 are one answer several times. Raise it to about 1."))
    found.identity(kept)  # refuse now what every job would be refused for
    slug = slugify(name)[:80].strip("-_")
    if not slug:
        raise ValidationError({"name": _("Use at least one Latin letter or digit.")})
    if Judge.objects.filter(slug=slug).exists():
        raise ValidationError({"name": _("There is a judge of this name already.")})
    notice = " ".join(words for words in (str(found.notice), found.inherits(kept)) if words)
    judge = Judge(slug=slug, name=name, kind=kind, settings=kept, passes=passes, notice=notice, created_by=by)
    judge.full_clean()
    judge.save()
    return judge


def ensure_judge(*, slug: str, name: str, kind: str) -> Judge:
    """A judge that is there from the start, made if it is missing."""
    found = backend(kind)
    notice = str(found.notice) if found else ""
    return Judge.objects.get_or_create(slug=slug, defaults={"name": name, "kind": kind, "notice": notice})[0]


@transaction.atomic
def delete_judge(*, judge: Judge) -> None:
    """Raises ValidationError where something was scored or is calibrated with it, or a job that can go on uses it."""
    waiting = Job.objects.filter(kind__in=KINDS, state__in=(*ACTIVE, *RESUMABLE), parent=None)
    if any(config["judge"]["slug"] == judge.slug for config in waiting.values_list("config", flat=True)):
        raise ValidationError(_("A job that is not done yet, or can be resumed, uses this judge."))
    try:
        judge.delete()
    except ProtectedError:
        message = _("This judge is in use: by scores, a calibration or a task's scorer. So it is known who scored.")
        raise ValidationError(message) from None
