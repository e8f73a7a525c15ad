"""Jobs of the kind "score": a judge's answers to a list of requests, kept as they come.

Reads ``inputs/requests.jsonl``, a contract.Request a line; writes an "answer" event for each: its key, its ref and the
fields of contract.Reply. An answer counts once its event is written, so a job that was stopped or killed goes on with
what is missing. What failed is tried again by the next attempt, after what was never tried.

The job's config: {"judge": …, "most_cost": what all attempts together may cost, or None}. Before each request it is
looked whether the limit is reached; what is under way by then still comes, so the bill may be a little higher.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from math import inf, isfinite
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any

from scoring.judging.contract import SCORED, Judge, JudgeError, Reply, Request, Status
from webapp.jobs.folder import JobError, JobRun, JobStopped, read_events

IN_A_ROW = 20  # failures for the same reason, without another answer between them, that end the job
OWN = ("picture", "not recorded", "stopped")  # reasons that say nothing of the judge
DRAIN_SECONDS = 15.0  # what is under way at a stop is paid for: it is waited for, less than until the kill
TICK_SECONDS = 0.25  # between two looks whether the job is to stop
PROGRESS_SECONDS = 0.5
FILE = "requests.jsonl"
FINAL = (*SCORED, Status.REFUSED, Status.FILTERED)

Load = Callable[[Mapping[str, Any]], Judge]


def score(run: JobRun, load: Load) -> dict[str, Any]:
    """Ask ``load(config["judge"])`` for every answer that is missing. Returns counts of all attempts together.

    Raises JobError where the list or the judge is wrong, the spending limit is reached, or the judge fails in a row;
    JobStopped when asked.
    """
    scoring = _Scoring(run)
    scoring.progress(always=True)
    if scoring.done < scoring.total:
        run.check()
        judge = _load(run, load)
        try:
            if judge.threads:
                scoring.at_once(judge)
            else:
                scoring.in_batches(judge)
        finally:
            getattr(judge, "close", lambda: None)()
    return scoring.summary()


def _load(run: JobRun, load: Load) -> Judge:
    judge = run.config.get("judge")
    if not isinstance(judge, Mapping):
        raise JobError("The job does not say which judge to ask: “judge” is missing in its settings.")
    try:
        return load(judge)
    except JudgeError as error:
        raise JobError(f"The judge cannot be used: {error}") from None


@dataclass
class _Tally:
    """What all attempts have used. ``kinds`` counts this attempt's failures by their reason."""

    statuses: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    unpriced: bool = False
    answers: int = 0
    seconds: float = 0.0

    def add(self, row: Mapping[str, Any]) -> None:
        """``row``: a reply as JSON. Only what came has a time that means something."""
        self.tokens_in += row["tokens_in"]
        self.tokens_out += row["tokens_out"]
        self.cost += row["cost"] or 0.0
        self.unpriced |= row["cost"] is None
        if row["status"] != Status.FAILED:
            self.answers += 1
            self.seconds += row["seconds"]


class _Scoring:
    """One attempt. Workers take requests and keep replies under one lock; the main thread looks after the end."""

    def __init__(self, run: JobRun) -> None:
        self.run, self.tally, self.most_cost = run, _Tally(), _most_cost(run.config.get("most_cost"))
        before = self._past()
        keys = _keys(run.inputs / FILE, run.config.get("requests"))
        self.total = len(keys)
        finals = {key: status for key, status in before.items() if key in keys and status in FINAL}
        self.done = len(finals)
        self.tally.statuses.update(finals.values())
        failed = keys & (before.keys() - finals.keys())
        self.waiting = chain(
            (request for request in self._requests() if request.key not in before),
            (request for request in self._requests() if request.key in failed),
        )
        self.lock, self.idle = Lock(), Event()
        self.end: Exception | None = None  # why no further request is sent
        self.stop: Callable[[], None] = lambda: None
        self.closed = False
        self.working = 0
        self.row, self.kind, self.note = 0, "", ""
        self.told = -inf

    def _past(self) -> dict[str, str]:
        """The latest status of each key in earlier attempts, whose use is counted. A piece at a time: answers are long,
        and there may be many."""
        before: dict[str, str] = {}
        offset, path = 0, self.run.folder / "events.jsonl"
        while True:
            events, after = read_events(path, offset, most=1000)
            if after == offset:
                return before
            offset = after
            for past in events:
                if past["event"] == "answer":
                    before[past["key"]] = past["status"]
                    self.tally.add(past)

    def _requests(self) -> Iterator[Request]:
        """The requests with files that can be opened from anywhere."""
        for request in read_requests(self.run.inputs / FILE):
            source, edited = (str(self.run.folder / file) for file in (request.source, request.edited))
            yield replace(request, source=source, edited=edited)

    # Asking ---------------------------------------------------------------------------------------------------------

    def in_batches(self, judge: Judge) -> None:
        """Batch by batch, for a judge that computes here."""
        while batch := list(islice(iter(self._next, None), max(1, judge.batch))):
            try:
                replies = judge.judge(batch)
            except JudgeError as error:
                raise JobError(f"The judge cannot go on: {error}") from None
            for request, reply in zip(batch, replies, strict=True):
                self._keep(request, reply)
        self._ended()

    def at_once(self, judge: Judge) -> None:
        """As many requests at once as the judge has threads. Where something ends the job, what is under way is kept
        first; when the job is asked to stop, only what comes soon. Threads end with the process: an answer that never
        comes must not hold it up."""
        self.working, until, self.stop = judge.threads, inf, getattr(judge, "stop", self.stop)
        for _ in range(judge.threads):
            Thread(target=self._work, args=(judge,), daemon=True).start()
        while not self.idle.wait(TICK_SECONDS) and monotonic() < until:
            if self.run.stopping or self.end:
                self.stop()
            if self.run.stopping:
                until = min(until, monotonic() + DRAIN_SECONDS)
        with self.lock:
            self.closed = True
        self._ended()

    def _work(self, judge: Judge) -> None:
        """One thread: the next request as soon as the last one's answer is written."""
        try:
            while request := self._next():
                (reply,) = judge.judge([request])
                self._keep(request, reply)
        except JobStopped:
            pass
        except JudgeError as error:
            self._end(JobError(f"The judge cannot go on: {error}"))
        except Exception as error:  # for the main thread, which reports it
            self._end(error)
        finally:
            with self.lock:
                self.working -= 1
                if not self.working:
                    self.idle.set()

    def _next(self) -> Request | None:
        """The next request; None where there is none, or none may be sent any more."""
        with self.lock:
            request = None
            try:
                if not (self.end or self.run.stopping) and (request := next(self.waiting, None)):
                    self._check_cost()
            except JobError as error:
                self.end, request = error, None
            if self.end or self.run.stopping:
                self.stop()  # at once: other threads may have a request ready
            return request

    def _check_cost(self) -> None:
        if self.most_cost is None:
            return
        if self.tally.unpriced:
            raise JobError("The endpoint does not say what its answers cost, so the spending limit cannot be kept.")
        if self.tally.cost >= self.most_cost:
            raise JobError(
                f"The spending limit of {self.most_cost:g} is reached: {self.tally.cost:.4g} spent, {self.done} of "
                f"{self.total} requests answered. What came is kept."
            )

    def _end(self, error: Exception) -> None:
        """The first reason counts."""
        with self.lock:
            self.end = self.end or error

    def _ended(self) -> None:
        self.progress(always=True)
        if self.end:
            raise self.end
        self.run.check()

    # Keeping --------------------------------------------------------------------------------------------------------

    def _keep(self, request: Request, reply: Reply) -> None:
        row = {"key": request.key, "ref": list(request.ref), **reply.to_json()}
        with self.lock:
            if self.closed:  # too late: the job has ended without it
                return
            self.run.emit("answer", **row)
            self.tally.add(row)
            if reply.status == Status.FAILED:
                self._failed(reply)
            else:
                self.row = 0
                self.done += 1
                self.tally.statuses[reply.status] += 1
            self.progress()

    def _failed(self, reply: Reply) -> None:
        self.tally.kinds[reply.kind] += 1
        self.note = reply.note
        if reply.kind in OWN:
            return
        self.row = self.row + 1 if reply.kind == self.kind else 1
        self.kind = reply.kind
        if self.row >= IN_A_ROW:
            self.end = self.end or JobError(
                f"The last {self.row} requests were all in vain. The last reason: {reply.note} "
                "Mend the cause, then resume the job: it tries them again."
            )

    def progress(self, always: bool = False) -> None:
        """Now and then: a job has many answers, and each has an event of its own."""
        if always or monotonic() - self.told >= PROGRESS_SECONDS:
            self.told = monotonic()
            failed = self.tally.kinds.total()
            counts = {**{status: self.tally.statuses[status] for status in FINAL}, Status.FAILED: failed}
            words = [f"{count} {status}" for status, count in counts.items() if count]
            self.run.progress(self.done + failed, self.total, ", ".join(words))

    def summary(self) -> dict[str, Any]:
        """Raises JobError where no request was answered at all."""
        tally, failed = self.tally, self.tally.kinds.total()
        if failed and not self.done:
            raise JobError(f"None of the {self.total} requests was answered. The last reason: {self.note}")
        return {
            "requests": self.total,
            **{str(status): tally.statuses[status] for status in FINAL},
            "failed": failed,
            **{f"failed: {kind}": count for kind, count in sorted(tally.kinds.items())},
            "tokens_in": tally.tokens_in,
            "tokens_out": tally.tokens_out,
            "cost": None if tally.unpriced else round(tally.cost, 6),
            "mean_seconds": round(tally.seconds / tally.answers, 3) if tally.answers else None,
        }


# What is asked for ----------------------------------------------------------------------------------------------------


def _most_cost(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0:
        raise JobError(f"The spending limit must be a number that is not negative, not {value!r}.")
    return float(value)


def _keys(path: Path, expected: object) -> set[str]:
    """The keys of all requests. The list is read as a whole before anything is paid: a bad line in its middle, or a
    key that comes twice, is a JobError."""
    keys: set[str] = set()
    for count, request in enumerate(read_requests(path), start=1):
        keys.add(request.key)
        if len(keys) < count:
            raise JobError(f"inputs/{FILE} holds the key {request.key} twice.")
    if isinstance(expected, int) and len(keys) != expected:
        raise JobError(f"inputs/{FILE} has {len(keys)} requests, but the job was made for {expected}.")
    return keys


def read_requests(path: Path) -> Iterator[Request]:
    """One request after the other. Raises JobError with the line number for a line that is none."""
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _parse(number, line)
    except FileNotFoundError:
        raise JobError(f"The job has no list of requests: inputs/{FILE} is missing.") from None
    except UnicodeDecodeError:
        raise JobError(f"inputs/{FILE} is not UTF-8.") from None


def _parse(number: int, line: str) -> Request:
    try:
        request = Request.from_json(json.loads(line))
        texts = (request.key, request.text, request.source, request.edited, *request.questions)
        numbers = (request.low, request.high, request.turn, *request.ref)
        if not all(isinstance(text, str) for text in texts) or not all(type(value) is int for value in numbers):
            raise TypeError("a field has the wrong type")
        if not (request.key and request.low < request.high):
            raise ValueError("it has no key, or a scale without length")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise JobError(f"inputs/{FILE}, line {number} is not a request: {error!r}.") from None
    return request
