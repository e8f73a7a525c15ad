"""Candidate generation: a grid of cases × editors × seeds, run as a job, each image kept as it comes."""

import json
import secrets
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation import pictures
from annotation.faults import reasons
from annotation.importing.images import verify
from annotation.importing.problems import ImportProblem
from annotation.library import settings_hash
from annotation.models import Candidate, Case, Dataset, Editor, Unmade, UnmadeReason
from training import fit, grid
from webapp.accounts.models import User
from webapp.endpoints.services import environment_for
from webapp.jobs import services as jobs
from webapp.jobs.folder import JobError
from webapp.jobs.kinds import GPU, JobKind, run_model
from webapp.jobs.models import Job

MOST = 1_000_000  # images in one job
SHEET = 60  # newest images on the job page


def start_generation(
    *,
    dataset: Dataset,
    editors: list[Editor],
    seeds: int,
    by: User | None,
    tasks: list[str] | None = None,
    splits: list[str] | None = None,
    limit: int = 0,
    sample: int = 0,
    only: Sequence[int] = (),
) -> Job:
    """A job that makes ``seeds`` candidates of every chosen case with every editor, or with ``sample`` of them, drawn
    for each case. ``only``: keys of cases, none but these. Raises ValidationError."""
    if not editors:
        raise ValidationError(_("Choose at least one editor."))
    if without := [editor.name for editor in editors if not editor.module]:
        names = ", ".join(without)
        raise ValidationError(_("No program makes images for %(names)s: they were made elsewhere.") % {"names": names})
    config: dict[str, Any] = {
        "dataset": str(dataset.uid),
        "editors": [editor.slug for editor in editors],
        "seeds": seeds,
        "tasks": tasks or [],
        "splits": splits or [],
        "limit": limit,
        "sample": sample,
        "sample_seed": secrets.randbits(32) if sample else 0,
    }
    if only:
        config["only"] = list(only)
    if sample > len(editors):
        message = _("%(sample)d editors cannot be drawn from %(count)d.")
        raise ValidationError(message % {"sample": sample, "count": len(editors)})
    count = grid.count(dataset, config)
    if not 0 < count <= MOST:
        message = _("This would make %(count)d images. Choose between 1 and %(most)d.")
        raise ValidationError(message % {"count": count, "most": MOST})
    machines = fit.workers()
    if problems := [f"{editor.name}: {words}" for editor in editors if (words := fit.problem(editor, machines))]:
        raise ValidationError(problems)
    title = _("Make %(count)d candidates of %(name)s") % {"count": count, "name": dataset.name}
    return jobs.start(kind="generate", title=title, config=config, by=by)


def _dataset(job: Job) -> Dataset:
    found = _dataset_of(job)
    if found is None:
        raise JobError(_("The data set was deleted."))
    return found


def _prepare(job: Job) -> None:
    """Write the list of images to make, once: line numbers name the output files, so every attempt needs the same list.

    Images that the library has already, made with the same settings, are left out.
    """
    path = job.folder / "inputs" / "items.jsonl"
    if path.exists():
        return
    dataset = _dataset(job)
    part = path.with_suffix(".part")
    with part.open("w") as file:
        for item in grid.items(dataset, job.config, job.folder):
            file.write(json.dumps(item) + "\n")
    part.rename(path)


def _on_events(job: Job, events: list[dict[str, Any]]) -> None:
    for event in events:
        if event["event"] == "image":
            keep_image(job, event)
        elif event["event"] == "item_failed":
            _keep_unmade(job, event, UnmadeReason.FAILED, event["reason"])


@transaction.atomic
def keep_image(job: Job, event: dict[str, Any]) -> Candidate | None:
    """Make the candidate of one "image" event. The same event twice makes it once; an unreadable file makes none, and
    neither does a case or an editor that was deleted meanwhile."""
    path = (job.folder / event["file"]).resolve()
    if not path.is_relative_to(job.folder.resolve()) or not path.is_file():
        return None
    data = path.read_bytes()
    try:
        image = pictures.store(data, verify(data))
    except ImportProblem as problem:
        _keep_unmade(job, event, UnmadeReason.UNREADABLE, str(problem))
        return None
    known = _known(event)
    if known is None:
        return None
    Unmade.objects.filter(**known).delete()
    return Candidate.objects.get_or_create(
        **known,
        defaults={
            "image": image,
            "settings": event.get("settings", {}),
            "noise_seed": event.get("noise_seed"),
            "seconds": event.get("seconds"),
            "fault": event.get("fault", ""),
            "fault_note": event.get("note", "")[:200],
            "job": job.whole,
        },
    )[0]


@transaction.atomic
def _keep_unmade(job: Job, event: dict[str, Any], reason: str, note: str) -> None:
    if known := _known(event):
        Unmade.objects.update_or_create(**known, defaults={"reason": reason, "note": note, "job": job.whole})


def _known(event: dict[str, Any]) -> dict[str, Any] | None:
    """What makes a candidate one of its kind; None where its case or editor is gone. Both stay until this transaction
    ends: on PostgreSQL by these locks, on SQLite nobody else writes meanwhile."""
    case, editor, seed = (int(part) for part in event["key"].split("/"))
    row = Editor.objects.select_for_update(no_key=True).filter(pk=editor).first()
    if row is None or not Case.objects.select_for_update(no_key=True).filter(pk=case).first():
        return None
    return {"case_id": case, "editor": row, "seed": seed, "settings_hash": settings_hash(row.settings)}


def _dataset_of(job: Job) -> Dataset | None:
    return Dataset.objects.filter(uid=job.config["dataset"]).first()


def _links(job: Job) -> list[tuple[str, str]]:
    dataset = _dataset_of(job)
    return [(dataset.name, dataset.get_absolute_url())] if dataset else []


def _context(job: Job) -> dict[str, Any]:
    whole = job.whole
    newest = whole.candidates.select_related("image", "editor", "case").order_by("-id")[:SHEET]
    found = reasons(whole.candidates.all(), whole.unmade.all())
    return {"whole": whole, "candidates": list(newest), "set_aside": found, "dataset": _dataset_of(whole)}


def _environment(job: Job) -> dict[str, str]:
    """Addresses and keys of the endpoints that the job's editors name."""
    named = (editor.settings.get("endpoint") for editor in grid.editors_of(job.config))
    return environment_for(slug for slug in named if isinstance(slug, str))


KIND = JobKind(
    name="generate",
    label=gettext_lazy("Candidate generation"),
    queue=GPU,
    command=run_model,
    parts=grid.parts,
    environment=_environment,
    prepare=_prepare,
    on_events=_on_events,
    links=_links,
    template="generation/sheet.html",
    context=_context,
)
