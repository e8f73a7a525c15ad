"""A training in the browser: curves grow without a reload, pictures stay; the form says what its preset stands for."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

from tests import judging
from tests import reward_models as rows
from tests.browser import signed_in
from training.reward_models.forms import shown_values
from training.reward_models.starting import start_training
from training.rewards.config import PRESETS, Config
from webapp.accounts.models import User
from webapp.jobs.models import Job

WAIT = 10_000


@pytest.fixture
def job(transactional_db: None) -> Job:
    return start_training(labelled_set=rows.labelled_set(), name="Mine", config=Config(), by=None)


@pytest.fixture
def page(browser: Browser, live_server: Any, job: Job) -> Iterator[Page]:
    def answer(route: Route) -> None:
        route.fulfill(content_type="text/event-stream", body="retry: 100\n\nevent: work\ndata: {}\n\n")

    context = signed_in(browser, live_server.url, User.objects.create(username="ann", role="admin"))
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if "Content Security Policy" in said.text else None)
    page.route("**/live/**", answer)
    page.route("**/images/**", lambda route: route.fulfill(status=404))
    yield page
    context.close()
    assert errors == []


def test_curves_grow_without_a_reload_and_pictures_stay(page: Page, job: Job) -> None:
    from annotation.library import load_tasks

    load_tasks()
    better, worse = judging.dataset(cases=1, editors=2).cases.get().candidates.all()
    page.goto(job.get_absolute_url())
    page.evaluate("window.loaded = 'once'")
    assert "No step yet." in page.inner_text("#reward-state")
    every = rows.events(steps=40)
    wrong = {"group": "g", "dimension": "quality", "better": str(better.uid), "worse": str(worse.uid)}
    rows.write_events(job.folder, [*every[:11], every[11], {"event": "worst", "rows": [wrong]}])
    page.wait_for_selector("#reward-loss polyline.s0", timeout=WAIT)
    page.wait_for_selector("#reward-worst article", timeout=WAIT)
    page.evaluate("document.querySelector('#reward-worst article').mine = true")
    points = "document.querySelector('#reward-loss polyline.s0').getAttribute('points').split(' ').length"
    assert page.evaluate(points) == 10
    rows.write_events(job.folder, every[12:])
    page.wait_for_selector("#reward-state :text('40')", timeout=WAIT)
    assert page.evaluate(points) == 40
    assert len(page.query_selector_all("#reward-accuracy svg")) == 2
    assert len(page.query_selector_all("#reward-nll .dot")) == 1
    assert page.evaluate("document.querySelector('#reward-worst article').mine") is True
    assert page.evaluate("window.loaded") == "once"
    page.set_viewport_size({"width": 420, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 420


def test_another_preset_shows_its_values_and_keeps_what_was_typed(page: Page) -> None:
    page.goto("/reward-models/new/")
    page.click("summary:has-text('Advanced')")
    page.fill("[name=anchor]", "2")
    for name, config in PRESETS.items():
        page.select_option("[name=preset]", name)
        shown = shown_values(config)
        assert page.get_attribute("[name=anchor]", "placeholder") == shown["anchor"]
        assert page.get_attribute("[name=stages]", "placeholder") == shown["stages"]
        assert page.inner_text("[name=ranking] option >> nth=0") == f"as the preset: {shown['ranking']}"
        assert page.inner_text("[name=fused] option >> nth=0") == f"as the preset: {shown['fused']}"
    assert page.input_value("[name=anchor]") == "2"
