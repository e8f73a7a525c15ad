"""Scoring jobs without their process: what is to be asked, and answers as the process writes them."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from annotation.models import Candidate, Dataset
from scoring.asking import selections
from scoring.asking.jobs import start_scoring
from scoring.judging.contract import QuestionAnswer, Reply, Request, Status
from scoring.models import Judge, PromptVersion, Score
from webapp.endpoints.models import Endpoint
from webapp.endpoints.services import save_endpoint
from webapp.jobs import services as jobs
from webapp.jobs.kinds import kind_of
from webapp.jobs.models import Job

PRICES = {"price_input": 2.0, "price_output": 10.0}


def endpoint(slug: str = "local", address: str = "http://127.0.0.1:9/v1", **changes: Any) -> Endpoint:
    """An endpoint with prices; by default nobody is at its address. The settings must allow private addresses."""
    made = Endpoint(slug=slug, name=slug, base_url=address, model="asked-model", **{**PRICES, **changes})
    return save_endpoint(endpoint=made, key="sk-secret")


def judge(slug: str = "eye", passes: int = 1, **settings: Any) -> Judge:
    values = {"endpoint": "local", **settings}
    return Judge.objects.create(slug=slug, name=slug, kind="endpoint", settings=values, passes=passes)


def start(data: Dataset, judge: Judge, *versions: PromptVersion, **more: Any) -> Job:
    selection = more.pop("selection", None) or selections.of_dataset(data)
    return start_scoring(versions=versions, judge=judge, selection=selection, by=more.pop("by", None), **more)


def prepared(job: Job) -> list[Request]:
    """Let a worker take the job and make its inputs, and read what is to be asked."""
    if job.state == "queued":
        claimed = jobs.claim(uid=str(job.uid), worker="w")
        assert claimed is not None
        job.refresh_from_db()
    for folder in ("inputs", "outputs"):
        (job.folder / folder).mkdir(parents=True, exist_ok=True)
    kind_of(job).prepare(job)
    lines = (job.folder / "inputs" / "requests.jsonl").read_text().splitlines()
    return [Request.from_json(json.loads(line)) for line in lines]


def said(score: float | None = 4.0, status: Status | None = None, **more: Any) -> Reply:
    found = status or (Status.PARSED if score is not None else Status.FAILED)
    answers = tuple(QuestionAnswer(key, "yes", "seen") for key in more.pop("questions", ()))
    return Reply(found, score, answers, **{"cost": 0.001, "seconds": 1.0, **more})


def event(request: Request, reply: Reply) -> dict[str, Any]:
    """As the process writes it and the worker reads it."""
    row = {"event": "answer", "time": 0.0, "key": request.key, "ref": list(request.ref), **reply.to_json()}
    read: dict[str, Any] = json.loads(json.dumps(row))
    return read


def answer(job: Job, requests: Sequence[Request], reply: Callable[[Request], Reply] = lambda _request: said()) -> None:
    kind_of(job).on_events(job, [event(request, reply(request)) for request in requests])


def finish(job: Job) -> None:
    """Carry the end of a process that succeeded."""
    kind_of(job).on_result(job, {})
    jobs.finish(job, state="succeeded")


def at_rest(job: Job) -> None:
    """No worker has it: its list binds nobody else."""
    Job.objects.filter(pk=job.pk).update(state="cancelled")


def run(job: Job, reply: Callable[[Request], Reply] = lambda _request: said()) -> list[Request]:
    """The whole job at once; returns what was asked."""
    asked = prepared(job)
    answer(job, asked, reply)
    finish(job)
    return asked


def scores(version: PromptVersion, judge: Judge) -> dict[int, float | None]:
    return dict(Score.objects.filter(version=version, judge=judge).values_list("candidate", "value"))


def candidates(data: Dataset) -> list[Candidate]:
    rows = Candidate.objects.filter(case__dataset=data).select_related("image", "case__source", "case__task")
    return list(rows.order_by("case", "id"))
