"""A judge behind an OpenAI-compatible endpoint: two pictures and a text, one JSON answer. Pure: no Django, no torch.

Whatever comes has a status. Nothing is scored by a guess: an answer that cannot be read is asked for again, each time
paid, and then failed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from threading import Event, Semaphore
from time import perf_counter
from typing import Any, Self

from scoring.judging.contract import JudgeError, Reply, Request, Status
from scoring.judging.digits import expected_score
from scoring.judging.pictures import PictureError, Pictures
from scoring.judging.replies import Unreadable, clean, read_reply
from webapp.endpoints.answers import ChatAnswer
from webapp.endpoints.errors import BadRequest, EndpointError, NotReached, Refused
from webapp.endpoints.http import Client, EndpointConfig, user_message
from webapp.jobs.folder import JobStopped

TOP = 10  # likeliest tokens at each place: the digits of the scale, and a few others
MOST_AHEAD = 16  # requests that are made ready while others are under way
MOST_RAW = 20_000  # characters of an answer that are kept
FILTER = re.compile(r"content[ _-]?(filter|rules|policy)|moderation|safety[ _-](system|violation)", re.IGNORECASE)
# The setting's ends, and whether it may be null: then the service is not told, and does as it likes.
LIMITS = {
    "temperature": (0, 2, True),
    "max_tokens": (1, 100_000, True),
    "tries": (0, 9, False),
    "seconds": (1, 3600, False),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """How the endpoint is asked. ``logprobs``: take the expected score from the probabilities of digits where the
    service gives them. ``tries``: so many more for an answer that cannot be read. ``seconds``: until one must be
    complete."""

    temperature: float | None = 0.0
    max_tokens: int | None = 1500
    logprobs: bool = False
    tries: int = 2
    seconds: float = 120.0

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """Raises JudgeError for a setting that there is not, or a value that it cannot have."""
        known = [one.name for one in fields(cls)]
        if unknown := set(values) - set(known):
            raise JudgeError(f"Unknown settings: {', '.join(sorted(unknown))}. There are: {', '.join(known)}.")
        for name, (low, high, optional) in LIMITS.items():
            value = values.get(name, low)
            whole = name in ("max_tokens", "tries")
            right = type(value) is int or (not whole and type(value) is float)
            if not (value is None and optional) and not (right and low <= value <= high):
                kind = "a whole number" if whole else "a number"
                raise JudgeError(f"The setting “{name}” must be {kind} from {low} to {high}, not {value!r}.")
        if not isinstance(values.get("logprobs", False), bool):
            raise JudgeError("The setting “logprobs” must be true or false.")
        return cls(**values)

    def answering(self) -> dict[str, Any]:
        """What an answer depends on, for the cache key. The same whether a default was written down or not."""
        temperature = None if self.temperature is None else float(self.temperature)
        return {"temperature": temperature, "max_tokens": self.max_tokens, "logprobs": self.logprobs}


@dataclass(slots=True)
class _Used:
    """What the tries of one request have used. ``cost`` is None once one is not known."""

    tries: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = 0.0
    seconds: float = 0.0
    model: str = ""
    raw: str = ""

    def add(self, used: ChatAnswer | EndpointError, seconds: float) -> None:
        self.tokens_in += used.tokens_in or 0
        self.tokens_out += used.tokens_out or 0
        self.cost = None if self.cost is None or used.cost is None else self.cost + used.cost
        self.seconds += seconds
        if isinstance(used, ChatAnswer):
            self.tries += 1
            self.model, self.raw = used.model, clean(used.text, MOST_RAW)

    def reply(self, status: Status, **more: Any) -> Reply:
        return Reply(
            status,
            raw=self.raw,
            model=self.model,
            tokens_in=self.tokens_in,
            tokens_out=self.tokens_out,
            cost=self.cost,
            seconds=round(self.seconds, 3),
            **more,
        )


class EndpointJudge:
    """One endpoint with one set of settings. Safe from several threads.

    It likes a few threads more than the endpoint allows requests at once: they read pictures in the meantime, so that a
    request is ready whenever one may be sent.
    """

    batch = 1

    def __init__(self, endpoint: EndpointConfig, settings: Mapping[str, Any]) -> None:
        """Raises JudgeError as ``Settings.read``."""
        self.settings = Settings.read(settings)
        self.threads = endpoint.concurrency + min(MOST_AHEAD, -(-endpoint.concurrency // 4))
        self._turns = Semaphore(endpoint.concurrency)
        self._stopped, self._logprobs, self._pictures = Event(), self.settings.logprobs, Pictures()
        self.client = Client(endpoint, seconds=self.settings.seconds, wait=self._wait)

    def stop(self) -> None:
        """No further try is made, and pauses between tries end; what is under way goes on."""
        self._stopped.set()

    def _wait(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise JobStopped

    def judge(self, requests: Sequence[Request]) -> list[Reply]:
        """Raises JudgeError where the next request would fail in the same way: key, model, address, an account that is
        used up. JobStopped after ``stop``, for a request of which nothing was paid."""
        return [self._judge(request) for request in requests]

    def _judge(self, request: Request) -> Reply:
        try:
            pictures = [self._pictures.get(file) for file in (request.source, request.edited)]
        except PictureError as error:
            return Reply(Status.FAILED, kind="picture", note=str(error), sent=False)
        message, used = user_message(request.text, pictures), _Used()
        try:
            return self._tried(message, request, used)
        except JobStopped:
            if not used.tries:
                raise
            return used.reply(Status.FAILED, kind="stopped", note="The job was stopped before the next try.")
        except EndpointError as error:
            return self._failed(error, used)

    def _tried(self, message: dict[str, Any], request: Request, used: _Used) -> Reply:
        """The first answer that can be read. One that was cut off would be cut off again."""
        while True:
            answer = self._ask(message, used)
            used.add(answer, answer.seconds)
            if answer.finish == "length":
                note = "The answer was cut off at the length limit. Raise “max_tokens”."
                return used.reply(Status.FAILED, kind="cut off", note=note)
            try:
                return self._read(answer, request, used)
            except Unreadable as error:
                if used.tries > self.settings.tries:
                    times = f" ({used.tries} tries)" if used.tries > 1 else ""
                    note = f"The answer cannot be used{times}: {error}."
                    return used.reply(Status.FAILED, kind="unreadable", note=note)

    def _ask(self, message: dict[str, Any], used: _Used) -> ChatAnswer:
        """One try, when it is its turn; none after a stop."""
        with self._turns:
            self._wait(0)
            start = perf_counter()
            try:
                return self._chat(message)
            except EndpointError as error:
                used.add(error, perf_counter() - start)
                raise

    def _chat(self, message: dict[str, Any]) -> ChatAnswer:
        """Without probabilities once and for all, where the service refuses a request for them."""
        named = {"temperature": self.settings.temperature, "max_tokens": self.settings.max_tokens}
        given: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
        if self._logprobs:
            try:
                return self.client.chat([message], as_json=True, logprobs=TOP, **given)
            except BadRequest as error:
                if "logprobs" not in str(error):
                    raise
                self._logprobs = False
        return self.client.chat([message], as_json=True, **given)

    def _read(self, answer: ChatAnswer, request: Request, used: _Used) -> Reply:
        score, answers, reasoning, status, note = read_reply(answer.text, request)
        distribution = None
        if score is not None and (found := expected_score(answer.logprobs, request.low, request.high, score)):
            score, distribution = found.score, found.distribution
        kind = "" if score is not None else "cannot judge"
        note = note if score is not None else "The judge says that it cannot judge. " + note
        return used.reply(
            status,
            score=score,
            answers=answers,
            reasoning=reasoning,
            distribution=distribution,
            kind=kind,
            note=note.strip(),
        )

    def _failed(self, error: EndpointError, used: _Used) -> Reply:
        """An error's status. One that ends the job does so with the next request if something was paid for this."""
        if error.fatal and not error.retry and not used.tries:
            raise JudgeError(str(error))
        sent = bool(used.tries) or not isinstance(error, NotReached)
        if isinstance(error, Refused):
            status = Status.FILTERED if FILTER.search(str(error)) else Status.REFUSED
            return used.reply(status, kind=error.kind, note=str(error))
        return used.reply(Status.FAILED, kind=error.kind, note=str(error), sent=sent)

    def close(self) -> None:
        self.client.close()
