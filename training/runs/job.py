"""Jobs of the kind "posttrain": cases and judges go in, a LoRA comes out, and with it an editor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.models import Dataset, Editor
from training.models import TrainedEditor
from training.runs import judges, registry, starting, watching
from training.runs.data import Chosen, Wanted, choose, line
from training.runs.progress import LOOK
from training.sets.placing import link
from webapp.jobs import services as jobs
from webapp.jobs.folder import JobError
from webapp.jobs.kinds import GPU, JobKind, run_model
from webapp.jobs.models import Job

BEAT = 200  # pictures between two signs of life


def _prepare(job: Job) -> None:
    """Write cases, examples and pictures, once: the list of cases comes last, so what is there is whole."""
    inputs = job.folder / "inputs"
    judges.place(job.config["rewards"], job.config["held_out"], job.folder)
    if (inputs / starting.CASES).exists():
        return
    try:
        chosen = choose(Wanted.from_json(job.config["data"]))
    except ValidationError as error:
        raise JobError(" ".join(error.messages)) from None
    if chosen.hash != job.config["data_hash"]:
        raise JobError(
            _("The data has changed since the run was started: other cases, splits or scores. Start the run anew.")
        )
    _place(chosen, inputs, job)


def _place(chosen: Chosen, inputs: Path, job: Job) -> None:
    (inputs / "images").mkdir(parents=True, exist_ok=True)
    for place, (path, name) in enumerate(chosen.files.items()):
        if place % BEAT == 0:
            jobs.heartbeat(job)
        link(name, inputs / path)
    for name, rows in ((starting.EXAMPLES, chosen.examples), (starting.CASES, chosen.cases)):
        part = inputs / f"{name}.part"
        part.write_text("".join(map(line, rows)), encoding="utf-8")
        part.replace(inputs / name)


def _on_events(job: Job, events: list[dict[str, Any]]) -> None:
    """The last look stands in the row, so that lists of runs need not read files."""
    looks = [event for event in events if event["event"] == LOOK and event.get("round")]
    if looks:
        told = {name: value for name, value in looks[-1].items() if name in ("round", "judges")}
        job.summary = {**job.summary, "last_look": told}
        Job.objects.filter(pk=job.pk).update(summary=job.summary)


def _on_result(job: Job, summary: dict[str, Any]) -> None:
    registry.register(job=job, summary=summary)


def _links(job: Job) -> list[tuple[str, str]]:
    found: list[Any] = []
    made = TrainedEditor.objects.filter(job=job).select_related("editor").first()
    base = Editor.objects.filter(slug=job.config.get("base", "")).first()
    data = Dataset.objects.filter(uid=job.config["data"]["dataset"]).first() if "data" in job.config else None
    found += [(str(made), made.get_absolute_url())] if made else []
    found += [(one.name, one.get_absolute_url()) for one in (base, data) if one]
    return found


KIND = JobKind(
    name=starting.NAME,
    label=gettext_lazy("Post-training of an editor"),
    queue=GPU,
    command=run_model,
    prepare=_prepare,
    on_events=_on_events,
    on_result=_on_result,
    environment=judges.environment_of,
    links=_links,
    clone=lambda job, by: starting.clone(job=job, by=by),
    for_admins=True,
    template="runs/training.html",
    style="css/runs.css",
    context=watching.context,
)
