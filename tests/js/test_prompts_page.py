"""The editor of a prompt's questions by keyboard alone, in a browser, against Django itself."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Browser, Page, expect

from annotation.library import load_tasks
from scoring.models import PromptVersion
from scoring.prompts.drafts import Line
from scoring.prompts.loading import load_prompts
from scoring.prompts.services import create_version, draft_of
from tests.browser import signed_in

WAIT = 10_000
LINES = [("", "Is A sound?", True), ("", "Is it there?", True), ("", "Is it whole?", True)]


class Editor:
    """A person in front of the form."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        page.set_default_timeout(WAIT)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)

    def open(self) -> None:
        self.page.goto(reverse("new_prompt_version", args=["hp-add", 3]))
        self.page.wait_for_selector(".questions.live")

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def tab_to(self, what: str, backward: bool = False) -> None:
        """Tab until the focus is on an element that fits the selector."""
        for _press in range(80):
            if self.page.evaluate("what => document.activeElement.matches(what)", what):
                return
            self.keys("Shift+Tab" if backward else "Tab")
        raise AssertionError(f"Tab does not lead to {what}.")

    def row(self, number: int) -> str:
        """The selector of a row by its place from 1."""
        return f"[data-rows] > li:nth-child({number})"

    def texts(self) -> list[str]:
        return self.page.eval_on_selector_all("[data-rows] textarea", "all => all.map((one) => one.value)")

    def numbers(self) -> str:
        return " ".join(self.page.locator("[data-rows] [data-number]").all_inner_texts())

    def said(self) -> str:
        return self.page.inner_text("[data-said]")

    def focused(self) -> str:
        return str(self.page.evaluate("document.activeElement.value || document.activeElement.innerText"))


@pytest.fixture
def editor(live_server: Any, browser: Browser, person: Callable[..., Any]) -> Iterator[Editor]:
    load_tasks()
    load_prompts()
    parent = PromptVersion.objects.get(prompt__slug="hp-add", number=2)
    create_version(parent=parent, preamble="Look.", rubric="0 to 5.", questions=LINES, by=None)
    bob = person("bob", "engineer")
    context = signed_in(browser, live_server.url, bob, viewport={"width": 1280, "height": 800})
    found = Editor(context.new_page())
    found.open()
    yield found
    context.close()
    assert found.errors == []


def test_add_move_switch_off_and_save_by_keyboard(editor: Editor) -> None:
    editor.tab_to("[data-add]")
    editor.keys("Enter")
    assert editor.said() == "A question was added at place 4."
    editor.page.keyboard.type("Is it lit?")  # the focus is in the new question
    editor.keys("Alt+ArrowUp", "Alt+ArrowUp")
    assert editor.texts() == ["Is A sound?", "Is it lit?", "Is it there?", "Is it whole?"]
    assert editor.focused() == "Is it lit?"
    editor.tab_to(f"{editor.row(1)} [data-on]", backward=True)
    editor.keys("Space")
    assert editor.numbers() == "– 1 2 3"
    editor.tab_to(f"{editor.row(4)} [data-move='-1']")
    editor.keys("Enter")
    assert editor.texts()[2:] == ["Is it whole?", "Is it there?"]
    assert editor.said() == "The question is now at place 3 of 4."
    assert editor.page.evaluate("document.activeElement.matches(\"li:nth-child(3) [data-move='-1']\")")
    editor.tab_to("#id_note")
    editor.page.keyboard.type("Light, too.")
    editor.keys("Enter")
    editor.page.wait_for_url("**/prompts/hp-add/4/")
    made = PromptVersion.objects.get(prompt__slug="hp-add", number=4)
    assert made.note == "Light, too."
    assert draft_of(made).questions == (
        Line("q1", "Is A sound?", False),
        Line("q4", "Is it lit?"),
        Line("q3", "Is it whole?"),
        Line("q2", "Is it there?"),
    )
    assert "added" in editor.page.inner_text("#diff")


def test_at_the_ends_nothing_moves(editor: Editor) -> None:
    editor.tab_to(f"{editor.row(1)} textarea")
    editor.keys("Alt+ArrowUp")
    assert editor.said() == "The question stays at place 1 of 3."
    editor.tab_to(f"{editor.row(3)} [data-move='1']")
    editor.keys("Enter")
    assert editor.texts() == ["Is A sound?", "Is it there?", "Is it whole?"]


def test_a_question_that_was_taken_away_can_be_put_back(editor: Editor) -> None:
    editor.tab_to(f"{editor.row(2)} textarea")
    editor.page.keyboard.type("Now: ")
    editor.tab_to(f"{editor.row(2)} [data-remove]")
    editor.keys("Enter")
    assert editor.texts() == ["Is A sound?", "Is it whole?"]
    assert editor.numbers() == "1 2"
    assert editor.focused() == "Put it back"
    editor.keys("Enter")
    assert "Now: " in editor.texts()[1]
    assert editor.said() == "The question is back at place 2 of 3."
    assert not editor.page.is_visible("[data-restore]")


def test_what_was_refused_stays_with_its_error(editor: Editor) -> None:
    editor.tab_to("[data-add]")
    editor.keys("Enter")
    editor.page.keyboard.type("Is {it} there?")
    editor.keys("Alt+ArrowUp")
    editor.page.click("text=Make the version")
    expect(editor.page.locator(f"{editor.row(3)} .error")).to_contain_text("There is no placeholder {it}.")
    assert editor.texts() == ["Is A sound?", "Is it there?", "Is {it} there?", "Is it whole?"]
    editor.page.fill(f"{editor.row(3)} textarea", "Is it here?")
    editor.page.click("text=Make the version")
    editor.page.wait_for_url("**/prompts/hp-add/4/")
    assert PromptVersion.objects.get(prompt__slug="hp-add", number=4).text.questions[2] == "Is it here?"


def test_leaving_with_something_typed_is_asked_about(editor: Editor) -> None:
    asked: list[str] = []
    editor.page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    editor.page.click("text=Cancel")
    editor.page.wait_for_url("**/prompts/hp-add/3/")
    assert asked == []
    editor.open()
    editor.page.fill("#id_note", "Mine")
    editor.page.click("text=Cancel")
    assert editor.page.input_value("#id_note") == "Mine"
    assert asked == ["beforeunload"]


@pytest.mark.parametrize("width", [1280, 640, 360])
@pytest.mark.parametrize("name", ["prompts", "prompt", "prompt_version", "new_prompt_version", "new_prompt"])
def test_nothing_is_cut_off(editor: Editor, name: str, width: int) -> None:
    arguments = {"prompt": ["hp-add"], "prompts": [], "new_prompt": []}.get(name, ["hp-add", 2])
    editor.page.set_viewport_size({"width": width, "height": 700})
    editor.page.goto(reverse(name, args=arguments))
    assert editor.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
