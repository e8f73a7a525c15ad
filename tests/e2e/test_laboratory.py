"""A laboratory's way in, in browsers: whoever fails the qualification is kept out, and whoever passes works.

Work here is in a study of its own, so that what the other files count does not change.
"""

from collections.abc import Callable

import pytest

from tests.e2e.conftest import Person

STUDY = "Qualified annotators only"
RIGHT, WRONG = "4", "1"
Enter = Callable[[str], Person]


@pytest.fixture(scope="module")
def made() -> list[str]:
    """The study's address, once an admin has made it."""
    return []


def make_study(admin: Person) -> str:
    """One try, two people, and one item whose right answer is 4 in visual quality, give or take half a point."""
    page = admin.page
    admin.go("/studies/new/")
    page.fill("[name=name]", STUDY)
    page.select_option("[name=preset]", "mos")
    page.select_option("[name=dataset]", label="Demo: photographs")
    page.evaluate("document.querySelectorAll('details').forEach(fold => { fold.open = true; })")
    page.fill("[name=tries]", "1")
    page.click("main form button.primary")
    page.wait_for_url("**/studies/*-*/")
    address = page.url.removeprefix(admin.address)
    for name in ("dan", "erin"):
        admin.go(f"{address}members/")
        page.select_option("[name=user]", label=name)
        page.click("form:has([name=user]) button.primary")
        page.wait_for_selector(f"th:has-text('{name}')")
    admin.go(f"{address}entry/pick/?for=qualification")
    first = page.locator("form:has(input[type=radio])").first
    first.locator("input[type=radio]").first.check()
    first.locator("button").click()
    page.fill("[name=score_quality]", RIGHT)
    page.fill("[name=room_quality]", "0.5")
    page.click("main form button.primary")
    page.wait_for_selector("article.reference")
    return address


def take_test(somebody: Person, quality: str) -> None:
    """From "My work" through the test, by keyboard from its first item on; up to the result."""
    somebody.go("/work/")
    somebody.page.click(f"article:has-text('{STUDY}') a.button")
    somebody.page.click("text=Begin the test")
    somebody.drawn()
    assert "Qualification 1 of 1" in somebody.page.inner_text("#progress-text")
    somebody.keys(quality, "Tab", "3", "Tab", "3", "Enter")
    somebody.page.wait_for_selector('#screen[data-reason="step"]')


def test_a_new_annotator_fails_the_qualification_and_is_kept_out(person: Enter, made: list[str]) -> None:
    admin = person("alice")
    made.append(make_study(admin))
    somebody = person("dan")
    take_test(somebody, WRONG)
    assert "You did not pass" in somebody.page.inner_text("#screen")
    somebody.keys("Enter")  # the button has the focus
    somebody.page.wait_for_selector("text=If you think that this is wrong, ask alice")
    somebody.go("/work/")
    assert "Not qualified" in somebody.page.inner_text(f"article:has-text('{STUDY}')")
    somebody.page.click(f"article:has-text('{STUDY}') >> text=Read more")
    somebody.page.wait_for_selector("h1:has-text('You did not pass the qualification test')")
    work = f"/work/{made[0].removeprefix('/studies/')}"
    reply = somebody.page.evaluate(
        """async ([url, token]) => {
          const headers = { "Content-Type": "application/json", "X-CSRFToken": token };
          const answer = await fetch(url, { method: "POST", headers, body: '{"want": 1, "have": []}' });
          return [answer.status, await answer.text()];
        }""",
        [f"{work}next/", token_of(somebody)],
    )
    assert reply[0] == 403, "the server gives no items, whatever asks for them"
    assert "did not pass" in reply[1]
    admin.go(f"{made[0]}entry/annotators/")
    assert "kept out: no try is left" in admin.page.inner_text("tr:has-text('dan')")


def token_of(somebody: Person) -> str:
    return next(one["value"] for one in somebody.context.cookies() if one["name"] == "csrftoken")


def test_another_passes_and_works(person: Enter, made: list[str]) -> None:
    somebody = person("erin")
    take_test(somebody, RIGHT)
    assert "You passed" in somebody.page.inner_text("#screen")
    somebody.keys("Enter")
    somebody.drawn()
    assert somebody.done() == 0  # the test was no work
    somebody.keys("3", "Tab", "3", "Tab", "3", "Enter")
    somebody.until_done(1)
    somebody.saved()
    admin = person("alice")
    admin.go(f"{made[0]}entry/annotators/")
    assert "works" in admin.page.inner_text("tr:has-text('erin')")
    admin.go(made[0])
    assert admin.page.inner_text("#done") == "1", "the test's judgements do not count"


DISPUTED = "Where two do not agree"
# Everything there is for somebody, answered by one rule, in their own browser's session: the page's own requests.
ANSWER = """async ([url, token]) => {
  const headers = { "Content-Type": "application/json", "X-CSRFToken": token };
  const ask = async (name, body) =>
    (await fetch(url + name, { method: "POST", headers, body: JSON.stringify(body) })).json();
  let given = 0;
  for (let held; (held = (await ask("next/", { want: 8, have: [] })).assignments).length; ) {
    const events = held.map((one, seq) => {
      const letters = one.images.map((image) => image.letter);
      const shelves = Object.fromEntries(letters.map((letter, place) => [letter, 5 - place]));
      const order = letters.map((letter) => [letter]);
      const answer = { order, shelves, duels: [], flags: {}, flag: null, remark: "" };
      return { key: crypto.randomUUID(), assignment: one.uid, seq, kind: "submit", data: { answer }, at: Date.now() };
    });
    const told = await ask("events/", { events, want: 0, have: [] });
    if (told.refused.length) throw new Error(told.refused[0].error);
    given += events.length;
  }
  return given;
}"""


def test_a_group_on_which_two_disagree_gets_three_more_and_its_final_rank(person: Enter) -> None:
    """Letters are shuffled for everybody, so whoever ranks by the letters disagrees with the others on some groups."""
    admin = person("alice")
    admin.go("/studies/new/")
    admin.page.fill("[name=name]", DISPUTED)
    admin.page.select_option("[name=preset]", "group-rank")
    admin.page.select_option("[name=dataset]", label="Demo: photographs")
    admin.page.fill("[name=sample]", "4")
    admin.page.fill("[name=raters]", "2")
    admin.page.click("main form button.primary")
    admin.page.wait_for_url("**/studies/*-*/")
    address = admin.page.url.removeprefix(admin.address)
    work = f"/work/{address.removeprefix('/studies/')}"
    people = ("carol", "dan", "erin", "bob", "alice")
    for name in people:
        admin.go(f"{address}members/")
        admin.page.select_option("[name=user]", label=name)
        admin.page.click("form:has([name=user]) button.primary")
        admin.page.wait_for_selector(f"th:has-text('{name}')")
    given = []
    for name in people:
        somebody = admin if name == "alice" else person(name)
        somebody.go(work)
        given.append(somebody.page.evaluate(ANSWER, [work, token_of(somebody)]))
    asked = given[2]
    assert given[0] == given[1] > asked > 0, "the third is asked only where the first two disagree"
    assert given[2:] == [asked] * 3
    admin.go(f"{address}items/")
    counts = admin.page.locator("tbody tr td.num").all_inner_texts()
    done = sum(int(text.split()[0]) for text in counts if " of " in text)
    assert done == sum(given), counts
    row = next(place for place, text in enumerate(counts) if int(text.split()[0]) > 6)
    admin.page.locator("tbody tr").nth(row).locator("th a").click()
    final = admin.page.locator("section:has-text('5 complete rankings')").first
    final.wait_for()
    assert final.locator("tr:has-text('Mean rank') td.num").count() == 4
