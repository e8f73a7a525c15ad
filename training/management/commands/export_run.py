"""`manage.py export_run JOB --to tensorboard FOLDER`, or `--to mlflow URI`: a run's curves for other tools."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from training.runs import tracking
from training.runs.starting import NAME
from webapp.jobs.models import Job


class Command(BaseCommand):
    help = (
        "Export the curves of a post-training run to TensorBoard's event files or to MLflow. Repeat it while the run "
        "goes on: what is there already is not written twice. Needs requirements/tracking.txt."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("job", metavar="JOB", help="the UID in the address of the run's page")
        parser.add_argument(
            "--to", nargs=2, required=True, metavar=("WHERE", "PLACE"), help="tensorboard FOLDER, or mlflow URI"
        )
        parser.add_argument("--experiment", default="Editloop", help="MLflow's experiment")

    def handle(self, *args: Any, job: str, to: list[str], experiment: str, **options: Any) -> None:
        where, place = to
        found = _job(job)
        try:
            if where == "tensorboard":
                self.stdout.write(str(tracking.to_tensorboard(found, Path(place))))
            elif where == "mlflow":
                self.stdout.write(f"MLflow run {tracking.to_mlflow(found, place, experiment)}")
            else:
                raise CommandError(f"--to is “tensorboard FOLDER” or “mlflow URI”, not {where!r}.")
        except tracking.CannotExport as error:
            raise CommandError(str(error)) from None


def _job(told: str) -> Job:
    try:
        found = Job.objects.filter(kind=NAME, uid=UUID(told)).first()
    except ValueError:
        found = None
    if found is None:
        raise CommandError(f"There is no post-training run {told!r}. The UID is in the address of the run's page.")
    return found
