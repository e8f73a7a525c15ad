"""`manage.py import_judgements FILE --name N --source S`: without a worker or a browser."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files.base import File
from django.core.management.base import BaseCommand, CommandError

from scoring.elsewhere import services
from scoring.elsewhere.checking import MOST_ROWS
from scoring.models import Nature


class Command(BaseCommand):
    help = "Import judgements that were made elsewhere, and compute their figures (docs/importing-judgements.md)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="one; several for ImagenHub's raters")
        parser.add_argument("--name", required=True, help="what the set is called here")
        parser.add_argument("--source", required=True, help="who collected it, and when")
        parser.add_argument("--licence", default="", help="under which licence it was published")
        parser.add_argument("--nature", choices=Nature.values, default=Nature.PEOPLE, help="who judged")
        parser.add_argument("--repeats", action="store_true", help="the same judgement several times is meant")

    def handle(self, *args: Any, files: list[Path], **options: Any) -> None:
        wanted = {name: options[name] for name in ("name", "source", "licence", "nature", "repeats")}
        opened = []
        try:
            for path in files:
                opened.append(File(path.open("rb"), name=path.name))
            made = services.import_judgements(uploads=opened, by=None, at_once=MOST_ROWS, **wanted)
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}.") from error
        except services.SameFile as same:
            raise CommandError(f"This file is here already, as “{same.found.name}”. Nothing was kept twice.") from same
        except ValidationError as error:
            raise CommandError("\n".join(error.messages)) from error
        finally:
            for file in opened:
                file.close()
        counts = ", ".join(f"{count:,} × {name}" for name, count in made.counts.items())
        self.stdout.write(f"{made.name}: {made.layout}, {made.judgements:,} {made.kind}; {counts}.")
        for sentence in (*made.told, made.notice):
            if sentence:
                self.stdout.write(sentence)
        self.stdout.write(made.get_absolute_url())
