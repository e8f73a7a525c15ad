"""The main job, in browsers: three annotators rank and rate by keyboard, an admin watches and exports.

Every exported number is computed again here in plain Python, from the keys that were pressed and the exported raw rows.
"""

import csv
import io
import statistics
import zipfile
from collections import defaultdict
from collections.abc import Callable
from itertools import combinations
from typing import Any

import pytest

from tests.e2e.conftest import Person

RANK, RATE = "Rank edits of photographs", "Rate edits of photographs"
ANNOTATORS = ("carol", "dan", "erin")
SHELVES = {"carol": "543210", "dan": "553311", "erin": "444221"}  # digits for the images in their order of display
RATED = 10
Enter = Callable[[str], Person]


def answer_duels(somebody: Person) -> None:
    """The left one, always: the confirm strip shows what comes of it, and that is what is submitted."""
    while somebody.mode() == "duels":
        before = somebody.page.inner_text("#stage")
        somebody.keys("ArrowLeft")
        somebody.page.wait_for_function(
            "before => document.body.dataset.mode !== 'duels' || document.getElementById('stage').innerText !== before",
            arg=before,
        )


def rank_one_group(somebody: Person, shelves: str, study: str = RANK) -> None:
    """Three passes over one group, one a dimension, by keyboard alone."""
    somebody.open_study(study)
    start = somebody.done()
    for dimension in range(3):
        somebody.page.wait_for_selector('body[data-mode="shelves"]')
        somebody.drawn()
        somebody.keys(*shelves)
        somebody.page.wait_for_selector('body[data-mode="duels"], body[data-mode="confirm"]')
        answer_duels(somebody)
        somebody.page.wait_for_selector('body[data-mode="confirm"]')
        somebody.keys("Enter")
        somebody.until_done(start + dimension + 1)


def rate_items(somebody: Person, offset: int) -> list[tuple[float, float, float]]:
    """Ten edits, three dimensions each: digits, Tab, Enter. Returns the scores in the order of the dimensions."""
    somebody.open_study(RATE)
    given = []
    for number in range(RATED):
        somebody.drawn()
        scores = [1 + (number + offset + step) % 5 for step in range(3)]
        somebody.keys(str(scores[0]), "Tab", str(scores[1]), "Tab", str(scores[2]), "Enter")
        somebody.until_done(number + 1)
        given.append((float(scores[0]), float(scores[1]), float(scores[2])))
    somebody.saved()
    return given


def export(admin: Person, study: str, table: str, kind: str = "csv") -> tuple[list[dict[str, str]], str, bytes]:
    """Start an export on the study's page, wait for its job, download: rows, README, the zip's bytes."""
    admin.go("/studies/")
    admin.page.click(f"text={study}")
    admin.page.select_option("[name=table]", table)
    admin.page.select_option("[name=format]", kind)
    if table == "mos":
        admin.page.select_option("[name=method]", "mean")
        admin.page.select_option("[name=outliers]", "none")
    admin.page.click("form:has([name=table]) button.primary")
    admin.page.wait_for_selector("#job a:has-text('Download')")
    with admin.page.expect_download() as download:
        admin.page.click("#job a:has-text('Download')")
    data = open(download.value.path(), "rb").read()  # noqa: SIM115
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        text = archive.read(f"{table}.{kind}").decode()
        note = archive.read("README.md").decode()
    return list(csv.DictReader(io.StringIO(text))), note, data


@pytest.fixture(scope="module")
def judged() -> dict[str, Any]:
    """What the first test leaves for the others: the scores that each annotator gave."""
    return {}


def test_annotators_work_by_keyboard_while_an_admin_watches(person: Enter, judged: dict[str, Any]) -> None:
    admin = person("alice")
    admin.go("/studies/")
    admin.page.click(f"text={RATE}")
    assert admin.page.inner_text("#done") == "0"
    admin.page.evaluate("window.mark = 'not loaded again'")
    for offset, name in enumerate(ANNOTATORS):
        somebody = person(name)
        rank_one_group(somebody, SHELVES[name])
        judged[name] = rate_items(somebody, offset)
    total = str(RATED * len(ANNOTATORS))
    admin.page.wait_for_function("total => document.getElementById('done').textContent === total", arg=total)
    admin.page.wait_for_selector("#editors tbody tr")
    assert admin.page.evaluate("window.mark") == "not loaded again"


def test_exported_ratings_are_the_keys_that_were_pressed(person: Enter, judged: dict[str, Any]) -> None:
    admin = person("alice")
    rows, note, _data = export(admin, RATE, "ratings")
    assert len(rows) == 3 * RATED * len(ANNOTATORS)
    dimensions = ("quality", "alignment", "preservation")
    by_annotator: dict[str, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        by_annotator[row["annotator"]][row["candidate"]][row["dimension"]] = float(row["score"])
        assert float(row["seconds"]) > 0
        assert row["extra"] == "false"
    found = sorted(
        sorted(tuple(scores[dimension] for dimension in dimensions) for scores in candidates.values())
        for candidates in by_annotator.values()
    )
    assert found == sorted(sorted(given) for given in judged.values())
    assert "Demo data" in note
    means = defaultdict(list)
    for row in rows:
        means[row["candidate"], row["dimension"]].append(float(row["score"]))
    mos, note, _data = export(admin, RATE, "mos")
    assert "Method: mean" in note
    assert {(row["candidate"], row["dimension"]) for row in mos} == set(means)
    for row in mos:
        scores = means[row["candidate"], row["dimension"]]
        assert float(row["mos"]) == pytest.approx(statistics.mean(scores))
        assert int(row["n"]) == len(scores)
        if len(scores) > 1:
            assert float(row["std"]) == pytest.approx(statistics.stdev(scores))
        else:
            assert row["std"] == ""


def test_exported_pairs_follow_from_the_rankings(person: Enter) -> None:
    admin = person("alice")
    rows, _note, _data = export(admin, RANK, "rankings")
    assert len(rows) == 6 * 3 * len(ANNOTATORS)
    shelves = defaultdict(list)
    ranks: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        shelves[row["annotator"], row["dimension"]].append(int(float(row["shelf"])))
        ranks[row["group"], row["dimension"]][row["candidate"]].append(float(row["rank"]))
    wanted = sorted(sorted(map(int, digits)) for digits in SHELVES.values() for _dimension in range(3))
    assert sorted(sorted(found) for found in shelves.values()) == wanted
    expected = {}
    for (group, dimension), candidates in ranks.items():
        mean = {candidate: statistics.mean(places) for candidate, places in candidates.items()}
        for one, other in combinations(sorted(mean), 2):
            better, worse = (one, other) if mean[one] < mean[other] else (other, one)
            expected[group, dimension, frozenset((one, other))] = (mean[worse] - mean[better], better)
    pairs, _note, first = export(admin, RANK, "pairs")
    assert len(pairs) == len(expected)
    for pair in pairs:
        gap, better = expected[pair["group"], pair["dimension"], frozenset((pair["better"], pair["worse"]))]
        assert float(pair["gap"]) == pytest.approx(gap)
        assert (pair["tie"] == "true") == (gap == 0)
        assert gap == 0 or pair["better"] == better
    _pairs, _note, second = export(admin, RANK, "pairs")
    assert first == second


def test_nothing_that_names_an_editor_reaches_an_annotators_browser(person: Enter) -> None:
    somebody = person("carol")
    heard: list[str] = []

    def listen(response: Any) -> None:
        if "json" in response.headers.get("content-type", "") or "html" in response.headers.get("content-type", ""):
            heard.append(response.text())

    somebody.page.on("response", listen)
    somebody.open_study(RATE)
    somebody.keys("3")
    somebody.saved()
    said = " ".join([*heard, somebody.page.content()]).lower()
    for word in ("careful", "timid", "leaky", "overdone", "classical-", '"seed"', "settings"):
        assert word not in said, word
