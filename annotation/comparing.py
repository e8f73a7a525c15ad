"""The candidates of one case beside each other: all in a grid, or two over each other. For engineers: the editors are
named."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Count
from django.urls import reverse
from django.utils.translation import gettext as _

from annotation.models import Candidate, Case, Editor, StoredImage

MOST = 2


@dataclass(frozen=True)
class Grid:
    """The candidates of a case: a row for each seed with, for each editor, what it made of it; with several kinds of
    settings that is more than one."""

    editors: list[Editor]
    rows: list[tuple[int, list[list[Candidate]]]]
    count: int


def grid_of(case: Case) -> Grid:
    judgements = Count("marks__judgement", distinct=True)
    found = list(case.candidates.select_related("image", "editor").annotate(judgements=judgements).order_by("pk"))
    editors = sorted({row.editor for row in found}, key=lambda editor: editor.slug)
    seeds = sorted({row.seed for row in found})
    cells: dict[tuple[int, int], list[Candidate]] = {(seed, one.pk): [] for seed in seeds for one in editors}
    for row in found:
        cells[row.seed, row.editor_id].append(row)
    return Grid(editors, [(seed, [cells[seed, one.pk] for one in editors]) for seed in seeds], len(found))


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
