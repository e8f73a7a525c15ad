"""`manage.py simulate_study STUDY`: let simulated annotators judge a study of the drawn world (docs/simulation.md)."""

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from annotation.models import Study
from annotation.simulation.annotators import KINDS
from annotation.simulation.forms import DEFAULTS
from annotation.simulation.run import simulate


class Command(BaseCommand):
    help = "Let simulated annotators judge a study of the drawn world by its true score (docs/simulation.md)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("study", help="uid of the study, as in the address of its page")
        for kind in KINDS:
            parser.add_argument(f"--{kind}", type=int, default=DEFAULTS[kind], metavar="N", help="how many of them")
        parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same answers")

    def handle(self, *args: Any, study: str, seed: int, **options: Any) -> None:
        try:
            found = Study.objects.filter(uid=UUID(study)).select_related("dataset").first()
        except ValueError:
            raise CommandError(f"“{study}” is no uid of a study: take it from the address of its page.") from None
        if found is None:
            raise CommandError(f"There is no study {study}.")
        annotators = {kind: options[kind] for kind in KINDS}
        try:
            made = simulate(study=found, annotators=annotators, seed=seed, progress=self._report)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        self.stdout.write(
            f"{found.name}: {made.new} new judgements by {made.annotators} simulated annotators, {made.all} in all."
        )
        self.stdout.write(found.notice)
        for line in made.report.lines() if made.report else ():
            self.stdout.write(line)

    def _report(self, done: int, total: int, message: str) -> None:
        if total and (done == total or done % 500 < 50):
            self.stderr.write(f"{message}: {done} of {total}")
