"""kill -9 in the middle of work: no judgement is lost, none is doubled, and a job goes on."""

import csv
import io
import os
import signal
import time
import zipfile
from collections.abc import Callable

from tests.e2e.conftest import Person
from tests.e2e.test_loop import RATE, export
from tests.e2e.test_up import Started, until

Enter = Callable[[str], Person]


def kill(application: Started, name: str) -> None:
    """kill -9 of one of the application's processes; its starter brings it back."""
    before = application.state()["processes"][name]
    os.kill(before, signal.SIGKILL)
    until(lambda: application.state()["processes"].get(name) not in (None, before))


def said_after_reload(somebody: Person) -> str:
    time.sleep(2)
    somebody.page.reload()
    return somebody.page.inner_text("#job")


def test_judgements_survive_the_death_of_the_web_server(application: Started, person: Enter) -> None:
    somebody = person("erin")
    somebody.open_study(RATE)
    start = somebody.done()
    given = 6
    for number in range(given):
        somebody.drawn()
        somebody.keys("4", "Tab", "4", "Tab", "2", "Enter")
        if number == 2:
            kill(application, "web")  # the page goes on with the items that it holds
    until(application.is_healthy)
    somebody.until_done(start + given)
    somebody.saved()
    rows, _note, _data = export(person("alice"), RATE, "ratings")
    keys = [(row["annotator"], row["candidate"], row["dimension"]) for row in rows]
    assert len(keys) == len(set(keys))
    counts = {row["annotator"] for row in rows}
    mine = max(sum(row["annotator"] == name for row in rows) for name in counts)
    assert mine >= 3 * (start + given)


def test_a_job_goes_on_after_the_death_of_its_worker(application: Started, person: Enter) -> None:
    admin = person("alice")
    admin.go("/datasets/")
    admin.page.click("text=Demo: photographs")
    admin.page.click("text=Make candidates")
    for name in ("careful", "timid"):
        admin.page.check(f"label:has-text('{name}') input")
    admin.page.fill("[name=seeds]", "2")
    admin.page.fill("[name=limit]", "6")
    admin.page.click("main form button.primary")
    admin.page.wait_for_selector("#sheet figure")
    address = admin.page.url
    kill(application, "gpu")
    admin.page.wait_for_selector("#job [data-state=succeeded]", timeout=180_000)
    assert admin.page.url == address
    text = admin.page.inner_text("#job .facts")
    assert "Attempt\n2" in text.replace("\t", "\n")
    made, total = admin.page.inner_text("#job .progress-line").split("/")
    assert int(made) == int(total)
    images = admin.page.eval_on_selector_all("#sheet a", "links => links.length")
    assert images == int(total)


def test_an_export_that_was_cancelled_is_resumed(application: Started, person: Enter) -> None:
    """Cancel a waiting job (its worker is stopped meanwhile), then resume it."""
    admin = person("alice")
    pid = application.state()["processes"]["worker"]
    os.kill(pid, signal.SIGSTOP)
    try:
        admin.go("/studies/")
        admin.page.click(f"text={RATE}")
        admin.page.click("form:has([name=table]) button.primary")
        admin.page.wait_for_selector("#job [data-state=queued]")
        until(lambda: "No worker listens" in said_after_reload(admin))  # a worker is missed after 15 seconds
        admin.page.click("text=Cancel")
        admin.page.wait_for_selector("#job [data-state=cancelled]")
    finally:
        os.kill(pid, signal.SIGCONT)
    admin.page.click("text=Resume")
    with admin.page.expect_download() as download:
        admin.page.click("#job a:has-text('Download')")
    with zipfile.ZipFile(download.value.path()) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".csv"))
        assert next(csv.reader(io.StringIO(archive.read(name).decode())))[0] == "case"
