"""Simulated studies say so on every page and in every export; simulated annotators are nobody; how to start one."""

import io
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from annotation.models import Dataset, Study
from annotation.simulation.annotators import KINDS
from annotation.simulation.job import KIND, start_simulation
from annotation.simulation.run import simulate
from annotation.studies import add_member, set_state
from scoring.export_tables import Options
from scoring.exports import start_export
from scoring.writers import WRITERS
from tests import judging
from tests.drawn import drawn, study_of
from tests.judging import judge, rated
from tests.test_exports import parts, read, run_of, start
from tests.test_exports import work as export
from webapp.accounts import services as accounts
from webapp.accounts.models import User
from webapp.jobs.folder import JobError, JobStopped
from webapp.jobs.models import Job

LABEL = "these judgements were made by a program from the true score of the drawn world"
MIXED = "People have judged, too"


@pytest.fixture
def data(tmp_path: Path, alice: User) -> Dataset:
    return drawn(tmp_path, 2, owner=alice, notice="Demo data.")


# Labels --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def simulated(data: Dataset, carol: User) -> Study:
    """A study that carol may judge and two simulated annotators have judged."""
    study = study_of(data, members=[carol], by=data.created_by)
    simulate(study=study, annotators={"honest": 1, "biased": 1}, seed=1)
    return study


def page(user: User, name: str, *args: Any) -> str:
    browser = Client()
    browser.force_login(user)
    response = browser.get(reverse(name, args=args))
    assert response.status_code == 200
    return str(response.content.decode())


def test_the_label_comes_with_the_first_simulated_member(data: Dataset, carol: User) -> None:
    study = study_of(data, members=[carol])
    assert (study.is_simulated, study.notice) == (False, "Demo data.")
    robot = User.objects.create(username="simulated-honest-1-1", is_simulated=True, is_active=False)
    add_member(study=study, user=robot)
    study.refresh_from_db()
    assert study.is_simulated
    assert study.notice == f"Demo data. Simulation. Simulated annotators: {LABEL}."
    study.members.filter(user=robot).delete()
    assert Study.objects.get(pk=study.pk).is_simulated, "what they judged stays"


def test_where_people_have_judged_too_it_says_so(simulated: Study, carol: User) -> None:
    assert MIXED not in simulated.notice
    judge(simulated, carol, lambda _row: rated({"overall": 3}), limit=1)
    assert simulated.notice.endswith(f"{LABEL}. {MIXED}: their judgements are among these.")


def test_every_page_of_the_study_says_simulation(simulated: Study, alice: User, carol: User) -> None:
    uid = simulated.uid
    for name in ("study", "study_members", "study_annotators", "study_checks", "study_concerns", "study_decisions"):
        assert LABEL in page(alice, name, uid), name
    assert LABEL in page(carol, "workplace", uid)
    badge = '<span class="badge demo">simulation</span>'
    assert badge in page(alice, "studies")
    assert badge in page(carol, "work")
    assert badge in page(carol, "workplace", uid), "also where the sentence is cut off"
    candidate = simulated.items.first().candidates.first()  # type: ignore[union-attr]
    assert candidate is not None
    assert badge in page(alice, "candidate", candidate.uid)
    text = page(alice, "overview")
    assert badge in text
    assert f"Judgements of simulated annotators are among them: {simulated.name}." in text
    assert "simulated-" in page(alice, "study_annotators", uid)


def test_other_studies_say_nothing_of_it(data: Dataset, alice: User, carol: User) -> None:
    study = study_of(data, members=[carol])
    for user, name in ((alice, "studies"), (carol, "work"), (alice, "overview")):
        assert "simulation" not in page(user, name).lower(), name
    assert LABEL not in page(alice, "study", study.uid) + page(carol, "workplace", study.uid)


def test_simulated_annotators_are_not_counted_as_people(simulated: Study, alice: User) -> None:
    text = page(alice, "study_figures", simulated.uid)
    assert "Simulated annotators</dt><dd>" in text.replace("\n", "")
    assert "+ 2 simulated" in page(alice, "studies")
    from webapp.dashboard import queries

    stage = next(stage for stage in queries.overview()["stages"] if stage.key == "annotate")
    assert [detail.count for detail in stage.details if detail.text == "annotator"] == [1], "carol alone"


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("table", ["ratings", "mos"])
def test_every_export_of_ratings_says_simulation(simulated: Study, carol: User, table: str, kind: str) -> None:
    judge(simulated, carol, lambda _row: rated({"overall": 3}), limit=2)
    job = start(simulated, table, kind)
    assert job.title.endswith(", simulation")
    rows, note = parts(export(job))
    assert job.summary["file"].startswith("simulation-study-of-drawn")
    assert LABEL in note
    assert MIXED in note
    if table == "ratings":
        names = {str(row["annotator"]) for row in read(table, kind, rows)}
        robots = User.objects.filter(is_simulated=True)
        assert names == {f"a{carol.pk}", *(f"simulated-{robot.pk}" for robot in robots)}


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("table", ["rankings", "pairs"])
def test_every_export_of_rankings_says_simulation(data: Dataset, table: str, kind: str) -> None:
    study = study_of(data, "group-rank", raters=2)
    simulate(study=study, annotators={"honest": 2}, seed=1)
    job = start(study, table, kind)
    rows, note = parts(export(job))
    assert job.summary["file"].startswith("simulation-")
    assert LABEL in note
    found = read(table, kind, rows)
    assert found
    assert table == "pairs" or all(str(row["annotator"]).startswith("simulated-") for row in found)


def test_the_pages_of_its_jobs_say_simulation(simulated: Study, alice: User) -> None:
    job = start_simulation(study=simulated, annotators={"honest": 1}, seed=1, by=alice)
    exported = start_export(study=simulated, table="mos", format="csv", options=Options(), by=alice)
    for one in (job, exported):
        assert LABEL in page(alice, "job", one.uid)
    assert "simulation" in page(alice, "exports")


# Simulated annotators are nobody --------------------------------------------------------------------------------------


def a_robot(study: Study) -> User:
    found = study.members.filter(user__is_simulated=True).select_related("user").first()
    assert found is not None
    return found.user


def test_they_cannot_sign_in(simulated: Study, client: Client) -> None:
    robot = a_robot(simulated)
    assert not robot.has_usable_password()
    robot.set_password("seven-green-parrots")  # even so
    robot.save()
    client.post(reverse("account_login"), {"login": robot.username, "password": "seven-green-parrots"})
    assert "_auth_user_id" not in client.session
    client.force_login(robot)
    assert client.get(reverse("workplace", args=[simulated.uid])).status_code == 302, "sent to the sign-in page"


def test_the_database_keeps_them_out(simulated: Study) -> None:
    robot = a_robot(simulated)
    for change in ({"is_active": True}, {"role": "admin"}, {"is_simulated": False}, {"username": "anna"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            User.objects.filter(pk=robot.pk).update(**change)
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create(username="Simulated-me")


def test_an_admin_cannot_let_them_in(simulated: Study, alice: User) -> None:
    robot = a_robot(simulated)
    browser = Client()
    browser.force_login(alice)
    url = reverse("change_person", args=[robot.pk])
    response = browser.post(url, {"role": "annotator", "is_active": "on"}, follow=True)
    assert "A simulated annotator cannot sign in and has no other role." in response.content.decode()
    robot.refresh_from_db()
    assert not robot.is_active


def test_nobody_takes_such_a_name(alice: User) -> None:
    _invitation, token = accounts.invite(by=alice, role="annotator")
    for name in ("simulated-anna", "Simulated-anna"):
        with pytest.raises(ValidationError, match="belong to simulated annotators"):
            accounts.accept(token=token, username=name, password="seven-green-parrots")
    assert accounts.accept(token=token, username="simulated", password="seven-green-parrots")[0].pk


def test_lists_of_people_tell_them_apart(simulated: Study, alice: User) -> None:
    robot, badge = a_robot(simulated), '<span class="badge demo">simulated</span>'
    people = page(alice, "people")
    assert people.count(badge) == 2
    assert reverse("change_person", args=[robot.pk]) not in people
    assert page(alice, "study_members", simulated.uid).count(badge) == 2
    choices = page(alice, "study_members", simulated.uid).split("<select")[1].split("</select>")[0]
    assert "simulated-" not in choices
    assert "carol" in choices


# The form, the job, the command --------------------------------------------------------------------------------------


def fields(**more: Any) -> dict[str, Any]:
    return {**dict.fromkeys(KINDS, 0), "honest": 1, "seed": 4, **more}


def post(user: User, study: Study, values: dict[str, Any]) -> Any:
    browser = Client()
    browser.force_login(user)
    return browser.post(reverse("study_simulate", args=[study.uid]), values, follow=True)


def test_the_form_starts_a_job_that_judges(data: Dataset, alice: User) -> None:
    study = study_of(data, by=alice)
    assert 'id="simulate"' in page(alice, "study", study.uid)
    response = post(alice, study, fields(noisy=2))
    job = Job.objects.get(kind="simulate")
    assert response.redirect_chain[-1][0] == job.get_absolute_url()
    assert (job.queue, job.created_by) == ("default", alice)
    assert KIND.work is not None
    made = KIND.work(run_of(job), job)
    assert (made["simulated judgements"], made["new"], made["simulated annotators"]) == (36, 36, 3)
    assert made["simulation: order of editors recovered, everybody"] > 0.8
    names = set(study.members.values_list("user__username", flat=True))
    assert names == {"simulated-honest-1-4", "simulated-noisy-1-4", "simulated-noisy-2-4"}


def test_the_job_resumes_after_a_stop(data: Dataset, alice: User) -> None:
    study = study_of(data)
    job = start_simulation(study=study, annotators={"honest": 2}, seed=1, by=alice)
    run = run_of(job)
    run.stop()
    assert KIND.work is not None
    with pytest.raises(JobStopped):
        KIND.work(run, job)
    run.finish("cancelled")
    run._owner.close()
    assert KIND.work(run_of(job), job)["simulated judgements"] == 24
    told = [json.loads(line) for line in (job.folder / "events.jsonl").read_text().splitlines() if line]
    assert (told[-1]["done"], told[-1]["total"]) == (24, 24)


def test_the_form_is_shown_only_where_it_can_do_something(data: Dataset, alice: User, bob: User) -> None:
    assert 'id="simulate"' not in page(bob, "study", study_of(data, by=alice).uid), "somebody else's study"
    assert 'id="simulate"' in page(bob, "study", study_of(data, by=bob).uid)
    other = judging.study(judging.dataset(), by=alice)
    assert 'id="simulate"' not in page(alice, "study", other.uid), "not of the drawn world"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (fields(honest=""), "Give a whole number of annotators of each kind"),
        (fields(seed="x"), "Give a whole number of annotators of each kind"),
        (fields(honest=0), "Choose 1 to 100 annotators"),
    ],
)
def test_what_the_form_refuses_starts_nothing(data: Dataset, alice: User, values: dict[str, Any], words: str) -> None:
    response = post(alice, study_of(data, by=alice), values)
    assert words in response.content.decode()
    assert not Job.objects.filter(kind="simulate").exists()


def test_a_study_of_anything_else_starts_no_job(alice: User) -> None:
    response = post(alice, judging.study(judging.dataset(), by=alice), fields())
    assert "not of the drawn world" in response.content.decode()
    assert not Job.objects.filter(kind="simulate").exists()


def test_the_job_says_why_it_cannot(data: Dataset, alice: User) -> None:
    study = study_of(data)
    job = start_simulation(study=study, annotators={"honest": 1}, seed=1, by=alice)
    set_state(study=study, state="closed")
    assert KIND.work is not None
    with pytest.raises(JobError, match="This study is closed"):
        KIND.work(run_of(job), job)
    study.delete()
    other = start_simulation(study=study_of(data), annotators={"honest": 1}, seed=1, by=alice)
    Study.objects.all().delete()
    with pytest.raises(JobError, match="The study was deleted"):
        KIND.work(run_of(other), other)


def test_the_command(data: Dataset) -> None:
    study, out, told = study_of(data), io.StringIO(), io.StringIO()
    call_command(
        "simulate_study", str(study.uid), "--honest", "2", "--reversed", "1", "--seed", "6", stdout=out, stderr=told
    )
    assert "36 new judgements by 4 simulated annotators" not in out.getvalue()
    assert "60 new judgements by 5 simulated annotators, 60 in all." in out.getvalue(), "one biased and one noisy, too"
    assert LABEL in out.getvalue()
    assert "60 of 60" in told.getvalue()
    assert set(study.members.values_list("user__username", flat=True)) >= {"simulated-reversed-1-6"}


def test_the_command_refuses_in_words(data: Dataset) -> None:
    for study, words in (
        ("x", "is no uid of a study"),
        (str(uuid4()), "There is no study"),
        (str(judging.study(judging.dataset()).uid), "not of the drawn world"),
    ):
        with pytest.raises(CommandError, match=words):
            call_command("simulate_study", study)
    with pytest.raises(CommandError, match="Choose 1 to 100 annotators"):
        call_command("simulate_study", str(study_of(data).uid), honest=0, biased=0, noisy=0)
