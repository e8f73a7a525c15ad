"""Exports of a study as jobs: one table in one format, with a README of what it is, in a zip."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from django.urls import reverse
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.models import Study
from scoring.export_readme import readme
from scoring.export_tables import TABLES, Options
from scoring.writers import WRITERS, Row, archive
from webapp.accounts.models import User
from webapp.hooks.events import EXPORT_FINISHED
from webapp.hooks.services import announce
from webapp.jobs import services as jobs
from webapp.jobs.folder import JobError, JobRun
from webapp.jobs.kinds import JobKind
from webapp.jobs.models import Job

LOOK = 1000  # rows between two looks


def start_export(*, study: Study, table: str, format: str, options: Options, by: User | None) -> Job:  # noqa: A002  # the word that users know
    config = {"study": str(study.uid), "table": table, "format": format, "options": options.to_json()}
    words = _("Export %(table)s of %(study)s, simulation") if study.is_simulated else _("Export %(table)s of %(study)s")
    title = words % {"table": table, "study": study.name}
    return jobs.start(kind="export", title=title, config=config, by=by)


def _work(run: JobRun, _job: Job) -> dict[str, Any]:
    study = _study(run.config)
    if study is None:
        raise JobError(_("The study was deleted."))
    options = Options.from_json(run.config["options"])
    path = write_export(study, run.config["table"], run.config["format"], options, run)
    return {"file": path.name, "bytes": path.stat().st_size}


def write_export(study: Study, table: str, format: str, options: Options, run: JobRun) -> Path:  # noqa: A002  # the word that users know
    """Write the zip of one table into the job's outputs. The same study and options give the same bytes."""
    made = TABLES[table]
    data, note = run.outputs / f"{table}.{format}", run.outputs / "README.md"
    run.progress(0, 2, _("Writing rows"))
    count = WRITERS[format](data, made.columns, _watched(made.rows(study, options), run.check))
    note.write_text(readme(study, table, made, options, count), encoding="utf-8")
    run.check()
    run.progress(1, 2, _("Packing"))
    simulation = "simulation-" if study.is_simulated else ""
    path = run.outputs / f"{simulation}{slugify(study.name) or 'study'}-{table}-{format}.zip"
    archive(path, [data, note])
    data.unlink()
    run.progress(2, 2, _("%(count)d rows") % {"count": count})
    return path


def _watched(rows: Iterable[Row], check: Callable[[], None]) -> Iterator[Row]:
    """The rows, with a look now and then at whether the job was asked to stop."""
    for number, row in enumerate(rows):
        if number % LOOK == 0:
            check()
        yield row


def _study(config: dict[str, Any]) -> Study | None:
    return Study.objects.filter(uid=config["study"]).select_related("dataset").first()


def file_of(job: Job) -> Path | None:
    """The finished zip of an export job."""
    name = job.summary.get("file", "")
    path = job.folder / "outputs" / Path(name).name
    return path if name and path.is_file() else None


def _links(job: Job) -> list[tuple[str, str]]:
    study = _study(job.config)
    links = [(study.name, study.get_absolute_url())] if study else []
    if job.summary.get("file"):
        links.append((_("Download %(file)s") % {"file": job.summary["file"]}, reverse("export_file", args=[job.uid])))
    return links


def _context(job: Job) -> dict[str, Any]:
    study = _study(job.config)
    return {"notice": study.notice} if study else {}


def _tell(job: Job) -> None:
    """Tell webhooks that the file is there."""
    study = _study(job.config) if file_of(job) else None
    if study is not None:
        data = {"job": str(job.uid), "table": job.config["table"], "format": job.config["format"], **job.summary}
        announce(EXPORT_FINISHED, data, study=study, key=str(job.uid))


KIND = JobKind(name="export", label=gettext_lazy("Export"), work=_work, on_end=_tell, links=_links, context=_context)
