"""The job that computes the figures of many judgements."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from scoring.elsewhere.services import JOB, compute_figures
from scoring.models import JudgementSet
from webapp.jobs.folder import JobError, JobRun
from webapp.jobs.kinds import JobKind
from webapp.jobs.models import Job


def _work(run: JobRun, _job: Job) -> dict[str, Any]:
    found = _set_of(run.config)
    if found is None:
        raise JobError(_("The judgements were deleted."))
    run.progress(0, 1, _("Computing"))
    try:
        compute_figures(judgement_set=found)
    except ValidationError as error:
        raise JobError(" ".join(error.messages)) from error
    run.progress(1, 1, _("Done"))
    return {"judgements": found.judgements}


def _set_of(config: dict[str, Any]) -> JudgementSet | None:
    return JudgementSet.objects.filter(uid=config["set"]).first()


def _links(job: Job) -> list[tuple[str, str]]:
    found = _set_of(job.config)
    return [(found.name, found.get_absolute_url())] if found else []


def _context(job: Job) -> dict[str, Any]:
    found = _set_of(job.config)
    return {"notice": found.notice} if found else {}


KIND = JobKind(name=JOB, label=gettext_lazy("Figures of judgements"), work=_work, links=_links, context=_context)
