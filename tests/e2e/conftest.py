"""One started application with a small demo for all files, and people in browsers.

The files run in the order of their names: test_loop counts judgements, so what judges besides must come after it;
test_up ends the application.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Browser, Page

from tests.browser import browser  # noqa: F401
from tests.e2e.test_up import Started, until

WAIT = 60_000


def at_rest(started: Started) -> bool:
    """Whether no job waits or runs."""
    query = "select count(*) from jobs_job where state in ('queued', 'running', 'cancelling')"
    with closing(sqlite3.connect(f"file:{started.var / 'editloop.sqlite3'}?mode=ro", uri=True)) as database:
        return bool(database.execute(query).fetchone()[0] == 0)


@pytest.fixture(scope="session")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    started = Started(tmp_path_factory.mktemp("loop") / "var", EDITLOOP_DEMO_CASES="6")
    until(started.state, 600)
    until(lambda: at_rest(started), 300)  # the demo leaves a job to its worker: what a test counts must not grow
    yield started
    started.stop()


class Person:
    """Somebody signed in, with a browser of their own."""

    def __init__(self, browser: Browser, application: Started, name: str) -> None:
        self.address = application.state()["address"].rstrip("/")
        accounts = json.loads((application.var / "accounts.json").read_text())
        self.context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(WAIT)
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.go("/")
        self.page.fill("[name=login]", name)
        self.page.fill("[name=password]", next(row["password"] for row in accounts if row["username"] == name))
        self.page.keyboard.press("Enter")
        self.page.wait_for_url(lambda url: "/accounts/" not in url)

    def go(self, path: str) -> None:
        self.page.goto(self.address + path)

    def open_study(self, name: str) -> None:
        """From "My work" into a study, by its button; its guidelines come first where they are new."""
        self.go("/work/")
        self.page.click(f"article:has-text('{name}') a.button")
        self.page.wait_for_selector("#stage, [name=step]", state="attached")
        if self.page.locator("[name=step][value=guidelines]").count():
            self.page.click("form:has([name=step]) button.primary")
        self.drawn()

    def drawn(self) -> None:
        """Until the item that takes the keys is in view."""
        self.page.wait_for_selector("#stage[data-assignment]:not([hidden])")

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def mode(self) -> str:
        return str(self.page.get_attribute("body", "data-mode"))

    def saved(self) -> None:
        self.page.wait_for_selector('#save[data-status="saved"]', state="attached")

    def done(self) -> int:
        """How many judgements the bar says that this person has given."""
        return int(self.page.inner_text("#progress-text").split()[0])

    def until_done(self, count: int) -> None:
        self.page.wait_for_function(
            "count => parseInt(document.getElementById('progress-text').textContent) >= count", arg=count
        )


@pytest.fixture
def person(browser: Browser, application: Started) -> Iterator[Callable[[str], Person]]:
    people: list[Person] = []

    def enter(name: str) -> Person:
        people.append(Person(browser, application, name))
        return people[-1]

    yield enter
    for somebody in people:
        somebody.context.close()
        assert somebody.errors == []
