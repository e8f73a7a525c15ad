"""Fixtures of the browser tests of the annotation pages."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser import browser  # noqa: F401
from tests.js.desk import Start, desks
from tests.js.fake_server import FakeServer, study


@pytest.fixture
def start(browser: Browser) -> Iterator[Start]:
    yield from desks(browser)


@pytest.fixture(scope="session")
def module_page(browser: Browser) -> Iterator[Page]:
    """An empty page of the server, from which the modules can be imported."""
    server = FakeServer(study(), [])
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{server.address}/blank")
    yield page
    context.close()
    server.close()


@pytest.fixture
def js(module_page: Page) -> Callable[..., Any]:
    """Runs an expression over a module: js("order.js", "m.sameOrder(x[0], x[1])", [a, b])."""

    def run(module: str, expression: str, argument: Any = None) -> Any:
        code = f"async (x) => {{ const m = await import('/static/js/work/{module}'); return ({expression}); }}"
        return module_page.evaluate(code, argument)

    return run
