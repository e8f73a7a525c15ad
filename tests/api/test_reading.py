"""What the interface tells: data sets, studies, judgements, figures; pages by key; budgets of queries."""

from typing import Any

import pytest

from annotation.models import Candidate, Case, Judgement, Mark, Study, Unit
from annotation.studies import add_member
from scoring.tables import annotator_name
from tests import judging
from tests.api.world import Program, World, add_judgement, study_of
from webapp.accounts.models import User


def all_pages(program: Program, path: str, **query: Any) -> list[dict[str, Any]]:
    rows, address = [], path
    while address:
        answer = program.get(address, **query)
        assert answer.status_code == 200, answer.content
        rows += answer.json()["results"]
        query, address = {}, (answer.json()["next"] or "").removeprefix("http://testserver")
    return rows


def test_data_sets_cases_candidates(here: World, program: Program) -> None:
    (row,) = program.get("datasets/").json()["results"]
    assert (row["uid"], row["notice"], row["cases"], row["candidates"]) == (str(here.data.uid), "Demo data.", 2, 4)
    assert program.get(f"datasets/{here.data.uid}/").json() == row
    cases = program.get(f"datasets/{here.data.uid}/cases/").json()["results"]
    assert [case["key"] for case in cases] == ["case-000", "case-001"]
    made = program.get(f"datasets/{here.data.uid}/candidates/").json()["results"]
    assert {one["editor"] for one in made} == {"editor-0", "editor-1"}
    assert {one["case"] for one in made} == {case["uid"] for case in cases}


def test_filters(here: World, program: Program) -> None:
    where = f"datasets/{here.data.uid}"
    Candidate.objects.filter(case__key="case-000", editor__slug="editor-0").update(fault="blank")
    Case.objects.filter(key="case-001").update(split="test")
    assert [row["key"] for row in all_pages(program, f"{where}/cases/", split="test")] == ["case-001"]
    assert all_pages(program, f"{where}/cases/", task="remove") == []
    assert len(all_pages(program, f"{where}/candidates/", editor="editor-0")) == 2
    assert len(all_pages(program, f"{where}/candidates/", case="case-000", usable=True)) == 1
    assert all_pages(program, "studies/", state="closed") == []
    assert len(all_pages(program, "studies/", dataset=str(here.data.uid))) == 1
    assert len(all_pages(program, "jobs/", kind="import")) == 1
    assert all_pages(program, "jobs/", state="failed") == []


def test_pages_are_stable_while_rows_come(here: World, program: Program) -> None:
    first = program.get("datasets/", limit=1).json()
    assert first["next"] is None
    for _number in range(4):
        judging.dataset(cases=0)
    first = program.get("datasets/", limit=2).json()
    judging.dataset(cases=0)
    rest = all_pages(program, first["next"].removeprefix("http://testserver"))
    uids = [row["uid"] for row in first["results"] + rest]
    assert len(uids) == len(set(uids)) == 6
    assert "limit=2" in first["next"]


def test_a_study_says_what_it_is(here: World, program: Program) -> None:
    (row,) = program.get("studies/").json()["results"]
    assert row["notice"] == "Demo data."
    assert row["progress"] == {"target": 8, "done": 4, "in_work": 0, "extra": 0, "members": 1, "simulated": 0}
    whole = program.get(f"studies/{here.study.uid}/").json()
    assert whole["protocol"] == here.study.protocol_json
    assert {key: whole[key] for key in row} == row


def test_a_simulation_is_called_one_everywhere(here: World, program: Program) -> None:
    robot = User.objects.create(username="simulated-1", is_simulated=True, is_active=False)
    add_member(study=here.study, user=robot)
    where = f"studies/{here.study.uid}"
    words = Study.objects.get(pk=here.study.pk).notice
    assert "Simulation." in words
    assert "People have judged, too" in words
    told = [
        program.get("studies/").json()["results"][0],
        program.get(f"{where}/").json(),
        program.get(f"{where}/results/").json(),
        program.get(f"{where}/judgements/").json(),
        program.get(f"exports/{here.export.uid}/").json(),
    ]
    assert [one["notice"] for one in told] == [words] * 5


def test_members(here: World, program: Program) -> None:
    (row,) = program.get(f"studies/{here.study.uid}/members/").json()["results"]
    assert (row["username"], row["annotator"]) == ("ann", annotator_name(here.annotator.pk, False))


def test_judgements_with_their_marks(here: World, program: Program) -> None:
    answer = program.get(f"studies/{here.study.uid}/judgements/", limit=3).json()
    assert answer["notice"] == "Demo data."
    row = answer["results"][0]
    assert (row["purpose"], row["seconds"], row["case_key"]) == ("live", 4.5, "case-000")
    assert row["annotator"] == annotator_name(here.annotator.pk, False)
    assert {mark["dimension"]: mark["score"] for mark in row["marks"]} == dict.fromkeys(
        ("quality", "alignment", "preservation"), 1.0
    )
    assert row["marks"][0]["editor"] == "editor-0"
    assert program.get(f"judgements/{row['uid']}/").json() == row
    assert len(all_pages(program, f"studies/{here.study.uid}/judgements/", limit=3)) == 4


def test_filters_of_judgements(here: World, program: Program) -> None:
    where = f"studies/{here.study.uid}/judgements/"
    first, second, third, fourth = Judgement.objects.order_by("id")
    Unit.objects.filter(pk=first.unit_id).update(purpose="gold")
    Judgement.objects.filter(pk=second.pk).update(is_extra=True)
    Judgement.objects.filter(pk=third.pk).update(flag="broken")

    def count(**query: Any) -> int:
        return len(all_pages(program, where, **query))

    assert count() == 3
    assert count(purpose="any") == 4
    assert count(purpose="gold") == 1
    assert count(counted=True) == 1
    assert count(flag="broken") == 1
    assert count(annotator=annotator_name(here.annotator.pk, False)) == 3
    assert count(annotator="a999999") == 0
    assert count(item=str(fourth.unit.item.uid)) == 1
    assert count(updated_since=fourth.updated_at.isoformat()) >= 1
    assert count(updated_since="2100-01-01T00:00:00Z") == 0


def test_figures_are_those_of_the_page(here: World, program: Program) -> None:
    found = program.get(f"studies/{here.study.uid}/results/").json()
    marks = list(Mark.objects.filter(candidate__editor__slug="editor-1", dimension="quality"))
    (row,) = [row for row in found["editors"] if row["editor"] == "editor-1"]
    assert row["values"]["quality"] == pytest.approx(sum(mark.score or 0 for mark in marks) / len(marks))
    assert found["kind"] == "rating"
    assert set(found["agreement"]) <= {"quality", "alignment", "preservation"}


def test_figures_of_a_study_without_answers(here: World, program: Program) -> None:
    made = judging.study(here.data, "group-rank")
    found = program.get(f"studies/{made.uid}/results/")
    assert found.status_code == 200
    assert found.json()["editors"] == []


def test_an_image(here: World, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("annotation.models.StoredImage.read_view", lambda _row: b"RIFF")
    answer = program.get(f"images/{here.data.cases.all()[0].source.uid}/")
    assert (answer.content, answer["Content-Type"]) == (b"RIFF", "image/webp")


def test_a_job_tells_no_path_of_the_machine(here: World, program: Program) -> None:
    assert "/secret/path" not in program.get(f"jobs/{here.job.uid}/").content.decode()


@pytest.mark.parametrize(
    "path", ["datasets", "datasets/{data}", "judgements/{data}", "jobs/{data}", "studies/{data}/results"]
)
def test_what_is_not_there(here: World, program: Program, path: str) -> None:
    for uid in (here.member.uid, "nothing", "%00", "1' OR '1'='1"):
        answer = program.get(f"{path.format(data=uid)}/" if "{" in path else f"{path}/{uid}/")
        assert answer.status_code == 404
        assert "nothing here" in answer.json()["error"]


LISTS = ["datasets/", "datasets/{data}/cases/", "datasets/{data}/candidates/", "studies/", "jobs/", "exports/",
         "studies/{study}/judgements/", "studies/{study}/members/"]  # fmt: skip


@pytest.mark.parametrize("path", LISTS)
def test_a_list_costs_the_same_however_long(here: World, program: Program, path: str) -> None:
    where = path.format(data=here.data.uid, study=here.study.uid)
    program.get(where)  # the use of the token is noted once
    few = program.cost(where)
    unit = Unit.objects.first()
    assert unit
    for number in range(4):
        person = User.objects.create(username=f"simulated-p{number}", is_simulated=True, is_active=False)
        add_judgement(unit, person, unit.item.candidates.all()[0], 3)
        add_member(study=here.study, user=person)
        data = judging.dataset(cases=1, editors=1)
        data.cases.update(dataset=here.data, key=f"more-{number}")
        study, _member = study_of(data, None, person)
        Study.objects.filter(pk=study.pk).update(is_simulated=True)
        from scoring.export_tables import Options
        from scoring.exports import start_export

        start_export(study=study, table="ratings", format="csv", options=Options(), by=None)
    assert program.cost(where) <= few + 2  # two more where simulations came in, however many
    assert few <= 10
