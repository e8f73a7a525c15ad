"""The data of the load measurement: `make N` prints a seat for each of N annotators, `check` what was stored."""

import json
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")

import django

django.setup()

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db.models import Count, F
from django.middleware.csrf import _get_new_csrf_string

from annotation.models import Candidate, Case, Editor, Judgement, Study, Unit
from annotation.studies import add_member
from tests import make
from webapp.accounts.models import User

CASES, EDITORS = 2000, 6


def study() -> Study:
    """12,000 candidates: rows of 2,000 cases × 6 editors that share a few small images."""
    with tempfile.TemporaryDirectory() as folder:
        data = make.dataset(Path(folder), cases=1, editors=EDITORS)
    case = data.cases.get()
    images = list(Candidate.objects.values_list("image", flat=True))
    editors = list(Editor.objects.all())
    Case.objects.bulk_create(
        Case(dataset=data, key=f"k{i}", source=case.source, task=case.task, instruction=f"Edit {i}")
        for i in range(CASES)
    )
    Candidate.objects.bulk_create(
        Candidate(case_id=key, editor=editor, image_id=images[index], settings_hash="0")
        for key in data.cases.exclude(pk=case.pk).values_list("pk", flat=True)
        for index, editor in enumerate(editors)
    )
    return make.study(data, "mos")


def seats(count: int) -> list[dict[str, str]]:
    made, found = study(), []
    for number in range(count):
        user = User.objects.create_user(username=f"annotator-{number}", password=None)
        add_member(study=made, user=user)
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.create()
        csrf = _get_new_csrf_string()
        found.append({"study": str(made.uid), "session": session.session_key or "", "csrf": csrf})
    return found


def check() -> dict[str, object]:
    stored = Judgement.objects.filter(is_extra=False)
    doubled = stored.values("unit", "annotator").annotate(n=Count("id")).filter(n__gt=1).count()
    return {
        "stored": [str(uid) for uid in stored.values_list("assignment__uid", flat=True)],
        "doubled": doubled,
        "overtaken": Unit.objects.filter(taken__gt=F("target")).count(),
    }


if __name__ == "__main__":
    print(json.dumps(seats(int(sys.argv[2])) if sys.argv[1] == "make" else check()))
