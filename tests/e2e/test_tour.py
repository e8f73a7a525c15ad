"""The whole loop on the demo, in a browser, as docs/tutorial.md tells it: import, generate, rank, aggregate, calibrate,
filter, train a reward model, post-train the editor, benchmark it, show it to people blind. Settings are short ones: it
is the way that is tested here, and what each page shows. How far an editor gets is in docs/experiments.md."""

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from django.utils.text import slugify

from drawnworld.dataset import write_dataset
from tests.e2e.conftest import Person
from tests.e2e.test_calibration import mark, scored, shot
from tests.e2e.test_loop import rank_one_group
from tests.e2e.test_up import until

OWN, DEMO, CALIBRATION = "My scenes", "Demo: drawn world", "Demo: calibration"
STUDY, SET, MODEL = "Rank edits of drawn scenes", "Ranked scenes", "Scenes"
EDITOR, BENCHMARK = "Trained on the model", "Held-out scenes"
EMBEDDED = "Embedded judge of the drawn world"
ROUGH = "CPU editor: rough"
LONG = 420_000
Enter = Callable[[str], Person]


def finished(somebody: Person) -> None:
    """Until the job whose page this is has succeeded."""
    somebody.page.wait_for_selector("#job [data-state=succeeded]", timeout=LONG)


def open_dataset(somebody: Person, name: str, page: str = "") -> None:
    somebody.go("/datasets/")
    with somebody.page.expect_navigation():
        somebody.page.click(f"main a:has-text('{name}')")
    if page:
        somebody.page.goto(somebody.page.url.split("?")[0].rstrip("/") + page)


def press(somebody: Person, words: str) -> None:
    """A button or a link that leads to another page."""
    with somebody.page.expect_navigation():
        somebody.page.click(words)


def test_1_import_and_generate(person: Enter, tmp_path: Path) -> None:
    folder, archive = tmp_path / "scenes", tmp_path / "scenes.zip"
    write_dataset(folder, 77, 16, ("remove", "color"))
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*.*")):
            file.write(path, path.relative_to(folder))
    admin = person("alice")
    admin.go("/datasets/new/")
    admin.page.fill("[name=name]", OWN)
    admin.page.set_input_files("[name=archive]", archive)
    press(admin, "main form button.primary")
    finished(admin)
    open_dataset(admin, OWN, "/generate/")
    admin.page.check(f"label:has-text('{ROUGH}') input")
    admin.page.fill("[name=seeds]", "1")
    press(admin, "main form button.primary")
    finished(admin)
    assert admin.page.locator("#sheet figure").count() == 16
    shot(admin, "tour-1-generate")


def test_2_rank_and_aggregate(person: Enter) -> None:
    rank_one_group(person("carol"), "543210", STUDY)
    admin = person("alice")
    admin.go("/studies/")
    press(admin, f"text={STUDY}")
    admin.page.wait_for_selector("#editors tbody tr")
    body = admin.page.inner_text("body")
    assert "imulated annotators" in body
    assert "People have judged, too" in body
    shot(admin, "tour-2-aggregate")


def test_3_calibrate(person: Enter) -> None:
    engineer = person("bob")
    engineer.go("/calibrations/new/")
    engineer.page.select_option("[name=prompt]", "hp-color")
    people = engineer.page.locator("[name=people] option", has_text="Score edits of drawn scenes: Overall")
    engineer.page.select_option("[name=people]", people.get_attribute("value"))
    engineer.page.select_option("[name=judge]", "embedded-judge")
    press(engineer, "main form button.primary")
    press(engineer, "#start")
    mark(engineer)
    assert scored(engineer) > 0.3
    shot(engineer, "tour-3-calibrate")


def is_scored(somebody: Person) -> bool:
    """Whether the page of scores, loaded again, has all of them."""
    somebody.page.reload()
    text = somebody.page.inner_text("main")
    return "Would go" in text and "These figures move" not in text


def test_4_filter(person: Enter) -> None:
    engineer = person("bob")
    open_dataset(engineer, OWN, "/score/")
    engineer.page.select_option("[name=judge]", label=EMBEDDED)
    press(engineer, "main form button.primary")
    open_dataset(engineer, OWN, "/scores/")
    until(lambda: is_scored(engineer), 300)
    assert "Demo judge, not a VLM" in engineer.page.inner_text("body")
    engineer.page.select_option("[name=by]", "mean")
    for field in engineer.page.locator("[name^=threshold_]").all():
        field.fill("3.8")
    press(engineer, "button:has-text('Preview')")
    goes = int(engineer.page.inner_text(".figure:has-text('Would go') dd >> nth=0"))
    assert 0 < goes < 16
    shot(engineer, "tour-4-filter")
    engineer.page.fill("[name=name]", "Hard scenes")
    press(engineer, "button:has-text('Make the filtered set')")
    finished(engineer)
    open_dataset(engineer, "Hard scenes")
    assert engineer.page.inner_text(".figure:has-text('Cases') dd >> nth=0") == str(16 - goes)


def freeze(admin: Person) -> None:
    page = admin.page
    admin.go("/labelled-sets/new/")
    page.fill("[name=name]", SET)
    page.check(f"label:has-text('{STUDY}') input")
    press(admin, "button:has-text('Preview')")
    assert "imulat" in page.inner_text("main")
    shot(admin, "labelled-set-preview")
    press(admin, "button:has-text('Make the training set')")
    address = page.url
    page.click("main .badge + a")  # its job
    finished(admin)
    page.goto(address)
    page.wait_for_selector(".badge.good:has-text('Ready')")
    assert "imulat" in page.inner_text("body")
    shot(admin, "labelled-set")


def train(admin: Person) -> None:
    page = admin.page
    admin.go("/reward-models/new/")
    page.select_option("[name=set]", label=SET)
    page.fill("[name=name]", MODEL)
    press(admin, "button:has-text('Start the training')")
    page.evaluate("window.loaded = 'once'")
    finished(admin)
    page.wait_for_selector("#reward-figures tbody tr >> nth=5")
    assert page.evaluate("window.loaded") == "once", "curves must come without a reload"
    assert page.locator("#reward-loss svg").count() == 1
    assert page.locator("#reward-worst img").count() >= 2
    page.wait_for_selector("#reward-state a.button")
    shot(admin, "reward-training")
    press(admin, "#reward-state a.button")


def figures(admin: Person) -> dict[str, list[float]]:
    """Of each dimension, in the test part: accuracy, ends of its interval, and both baselines."""
    table = admin.page.locator("section.card.flush:has(h2:has-text('Test')) table").first
    found = {}
    for row in table.locator("tbody tr").all():
        numbers = re.findall(r"-?\d+\.\d+", row.inner_text())
        found[row.locator("th").inner_text()] = [float(one) for one in numbers[:5]]
    return found


def judge_with_it(admin: Person) -> None:
    page = admin.page
    press(admin, "form[action*='/judge/'] button")
    name = page.inner_text("h1")
    open_dataset(admin, CALIBRATION, "/score/")
    page.select_option("[name=judge]", label=name)
    for field in page.locator("select[name^=version_]").all():
        option = field.locator("option", has_text="Reward model")
        field.select_option(value=option.first.get_attribute("value"))
    press(admin, "main form button.primary")
    admin.go("/jobs/")
    page.click("main a:has-text('scores by Reward model') >> nth=0")
    finished(admin)
    text = page.inner_text("main")
    assert re.search(r"Scored\s+\S+\s+288", text), text  # 48 cases of a task, six candidates each
    shot(admin, "reward-scores")


def test_5_a_reward_model_from_ranked_groups_to_a_judge(person: Enter) -> None:
    """It orders held-out pairs better than a constant, in alignment better than the pixel difference."""
    admin = person("alice")
    freeze(admin)
    train(admin)
    assert "imulat" in admin.page.inner_text("body")
    shot(admin, "reward-model")
    reached = figures(admin)
    assert len(reached) == 6, "three dimensions, and the clear pairs of each"
    for dimension, (_accuracy, low, *_others) in reached.items():
        assert low > 0.5, f"better than a constant in {dimension}: {reached[dimension]}"
    assert reached["Editing alignment"][1] > reached["Editing alignment"][4], "its interval is above the baseline"
    judge_with_it(admin)


def choose(somebody: Person, field: str, words: str) -> None:
    """The first choice of a select that has these words."""
    option = somebody.page.locator(f"[name={field}] option", has_text=words).first
    somebody.page.select_option(f"[name={field}]", option.get_attribute("value"))


def test_6_post_train_the_editor(person: Enter) -> None:
    admin = person("alice")
    page = admin.page
    admin.go("/runs/new/")
    page.fill("[name=name]", EDITOR)
    page.select_option("[name=base]", label=ROUGH)
    page.select_option("[name=dataset]", label=DEMO)
    choose(admin, "reward_1", MODEL)
    choose(admin, "held_out_1", f"{EMBEDDED} with each task")
    for name, value in {"rounds": 4, "groups": 4, "group": 6}.items():
        page.fill(f"[name={name}]", str(value))
    page.click("summary:has-text('Advanced')")
    page.fill("[name=look_every]", "2")
    page.fill("[name=look_cases]", "16")
    press(admin, "button:has-text('Estimate and check')")
    page.wait_for_selector("text=Nothing speaks against it.")
    shot(admin, "tour-6-new-run")
    press(admin, "button:has-text('Start the run')")
    page.evaluate("window.loaded = 'once'")
    finished(admin)
    page.wait_for_selector("#run-state a.primary", timeout=LONG)
    assert page.evaluate("window.loaded") == "once", "curves must come without a reload"
    assert page.locator("#run-curves svg").count() >= 6
    assert page.locator("#run-samples img").count() >= 6
    assert page.locator("#run-gains tbody tr").count() >= 2  # the trained judge and the one held out
    body = page.inner_text("body")
    assert "imulat" in body
    assert "Demo judge, not a VLM" in body
    shot(admin, "tour-6-run")
    press(admin, "#run-state a.primary")
    with page.expect_download() as download:
        page.click("main a:has-text('Download the LoRA')")
    assert Path(download.value.path()).stat().st_size > 10_000
    shot(admin, "tour-6-trained-editor")


def test_7_benchmark_it(person: Enter) -> None:
    admin = person("alice")
    page = admin.page
    admin.go("/editor-benchmarks/new/")
    page.fill("[name=name]", BENCHMARK)
    page.select_option("[name=style]", "hp")
    page.select_option("[name=dataset]", label=DEMO)
    page.select_option("[name=split]", "test")
    for name in (ROUGH, EDITOR):
        page.check(f"label:has-text('{name}') input")
    page.select_option("[name=base]", label=ROUGH)
    page.select_option("[name=judge]", label=EMBEDDED)
    press(admin, "button:has-text('Make the benchmark')")
    press(admin, "button:has-text('Fill what is missing')")
    page.wait_for_selector("#benchmark-progress .badge.good:has-text('Complete')", timeout=LONG)
    page.reload()
    row = page.locator("table.editors tbody tr", has_text=EDITOR)
    assert re.search(r"\d\.\d", row.inner_text())
    assert page.locator("text=printed").count() > 3
    shot(admin, "tour-7-benchmark")
    press(admin, "a:has-text('Gallery by change')")
    assert page.locator("main img").count() >= 6
    shot(admin, "tour-7-gallery")


def begin_proof(admin: Person) -> str:
    """The proof's address."""
    page = admin.page
    admin.go(f"/trained-editors/{slugify(EDITOR)}/")
    press(admin, "#blind-proofs a.button")
    page.fill("[name=cases]", "8")
    page.check("label:has-text('carol') input")
    page.check("[name=later]")
    page.uncheck("[name=ratings]")
    press(admin, "button:has-text('Show people, blind')")
    page.wait_for_selector("#proof a.button.small:has-text('Compare')", timeout=LONG)
    return page.url


def simulate(admin: Person) -> None:
    for field in admin.page.locator("#simulate input[type=number]").all():
        field.fill("2" if field.get_attribute("name") == "honest" else "0")
    admin.page.fill("#simulate [name=seed]", "1")
    press(admin, "#simulate button")
    finished(admin)


@pytest.mark.usefixtures("application")
def test_8_show_it_to_people_blind(person: Enter) -> None:
    admin, annotator = person("alice"), person("carol")
    address = begin_proof(admin)
    study = admin.page.inner_text("#proof a.button.small:has-text('Compare')")
    annotator.open_study(study)
    assert "trained" not in annotator.page.content().lower()
    for done in range(3):
        annotator.drawn()
        annotator.keys("ArrowLeft")
        annotator.until_done(done + 1)
    annotator.saved()
    press(admin, f"#proof a.button.small:has-text('{study}')")
    simulate(admin)
    admin.page.goto(address)
    admin.page.wait_for_selector("#proof .figures")
    text = admin.page.inner_text("body")
    assert "imulat" in text
    assert re.search(r"\d+ % \[|not distinguishable|\d+ %", text)
    shot(admin, "tour-8-proof")
