"""`manage.py demo`: make the demo project where it is missing, and passwords for its people."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from webapp.dashboard.demo import make_demo, make_people


class Command(BaseCommand):
    help = "Make the demo project and its accounts, unless EDITLOOP_DEMO=0. Safe to repeat."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--accounts", type=Path, default=Path(settings.VAR) / "accounts.json")

    def handle(self, *args: Any, accounts: Path, **options: Any) -> None:
        if not settings.DEMO:
            return
        make_people(accounts)
        make_demo(self.stdout.write)
