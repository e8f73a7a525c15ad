"""The values and events of the tagging page, where a person says what source images show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils.translation import gettext as _

from annotation.curation import queries, services
from annotation.models import Category, Dataset, StoredImage
from annotation.work import is_uuid
from webapp.accounts.models import User

AHEAD = 8  # the most images that a page may hold at once
BATCH = 50  # the most events in one request


def page_value(dataset: Dataset, *, check: bool) -> dict[str, Any]:
    """What the page knows at its start; ``check``: it shows what a model has categorised, for a person to look at."""
    return {
        "check": check,
        "categories": list(Category.objects.values("slug", "name", "group")),
        "frequent": queries.frequent_of(dataset),
        "left": queries.to_tag(dataset, check=check).count(),
        "images": images(dataset, check=check, after=None, want=AHEAD),
        "urls": {
            "events": reverse("tagging_events", args=[dataset.uid]),
            "home": reverse("categories", args=[dataset.uid]),
        },
    }


def sentences() -> dict[str, str]:
    """What the page's script says."""
    return {
        "left": _("{n} pictures left"),
        "leftOne": _("{n} picture left"),
        "said": _("The model says “{name}” ({score} %, {model}). Enter: that is right."),
        "none": _("None of these"),
        "undone": _("Taken back"),
        "done": _("Every picture has been looked at."),
        "checked": _("Every picture that a model has categorised was checked."),
        "later": _("{n} were left for later. Load this page again to see them."),
        "sending": _("Saving"),
        "saved": _("Saved"),
        "retrying": _("Not saved, retrying"),
        "signed-out": _("Not saved. Sign in again in another tab."),
    }


def images(dataset: Dataset, *, check: bool, after: object, want: object) -> list[dict[str, Any]]:
    """The next images that wait, after the one with the uid ``after`` (None: from the first)."""
    last = StoredImage.objects.filter(uid=str(after)).first() if is_uuid(str(after)) else None
    count = min(max(want, 0), AHEAD) if type(want) is int else 0
    rows = queries.to_tag(dataset, check=check, after=last.pk if last else 0)[:count] if count else []
    return [_image(row) for row in rows]


def _image(row: StoredImage) -> dict[str, Any]:
    facts = getattr(row, "source_facts", None)
    said = facts.category_id if facts else None
    return {
        "uid": str(row.uid),
        "url": reverse("image", args=[row.uid]),
        "width": row.view_width,
        "height": row.view_height,
        "model": {"category": said, "score": facts.score, "name": facts.method} if facts and said else None,
    }


def apply_events(dataset: Dataset, events: Sequence[object], by: User) -> dict[str, Any]:
    """Keep what the page sent: the keys that are saved, the tokens that undo them, and what was refused and why."""
    saved, undo, refused = [], {}, []
    for event in events:
        row = event if isinstance(event, dict) else {}
        key = str(row.get("key", ""))
        try:
            if token := _apply(dataset, row, by):
                undo[key] = token
            saved.append(key)
        except ValidationError as error:
            refused.append({"key": key, "error": error.messages[0]})
    return {"saved": saved, "undo": undo, "refused": refused}


def _apply(dataset: Dataset, row: dict[str, Any], by: User) -> str:
    """One event. Returns the token that undoes it; an undo has none. Raises ValidationError."""
    if "undo" in row:
        try:
            services.untag(token=str(row["undo"]))
        except services.NothingToUndo as error:
            raise ValidationError(_("This can no longer be undone. Load the page again.")) from error
        return ""
    category, uid = row.get("category", False), str(row.get("image"))
    if not (category is None or isinstance(category, str)):
        raise ValidationError(_("The answer names no category."))
    image = queries.sources_of(dataset).filter(uid=uid).first() if is_uuid(uid) else None
    if image is None:
        raise ValidationError(_("This picture is no longer in the data set."))
    return services.tag(image=image, category=category, by=by)
