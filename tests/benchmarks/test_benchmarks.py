"""Benchmarks: made of labelled sets, run by scoring jobs, their figures computed from scores."""

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from scoring.asking import jobs as asking
from tests import reward_models
from tests.benchmarks import rows
from training.benchmarks import job, queries, reading, services
from training.models import Benchmark, BenchmarkResult, LabelledSet
from training.rewards import protocols
from training.rewards.groups import WrongSet
from webapp.jobs.folder import JobError, JobRun, write_json
from webapp.jobs.models import Job

pytestmark = pytest.mark.django_db


@pytest.fixture
def data() -> Any:
    return rows.dataset()


@pytest.fixture
def bench(data: Any, tmp_path: Path) -> Any:
    return rows.benchmark(rows.labelled_set(data, rows.groups_of(data), tmp_path))


def run(row: Job) -> dict[str, Any]:
    """The job's work, as its process does it."""
    row.folder.mkdir(parents=True, exist_ok=True)
    (row.folder / "inputs").mkdir(exist_ok=True)
    write_json(row.folder / "job.json", {"kind": row.kind, "config": row.config, "attempt": 1})
    return job._work(JobRun(row.folder), row)


def scored(bench: Any, data: Any, values: list[float], slug: str = "judge") -> BenchmarkResult:
    """A scorer that has scored the first candidates so."""
    judge, version = rows.judge(slug), rows.version()
    rows.score(judge, version, rows.candidates_of(data)[: len(values)], values)
    return BenchmarkResult.objects.create(benchmark=bench, version=version, judge=judge)


def figures(result: BenchmarkResult) -> dict[str, Any]:
    result.refresh_from_db()
    found: dict[str, Any] = result.figures["dimensions"]["overall"]["all"]
    return found


def test_it_works(bench: Any, data: Any) -> None:
    """Four cases, three candidates each, people say 0, 1, 2: one scorer agrees, one has it the wrong way round."""
    good, bad = scored(bench, data, [0.0, 1, 2] * 4), scored(bench, data, [2.0, 1, 0] * 4, "other")
    services.start_computing(benchmark=bench, by=None)
    assert run(bench.job) == {"scorers": 2, "groups": 4}
    assert (figures(good)["accuracy"]["value"], figures(bad)["accuracy"]["value"]) == (1, 0)
    assert (figures(good)["tuples_3"]["value"], figures(bad)["tuples_3"]["value"]) == (1, 0)
    assert (figures(good)["srcc"]["value"], figures(bad)["editors_srcc"]["value"]) == pytest.approx((1, -1))
    assert good.figures["coverage"] == {"candidates": 12, "scored": 12} and good.scored == 12
    bench.refresh_from_db()
    assert bench.facts["votes"]["overall"] == {"decided": 12, "ties": 0, "both_bad": 0}
    assert bench.facts["constant"]["overall"]["accuracy"] == 0.5
    assert bench.facts["random"]["overall"]["accuracy"] == pytest.approx(0.5, abs=0.15)
    assert bench.facts["ceiling"]["overall"]["ceiling"] == pytest.approx(1, abs=0.01)


def test_what_was_not_scored_is_stated_both_ways(bench: Any, data: Any) -> None:
    result = scored(bench, data, [0.0, 1, 2] * 2)  # half of the cases
    services.start_computing(benchmark=bench, by=None)
    run(bench.job)
    found = figures(result)
    assert (found["accuracy"]["value"], found["accuracy"]["skipped"]) == (1, 6)
    assert (found["accuracy_all"]["value"], found["accuracy_all"]["n"]) == (0.5, 12)
    assert result.figures["coverage"] == {"candidates": 12, "scored": 6}


def test_a_set_is_made_a_benchmark_of_its_test_part(data: Any, tmp_path: Path, bob: Any) -> None:
    groups = rows.groups_of(data)
    kept = [groups[0], *(rows.groups_of(data, "train")[1:])]
    facts = {"splits": {"train": 3, "dev": 0, "test": 1}, "tasks": {"add": {}}}
    made = services.make(labelled_set=rows.labelled_set(data, kept, tmp_path, facts=facts), by=bob)
    assert made.protocol["splits"] == ["test"] and made.layout == ""
    assert [group.key for group in reading.groups_of(made)] == [groups[0].key]
    assert made.job is not None and made.job.kind == services.KIND


def test_an_imported_benchmark_counts_every_group_once(data: Any, tmp_path: Path, bob: Any) -> None:
    origin = {"kind": "import", "layout": "editreward_bench"}
    made = rows.labelled_set(data, rows.groups_of(data, "train"), tmp_path, origin=origin, created_by=bob)
    services.from_import(made, {"name": "benchmark"})
    services.from_import(made, {"name": "benchmark"})
    found = made.benchmark
    assert (found.protocol["splits"], found.protocol["tuples"], found.created_by) == ([], "group", bob)
    assert len(reading.groups_of(found)) == 4


def test_sets_that_cannot_be_benchmarks_are_refused(bench: Any, data: Any, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="already"):
        services.make(labelled_set=bench.labelled_set, by=None)
    waiting = rows.labelled_set(data, [], tmp_path, slug="waiting")
    waiting.state = "making"
    with pytest.raises(ValidationError, match="not ready"):
        services.make(labelled_set=waiting, by=None)


def test_a_set_of_ones_own_without_a_test_part_is_no_benchmark(data: Any, tmp_path: Path) -> None:
    facts = {"splits": {"train": 4, "dev": 1, "test": 0}}
    own = rows.labelled_set(data, rows.groups_of(data, "train"), tmp_path, facts=facts)
    with pytest.raises(ValidationError, match="has no test part"):
        services.make(labelled_set=own, by=None)
    origin = {"kind": "import", "layout": "pairs"}
    other = rows.labelled_set(data, rows.groups_of(data, ""), tmp_path, slug="other", facts=facts, origin=origin)
    assert services.make(labelled_set=other, by=None).protocol["splits"] == []


def test_two_presses_at_once_are_one_benchmark(data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = rows.labelled_set(data, rows.groups_of(data), tmp_path)
    monkeypatch.setattr(Benchmark, "full_clean", lambda _self: rows.benchmark(made))  # the other one was quicker
    with pytest.raises(ValidationError, match="already"):
        services.make(labelled_set=made, by=None)


def test_a_run_scores_the_candidates_that_count(bench: Any, data: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr(asking, "start_scoring", lambda **given: seen.update(given))
    judge, version = rows.judge(), rows.version()
    bench.protocol["splits"] = ["test"]
    services.start_run(benchmark=bench, judge=judge, version=version, by=None)
    assert seen["selection"] == {"candidates": sorted(one.pk for one in rows.candidates_of(data))}
    assert (seen["versions"], seen["judge"]) == ([version], judge)
    assert seen["then"] == {"name": "benchmark", "benchmark": str(bench.uid)}
    bench.protocol["splits"] = ["dev"]
    with pytest.raises(ValidationError, match="None of the benchmark"):
        services.start_run(benchmark=bench, judge=judge, version=version, by=None)


def test_figures_follow_a_scoring_job(bench: Any, data: Any) -> None:
    judge, version = rows.judge(), rows.version()
    rows.score(judge, version, rows.candidates_of(data), [0.0, 1, 2] * 4)
    config = {
        "then": {"name": "benchmark", "benchmark": str(bench.uid)},
        "judge": {"slug": judge.slug},
        "versions": [str(version.uid)],
    }
    scoring = Job.objects.create(kind="score", queue="gpu", title="Scores", config=config)
    for _again in range(2):  # a follower allows repeats
        services.after_scoring(scoring)
    bench.refresh_from_db()
    run(bench.job)
    (result,) = bench.results.all()
    assert result.job == scoring and figures(result)["accuracy"]["value"] == 1
    scoring.config["then"]["benchmark"] = "00000000-0000-0000-0000-000000000000"
    services.after_scoring(scoring)  # deleted meanwhile: nothing to do


def test_changed_scores_are_noticed(bench: Any, data: Any) -> None:
    result = scored(bench, data, [0.0, 1, 2] * 4)
    services.start_computing(benchmark=bench, by=None)
    run(bench.job)
    assert [row.stale for row in queries.page(bench, {})["blocks"][0].rows] == [False]
    score = result.judge.scores.earliest("pk")
    score.value = 5
    score.save()
    assert [row.stale for row in queries.page(bench, {})["blocks"][0].rows] == [True]


def test_scores_of_other_data_sets_and_changes_while_it_computes(
    bench: Any, data: Any, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    result = scored(bench, data, [0.0, 1, 2] * 4)
    judge, version = result.judge, result.version
    measure = protocols.measure

    def slow(*given: Any) -> Any:
        """A score changes after it was read, before the figures are kept."""
        judge.scores.earliest("pk").save()
        return measure(*given)

    services.compute(result, reading.groups_of(bench))
    elsewhere = rows.dataset(cases=1, editors=2)
    rows.score(judge, version, rows.candidates_of(elsewhere), [1.0, 2.0])
    with django_assert_num_queries(1):
        assert queries._stale(bench, [result]) == set()
    monkeypatch.setattr(protocols, "measure", slow)
    services.compute(result, reading.groups_of(bench))
    assert queries._stale(bench, [result]) == {result.pk}
    assert queries._stale(bench, []) == set()


def test_the_first_scores_of_a_scorer_without_any_are_news(bench: Any, data: Any) -> None:
    result = scored(bench, data, [])
    services.compute(result, reading.groups_of(bench))
    assert queries._stale(bench, [result]) == set()
    rows.score(result.judge, result.version, rows.candidates_of(data)[:1], [1.0])
    assert queries._stale(bench, [result]) == {result.pk}


# Reward models that know the pictures --------------------------------------------------------------------------------


@pytest.fixture
def trained(bench: Any, data: Any, tmp_path: Path) -> BenchmarkResult:
    """A reward model that learned from two of the benchmark's four source images; a third was in its dev part."""
    groups = [
        replace(one, split=split) for one, split in zip(rows.groups_of(data), ("train", "train", "dev"), strict=False)
    ]
    learned = rows.labelled_set(data, groups, tmp_path, slug="learned")
    made = reward_models.model(labelled_set=learned)
    result = scored(bench, data, [0.0, 1, 2] * 4)
    result.judge.kind, result.judge.notice = "reward", ""
    result.judge.settings = {"model": made.slug, "number": made.number, "dimension": "overall"}
    result.judge.save()
    return result


def shown(bench: Any, client: Client, bob: Any) -> tuple[str, list[str]]:
    """What the page says, and the notices of its file."""
    client.force_login(bob)
    page = client.get(bench.get_absolute_url()).content.decode()
    lines = csv.DictReader(io.StringIO(client.get(f"{bench.get_absolute_url()}table.csv").content.decode("utf-8-sig")))
    return page, sorted({row["notice"] for row in lines})


def test_a_model_that_learned_from_the_pictures_is_shown_so(
    bench: Any, trained: BenchmarkResult, client: Client, bob: Any
) -> None:
    words = "Trained on 2 of the 4 source images of this benchmark: its figures flatter."
    services.compute(trained, reading.groups_of(bench))
    page, notices = shown(bench, client, bob)
    assert words in page and notices == [f"{words} Demo data."]


def test_a_model_of_other_pictures_and_other_judges_say_nothing(
    bench: Any, data: Any, trained: BenchmarkResult, client: Client, bob: Any
) -> None:
    trained.benchmark = bench
    services.compute(trained, [replace(one, source_key=f"other {one.key}") for one in reading.groups_of(bench)])
    services.compute(scored(bench, data, [0.0, 1, 2] * 4, "another"), reading.groups_of(bench))
    page, notices = shown(bench, client, bob)
    assert "Trained on" not in page and notices == ["Demo data.", "Demo data. A demo judge."]


def test_a_model_whose_set_cannot_be_read_is_not_called_clean(
    bench: Any, trained: BenchmarkResult, client: Client, bob: Any
) -> None:
    LabelledSet.objects.filter(slug="learned").update(manifest="labelled-sets/gone.jsonl.gz")
    services.compute(trained, reading.groups_of(bench))
    page, notices = shown(bench, client, bob)
    words = "Whether it was trained on pictures of this benchmark could not be checked."
    assert words in page and notices == [f"{words} Demo data."]


def test_files_and_groups_that_are_gone_are_said(bench: Any, data: Any, tmp_path: Path) -> None:
    bench.protocol["splits"] = ["dev"]
    bench.save()
    services.start_computing(benchmark=bench, by=None)
    with pytest.raises(JobError, match="No group"):
        run(bench.job)
    bench.labelled_set.manifest = "labelled-sets/gone.jsonl.gz"
    bench.labelled_set.save()
    with pytest.raises(JobError, match="is gone"):
        reading.groups_of(bench)
    with pytest.raises(ValidationError, match="is gone"):
        services.start_run(benchmark=bench, judge=rows.judge(), version=rows.version(), by=None)
    row = bench.job
    bench.job = None
    bench.save()
    services.delete(benchmark=bench)
    with pytest.raises(JobError, match="deleted"):
        run(row)


def test_a_damaged_file_is_said(bench: Any) -> None:
    path = Path(bench.labelled_set.manifest)
    from django.core.files.storage import default_storage

    Path(default_storage.path(str(path))).write_bytes(b"no gzip")
    with pytest.raises(JobError, match="is no training set"):
        reading.groups_of(bench)
    assert WrongSet is not None


def test_it_is_not_deleted_while_a_job_computes(bench: Any) -> None:
    services.start_computing(benchmark=bench, by=None)
    with pytest.raises(ValidationError, match="Cancel the job"):
        services.delete(benchmark=bench)


# Pages ---------------------------------------------------------------------------------------------------------------


def test_the_page_and_the_file(bench: Any, data: Any, bob: Any, client: Client) -> None:
    scored(bench, data, [0.0, 1, 2] * 4)
    bench.layout = "genai_bench"
    bench.save()
    services.start_computing(benchmark=bench, by=None)
    run(bench.job)
    client.force_login(bob)
    text = client.get(bench.get_absolute_url()).content.decode()
    for words in (
        "Demo data.",
        "A demo judge.",
        "100.0",
        "Random scores",
        "As printed in EditReward, Table 2",
        "65.72",
    ):
        assert words in text
    got = client.get(f"{bench.get_absolute_url()}table.csv")
    lines = list(csv.DictReader(io.StringIO(got.content.decode("utf-8-sig"))))
    (one,) = [row for row in lines if row["figure"] == "accuracy" and not row["task"]]
    assert (float(one["value"]), one["notice"], one["scored"]) == (1, "Demo data. A demo judge.", "12")
    assert {row["task"] for row in lines} == {"", "add"}


def test_a_page_without_figures_is_no_error(bench: Any, bob: Any, client: Client) -> None:
    scored(bench, bench.labelled_set.dataset, [])
    client.force_login(bob)
    text = client.get(bench.get_absolute_url() + "?dimension=nothing").content.decode()
    assert "not computed yet" in text and "Random scores" not in text


def test_a_set_becomes_a_benchmark_by_its_button(data: Any, tmp_path: Path, bob: Any, client: Client) -> None:
    made = rows.labelled_set(data, rows.groups_of(data), tmp_path)
    client.force_login(bob)
    answer = client.post("/benchmarks/", {"labelled_set": made.slug})
    assert answer.status_code == 302 and made.benchmark.created_by == bob
    again = client.post("/benchmarks/", {"labelled_set": made.slug})
    assert again.status_code == 200 and b"Select a valid choice" in again.content


def test_a_run_needs_a_judge_and_a_prompt(bench: Any, bob: Any, client: Client) -> None:
    client.force_login(bob)
    answer = client.post(bench.get_absolute_url(), {"judge": "nobody", "version": "x"})
    assert answer.status_code == 200 and answer.content.count(b'class="error"') == 2


def test_import_refusals(alice: Any, client: Client, db: None) -> None:
    client.force_login(alice)
    form = {"name": "Bench", "layout": "imagenhub", "folder": "../etc"}
    answer = client.post("/benchmarks/import/", form)
    assert answer.status_code == 200 and b"beneath the incoming folder" in answer.content
    with pytest.raises(ValidationError, match="no benchmark of this layout"):
        services.start_import(layout="pairs", folder="a", name="b", task="", notice="", by=alice)


def test_pages_cost_few_queries(
    bench: Any, data: Any, bob: Any, client: Client, tmp_path: Path, django_assert_max_num_queries: Any
) -> None:
    for number in range(5):
        scored(bench, data, [0.0, 1, 2], f"judge-{number}")
        rows.benchmark(rows.labelled_set(data, [], tmp_path, slug=f"more-{number}"))
    services.start_computing(benchmark=bench, by=None)
    run(bench.job)
    client.force_login(bob)
    with django_assert_max_num_queries(8):
        assert client.get("/benchmarks/").status_code == 200
    with django_assert_max_num_queries(12):
        assert client.get(bench.get_absolute_url()).status_code == 200
