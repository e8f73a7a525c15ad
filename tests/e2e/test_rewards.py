"""On the demo: the groups that simulated annotators ranked become a training set, an admin trains a reward model on it,
it orders held-out pairs better than a constant, in alignment better than the pixel difference, and then it scores
candidates as a judge."""

import re
from collections.abc import Callable

from tests.e2e.conftest import Person
from tests.e2e.test_calibration import shot

STUDY, SET, MODEL = "Rank edits of drawn scenes", "Ranked scenes", "Scenes"
LONG = 420_000
Enter = Callable[[str], Person]


def freeze(admin: Person) -> None:
    page = admin.page
    admin.go("/labelled-sets/new/")
    page.fill("[name=name]", SET)
    page.check(f"label:has-text('{STUDY}') input")
    with page.expect_navigation():
        page.click("button:has-text('Preview')")
    assert "imulat" in page.inner_text("main")
    shot(admin, "labelled-set-preview")
    with page.expect_navigation():
        page.click("button:has-text('Make the training set')")
    address = page.url
    page.click("main .badge + a")  # its job
    page.wait_for_selector("#job [data-state=succeeded]", timeout=LONG)
    page.goto(address)
    page.wait_for_selector(".badge.good:has-text('Ready')")
    assert "imulat" in page.inner_text("body")
    shot(admin, "labelled-set")


def train(admin: Person) -> None:
    page = admin.page
    admin.go("/reward-models/new/")
    page.select_option("[name=set]", label=SET)
    page.fill("[name=name]", MODEL)
    with page.expect_navigation():
        page.click("button:has-text('Start the training')")
    page.evaluate("window.loaded = 'once'")
    page.wait_for_selector("#job [data-state=succeeded]", timeout=LONG)
    page.wait_for_selector("#reward-figures tbody tr >> nth=5")
    assert page.evaluate("window.loaded") == "once", "curves must come without a reload"
    assert page.locator("#reward-loss svg").count() == 1
    assert page.locator("#reward-worst img").count() >= 2
    page.wait_for_selector("#reward-state a.button")
    shot(admin, "reward-training")
    with page.expect_navigation():
        page.click("#reward-state a.button")


def figures(admin: Person) -> dict[str, list[float]]:
    """Of each dimension, in the test part: accuracy, ends of its interval, and both baselines."""
    table = admin.page.locator("section.card.flush:has(h2:has-text('Test')) table").first
    rows = table.locator("tbody tr").all()
    found = {}
    for row in rows:
        numbers = re.findall(r"-?\d+\.\d+", row.inner_text())
        found[row.locator("th").inner_text()] = [float(one) for one in numbers[:5]]
    return found


def judge_with_it(admin: Person) -> None:
    page = admin.page
    with page.expect_navigation():
        page.click("form[action*='/judge/'] button")
    name = page.inner_text("h1")
    admin.go("/datasets/")
    page.click("text=Demo: calibration")
    page.goto(page.url.split("?")[0].rstrip("/") + "/score/")
    page.select_option("[name=judge]", label=name)
    for field in page.locator("select[name^=version_]").all():
        option = field.locator("option", has_text="Reward model")
        field.select_option(value=option.first.get_attribute("value"))
    with page.expect_navigation():
        page.click("main form button.primary")
    admin.go("/jobs/")
    page.click("main a:has-text('scores by Reward model') >> nth=0")
    page.wait_for_selector("#job [data-state=succeeded]", timeout=LONG)
    text = page.inner_text("main")
    assert re.search(r"Scored\s+\S+\s+288", text), text  # 48 cases of a task, six candidates each
    shot(admin, "reward-scores")


def test_a_reward_model_from_ranked_groups_to_a_judge(person: Enter) -> None:
    admin = person("alice")
    freeze(admin)
    train(admin)
    body = admin.page.inner_text("body")
    assert "imulat" in body
    shot(admin, "reward-model")
    reached = figures(admin)
    assert len(reached) == 6, "three dimensions, and the clear pairs of each"
    for dimension, (_accuracy, low, *_others) in reached.items():
        assert low > 0.5, f"better than a constant in {dimension}: {reached[dimension]}"
    assert reached["Editing alignment"][1] > reached["Editing alignment"][4], "its interval is above the baseline"
    judge_with_it(admin)
