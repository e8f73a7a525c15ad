"""The data set pages with 44,300 cases and a million candidates, on SQLite and PostgreSQL.

Each page is fetched by a signed-in engineer through Django's test client: everything but the network. "First view": the
counts of the data set are taken anew, which happens once a minute at most. The time of a filter is its slowest value,
with values that match nothing, where a database has to look at every row.
"""

from __future__ import annotations

import html
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

REPEATS = 5
CASE_FILTERS = {
    "words": ("text=red+mug+street", "text=nosuchword"),
    "task": ("task=bokeh", "task=bokeh&split=bench&text=nosuchword"),
    "task group": ("group=object", "group=global"),
    "split": ("split=bench", "split=dev"),
    "category": ("category=none", "category={category}"),
    "editor": ("editor=editor-5", "editor=editor-0&text=nosuchword"),
    "candidates": ("most=0", "least=1", "least=5&most=23", "least=24", "most=0&text=nosuchword"),
    "outputs set aside": ("aside=yes", "aside=no", "aside=yes&text=nosuchword"),
    "judgements": ("judged=yes", "judged=no", "judged=yes&text=nosuchword"),
    "length of the instruction": ("length=1-20", "length=81-160", "length=321-"),
    "size of the source": ("size=1024x768", "size=1x1"),
    "order": ("order=newest", "order=newest&aside=no"),
}
CANDIDATE_FILTERS = {
    "editor": ("editor=editor-5", "editor=editor-0&seed=999999"),
    "seed": ("seed=3", "seed=999999"),
    "task": ("task=bokeh", "task=bokeh&seed=999999"),
    "output check": ("fault=noise", "fault=aside", "fault=kept", "fault=none", "fault=noise&seed=999999"),
    "judgements": ("judged=yes", "judged=no", "judged=no&order=newest", "judged=yes&seed=999999"),
    "settings": ("settings={settings}", "settings={settings}&seed=999999"),
    "order": ("order=newest", "order=newest&fault=noise"),
    "job": ("job={job}", "job={job}&editor=editor-0&seed=999999"),
}


def row(what: str, value: float, unit: str, target: str = "") -> None:
    print(json.dumps({"what": what, "value": round(value, 3), "unit": unit, "target": target}), flush=True)


class Browser:
    """A signed-in engineer."""

    def __init__(self) -> None:
        from django.test import Client

        from webapp.accounts.models import User

        self.client = Client()
        self.client.force_login(User.objects.create(username="engineer", role="engineer"))

    def get(self, url: str) -> tuple[float, int, Any]:
        """Seconds, queries, and the answer."""
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        with CaptureQueriesContext(connection) as queries:
            started = time.perf_counter()
            answer = self.client.get(url)
            seconds = time.perf_counter() - started
        if answer.status_code != 200:
            raise SystemExit(f"{url} answered {answer.status_code}")
        return seconds, len(queries), answer

    def median(self, url: str) -> tuple[float, int]:
        found = [self.get(url)[:2] for _turn in range(REPEATS)]
        return statistics.median(seconds for seconds, _queries in found), max(queries for _s, queries in found)


def next_page(answer: Any, which: str = "next") -> str:
    """The query string of the link to the next page, or to the one before ("prev")."""
    found = re.search(rf'rel="{which}" href="([^"]+)"', answer.content.decode())
    assert found
    return html.unescape(found[1])


def pages(name: str, browser: Browser, data: Any) -> None:
    from django.core.cache import cache
    from django.urls import reverse

    for title, address in (("data set page", "dataset"), ("candidates page", "dataset_candidates")):
        url = reverse(address, args=[data.uid])
        browser.get("/attribution/")  # what is loaded once, such as templates
        cache.clear()
        seconds, queries, answer = browser.get(url)
        row(f"{name}: {title}, first view", seconds, "s", "under 1")
        row(f"{name}: {title}, first view", queries, "queries", "at most 15")
        seconds, queries = browser.median(url)
        row(f"{name}: {title}", seconds, "s", "under 1")
        row(f"{name}: {title}", queries, "queries", "at most 15")
        for _page in range(3):
            seconds, _queries, answer = browser.get(url + next_page(answer))
        row(f"{name}: {title}, fourth page", seconds, "s", "under 1")
        seconds, _queries, answer = browser.get(url + next_page(answer, "prev"))
        row(f"{name}: {title}, back from there", seconds, "s", "under 1")
    url = reverse("datasets")
    cache.clear()
    seconds, queries, _answer = browser.get(url)
    row(f"{name}: list of data sets, first view", seconds, "s", "under 1")
    row(f"{name}: list of data sets, first view", queries, "queries", "at most 15")
    case = data.cases.order_by("pk")[100]
    for title, address in (("a case's grid", "case"), ("comparing a case's candidates", "compare")):
        seconds, queries = browser.median(reverse(address, args=[case.uid]))
        row(f"{name}: {title}", seconds, "s", "under 1")
        row(f"{name}: {title}", queries, "queries", "at most 15")
    url = reverse("statistics", args=[data.uid])
    cache.clear()
    row(f"{name}: statistics page, first view", browser.get(url)[0], "s")
    row(f"{name}: statistics page", browser.median(url)[0], "s", "under 1")


def filters(name: str, browser: Browser, data: Any) -> None:
    from django.urls import reverse

    from annotation.models import Candidate
    from webapp.jobs.models import Job

    category = data.cases.exclude(source__source_facts__category=None)[0].source.source_facts.category_id
    job, digest = Job.objects.order_by("-pk")[0].uid, Candidate.objects.all()[0].settings_hash
    for title, address, known in (
        ("cases by", "dataset", CASE_FILTERS),
        ("candidates by", "dataset_candidates", CANDIDATE_FILTERS),
    ):
        url = reverse(address, args=[data.uid])
        for word, queries in known.items():
            values = [query.format(category=category, job=job, settings=digest) for query in queries]
            row(f"{name}: {title} {word}", max(browser.median(f"{url}?{value}")[0] for value in values), "s", "under 2")


def versions(name: str, data: Any) -> None:
    from tests.bench.library_data import freeze

    seconds, size = freeze(data)
    row(f"{name}: freezing a version", seconds, "s")
    row(f"{name}: manifest of a version", size / 1e6, "MB")


def measure(name: str) -> None:
    """Make the rows in this process's database, and measure."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection

    from tests.bench import library_data

    settings.ALLOWED_HOSTS = ["*"]
    call_command("migrate", verbosity=0)
    started = time.perf_counter()
    data = library_data.make()
    print(f"{name}: rows made in {time.perf_counter() - started:.0f} s", flush=True)
    if connection.vendor == "postgresql":  # does this by itself a minute after so many new rows
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
    browser = Browser()
    row(f"{name}: processes that wanted a core, this one among them", os.getloadavg()[0], "load")
    pages(name, browser, data)
    filters(name, browser, data)
    versions(name, data)


def databases(stack: ExitStack) -> Iterator[tuple[str, str]]:
    from scripts.servers import postgres_binaries, private_postgres

    yield "SQLite", ""
    binaries = postgres_binaries()
    if binaries is None:
        raise SystemExit("PostgreSQL's server is missing. Install it (Debian: sudo apt install postgresql).")
    yield "PostgreSQL", stack.enter_context(private_postgres(binaries))


def main() -> None:
    from scripts.servers import private_valkey

    with ExitStack() as stack:
        valkey = stack.enter_context(private_valkey())
        for name, url in databases(stack):
            with tempfile.TemporaryDirectory(prefix="editloop-library-") as var:
                own = {"EDITLOOP_VAR": var, "REDIS_URL": valkey, "DATABASE_URL": url}
                command = [sys.executable, "-m", "tests.bench.library", name]
                subprocess.run(command, env={**os.environ, **own}, check=True)


if __name__ == "__main__":
    measure(sys.argv[1]) if len(sys.argv) > 1 else main()
