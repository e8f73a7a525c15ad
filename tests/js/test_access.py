"""The pages work at 200 % zoom, in narrow windows and for screen readers, and obey the content security policy."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from tests.js.desk import Start
from tests.js.fake_server import CONTINUOUS, QUALITY, FakeServer, assignment, study

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["rating", "ranking", "pairwise"]


def server(kind: str) -> FakeServer:
    letters = {"rating": "A", "ranking": "ABCDEF", "pairwise": "AB"}[kind]
    items = [
        assignment(
            "Replace the dog by a cat and keep the light.", letters=letters, dimension="quality", width=640, height=480
        )
        for _ in range(2)
    ]
    for item in items:
        item["case"]["instruction_zh"] = "把狗换成猫"
        item["case"]["requirement"] = "Keep the shadow."
    return FakeServer(study(kind, dimensions=[QUALITY]), items)


@pytest.mark.parametrize("kind", PAGES)
@pytest.mark.parametrize("size", [(320, 640), (640, 400), (1280, 800)])
def test_nothing_is_cut_off_sideways(start: Start, kind: str, size: tuple[int, int]) -> None:
    desk = start(server(kind), size=size)
    wide = desk.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide == 0
    boxes = desk.page.eval_on_selector_all(
        "button, input",
        "all => all.filter(one => one.offsetParent).map(one => one.getBoundingClientRect())"
        ".map(({left, right}) => [left, right])",
    )
    assert all(left >= 0 and right <= size[0] for left, right in boxes)


@pytest.mark.parametrize("kind", PAGES)
def test_every_control_has_a_name(start: Start, kind: str) -> None:
    desk = start(server(kind))
    nameless = desk.page.evaluate("""() => [...document.querySelectorAll('button, a, input, [role]')]
      .filter((one) => !one.role || ['slider', 'radiogroup', 'group', 'radio', 'toolbar'].includes(one.role))
      .filter((one) => one.offsetParent)
      .filter((one) => !(one.innerText || one.textContent || one.getAttribute('aria-label') || one.labels?.length ||
        document.getElementById(one.getAttribute('aria-labelledby'))?.textContent))
      .map((one) => one.outerHTML)""")
    assert nameless == []
    assert desk.page.locator("h1").count() == 1
    assert desk.page.get_attribute("html", "lang")
    assert desk.page.locator("#live[aria-live=polite]").count() == 1
    assert desk.page.locator("[lang=zh]").inner_text() == "把狗换成猫"


def test_the_state_is_told_to_a_screen_reader(start: Start) -> None:
    desk = start(server("ranking"))
    desk.keys("4")
    assert desk.page.text_content("#live") == "A on shelf 4. Not placed yet: 5"
    label = desk.page.get_attribute(".shelf [data-letter=A]", "aria-label")
    assert label == "Image A, shelf 4"


def test_radio_buttons_and_sliders_tell_their_state(start: Start) -> None:
    smooth = FakeServer(study("rating", dimensions=[{**QUALITY, "scale": CONTINUOUS}]), [assignment("First")])
    desk = start(smooth)
    slider = desk.page.locator(".slider")
    assert slider.get_attribute("aria-valuetext") == "not set"
    desk.keys("3")
    assert slider.get_attribute("aria-valuenow") == "3"
    assert desk.page.text_content("#live") == "Visual quality: 3.0"


def test_the_key_map_opens_and_closes_by_key_and_names_what_works(start: Start) -> None:
    desk = start(server("ranking"))
    desk.keys("?")
    assert "put the image in view on this shelf" in desk.text("dialog")
    desk.keys("5")
    assert desk.page.locator(".tray .thumb").count() == 6, "keys do nothing behind a dialog"
    desk.keys("Escape")
    desk.page.wait_for_selector("dialog", state="detached")  # the browser tells of the closing a moment later
    desk.keys("q")
    assert "Look at the whole picture first." in desk.text("dialog")


def test_keyboard_focus_can_reach_and_press_every_tool(start: Start) -> None:
    desk = start(server("rating"))
    desk.page.focus("button:has-text('Wipe')")
    desk.keys("Enter")
    assert desk.page.locator(".wipe-handle:visible").count() == 1
    desk.keys(" ")
    assert desk.page.locator(".wipe-handle:visible").count() == 0
    assert desk.server.answers() == []


def test_templates_hold_no_inline_script_or_style() -> None:
    one_file = ROOT / "templates/reports/file.html"  # saved with its styles in it, and opened without this server
    for path in set((ROOT / "templates").rglob("*.html")) - {one_file}:
        text = path.read_text()
        assert not re.search(r"\sstyle=|<style|\son\w+=", text), path
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), path


def test_vendored_files_are_those_of_the_manifest() -> None:
    vendor = ROOT / "static/vendor"
    manifest = json.loads((vendor / "MANIFEST.json").read_text())
    listed = {name: digest for package in manifest["packages"] for name, digest in package["files"].items()}
    found = {
        str(path.relative_to(vendor)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in vendor.rglob("*")
        if path.is_file()
    }
    found.pop("MANIFEST.json")
    assert listed == found
    assert all(package[key] for package in manifest["packages"] for key in ("name", "version", "licence", "source"))
