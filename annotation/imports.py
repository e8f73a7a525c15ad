"""Importing data sets: check everything, keep the images, then insert all rows in one transaction, or none.

Images are kept by their hash before any row names them, so an import that is stopped or refused leaves nothing half
done; one that goes on skips the images that ``stored.jsonl`` lists.
"""

import json
import os
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.base import File
from django.db import IntegrityError, transaction
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation import pictures
from annotation.faults import start_checks
from annotation.importing.images import VerifiedImage, ViewCopy, view_copy
from annotation.importing.manifest import CandidateRow, CaseRow
from annotation.importing.plan import ImportPlan, check_file, check_mask, plan
from annotation.importing.problems import ImportProblem
from annotation.importing.source import ImportSource, open_source
from annotation.library import settings_hash
from annotation.models import Candidate, Case, Dataset, Editor, Task
from webapp.accounts.models import User
from webapp.jobs import services as jobs
from webapp.jobs.folder import JobError, JobRun
from webapp.jobs.kinds import JobKind
from webapp.jobs.models import Job

SHOWN = 50  # problems listed in a refusal
BATCH = 32  # images between two looks at "stop"
ROWS = 2000


@dataclass(frozen=True)
class Progress:
    """How the importer tells where it is, asks whether to stop, and where it notes kept images (None: nowhere)."""

    report: Callable[[int, int, str], None]
    check: Callable[[], None] = lambda: None
    journal: Path | None = None


def import_path(*, path: Path, dataset: Dataset, progress: Progress) -> dict[str, int]:
    """Import a folder or zip into ``dataset``; JobError with every problem found if anything is wrong.

    A data set that is not saved yet is saved with its rows, so a refused import leaves no empty one behind.
    """
    try:
        source = open_source(path)
    except ImportProblem as error:
        raise JobError(str(error)) from error
    with closing(source):
        tasks = set(Task.objects.values_list("slug", flat=True))
        keys = set(dataset.cases.values_list("key", flat=True)) if dataset.pk else set()
        made = plan(source, tasks, keys)
        if not made.ok:
            raise _refusal(made.problems.total, [str(problem) for problem in made.problems])
        kept = _keep_images(made, source, progress)
        return _insert(dataset, made, kept)


def _refusal(total: int, sentences: list[str]) -> JobError:
    head = _("Nothing was imported. %(count)d problems:") % {"count": total}
    more = [_("… and %(count)d more.") % {"count": total - SHOWN}] if total > SHOWN else []
    return JobError("\n".join([head, *sentences[:SHOWN], *more]))


@dataclass(frozen=True)
class Kept:
    """One file of the import: what it is, and its row."""

    verified: VerifiedImage
    image: int


def _keep_images(made: ImportPlan, source: ImportSource, progress: Progress) -> dict[str, Kept]:
    kept = dict(_journal(progress.journal))
    todo = [name for name in made.files if name not in kept]
    problems: list[str] = []
    message = _("Checking and keeping images")
    progress.report(len(kept), len(made.files), message)
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:  # Pillow lets go of the lock while it decodes
        for start in range(0, len(todo), BATCH):
            names = todo[start : start + BATCH]
            results = list(threads.map(lambda name: _prepare(made, source, name), names))
            fresh = {}
            for name, result in zip(names, results, strict=True):
                if isinstance(result, str):
                    problems.append(result)
                elif not problems:
                    verified, data, view = result
                    fresh[name] = Kept(verified, pictures.keep(data, verified, view).pk)
            kept |= fresh
            _note(progress.journal, fresh)
            progress.report(len(kept) + len(problems), len(made.files), message)
            progress.check()
    problems = problems or [fault for case in made.cases if (fault := _mask_fault(made, case, kept))]
    if problems:
        raise _refusal(len(problems), problems)
    return kept


def _prepare(made: ImportPlan, source: ImportSource, name: str) -> tuple[VerifiedImage, bytes, ViewCopy] | str:
    try:
        verified, data = check_file(made, source, name)
        return verified, data, view_copy(data)
    except ImportProblem as error:
        return str(error)


def _mask_fault(made: ImportPlan, case: CaseRow, kept: dict[str, Kept]) -> str:
    """Why a case's mask does not fit its source image; empty if it does, or there is none."""
    if not case.mask:
        return ""
    try:
        check_mask(made, case, kept[case.source].verified, kept[case.mask].verified)
    except ImportProblem as error:
        return str(error)
    return ""


def _journal(path: Path | None) -> Iterator[tuple[str, Kept]]:
    if path is None or not path.exists():
        return
    for line in path.read_text().splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # torn by a crash
        yield entry["name"], Kept(VerifiedImage(**entry["verified"]), entry["image"])


def _note(path: Path | None, fresh: dict[str, Kept]) -> None:
    if path is None:
        return
    with path.open("a") as file:
        for name, kept in fresh.items():
            file.write(json.dumps({"name": name, "verified": asdict(kept.verified), "image": kept.image}) + "\n")


def _insert(dataset: Dataset, made: ImportPlan, kept: dict[str, Kept]) -> dict[str, int]:
    try:
        with transaction.atomic():
            if dataset._state.adding:
                dataset.save()
            Case.objects.bulk_create([_case(dataset, row, kept) for row in made.cases], batch_size=ROWS)
            editors = _editors({row.editor for row in made.candidates})
            cases = dict(dataset.cases.values_list("key", "pk"))
            rows = [_candidate(row, cases, editors, kept) for row in made.candidates]
            Candidate.objects.bulk_create(rows, batch_size=ROWS)
    except IntegrityError as error:
        message = _(
            "Nothing was imported. Some of these cases or candidates are in the data set already: "
            "a candidate is told apart by case, editor, seed and settings."
        )
        raise JobError(message) from error
    return {"cases": len(made.cases), "candidates": len(made.candidates), "images": len(kept)}


def _case(dataset: Dataset, row: CaseRow, kept: dict[str, Kept]) -> Case:
    return Case(
        dataset=dataset,
        key=row.key,
        source_id=kept[row.source].image,
        mask_id=kept[row.mask].image if row.mask else None,
        task_id=row.task,
        instruction=row.instruction,
        instruction_zh=row.instruction_zh,
        description=row.description,
        requirement=row.requirement,
        split=row.split,
        params=dict(row.params),
        attribution=row.attribution,
        licence=row.licence,
    )


def _editors(slugs: set[str]) -> dict[str, int]:
    """Editors by slug; one that is new becomes a row without a module: its images were made elsewhere."""
    known = set(Editor.objects.filter(slug__in=slugs).values_list("slug", flat=True))
    Editor.objects.bulk_create([Editor(slug=slug, name=slug) for slug in sorted(slugs - known)], ignore_conflicts=True)
    return dict(Editor.objects.filter(slug__in=slugs).values_list("slug", "pk"))


def _candidate(row: CandidateRow, cases: dict[str, int], editors: dict[str, int], kept: dict[str, Kept]) -> Candidate:
    return Candidate(
        case_id=cases[row.case],
        editor_id=editors[row.editor],
        image_id=kept[row.file].image,
        seed=row.seed,
        settings=dict(row.settings),
        settings_hash=settings_hash(row.settings),
    )


# The job -------------------------------------------------------------------------------------------------------------


def start_import(*, archive: "File[bytes]", by: User, name: str = "", dataset: Dataset | None = None) -> Job:
    """Keep an uploaded zip and start the job that imports it, into ``dataset`` or a new one called ``name``."""
    folder = Path(settings.VAR) / "uploads"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{uuid.uuid4()}.zip"
    with path.open("wb") as file:
        for chunk in archive.chunks():
            file.write(chunk)
    title = _("Import into %(name)s") % {"name": dataset.name if dataset else name}
    config = {"path": str(path), "slug": dataset.slug if dataset else slugify(name)[:80], "name": name}
    return jobs.start(kind="import", title=title, config=config, by=by)


def _work(run: JobRun, job: Job) -> dict[str, Any]:
    path = Path(run.config["path"])
    if not path.exists():
        raise JobError(_("The uploaded file is gone: it was imported already. Upload it again."))
    slug, name = run.config["slug"], run.config["name"]
    dataset = _dataset(run.config) or Dataset(slug=slug, name=name, created_by=job.created_by)
    progress = Progress(run.progress, run.check, run.folder / "stored.jsonl")
    return dict(import_path(path=path, dataset=dataset, progress=progress))


def _dataset(config: dict[str, Any]) -> Dataset | None:
    return Dataset.objects.filter(slug=config["slug"]).first()


def _links(job: Job) -> list[tuple[str, str]]:
    dataset = _dataset(job.config)
    return [(dataset.name, dataset.get_absolute_url())] if dataset else []


def _then(job: Job, summary: dict[str, Any]) -> None:
    """The images are kept and the rows are in: the candidates are checked, and the upload is no longer needed."""
    dataset = _dataset(job.config)
    if dataset and summary.get("candidates") and Path(job.config["path"]).exists():
        start_checks(dataset=dataset, by=job.created_by)
    path = Path(job.config["path"])
    if path.parent == Path(settings.VAR) / "uploads":
        path.unlink(missing_ok=True)


KIND = JobKind(name="import", label=gettext_lazy("Import"), work=_work, links=_links, on_result=_then)
