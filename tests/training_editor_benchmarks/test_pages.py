"""The pages of benchmarks of editors: figures, order, the gallery, the file, refusals, and what they cost."""

import csv
import io
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.models import Case, Editor
from tests.training_editor_benchmarks import rows
from tests.training_proof import make
from training.editor_benchmarks import queries as queries_of
from training.models import EditorBenchmark, Stage, Style
from webapp.jobs.models import Job


@pytest.fixture
def page(client: Client, bob: Any) -> Client:
    client.force_login(bob)
    return client


def scored(cases: int = 4, **more: Any) -> EditorBenchmark:
    data = rows.dataset(cases=cases, notice="Demo data.")
    made = rows.benchmark(data, **more)
    base, other = rows.editors_of(data)
    rows.score(made, base, [float(place % 3) for place in range(cases)])
    rows.score(made, other, [float(place % 3) + 0.5 * (place % 4) for place in range(cases)])
    return made


def at(name: str, made: EditorBenchmark, query: str = "") -> str:
    return reverse(name, args=[made.slug]) + query


def test_it_works(page: Client) -> None:
    made = scored()
    response = page.get(at("editor_benchmark", made))
    html = response.content.decode()
    assert [row.editor.slug for row in response.context["rows"]] == ["editor-1", "editor-0"]
    assert [cell.text for cell in response.context["rows"][0].cells] == ["1.50", "+0.75"]
    for words in ("Demo data.", "A demo judge.", "Complete", "As printed in HP-Edit", "overall-add v1"):
        assert words in html, words


def test_the_table_is_sorted_by_the_server(page: Client) -> None:
    made = scored()

    def order(query: str) -> list[str]:
        return [row.editor.slug for row in page.get(at("editor_benchmark", made, query)).context["rows"]]

    assert order("?sort=overall") == ["editor-0", "editor-1"]
    assert order("?sort=-name") == ["editor-1", "editor-0"]
    assert order("?sort=name") == ["editor-0", "editor-1"]
    assert order("?sort=nonsense") == order("?sort=-overall") == ["editor-1", "editor-0"]
    heads = page.get(at("editor_benchmark", made, "?sort=-overall")).context["heads"]
    assert [(head.key, head.query, head.sorted) for head in heads[:2]] == [
        ("name", "?sort=name", ""),
        ("overall", "?sort=overall", "descending"),
    ]


def test_an_editor_without_a_figure_comes_last(page: Client) -> None:
    data = rows.dataset(cases=2)
    made = rows.benchmark(data)
    rows.score(made, rows.editors_of(data)[1], [1, 1])
    for query in ("?sort=overall", "?sort=-overall"):
        found = page.get(at("editor_benchmark", made, query)).context["rows"]
        assert [row.editor.slug for row in found] == ["editor-1", "editor-0"]
    assert "2 not scored" in page.get(at("editor_benchmark", made)).content.decode()


def test_a_column_for_each_task_and_a_radar(page: Client) -> None:
    data = rows.dataset(cases=6)
    for place, case in enumerate(data.cases.order_by("pk")):
        case.task_id = ("add", "remove", "color")[place % 3]
        case.save()
    made = rows.benchmark(data, Style.GEDIT)
    for name, version in rows.gedit().items():
        for place, editor in enumerate(rows.editors_of(data)):
            rows.score(made, editor, [9 - 3 * place - (name == "pq")] * 6, by=version)
    response = page.get(at("editor_benchmark", made))
    keys = [head.key for head in response.context["heads"]]
    assert keys[:5] == ["name", "overall", "sc", "pq", "change"]
    assert sorted(keys[5:]) == ["add", "color", "remove"]
    assert [shape.name for shape in response.context["radar"].shapes] == ["Editor 0", "Editor 1"]
    assert 'class="shape s0"' in response.content.decode()


def test_printed_tables_of_each_style_are_marked(page: Client) -> None:
    data = rows.dataset(cases=1)
    for style, table in ((Style.GEDIT, "Table 3, CN"), (Style.DREAM, "Table S3"), (Style.HP, "Table S1")):
        html = page.get(at("editor_benchmark", rows.benchmark(data, style))).content.decode()
        assert table in html
        assert 'HP-Edit <span class="badge">printed</span>' in html or style == Style.HP


def test_the_moving_part_shows_the_jobs(page: Client) -> None:
    data = rows.dataset(cases=2)
    made = rows.benchmark(data)
    assert page.post(at("fill_editor_benchmark", made)).status_code == 302
    html = page.get(at("editor_benchmark_now", made)).content.decode()
    assert "data-look" in html
    assert Job.objects.get().title in html
    assert "0 of 4 images scored" in html


def test_filling_says_why_not(page: Client) -> None:
    response = page.post(at("fill_editor_benchmark", scored()))
    assert "Nothing is missing." in response.content.decode()
    response = page.post(at("fill_editor_benchmark", rows.benchmark(rows.dataset(cases=1))), {"most_cost": "-1"})
    assert "A limit is more than 0." in response.content.decode()
    assert not Job.objects.exists()


def test_a_new_one_from_the_form(page: Client) -> None:
    data = rows.dataset(cases=2)
    rows.version()
    values = {
        "name": "From the form",
        "style": "hp",
        "dataset": data.slug,
        "split": "",
        "language": "en",
        "editors": ["editor-0", "editor-1"],
        "base": "editor-0",
        "judge": rows.judge().slug,
        "seeds": "1",
    }
    address = reverse("new_editor_benchmark")
    assert "editor-0" in page.get(address, {"editor": "editor-0", "base": "editor-0"}).content.decode()
    assert "Choose the judge" in page.post(address, {**values, "judge": ""}).content.decode()
    bad = page.post(address, {**values, "style": "dream", "dino": "../x", "clip": "/y"}).content.decode()
    assert "an absolute folder" in bad
    assert page.post(address, {**values, "seeds": "0"}).status_code == 200
    assert not EditorBenchmark.objects.exists()
    response = page.post(address, values)
    assert response["Location"] == reverse("editor_benchmark", args=["from-the-form"])


def test_the_editors_are_changed_by_who_made_it(page: Client, bob: Any) -> None:
    made = scored(created_by=bob)
    address = at("change_editor_benchmark", made)
    assert page.post(address, {"editors": ["editor-1"], "base": "editor-0"}).status_code == 200
    assert made.editors.count() == 2
    assert page.post(address, {"editors": ["editor-1"], "base": "editor-1"}).status_code == 302
    assert made.editors.get().slug == "editor-1"


def test_one_that_is_being_filled_is_not_deleted(page: Client, bob: Any) -> None:
    made = scored(created_by=bob)
    EditorBenchmark.objects.update(stage=Stage.SCORES)
    assert "being filled" in page.post(at("delete_editor_benchmark", made), follow=True).content.decode()
    EditorBenchmark.objects.update(stage="")
    assert page.post(at("delete_editor_benchmark", made)).status_code == 302
    assert not EditorBenchmark.objects.exists()


# Gallery and file ----------------------------------------------------------------------------------------------------


def test_the_gallery_goes_by_the_change_in_both_directions(page: Client) -> None:
    made = scored(cases=4)
    gains = page.get(at("editor_benchmark_gallery", made))
    assert [pair.change for pair in gains.context["pairs"]] == ["+1.50", "+1.00", "+0.50", "+0.00"]
    losses = page.get(at("editor_benchmark_gallery", made, "?up=1"))
    assert [pair.change for pair in losses.context["pairs"]] == ["+0.00", "+0.50", "+1.00", "+1.50"]
    first = gains.context["pairs"][0]
    assert (first.case.key, first.base_score, first.other_score) == ("case-003", "0.00", "1.50")
    assert (first.base.editor.slug, first.other.editor.slug) == ("editor-0", "editor-1")
    assert "Demo data." in gains.content.decode()


def test_the_gallery_goes_on_after_a_key(page: Client) -> None:
    """Every case once, in order, whatever became of the key meanwhile."""
    made = scored(cases=15)
    first = page.get(at("editor_benchmark_gallery", made)).context
    second = page.get(at("editor_benchmark_gallery", made, f"?after={first['next']}")).context
    keys = [pair.case.key for found in (first, second) for pair in found["pairs"]]
    assert (len(first["pairs"]), len(keys), len(set(keys)), second["next"]) == (12, 15, 15, None)
    for wrong in ("999999", "x", "-1", "²"):
        assert len(page.get(at("editor_benchmark_gallery", made, f"?after={wrong}")).context["pairs"]) == 12


def test_a_gallery_needs_two_editors(page: Client) -> None:
    made = scored()
    assert page.get(at("editor_benchmark_gallery", made, "?editor=editor-0")).status_code == 404  # the base itself
    assert page.get(at("editor_benchmark_gallery", made, "?editor=nobody")).status_code == 404
    EditorBenchmark.objects.update(base=None)
    assert page.get(at("editor_benchmark_gallery", made)).status_code == 404
    assert page.get(at("editor_benchmark", made)).status_code == 200


def test_a_gallery_without_scores_says_so(page: Client) -> None:
    html = page.get(at("editor_benchmark_gallery", rows.benchmark(rows.dataset(cases=1)))).content.decode()
    assert "Nothing to compare yet" in html


def test_the_file_has_every_figure_and_what_must_be_said(page: Client) -> None:
    made = scored()
    response = page.get(at("editor_benchmark_table", made, "?set=common"))
    lines = list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))
    assert {(line["editor"], line["figure"], line["task"]) for line in lines} == {
        (editor, figure, task)
        for editor, figure in (("editor-0", "score"), ("editor-1", "score"), ("editor-1", "change"))
        for task in ("", "add")
    }
    change = next(line for line in lines if (line["figure"], line["task"]) == ("change", ""))
    assert (float(change["value"]), change["cases"], change["base"], change["n"]) == (0.75, "common", "editor-0", "4")
    assert all(line["notice"] == "Demo data. A demo judge." for line in lines)


def test_it_says_what_a_training_has_seen(page: Client) -> None:
    made = scored()
    card = make.card(made.dataset, learned=["case-000"], looked=["case-001", "case-002"])
    Editor.objects.filter(pk=card.editor_id).update(notice="A rough <editor>.")
    words = "“Editor 1” learned from the source images of 1 of these cases."
    assert words in page.get(at("editor_benchmark", made)).content.decode()
    assert words in queries_of.rows_of(card.editor)[0].exposed and not queries_of.rows_of(card.base)[0].exposed
    lines = csv.DictReader(io.StringIO(page.get(at("editor_benchmark_table", made)).content.decode("utf-8-sig")))
    told = {line["editor"]: (line["cases_learned_from"], line["cases_looked_at"]) for line in lines}
    assert told == {"editor-0": ("", ""), "editor-1": ("1", "2")}
    gallery = page.get(at("editor_benchmark_gallery", made, "?after=" + "9" * 5000))
    assert gallery.status_code == 200 and "A rough &lt;editor&gt;." in gallery.content.decode()


# Lists and budgets ---------------------------------------------------------------------------------------------------


def test_the_list_says_what_there_is(page: Client) -> None:
    assert "No benchmark of editors yet" in page.get(reverse("editor_benchmarks")).content.decode()
    made = scored()
    html = page.get(reverse("editor_benchmarks")).content.decode()
    for words in (made.name, "RealPref-Bench", "Demo data.", "A demo judge."):
        assert words in html


def queries(page: Client, address: str) -> int:
    page.get(address)  # once without counting: sessions and caches
    with CaptureQueriesContext(connection) as found:
        assert page.get(address).status_code == 200
    return len(found)


@pytest.mark.parametrize(("name", "most"), [("editor_benchmark", 30), ("editor_benchmark_gallery", 16)])
def test_a_page_costs_the_same_for_more_cases(page: Client, name: str, most: int) -> None:
    few, many = (queries(page, at(name, scored(cases))) for cases in (2, 8))
    assert few == many <= most
    assert Case.objects.count() == 10


def test_the_list_costs_the_same_for_more_rows(page: Client) -> None:
    scored()
    few = queries(page, reverse("editor_benchmarks"))
    for _number in range(3):
        scored()
    assert queries(page, reverse("editor_benchmarks")) == few <= 12
