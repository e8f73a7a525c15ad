"""What the page gets that lays two candidates of a case over each other. For engineers: it names the editors."""

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from annotation.models import Candidate, Case, StoredImage

MOST = 2


def value_of(case: Case, chosen: list[str]) -> dict[str, Any]:
    """The case with all its candidates, in the order of its page. ``chosen``: uids of those to begin with; names that
    are no candidate of this case are left out, and without any the first is shown."""
    rows = case.candidates.select_related("image", "editor").order_by("editor__slug", "seed", "pk")
    candidates = [_candidate(row) for row in rows]
    known = {row["uid"] for row in candidates}
    shown = [uid for uid in dict.fromkeys(chosen) if uid in known][:MOST]
    return {
        "key": case.key,
        "instruction": case.instruction,
        "label": case.dataset.notice,
        "url": case.get_absolute_url(),
        "source": _image(case.source),
        "candidates": candidates,
        "shown": shown or [row["uid"] for row in candidates[:1]],
    }


def _candidate(row: Candidate) -> dict[str, Any]:
    words = _("%(editor)s, seed %(seed)d") % {"editor": row.editor.name, "seed": row.seed}
    fault = "" if row.fault_kept else row.get_fault_display()
    url = reverse("candidate", args=[row.uid])
    return {"uid": str(row.uid), "label": words, "fault": str(fault), "url": url, "image": _image(row.image)}


def _image(image: StoredImage) -> dict[str, Any]:
    return {"url": reverse("image", args=[image.uid]), "width": image.view_width, "height": image.view_height}
