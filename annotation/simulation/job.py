"""The job that lets simulated annotators judge a study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.models import Study
from annotation.simulation.run import check_wish, simulate
from annotation.simulation.truth import refuse_others
from webapp.accounts.models import User
from webapp.jobs import services as jobs
from webapp.jobs.folder import JobError, JobRun
from webapp.jobs.kinds import JobKind
from webapp.jobs.models import Job

KIND_NAME = "simulate"


def start_simulation(*, study: Study, annotators: Mapping[str, int], seed: int, by: User | None) -> Job:
    """A job in which so many annotators of each kind judge the study. Raises ValidationError."""
    check_wish(study, annotators, seed)
    refuse_others(study)
    config = {"study": str(study.uid), "annotators": dict(annotators), "seed": seed}
    title = _("Simulation: annotators for %(study)s") % {"study": study.name}
    return jobs.start(kind=KIND_NAME, title=title, config=config, by=by)


def _work(run: JobRun, job: Job) -> dict[str, Any]:
    study = _study(job)
    if study is None:
        raise JobError(_("The study was deleted."))
    wish = {"annotators": run.config["annotators"], "seed": run.config["seed"]}
    try:
        made = simulate(study=study, progress=run.progress, check=run.check, **wish)
    except ValidationError as error:
        raise JobError(" ".join(error.messages)) from error
    result = {"simulated judgements": made.all, "new": made.new, "simulated annotators": made.annotators}
    return {**result, **(made.report.to_json() if made.report else {})}


def _study(job: Job) -> Study | None:
    return Study.objects.filter(uid=job.config["study"]).select_related("dataset").first()


def _links(job: Job) -> list[tuple[str, str]]:
    study = _study(job)
    return [(study.name, study.get_absolute_url())] if study else []


def _context(job: Job) -> dict[str, Any]:
    study = _study(job)
    return {"notice": study.notice} if study else {}


KIND = JobKind(name=KIND_NAME, label=gettext_lazy("Simulated annotators"), work=_work, links=_links, context=_context)
