"""The values and events of the review page, where a person goes through proposals by keyboard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils.translation import gettext as _

from annotation.instructions import queries, services
from annotation.instructions.services import Words
from annotation.models import Dataset, Proposal
from annotation.work import is_uuid
from webapp.accounts.models import User

AHEAD = 8  # the most proposals that a page holds undecided
BATCH = 50  # the most events in one request
KNOWN = 500  # the most proposals that a page may say it has
TEXTS = ("instruction", "instruction_zh", "description", "requirement")


def page_value(dataset: Dataset, by: User, *, task: str) -> dict[str, Any]:
    """What the page knows at its start."""
    return {
        "dataset": str(dataset.uid),
        "user_id": by.pk,
        "task": task,
        **more(dataset, by, task=task, have=[], want=AHEAD),
        "urls": {
            "events": reverse("review_events", args=[dataset.uid]),
            "home": reverse("proposals", args=[dataset.uid]),
        },
    }


def more(dataset: Dataset, by: User, *, task: str, have: object, want: object) -> dict[str, Any]:
    """The next proposals, ``want`` at most and none that the page has, and how many are open in all."""
    names = [str(uid) for uid in have[:KNOWN]] if isinstance(have, list) else []
    known = [uid for uid in names if is_uuid(uid)]
    most = min(max(want, 0), AHEAD) if type(want) is int else 0
    rows = queries.to_review(dataset, by, task=task, without=known, most=most)
    return {"proposals": [_value(row) for row in rows], "left": queries.left_to_review(dataset, task=task)}


def _value(row: Proposal) -> dict[str, Any]:
    """One proposal. ``images`` is there because the page's loader of pictures asks for it."""
    image = row.source
    return {
        "uid": str(row.uid),
        "task": row.task.name,
        "about": row.task.description,
        "model": row.model,
        "source": {
            "url": reverse("image", args=[image.uid]),
            "width": image.view_width,
            "height": image.view_height,
        },
        "images": [],
        **{name: getattr(row, name) for name in TEXTS},
    }


def apply_events(dataset: Dataset, events: Sequence[object], by: User) -> dict[str, Any]:
    """Carry decisions out, in order: the keys that are saved, and what was refused and why."""
    saved, refused = [], []
    for event in events:
        row = event if isinstance(event, dict) else {}
        key = str(row.get("key", ""))
        try:
            _apply(dataset, row, by)
            saved.append(key)
        except ValidationError as error:
            refused.append({"key": key, "error": " ".join(error.messages)})
    return {"saved": saved, "refused": refused}


def _apply(dataset: Dataset, row: dict[str, Any], by: User) -> None:
    uid, kind = str(row.get("assignment")), row.get("kind")
    proposal = dataset.proposals.filter(uid=uid).first() if is_uuid(uid) else None
    if proposal is None:
        raise ValidationError(_("This proposal is no longer in the data set."))
    if kind == "accept":
        services.accept(proposal=proposal, by=by, words=_words(row.get("data")))
    elif kind == "reject":
        services.reject(proposal=proposal, by=by)
    elif kind == "undo":
        services.reopen(proposal=proposal, by=by)
    else:
        raise ValidationError(_("The decision is none of accept, reject and undo."))


def _words(data: object) -> Words | None:
    """The changed texts; None where the proposal is accepted as it is."""
    if data is None or data == {}:
        return None
    if not isinstance(data, dict) or not all(isinstance(data.get(name), str) for name in TEXTS):
        raise ValidationError(_("The changed texts could not be read."))
    if any("\ud800" <= letter <= "\udfff" for name in TEXTS for letter in data[name]):
        raise ValidationError(_("The text holds a character that cannot be stored."))
    return Words(**{name: data[name] for name in TEXTS})


def sentences() -> dict[str, str]:
    """What the page's script says."""
    return {
        "left": _("{n} waiting"),
        "accepted": _("Accepted"),
        "rejected": _("Rejected"),
        "undone": _("Taken back"),
        "nothingToUndo": _("There is nothing to take back."),
        "empty": _("An instruction is needed. Write one, or reject the proposal."),
        "done": _("Every proposal has been reviewed."),
        "sendingLast": _("Sending your last decisions. Keep this page open."),
        "loading": _("Getting the next proposals"),
        "pictureFailed": _("The picture could not be loaded. Load the page again."),
        "picture": _("Source picture"),
        "idle": _("Nothing to save yet"),
        "sending": _("Saving"),
        "saved": _("Saved"),
        "retrying": _("Not saved, retrying. Waiting: {n}"),
        "signed-out": _("Not saved. Sign in again: your decisions wait in this browser. Waiting: {n}"),
        "signIn": _("Sign in again"),
        "refused": _("Not accepted by the server: {error}"),
        "dismiss": _("I have read this"),
        "notKept": _("This browser does not store unsent decisions. Keep this page open until it says “Saved”."),
    }
