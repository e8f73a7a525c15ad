"""Jobs of the kind "reward-train": a labelled set goes in, a version of a reward model comes out."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from training.models import RewardModel
from training.reward_models import registry, watching
from training.reward_models.starting import NAME
from training.reward_models.watching import set_of
from training.sets.placing import place
from webapp.jobs import services as jobs
from webapp.jobs.folder import JobError
from webapp.jobs.kinds import GPU, JobKind, run_model
from webapp.jobs.models import Job


def _prepare(job: Job) -> None:
    found = set_of(job)
    if found is None:
        raise JobError(_("The training set was deleted."))
    place(found, job.folder, lambda: jobs.heartbeat(job))


def _on_result(job: Job, summary: dict[str, Any]) -> None:
    registry.register(job=job, summary=summary)


def _links(job: Job) -> list[tuple[str, str]]:
    made = RewardModel.objects.filter(job=job).first()
    rows = [(str(made), made.get_absolute_url())] if made else []
    found = set_of(job)
    return [*rows, (found.name, found.get_absolute_url())] if found else rows


KIND = JobKind(
    name=NAME,
    label=gettext_lazy("Training of a reward model"),
    queue=GPU,
    command=run_model,
    prepare=_prepare,
    on_result=_on_result,
    links=_links,
    template="reward_models/training.html",
    style="css/reward_models.css",
    context=watching.context,
)
