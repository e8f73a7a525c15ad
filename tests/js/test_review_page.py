"""The review page by keyboard alone, in a browser, against Django itself."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.urls import reverse
from playwright.sync_api import Browser, Page, Route

from annotation.instructions import services
from annotation.library import ensure_editor, load_tasks
from annotation.models import Candidate, Dataset, Proposal
from tests.browser import signed_in
from tests.instructions.make import proposals

WAIT = 10_000
CASES, EACH = 4, 3
ALL = CASES * EACH


class Reviewer:
    """A person in front of the page."""

    def __init__(self, page: Page, url: str, data: Dataset) -> None:
        self.page, self.url, self.data = page, url, data
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.set_default_timeout(WAIT)

    def open(self) -> str:
        self.page.goto(self.url)
        return self.drawn()

    def drawn(self) -> str:
        """Wait until the picture of the proposal in view is there; the proposal's uid."""
        self.page.wait_for_selector("#stage[data-assignment]:not([hidden])")
        return str(self.page.get_attribute("#stage", "data-assignment"))

    def press(self, *keys: str) -> None:
        """Press keys, each once the proposal in view can be decided."""
        for key in keys:
            self.drawn()
            self.page.keyboard.press(key)

    def saved(self) -> None:
        self.page.wait_for_selector('#save[data-status="saved"]', state="attached")

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)

    def states(self) -> dict[str, str]:
        """What the server has, without the open ones."""
        self.saved()
        rows = self.data.proposals.exclude(state="open").values_list("uid", "state")
        return {str(uid): state for uid, state in rows}


@pytest.fixture
def reviewer(live_server: Any, tmp_path: Path, browser: Browser, person: Callable[..., Any]) -> Iterator[Reviewer]:
    load_tasks()
    data = proposals(tmp_path, count=EACH, cases=CASES)
    bob = person("bob", "engineer")
    context = signed_in(browser, live_server.url, bob, viewport={"width": 1280, "height": 800})
    found = Reviewer(context.new_page(), live_server.url + reverse("review", args=[data.uid]), data)
    yield found
    context.close()
    assert found.errors == []


def get(uid: str) -> Proposal:
    return Proposal.objects.get(uid=uid)


def test_everything_by_keyboard(reviewer: Reviewer) -> None:
    """More proposals than the page holds at once; accept by two keys, reject; the end is said."""
    one = reviewer.open()
    assert reviewer.text("#instruction") == get(one).instruction
    assert reviewer.text("#instruction_zh") == get(one).instruction_zh
    assert reviewer.text("#description") == get(one).description
    assert reviewer.text("#requirement") == get(one).requirement
    assert reviewer.text("#task") == "Object removal"
    assert reviewer.text("#left") == f"{ALL} waiting"
    reviewer.press("Enter")
    two = reviewer.drawn()
    reviewer.press("r")
    three = reviewer.drawn()
    reviewer.press("a")
    assert reviewer.states() == {one: "accepted", two: "rejected", three: "accepted"}
    case = get(one).case
    assert case is not None
    assert case.instruction == get(one).instruction
    for _proposal in range(ALL - 3):
        reviewer.press("Enter")
    reviewer.page.wait_for_selector('#screen[data-reason="done"]:not([hidden])')
    assert "Every proposal has been reviewed." in reviewer.text("#screen")
    assert len(reviewer.states()) == ALL
    assert reviewer.data.cases.count() == CASES + ALL - 1


def test_change_and_accept(reviewer: Reviewer) -> None:
    one = reviewer.open()
    reviewer.press("e")
    assert reviewer.page.evaluate("document.activeElement.id") == "edit-instruction"
    reviewer.page.keyboard.press("Control+a")
    reviewer.page.keyboard.type("Remove the left cup, and the r in area")
    reviewer.page.keyboard.press("Enter")  # a new line of the text, no decision
    reviewer.page.keyboard.press("Tab")
    reviewer.page.keyboard.press("Control+a")
    reviewer.page.keyboard.type("去掉左边的杯子")
    reviewer.page.keyboard.press("Control+Enter")
    reviewer.page.wait_for_selector("#edit", state="hidden")
    assert reviewer.states() == {one: "accepted"}
    case = get(one).case
    assert case is not None
    assert (case.instruction, case.instruction_zh) == ("Remove the left cup, and the r in area", "去掉左边的杯子")
    assert case.requirement == get(one).requirement


def test_leaving_the_form_decides_nothing_and_keeps_what_was_typed(reviewer: Reviewer) -> None:
    one = reviewer.open()
    reviewer.press("e")
    reviewer.page.keyboard.press("Control+a")
    reviewer.page.keyboard.type("Half an idea")
    reviewer.page.keyboard.press("Escape")
    assert reviewer.text("#instruction") == get(one).instruction
    assert get(one).state == "open"
    reviewer.press("e")
    assert reviewer.page.input_value("#edit-instruction") == "Half an idea"


def test_an_empty_instruction_is_not_accepted(reviewer: Reviewer) -> None:
    one = reviewer.open()
    reviewer.press("e")
    reviewer.page.keyboard.press("Control+a")
    reviewer.page.keyboard.press("Delete")
    reviewer.page.keyboard.press("Control+Enter")
    assert "An instruction is needed" in reviewer.text("#edit-error")
    assert reviewer.drawn() == one
    assert get(one).state == "open"


def test_undo_goes_back_as_far_as_one_likes(reviewer: Reviewer) -> None:
    order = []
    reviewer.open()
    for key in ("Enter", "r", "Enter", "Enter"):
        order.append(reviewer.drawn())
        reviewer.press(key)
    assert len(reviewer.states()) == 4
    for uid in reversed(order[1:]):
        reviewer.press("u")
        reviewer.page.wait_for_selector(f'#stage[data-assignment="{uid}"]')
    assert reviewer.states() == {order[0]: "accepted"}
    assert reviewer.data.cases.count() == CASES + 1, "the cases are gone with the decisions"
    assert reviewer.text("#left") == f"{ALL - 1} waiting"
    reviewer.press("r")
    assert reviewer.states() == {order[0]: "accepted", order[1]: "rejected"}
    reviewer.press("u", "u", "u")
    assert reviewer.states() == {}
    assert reviewer.text("#live") in ("", "Taken back", "There is nothing to take back.")


def test_undo_after_the_last_one(reviewer: Reviewer) -> None:
    reviewer.data.proposals.exclude(pk__in=reviewer.data.proposals.values("pk")[:1]).delete()
    one = reviewer.open()
    reviewer.press("Enter")
    reviewer.page.wait_for_selector('#screen[data-reason="done"]:not([hidden])')
    assert reviewer.states() == {one: "accepted"}
    reviewer.page.keyboard.press("u")
    assert reviewer.drawn() == one
    assert reviewer.states() == {}


def test_a_key_that_is_held_down_decides_once(reviewer: Reviewer) -> None:
    reviewer.open()
    for _repeat in range(8):
        reviewer.page.keyboard.down("Enter")
    reviewer.page.keyboard.up("Enter")
    assert len(reviewer.states()) == 1


def test_nothing_is_decided_before_the_picture_is_seen(reviewer: Reviewer) -> None:
    held: list[Route] = []
    seen: list[bool] = []
    reviewer.page.route("**/images/*.webp", lambda route: route.continue_() if seen else held.append(route))
    reviewer.page.goto(reviewer.url)
    reviewer.page.wait_for_function("document.getElementById('instruction').textContent !== ''")
    for key in ("Enter", "a", "r", "e"):
        reviewer.page.keyboard.press(key)
    assert reviewer.text("#left") == f"{ALL} waiting"
    assert reviewer.page.is_hidden("#edit")
    seen.append(True)
    for route in held:
        route.continue_()
    reviewer.press("Enter")
    assert len(reviewer.states()) == 1


def test_not_saved_is_said_until_the_server_has_it(reviewer: Reviewer) -> None:
    one = reviewer.open()
    events = "**/review/events/"
    reviewer.page.route(events, lambda route: route.fulfill(status=500, body="{}"))
    reviewer.press("Enter")
    reviewer.page.wait_for_selector('#save[data-status="retrying"]', state="attached")
    assert reviewer.text("#save-text") == "Not saved, retrying. Waiting: 1"
    assert get(one).state == "open"
    reviewer.page.reload()  # the decision waits in the browser, and is not asked for again
    assert reviewer.drawn() != one
    reviewer.page.unroute(events)
    assert reviewer.states() == {one: "accepted"}


def test_an_answer_that_got_lost_has_one_effect(reviewer: Reviewer) -> None:
    one = reviewer.open()
    lost: list[Route] = []

    def lose(route: Route) -> None:
        if not lost:
            lost.append(route)
            route.fetch()  # the server has it, the page does not hear of it
            route.abort()
        else:
            route.continue_()

    reviewer.page.route("**/review/events/", lose)
    reviewer.press("Enter")
    assert reviewer.states() == {one: "accepted"}
    assert reviewer.data.cases.count() == CASES + 1
    assert reviewer.page.locator("#notices .notice").count() == 0


def test_somebody_else_was_first(reviewer: Reviewer, person: Callable[..., Any]) -> None:
    one = reviewer.open()
    services.reject(proposal=get(one), by=person("dora", "engineer"))
    reviewer.press("Enter")
    reviewer.page.wait_for_selector("#notices .notice")
    assert "dora was first: the proposal is rejected" in reviewer.text("#notices")
    assert get(one).state == "rejected"
    two = reviewer.drawn()
    assert two != one
    reviewer.page.click("#notices button")
    reviewer.press("Enter")
    assert reviewer.states() == {one: "rejected", two: "accepted"}
    reviewer.press("u")
    assert reviewer.drawn() == two, "undo passes over what was not one's own"


def test_what_is_in_use_stays(reviewer: Reviewer) -> None:
    one = reviewer.open()
    reviewer.press("Enter")
    reviewer.saved()
    case = get(one).case
    assert case is not None
    Candidate.objects.create(case=case, editor=ensure_editor(slug="e", name="E"), image=case.source, settings_hash="x")
    reviewer.press("u")
    reviewer.page.wait_for_selector("#notices .notice")
    assert "in use already" in reviewer.text("#notices")
    assert reviewer.drawn() != one, "it does not come back"
    assert get(one).state == "accepted"


def test_signed_out_is_said_and_nothing_is_lost(reviewer: Reviewer) -> None:
    one = reviewer.open()
    cookies = reviewer.page.context.cookies()
    reviewer.page.context.clear_cookies(name=django_settings.SESSION_COOKIE_NAME)
    reviewer.press("Enter")
    reviewer.page.wait_for_selector("#notices a")
    assert "Sign in again" in reviewer.text("#notices")
    assert get(one).state == "open"
    reviewer.page.context.add_cookies(cookies)  # type: ignore[arg-type]
    reviewer.page.reload()
    assert reviewer.states() == {one: "accepted"}


def test_buttons_do_the_same_and_give_the_keys_back(reviewer: Reviewer) -> None:
    one = reviewer.open()
    reviewer.page.click("#reject")
    two = reviewer.drawn()
    reviewer.press("Enter")  # accepts: the button that was clicked does not keep it
    assert reviewer.states() == {one: "rejected", two: "accepted"}
    reviewer.drawn()
    reviewer.page.click("#undo")
    assert reviewer.drawn() == two


def test_a_narrow_window_shows_everything(reviewer: Reviewer) -> None:
    reviewer.page.set_viewport_size({"width": 400, "height": 800})
    reviewer.open()
    wide = reviewer.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 400
    for name in ("#accept", "#change", "#reject", "#undo", "#requirement"):
        reviewer.page.locator(name).scroll_into_view_if_needed()
        assert reviewer.page.is_visible(name)
