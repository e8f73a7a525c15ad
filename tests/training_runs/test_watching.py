"""The page of a run while it learns: curves, gains, samples, the watch's question; files of samples; runs compared."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.training_runs import rows
from tests.web import text_of
from training.models import TrainedEditor
from training.runs import figures, overlay
from training.runs.job import KIND
from training.runs.progress import progress_of, read_progress
from training.runs.watching import file_name
from webapp.accounts.models import User
from webapp.jobs.models import Job


@pytest.fixture
def job(alice: User) -> Job:
    return rows.run(alice, notice="Demo judge.")


def part(client: Client, job: Job) -> str:
    return text_of(client.get(reverse("job_part", args=[job.uid])))


def test_the_page_is_there_before_the_first_round(browser: Client, job: Job) -> None:
    page = text_of(browser.get(job.get_absolute_url()))
    for words in (
        "No round yet.",
        "Nothing to draw yet.",
        "The first look comes soon.",
        'demo-bar">Demo judge.',
        "css/runs",
    ):
        assert words in page, words
    assert "The watch asks" not in page


def test_everything_that_is_logged_is_on_the_page(browser: Client, job: Job) -> None:
    told = [*rows.events(), {"event": "missing", "round": 3, "reasons": {"Timed out.": 5}}]
    rows.write_events(job, told)
    page = part(browser, job)
    for words in (
        "Round <strong>10</strong>, mean reward <strong>0.5000</strong>", "960 images.", "100 CPU-seconds.",
        "Gain over the base on the fixed cases", "Judge A, trained on", "Judge B, held out", "[0.100, 0.300]",
        "Reward in training", "What the judges said in training", "clipped", "groups without spread",
        "missing judgements", "Distance from the base", "KL", "Preserved outside the edit", "Grid of the patches",
        "Sharpness of the fixed cases", "Ratio at the first update", "Gradient norm", "Learning rate", "Loss",
        "Where the time goes", "Images a second", "sampling", "60 %", "Timed out.", "Gain by task", "Reward map",
        "Base", "fast, grpo", "A grid stands out.", "d" * 16, "6 to learn from, 3 fixed ones",
    ):  # fmt: skip
        assert words in page, words
    assert page.count("<polyline") >= 25
    for name in ("s-0.png", "b-0.png", "a-10-0.png"):
        assert reverse("run_sample", args=[job.uid, name]) in page
    assert "was not 1" not in page


def test_missing_judgements_of_rounds_and_looks_are_counted_once() -> None:
    told = [{"event": "missing", "round": 3, "where": where, "reasons": {"Timed out.": n}} for where, n in
            (("round", 5), ("look", 2), ("round", 4))]  # fmt: skip
    assert progress_of(told).reasons == [("Timed out.", 6)]


def test_a_run_by_pairs_says_what_it_learns_from(browser: Client, job: Job) -> None:
    rows.write_events(job, [{"event": "prepared", "candidates": 1200, "lessons": 30, "missing": 0.0}])
    assert "Learns from 30 pairs or edits, chosen from 1,200 edits." in part(browser, job)


def test_a_question_that_the_run_went_past_is_no_question() -> None:
    told = [*rows.events(10), rows.watch(10)]
    assert progress_of(told).question(0) and not progress_of([*told, rows.round_(11)]).question(0)


def test_rounds_that_are_said_twice_count_once() -> None:
    """A run that went on from an earlier place says some rounds again."""
    again = [{**row, "loss": 9.0} for row in rows.events(20)[6:] if row["event"] == "round"]
    found = progress_of([*rows.events(10), *again, {"event": "round", "round": "x"}, {"event": "other"}])
    assert [row["round"] for row in found.rounds] == list(range(1, 21))
    assert found.rounds[2]["loss"] < 0 and found.rounds[8]["loss"] == 9
    assert [row["round"] for row in found.looks] == [0, 5, 10]


def test_a_ratio_that_is_not_one_is_an_alarm(browser: Client, job: Job) -> None:
    rows.write_events(job, [rows.round_(1), rows.round_(2, ratio_first=1.0001)])
    assert "In 1 round the ratio at the first update was not 1" in part(browser, job)


def test_numbers_that_only_some_objectives_tell_have_a_chart() -> None:
    found = figures.panels(progress_of([rows.round_(1, pairs_right=0.5), rows.round_(2, pairs_right=0.75)]))
    assert any(panel.title == "pairs right" and panel.chart for panel in found)


@pytest.mark.parametrize("missing", ["reward", "raw", "seconds", "distance", "clip_fraction"])
def test_values_that_are_missing_or_no_numbers_break_nothing(browser: Client, job: Job, missing: str) -> None:
    """DPO and SFT have no ratio, a failed look no gain."""
    told = [{name: value for name, value in row.items() if name != missing} for row in rows.events()]
    rows.write_events(job, [*told, rows.round_(11, loss=None, grid=float("nan")), {"event": "look", "round": 12}])
    assert part(browser, job)


def test_shares_of_phases_add_up() -> None:
    found = figures.phases_of(progress_of(rows.events()).rounds)
    assert sum(one.share for one in found) == pytest.approx(1)
    assert {one.name: one.seconds for one in found} == {"sampling": 60, "reward": 10, "update": 25, "looks": 5}


def test_the_page_takes_few_queries_however_long_the_run_is(browser: Client, job: Job) -> None:
    rows.write_events(job, rows.events(500, 50))
    with CaptureQueriesContext(connection) as queries:
        page = part(browser, job)
    assert len(queries) <= 7  # session, user, job, trained editor (twice), base, proofs
    assert len(page) < 250_000


# The list of runs reads no files -------------------------------------------------------------------------------------


def test_the_last_look_stands_in_the_row(job: Job) -> None:
    KIND.on_events(job, rows.events())
    job.refresh_from_db()
    assert job.summary["last_look"]["round"] == 10 and "samples" not in job.summary["last_look"]
    KIND.on_events(job, [rows.round_(11)])
    assert Job.objects.get().summary == job.summary


# The watch -----------------------------------------------------------------------------------------------------------


def paused(job: Job) -> Job:
    rows.write_events(job, [*rows.events(), rows.watch(10)])
    Job.objects.filter(pk=job.pk).update(state="cancelled")
    job.refresh_from_db()
    return job


def test_the_watch_asks_with_two_buttons(browser: Client, job: Job) -> None:
    rows.write_events(job, [*rows.events(), rows.watch(10)])
    assert "The watch asks" not in part(browser, job)  # it still saves its place
    page = part(browser, paused(job))
    for words in (
        "The watch asks: go on?",
        "Judge A rose and Judge B fell.",
        "After round 10",
        "-0.250 [-0.400, -0.100]",
    ):
        assert words in page, words
    assert reverse("run_go_on", args=[job.uid]) in page and reverse("run_keep", args=[job.uid]) in page


def test_going_on_is_acknowledged_and_asked_once(browser: Client, job: Job) -> None:
    address = reverse("run_go_on", args=[paused(job).uid])
    assert "The run goes on." in text_of(browser.post(address, follow=True))
    job.refresh_from_db()
    assert (job.state, job.config["acknowledged"]) == ("queued", 10)
    assert "The watch asks" not in part(browser, job)
    assert "no open question" in text_of(browser.post(address, follow=True))
    Job.objects.update(state="cancelled")
    assert "The watch asks" not in part(browser, job)
    rows.write_events(job, [rows.watch(20)])
    assert "The watch asks" in part(browser, job)


def test_a_run_at_work_waits_for_no_answer(browser: Client, job: Job) -> None:
    rows.write_events(job, [rows.watch(10)])
    assert "does not wait for an answer" in text_of(browser.post(reverse("run_go_on", args=[job.uid]), follow=True))
    job.refresh_from_db()
    assert (job.state, job.config["acknowledged"]) == ("running", 0)


def test_only_the_owner_and_admins_answer(job: Job, bob: User) -> None:
    client = Client()
    client.force_login(bob)
    for name in ("run_go_on", "run_keep"):
        assert client.post(reverse(name, args=[paused(job).uid])).status_code == 403
    assert Job.objects.get().config["acknowledged"] == 0


def test_what_is_there_is_kept(browser: Client, job: Job) -> None:
    rows.base()
    address = reverse("run_keep", args=[job.uid])
    assert "The run is at work" in text_of(browser.post(address, follow=True))
    paused(job)
    assert "no LoRA in outputs/lora yet" in text_of(browser.post(address, follow=True))
    rows.write_lora(job)
    assert "is kept as an editor" in text_of(browser.post(address, follow=True))
    made = TrainedEditor.objects.get()
    assert made.job == job and made.metrics["stopped"] == "kept by a person on the way"
    assert made.metrics["looks"]["last"]["round"] == 10
    page = part(browser, job)
    assert made.get_absolute_url() in page and "Keep what is there" not in page


# Samples -------------------------------------------------------------------------------------------------------------


def test_samples_of_any_round(browser: Client, job: Job) -> None:
    rows.write_events(job, rows.events())
    address = reverse("run_samples", args=[job.uid])
    page = text_of(browser.get(address))
    assert "a-10-0.png" in page and "a-5-0.png" not in page and 'demo-bar">Demo judge.' in page
    page = text_of(browser.get(address, {"round": "5"}))
    assert "a-5-0.png" in page and 'href="?round=10"' in page
    for odd in ("7", "x", "9" * 20):
        assert "a-10-0.png" in text_of(browser.get(address, {"round": odd}))


def test_a_sample_is_served_to_those_who_may_see_the_run(browser: Client, job: Job, carol: User) -> None:
    data = rows.write_sample(job, "a-0.png")
    answer = browser.get(reverse("run_sample", args=[job.uid, "a-0.png"]))
    assert b"".join(answer.streaming_content) == data and answer["Content-Type"] == "image/png"  # type: ignore[attr-defined]
    stranger = Client()
    stranger.force_login(carol)
    assert stranger.get(reverse("run_sample", args=[job.uid, "a-0.png"])).status_code == 403


@pytest.mark.parametrize(
    "name", ["gone.png", "..", "...png", "%2e%2e%2fsecret.png", ".hidden.png", "secret.txt", "out.png"]
)
def test_nothing_else_of_the_folder_is_served(browser: Client, job: Job, name: str) -> None:
    rows.write_sample(job, "a-0.png")
    folder = job.folder / "outputs" / "samples"
    (folder.parent / "secret.png").write_bytes(b"x")
    (folder / "secret.txt").write_bytes(b"x")
    (folder / "out.png").symlink_to(folder.parent / "secret.png")
    assert browser.get(f"/runs/{job.uid}/samples/{name}").status_code == 404


def test_a_sample_of_another_kind_of_job_is_not_served(browser: Client, job: Job) -> None:
    rows.write_sample(job, "a-0.png")
    Job.objects.update(kind="import")
    assert browser.get(reverse("run_sample", args=[job.uid, "a-0.png"])).status_code == 404


@pytest.mark.parametrize(
    ("told", "name"),
    [("samples/a.png", "a.png"), ("outputs/samples/a.png", "a.png"), ("a.png", "a.png"), ("../a.png", ""),
     ("samples/../../a.png", ""), ("a/b.png", ""), (None, ""), (7, "")],
)  # fmt: skip
def test_names_of_samples(told: object, name: str) -> None:
    assert file_name(told) == name


# Side by side --------------------------------------------------------------------------------------------------------


def test_runs_side_by_side(browser: Client, job: Job, alice: User) -> None:
    config = {**job.config["config"], "learning_rate": 0.005}
    other = rows.run(alice, config=config, name="Faster")
    rows.write_events(job, rows.events())
    rows.write_events(other, rows.events(20))
    address = reverse("compare_runs")
    page = text_of(browser.get(address, {"run": [str(job.uid), str(other.uid)]}))
    for words in (
        "A Better",
        "B Faster",
        "config.learning_rate",
        "0.005",
        str(job.config["config"]["learning_rate"]),
        "Gain on the fixed cases: Judge B",
        "case-000",
    ):
        assert words in page, words
    assert reverse("run_sample", args=[other.uid, "a-20-0.png"]) in page
    assert "config.lora_rank" not in page
    runs = overlay.compared([job, other])
    assert [line.kind for line in overlay.panels(runs)[0].chart.lines] == ["s0", "s1"]  # type: ignore[union-attr]
    assert [row[1]["rounds"] for row in overlay.table(runs)] == [10, 20]
    assert len(overlay.cases(runs)[0].edits) == 2


@pytest.mark.parametrize("chosen", [[], ["x"], ["00000000-0000-0000-0000-000000000000"]])
def test_nothing_to_compare_says_what_to_do(browser: Client, db: None, chosen: list[str]) -> None:
    assert "Choose two to 6 runs in the list." in text_of(browser.get(reverse("compare_runs"), {"run": chosen}))


def test_a_run_without_events_has_an_empty_story(job: Job) -> None:
    found = read_progress(job.folder)
    assert (found.last, found.latest, found.look(0), found.question(0)) == (None, None, None, None)
