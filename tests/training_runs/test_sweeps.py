"""Sweeps: the form and its grid, starting all runs or none, what is done to all of them."""

import html
import re
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.test import Client
from django.urls import reverse
from django.utils.http import urlencode

from annotation.models import Dataset
from tests.training_runs import rows, sweep_rows
from tests.web import text_of
from training.models import Sweep, SweepRun
from training.posttraining.config import preset
from training.runs.sweeps import services
from training.runs.sweeps.forms import SweepForm
from training.runs.sweeps.plan import DATASET, MOST, REWARD, Axis, Plan, cells, names_of
from webapp.accounts.models import User
from webapp.jobs.models import Job


def filled(data: Dataset, **values: Any) -> QueryDict:
    given = {
        "name": "Ranks", "base": "cpu", "dataset": data.slug, "split": "train", "preset": "fast", "watch": "on",
        "reward_1": rows.TRUTH, "held_out_1": rows.DEMO, "axis_1": "lora_rank", "values_1": "8, 32, 128", **values,
    }  # fmt: skip
    return QueryDict(urlencode(given, doseq=True))


def send(client: Client, data: Dataset, method: str = "post", **values: Any) -> Any:
    address, given = reverse("new_sweep"), filled(data, **values)
    if method == "get":
        return client.get(f"{address}?{given.urlencode()}")
    return client.post(address, given.urlencode(), content_type="application/x-www-form-urlencoded")


# Starting ------------------------------------------------------------------------------------------------------------


def test_a_sweep_is_a_run_for_each_combination(browser: Client, data: Dataset, alice: User) -> None:
    answer = send(browser, data, axis_2="learning_rate", values_2="1e-3, 3e-4", rounds="7", note="Try.")
    sweep = Sweep.objects.get()
    assert answer["Location"] == sweep.get_absolute_url() == "/sweeps/of/ranks/"
    assert (sweep.name, sweep.created_by, sweep.start["note"]) == ("Ranks", alice, "Try.")
    assert "Demo data." in sweep.start["notice"]
    runs = list(sweep.runs.select_related("job"))
    places = [(run.place["lora_rank"], run.place["learning_rate"]) for run in runs]
    assert places == [(8, 1e-3), (8, 3e-4), (32, 1e-3), (32, 3e-4), (128, 1e-3), (128, 3e-4)]
    for run in runs:
        config = run.job.config["config"]
        assert {name: config[name] for name in run.place} == run.place
        rest = {name: value for name, value in config.items() if name not in run.place}
        usual = {**preset("fast", "drawn").to_json(), "rounds": 7}
        assert rest == {name: value for name, value in usual.items() if name not in run.place}
        assert (run.job.kind, run.job.state, run.job.created_by) == ("posttrain", "queued", alice)
    names = [run.job.config["name"] for run in runs]
    assert names[0] == "Ranks lora_rank 8, learning_rate 0.001" and len(set(names)) == 6


def test_data_and_scorers_are_axes(browser: Client, data: Dataset) -> None:
    other = rows.dataset(train=4, dev=2)
    rows.demo_judge("second")
    second = "usual:second"
    send(browser, data, axis_1="", values_1="", datasets=[data.slug, other.slug], scorers=[rows.TRUTH, second],
         held_out_1="", watch="")  # fmt: skip
    jobs = [run.job.config for run in SweepRun.objects.select_related("job")]
    found = {(job["data"]["dataset"], *job["judges"]["rewards"]) for job in jobs}
    assert found == {(str(one.uid), name) for one in (data, other) for name in (rows.TRUTH, second)}
    assert len(jobs) == 4 and all(job["judges"]["rewards"].popitem()[1] == 1.0 for job in jobs)


def test_presets_are_an_axis_under_what_was_given(browser: Client, data: Dataset) -> None:
    send(browser, data, axis_1="preset", values_1="fast, nft", rounds="9")
    found = [run.job.config["config"] for run in SweepRun.objects.select_related("job")]
    assert [(one["preset"], one["objective"], one["rounds"]) for one in found] == [
        ("fast", "grpo", 9),
        ("nft", "nft", 9),
    ]


def test_the_preview_shows_the_grid_and_sums_and_starts_nothing(browser: Client, data: Dataset) -> None:
    values = {"rounds": "10", "group": "6", "look_every": "5", "look_cases": "2"}
    page = text_of(send(browser, data, "get", axis_1="groups", values_1="4, 8", **values))
    assert 'Runs</dt><dd class="num">2' in page and "groups 4" in page and "groups 8" in page
    assert 'Images made</dt><dd class="num">736' in page  # 10 · (4 + 8) · 6, and twice 4 looks at 2 cases
    assert 'Judgements</dt><dd class="num">752' in page  # of those 720, and both judges at 16 looked at
    assert "Nothing speaks against it." in page and "fixed cases are not the same" not in page
    assert not Job.objects.exists() and not Sweep.objects.exists()


def test_the_preview_says_where_fixed_cases_differ(browser: Client, data: Dataset) -> None:
    other = rows.dataset(notice="Demo data.")
    page = text_of(send(browser, data, "get", axis_1="", values_1="", datasets=[data.slug, other.slug]))
    assert "The fixed cases are not the same in all runs" in page


def test_a_refusal_names_its_runs_and_nothing_starts(browser: Client, data: Dataset) -> None:
    empty = rows.dataset(train=0, dev=2)
    page = text_of(send(browser, data, datasets=[data.slug, empty.slug]))
    assert (
        f"lora_rank 8, {empty.name}; lora_rank 32, {empty.name}; lora_rank 128, {empty.name}: There are 0 cases" in page
    )
    assert not Job.objects.exists() and not Sweep.objects.exists() and not SweepRun.objects.exists()


def test_settings_that_do_not_go_together_name_their_run(browser: Client, data: Dataset) -> None:
    values = {"axis_1": "steps", "values_1": "5, 9", "steps": "4", "window": "5"}  # 4 is replaced in all runs
    for method in ("get", "post"):
        page = text_of(send(browser, data, method, **values))
        assert "steps 5: The window has 5 of 5 steps" in page and "steps 9:" not in page
    assert not Job.objects.exists() and not Sweep.objects.exists()


def test_a_scorer_that_is_held_out_in_all_runs_is_refused_for_its_run(browser: Client, data: Dataset) -> None:
    page = text_of(send(browser, data, axis_1="", values_1="", scorers=[rows.TRUTH, rows.DEMO]))
    assert (
        "Demo with each task's usual prompt: “Demo with each task's usual prompt” gives the reward and cannot" in page
    )
    assert not Job.objects.exists()


def test_the_same_refusal_of_all_runs_is_said_once(browser: Client, data: Dataset) -> None:
    page = text_of(send(browser, data, held_out_1=""))
    assert page.count("The watch needs a held-out judge. Choose one") == 1 and "lora_rank 8: The watch" not in page


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"axis_1": "", "values_1": ""}, "Nothing differs."),
        ({"axis_1": ""}, "Choose the setting that has these values."),
        ({"values_1": ""}, "Give two values at least"),
        ({"values_1": "8"}, "Give two values at least"),
        ({"values_1": "8, 8.0"}, "A value is given twice."),
        ({"values_1": "8, 08"}, "A value is given twice."),
        ({"values_1": "8, many"}, "“many”: Enter a whole number"),
        ({"values_1": "8, 0"}, "“0”: this must be a whole number from 1"),
        ({"axis_1": "learning_rate", "values_1": "0.1, nan"}, "“nan”"),
        ({"axis_1": "dynamics", "values_1": "sde, ode"}, "“ode”: Select a valid choice"),
        ({"axis_1": "preset", "values_1": "fast, slow"}, "There is no preset “slow”"),
        ({"axis_1": "gone"}, "Select a valid choice"),
        ({"axis_2": "lora_rank", "values_2": "4, 16"}, "This setting is chosen twice."),
        ({"axis_2": "seed", "values_2": ", ".join(map(str, range(22)))}, "These are 66 runs; a sweep has 64 at most."),
        ({"scorers": ["truth"]}, "Choose two at least, or none."),
        ({"scorers": ["truth", "judge:x:y"]}, "Select a valid choice"),
        ({"datasets": ["gone"]}, "Select a valid choice"),
        ({"name": "x" * 61}, "Use at most 60 characters."),
        ({"name": "…"}, "at least one Latin letter"),
        ({"rounds": "0"}, "This must be a whole number"),
    ],
)
def test_what_is_wrong_is_said(data: Dataset, values: dict[str, Any], words: str) -> None:
    form = SweepForm(filled(data, **values))
    assert not form.is_valid() and words in html.unescape(str(form.errors))


def test_a_name_is_taken_once(browser: Client, data: Dataset) -> None:
    assert send(browser, data, values_1="8, 16").status_code == 302
    assert "There is a sweep called “Ranks” already" in text_of(send(browser, data))
    assert Sweep.objects.count() == 1 and Job.objects.count() == 2


def test_the_service_refuses_too_many_runs(data: Dataset) -> None:
    axis = Axis("seed", tuple(range(MOST + 1)), tuple(map(str, range(MOST + 1))))
    plan = Plan("Many", (axis,), rows.wish(data, rows.base()), {"preset": "fast"})
    with pytest.raises(ValidationError, match="2 to 64 runs; these are 65"):
        services.start_sweep(plan=plan, by=None)


# Beginning with something --------------------------------------------------------------------------------------------


def test_a_sweep_begins_with_a_run_s_settings(browser: Client, data: Dataset) -> None:
    told = rows.config(data={**rows.config()["data"], "dataset": str(data.uid), "limit": 4})
    job = rows.run(state="succeeded", config={**told["config"], "rounds": 33}, data=told["data"])
    page = text_of(browser.get(reverse("new_sweep"), {"like": str(job.uid), "ablation": "rank"}))
    assert re.search(r'name="rounds" value="33"', page) and re.search(r'name="limit" value="4"', page)
    assert 'value="8, 32, 128"' in page and '<option value="fast" selected>' in page
    for wrong in ("x", "00000000-0000-0000-0000-000000000000"):
        assert browser.get(reverse("new_sweep"), {"like": wrong}).status_code == 200


def test_hp_edit_s_ablation_of_the_rank(browser: Client, data: Dataset) -> None:
    page = text_of(browser.get(reverse("new_sweep"), {"ablation": "rank"}))
    assert '<option value="lora_rank" selected>' in page and '<option value="hp-edit" selected>' in page


def test_hp_edit_s_ablation_of_data_and_scorer(browser: Client, data: Dataset) -> None:
    filtered = rows.dataset()
    Dataset.objects.filter(pk=filtered.pk).update(derived_from=data)
    page = text_of(browser.get(reverse("new_sweep"), {"ablation": "data"}))
    for one in (data, filtered):
        assert re.search(rf'<select name="datasets".*<option value="{one.slug}" selected>.*name="scorers"', page)


# All runs at once ----------------------------------------------------------------------------------------------------


def test_all_that_wait_or_run_are_cancelled(browser: Client, db: None, alice: User) -> None:
    sweep = sweep_rows.sweep(alice, (sweep_rows.RANKS,))
    runs = list(sweep.runs.all())
    Job.objects.filter(pk=runs[0].job_id).update(state="queued")
    Job.objects.filter(pk=runs[1].job_id).update(state="succeeded")
    other = rows.run(alice)
    answer = browser.post(reverse("sweep_cancel", args=[sweep.slug]), follow=True)
    assert "2 runs stop and keep their place." in text_of(answer)
    assert [run.job.state for run in sweep.runs.select_related("job")] == ["cancelled", "succeeded", "cancelling"]
    other.refresh_from_db()
    assert other.state == "running"


def test_all_that_stopped_go_on_but_those_that_wait_for_an_answer(browser: Client, db: None, alice: User) -> None:
    sweep = sweep_rows.sweep(alice, (sweep_rows.RANKS,), "cancelled")
    first, second, third = (run.job for run in sweep.runs.select_related("job"))
    rows.write_events(first, [rows.watch(5)])
    Job.objects.filter(pk=third.pk).update(state="failed")
    answer = text_of(browser.post(reverse("sweep_resume", args=[sweep.slug]), follow=True))
    assert "2 runs go on." in answer and "1 run waits for an answer to its watch." in answer
    states = dict(Job.objects.values_list("pk", "state"))
    assert [states[job.pk] for job in (first, second, third)] == ["cancelled", "queued", "queued"]


def test_deleting_a_sweep_keeps_its_runs(browser: Client, db: None, alice: User) -> None:
    sweep = sweep_rows.sweep(alice)
    answer = browser.post(reverse("delete_sweep", args=[sweep.slug]), follow=True)
    assert "Its runs and their editors stay." in text_of(answer)
    assert Job.objects.count() == 6 and not Sweep.objects.exists() and not SweepRun.objects.exists()


# Pure ----------------------------------------------------------------------------------------------------------------


def test_names_are_numbers_where_words_would_not_tell_them_apart() -> None:
    assert names_of("A", ["seed 1", "seed 2"]) == ["A seed 1", "A seed 2"]
    assert names_of("A", ["learning_rate 1.5", "learning_rate 15"]) == ["A 1", "A 2"]
    assert names_of("A", ["x" * 90, "y"]) == ["A 1", "A 2"]


def test_a_cell_has_the_data_and_the_judge_of_its_place(data: Dataset) -> None:
    axes = (Axis(DATASET, ("u", "v"), ("U", "V")), Axis(REWARD, ("truth", "usual:demo"), ("T", "D")))
    plan = Plan("Both", axes, rows.wish(data, rows.base()), {"preset": "fast"})
    found = [(one.words, one.wish.data.dataset, dict(one.wish.rewards)) for one in cells(plan) if one.wish]
    assert found == [(f"{u.upper()}, {t}", u, {r: 1.0}) for u in "uv" for t, r in (("T", "truth"), ("D", "usual:demo"))]
