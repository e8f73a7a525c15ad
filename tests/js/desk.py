"""An annotator at a page: presses keys, looks at the page, and sees what the server has stored."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page

from tests.js.fake_server import FakeServer

WAIT = 10_000
NETWORK = (
    "Failed to load resource",
    "net::ERR",
)  # the browser's own words where a test breaks the connection on purpose


@dataclass
class Desk:
    server: FakeServer
    context: BrowserContext
    page: Page
    errors: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)

    def open(self, shown: bool = True) -> None:
        self.page.goto(self.server.url)
        if shown:
            self.page.wait_for_selector("#stage:not([hidden])", timeout=WAIT)
            self.drawn()

    def drawn(self) -> None:
        """Until the pictures of the item in view are there."""
        self.page.wait_for_selector("#stage[data-assignment]:not([hidden])", timeout=WAIT)

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def status(self) -> str:
        return str(self.page.get_attribute("#save", "data-status"))

    def until(self, status: str) -> None:
        """Until the bar says so."""
        self.page.wait_for_selector(f'#save[data-status="{status}"]', state="attached", timeout=WAIT)

    def until_instruction(self, text: str) -> None:
        """Until the item with this instruction is in view."""
        self.page.wait_for_selector(f"#task:not([hidden]) .instruction:has-text('{text}')", timeout=WAIT)
        self.drawn()

    def until_done(self) -> None:
        self.page.wait_for_selector('#screen[data-reason="done"]', timeout=WAIT)

    def until_mode(self, mode: str) -> None:
        self.page.wait_for_selector(f'body[data-mode="{mode}"]', timeout=WAIT)

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)

    def strip(self) -> list[list[str]]:
        """The tiers of the strip, best first."""
        found: list[list[str]] = self.page.eval_on_selector_all(
            "#strip .tier",
            "tiers => tiers.map(tier => [...tier.querySelectorAll('.thumb')].map(thumb => thumb.dataset.letter))",
        )
        return found

    def in_view(self) -> str:
        """The captions of the panes, joined."""
        captions: list[str] = self.page.eval_on_selector_all(
            ".pane figcaption", "all => all.map(one => one.textContent)"
        )
        return " | ".join(captions)

    def answers(self) -> list[dict[str, Any]]:
        """The submitted answers, once the page has said that they are saved."""
        self.until("saved")
        return self.server.answers()

    def stored(self, *kinds: str) -> list[dict[str, Any]]:
        """What the server has of some kinds of events, without what the browser alone knows."""
        return [event["data"] for event in self.server.of_kind(*kinds)]


Start = Callable[..., Desk]


def desks(browser: Browser) -> Iterator[Start]:
    """Opens desks and, at the end, closes them and fails for any error that a page reported."""
    opened: list[Desk] = []

    def start(server: FakeServer, *, size: tuple[int, int] = (1280, 800), shown: bool = True, **options: Any) -> Desk:
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
        desk = Desk(server, context, context.new_page())
        opened.append(desk)
        desk.watch(desk.page)
        desk.open(shown)
        return desk

    yield start
    errors = [error for desk in opened for error in desk.errors if not any(word in error for word in NETWORK)]
    for desk in opened:
        desk.context.close()
        desk.server.close()
    assert errors == []
