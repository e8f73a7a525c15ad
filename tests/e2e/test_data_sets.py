"""The pages of a data set in a browser: browse, filter, compare, freeze a version, export it, download the export."""

import io
import zipfile
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pyarrow.parquet as pq

from tests.e2e.conftest import Person

DATA, NOTICE = "Demo: drawn world", "Demo data. Drawn scenes"
Enter = Callable[[str], Person]


def number(text: str) -> int:
    return int(text.replace(",", ""))


def cases_on(person: Person) -> list[str]:
    """The keys of the cases on this page of the list."""
    return person.page.locator("article.card .mono").all_inner_texts()


def follow_job(person: Person, link: str) -> None:
    """On a job's page: wait until it has succeeded, and follow one of its links."""
    person.page.click(f"#job a:has-text('{link}')")


def test_from_the_list_to_the_download(person: Enter) -> None:
    bob = person("bob")
    page = bob.page
    bob.go("/datasets/")
    page.click(f"a:has-text('{DATA}')")
    page.wait_for_selector(".filters")
    assert NOTICE in page.inner_text(".demo-bar")
    address = page.url
    everything = number(page.inner_text(".figure:has-text('Cases') dd"))

    # Filter, share the address, take the filter away.
    page.select_option("[name=task]", "remove")
    page.select_option("[name=split]", "train")
    with page.expect_navigation():
        page.click("button:has-text('Show')")
    assert parse_qs(urlsplit(page.url).query) == {"task": ["remove"], "split": ["train"]}
    found = cases_on(bob)
    assert 0 < len(found) < everything
    assert page.locator("article .badge:has-text('Object removal')").count() == len(found)
    page.fill("[name=text]", found[0])
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert cases_on(bob) == found[:1]
    with page.expect_navigation():
        page.click("a.badge:has-text('Words')")
    assert cases_on(bob) == found

    # A number of the statistics leads to its rows.
    with page.expect_navigation():
        page.click("nav.tabs a:has-text('Statistics')")
    cell = page.locator("tr:has-text('Object removal') td a").first
    count = number(cell.inner_text())
    with page.expect_navigation():
        cell.click()
    assert len(cases_on(bob)) == count == len(found)

    # One case: the editors beside each other, and one of them over the source.
    with page.expect_navigation():  # to the end of loading: the module that takes the keys has run
        page.click(f"article:has-text('{found[0]}') h2 a")
    editors = page.locator(".seeds thead th").count() - 1
    assert page.locator("a.lens img:not(.held)").count() == editors > 2
    page.keyboard.down("Space")
    page.wait_for_selector(".lens .held >> nth=0")
    page.keyboard.up("Space")
    page.locator("a.lens").nth(1).click()
    page.wait_for_selector("#stage[data-shown]")
    assert page.locator(".pane").count() == 2
    with page.expect_navigation():
        page.click("a:has-text('Back to the case')")

    # Freeze, export, download.
    page.goto(address)
    page.click("nav.tabs a:has-text('Versions')")
    page.fill("[name=note]", "For the browser test")
    page.click("button:has-text('Freeze a version')")
    with page.expect_navigation():
        follow_job(bob, "Version 1")
    digest = page.locator("dd.mono").inner_text()
    assert len(digest) == 64
    assert NOTICE in page.inner_text(".prose")
    page.select_option("[name=layout]", "huggingface")
    page.select_option("[name=which]", "all")
    page.click("button:has-text('Export')")
    with page.expect_download() as download:
        follow_job(bob, "Download")
    with zipfile.ZipFile(download.value.path()) as archive:
        readme = archive.read("README.md").decode()
        tables = [pq.read_table(io.BytesIO(archive.read(name))) for name in archive.namelist() if "data/" in name]
    assert digest in readme
    assert NOTICE in readme
    rows = [row for table in tables for row in table.to_pylist()]
    assert len(rows) == everything
    (one,) = [row for row in rows if row["key"] == found[0]]
    assert len(one["candidates"]) == editors
    assert all(candidate["image"]["bytes"] for candidate in one["candidates"])
