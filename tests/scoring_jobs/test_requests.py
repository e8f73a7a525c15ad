"""What a scoring job asks: everything that is missing, once, under the key of all that the answer depends on."""

from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from annotation.models import Candidate, Case, Dataset
from scoring.asking import jobs as asking
from scoring.asking import selections
from scoring.judging.contract import Status, cache_key
from scoring.judging.pictures import PREPROCESSING
from scoring.judging.render import CaseFacts, render
from scoring.models import Answer, Judge, PromptVersion, Score
from tests.calibration.make import version as version_of
from tests.scoring_jobs import make
from webapp.endpoints.models import Endpoint
from webapp.jobs.folder import JobError
from webapp.jobs.kinds import kind_of
from webapp.jobs.models import Job


def test_it_works(data: Dataset, judge: Judge, version: PromptVersion, settings: Any) -> None:
    job = make.start(data, judge, version)
    asked = make.prepared(job)
    rows = make.candidates(data)
    assert [request.ref for request in asked] == [(0, row.pk) for row in rows]
    for request, row in zip(asked, rows, strict=True):
        assert request.text == render(version.text, CaseFacts(row.case.task.name, row.case.instruction, ""))
        assert row.case.instruction in request.text
        assert (request.low, request.high, request.questions, request.turn) == (0, 5, ("q0", "q1"), 0)
        assert Path(request.source) == Path(settings.MEDIA_ROOT) / row.case.source.view
        assert Path(request.edited) == Path(settings.MEDIA_ROOT) / row.image.view
        assert request.key == cache_key(
            text=request.text,
            images=[row.case.source.sha256, row.image.sha256],
            preprocessing=PREPROCESSING,
            provider="endpoint http://127.0.0.1:9/v1",
            model="asked-model",
            settings={"temperature": 0.0, "max_tokens": 1500, "logprobs": False},
            turn=0,
        )
    assert Score.objects.count() == 0
    assert (job.kind, job.queue) == (asking.AT_SERVICE, "default")


def test_every_pass_is_a_request_with_a_key_of_its_own(data: Dataset, judge: Judge, version: PromptVersion) -> None:
    asked = make.prepared(make.start(data, make.judge("thrice", passes=3), version))
    assert len(asked) == len({request.key for request in asked}) == 18
    assert sorted(request.turn for request in asked) == [0] * 6 + [1] * 6 + [2] * 6
    assert {request.ref for request in asked} == {(0, row.pk) for row in make.candidates(data)}


def test_the_key_names_no_endpoint_by_our_name_and_no_default_that_was_written_down(
    data: Dataset, judge: Judge, version: PromptVersion
) -> None:
    """Two judges that would be answered alike share their answers."""
    make.endpoint("other")
    same = make.judge("same", endpoint="other", temperature=0, max_tokens=1500, logprobs=False)
    warm = make.judge("warm", temperature=1.0)
    keys = [{one.key for one in make.prepared(make.start(data, by, version))} for by in (judge, same, warm)]
    assert keys[0] == keys[1]
    assert not keys[0] & keys[2]


# What was answered before --------------------------------------------------------------------------------------------


def test_what_was_answered_is_not_asked_again(data: Dataset, judge: Judge, version: PromptVersion) -> None:
    make.run(make.start(data, judge, version))
    before = make.scores(version, judge)
    Score.objects.all().delete()
    job = make.start(data, judge, version)
    assert make.prepared(job) == []
    assert make.scores(version, judge) == before
    assert len(before) == 6


def test_a_version_that_reads_the_same_has_its_scores_at_once(
    data: Dataset, judge: Judge, version: PromptVersion
) -> None:
    """Keys of questions are no part of what is asked; a question that is switched off is not, either."""
    make.run(make.start(data, judge, version), lambda request: make.said(float(request.ref[1] % 6)))
    child = version_of(version.prompt, "Is it there?", "Is the rest kept?", "Is it red?", parent=version)
    child.questions.filter(position=2).update(is_on=False)
    assert make.prepared(make.start(data, judge, child)) == []
    assert make.scores(child, judge) == make.scores(version, judge)


def test_another_text_is_asked_anew(data: Dataset, judge: Judge, version: PromptVersion) -> None:
    make.run(make.start(data, judge, version))
    child = version_of(version.prompt, "Is it there?", parent=version)
    assert len(make.prepared(make.start(data, judge, child))) == 6


def test_a_failed_answer_is_asked_again_and_a_refused_one_is_not(
    data: Dataset, judge: Judge, version: PromptVersion
) -> None:
    ends = [Status.FAILED, Status.REFUSED, Status.FILTERED, Status.PARSED, Status.REPAIRED, Status.FAILED]
    by_place = dict(zip([row.pk for row in make.candidates(data)], ends, strict=True))

    def reply(request: Any) -> Any:
        status = by_place[request.ref[1]]
        return make.said(2.0 if status in (Status.PARSED, Status.REPAIRED) else None, status)

    make.run(make.start(data, judge, version), reply)
    again = make.prepared(make.start(data, judge, version))
    assert {request.ref[1] for request in again} == {pk for pk, status in by_place.items() if status == Status.FAILED}


def test_the_passes_that_failed_are_asked_again_alone(data: Dataset, judge: Judge, version: PromptVersion) -> None:
    thrice = make.judge("thrice", passes=3)
    make.run(make.start(data, thrice, version), lambda request: make.said(None if request.turn == 1 else 3.0))
    assert {request.turn for request in make.prepared(make.start(data, thrice, version))} == {1}


def test_a_fresh_word_makes_old_answers_not_count(data: Dataset, judge: Judge, version: PromptVersion) -> None:
    make.run(make.start(data, judge, version))
    assert len(make.prepared(make.start(data, judge, version, fresh="drift 2026-11"))) == 6


def test_a_resumed_job_does_not_ask_what_another_job_was_answered(
    data: Dataset, judge: Judge, version: PromptVersion
) -> None:
    first = make.start(data, judge, version)
    asked = make.prepared(first)
    make.answer(first, asked[:2])
    make.at_rest(first)
    make.run(make.start(data, judge, version))
    assert [request.key for request in make.prepared(first)] == [request.key for request in asked[:2]]


def test_what_another_job_asks_at_this_moment_is_not_paid_twice(
    data: Dataset, judge: Judge, version: PromptVersion
) -> None:
    first, second = make.start(data, judge, version), make.start(data, judge, version)
    asked = make.prepared(first)
    assert asked
    assert make.prepared(second) == []
    make.answer(first, asked)
    kind_of(second).on_result(second, {})
    assert len(make.scores(version, judge)) == sum(len(request.ref) - 1 for request in asked)


def test_a_job_ends_where_its_judge_has_become_another(data: Dataset, judge: Judge, version: PromptVersion) -> None:
    job = make.start(data, judge, version)
    Job.objects.filter(pk=job.pk).update(config={**job.config, "identity": {**job.config["identity"], "model": "old"}})
    job.refresh_from_db()
    with pytest.raises(JobError, match="is another than when this job began"):
        make.prepared(job)


# Equal requests ------------------------------------------------------------------------------------------------------


def the_same_picture(*rows: Candidate) -> None:
    Candidate.objects.filter(pk__in=[row.pk for row in rows]).update(image=rows[0].image)


def test_equal_pictures_of_a_case_are_one_request_for_both(data: Dataset, judge: Judge, version: PromptVersion) -> None:
    rows = make.candidates(data)
    the_same_picture(*rows[:2])
    asked = make.run(make.start(data, judge, version), lambda request: make.said(float(request.ref[1] % 6)))
    assert [request.ref for request in asked] == [(0, rows[0].pk, rows[1].pk)] + [(0, row.pk) for row in rows[2:]]
    found = make.scores(version, judge)
    assert found[rows[0].pk] == found[rows[1].pk] == rows[0].pk % 6
    assert len(found) == 6


def test_equal_requests_far_apart_are_one_request_too(
    data: Dataset, judge: Judge, version: PromptVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal cases in two pieces of the list, as a case that was copied makes them."""
    monkeypatch.setattr(asking, "CHUNK", 2)
    cases = list(Case.objects.filter(dataset=data).order_by("pk"))
    Case.objects.filter(pk=cases[2].pk).update(source=cases[0].source, instruction=cases[0].instruction)
    rows = make.candidates(data)
    the_same_picture(rows[0], rows[4])
    job = make.start(data, judge, version)
    asked = make.prepared(job)
    assert len(asked) == len({request.key for request in asked}) == 5
    make.answer(job, asked, lambda request: make.said(float(request.ref[1] % 6)))
    assert rows[4].pk not in make.scores(version, judge)
    make.finish(job)
    assert make.scores(version, judge)[rows[4].pk] == make.scores(version, judge)[rows[0].pk] == rows[0].pk % 6


def test_of_versions_that_read_the_same_one_is_asked(data: Dataset, judge: Judge, version: PromptVersion) -> None:
    twin = version_of(version.prompt, "Is it there?", "Is the rest kept?", parent=version)
    other = version_of(version.prompt, "Is it there?", parent=version)
    job = make.start(data, judge, version, twin, other)
    asked = make.run(job, lambda request: make.said(float(request.ref[1] % 6)))
    assert [request.ref[0] for request in asked] == [0] * 6 + [2] * 6
    assert make.scores(twin, judge) == make.scores(version, judge)
    assert all(len(make.scores(one, judge)) == 6 for one in (version, twin, other))


# Which candidates ----------------------------------------------------------------------------------------------------


def test_only_candidates_of_the_prompts_task_that_are_not_set_aside(
    data: Dataset, judge: Judge, version: PromptVersion
) -> None:
    rows = make.candidates(data)
    Case.objects.filter(pk=rows[0].case_id).update(task="swap")
    Candidate.objects.filter(pk=rows[2].pk).update(fault="blank")
    Candidate.objects.filter(pk=rows[3].pk).update(fault="blank", fault_kept=True)
    job = make.start(data, judge, version)
    assert {request.ref[1] for request in make.prepared(job)} == {row.pk for row in rows[3:]}
    assert job.title.startswith("3 scores by ")


def test_splits_and_editors_of_a_data_set(data: Dataset, judge: Judge, version: PromptVersion) -> None:
    rows = make.candidates(data)
    Case.objects.filter(pk=rows[0].case_id).update(split="test")
    selection = selections.of_dataset(data, splits=["test"], editors=[rows[1].editor.slug])
    asked = make.prepared(make.start(data, judge, version, selection=selection))
    assert [request.ref[1] for request in asked] == [rows[1].pk]


# Refusals ------------------------------------------------------------------------------------------------------------


def refusal(*arguments: Any, **more: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        make.start(*arguments, **more)
    assert Job.objects.count() == 0
    return " ".join(caught.value.messages)


def test_a_limit_without_prices(data: Dataset, judge: Judge, version: PromptVersion) -> None:
    Endpoint.objects.update(price_output=None)
    assert "Costs of “eye” are not known" in refusal(data, judge, version, most_cost=1.0)


def test_nothing_to_score(judge: Judge, version: PromptVersion) -> None:
    from tests import judging

    assert "There are 0 scores to make" in refusal(judging.dataset(cases=1, editors=0), judge, version)


def test_too_much_to_score(
    data: Dataset, judge: Judge, version: PromptVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "MOST", 5)
    assert "There are 6 scores to make" in refusal(data, judge, version)


def test_a_judge_that_is_no_more(data: Dataset, judge: Judge, version: PromptVersion) -> None:
    Judge.objects.update(kind="oracle")
    judge.refresh_from_db()
    assert "no kind of judge “oracle”" in refusal(data, judge, version)


def test_an_endpoint_that_is_gone(data: Dataset, judge: Judge, version: PromptVersion) -> None:
    Endpoint.objects.all().delete()
    assert "The endpoint “local” does not exist" in refusal(data, judge, version)


def test_a_setting_that_the_judge_does_not_know(data: Dataset, judge: Judge, version: PromptVersion) -> None:
    assert "Unknown settings: heat" in refusal(data, make.judge("odd", heat=3), version)


def test_a_data_set_that_was_deleted_meanwhile(data: Dataset, judge: Judge, version: PromptVersion) -> None:
    job = make.start(data, judge, version)
    data.delete()
    with pytest.raises(JobError, match="The data set was deleted"):
        make.prepared(job)


@pytest.mark.parametrize("gone", ["version", "judge"])
def test_a_version_or_judge_that_was_deleted_meanwhile(
    data: Dataset, judge: Judge, version: PromptVersion, gone: str
) -> None:
    job = make.start(data, judge, version)
    (version if gone == "version" else judge).delete()
    with pytest.raises(JobError, match="A version of the prompt or the judge was deleted"):
        make.prepared(job)
    assert not (job.folder / "inputs" / "requests.jsonl").exists()


def test_a_placeholder_that_there_is_not(data: Dataset, judge: Judge, version: PromptVersion) -> None:
    """No form lets it through; a row may have come another way."""
    PromptVersion.objects.filter(pk=version.pk).update(rubric="{weather}")
    with pytest.raises(JobError, match=r"no placeholder \{weather\}"):
        make.prepared(make.start(data, judge, version))


def test_a_key_that_cannot_be_read_any_more(data: Dataset, judge: Judge, version: PromptVersion, settings: Any) -> None:
    job = make.start(data, judge, version)
    assert kind_of(job).environment(job)
    settings.ENDPOINT_KEY = "another"
    with pytest.raises(JobError, match="stored key cannot be read"):
        kind_of(job).environment(job)


def test_no_key_is_in_the_job(data: Dataset, judge: Judge, version: PromptVersion) -> None:
    job = make.start(data, judge, version)
    make.prepared(job)
    files = [path.read_text() for path in job.folder.rglob("*") if path.is_file()]
    assert not any("sk-secret" in text for text in [*files, str(job.config)])
    assert Answer.objects.count() == 0
