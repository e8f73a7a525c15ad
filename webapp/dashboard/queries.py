"""Reads for the overview: the loop's stages with their counts."""

from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from annotation.models import Candidate, Case, Judgement, Study, StudyState
from webapp.jobs import kinds
from webapp.jobs.models import Job
from webapp.jobs.queries import queue_health


@dataclass(frozen=True)
class Stage:
    """One stage of the loop; ``href`` leads to the rows behind the number."""

    label: str
    count: int
    note: str
    href: str


def overview() -> dict[str, Any]:
    studies = Study.objects.select_related("dataset").order_by("-id")
    return {
        "stages": _stages(),
        "health": [queue_health(queue) for queue in (kinds.DEFAULT, kinds.GPU)],
        "jobs": Job.objects.select_related("created_by").order_by("-id")[:8],
        "studies": studies.filter(state=StudyState.OPEN)[:8],
    }


def _stages() -> list[Stage]:
    judged = Judgement.objects.filter(is_extra=False)
    return [
        Stage(_("Cases"), Case.objects.count(), _("source image and instruction"), reverse("datasets")),
        Stage(_("Candidates"), Candidate.objects.count(), _("edited images"), reverse("datasets")),
        Stage(_("Studies"), Study.objects.count(), _("questions put to people"), reverse("studies")),
        Stage(_("Judgements"), judged.count(), _("answers that count"), reverse("studies")),
        Stage(
            _("Exports"),
            Job.objects.filter(kind="export", state="succeeded").count(),
            _("scores and pairs taken out"),
            reverse("exports"),
        ),
    ]
