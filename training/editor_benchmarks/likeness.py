"""The job that compares edited images with their sources and texts: DINO-I, CLIP-I and CLIP-T."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.inputs import local_path
from annotation.models import Candidate
from training.categorising import NAME as MODEL
from training.models import EditorBenchmark, Likeness, Measure
from webapp.accounts.models import User
from webapp.jobs import services as jobs
from webapp.jobs.kinds import GPU, JobKind, run_model
from webapp.jobs.models import Job

NAME = "editor-likeness"
DINO, CLIP = "facebook/dino-vits16", "openai/clip-vit-base-patch32"


def check_model(name: str) -> str:
    """A name of the hub or an absolute folder. Raises ValidationError."""
    if not MODEL.fullmatch(name) or ".." in name:
        words = _("Give the name of a model, such as %(name)s, or an absolute folder.")
        raise ValidationError(words % {"name": DINO})
    return name


def start(*, benchmark: EditorBenchmark, candidates: Sequence[int], by: User | None) -> Job:
    """A job on the GPU queue for these candidates."""
    config = {
        "benchmark": str(benchmark.uid),
        "candidates": list(candidates),
        "dino": benchmark.asked["dino"],
        "clip": benchmark.asked["clip"],
    }
    title = _("Likeness of %(count)d images for %(name)s") % {"count": len(candidates), "name": benchmark.name}
    return jobs.start(kind=NAME, title=title, config=config, by=by)


def _prepare(job: Job) -> None:
    """Write the samples, once: an attempt that goes on needs the list that it began with."""
    path = job.folder / "inputs" / "samples.jsonl"
    if path.exists():
        return
    rows = Candidate.objects.filter(pk__in=job.config["candidates"]).order_by("pk")
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as file:
        for one in rows.select_related("image", "case__source").iterator(chunk_size=500):
            sample = {
                "key": str(one.pk),
                "source": local_path(one.case.source.view, job.folder),
                "edited": local_path(one.image.view, job.folder),
                "text": one.case.description or one.case.instruction,
            }
            file.write(json.dumps(sample, ensure_ascii=False) + "\n")
    part.rename(path)


def _on_events(job: Job, events: list[dict[str, Any]]) -> None:
    """Keep the figures; seen twice they change nothing. A candidate that was deleted meanwhile has none."""
    told = [event for event in events if event["event"] == "likeness"]
    known = set(Candidate.objects.filter(pk__in=[int(one["key"]) for one in told]).values_list("pk", flat=True))
    models = {name: job.config["dino" if name == Measure.DINO_I else "clip"] for name in Measure.values}
    rows = [
        Likeness(candidate_id=int(one["key"]), measure=name, model=models[name], value=one[name])
        for one in told
        if int(one["key"]) in known
        for name in Measure.values
    ]
    Likeness.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["model", "measure", "candidate"], update_fields=["value"]
    )


def _links(job: Job) -> list[tuple[str, str]]:
    found = EditorBenchmark.objects.filter(uid=job.config["benchmark"]).first()
    return [(found.name, found.get_absolute_url())] if found else []


KIND = JobKind(
    name=NAME,
    label=gettext_lazy("Likeness of edited images"),
    queue=GPU,
    command=run_model,
    prepare=_prepare,
    on_events=_on_events,
    links=_links,
)
