"""`manage.py run_job SPEC.json`: make a job from a file, by the checks of its form, and run it here or queue it."""

import json
import signal
import socket
import threading
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction

from training.runs import specs
from webapp.accounts.models import User
from webapp.jobs import services
from webapp.jobs.models import ACTIVE, Job, State
from webapp.jobs.supervisor import supervise


class Command(BaseCommand):
    help = (
        'Make a job from a JSON file such as {"kind": "posttrain", "base": …} (docs/post-training.md). It runs in the '
        "foreground; Ctrl+C stops it, and its page resumes it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("spec", type=Path, metavar="SPEC.json")
        parser.add_argument("--queue", action="store_true", help="let a worker run it, and return at once")
        parser.add_argument(
            "--by", metavar="USER", help="who starts it; a posttrain job needs an admin if one is named"
        )

    def handle(self, *args: Any, spec: Path, queue: bool, by: str | None, **options: Any) -> None:
        told, user = _read(spec), _user(by, spec)
        worker = f"run_job@{socket.gethostname()}"
        try:
            with transaction.atomic():  # a worker that reads the message finds the job in our hands
                job = specs.start(told, user)
                mine = None if queue else services.take(uid=str(job.uid), worker=worker)
        except ValidationError as error:
            raise CommandError("\n".join(error.messages)) from None
        self.stdout.write(f"{job.title}\n{job.get_absolute_url()}")
        if queue:
            return
        self.stdout.write(f"{job.folder}")
        _run(job, mine, worker)
        job.refresh_from_db()
        self.stdout.write(f"{job.get_state_display()}. {job.message}".strip())
        if job.state != State.SUCCEEDED:
            raise CommandError("The job has not come to its end. Resume it on its page.")


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}.") from None
    except ValueError as error:
        raise CommandError(f"{path} is no JSON: {error}.") from None


def _user(name: str | None, spec: Path) -> User | None:
    """Whoever has a shell here may do what an admin may; a named person may do what they may."""
    if name is None:
        return None
    user = User.objects.filter(username=name).first()
    if user is None or not user.is_engineer:
        raise CommandError(f"There is no engineer or admin {name!r}.")
    if not user.is_admin and _read(spec).get("kind") == "posttrain":
        raise CommandError(f"{name} is no admin, and only admins start a posttrain job.")
    return user


def _run(job: Job, mine: Job | None, worker: str) -> None:
    """The job, or as many of its parts as other workers leave to us."""
    stop = threading.Event()
    threading.Thread(target=_cancel_when, args=(stop, job), daemon=True).start()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        while mine is not None:
            supervise(mine)
            mine = services.take(uid=str(job.uid), worker=worker) if job.is_shared and not stop.is_set() else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _cancel_when(stop: threading.Event, job: Job) -> None:
    """In a thread of its own, with a connection of its own: a signal may come in the middle of a query."""
    stop.wait()
    try:
        if Job.objects.filter(pk=job.pk, state__in=ACTIVE).exists():
            services.cancel(job=job)
    except ValidationError:
        pass  # it has ended by itself meanwhile
    finally:
        connection.close()
