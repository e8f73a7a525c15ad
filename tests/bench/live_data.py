"""The data of the live measurement: `make N` prints the page's stream and a session for each of N engineers; `score N
SECONDS` keeps N scores, one after the other, and prints when each was committed and how many there are then."""

import json
import os
import sys
import time
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")

import django

django.setup()

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db import transaction
from django.urls import reverse

from scoring.asking import jobs as asking
from scoring.asking import selections
from scoring.judging.contract import Request
from tests.calibration import make as desks
from tests.scoring_jobs import make
from webapp.accounts.models import User
from webapp.endpoints.models import Endpoint
from webapp.jobs.kinds import kind_of
from webapp.jobs.models import Job
from webapp.live import streams

CASES, EDITORS, RATERS = 50, 2, 3


def session(number: int) -> str:
    user = User.objects.create_user(username=f"engineer-{number}", password=None, role="engineer")
    store = SessionStore()
    store[SESSION_KEY] = str(user.pk)
    store[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store.create()
    return store.session_key or ""


def prepare(viewers: int) -> dict[str, Any]:
    """A calibration over 100 candidates that three people rated; its scoring job has its requests and no process."""
    Endpoint.objects.create(slug="local", name="Local", base_url="http://127.0.0.1:9/v1", model="m")
    desk = desks.calibration(
        desks.rated_study(CASES, EDITORS, RATERS), desks.prompt("hp-live", "Is it there?"), judge=make.judge()
    )
    assert desk.current
    with transaction.atomic():  # no worker takes it: it has ended before anybody hears of it
        selection = selections.of_calibration(desk)
        job = asking.start_scoring(versions=[desk.current], judge=desk.judge, selection=selection, by=None)
        Job.objects.filter(pk=job.pk).update(state="succeeded")
    job.refresh_from_db()
    make.prepared(job)
    path = reverse("calibration_live", args=[desk.uid, 1])
    return {"path": path, "sessions": [session(number) for number in range(viewers)]}


def score(count: int, every: float) -> None:
    """Through the code that carries a job's events; the time is noted when the commit is done, before it is told."""
    committed = [0.0]
    told = streams.publish

    def publish(*arguments: Any) -> None:
        committed[0] = time.time()
        told(*arguments)

    vars(asking)["publish"] = publish
    job = Job.objects.get()
    lines = (job.folder / "inputs" / "requests.jsonl").read_text().splitlines()[:count]
    started = time.monotonic()
    for number, line in enumerate(lines, start=1):
        request = Request.from_json(json.loads(line))
        event = make.event(request, make.said(float(number * 7 % 6), questions=request.questions))
        kind_of(job).on_events(job, [event])
        print(committed[0], number, flush=True)
        time.sleep(max(0.0, started + number * every - time.monotonic()))


if __name__ == "__main__":
    if sys.argv[1] == "make":
        print(json.dumps(prepare(int(sys.argv[2]))))
    else:
        score(int(sys.argv[2]), float(sys.argv[3]))
