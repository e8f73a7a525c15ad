"""Nothing is lost, nothing is doubled, and "saved" is said only when it is true."""

from collections import Counter
from typing import Any

import pytest

from tests.js.desk import WAIT, Desk, Start
from tests.js.fake_server import FakeServer, assignment, study


def server(*names: str, **changes: Any) -> FakeServer:
    return FakeServer(study("rating", **changes), [assignment(name) for name in names])


def watch_status(desk: Desk) -> None:
    """Collects every word that the bar shows from now on."""
    desk.page.evaluate("""() => {
      window.words = [];
      const save = document.getElementById('save');
      new MutationObserver(() => window.words.push(save.dataset.status)).observe(save, {attributes: true});
    }""")


def words(desk: Desk) -> list[str]:
    found: list[str] = desk.page.evaluate("window.words")
    return found


@pytest.mark.parametrize("failure", ["500", "html", "503"])
def test_a_server_that_fails_three_times_gets_every_event_once(start: Start, failure: str) -> None:
    desk = start(server("First", "Second", "Third"))
    desk.page.wait_for_timeout(2300)
    watch_status(desk)
    desk.server.failures.extend([failure] * 3)
    desk.keys("4", "Enter")
    desk.until_instruction("Second")
    desk.keys("2", "Enter")
    desk.until_instruction("Third")
    desk.until("retrying")
    assert "Not saved, retrying" in desk.text("#save")
    assert "Your answers wait in this browser" in desk.text("#notices")
    desk.until("saved")
    seen = words(desk)
    assert "saved" not in seen[: seen.index("retrying")]
    assert [answer["scores"]["quality"] for answer in desk.answers()] == [4, 2]
    assert set(Counter(event["key"] for event in desk.server.received).values()) == {1}
    assert desk.page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('editloop.outbox')).length") == 0


def test_connections_that_break_lose_and_double_nothing(start: Start) -> None:
    desk = start(server("First", "Second"))
    desk.until("saved")
    desk.server.failures.extend(["drop"] * 5)
    desk.keys("4", "Enter")
    desk.until_instruction("Second")
    desk.until("saved")
    assert [answer["scores"]["quality"] for answer in desk.answers()] == [4]
    assert not desk.server.failures


def test_an_answer_that_got_lost_is_sent_again_and_counts_once(start: Start) -> None:
    desk = start(server("First", "Second"))
    desk.page.wait_for_timeout(2300)
    desk.server.failures.append("lost")
    desk.keys("4")
    desk.until("saved")
    assert max(Counter(event["key"] for event in desk.server.received if event["kind"] == "score").values()) == 2
    assert len(desk.stored("score")) == 1


def test_off_line_work_waits_and_is_sent_later(start: Start) -> None:
    desk = start(server(*(f"Item {n}." for n in range(1, 9))))
    desk.until("saved")
    desk.page.wait_for_load_state("networkidle")
    held = len(desk.server.leased)
    assert 2 < held < 8, "some items wait in the page, not all"
    desk.context.set_offline(True)
    for n in range(1, held + 1):
        desk.until_instruction(f"Item {n}.")
        desk.keys(str(n % 6), "Enter")
    desk.page.wait_for_selector('#screen[data-reason="sending"]')
    assert "off line" in desk.text("#notices")
    assert desk.server.answers() == []
    assert desk.status() == "retrying"
    desk.context.set_offline(False)
    desk.until_instruction(f"Item {held + 1}.")
    assert [answer["scores"]["quality"] for answer in desk.answers()] == [n % 6 for n in range(1, held + 1)]
    assert desk.text("#notices") == ""


def test_never_done_while_an_answer_waits(start: Start) -> None:
    desk = start(server("Only"))
    desk.until("saved")
    desk.server.failures.extend(["500"] * 4)
    desk.keys("4", "Enter")
    desk.page.wait_for_selector('#screen[data-reason="sending"]')
    assert "Keep this page open" in desk.text("#screen")
    desk.until_done()
    assert len(desk.answers()) == 1


def test_a_refused_answer_is_shown_and_never_called_saved(start: Start) -> None:
    desk = start(server("First", "Second"))
    desk.until("saved")
    desk.server.refuse["submit"] = "This study is closed for changes."
    desk.keys("4", "Enter")
    desk.page.wait_for_selector("#notices .notice")
    assert "Not accepted by the server" in desk.text("#notices")
    assert "This study is closed for changes." in desk.text("#notices")
    desk.until("refused")
    assert desk.text("#save-text") == "Not accepted by the server"
    sent = [event for event in desk.server.received if event["kind"] == "submit"]
    assert len(sent) == 1, "a refused event is not sent again"
    desk.server.refuse.clear()
    desk.page.click("text=Go back to the item")
    desk.until_instruction("First")
    assert desk.text(".dim-value") == "4"
    desk.keys("Enter")
    desk.until_instruction("Second")
    desk.until("saved")
    assert [answer["scores"]["quality"] for answer in desk.answers()] == [4]


def test_a_refused_score_is_not_shown_as_given(start: Start) -> None:
    desk = start(server("First"))
    desk.until("saved")
    desk.server.refuse["score"] = "The scale goes from 1 to 3."
    desk.keys("4")
    desk.page.wait_for_selector("#notices .notice")
    assert desk.text(".dim-value") == ""
    desk.page.reload()
    desk.drawn()
    assert "The scale goes from 1 to 3." in desk.text("#notices"), "it is shown until it was read"
    desk.page.click("text=I have read this")
    assert desk.text("#notices") == ""


def test_an_item_with_a_refused_answer_comes_again(start: Start) -> None:
    desk = start(server("First", "Second"))
    desk.until("saved")
    desk.server.refuse["submit"] = "Not now."
    desk.keys("4", "Enter")
    desk.page.wait_for_selector("#notices .notice")
    desk.server.refuse.clear()
    desk.page.click("text=I have read this")
    desk.keys("3", "Enter")
    desk.until_instruction("First")
    assert desk.text(".dim-value") == "4"


@pytest.mark.parametrize("failure", ["401", "sign-in"])
def test_signed_out_says_so_and_keeps_the_answers(start: Start, failure: str) -> None:
    desk = start(server("First", "Second"))
    desk.until("saved")
    desk.server.failures.append(failure)
    desk.keys("4", "Enter")
    desk.page.wait_for_selector("#notices a")
    assert desk.status() == "signed-out"
    assert "your answers wait in this browser" in desk.text("#notices")
    assert desk.server.answers() == []
    desk.page.click("#notices a")
    desk.until("saved")
    assert [answer["scores"]["quality"] for answer in desk.answers()] == [4]
    desk.until_instruction("Second")


def test_an_answer_survives_a_crash_of_the_page(start: Start) -> None:
    desk = start(server("First", "Second"))
    desk.until("saved")
    desk.server.failures.extend(["500"] * 2)
    desk.keys("4", "Enter")
    desk.until("retrying")
    desk.page.close()
    desk.server.failures.clear()
    desk.page = desk.context.new_page()
    desk.watch(desk.page)
    desk.open()
    desk.until_instruction("Second")
    desk.until("saved")
    assert [answer["scores"]["quality"] for answer in desk.answers()] == [4]


def test_an_answer_that_still_waits_after_a_reload_is_not_asked_for_again(start: Start) -> None:
    desk = start(server("First", "Second", "Third"))
    desk.until("saved")
    desk.server.failures.extend(["500"] * 2)
    desk.keys("4", "Enter")
    desk.until("retrying")
    desk.server.failures.clear()
    desk.server.failures.extend(["500"])
    desk.page.reload()
    desk.until_instruction("Second")
    desk.until("saved")
    assert [answer["scores"]["quality"] for answer in desk.answers()] == [4]


def test_another_persons_answers_are_left_alone(start: Start) -> None:
    desk = start(server("First"))
    desk.until("saved")
    desk.server.failures.extend(["401"])
    desk.keys("4")
    desk.until("signed-out")
    desk.server.study["user_id"] = 8
    desk.open()
    desk.until("saved")
    assert desk.stored("score") == []
    desk.server.study["user_id"] = 7
    desk.open()
    desk.until("saved")
    assert len(desk.stored("score")) == 1


def test_the_tab_opened_last_goes_on_and_the_other_says_so(start: Start) -> None:
    desk = start(server("First", "Second"))
    other = desk.context.new_page()
    desk.watch(other)
    other.goto(desk.server.url)
    other.wait_for_selector("#stage:not([hidden])")
    desk.page.wait_for_selector("#screen:has-text('another tab')")
    desk.keys("4", "Enter")
    other.bring_to_front()
    other.keyboard.press("2")
    other.keyboard.press("Enter")
    other.wait_for_selector(".instruction:has-text('Second')", timeout=WAIT)
    other.wait_for_selector('#save[data-status="saved"]', state="attached", timeout=WAIT)
    assert [answer["scores"]["quality"] for answer in desk.server.answers()] == [2]
    desk.page.bring_to_front()
    desk.page.click("text=Continue here")
    desk.until_instruction("Second")


def test_saved_is_announced_after_trouble(start: Start) -> None:
    desk = start(server("First"))
    desk.until("saved")
    desk.server.failures.append("500")
    desk.keys("4")
    desk.until("retrying")
    assert "Not saved, retrying" in desk.text("#live")
    desk.until("saved")
    assert desk.page.text_content("#live") == "Saved"


def test_every_event_has_a_key_of_its_own_and_a_rising_number(start: Start) -> None:
    desk = start(server("First"))
    desk.keys("1", "2", "u", "x", "1", "3")
    desk.until("saved")
    rows = list(desk.server.stored.values())
    assert len({event["key"] for event in rows}) == len(rows)
    numbers = [event["seq"] for event in rows]
    assert numbers == sorted(set(numbers))
