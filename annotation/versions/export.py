"""Exports of a version as jobs: a zip in one layout, with the card as its README.

An export that is stopped leaves nothing; resumed, it begins anew. The same version and options are the same bytes.
"""

import shutil
from pathlib import Path
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.models import DatasetVersion
from annotation.versions.archive import Archive
from annotation.versions.card import card, escaped, front_matter
from annotation.versions.layouts import LAYOUTS, Target, splits_of
from annotation.versions.rows import Options
from webapp.accounts.models import User
from webapp.jobs import services as jobs
from webapp.jobs.folder import JobError, JobRun
from webapp.jobs.kinds import JobKind
from webapp.jobs.models import Job


def start_export(*, version: DatasetVersion, layout: str, options: Options, by: User | None) -> Job:
    config = {"version": str(version.uid), "layout": layout, "usable": options.usable, "views": options.views}
    title = _("Export %(version)s as %(layout)s") % {"version": version, "layout": layout}
    return jobs.start(kind="version_export", title=title, config=config, by=by)


def write_export(version: DatasetVersion, layout: str, options: Options, run: JobRun) -> Path:
    """Write the zip into the job's outputs."""
    made = LAYOUTS[layout]
    which = "usable" if options.usable else "all"
    path = run.outputs / f"{version.dataset.slug}-v{version.number}-{layout}-{which}{'-views' * options.views}.zip"
    scratch = run.folder / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)  # of an attempt that was killed
    scratch.mkdir()

    def look(done: int, message: str) -> None:
        run.progress(done, version.cases, message)
        run.check()

    with Archive(path) as archive:
        archive.text("README.md", readme(version, layout, options))
        made.write(version, options, Target(archive, look, scratch))
    shutil.rmtree(scratch)
    return path


def readme(version: DatasetVersion, layout: str, options: Options) -> str:
    """The card with the hub's front matter, the layout and the options."""
    made = LAYOUTS[layout]
    all_of = "Candidates that the output checks set aside are left out"
    if not options.usable:
        all_of = "All candidates are in it; `usable` is false for those that the output checks set aside"
    images = "Images are the originals, byte for byte"
    if options.views:
        images = "Images are copies for viewing: WebP, at most 1024 pixels a side, without metadata"
    return "\n".join(
        [
            front_matter(version, made.front(splits_of(version))),
            f"# {escaped(version.facts['name'])}, version {version.number}",
            "",
            card(version),
            "## Files",
            "",
            made.about,
            "",
            f"{all_of}. {images}.",
            "",
            "The columns name the editors. Do not show them to people who judge the images.",
            "",
        ]
    )


# The job ------------------------------------------------------------------------------------------------------------


def _work(run: JobRun, _job: Job) -> dict[str, Any]:
    version = version_of(run.config)
    if version is None:
        raise JobError(_("The version was deleted with its data set."))
    options = Options(run.config["usable"], run.config["views"])
    path = write_export(version, run.config["layout"], options, run)
    return {"file": path.name, "bytes": path.stat().st_size}


def version_of(config: dict[str, Any]) -> DatasetVersion | None:
    return DatasetVersion.objects.filter(uid=config["version"]).select_related("dataset").first()


def file_of(job: Job) -> Path | None:
    """The finished zip of an export."""
    name = job.summary.get("file", "")
    path = job.folder / "outputs" / Path(name).name
    return path if name and path.is_file() else None


def _links(job: Job) -> list[tuple[str, str]]:
    version = version_of(job.config)
    links = [(str(version), reverse("version", args=[version.uid]))] if version else []
    if job.summary.get("file"):
        links.append((_("Download %(file)s") % {"file": job.summary["file"]}, reverse("version_file", args=[job.uid])))
    return links


KIND = JobKind(name="version_export", label=gettext_lazy("Export of a version"), work=_work, links=_links)
