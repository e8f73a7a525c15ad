"""What is kept of a judge's answers: each once, whole, and a score for every candidate that it is about."""

from datetime import date
from typing import Any

import pytest

from annotation.models import Dataset
from scoring.asking.jobs import follow
from scoring.judging.contract import Status
from scoring.models import Answer, DriftCheck, Judge, PromptVersion, Score
from tests.calibration.make import version as version_of
from tests.scoring_jobs import make
from webapp.jobs.models import Job

Rows = list[dict[str, Any]]


def everything() -> tuple[Rows, Rows]:
    """All answers and scores, but for when they were written."""
    answers: Any = list(Answer.objects.order_by("key").values())
    scores: Any = list(Score.objects.order_by("pk").values())
    for row in (*answers, *scores):
        row.pop("updated_at", None)
    return answers, scores


def test_it_works(data: Dataset, judge: Judge, version: PromptVersion) -> None:
    job = make.start(data, judge, version)
    asked = make.prepared(job)
    reply = make.said(
        3.25,
        questions=("q0", "q1"),
        reasoning="It fits.",
        distribution={"3": 0.75, "4": 0.25},
        raw="{}",
        model="m-2026",
        tokens_in=100,
        tokens_out=20,
    )
    make.answer(job, asked[:1], lambda _request: reply)
    found = Answer.objects.get()
    assert (found.key, found.judge, found.job, found.status, found.score) == (asked[0].key, judge, job, "parsed", 3.25)
    assert found.answers == [{"question": key, "answer": "yes", "reason": "seen"} for key in ("q0", "q1")]
    assert (found.distribution, found.reasoning, found.raw) == ({"3": 0.75, "4": 0.25}, "It fits.", "{}")
    assert (found.model, found.tokens_in, found.tokens_out, found.cost) == ("m-2026", 100, 20, 0.001)
    score = Score.objects.get()
    assert (score.candidate_id, score.version, score.judge) == (asked[0].ref[1], version, judge)
    assert (score.status, score.value, score.read, score.keys) == ("parsed", 3.25, 1, [asked[0].key])


def test_the_same_events_twice_change_nothing(data: Dataset, judge: Judge, version: PromptVersion) -> None:
    job = make.start(data, judge, version)
    asked = make.prepared(job)

    def reply(request: Any) -> Any:
        return make.said(float(request.ref[1] % 6) if request.ref[1] % 2 else None)

    make.answer(job, asked, reply)
    before = everything()
    make.answer(job, asked, reply)
    make.answer(job, asked[2:4], reply)
    assert everything() == before


def test_events_of_other_sorts_are_passed_over(data: Dataset, judge: Judge, version: PromptVersion) -> None:
    from webapp.jobs.kinds import kind_of

    job = make.start(data, judge, version)
    kind_of(job).on_events(job, [{"event": "progress", "done": 1, "total": 2, "message": ""}])
    assert everything() == ([], [])


PASSES: list[tuple[list[tuple[float | None, Status]], float | None, str, int]] = [
    ([(2.0, Status.PARSED), (4.0, Status.PARSED), (3.0, Status.PARSED)], 3.0, "parsed", 3),
    ([(2.0, Status.REPAIRED), (None, Status.FAILED), (5.0, Status.REPAIRED)], 3.5, "repaired", 2),
    ([(None, Status.REFUSED), (1.0, Status.REPAIRED), (None, Status.FILTERED)], 1.0, "repaired", 1),
    ([(2.0, Status.REPAIRED), (3.0, Status.PARSED), (None, Status.FAILED)], 2.5, "parsed", 2),
    ([(None, Status.FAILED), (None, Status.REFUSED), (None, Status.FILTERED)], None, "refused", 0),
    ([(None, Status.FAILED)] * 3, None, "failed", 0),
    ([(0.0, Status.PARSED), (None, Status.FAILED), (None, Status.FAILED)], 0.0, "parsed", 1),
]


@pytest.mark.parametrize(("passes", "value", "status", "read"), PASSES)
def test_a_score_is_the_mean_of_the_passes_that_were_read(
    data: Dataset,
    judge: Judge,
    version: PromptVersion,
    passes: list[tuple[float | None, Status]],
    value: float | None,
    status: str,
    read: int,
) -> None:
    job = make.start(data, make.judge("thrice", passes=3), version)
    asked = [request for request in make.prepared(job) if request.ref[1] == make.candidates(data)[0].pk]
    for request in asked:  # they come one after the other, and the score is right each time
        make.answer(job, [request], lambda request: make.said(*passes[request.turn]))
    found = Score.objects.get()
    assert (found.value, found.status, found.read) == (value, status, read)
    assert found.keys == [request.key for request in asked]


def test_an_answer_takes_the_place_of_a_failed_one_and_of_no_other(
    data: Dataset, judge: Judge, version: PromptVersion
) -> None:
    first, second = make.start(data, judge, version), make.start(data, judge, version)
    asked = make.prepared(first)
    make.at_rest(first)  # so that the second asks the same
    same = make.prepared(second)
    make.answer(first, asked[:1], lambda _request: make.said(None, kind="timeout"))
    make.answer(first, asked[1:2], lambda _request: make.said(1.0))
    make.answer(second, same[:2], lambda _request: make.said(5.0))
    found = {row.key: (row.score, row.job) for row in Answer.objects.all()}
    assert found == {asked[0].key: (5.0, second), asked[1].key: (1.0, first)}
    assert make.scores(version, judge) == {asked[0].ref[1]: 5.0, asked[1].ref[1]: 1.0}
    make.answer(first, asked[:1], lambda _request: make.said(None))  # an old event, read once more
    assert make.scores(version, judge)[asked[0].ref[1]] == 5.0


def test_a_failure_and_its_mending_in_one_piece(data: Dataset, judge: Judge, version: PromptVersion) -> None:
    from webapp.jobs.kinds import kind_of

    job = make.start(data, judge, version)
    one = make.prepared(job)[0]
    kind_of(job).on_events(job, [make.event(one, make.said(None)), make.event(one, make.said(2.0))])
    assert make.scores(version, judge) == {one.ref[1]: 2.0}


def test_a_candidate_that_was_deleted_meanwhile(data: Dataset, judge: Judge, version: PromptVersion) -> None:
    job = make.start(data, judge, version)
    asked = make.prepared(job)
    rows = make.candidates(data)
    rows[0].delete()
    make.answer(job, asked)
    make.finish(job)
    assert set(make.scores(version, judge)) == {row.pk for row in rows[1:]}
    assert Answer.objects.count() == 6, "it was paid for, and another candidate may have that picture"


def test_a_version_that_was_deleted_while_answers_come(data: Dataset, judge: Judge, version: PromptVersion) -> None:
    from webapp.jobs.folder import JobError

    job = make.start(data, judge, version)
    asked = make.prepared(job)
    version.delete()
    with pytest.raises(JobError, match="A version of the prompt or the judge was deleted"):
        make.answer(job, asked)


def test_a_character_that_no_database_keeps(data: Dataset, judge: Judge, version: PromptVersion) -> None:
    job = make.start(data, judge, version)
    nasty = make.said(4.0, raw="a\0b", reasoning="c\0", model="m\0", note="\0", questions=("q\0",))
    make.answer(job, make.prepared(job)[:1], lambda _request: nasty)
    found = Answer.objects.get()
    assert (found.raw, found.reasoning, found.model, found.note) == ("ab", "c", "m", "")
    assert found.answers[0]["question"] == "q"


def test_long_words_are_cut_to_what_fits(data: Dataset, judge: Judge, version: PromptVersion) -> None:
    job = make.start(data, judge, version)
    make.answer(job, make.prepared(job)[:1], lambda _request: make.said(None, kind="k" * 99, model="m" * 999))
    found = Answer.objects.get()
    assert (len(found.kind), len(found.model)) == (40, 200)


def test_a_check_of_drift_keeps_its_scores_to_itself(data: Dataset, judge: Judge, version: PromptVersion) -> None:
    make.run(make.start(data, judge, version), lambda _request: make.said(2.0))
    before = make.scores(version, judge)
    check = DriftCheck.objects.create(task_id="add", version=version, judge=judge, month=date(2026, 11, 1))
    job = make.start(data, judge, version, fresh="drift 2026-11-01", drift=check)
    make.run(job, lambda request: make.said(4.5 if request.ref[1] % 2 else None))
    check.refresh_from_db()
    assert check.scores == {str(row.pk): 4.5 if row.pk % 2 else None for row in make.candidates(data)}
    assert make.scores(version, judge) == before


def test_a_check_that_was_deleted_loses_nothing_else(data: Dataset, judge: Judge, version: PromptVersion) -> None:
    check = DriftCheck.objects.create(task_id="add", version=version, judge=judge, month=date(2026, 11, 1))
    job = make.start(data, judge, version, fresh="f", drift=check)
    asked = make.prepared(job)
    check.delete()
    make.answer(job, asked)
    assert (Answer.objects.count(), Score.objects.count()) == (6, 0)


def test_what_follows_a_job_is_done_at_its_end(data: Dataset, judge: Judge, version: PromptVersion) -> None:
    done: list[Job] = []
    follow("test", done.append)
    job = make.start(data, judge, version, then={"name": "test", "n": 1})
    asked = make.prepared(job)
    make.answer(job, asked)
    assert done == []
    make.finish(job)
    assert done == [job]
    make.run(make.start(data, judge, version_of(version.prompt, parent=version)))
    assert done == [job]


def test_a_new_score_is_announced(
    data: Dataset, judge: Judge, version: PromptVersion, django_capture_on_commit_callbacks: Any
) -> None:
    from scoring.asking.jobs import channel_of
    from webapp.live import streams

    key = f"live:{channel_of(version)}"
    streams.client().delete(key)
    job = make.start(data, judge, version)
    asked = make.prepared(job)
    with django_capture_on_commit_callbacks(execute=True):
        make.answer(job, asked[:3])
    assert streams.client().xlen(key) == 1


def test_the_jobs_page_tells_what_came(data: Dataset, judge: Judge, version: PromptVersion, bob: Any) -> None:
    from django.test import Client

    from webapp.jobs.kinds import kind_of

    job = make.start(data, judge, version, by=bob)
    asked = make.prepared(job)
    make.answer(job, asked[:4])
    make.answer(job, asked[4:], lambda _request: make.said(None, kind="timeout", cost=None))
    context = kind_of(job).context(job)
    assert [tuple(map(str, row)) for row in context["rows"]] == [("Failed", "timeout", "2"), ("Scored", "", "4")]
    assert context["used"]["cost"] == pytest.approx(0.004)
    client = Client()
    client.force_login(bob)
    page = client.get(job.get_absolute_url())
    assert page.status_code == 200
    assert version.get_absolute_url() in page.content.decode()
