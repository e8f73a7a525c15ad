"""The overview in a browser: what changes is seen without a reload, and nobody's place on the page is lost."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.e2e.conftest import WAIT, Person

RATE = "Rate edits of photographs"
Enter = Callable[[str], Person]
expect.set_options(timeout=WAIT)


def counted(page: Page, stage: str) -> int:
    return int(page.inner_text(f"#stage-{stage} .funnel-count b").replace(",", ""))


def test_the_overview_is_live(person: Enter) -> None:
    admin, annotator = person("alice"), person("carol")
    admin.go("/overview/")
    page = admin.page
    expect(page.locator("#pipeline")).to_contain_text("demo")  # whose numbers these are
    expect(page.locator("#queue-default")).to_contain_text("1 worker")
    expect(page.locator("#queue-gpu")).to_contain_text("1 worker")
    expect(page.locator("#problems .bad")).to_have_count(0)
    judged, exported = counted(page, "annotate"), counted(page, "export")
    page.evaluate("window.sameDocument = true")

    # An answer of an annotator is counted, and the link that has the keyboard keeps it.
    link = page.locator("#pipeline a", has_text="open studies")
    link.focus()
    annotator.open_study(RATE)
    done = annotator.done()
    annotator.keys("3", "Tab", "4", "Tab", "5", "Enter")
    annotator.until_done(done + 1)
    expect(page.locator("#stage-annotate .funnel-count b")).to_have_text(f"{judged + 1:,}")
    expect(link).to_be_focused()

    # A job that somebody starts elsewhere appears, and is seen to end.
    other = person("bob")
    other.go("/studies/")
    other.page.click(f"text={RATE}")
    other.page.click("form:has([name=table]) button.primary")
    expect(page.locator("#stage-export .funnel-count b")).to_have_text(f"{exported + 1:,}")
    expect(page.locator("#recent tr", has_text=RATE).first).to_contain_text("Done")
    assert page.evaluate("window.sameDocument") is True


def test_numbers_and_advice_lead_somewhere(person: Enter) -> None:
    admin = person("alice")
    admin.go("/overview/")
    page = admin.page
    links = page.eval_on_selector_all("#overview a[href]", "links => links.map(link => link.href)")
    assert len(links) > 10
    for link in sorted(set(links)):
        answer = page.request.get(link)
        assert answer.ok, f"{link} answers {answer.status}"
    page.click("#next a.button")
    page.wait_for_url(lambda url: "/overview/" not in url)


def test_it_fits_a_narrow_window(person: Enter) -> None:
    admin = person("alice")
    admin.page.set_viewport_size({"width": 400, "height": 800})
    admin.go("/overview/")
    width = admin.page.evaluate("document.documentElement.scrollWidth")
    assert width <= 400
