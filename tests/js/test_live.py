"""Pages that move: fetched again when an event comes, replaced only where something changed."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

from tests.browser import signed_in
from webapp.accounts.models import User
from webapp.jobs import services
from webapp.jobs.models import Job, State

WAIT = 10_000


@pytest.fixture
def job(transactional_db: None) -> Job:
    return services.start(kind="import", title="An import", config={"slug": "", "path": "", "name": ""}, by=None)


@pytest.fixture
def page(browser: Browser, live_server: Any, job: Job) -> Iterator[Page]:
    """The job's page. Its stream ends after one event and is opened again at once, so that events keep coming."""
    context = signed_in(browser, live_server.url, User.objects.create(username="ann", role="admin"))
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.route("**/live/**", answer)
    page.goto(job.get_absolute_url())
    yield page
    context.close()
    assert errors == []


def answer(route: Route) -> None:
    route.fulfill(content_type="text/event-stream", body="retry: 100\n\nevent: job\ndata: {}\n\n")


def looked(page: Page, times: int = 2) -> None:
    """Until the page has fetched its moving part so often again."""
    for _ in range(times):
        with page.expect_response("**/status/"):
            pass
    page.wait_for_timeout(50)


def test_a_change_arrives_without_a_reload(page: Page, job: Job) -> None:
    page.evaluate("window.loaded = 'once'")
    assert page.query_selector("#job [data-state=queued][data-look]") is not None
    Job.objects.filter(pk=job.pk).update(state=State.FAILED, message="The disk is full.")
    page.wait_for_selector("#job [data-state=failed]:not([data-look])", timeout=WAIT)
    assert "The disk is full." in page.inner_text("#job")
    assert page.evaluate("window.loaded") == "once"


def test_what_did_not_change_is_left_alone(page: Page) -> None:
    looked(page, 1)
    page.evaluate("document.querySelector('#job').firstElementChild.mine = true")
    looked(page)
    assert page.evaluate("document.querySelector('#job').firstElementChild.mine") is True


def test_the_focus_stays_on_its_button(page: Page, job: Job) -> None:
    page.focus("#job button:has-text('Run again')")
    Job.objects.filter(pk=job.pk).update(state=State.CANCELLED)
    page.wait_for_selector("#job [data-state=cancelled]", timeout=WAIT)
    assert "Run again" in page.evaluate("document.activeElement.textContent")


def test_an_open_fold_stays_open(page: Page, job: Job) -> None:
    log = job.folder / "log.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("one line\n")
    page.wait_for_selector("#job details", timeout=WAIT)
    before = page.eval_on_selector("#job details", "details => (details.open = !details.open)")
    log.write_text("one line\nanother line\n")
    page.wait_for_selector("#job details:has-text('another line')", timeout=WAIT)
    assert page.eval_on_selector("#job details", "details => details.open") == before


def test_a_server_that_is_away_for_a_moment_is_asked_again(page: Page, job: Job) -> None:
    page.route("**/status/", lambda route: route.abort())
    page.wait_for_timeout(1200)
    page.unroute("**/status/")
    Job.objects.filter(pk=job.pk).update(state=State.SUCCEEDED)
    page.wait_for_selector("#job [data-state=succeeded]", timeout=WAIT)
