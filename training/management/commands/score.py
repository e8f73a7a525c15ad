"""`manage.py score --model NAME[@N] --instruction TEXT SOURCE EDITED…`: scores by a reward model, without a worker."""

import json
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from training.reward_models.queries import find
from training.reward_models.registry import folder_of


class Command(BaseCommand):
    help = "Score edited pictures by a reward model (docs/reward-models.md). Writes one line of JSON for each of them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--model", required=True, metavar="NAME[@N]", help="its short name, and the version")
        parser.add_argument("--instruction", help="what was asked for")
        parser.add_argument("--file", type=Path, help='JSON lines: {"instruction", "source", "candidates": [...]}')
        parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
        parser.add_argument(
            "pictures", nargs="*", type=Path, metavar="SOURCE EDITED", help="the source, then its edits"
        )

    def handle(self, *args: Any, model: str, device: str, **options: Any) -> None:
        try:
            found = find(model)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        lines = _lines(options["file"], options["instruction"], options["pictures"])
        if found.notice:
            self.stderr.write(found.notice)
        interpreter = settings.GPU_PYTHON or sys.executable  # this environment may have no torch
        program = [interpreter, "-m", "training.gpu.reward.score_files", str(folder_of(found)), "--device", device]
        done = subprocess.run(program, input=lines.encode(), capture_output=True, cwd=settings.BASE_DIR, check=False)
        self.stdout.write(done.stdout.decode(), ending="")
        if done.returncode:
            raise CommandError(done.stderr.decode(errors="replace").strip() or "The scoring program failed.")


def _lines(file: Path | None, instruction: str | None, pictures: list[Path]) -> str:
    """Requests as JSON lines, with absolute files. Those of a file are beside it. Raises CommandError."""
    if file and (instruction or pictures):
        raise CommandError("Give either --file, or --instruction with pictures.")
    if file:
        return _from_file(file)
    if not instruction or len(pictures) < 2:
        raise CommandError("Give --instruction, the source picture and at least one edited picture, or --file.")
    source, *edited = (str(path.resolve()) for path in pictures)
    return json.dumps({"instruction": instruction, "source": source, "candidates": edited}) + "\n"


def _from_file(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} cannot be read: {error}.") from None
    return "".join(_beside(file.resolve().parent, line, number) for number, line in enumerate(text.split("\n"), 1))


def _beside(folder: Path, line: str, number: int) -> str:
    if not line.strip():
        return ""
    try:
        row = json.loads(line)
        row = {
            "instruction": row["instruction"],
            "source": str(folder / row["source"]),
            "candidates": [str(folder / one) for one in row["candidates"]],
        }
    except (ValueError, KeyError, TypeError):
        words = 'is no object {"instruction": …, "source": file, "candidates": [file, …]}.'
        raise CommandError(f"Line {number} of the file {words}") from None
    return json.dumps(row) + "\n"
