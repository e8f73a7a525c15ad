"""Pages of sweeps: list, grid, curves, table, CSV; what they cost."""

import csv
import io
import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.library import ensure_editor
from tests.training_runs import rows, sweep_rows
from tests.web import text_of
from training.models import Sweep, TrainedEditor
from training.runs.sweeps import queries
from training.runs.sweeps.plan import REWARD, Axis
from webapp.accounts.models import User
from webapp.jobs.models import Job


def done(job: Job, gain: float) -> None:
    look = rows.look(10, gain, gain / 2)
    told = {"round": look["round"], "judges": look["judges"]}
    summary = {"looks": {"last": told}, "cpu_seconds": 123.4, "images_per_second": 9.61, "missing": 0.0625}
    Job.objects.filter(pk=job.pk).update(state="succeeded", summary=summary)


@pytest.fixture
def sweep(alice: User) -> Sweep:
    """Ranks × seeds: the first is done, the second is at work and was looked at once, the third failed."""
    made = sweep_rows.sweep(alice, notice="Demo data.")
    first, second, third = (run.job for run in made.runs.select_related("job")[:3])
    done(first, 0.4)
    editor = ensure_editor(slug="better", name="Better", module="drawn", settings={"base": "rough"})
    TrainedEditor.objects.create(editor=editor, base=rows.base("rough-cpu"), job=first, config={})
    look = rows.look(5, 0.3, -0.25)
    Job.objects.filter(pk=second.pk).update(summary={"last_look": {"round": 5, "judges": look["judges"]}})
    rows.write_events(first, rows.events())
    Job.objects.filter(pk=third.pk).update(state="failed")
    return made


def test_the_page_shows_the_grid_with_state_and_last_gain(browser: Client, sweep: Sweep) -> None:
    page = text_of(browser.get(sweep.get_absolute_url()))
    assert "Demo data." in page and "6 runs" in page
    grid = page.split('id="sweep-grid"')[1].split("</section>")[0]
    lines = re.findall(r"<tr>(.*?)</tr>", grid.split("<tbody>")[1])
    assert [re.search(r'<th scope="row">(\d+)', line)[1] for line in lines] == ["8", "32", "128"]  # type: ignore[index]
    assert [line.count("<td") for line in lines] == [2, 2, 2]
    assert "<strong>0.200</strong>" in lines[0] and "[0.100, 0.300]" in lines[0]  # by the held-out judge
    assert 'class="num worse"' in lines[0] and "<strong>-0.250</strong>" in lines[0]
    assert "Failed" in lines[1] and "Running" in lines[2]


def test_the_table_has_the_final_figures(browser: Client, sweep: Sweep) -> None:
    page = text_of(browser.get(sweep.get_absolute_url()))
    line = re.findall(r"<tr>(.*?)</tr>", page.split('id="sweep-table"')[1].split("<tbody>")[1])[0]
    for words in (
        "lora_rank 8, seed 1",
        "0.400",
        "[0.300, 0.500]",
        "Judge A",
        "0.200",
        "Judge B",
        "123",
        "9.61",
        "6.3",
    ):
        assert words in line, words
    assert 'href="/trained-editors/better/"' in line


def test_curves_are_overlaid_in_pages_of_six(browser: Client, alice: User) -> None:
    many = Axis("seed", tuple(range(8)), tuple(map(str, range(8))))
    made = sweep_rows.sweep(alice, (many,))
    for run in made.runs.select_related("job"):
        rows.write_events(run.job, rows.events())
    first = (
        text_of(browser.get(made.get_absolute_url())).split('id="sweep-curves"')[1].split("</section> <section id=")[0]
    )
    assert "Reward in training" in first and "Gain on the fixed cases: Judge B" in first
    assert "1: seed 0" in first and "6: seed 5" in first and "7: seed 6" not in first
    second = text_of(browser.get(made.get_absolute_url(), {"curves": "2"}))
    assert "7: seed 6" in second and "8: seed 7" in second and "1: seed 0" not in second
    assert second.count('aria-current="page"') >= 1
    for wrong in ("0", "99", "x", "²"):
        assert browser.get(made.get_absolute_url(), {"curves": wrong}).status_code == 200


def test_the_moving_part_comes_alone(browser: Client, sweep: Sweep) -> None:
    page = text_of(browser.get(reverse("sweep_now", args=[sweep.slug])))
    assert "<html" not in page and 'id="sweep-grid"' in page and "data-look" in page
    Job.objects.update(state="succeeded")
    assert "data-look" not in text_of(browser.get(reverse("sweep_now", args=[sweep.slug])))


def test_runs_whose_fixed_cases_may_differ_are_marked(browser: Client, sweep: Sweep) -> None:
    words = "gains are then of different cases"
    assert words not in text_of(browser.get(sweep.get_absolute_url()))
    job = sweep.runs.select_related("job").first().job  # type: ignore[union-attr]
    job.config = {**job.config, "data": {**job.config["data"], "seed": 7}}
    job.save()
    assert words in text_of(browser.get(sweep.get_absolute_url()))


def test_a_run_whose_job_was_deleted_leaves_a_gap(browser: Client, sweep: Sweep) -> None:
    sweep.runs.select_related("job").last().job.delete()  # type: ignore[union-attr]
    page = text_of(browser.get(sweep.get_absolute_url()))
    assert "5 runs" in page and page.count(">deleted<") == 1
    assert len(list(queries.table_csv(sweep))) == 1 + 2 + 2 + 3  # two runs have two judges


def test_the_table_as_csv(browser: Client, sweep: Sweep) -> None:
    answer = browser.get(reverse("sweep_table", args=[sweep.slug]))
    assert answer["Content-Type"].startswith("text/csv") and "sweep-" in answer["Content-Disposition"]
    found = list(csv.DictReader(io.StringIO(b"".join(answer).decode())))
    assert len(found) == 8
    first = found[0]
    assert (first["run"], first["lora_rank"], first["seed"], first["state"]) == ("1", "8", "1", "succeeded")
    assert (first["judge"], first["trained_on"], first["gain"]) == ("Judge A", "yes", "0.4")
    assert (first["rounds"], first["cpu_seconds"], first["missing"]) == ("10", "123.4", "0.0625")
    assert (first["trained_editor"], first["notice"]) == ("better", "Demo data.")
    assert [(row["judge"], row["gain"]) for row in found[1:3]] == [("Judge B", "0.2"), ("Judge A", "0.3")]
    assert found[3]["gain"] == "-0.25" and found[4]["judge"] == "" and found[4]["state"] == "failed"


def test_words_in_the_csv_are_no_formulas(alice: User) -> None:
    axis = Axis(REWARD, ("usual:x", "usual:y"), ("=HYPERLINK(1)", "-1+2"))
    text = "".join(queries.table_csv(sweep_rows.sweep(alice, (axis,))))
    assert ",'=HYPERLINK(1)," in text and ",'-1+2," in text


def test_the_list(browser: Client, sweep: Sweep) -> None:
    page = text_of(browser.get(reverse("sweeps")))
    assert sweep.name in page and ": 8, 32, 128" in page
    assert "Demo data." in page and re.search(
        r'"num">6</td><td class="num">1</td><td class="num">4</td><td class="num">1<', page
    )


def test_nothing_yet(browser: Client) -> None:
    assert "No sweeps yet" in text_of(browser.get(reverse("sweeps")))


def test_strangers_change_nothing(alice: User, bob: User) -> None:
    client = Client()
    client.force_login(bob)
    sweep = sweep_rows.sweep(alice)
    page = text_of(client.get(sweep.get_absolute_url()))
    assert "Cancel all" not in page and "Delete the grid" not in page
    for name in ("sweep_cancel", "sweep_resume", "delete_sweep"):
        assert client.post(reverse(name, args=[sweep.slug])).status_code == 403
    assert sweep.runs.filter(job__state="running").count() == 6


def count(client: Client, address: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as found:
        assert client.get(address).status_code == 200
    return len(found)


def test_pages_cost_the_same_however_many_there_are(browser: Client, alice: User) -> None:
    few = sweep_rows.sweep(alice, (Axis("seed", (1, 2), ("1", "2")),))
    listed, shown = count(browser, reverse("sweeps")), count(browser, few.get_absolute_url())
    values = tuple(range(40))
    large = sweep_rows.sweep(alice, (Axis("seed", values, tuple(map(str, values))),))
    assert count(browser, reverse("sweeps")) == listed <= 8
    assert count(browser, large.get_absolute_url()) == shown <= 12
    page = text_of(browser.get(large.get_absolute_url()))
    assert page.split('id="sweep-table"')[1].count("<tr>") == 1 + queries.TABLE and "Later runs" in page
    after = re.search(r'rel="next" href="([^"]+)"', page)
    assert after and ">21</td>" in text_of(browser.get(large.get_absolute_url() + after[1]))
