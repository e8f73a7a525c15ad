"""The examples of docs/api.md, run as they stand there against a live server."""

import contextlib
import io
import re
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from scoring.exports import KIND
from tests.api.world import world
from webapp.accounts.models import User
from webapp.hooks.sending import sign
from webapp.jobs import services as jobs
from webapp.jobs.folder import JobRun, write_json
from webapp.jobs.models import Job

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def work_once(stop: threading.Event) -> None:
    """A worker that does the next export that is asked for."""
    try:
        asked = Job.objects.filter(kind="export", state="queued").order_by("-id")
        known = asked.count()
        while not stop.is_set() and asked.count() == known:
            time.sleep(0.05)
        job = jobs.claim(uid=str(asked[0].uid), worker="w")
        assert job
        assert KIND.work
        job.folder.mkdir(parents=True, exist_ok=True)
        write_json(job.folder / "job.json", {"kind": job.kind, "config": job.config, "attempt": 1})
        jobs.finish(job, state="succeeded", summary=KIND.work(JobRun(job.folder), job))
    finally:
        connections.close_all()


def said(number: int) -> str:
    out, namespace = io.StringIO(), dict[str, Any]()
    with contextlib.redirect_stdout(out):
        exec(compile(EXAMPLES[number], f"docs/api.md, example {number + 1}", "exec"), namespace)  # noqa: S102  # our own
    namespace["site"].close()  # a connection that is kept open keeps the server's thread, and so the database's
    return out.getvalue()


def test_the_examples_work(live_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    here = world()
    User.objects.create(username="carol", role="annotator")
    monkeypatch.setenv("EDITLOOP", live_server.url)
    monkeypatch.setenv("EDITLOOP_TOKEN", here.token)
    first = said(0)
    assert "Demo data." in first
    assert re.search(r"editor-0 +quality +2\.00\n", first)  # scores 1 and 3
    second = said(1)
    assert re.search(r"Test split, five raters paused .*'target': 20", second)
    stop = threading.Event()
    worker = threading.Thread(target=work_once, args=[stop])
    worker.start()
    try:
        assert said(2) == "12 ratings; Demo data.\n"
    finally:
        stop.set()
        worker.join()


def test_the_check_of_a_signature() -> None:
    namespace: dict[str, Any] = {}
    exec(compile(EXAMPLES[3], "docs/api.md, signature", "exec"), namespace)  # noqa: S102  # our own page
    is_ours, now = namespace["is_ours"], int(time.time())
    header = sign("secret", now, b"{}")
    assert is_ours("secret", header, b"{}")
    assert not is_ours("secret", header, b"{ }")
    assert not is_ours("another", header, b"{}")
    assert not is_ours("secret", sign("secret", now - 301, b"{}"), b"{}")


def test_there_are_three_and_a_check() -> None:
    assert len(EXAMPLES) == 4
