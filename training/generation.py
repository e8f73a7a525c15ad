"""Candidate generation: a grid of cases × editors × seeds, run as a job, each image kept as it comes."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation import pictures
from annotation.importing.images import verify
from annotation.importing.problems import ImportProblem
from annotation.library import settings_hash
from annotation.models import Candidate, Case, Dataset, Editor, StoredImage
from webapp.accounts.models import User
from webapp.jobs import services as jobs
from webapp.jobs.folder import JobError
from webapp.jobs.kinds import GPU, JobKind
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
    limit: int = 0,
) -> Job:
    """A job that makes ``seeds`` candidates of every chosen case with every editor. Raises ValidationError."""
    if not editors:
        raise ValidationError(_("Choose at least one editor."))
    if without := [editor.name for editor in editors if not editor.module]:
        names = ", ".join(without)
        raise ValidationError(_("No program makes images for %(names)s: they were made elsewhere.") % {"names": names})
    config = {
        "dataset": str(dataset.uid),
        "editors": [editor.slug for editor in editors],
        "seeds": seeds,
        "tasks": tasks or [],
        "limit": limit,
    }
    count = _cases(dataset, config).count() * len(editors) * seeds
    if not 0 < count <= MOST:
        message = _("This would make %(count)d images. Choose between 1 and %(most)d.")
        raise ValidationError(message % {"count": count, "most": MOST})
    title = _("Make %(count)d candidates of %(name)s") % {"count": count, "name": dataset.name}
    return jobs.start(kind="generate", title=title, config=config, by=by)


def _cases(dataset: Dataset, config: dict[str, Any]) -> Any:
    cases = Case.objects.filter(dataset=dataset).order_by("id")
    if config["tasks"]:
        cases = cases.filter(task__in=config["tasks"])
    return cases[: config["limit"]] if config["limit"] else cases


def _dataset(job: Job) -> Dataset:
    found = Dataset.objects.filter(uid=job.config["dataset"]).first()
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
    editors = list(Editor.objects.filter(slug__in=job.config["editors"]))
    part = path.with_suffix(".part")
    with part.open("w") as file:
        for item in _items(job, dataset, editors):
            file.write(json.dumps(item) + "\n")
    part.rename(path)


def _items(job: Job, dataset: Dataset, editors: list[Editor]) -> Iterator[dict[str, Any]]:
    had = _had(dataset, editors)
    cases = _cases(dataset, job.config).select_related("source", "mask")
    for case in cases:
        for editor in editors:
            for seed in range(job.config["seeds"]):
                key = f"{case.pk}/{editor.pk}/{seed}"
                if key not in had:
                    yield {"key": key, "editor": _editor(editor), "seed": seed, "case": _case(case, job.folder)}


def _had(dataset: Dataset, editors: list[Editor]) -> set[str]:
    """Keys of the images that are there, made with the settings that the editors have now."""
    hashes = {editor.pk: settings_hash(editor.settings) for editor in editors}
    rows = Candidate.objects.filter(case__dataset=dataset, editor__in=editors)
    values = rows.values_list("case_id", "editor_id", "seed", "settings_hash").iterator(chunk_size=5000)
    return {f"{case}/{editor}/{seed}" for case, editor, seed, found in values if found == hashes[editor]}


def _editor(editor: Editor) -> dict[str, Any]:
    return {"module": editor.module, "settings": editor.settings}


def _case(case: Case, folder: Path) -> dict[str, Any]:
    return {
        "source": _file(case.source, folder),
        "mask": _file(case.mask, folder) if case.mask else None,
        "key": case.key,
        "instruction": case.instruction,
        "description": case.description,
        "task": case.task_id,
        "params": case.params,
    }


def _file(image: StoredImage, folder: Path) -> str:
    """A local path of the original: the storage's own where it has one, else a copy in the job folder."""
    try:
        return str(default_storage.path(image.original))
    except NotImplementedError:
        copy = folder / "inputs" / Path(image.original).name
        if not copy.exists():
            copy.write_bytes(image.read_original())
        return str(copy)


def _on_events(job: Job, events: list[dict[str, Any]]) -> None:
    made = [event for event in events if event["event"] == "image"]
    for event in made:
        keep_image(job, event)


@transaction.atomic
def keep_image(job: Job, event: dict[str, Any]) -> Candidate | None:
    """Make the candidate of one "image" event. The same event twice makes it once; an unreadable file makes none."""
    case, editor, seed = (int(part) for part in event["key"].split("/"))
    path = (job.folder / event["file"]).resolve()
    if not path.is_relative_to(job.folder.resolve()) or not path.is_file():
        return None
    data = path.read_bytes()
    try:
        image = pictures.store(data, verify(data))
    except ImportProblem:
        return None
    row = Editor.objects.get(pk=editor)
    return Candidate.objects.get_or_create(
        case_id=case,
        editor=row,
        seed=seed,
        settings_hash=settings_hash(row.settings),
        defaults={
            "image": image,
            "settings": event.get("settings", {}),
            "noise_seed": event.get("noise_seed"),
            "job": job,
        },
    )[0]


def _links(job: Job) -> list[tuple[str, str]]:
    dataset = Dataset.objects.filter(uid=job.config["dataset"]).first()
    return [(dataset.name, dataset.get_absolute_url())] if dataset else []


def _context(job: Job) -> dict[str, Any]:
    newest = job.candidates.select_related("image", "editor", "case").order_by("-id")[:SHEET]
    return {"candidates": list(newest)}


def command(folder: Path) -> list[str]:
    """The program that makes the images: this interpreter, or that of the GPU environment."""
    return [settings.GPU_PYTHON or sys.executable, "-m", "training.gpu.run", str(folder)]


KIND = JobKind(
    name="generate",
    label=gettext_lazy("Candidate generation"),
    queue=GPU,
    command=command,
    prepare=_prepare,
    on_events=_on_events,
    links=_links,
    template="generation/sheet.html",
    context=_context,
)
