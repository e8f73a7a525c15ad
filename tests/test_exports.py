"""Exports: every number once more in plain Python from the answers, the same bytes twice, and what is left out."""

import csv
import io
import json
import random
import zipfile
from collections.abc import Callable
from math import sqrt
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.test import Client
from django.urls import reverse

from annotation.library import dataset_hash
from annotation.models import Assignment, Judgement, Study
from annotation.protocols import PRESETS
from scoring import exports
from scoring.export_tables import TABLES, Options
from scoring.exports import KIND, file_of, start_export
from scoring.forms import ExportForm
from scoring.reannotation.services import adjudicate
from scoring.stats.mos import METHODS, OUTLIER_RULES
from scoring.writers import WRITERS
from tests import judging, recount
from tests.judging import by_worth, judge, member_of, ranked, rated, submit
from tests.recount import EXCUSES, Row
from webapp.accounts.models import User
from webapp.jobs.folder import JobError, JobRun, JobStopped, write_json
from webapp.jobs.models import Job

REMARKS = ("", "", 'He said "no",\nthen left; =1+1', "=HYPERLINK(1)", "-2", "好 🙂\r\nsecond\rthird line")
NOTICE = "Demo data. Simulated answers."


# Studies to export --------------------------------------------------------------------------------------------------


def answer_to(preset: str, assignment: Assignment, chance: random.Random, flag: str | None) -> judging.Answer:
    remark, excused = chance.choice(REMARKS), flag in EXCUSES and chance.random() < 0.5
    if preset == "mos":
        scores = {key: chance.randint(10, 50) / 10 for key in ("quality", "alignment", "preservation")}
        return rated({} if excused else scores, flag, remark)
    if preset == "pairwise":
        choice = None if excused else chance.choice(["A", "B", "tie", "both_bad"])
        return {"choice": choice, "flag": flag, "remark": remark}
    return ranked(by_worth(assignment, lambda candidate: candidate + chance.randint(0, 3)), flag, remark)


def studied(preset: str, cases: int, editors: int, people: int, excuse: str) -> Study:
    """A study of random answers: some flagged, some with remarks, some revised, two of them extra."""
    chance, flags = random.Random(preset), (None, None, None, None, "no_edit", excuse)
    users = [User.objects.create(username=f"annotator-{number}", role="annotator") for number in range(people)]
    study = judging.study(judging.dataset(cases, editors, notice=NOTICE), preset, users)
    study.units.update(target=people)
    for user in users:
        judge(study, user, lambda row: answer_to(preset, row, chance, chance.choice(flags)))
    for assignment in study.assignments.order_by("pk")[:3]:
        again = answer_to(preset, assignment, chance, None)
        submit(member_of(study, assignment.annotator), assignment, again)
    late = study.judgements.order_by("-pk").values_list("pk", flat=True)[:2]
    study.judgements.filter(pk__in=list(late)).update(is_extra=True)
    return study


PANELS: dict[str, Callable[[], Study]] = {
    "rating": lambda: studied("mos", cases=3, editors=3, people=5, excuse="broken"),
    "ranking": lambda: studied("group-rank", cases=2, editors=4, people=3, excuse="unsafe"),
    "pairwise": lambda: studied("pairwise", cases=2, editors=3, people=3, excuse="cannot_judge"),
}


@pytest.fixture(params=list(PANELS))
def panel(request: pytest.FixtureRequest, db: None) -> Study:
    return PANELS[request.param]()


@pytest.fixture
def small(carol: User, mallory: User) -> Study:
    """Two annotators, one of them stricter, agree on which of two candidates is better."""
    study = judging.study(judging.dataset(cases=1, editors=2, notice=NOTICE), "hp-score", (carol, mallory))
    good = study.items.order_by("pk")[0].pk
    for user, (low, high) in ((carol, (1, 3)), (mallory, (2, 5))):
        points = {True: high, False: low}
        judge(study, user, lambda row, points=points: rated({"overall": points[row.unit.item_id == good]}))  # type: ignore[misc]
    return study


# Running an export --------------------------------------------------------------------------------------------------


def start(study: Study, table: str, kind: str = "jsonl", **options: Any) -> Job:
    return start_export(study=study, table=table, format=kind, options=Options(**options), by=None)


def run_of(job: Job) -> JobRun:
    """The process's side of a job, as a worker would start it."""
    job.folder.mkdir(parents=True, exist_ok=True)
    write_json(job.folder / "job.json", {"kind": job.kind, "config": job.config, "attempt": 1})
    return JobRun(job.folder)


def work(job: Job) -> bytes:
    """Do the job's work; the bytes of the zip that it made."""
    assert KIND.work is not None
    job.summary = KIND.work(run_of(job), job)
    job.save()
    path = file_of(job)
    assert path is not None
    assert job.summary == {"file": path.name, "bytes": path.stat().st_size}
    return path.read_bytes()


def parts(packed: bytes) -> tuple[bytes, str]:
    """The data and the README of an export."""
    with zipfile.ZipFile(io.BytesIO(packed)) as found:
        data, readme = found.namelist()
        assert readme == "README.md"
        return found.read(data), found.read(readme).decode()


def read(table: str, kind: str, data: bytes) -> list[Row]:
    """Rows of an export with the types of their columns."""
    if kind == "jsonl":
        return [json.loads(line) for line in data.decode().split("\n") if line]
    if kind == "parquet":
        rows: list[Row] = pq.read_table(io.BytesIO(data)).to_pylist()
        return rows
    types: dict[str, Callable[[str], Any]] = {"text": str, "integer": int, "number": float, "flag": "true".__eq__}
    of = {column.name: types[column.type] for column in TABLES[table].columns}
    cells = csv.DictReader(io.StringIO(data.decode(), newline=""))
    return [{name: of[name](cell) if cell or of[name] is str else None for name, cell in row.items()} for row in cells]


def exported(study: Study, table: str, kind: str = "jsonl", **options: Any) -> list[Row]:
    return read(table, kind, parts(work(start(study, table, kind, **options)))[0])


def for_spreadsheets(value: Any) -> Any:
    return "'" + value if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value


def same(found: list[Row], expected: list[Row], kind: str = "jsonl") -> None:
    """Equal rows in equal order, numbers to nine places."""
    assert len(found) == len(expected)
    for row, right in zip(found, expected, strict=True):
        assert set(row) == set(right)
        for name, value in right.items():
            wanted = for_spreadsheets(value) if kind == "csv" else value
            assert row[name] == (pytest.approx(wanted, abs=1e-9) if isinstance(wanted, float) else wanted), name


# Every number -------------------------------------------------------------------------------------------------------


def test_it_works(small: Study) -> None:
    """z is ±1/√2 for both annotators, so the scores are 100·(3 ± 0.7071)/6 without any spread."""
    rows = exported(small, "mos")
    assert sorted(row["mos"] for row in rows) == pytest.approx([50 - 100 / 6 / sqrt(2), 50 + 100 / 6 / sqrt(2)])
    assert [(row["n"], row["std"]) for row in rows] == [(2, pytest.approx(0))] * 2
    assert sorted(row["mos"] for row in exported(small, "mos", method="mean")) == [1.5, 4]
    assert sorted(row["score"] for row in exported(small, "ratings")) == [1, 2, 3, 5]


def test_every_number_is_that_of_the_answers(panel: Study) -> None:
    for table in TABLES:
        expected = getattr(recount, table)(panel)
        for kind in WRITERS:
            same(exported(panel, table, kind), expected, kind)


def test_extra_judgements_come_only_when_asked_for(panel: Study) -> None:
    for table in TABLES:
        expected = getattr(recount, table)
        same(exported(panel, table, include_extra=True), expected(panel, include_extra=True))
    table = "ratings" if panel.protocol.kind == "rating" else "rankings"
    assert not any(row["extra"] for row in exported(panel, table))
    assert sum(row["extra"] for row in exported(panel, table, include_extra=True)) > 0


def test_the_chosen_method_and_rule_are_used(db: None) -> None:
    study = PANELS["rating"]()
    for method in ("zscore", "mean"):
        for rule in ("pooled", "none"):
            found = exported(study, "mos", method=method, outliers=rule)
            same(found, recount.mos(study, method=method, rule=rule))
    assert exported(study, "mos", outliers="none") != exported(study, "mos")


def test_excused_answers_stand_among_the_ratings_and_not_in_scores_and_pairs(small: Study, carol: User) -> None:
    Judgement.objects.filter(annotator=carol).update(flag="broken")
    assert sorted(row["flag"] for row in exported(small, "ratings")) == ["", "", "broken", "broken"]
    assert [row["n"] for row in exported(small, "mos")] == [1, 1]
    Judgement.objects.filter(annotator=carol).update(flag="no_edit")
    assert [row["n"] for row in exported(small, "mos")] == [2, 2]


@pytest.mark.parametrize("flag", EXCUSES)
def test_excused_rankings_are_not_in_pairs(carol: User, mallory: User, flag: str) -> None:
    study = judging.study(judging.dataset(cases=1), "group-rank", (carol, mallory))
    judge(study, carol, lambda row: ranked(by_worth(row, lambda candidate: candidate)))
    before = exported(study, "pairs")
    judge(study, mallory, lambda row: ranked(by_worth(row, lambda candidate: -candidate), flag=flag))
    assert exported(study, "pairs") == before
    assert len(exported(study, "rankings")) == 18


# What comes with the rows -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", TABLES)
def test_the_readme_says_what_the_rows_are(small: Study, table: str) -> None:
    _data, readme = parts(work(start(small, table)))
    for column in TABLES[table].columns:
        assert f"| {column.name} | {column.type} | {column.about} |" in readme
    assert f"**{NOTICE}**" in readme
    assert dataset_hash(small.dataset) in readme
    assert str(small.uid) in readme
    assert "preset hp-score" in readme
    assert json.dumps(PRESETS["hp-score"].to_json(), indent=2, ensure_ascii=False) in readme
    assert "Extra judgements: left out." in readme
    assert "Extra judgements: included." in parts(work(start(small, table, include_extra=True)))[1]
    assert f"- Rows: {len(exported(small, table))}" in readme
    assert "apostrophe" in readme


def test_the_readme_names_method_rule_and_scale(small: Study) -> None:
    readme = parts(work(start(small, "mos")))[1]
    assert "Method: zscore; outlier rule: pooled; confidence 0.95." in readme
    assert "0–100" in readme
    assert "flagged broken, unsafe or cannot_judge: left out" in readme
    readme = parts(work(start(small, "mos", method="corrected", outliers="bt500")))[1]
    assert "Method: corrected; outlier rule: bt500" in readme


def test_no_notice_no_claim(carol: User) -> None:
    study = judging.study(judging.dataset(cases=1, editors=1), "hp-score", (carol,))
    assert "Demo" not in parts(work(start(study, "mos")))[1]


def test_names_of_people_are_not_exported(small: Study) -> None:
    for table in TABLES:
        for part in parts(work(start(small, table))):
            text = part if isinstance(part, str) else part.decode()
            assert "carol" not in text
            assert "mallory" not in text


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("table", TABLES)
def test_an_empty_study_has_the_columns_and_no_rows(carol: User, table: str, kind: str) -> None:
    study = judging.study(judging.dataset(cases=1), "mos", (carol,))
    data, readme = parts(work(start(study, table, kind)))
    names = [column.name for column in TABLES[table].columns]
    assert read(table, kind, data) == []
    assert "- Rows: 0" in readme
    if kind == "csv":
        assert data.decode() == ",".join(names) + "\r\n"
    if kind == "parquet":
        assert pq.read_schema(io.BytesIO(data)).names == names


def test_the_header_of_csv_is_stable(small: Study) -> None:
    """Scripts read these names."""
    head = "case,task,split,candidate,editor,seed,image_sha256,annotator,dimension"
    tail = "flag,extra,seconds,revisions,judged_at,remark"
    expected = {
        "ratings": f"{head},score,{tail}",
        "rankings": f"{head},group,round,rank,shelf,{tail}",
        "mos": "case,task,split,candidate,editor,seed,image_sha256,dimension,mos,n,std,ci_low,ci_high,adjudicated",
        "pairs": "case,task,split,group,dimension,better,better_editor,worse,worse_editor,gap,tie,contested,"
        "adjudicated",
        "adjudications": "case,task,split,candidate,editor,seed,image_sha256,item,dimension,score,rank,stands,"
        "decided_by,decided_at,note",
    }
    found = {table: parts(work(start(small, table, "csv")))[0].decode().split("\r\n")[0] for table in TABLES}
    assert found == expected


# The same bytes -----------------------------------------------------------------------------------------------------


def test_the_same_export_twice_is_the_same_bytes(panel: Study, bob: User) -> None:
    before = {(table, kind): work(start(panel, table, kind)) for table in TABLES for kind in WRITERS}
    other = judging.study(judging.dataset(cases=2, editors=2), "mos", (bob,))
    judge(other, bob, lambda row: rated({"quality": 2, "alignment": 3, "preservation": 4}))
    for (table, kind), packed in before.items():
        job = start(panel, table, kind)
        assert work(job) == packed
        assert work(job) == packed  # the job once more, as after a crash


# Stopping and failing -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", TABLES)
def test_an_export_that_is_stopped_leaves_no_file_and_can_be_resumed(
    carol: User, mallory: User, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = judging.study(judging.dataset(cases=2), "group-rank", (carol, mallory))
    for user in (carol, mallory):
        judge(study, user, lambda row: ranked(by_worth(row, lambda candidate: candidate % 3)))
    for item in study.items.all():
        order = {"order": [[str(candidate.uid)] for candidate in item.candidates.all()]}
        adjudicate(item=item, answers={"quality": order}, note="", by=carol)
    whole, job, looks = work(start(study, table)), start(study, table), iter(range(100))

    def stop_at_the_fifth_look(_run: JobRun) -> None:
        if next(looks) == 4:
            raise JobStopped

    with monkeypatch.context() as asked:
        asked.setattr(exports, "LOOK", 1)
        asked.setattr(JobRun, "check", stop_at_the_fifth_look)
        with pytest.raises(JobStopped):
            work(job)
    assert not list(job.folder.glob("outputs/*.zip*"))
    assert work(job) == whole


@pytest.mark.parametrize("table", TABLES)
def test_a_short_export_stops_too(small: Study, table: str) -> None:
    job = start(small, table)
    run = run_of(job)
    run.stop()
    assert KIND.work is not None
    with pytest.raises(JobStopped):
        KIND.work(run, job)
    assert not list(job.folder.glob("outputs/*.zip*"))


def test_a_deleted_study_is_said_in_words(small: Study) -> None:
    job = start(small, "mos")
    small.delete()
    with pytest.raises(JobError, match="The study was deleted"):
        work(job)
    assert KIND.links(job) == []


# By page ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [{"table": "users"}, {"table": ""}, {"format": "xlsx"}, {"method": "guess"}, {"outliers": "some"}],
)
def test_unknown_tables_formats_and_methods_are_refused(small: Study, bob: User, change: dict[str, str]) -> None:
    form = {"table": "mos", "format": "csv"} | change
    assert not ExportForm(form).is_valid()
    browser = Client()
    browser.force_login(bob)
    answer = browser.post(reverse("study_export", args=[small.uid]), form, follow=True)
    assert "Choose a table and a format" in answer.content.decode()
    assert not Job.objects.exists()


def test_the_form_offers_all_and_falls_back_to_the_papers_method() -> None:
    form = ExportForm({"table": "mos", "format": "csv"})
    assert form.is_valid()
    assert form.options() == Options(False, "zscore", "")
    for method in METHODS:
        for rule in OUTLIER_RULES:
            form = ExportForm(
                {"table": "mos", "format": "csv", "method": method, "outliers": rule, "include_extra": "on"}
            )
            assert form.is_valid()
            assert Options.from_json(json.loads(json.dumps(form.options().to_json()))) == Options(True, method, rule)
            assert form.options().mos_settings.outlier_rule == rule


def test_an_export_is_started_and_fetched_by_page(small: Study, bob: User) -> None:
    browser = Client()
    browser.force_login(bob)
    answer = browser.post(reverse("study_export", args=[small.uid]), {"table": "mos", "format": "csv"})
    job = Job.objects.get(kind="export")
    assert answer["Location"] == job.get_absolute_url()
    assert job.created_by == bob
    assert browser.get(reverse("export_file", args=[job.uid])).status_code == 404  # not made yet
    packed = work(job)
    answer = browser.get(reverse("export_file", args=[job.uid]))
    assert b"".join(answer.streaming_content) == packed  # type: ignore[attr-defined]
    assert f'filename="{job.summary["file"]}"' in answer["Content-Disposition"]
    assert job.summary["file"] in browser.get(reverse("exports")).content.decode()
    assert job.summary["file"] in browser.get(job.get_absolute_url()).content.decode()


def test_only_files_of_the_job_itself_are_given_out(small: Study) -> None:
    job = start(small, "mos")
    packed = work(job)
    (job.folder / "secret.txt").write_text("secret")
    job.summary = {"file": "../secret.txt"}
    assert file_of(job) is None
    job.summary = {"file": f"../../{job.uid}/outputs/rows-{small.uid}.zip"}
    assert file_of(job) is None
    assert packed
