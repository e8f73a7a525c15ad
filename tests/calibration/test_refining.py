"""Refinement by a program: a question proposed, tried on the dev part, kept where it is better; a person accepts it."""

import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from annotation.library import load_tasks
from annotation.models import Candidate, Case
from scoring.calibration import proposers, refining
from scoring.calibration.proposers import NoProposal, from_known, read
from scoring.calibration.queries import version_of
from scoring.calibration.triples import people_of
from scoring.models import Answer, Calibration, Judge, PromptVersion, Score, Suggestion
from tests.calibration import make
from tests.drawn import drawn, study_of
from tests.endpoints.service import Asked, Reply, Service, chat, running
from tests.scoring_jobs import make as asking
from webapp.endpoints.models import Endpoint
from webapp.jobs import services as jobs
from webapp.jobs.folder import JobError, JobRun, write_json
from webapp.jobs.kinds import kind_of
from webapp.jobs.models import Job

pytestmark = pytest.mark.django_db
QUESTION = "Is the rest of the picture as it was?"


@pytest.fixture
def desk(bob: Any, settings: Any, tmp_path: Path) -> Calibration:
    """Drawn edits of the task "remove", rated by one person; the judge is at an endpoint where nobody is."""
    settings.PRIVATE_ENDPOINTS = True
    load_tasks()
    (rater,) = make.people(1)
    study = study_of(drawn(tmp_path, 8), raters=1, members=[rater])
    worth = {pk: pk * 7 % 6 for pk in Candidate.objects.values_list("pk", flat=True)}
    make.rated_by(study, rater, worth.__getitem__, remark="A ghost is left.")
    asking.endpoint()
    of = make.prompt("hp", "Does the picture look fine?", task=Case.objects.values_list("task", flat=True)[0])
    return make.calibration(study, of, bob, judge=asking.judge())


@pytest.fixture
def version(desk: Calibration) -> PromptVersion:
    found = version_of(desk, 1)
    assert found is not None
    return found


@pytest.fixture
def service(db: None) -> Iterator[Service]:
    with running(lambda asked: chat(json.dumps({"question": QUESTION, "reason": "People see a ghost."}))) as found:
        yield found


@pytest.fixture
def writer(service: Service, desk: Calibration) -> Endpoint:
    return asking.endpoint("writer", service.address)


def start(desk: Calibration, version: PromptVersion, proposer: str = "drawn", **more: Any) -> Job:
    return refining.start_refining(
        calibration=desk, version=version, proposer=proposer, rounds=more.pop("rounds", 1), by=desk.created_by, **more
    )


def worked(job: Job) -> Suggestion:
    """What the job's process does, and its end."""
    assert jobs.claim(uid=str(job.uid), worker="w")
    job.refresh_from_db()
    job.folder.mkdir(parents=True, exist_ok=True)
    write_json(job.folder / "job.json", {"kind": job.kind, "config": job.config, "attempt": job.attempt})
    kind = kind_of(job)
    assert kind.work is not None
    run = JobRun(job.folder)
    try:
        summary = kind.work(run, job)
    except JobError as error:
        jobs.finish(job, state="failed", message=str(error))
        raise
    finally:
        run._owner.close()
    kind.on_result(job, summary)
    jobs.finish(job, state="succeeded", summary=summary)
    return Suggestion.objects.get(job=job)


def waiting(kind: str) -> Job:
    return Job.objects.get(kind=kind, state="queued")


def tried(desk: Calibration, good: bool, cost: float | None = 0.001) -> Suggestion:
    """Do the scoring job that waits: what it tries is as people say, or the opposite; all else is noise."""
    job, people = waiting("score-service"), people_of(desk)
    means = dict(zip(people.candidates.tolist(), people.human.tolist(), strict=True))
    trial = PromptVersion.objects.get(uid=job.config["versions"][1])

    def reply(request: Any) -> Any:
        mean = means[request.ref[1]]
        parent = mean if trial.number > 2 and not good else (request.ref[1] * 5 % 6 + mean) / 2
        return asking.said((mean if good else 5 - mean) if request.ref[0] == 1 else parent, cost=cost)

    asking.run(job, reply)
    return Suggestion.objects.get(trial=trial)


def refused(work: Callable[[], object]) -> str:
    with pytest.raises(ValidationError) as caught:
        work()
    return " ".join(caught.value.messages)


# Begin ---------------------------------------------------------------------------------------------------------------


def test_a_proposer_that_there_is_not(desk: Calibration, version: PromptVersion) -> None:
    asking.endpoint("painter", kind="images")
    for slug in ("", "gone", "painter"):
        assert refused(partial(start, desk, version, slug)) == "Choose who proposes."


@pytest.mark.parametrize("rounds", [0, 21])
def test_rounds_that_are_none_or_too_many(desk: Calibration, version: PromptVersion, rounds: int) -> None:
    assert "1 to 20 rounds" in refused(lambda: start(desk, version, rounds=rounds))


def test_a_budget_without_prices(desk: Calibration, version: PromptVersion, writer: Endpoint) -> None:
    Endpoint.objects.filter(slug="writer").update(price_input=None)
    assert "Costs of “writer” are not known" in refused(lambda: start(desk, version, "writer", budget=1.0))
    assert not Job.objects.exists()


def test_the_known_questions_are_offered_to_the_demo_judge_alone(desk: Calibration) -> None:
    def offered() -> list[str]:
        return [slug for slug, _name in refining.RefineForm(calibration=desk).fields["proposer"].choices]  # type: ignore[attr-defined]

    assert offered() == ["local"]
    desk.judge = Judge.objects.create(slug="drawn", name="Drawn", kind="drawn")
    assert offered() == ["drawn", "local"]


# Known questions -----------------------------------------------------------------------------------------------------


def test_known_questions_come_one_after_the_other_until_there_is_none(version: PromptVersion) -> None:
    found: list[str] = []
    with pytest.raises(NoProposal, match="are asked or tried already"):
        while len(found) < 50:
            found.append(from_known(version, found).text)
    assert len(set(found)) == len(found) > 3
    again = from_known(make.version(version.prompt, found[0], parent=version), [])
    assert again.text == found[1], "what the version asks is not proposed"
    assert "drawn world" in again.source


def test_a_task_that_the_drawn_world_lacks(desk: Calibration, version: PromptVersion) -> None:
    every = make.prompt("every", task=None).versions.get()
    with pytest.raises(NoProposal, match="no known questions for the task"):
        from_known(every, [])


def test_a_proposal_is_tried_beside_its_parent_on_the_dev_part(desk: Calibration, version: PromptVersion) -> None:
    made = worked(start(desk, version))
    assert made.trial is not None
    assert (made.parent, made.trial.is_trial, made.trial.parent, made.state) == (version, True, version, "open")
    scoring = waiting("score-service")
    assert made.figures == {"scoring": str(scoring.uid)}
    assert scoring.config["versions"] == [str(version.uid), str(made.trial.uid)]
    assert scoring.config["selection"]["dev_only"]
    assert scoring.config["then"]["name"] == refining.FOLLOWER
    people = people_of(desk)
    made = tried(desk, good=True)
    held = people.candidates[people.held_out].tolist()
    assert not Score.objects.filter(candidate__in=held).exists(), "the held-out part was not seen"
    assert made.figures["verdict"] == "better"
    assert made.figures["after"]["value"] == pytest.approx(1)
    assert made.figures["n"] == (~people.held_out).sum()
    assert made.figures["sentence"].startswith("The second is better")
    assert not Job.objects.filter(state="queued").exists(), "one round"


def test_the_end_of_a_job_twice_tries_it_once(desk: Calibration, version: PromptVersion) -> None:
    job = start(desk, version)
    made = worked(job)
    kind_of(job).on_result(job, {"suggestion": str(made.uid), "cost": 0.0})
    assert Job.objects.filter(kind="score-service").count() == 1
    tried(desk, good=True)
    scoring = Job.objects.get(kind="score-service")
    kind_of(scoring).on_result(scoring, {})
    assert Job.objects.count() == 2


def test_a_trial_that_cannot_be_scored_says_why(desk: Calibration, version: PromptVersion) -> None:
    job = start(desk, version)
    Endpoint.objects.all().delete()
    made = worked(job)
    assert "The endpoint “local” does not exist" in made.figures["problem"]


def test_a_calibration_that_was_deleted(desk: Calibration, version: PromptVersion) -> None:
    job = start(desk, version)
    desk.delete()
    with pytest.raises(JobError, match="The calibration or the version of the prompt was deleted"):
        worked(job)


# The loop ------------------------------------------------------------------------------------------------------------


def test_the_loop_goes_on_from_what_is_better_and_from_nothing_else(desk: Calibration, version: PromptVersion) -> None:
    first = worked(start(desk, version, rounds=3))
    assert tried(desk, good=True).figures["verdict"] == "better"
    second_job = waiting("refine")
    assert first.trial is not None
    assert second_job.config["version"] == str(first.trial.uid)
    assert (second_job.config["rounds"], second_job.config["tried"]) == (2, [])
    second = worked(second_job)
    assert second.parent == first.trial
    assert tried(desk, good=False).figures["verdict"] == "worse"
    third_job = waiting("refine")
    assert third_job.config["version"] == str(first.trial.uid), "what was worse is left"
    assert (third_job.config["rounds"], third_job.config["tried"]) == (1, [second.text])
    third = worked(third_job)
    assert third.text not in (first.text, second.text)
    tried(desk, good=True)
    assert not Job.objects.filter(state="queued").exists()


def test_the_loop_ends_with_its_budget(desk: Calibration, version: PromptVersion) -> None:
    job = start(desk, version, rounds=9, budget=0.05)
    worked(job)
    scoring = waiting("score-service")
    assert scoring.config["most_cost"] == pytest.approx(0.05)
    tried(desk, good=False, cost=0.001)
    following = waiting("refine")
    spent = Answer.objects.filter(job=scoring).count() * 0.001
    assert following.config["spent"] == pytest.approx(spent)
    worked(following)
    assert waiting("score-service").config["most_cost"] == pytest.approx(0.05 - spent)
    tried(desk, good=False, cost=0.01)
    assert not Job.objects.filter(state="queued").exists()


def test_the_loop_ends_where_no_question_is_left(desk: Calibration, version: PromptVersion) -> None:
    from drawnworld.questions import suggestions

    known = [text for _key, text in suggestions(version.prompt.task_id or "")]
    every = make.version(version.prompt, *known, parent=version)
    with pytest.raises(JobError, match="All known questions"):
        worked(start(desk, every, rounds=5))
    assert Suggestion.objects.count() == 0
    assert Job.objects.get().state == "failed"


# A language model ----------------------------------------------------------------------------------------------------


@pytest.fixture
def scored(desk: Calibration, version: PromptVersion) -> PromptVersion:
    make.scored(desk, version, lambda pk: pk * 5 % 6)
    return version


def test_a_model_is_shown_the_disagreements(
    desk: Calibration, scored: PromptVersion, writer: Endpoint, service: Service
) -> None:
    made = worked(start(desk, scored, "writer"))
    assert (made.text, made.reason, made.source) == (QUESTION, "People see a ghost.", "answering-model-1")
    assert waiting("score-service").config["then"]["config"]["spent"] == pytest.approx(100 * 2e-6 + 20 * 1e-5)
    (asked,) = service.asked
    content = asked.value["messages"][0]["content"]
    assert content[0]["text"].count("A ghost is left.") >= 4
    assert "1. Does the picture look fine?" in content[0]["text"]
    assert [part["type"] for part in content].count("image_url") == 2 * proposers.PICTURES
    names = ["rater0", "bob", "a1 ", "editor"]
    assert not any(name in content[0]["text"] for name in names)


def test_a_model_is_told_what_was_tried(desk: Calibration, scored: PromptVersion, writer: Endpoint) -> None:
    assert "(tried and not kept: Is it round?)" in proposers.words(scored, [], ["Is it round?"])


def answers(text: str) -> Callable[[Asked], Reply]:
    return lambda _asked: chat(text)


BAD: list[tuple[str, str]] = [
    ("I would ask about the light.", "holds no question"),
    ("[]", "holds no question"),
    ('{"question": 7}', "holds no question"),
    ('{"question": "Why?"}', "holds no question"),
    (json.dumps({"question": "Is it " + "very " * 100 + "good?"}), "holds no question"),
    ('{"question": "Is {task} done as it should be?"}', "holds no question"),
    ('{"question": "does THE picture look  fine"}', "repeats a question"),
]


@pytest.mark.parametrize(("text", "words"), BAD)
def test_an_answer_that_is_no_proposal(
    desk: Calibration, scored: PromptVersion, writer: Endpoint, service: Service, text: str, words: str
) -> None:
    service.usual = answers(text)
    with pytest.raises(JobError, match=words):
        worked(start(desk, scored, "writer"))
    assert PromptVersion.objects.filter(is_trial=True).count() == Suggestion.objects.count() == 0


def test_signs_that_no_database_keeps(
    desk: Calibration, scored: PromptVersion, writer: Endpoint, service: Service
) -> None:
    text = json.dumps({"question": "Is the rest\0 kept as it was?", "reason": "A \0 ghost \ud800."})
    service.usual = lambda _asked: chat(text, model="m\0")
    made = worked(start(desk, scored, "writer"))
    assert "\0" not in made.text + made.reason + made.source
    assert "ghost" in made.reason


@pytest.mark.parametrize(("status", "words"), [(401, "key"), (404, "writer")])
def test_a_service_that_refuses_ends_the_job_in_words(
    desk: Calibration, scored: PromptVersion, writer: Endpoint, service: Service, status: int, words: str
) -> None:
    service.usual = lambda _asked: Reply(status, {"error": {"message": "no"}})
    with pytest.raises(JobError, match="The endpoint that proposes: "):
        worked(start(desk, scored, "writer"))
    assert len(service.asked) == 1


def test_without_a_score_there_is_nothing_to_learn_from(
    desk: Calibration, version: PromptVersion, writer: Endpoint, service: Service
) -> None:
    with pytest.raises(JobError, match="nothing is scored on the dev part"):
        worked(start(desk, version, "writer"))
    assert service.asked == []


def test_an_endpoint_that_is_gone(desk: Calibration, scored: PromptVersion, writer: Endpoint) -> None:
    job = start(desk, scored, "writer")
    writer.delete()
    with pytest.raises(JobError, match="The endpoint “writer” does not exist"):
        worked(job)


def test_a_job_that_was_killed_after_its_proposal_asks_nobody_again(
    desk: Calibration, scored: PromptVersion, writer: Endpoint, service: Service
) -> None:
    job = start(desk, scored, "writer")
    made = worked(job)
    write_json(job.folder / "job.json", {"kind": job.kind, "config": job.config, "attempt": 2})
    run = JobRun(job.folder)
    kind = kind_of(job)
    assert kind.work is not None
    assert kind.work(run, job)["suggestion"] == str(made.uid)
    assert len(service.asked) == Suggestion.objects.count() == 1


def test_read_takes_the_words_in_one_line() -> None:
    assert read('```json\n{"question": "Is it\\n there now?", "reason": " a  b "}\n```') == ("Is it there now?", "a b")
    assert read('{"question": "Is it there now?", "reason": 7}') == ("Is it there now?", "")


# A person decides ----------------------------------------------------------------------------------------------------


def test_an_accepted_question_is_a_version_of_people(desk: Calibration, version: PromptVersion, bob: Any) -> None:
    made = worked(start(desk, version))
    found = refining.accept(suggestion=made, by=bob)
    made.refresh_from_db()
    assert (found.is_trial, found.parent, found.author, found.number) == (False, version, bob, 3)
    assert [question.text for question in found.questions.all()] == ["Does the picture look fine?", made.text]
    assert made.text in found.note
    assert (made.state, made.decided_by) == ("accepted", bob)
    desk.refresh_from_db()
    assert desk.current == found


def test_an_accepted_question_of_a_loop_brings_those_that_were_kept_before_it(
    desk: Calibration, version: PromptVersion, bob: Any
) -> None:
    first = worked(start(desk, version, rounds=2))
    tried(desk, good=True)
    second = worked(waiting("refine"))
    found = refining.accept(suggestion=second, by=bob)
    assert found.parent == version, "trials are no parents of versions of people"
    assert [question.text for question in found.questions.all()][1:] == [first.text, second.text]
    assert found.questions.values("key").distinct().count() == 3


def test_a_rejected_question_changes_nothing(desk: Calibration, version: PromptVersion, bob: Any) -> None:
    made = worked(start(desk, version))
    count = PromptVersion.objects.count()
    refining.reject(suggestion=made, by=bob)
    made.refresh_from_db()
    assert (made.state, made.decided_by, PromptVersion.objects.count()) == ("rejected", bob, count)
    assert "has decided on this already" in refused(lambda: refining.accept(suggestion=made, by=bob))


def test_a_trial_that_is_gone_cannot_be_accepted(desk: Calibration, version: PromptVersion, bob: Any) -> None:
    made = worked(start(desk, version))
    Suggestion.objects.update(trial=None)
    made.refresh_from_db()
    assert "The trial version was deleted" in refused(lambda: refining.accept(suggestion=made, by=bob))
    assert Suggestion.objects.get().state == "open"


@pytest.mark.django_db(transaction=True)
def test_of_two_people_at_once_one_decides(desk: Calibration, version: PromptVersion, bob: Any, alice: Any) -> None:
    made = worked(start(desk, version))
    begin, said = threading.Barrier(4), list[str]()

    def work(decide: Callable[..., Any], by: Any) -> None:
        try:
            begin.wait()
            decide(suggestion=Suggestion.objects.select_related("trial", "calibration").get(pk=made.pk), by=by)
            said.append("done")
        except ValidationError as error:
            said.append(error.messages[0])
        finally:
            connection.close()

    works = [(refining.accept, bob), (refining.accept, alice), (refining.reject, bob), (refining.accept, bob)]
    threads = [threading.Thread(target=work, args=one) for one in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said.count("done") == 1
    assert sum("has decided on this already" in words for words in said) == 3
    assert desk.prompt.versions.filter(is_trial=False).count() == 1 + (Suggestion.objects.get().state == "accepted")
