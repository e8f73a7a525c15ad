"""A worker that is shutting down takes no new job."""

from typing import Any

import pytest

from webapp.jobs import services, supervisor, tasks
from webapp.jobs.models import Job


def test_it_passes_the_message_on(db: None, alice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    job = services.start(kind="import", title="t", config={}, by=alice)
    sent: list[Job] = []
    monkeypatch.setattr(services, "_send", sent.append)
    supervisor.stopping.set()
    try:
        tasks.run_job.run(str(job.uid))
    finally:
        supervisor.stopping.clear()
    job.refresh_from_db()
    assert (job.state, job.attempt) == ("queued", 0)
    assert sent == [job]
