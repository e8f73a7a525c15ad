"""The job that computes perceptual hashes of a data set's source images. What has a hash is left out, so it resumes."""

from __future__ import annotations

import io
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from PIL import Image

from annotation.curation.phash import phash
from annotation.curation.queries import sources_of
from annotation.models import Dataset, Source, StoredImage
from webapp.accounts.models import User
from webapp.jobs import services as jobs
from webapp.jobs.folder import JobError, JobRun
from webapp.jobs.kinds import JobKind
from webapp.jobs.models import Job

BATCH = 64  # images between two looks at "stop"


def start_hashing(*, dataset: Dataset, by: User | None) -> Job:
    title = _("Perceptual hashes of %(name)s") % {"name": dataset.name}
    return jobs.start(kind="hash-sources", title=title, config={"dataset": str(dataset.uid)}, by=by)


def _work(run: JobRun, _job: Job) -> dict[str, Any]:
    """Hash every source image without a hash. The viewing copy is hashed: it is small, upright and of one format."""
    dataset = Dataset.objects.filter(uid=run.config["dataset"]).first()
    if dataset is None:
        raise JobError(_("The data set was deleted."))
    todo = list(sources_of(dataset).exclude(source_facts__phash__gt="").order_by("pk"))
    unreadable: list[str] = []
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:  # Pillow lets go of the lock while it decodes
        for start in range(0, len(todo), BATCH):
            batch = todo[start : start + BATCH]
            found = dict(zip(batch, threads.map(_hash, batch), strict=True))
            unreadable += [image.view for image, value in found.items() if not value]
            _keep({image.pk: value for image, value in found.items() if value})
            run.progress(start + len(batch), len(todo), _("Looking at source images"))
            run.check()
    for name in unreadable:
        print(f"{name} cannot be read.")
    return {"hashed": len(todo) - len(unreadable), "unreadable": len(unreadable)}


def _hash(image: StoredImage) -> str:
    """The hash, or nothing where the file is gone or damaged: one bad file must not stop the others."""
    try:
        with Image.open(io.BytesIO(image.read_view()), formats=["WEBP"]) as picture:
            return phash(picture)
    except (OSError, ValueError, SyntaxError):
        return ""


@transaction.atomic
def _keep(hashes: dict[int, str]) -> None:
    rows = [Source(image_id=image, phash=value) for image, value in hashes.items()]
    Source.objects.bulk_create(rows, update_conflicts=True, unique_fields=["image"], update_fields=["phash"])


def _links(job: Job) -> list[tuple[str, str]]:
    dataset = Dataset.objects.filter(uid=job.config["dataset"]).first()
    return [(dataset.name, dataset.get_absolute_url())] if dataset else []


KIND = JobKind(name="hash-sources", label=gettext_lazy("Perceptual hashes"), work=_work, links=_links)
