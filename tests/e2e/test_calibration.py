"""A scoring prompt is written against people on the demo: the PCC rises with good questions, falls with a bad one, and
a version is accepted by its held-out figures. The people are simulated annotators, the judge is the embedded one, and
both are said to be."""

import os
from collections.abc import Callable
from pathlib import Path

from drawnworld.questions import suggestions
from tests.e2e.conftest import Person

Enter = Callable[[str], Person]
SHOTS = os.environ.get("EDITLOOP_SHOTS", "")  # a folder for pictures of the pages, to look at
BAD = "Is the background of picture A striped?"
SCORING = 180_000


def shot(engineer: Person, name: str) -> None:
    if SHOTS:
        engineer.page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


def number(engineer: Person, path: str) -> float:
    return float(engineer.page.inner_text(f"[data-value='{path}'] >> nth=0").replace(",", ""))


def scored(engineer: Person) -> float:
    """Wait, without a reload, until every triple has its score; the PCC of the dev part then."""
    engineer.page.wait_for_function(
        """() => {
          const count = (name) => document.querySelector(`[data-value='count.${name}']`).textContent;
          return count("rated") !== "0" && count("scored") === count("rated");
        }""",
        timeout=SCORING,
    )
    assert engineer.page.evaluate("window.loaded") == "once", "figures must come without a reload"
    return number(engineer, "dev.figures.pcc.value")


def mark(engineer: Person) -> None:
    engineer.page.evaluate("window.loaded = 'once'")


def ask(engineer: Person, *questions: str) -> float:
    """Add questions, save, and wait for the new version's scores."""
    for text in questions:
        engineer.page.click("[data-add]")
        engineer.page.keyboard.type(text)
    with engineer.page.expect_navigation():
        engineer.page.click("#save")
    mark(engineer)
    return scored(engineer)


def test_a_prompt_comes_to_agree_with_people(person: Enter) -> None:
    engineer = person("bob")
    engineer.go("/calibrations/new/")
    engineer.page.select_option("[name=prompt]", "hp-remove")
    people = engineer.page.locator("[name=people] option", has_text="Score edits of drawn scenes: Overall")
    engineer.page.select_option("[name=people]", people.get_attribute("value"))
    engineer.page.select_option("[name=judge]", "embedded-judge")
    with engineer.page.expect_navigation():
        engineer.page.click("main form button.primary")
    assert "?v=" not in engineer.page.url
    body = engineer.page.inner_text("body")
    assert "Demo judge, not a VLM" in body
    assert "imulated annotators" in body
    with engineer.page.expect_navigation():
        engineer.page.click("#start")
    mark(engineer)
    bare = scored(engineer)
    shot(engineer, "calibration-bare")

    good = [text for _family, text in suggestions("remove")[:2]]
    better = ask(engineer, *good)
    shot(engineer, "calibration-two-questions")
    assert better > bare, f"two good questions: {bare} to {better}"
    kept = engineer.page.url
    worse = ask(engineer, BAD)
    shot(engineer, "calibration-bad-question")
    assert worse < better, f"a bad question: {better} to {worse}"

    engineer.page.wait_for_selector("#versions [data-pcc]")
    compare(engineer)
    engineer.page.goto(kept)
    mark(engineer)
    scored(engineer)
    assert engineer.page.is_hidden("#held")
    with engineer.page.expect_navigation():
        engineer.page.click("#look")
    engineer.page.wait_for_selector("#held:visible")
    assert number(engineer, "looks.all") == 1
    assert number(engineer, "held.figures.pcc.value") > 0
    engineer.page.fill("form[action*=activate] [name=note]", "Two questions do it.")
    with engineer.page.expect_navigation():
        engineer.page.click("#activate")
    engineer.page.wait_for_selector("text=is now the active scorer")
    shot(engineer, "calibration-active")
    engineer.go("/calibrations/")
    engineer.page.wait_for_selector("text=Two questions do it.")
    shot(engineer, "calibrations")


def compare(engineer: Person) -> None:
    """The two newest versions on the same triples, in words."""
    with engineer.page.expect_navigation():
        engineer.page.click("text=Compare the two on the same triples")
    sentence = engineer.page.inner_text("[data-verdict]")
    assert "PCC" in sentence or "Not distinguishable" in sentence
    shot(engineer, "calibration-compare")


def test_a_question_is_proposed_and_accepted_without_a_key(person: Enter) -> None:
    engineer = person("bob")
    engineer.go("/calibrations/")
    engineer.page.click("main table a >> nth=0")
    engineer.page.wait_for_selector("#calibration")
    engineer.page.select_option("[name=proposer]", "drawn")
    engineer.page.click("text=Propose a question")
    engineer.page.wait_for_selector("#calibration")
    deadline = 60
    while not engineer.page.query_selector(".suggestion .badge") and deadline:
        engineer.page.wait_for_timeout(2000)
        engineer.page.reload()
        deadline -= 1
    shot(engineer, "calibration-suggestion")
    assert "known questions of the drawn world" in engineer.page.inner_text(".suggestion")
    with engineer.page.expect_navigation():
        engineer.page.click("text=Accept as a version")
    mark(engineer)
    scored(engineer)
