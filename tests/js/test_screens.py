"""Breaks, the end, progress, and what stands there while there is no item."""

from datetime import UTC, datetime, timedelta

from tests.js.desk import Start
from tests.js.fake_server import FakeServer, assignment, study


def server(*names: str) -> FakeServer:
    return FakeServer(study("rating"), [assignment(name) for name in names])


def test_the_end_has_the_servers_sentence_and_a_way_back(start: Start) -> None:
    desk = start(server("First"))
    desk.keys("4", "Enter")
    desk.until_done()
    assert "There is nothing more for you in this study. Thank you." in desk.text("#screen")
    desk.keys("u")
    desk.until_instruction("First")
    assert desk.text(".dim-value") == "4"


def test_with_nothing_to_do_from_the_start(start: Start) -> None:
    desk = start(server(), shown=False)
    desk.until_done()
    assert desk.status() == "idle"


def test_work_that_comes_later_is_found_by_looking_again(start: Start) -> None:
    desk = start(server(), shown=False)
    desk.until_done()
    late = assignment("Late")
    late["kind"] = "rating"
    desk.server.waiting.append(late)
    desk.page.click("text=Look again")
    desk.until_instruction("Late")


def test_a_break_comes_between_items_and_ends_by_itself(start: Start) -> None:
    desk = start(server("First", "Second"))
    until = datetime.now(UTC) + timedelta(seconds=3)
    desk.server.pause = {"until": until.isoformat(), "minutes": 5, "sentence": "You have worked for 30 minutes."}
    desk.keys("4", "Enter")
    desk.page.wait_for_selector('#screen[data-reason="break"]')
    assert "You have worked for 30 minutes." in desk.text("#screen")
    assert "Time left: 0:0" in desk.text("#screen")
    desk.keys("3")
    assert desk.page.is_disabled("text=Continue")
    desk.server.pause = None
    desk.page.wait_for_selector("button:has-text('Continue'):not([disabled])")
    desk.keys("Enter")
    desk.until_instruction("Second")
    desk.until("saved")
    assert len(desk.answers()) == 1
    assert desk.page.locator("[aria-checked=true]").count() == 0, "keys pressed in the break judge nothing"


def test_a_break_waits_until_the_item_in_hand_is_answered(start: Start) -> None:
    desk = start(server("First", "Second"))
    until = datetime.now(UTC) + timedelta(minutes=5)
    desk.server.pause = {"until": until.isoformat(), "minutes": 5, "sentence": "Rest your eyes."}
    desk.keys("4")
    desk.until("saved")
    assert desk.text(".dim-value") == "4"
    desk.keys("Enter")
    desk.page.wait_for_selector('#screen[data-reason="break"]')


def test_progress_and_the_days_count_are_the_servers(start: Start) -> None:
    desk = start(server("First", "Second"))
    assert desk.text("#progress-text") == "0 of 2"
    desk.keys("4", "Enter")
    desk.until_instruction("Second")
    desk.page.wait_for_selector("#progress-text:has-text('1 of 2')")
    assert desk.text("#today") == "Today: 1"
    assert desk.page.get_attribute("#progress", "value") == "1"


def test_progress_without_a_total_shows_no_bar(start: Start) -> None:
    fake = server("First")
    fake.total = None
    desk = start(fake)
    assert desk.text("#progress-text") == "Done: 0"
    assert desk.page.is_hidden("#progress")


def test_a_server_that_is_down_at_the_start_is_asked_again(start: Start) -> None:
    fake = server("First")
    fake.failures.extend(["500"])
    desk = start(fake, shown=False)
    desk.page.wait_for_selector('#screen[data-reason="unreachable"]')
    desk.until_instruction("First")


def test_signed_out_at_the_start(start: Start) -> None:
    fake = server("First")
    fake.failures.extend(["401"])
    desk = start(fake, shown=False)
    desk.page.wait_for_selector('#screen[data-reason="signed-out"]')
    assert "You are signed out." in desk.text("#screen")


def test_pictures_that_do_not_come_are_said_and_can_be_tried_again(start: Start) -> None:
    fake = server("First")
    desk = start(fake, shown=False)
    desk.page.context.route("**/work/image/**", lambda route: route.fulfill(status=404))
    desk.page.reload()
    desk.page.wait_for_selector("#screen:has-text('could not be loaded')")
    desk.page.context.unroute("**/work/image/**")
    desk.page.click("text=Try again")
    desk.until_instruction("First")
