"""What is kept of a judge's answers: each answer once under its key, and the candidates' scores made of them."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import IntegrityError, transaction

from scoring.judging.contract import SCORED, Status
from scoring.models import Answer, Judge, PromptVersion, Score

FINAL = [status.value for status in Status if status != Status.FAILED]  # asked once; failed ones are asked again
WORTH = {status.value: place for place, status in enumerate(Status)}  # of several passes the best says the status
FIELDS = (
    "status", "score", "answers", "reasoning", "distribution", "kind", "note", "raw", "model", "tokens_in",
    "tokens_out", "cost", "seconds",
)  # fmt: skip
LENGTHS = {"kind": 40, "model": 200}
NUL = "\0"

Keys = Mapping[int, list[str]]  # candidate to the keys of its passes


def keep_answers(*, events: Iterable[dict[str, Any]], judge: Judge, job_id: int | None) -> None:
    """Keep the answers of these events. What was answered before stays: only a failed answer is replaced."""
    found = {event["key"]: event for event in events}
    rows = [_row(event, judge, job_id) for _key, event in sorted(found.items())]  # in one order: no two wait in a ring
    try:
        _keep_rows(rows)
    except IntegrityError:  # another job was given one of these answers this moment: now it is known
        _keep_rows(rows)


@transaction.atomic
def _keep_rows(rows: list[Answer]) -> None:
    """Under the locks of those that are there: what another job was answered meanwhile is not replaced by a failure."""
    known = Answer.objects.select_for_update().filter(key__in=[row.key for row in rows]).order_by("key")
    there = {old.key: old for old in known}
    Answer.objects.bulk_create([row for row in rows if row.key not in there])
    for row in rows:
        old = there.get(row.key)
        if old is not None and old.status == Status.FAILED:
            row.pk, row.uid, row.created_at = old.pk, old.uid, old.created_at
            row.save()


def _row(event: dict[str, Any], judge: Judge, job_id: int | None) -> Answer:
    values = {name: _clean(event[name]) for name in FIELDS}
    values |= {name: values[name][:length] for name, length in LENGTHS.items()}
    return Answer(key=event["key"], judge=judge, job_id=job_id, **values)


def _clean(value: Any) -> Any:
    """PostgreSQL keeps no character 0, and a model may write one."""
    if isinstance(value, str):
        return value.replace(NUL, "")
    if isinstance(value, list):
        return [_clean(one) for one in value]
    return {name: _clean(one) for name, one in value.items()} if isinstance(value, dict) else value


@transaction.atomic
def keep_scores(*, version: PromptVersion, judge: Judge, keys: Keys) -> int:
    """Make the scores of these candidates anew from the answers that are there. Returns how many there are."""
    wanted = {key for passes in keys.values() for key in passes}
    known = {
        key: (status, score)
        for key, status, score in Answer.objects.filter(key__in=wanted).values_list("key", "status", "score")
    }
    rows = []
    for candidate, passes in keys.items():
        answers = [known[key] for key in passes if key in known]
        if answers:
            rows.append(Score(candidate_id=candidate, version=version, judge=judge, keys=passes, **_mean(answers)))
    Score.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["version", "judge", "candidate"],
        update_fields=["status", "value", "read", "keys", "updated_at"],
    )
    return len(rows)


def _mean(answers: list[tuple[str, float | None]]) -> dict[str, Any]:
    """The mean over the passes that could be read, and the best status; no number where none could be."""
    read = [score for status, score in answers if status in SCORED and score is not None]
    status = min((status for status, _score in answers), key=lambda status: WORTH[status])
    return {"status": status, "value": sum(read) / len(read) if read else None, "read": len(read)}


def values_of(keys: Keys) -> dict[str, float | None]:
    """The mean of the passes that could be read, by candidate, without keeping it."""
    wanted = {key for passes in keys.values() for key in passes}
    known = dict(Answer.objects.filter(key__in=wanted).values_list("key", "score"))
    found: dict[str, float | None] = {}
    for candidate, passes in keys.items():
        read = [score for key in passes if (score := known.get(key)) is not None]
        found[str(candidate)] = sum(read) / len(read) if read else None
    return found
