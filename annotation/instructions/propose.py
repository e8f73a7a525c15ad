"""The job that asks a chat endpoint for instructions: source images of a data set × tasks.

What is stored is not asked for again: a pair of image and task is asked for as many instructions as it lacks, counting
those that the same endpoint wrote under the same version of the prompt. So a job that was stopped goes on, and a second
job fills up what the first one could not get. Answers that are no use are counted by kind and never become anything.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Count, Max
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.instructions.asking import Answer, NoUse, Pair, ask
from annotation.instructions.prompts import MOST_EARLIER, PROMPT_VERSION, Wanted, prompt
from annotation.instructions.replies import Reply
from annotation.models import Dataset, Proposal, StoredImage, Task
from webapp.accounts.models import User
from webapp.endpoints.errors import EndpointError
from webapp.endpoints.http import CHAT, Client
from webapp.endpoints.models import Endpoint
from webapp.endpoints.services import job_config
from webapp.jobs import services as jobs
from webapp.jobs.folder import JobError, JobRun, JobStopped
from webapp.jobs.kinds import JobKind
from webapp.jobs.models import Job

KIND_NAME = "propose"
MOST_REQUESTS = 400_000
MOST_EACH = 20  # instructions for one image and task
IN_A_ROW = 20  # failures without a success between them that end the job
DRAIN_SECONDS = 15.0  # what is under way at the end is paid for: its answers are waited for, less than until the kill


def start_proposing(
    *,
    dataset: Dataset,
    endpoint: Endpoint,
    tasks: list[str],
    count: int,
    by: User | None,
    limit: int = 0,
    most_cost: float | None = None,
) -> Job:
    """A job that asks for ``count`` instructions of each task for each source image. Raises ValidationError."""
    if endpoint.kind != CHAT:
        raise ValidationError(_("“%(name)s” edits images. Choose an endpoint for chat.") % {"name": endpoint.name})
    if not tasks or not 1 <= count <= MOST_EACH:
        raise ValidationError(_("Choose at least one task, and 1 to %(n)d instructions.") % {"n": MOST_EACH})
    if most_cost is not None and (endpoint.price_input is None or endpoint.price_output is None):
        message = _("Costs of “%(name)s” are not known: give it prices of tokens, or leave the limit empty.")
        raise ValidationError(message % {"name": endpoint.name})
    config = {
        "dataset": str(dataset.uid),
        "endpoint": endpoint.slug,
        "tasks": tasks,
        "count": count,
        "limit": limit,
        "most_cost": most_cost,
    }
    pairs = len(_sources(dataset, limit)) * len(tasks)
    if not 0 < pairs <= MOST_REQUESTS:
        message = _("This would be %(count)d requests. Choose between 1 and %(most)d.")
        raise ValidationError(message % {"count": pairs, "most": MOST_REQUESTS})
    title = _("Propose instructions for %(name)s") % {"name": dataset.name}
    return jobs.start(kind=KIND_NAME, title=title, config=config, by=by)


def _sources(dataset: Dataset, limit: int) -> list[int]:
    sources = dataset.cases.order_by("source").values_list("source", flat=True).distinct()
    return list(sources[:limit] if limit else sources)


@dataclass
class _Proposing:
    """One attempt of a job."""

    run: JobRun
    job: Job
    dataset: Dataset
    client: Client
    failures: Counter[str] = field(default_factory=Counter)
    made: int = 0
    asked: int = 0
    done: int = 0
    total: int = 0
    row: int = 0  # failures in a row
    last_reason: str = ""

    def __post_init__(self) -> None:
        self.tasks = {task.pk: task for task in Task.objects.filter(pk__in=self.run.config["tasks"])}
        self.most_cost: float | None = self.run.config["most_cost"]
        costs = [past.get("cost") for past in self.run.past_events("asked")]
        self.spent, self.unpriced = sum(cost or 0.0 for cost in costs), None in costs

    def go(self) -> dict[str, Any]:
        pairs = self._pairs()
        todo = [pair for pair in pairs if pair.wanted > 0]
        self.done, self.total = len(pairs) - len(todo), len(pairs)
        self.run.progress(self.done, self.total)
        running: dict[Future[Answer], Pair] = {}
        pool = ThreadPoolExecutor(self.client.endpoint.concurrency)
        try:
            for pair in todo:
                self._check()
                running[self._submit(pool, pair)] = pair
                while len(running) >= self.client.endpoint.concurrency:
                    self._collect(running)
            while running:
                self._collect(running)
        finally:
            self._drain(running)
            pool.shutdown(wait=False, cancel_futures=True)
        return self._summary()

    def _pairs(self) -> list[Pair]:
        """Every pair, with what it lacks."""
        config = self.run.config
        mine = self.dataset.proposals.filter(
            prompt_version=PROMPT_VERSION, job__config__endpoint=config["endpoint"]
        ).order_by()
        have = {(row[0], row[1]): row[2] for row in mine.values_list("source", "task").annotate(count=Count("id"))}
        sources = _sources(self.dataset, config["limit"])
        pairs = [(source, task) for source in sources for task in self.tasks]
        return [Pair(*pair, wanted=config["count"] - have.get(pair, 0)) for pair in pairs]

    def _check(self) -> None:
        """Before a request: is it still wanted, and paid for?"""
        self.run.check()
        if self.most_cost is not None and self.spent >= self.most_cost:
            message = _(
                "The spending limit of %(limit)g is reached. What came is stored. "
                "Start a new job with another limit: it asks for what is missing alone."
            )
            raise JobError(message % {"limit": self.most_cost})

    def _submit(self, pool: ThreadPoolExecutor, pair: Pair) -> Future[Answer]:
        """Everything that the request needs is read here: threads do not touch the database."""
        earlier = _earlier(self.dataset, pair)
        task = self.tasks[pair.task]
        text = prompt(Wanted(task.pk, task.name, task.description, pair.wanted), earlier)
        image = StoredImage.objects.get(pk=pair.source)
        return pool.submit(ask, self.client, image, text, pair, earlier)

    def _collect(self, running: dict[Future[Answer], Pair]) -> None:
        """Take in what has come; return after a moment if nothing has, to look whether the job is to stop."""
        finished, _waiting = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
        for future in finished:
            self._take(running.pop(future), future)
        self.run.check()

    def _take(self, pair: Pair, future: Future[Answer]) -> None:
        error = future.exception()
        if error is None:
            self._keep(pair, future.result())
        elif isinstance(error, NoUse):
            self._failed(pair, error.kind, str(error))
            if error.was_asked:
                self._paid(error.cost)
        elif isinstance(error, EndpointError):
            self._failed(pair, error.kind, str(error))
            if error.fatal:
                raise JobError(str(error))
        else:
            raise error
        self.done += 1
        self.run.progress(self.done, self.total)
        self._may_go_on()

    def _may_go_on(self) -> None:
        if self.row >= IN_A_ROW:
            message = _("The last %(n)d requests were all in vain. The last reason: %(reason)s")
            raise JobError(message % {"n": self.row, "reason": self.last_reason})
        if self.most_cost is not None and self.unpriced:
            raise JobError(
                _("The endpoint does not say how many tokens it used, so the spending limit cannot be kept.")
            )

    def _keep(self, pair: Pair, answer: Answer) -> None:
        self._paid(answer.cost)
        self.row = 0
        for fault in answer.reply.faults:
            self._count("repeated" if fault.startswith("repeats") else "malformed", pair, fault)
        if not answer.reply.drafts and not answer.reply.faults:
            self._count("nothing to propose", pair, "")
        self.made += store(self.job, self.dataset, pair, answer.reply, answer.model)

    def _paid(self, cost: float | None) -> None:
        self.asked += 1
        self.spent += cost or 0.0
        self.unpriced |= cost is None
        self.run.emit("asked", cost=cost)

    def _failed(self, pair: Pair, kind: str, reason: str) -> None:
        self.row += 1
        self.last_reason = reason
        self._count(kind, pair, reason)

    def _count(self, kind: str, pair: Pair, reason: str) -> None:
        self.failures[kind] += 1
        self.run.emit("no_use", kind=kind, source=pair.source, task=pair.task, reason=reason)
        print(f"image {pair.source}, {pair.task}: {kind}: {reason}")

    def _drain(self, running: dict[Future[Answer], Pair]) -> None:
        """At an early end: keep the good answers of what is under way, if they come soon. Not begun: not asked."""
        for future in [future for future in running if future.cancel()]:
            del running[future]
        finished, _late = wait(running, timeout=DRAIN_SECONDS)
        for future in finished:
            error = future.exception()
            if error is None:
                self._keep(running[future], future.result())
            elif isinstance(error, NoUse) and error.was_asked:
                self._paid(error.cost)

    def _summary(self) -> dict[str, Any]:
        if self.failures and not self.made and self.row:
            message = _("No request gave a usable instruction. The last reason: %(reason)s")
            raise JobError(message % {"reason": self.last_reason})
        used = self.client.usage.value()
        names = ("retries", "tokens_in", "tokens_out", "mean_seconds")
        cost = None if self.unpriced else round(self.spent, 6)
        made = Proposal.objects.filter(job=self.job).count()  # of all attempts
        found: dict[str, Any] = {"proposals": made, "answers": self.asked, **{name: used[name] for name in names}}
        return {**found, "cost": cost, **{f"no use: {kind}": n for kind, n in sorted(self.failures.items())}}


# The database ---------------------------------------------------------------------------------------------------------


def _earlier(dataset: Dataset, pair: Pair) -> list[str]:
    """Instructions that this image has for this task: of its cases, then proposals, oldest first."""
    where = {"source": pair.source, "task": pair.task}
    rows = (dataset.cases.filter(**where), dataset.proposals.filter(**where))
    found = [list(some.order_by("-id").values_list("instruction", flat=True)[:MOST_EARLIER])[::-1] for some in rows]
    return [*found[0], *found[1]]


def store(job: Job, dataset: Dataset, pair: Pair, reply: Reply, model: str) -> int:
    """Keep the drafts of one answer, all or none. Two jobs at once may number alike: then once more."""
    for _attempt in range(3):
        try:
            return _store(job, dataset, pair, reply, model)
        except IntegrityError:
            continue
    raise JobError(_("Another job proposes for the same images. Wait until it is done, then resume this one."))


@transaction.atomic
def _store(job: Job, dataset: Dataset, pair: Pair, reply: Reply, model: str) -> int:
    mine = dataset.proposals.filter(source=pair.source, task=pair.task)
    last = mine.aggregate(last=Max("number"))["last"]
    first = 0 if last is None else last + 1
    rows = [
        Proposal(
            dataset=dataset,
            source_id=pair.source,
            task_id=pair.task,
            number=first + place,
            instruction=draft.instruction,
            instruction_zh=draft.instruction_zh,
            description=draft.description,
            requirement=draft.requirement,
            model=model,
            prompt_version=PROMPT_VERSION,
            job=job,
        )
        for place, draft in enumerate(reply.drafts)
    ]
    return len(Proposal.objects.bulk_create(rows))


# The job --------------------------------------------------------------------------------------------------------------


def _work(run: JobRun, job: Job) -> dict[str, Any]:
    dataset = _dataset(job)
    if dataset is None:
        raise JobError(_("The data set was deleted."))
    endpoint = job_config(run.config["endpoint"])
    if endpoint.kind != CHAT:
        raise JobError(_("The endpoint is no longer one for chat."))
    with Client(endpoint, wait=_waiting(run)) as client:
        return _Proposing(run, job, dataset, client).go()


def _waiting(run: JobRun) -> Callable[[float], None]:
    """Sleep in steps, and not at all once the job is asked to stop."""

    def steps(seconds: float) -> Iterator[float]:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            yield min(left, 0.25)

    def sleep(seconds: float) -> None:
        for step in steps(seconds):
            if run.stopping:
                raise JobStopped
            time.sleep(step)

    return sleep


def _dataset(job: Job) -> Dataset | None:
    return Dataset.objects.filter(uid=job.config["dataset"]).first()


def _links(job: Job) -> list[tuple[str, str]]:
    dataset = _dataset(job)
    return [(dataset.name, reverse("proposals", args=[dataset.uid]))] if dataset else []


KIND = JobKind(name=KIND_NAME, label=gettext_lazy("Instruction writing"), work=_work, links=_links)
