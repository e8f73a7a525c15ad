"""The pages of a study: they show their figures, every number leads to its rows, and figures can be saved."""

import csv
import html
import io
import random
import re
from dataclasses import replace
from statistics import fmean
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.models import Case, Editor, Study
from annotation.protocols import PRESETS
from scoring.boards import kept, views
from scoring.boards.behind import behind, entries_of
from scoring.boards.standings import ALL, standings
from tests.scoring_boards.rows import judge, study, worth
from webapp.accounts.models import User

TABS = ("study", "study_agreement", "study_annotators", "study_leaderboard")
KEYS = ("quality", "alignment", "preservation")


@pytest.fixture
def browser(alice: User) -> Client:
    client = Client()
    client.force_login(alice)
    return client


def ranked_by_worth(made: Study, user: Any) -> None:
    def answer(unit: Any, candidate: Any) -> dict[str, float]:
        size = unit.item.candidates.count()
        place = size - sorted(worth(c) for c in unit.item.candidates.all()).index(worth(candidate))
        return {"rank": place, "score": float(worth(candidate))}

    judge(made, user, answer)


def rated_by_worth(made: Study, user: Any, less: float = 0) -> None:
    judge(made, user, lambda _u, c: {d.key: d.low + d.step * (1 + worth(c)) + less for d in made.protocol.dimensions})


def show(browser: Client, name: str, made: Study, query: str = "") -> str:
    answer = browser.get(reverse(name, args=[made.uid]) + query)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.parametrize("preset", PRESETS)
def test_it_works(browser: Client, carol: User, bob: User, preset: str) -> None:
    made = study(preset, (carol, bob))
    for name in TABS:
        assert "No judgements yet" in show(browser, name, made) or name == "study_annotators"
    rating = made.protocol.kind == "rating"
    for user in (carol, bob):
        rated_by_worth(made, user) if rating else ranked_by_worth(made, user)
    for name in TABS:
        text = re.sub(r"<[^>]*>", " ", show(browser, name, made))
        assert "nan" not in text.lower().split() and "None" not in text.split()
    assert show(browser, "study_leaderboard", made).index("Editor 2") < show(browser, "study_leaderboard", made).index(
        "Editor 0"
    )


# Numbers lead to their rows -----------------------------------------------------------------------------------------


def links(text: str, pattern: str) -> list[str]:
    return [html.unescape(found) for found in re.findall(rf'href="([^"]*{pattern}[^"]*)"', text)]


def test_every_number_of_the_leaderboard_leads_to_its_rows(browser: Client, carol: User, bob: User) -> None:
    made = study("mos", (carol, bob))
    for user, less in ((carol, 0.0), (bob, 0.1)):
        rated_by_worth(made, user, less)
    text = show(browser, "study_leaderboard", made)
    addresses = set(links(text, "/leaderboard/editor-"))
    assert {part for address in addresses for part in ("task=", "against=", "dimension=") if part in address} == {
        "task=", "against=", "dimension="
    }  # fmt: skip
    for address in addresses:
        answer = browser.get(address)
        assert answer.status_code == 200 and "Edit 0" in answer.content.decode(), address


@pytest.mark.parametrize("preset", ["mos", "group-rank", "pairwise"])
def test_the_rows_add_up_to_the_number(carol: User, bob: User, preset: str) -> None:
    """The mean of the rows' wins and scores is what the leaderboard says, in all and against one editor."""
    made = study(preset, (carol, bob), cases=4)
    chance = random.Random(7)

    def answer(unit: Any, candidate: Any) -> dict[str, float]:
        if preset == "mos":
            return {key: chance.randint(20, 30) / 10 for key in KEYS}
        if preset == "pairwise":
            best = unit.item.candidates.order_by("pk")[unit.pk % 2]
            return {"rank": 1 if candidate == best else 2}
        return {"rank": 1 + (candidate.pk + unit.pk) % 3, "score": chance.randint(0, 5)}

    for user in (carol, bob):
        judge(made, user, answer)
    found = standings(made, resamples=0)
    rival = Editor.objects.get(slug="editor-1")
    for dimension, part in found.parts.items():
        if dimension == ALL:
            continue
        for place, pk in enumerate(found.editors):
            maker = Editor.objects.get(pk=pk)
            told = [dict(row.cells)[dimension] for row in behind(made, list(entries_of(made, maker, "", None)), rival)]
            wins = [one.wins for one in told if one.wins is not None]
            assert fmean(wins) == pytest.approx(part.wins.value[place])
            other = found.editors.index(rival.pk)
            assert sum(one.met for one in told) == (part.met[place][other] if maker != rival else 0)
            assert sum(one.won for one in told) == (part.won[place][other] if maker != rival else 0)
            scores = [one.score for one in told if one.score is not None]
            assert (fmean(scores) if scores else None) == (pytest.approx(part.mos.value[place]) if scores else None)


def test_rows_of_groups_in_blocks_add_up_too(carol: User) -> None:
    protocol = replace(PRESETS["group-rank"], block=4, block_times=2, raters=1)
    made = study("group-rank", (carol,), cases=2, editors=6, protocol=protocol)
    judge(
        made, carol, lambda u, c: {"rank": 1 + sum(worth(o) > worth(c) for o in u.item.candidates.all()), "score": 1.0}
    )
    found = standings(made, resamples=0)
    assert found.parts["quality"].wins.value == [0, 1, 2, 3, 4, 5] and found.parts["quality"].groups == 2
    maker = Editor.objects.get(slug="editor-4")
    told = [dict(row.cells)["quality"] for row in behind(made, list(entries_of(made, maker, "", None)), None)]
    assert {one.wins for one in told} == {4} and {one.others for one in told} == {5}


def test_rows_are_those_of_the_task_and_of_cases_with_the_other_editor(browser: Client, carol: User) -> None:
    made = study("mos", (carol,))
    first = made.dataset.cases.order_by("pk").first()
    Case.objects.filter(pk=first.pk).update(task="remove")  # type: ignore[union-attr]
    made.items.filter(case=first, candidates__editor__slug="editor-0").delete()
    address = reverse("study_editor", args=[made.uid, "editor-1"])

    def cases(query: str) -> set[str]:
        return set(re.findall(r"Edit \d", browser.get(address + query).content.decode()))

    assert cases("") == {"Edit 0", "Edit 1", "Edit 2"}
    assert cases("?task=remove") == {"Edit 0"}
    assert cases("?task=add") == cases("?against=editor-0") == {"Edit 1", "Edit 2"}


@pytest.mark.parametrize(
    "slug",
    ["nobody", "editor-1?task=nothing", "editor-1?against=nobody", "\0", "editor-1?task=%00", "editor-1?against=%00"],
)
def test_rows_of_what_there_is_not_are_not_found(browser: Client, carol: User, slug: str) -> None:
    made = study("mos", (carol,), cases=1)
    name, _question, query = slug.partition("?")
    assert browser.get(reverse("study_editor", args=[made.uid, name]) + f"?{query}").status_code == 404


# Saving -------------------------------------------------------------------------------------------------------------


def saved(browser: Client, made: Study, tab: str, name: str, query: str = "") -> Any:
    return browser.get(reverse("study_figure_csv", args=[made.uid, tab, name]) + query)


def test_every_figure_on_a_page_can_be_saved_as_it_is_shown(browser: Client, carol: User, bob: User) -> None:
    made = study("group-rank", (carol, bob), notice="Demo data.")
    for user in (carol, bob):
        judge(made, user, lambda _u, c: {"rank": 1 + (c.pk % 3), "score": 2.0})
    for name in TABS:
        text = show(browser, name, made)
        charts, buttons = text.count('<svg class="board-chart'), text.count("data-save-svg")
        assert charts == buttons > 0
        for address in links(text, r"\.csv"):
            answer = browser.get(address)
            assert answer.status_code == 200 and answer["Content-Type"].startswith("text/csv")
            rows = list(csv.DictReader(io.StringIO(b"".join(answer).decode())))
            assert rows and {row["notice"] for row in rows} == {"Demo data."}
            assert 'filename="demo-' in answer["Content-Disposition"]


def test_what_is_saved_has_the_weights_of_the_page(browser: Client, carol: User) -> None:
    made = study("mos", (carol,))
    judge(made, carol, lambda _u, c: {"quality": 2, "alignment": 3, "preservation": 4 - worth(c)})
    query = "?weight_quality=1&weight_alignment=1&weight_preservation=0"
    text = show(browser, "study_leaderboard", made, query)
    assert "The weights add to 2." in re.sub(r"\s+", " ", text)
    (address,) = links(text, r"/leaderboard/overall\.csv")
    rows = list(csv.DictReader(io.StringIO(b"".join(browser.get(address)).decode())))
    assert {row["Overall"] for row in rows} == {"2.5"}


def test_a_simulation_says_so_in_the_file(browser: Client, carol: User) -> None:
    made = study("mos", (carol,))
    rated_by_worth(made, carol)
    Study.objects.filter(pk=made.pk).update(is_simulated=True)
    answer = saved(browser, made, "leaderboard", "overall")
    assert 'filename="simulation-' in answer["Content-Disposition"]
    assert "Simulat" in b"".join(answer).decode()


def test_an_editors_name_runs_nothing_in_a_spreadsheet(browser: Client, carol: User) -> None:
    made = study("mos", (carol,))
    rated_by_worth(made, carol)
    Editor.objects.filter(slug="editor-1").update(name='=HYPERLINK("http://x")')
    rows = b"".join(saved(browser, made, "leaderboard", "overall")).decode()
    assert "\"'=HYPERLINK" in rows


@pytest.mark.parametrize(("tab", "name"), [("overview", "none"), ("nothing", "days"), ("leaderboard", "overall")])
def test_a_figure_that_there_is_not_is_not_found(browser: Client, carol: User, tab: str, name: str) -> None:
    assert saved(browser, study("mos", (carol,), cases=1), tab, name).status_code == 404


# Refusals and cost --------------------------------------------------------------------------------------------------


def test_bad_weights_are_refused_on_the_page_and_nothing_breaks(browser: Client, carol: User) -> None:
    made = study("mos", (carol,))
    rated_by_worth(made, carol)
    for query in ("?weight_quality=-1", "?weight_quality=x", "?by=luck", "?dimension=%00", "?method=%F0%9F%98%80"):
        text = show(browser, "study_leaderboard", made, query)
        assert "the usual ones are shown below" in text
    text = show(browser, "study_leaderboard", made, "?weight_quality=0&weight_alignment=0&weight_preservation=0")
    assert "nothing is left to weigh" in text
    for query in ("?start=x", "?start=-1", "?start=99999999", "?start=٣", "?dimension=beauty"):
        show(browser, "study_annotators", made, query)


def test_the_moving_part_is_the_page_without_its_frame(browser: Client, carol: User) -> None:
    made = study("mos", (carol,))
    rated_by_worth(made, carol)
    for name in TABS[1:]:
        whole = show(browser, name, made)
        assert show(browser, name, made, "?part=1").strip() in whole
        assert 'data-now="?part=1"' in whole


@pytest.mark.parametrize(
    ("name", "most"), [("study", 20), ("study_agreement", 18), ("study_annotators", 18), ("study_leaderboard", 14)]
)
def test_a_page_costs_no_more_queries_for_more_judgements(
    browser: Client, carol: User, bob: User, name: str, most: int
) -> None:
    costs = []
    made = study("mos", (carol, bob), cases=6)
    for user in (carol, bob):
        rated_by_worth(made, user)
        show(browser, name, made)
        with CaptureQueriesContext(connection) as queries:
            show(browser, name, made)
        costs.append(len(queries))
    assert costs[0] == costs[1] <= most, [query["sql"][:100] for query in queries.captured_queries]


def test_the_rows_behind_a_number_cost_the_same_for_every_page(browser: Client, carol: User) -> None:
    costs = []
    for cases in (2, 8):
        made = study("mos", (carol,), cases=cases)
        rated_by_worth(made, carol)
        with CaptureQueriesContext(connection) as queries:
            browser.get(reverse("study_editor", args=[made.uid, "editor-1"]) + "?against=editor-0")
        costs.append(len(queries))
    assert costs[1] <= costs[0] <= 16


def test_figures_of_many_judgements_are_kept_and_say_of_when(
    browser: Client, carol: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes within the minute is not shown; after it, it is."""
    monkeypatch.setattr(kept, "LARGE", 1)
    monkeypatch.setattr(views, "LARGE_BOOTSTRAP", 1)
    made = study("mos", (carol, bob))
    rated_by_worth(made, carol)
    before = {name: show(browser, name, made) for name in TABS}
    assert all("computed once a minute at most" in text for text in before.values())
    judge(made, bob, lambda _u, c: dict.fromkeys(KEYS, 5.0 - worth(c)))
    part = "?part=1"
    for name in TABS[1:]:
        assert show(browser, name, made, part).strip() in before[name]
    with CaptureQueriesContext(connection) as queries:
        show(browser, "study_leaderboard", made)
    assert not [query for query in queries.captured_queries if "annotation_mark" in query["sql"]]
    monkeypatch.setattr(kept, "LARGE", 10_000)
    monkeypatch.setattr(views, "LARGE_BOOTSTRAP", 10_000)
    for name in TABS[1:]:
        assert show(browser, name, made, part).strip() not in before[name]
