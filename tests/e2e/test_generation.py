"""A grid of cases, editors and seeds, started in a browser, cancelled in the middle and resumed."""

import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing

from tests.e2e.conftest import Person
from tests.e2e.test_up import Started

CASES, SEEDS = 10, 2
OWN = "Rough in four steps"
EDITORS = ("CPU editor: rough", "CPU editor: good", "Classical: careful", OWN)
TASKS = ("Object removal", "Bokeh", "Relighting")  # the tasks of the drawn world that the classical editor can do
Enter = Callable[[str], Person]


def made(application: Started) -> Counter[tuple[int, str, int]]:
    """How often each image of the grid is there: (case, editor, seed). The demo has made some of them already."""
    query = """select c.case_id, e.slug, c.seed from annotation_candidate c
               join annotation_editor e on e.id = c.editor_id
               where c.seed < ? and e.slug in ('drawn-rough', 'drawn-good', 'classical-careful', 'rough-in-four-steps')
               and c.case_id in (select c.id from annotation_case c join annotation_dataset d on d.id = c.dataset_id
                                 where d.slug = 'demo-drawn-world' and c.task_id in ('remove', 'bokeh', 'relight')
                                 order by c.id limit ?)"""
    with closing(sqlite3.connect(f"file:{application.var / 'editloop.sqlite3'}?mode=ro", uri=True)) as database:
        return Counter(database.execute(query, (SEEDS, CASES)).fetchall())


def test_an_engineer_makes_an_editor(person: Enter) -> None:
    engineer = person("bob")
    engineer.go("/editors/")
    engineer.page.click("article h3 a:has-text('CPU editor')")
    engineer.page.fill("[name=name]", OWN)
    engineer.page.select_option("[name=set_base]", "rough")
    engineer.page.fill("[name=set_steps]", "400")
    engineer.page.click("main form button.primary")
    engineer.page.wait_for_selector("main form .alert:has-text('from 1 to 50')")
    assert engineer.page.input_value("[name=name]") == OWN  # what was filled in is still there
    engineer.page.fill("[name=set_steps]", "4")
    engineer.page.click("main form button.primary")
    engineer.page.wait_for_selector(f"h1:has-text('{OWN}')")
    assert '"steps": 4' in engineer.page.inner_text("main")


def test_a_grid_that_was_cancelled_is_resumed_without_an_image_twice(application: Started, person: Enter) -> None:
    admin = person("alice")
    admin.go("/datasets/")
    admin.page.click("text=Demo: drawn world")
    admin.page.click("text=Make candidates")
    for name in (*EDITORS, *TASKS):
        admin.page.check(f"label:has-text('{name}') input")
    admin.page.fill("[name=seeds]", str(SEEDS))
    admin.page.fill("[name=limit]", str(CASES))
    admin.page.click("main form button.primary")
    admin.page.wait_for_selector("#sheet figure", timeout=180_000)
    admin.page.click("text=Cancel")
    admin.page.wait_for_selector("#job [data-state=cancelled]", timeout=120_000)
    before = made(application)
    assert 0 < len(before) < CASES * len(EDITORS) * SEEDS
    admin.page.click("text=Resume")
    admin.page.wait_for_selector("#job [data-state=succeeded]", timeout=240_000)
    after = made(application)
    assert set(after.values()) == {1}
    assert len(after) == CASES * len(EDITORS) * SEEDS
    assert set(before) <= set(after)
    cases, editors, seeds = (Counter(key[place] for key in after) for place in range(3))
    assert set(cases.values()) == {len(EDITORS) * SEEDS}
    assert set(editors.values()) == {CASES * SEEDS}
    assert set(seeds) == set(range(SEEDS))
    admin.page.reload()
    shown = admin.page.eval_on_selector_all(
        "#sheet img", "images => images.map(one => one.complete && one.naturalWidth)"
    )
    assert shown
    assert all(width == 64 for width in shown)


def test_pages_of_many_editors_are_no_wider_than_the_window(person: Enter) -> None:
    """Wide tables scroll in themselves."""
    engineer = person("bob")
    engineer.go("/datasets/")
    engineer.page.click("text=Demo: drawn world")
    engineer.page.wait_for_selector(".filters")
    pages = [engineer.page.url]
    pages += engineer.page.eval_on_selector_all(
        "h2 a[href*='/cases/'], h3 a[href*='/cases/']", "links => links.map(one => one.href)"
    )[:3]
    assert len(pages) == 4
    for address in pages:
        engineer.page.goto(address)
        wide = engineer.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 1280, address
