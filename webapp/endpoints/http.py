"""A client of OpenAI-compatible services: chat with pictures, and edits of images. Pure: no Django, no torch.

One client serves one endpoint from as many threads as like to share it. It keeps the endpoint's limits (requests at
once, requests a minute; of this process: several processes have a limit each), tries again what may succeed later, and
counts what was used. Nothing is ever made up: where no usable answer comes, an EndpointError says why.

A program that was started by the web side finds its endpoints, with keys, in EDITLOOP_ENDPOINTS and nowhere else.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from threading import Semaphore
from typing import Any, Self, TypeVar

from webapp.endpoints.answers import ChatAnswer, ImagesAnswer, read_body, read_chat, read_images, tokens
from webapp.endpoints.errors import (
    BadAnswer,
    BadRequest,
    EndpointError,
    NotConfigured,
    OverQuota,
    ServerTrouble,
    WrongKey,
)
from webapp.endpoints.pace import Pace, Usage
from webapp.endpoints.transport import Guard, Transport, read_url

Result = TypeVar("Result", bytes, ChatAnswer, ImagesAnswer)
Counted = TypeVar("Counted", ChatAnswer, ImagesAnswer)

CHAT, IMAGES = "chat", "images"
VARIABLE = "EDITLOOP_ENDPOINTS"
TRIES = 4
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # between tries; a service that asks for more is left alone
OWN_HOST = "A service's images may be at a private address only where that is the endpoint's own."
SECONDS = {CHAT: 120.0, IMAGES: 300.0}  # until an answer must be complete


@dataclass(frozen=True, slots=True)
class EndpointConfig:
    """What a client needs to know. Prices are in the currency of the bill: for a million tokens, and for an image."""

    slug: str
    kind: str
    base_url: str
    model: str
    key: str = field(default="", repr=False)
    concurrency: int = 4
    per_minute: int = 0  # 0: no limit
    price_input: float | None = None
    price_output: float | None = None
    price_image: float | None = None
    allow_private: bool = False

    def cost(self, *, tokens_in: int | None, tokens_out: int | None, images: int = 0) -> float | None:
        """What an answer cost; None where a price or a count is not known."""
        if images and self.price_image is not None:
            return images * self.price_image
        if self.price_input is None or self.price_output is None or tokens_in is None or tokens_out is None:
            return None
        return (tokens_in * self.price_input + tokens_out * self.price_output) / 1_000_000


def sendable(key: str) -> bool:
    """Whether a header can carry the key: printable ASCII."""
    return key.isascii() and key.isprintable()


def to_environment(endpoints: Sequence[EndpointConfig]) -> dict[str, str]:
    """The variable that hands endpoints with their keys to a process at its start."""
    return {VARIABLE: json.dumps([asdict(endpoint) for endpoint in endpoints])}


def endpoints_from_environment(environ: Mapping[str, str] = os.environ) -> dict[str, EndpointConfig]:
    """The endpoints that this process was given, by slug; none where the variable is not set."""
    known = {one.name for one in fields(EndpointConfig)}
    try:
        rows = json.loads(environ.get(VARIABLE) or "[]")
        given = [EndpointConfig(**{name: row[name] for name in known & set(row)}) for row in rows]
    except (ValueError, TypeError):
        raise NotConfigured(f"{VARIABLE} is not what the web side writes: a JSON list of endpoints.") from None
    return {endpoint.slug: endpoint for endpoint in given}


def endpoint_named(slug: str, kind: str, environ: Mapping[str, str] = os.environ) -> EndpointConfig:
    """That endpoint. Raises NotConfigured with what to do."""
    endpoint = endpoints_from_environment(environ).get(slug)
    if endpoint is None:
        raise NotConfigured(f"There is no endpoint “{slug}” for this job. An admin sets it up on the page Endpoints.")
    if endpoint.kind != kind:
        raise NotConfigured(f"The endpoint “{slug}” is of the kind {endpoint.kind}; this needs one of the kind {kind}.")
    return endpoint


def user_message(text: str, images: Sequence[tuple[bytes, str]] = ()) -> dict[str, Any]:
    """A message with pictures, each (bytes, MIME type), as data URLs: a service never fetches anything from us."""
    parts: list[dict[str, Any]] = [{"type": "text", "text": text}]
    for data, mime in images:
        url = f"data:{mime};base64,{base64.b64encode(data).decode()}"
        parts.append({"type": "image_url", "image_url": {"url": url}})
    return {"role": "user", "content": parts}


class Client:
    """Requests to one endpoint. Safe from several threads."""

    def __init__(
        self,
        endpoint: EndpointConfig,
        *,
        guard: Guard | None = None,
        tries: int = TRIES,
        seconds: float | None = None,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """``wait``: how to sleep; a job gives one that raises when it is asked to stop."""
        self.endpoint, self.tries, self.wait = endpoint, tries, wait
        self.guard = guard or Guard(endpoint.allow_private)
        self.seconds = seconds or SECONDS.get(endpoint.kind, SECONDS[CHAT])
        self.usage = Usage()
        self._slots = Semaphore(endpoint.concurrency)
        self._pace = Pace(endpoint.per_minute, wait)
        self._transport = Transport(self.guard, seconds=self.seconds, connections=endpoint.concurrency)
        self._plain = False  # the service knows no response_format

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        as_json: bool = False,
        logprobs: int = 0,
        **parameters: Any,
    ) -> ChatAnswer:
        """Ask a chat model. ``as_json``: ask for a JSON object. ``logprobs``: so many likeliest tokens at each place.

        ``parameters``: what the service takes beside: temperature, max_tokens, seed. Raises EndpointError.
        """
        body: dict[str, Any] = {"model": self.endpoint.model, "messages": list(messages), **parameters}
        if logprobs:
            body |= {"logprobs": True, "top_logprobs": logprobs}
        if as_json and not self._plain:
            try:
                return self._counted(
                    lambda: self._chat({**body, "response_format": {"type": "json_object"}}), quiet=BadRequest
                )
            except BadRequest as error:
                if "response_format" not in str(error):
                    self.usage.failed(error)
                    raise
                self._plain = True
        return self._counted(lambda: self._chat(body))

    def edit_image(
        self, *, image: bytes, prompt: str, mask: bytes | None = None, parameters: Mapping[str, str | int] | None = None
    ) -> ImagesAnswer:
        """Edit one PNG by a prompt; ``mask``: a PNG whose transparent part may change. Raises EndpointError."""
        data = {"model": self.endpoint.model, "prompt": prompt, "n": "1"}
        data |= {name: str(value) for name, value in (parameters or {}).items()}
        files = {"image": ("image.png", image, "image/png")}
        if mask is not None:
            files["mask"] = ("mask.png", mask, "image/png")
        return self._counted(lambda: self._edit(data, files))

    def _chat(self, body: dict[str, Any]) -> ChatAnswer:
        answer, seconds = self._post("/chat/completions", json=body)
        return read_chat(answer, self.endpoint, seconds)

    def _edit(self, data: Mapping[str, str], files: Mapping[str, Any]) -> ImagesAnswer:
        answer, seconds = self._post("/images/edits", data=data, files=files)
        return read_images(answer, self.endpoint, seconds, self._picture)

    def _picture(self, row: Mapping[str, Any]) -> bytes:
        """The image of one entry: in the answer itself, or fetched from the address that it names."""
        if isinstance(text := row.get("b64_json"), str):
            try:
                return base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError):
                raise BadAnswer("The service sent an image that is no base64 text.") from None
        if isinstance(url := row.get("url"), str):
            return self._elsewhere(url)
        raise BadAnswer("The service answered without an image: neither b64_json nor url.")

    def _elsewhere(self, url: str) -> bytes:
        """As _fetch; whatever fails, the edit itself is done and paid for, so it is not asked for again."""
        try:
            return self._tried(lambda: self._fetch(url))
        except EndpointError as error:
            raise BadAnswer(f"The image could not be fetched from where the service put it: {error}") from None

    def _fetch(self, url: str) -> bytes:
        """What lies at an address that the service gave: without the key. A private one must be the endpoint's own:
        the service is trusted with itself, not with the rest of the network."""
        own = read_url(url).host == read_url(self.endpoint.base_url).host
        guard = self.guard if own else replace(self.guard, allow_private=False, hint=OWN_HOST)
        with Transport(guard, seconds=self.seconds, connections=1) as elsewhere:
            answer = elsewhere.exchange("GET", url, headers={})
        if answer.status >= 500:
            raise ServerTrouble(f"status {answer.status}.")
        if answer.status != 200:
            raise BadAnswer(f"status {answer.status}.")
        return answer.body

    def _post(self, path: str, **content: Any) -> tuple[dict[str, Any], float]:
        """The JSON of a good answer, and the seconds it took. Raises EndpointError."""
        with self._slots:
            self._pace.turn()
            start = time.perf_counter()
            headers = {"Accept": "application/json"}
            if not sendable(self.endpoint.key):
                raise WrongKey("The key holds a character that no key has. Enter it again.")
            if self.endpoint.key:
                headers["Authorization"] = f"Bearer {self.endpoint.key}"
            answer = self._transport.exchange("POST", self.endpoint.base_url + path, headers=headers, **content)
            seconds = time.perf_counter() - start
        return read_body(answer, self.endpoint), seconds

    def _counted(self, once: Callable[[], Counted], quiet: type[EndpointError] | None = None) -> Counted:
        """Do it, again where that may help, and count. Failures of the type ``quiet`` are the caller's to count."""
        try:
            result = self._tried(once)
        except EndpointError as error:
            if not (quiet and isinstance(error, quiet)):
                self.usage.failed(error)
            raise
        self.usage.answered(
            tokens=tokens(result), images=len(getattr(result, "images", ())), cost=result.cost, seconds=result.seconds
        )
        return result

    def _tried(self, once: Callable[[], Result]) -> Result:
        for attempt in range(self.tries - 1):
            try:
                return once()
            except EndpointError as error:
                pause = _pause(error, attempt)
                if pause is None:
                    raise
                if isinstance(error, OverQuota):
                    self._pace.hold(pause)  # the other threads' requests would be turned away, too
                self.usage.retried()
            self.wait(pause)
        return once()


def _pause(error: EndpointError, attempt: int) -> float | None:
    """Seconds until the next try; None if there is none. Doubled each time, with a random part so that many clients do
    not come back together; a service's own wish (Retry-After) comes first."""
    if not error.retry or (error.after or 0) > LONGEST_PAUSE:
        return None
    backoff = FIRST_PAUSE * float(2**attempt) * random.uniform(0.5, 1.5)
    return max(error.after or 0.0, min(backoff, LONGEST_PAUSE))
