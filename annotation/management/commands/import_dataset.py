"""`manage.py import_dataset PATH`: import a folder or zip without a worker or a browser."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.text import slugify

from annotation.imports import Progress, import_path
from annotation.models import Dataset
from webapp.jobs.folder import JobError


class Command(BaseCommand):
    help = "Import a data set from a folder or a zip file with a manifest (docs/importing.md)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path)
        parser.add_argument("--dataset", help="name of the data set, new or there already (default: the file's name)")
        parser.add_argument("--journal", type=Path, help="where to note kept images, so that a repeat skips them")

    def handle(self, *args: Any, path: Path, dataset: str | None, journal: Path | None, **options: Any) -> None:
        name = dataset or path.stem
        if not slugify(name):
            raise CommandError("Give the data set a name with at least one letter or digit: --dataset NAME.")
        slug = slugify(name)[:80]
        found = Dataset.objects.filter(slug=slug).first() or Dataset(slug=slug, name=name[:120])
        try:
            counts = import_path(path=path, dataset=found, progress=Progress(self._report, journal=journal))
        except JobError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{found.name}: {counts['cases']} cases, {counts['candidates']} candidates, {counts['images']} images."
        )

    def _report(self, done: int, total: int, message: str) -> None:
        if done == total or done % 320 == 0:
            self.stderr.write(f"{message}: {done} of {total}")
