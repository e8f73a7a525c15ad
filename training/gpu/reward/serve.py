"""``python -m training.gpu.reward.serve FOLDER --port N``: a reward model over HTTP, without Django.

    GET  /v1/model   what the model says of itself
    POST /v1/score   {"items": [{"instruction", "source": picture, "candidates": [picture, …]}, …]}
                     -> {"model", "items": [{"candidates": [{"overall", "overall_sigma", "scale", "mu", "sigma"} or
                     {"error"}, …]}, …]}

A picture is base64 or a data URL; nothing is fetched. Every request bears the token of EDITLOOP_REWARD_TOKEN. The model
runs one batch at a time, of all requests that wait. Errors are {"error": a sentence} with 400, 401, 404, 413, 422, 503.
"""

from __future__ import annotations

import argparse
import asyncio
import hmac
import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from training.gpu.reward.answers import Answer, Scores, answers, told
from training.gpu.reward.checkpoint import WrongCheckpoint
from training.gpu.reward.network import Example
from training.gpu.reward.scorer import Scorer
from training.gpu.reward.wire import MOST_BYTES, Refusal, read_request

AT_ONCE = 64  # candidates of one batch, beyond which no further request joins
MOST_WAITING = 16  # requests
BODY_SECONDS = 60.0
CARD = ("dimensions", "aggregate", "set", "notice", "config", "metrics", "fingerprint", "kind")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Waiting = tuple[Sequence[Example], "asyncio.Future[list[list[Answer]]]"]  # a request, and who is told its answers

logger = logging.getLogger(__name__)


@dataclass
class Queue:
    """Requests wait here; one batch at a time goes to the model, on a thread of its own."""

    scorer: Scores
    waiting: list[Waiting] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "model"))

    async def ask(self, examples: Sequence[Example]) -> list[list[Answer]]:
        """Raises Refusal (503) where too many wait."""
        self.check()
        future: asyncio.Future[list[list[Answer]]] = asyncio.get_running_loop().create_future()
        self.waiting.append((examples, future))
        self.news.set()
        return await future

    def check(self) -> None:
        if len(self.waiting) >= MOST_WAITING:
            raise Refusal(503, "Too many requests wait. Try again in a moment.")

    async def work(self) -> None:
        """Serve batch after batch, until it is cancelled."""
        while True:
            await self.news.wait()
            self.news.clear()
            while batch := self._next():
                await self._serve(batch)

    def _next(self) -> list[Waiting]:
        """The requests of one batch: as many as fit, at least one. Whoever has gone meanwhile is left out."""
        batch: list[Waiting] = []
        count = 0
        while self.waiting and (not batch or count + _size(self.waiting[0][0]) <= AT_ONCE):
            one = self.waiting.pop(0)
            if not one[1].done():
                batch.append(one)
                count += _size(one[0])
        return batch

    async def _serve(self, batch: Sequence[Waiting]) -> None:
        examples = [example for some, _future in batch for example in some]
        try:
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self.thread, answers, self.scorer, examples)
        except Exception as error:  # the boundary of the model: one bad batch must not end the service
            logger.exception("a batch was not scored")
            if len(batch) > 1:  # one bad request must not fail those that came with it
                for one in batch:
                    await self._serve([one])
            elif not batch[0][1].done():
                refusal = Refusal(503, f"The model failed on this request ({type(error).__name__}).")
                batch[0][1].set_exception(refusal)
            return
        start = 0
        for some, future in batch:
            if not future.done():
                future.set_result(found[start : start + len(some)])
            start += len(some)


def _size(examples: Sequence[Example]) -> int:
    return sum(len(example.candidates) for example in examples)


class Service:
    """The ASGI application. ``card``: what GET /v1/model answers."""

    def __init__(self, scorer: Scores, card: Mapping[str, Any], token: str) -> None:
        if not token:
            raise ValueError("A service without a token would be open to everybody.")
        self.scorer, self.card, self.token = scorer, dict(card), token.encode()
        self.queue: Queue | None = None
        self.decoding = ThreadPoolExecutor(2, "decode")
        self.reading = 0  # requests whose body is being taken in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            try:
                status, said = 200, await self._answer(scope, receive)
            except Refusal as refusal:
                status, said = refusal.status, {"error": str(refusal)}
            await _send(send, status, said)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self.queue = Queue(self.scorer)
        worker = asyncio.create_task(self.queue.work())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        worker.cancel()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive) -> dict[str, Any]:
        headers = dict(scope["headers"])
        self._check_token(headers.get(b"authorization", b""))
        match scope["method"], scope["path"]:
            case "GET", "/v1/model":
                return self.card
            case "POST", "/v1/score":
                return await self._score(headers, receive)
            case _, "/v1/model" | "/v1/score":
                raise Refusal(405, "GET /v1/model and POST /v1/score are what there is.")
        raise Refusal(404, "GET /v1/model and POST /v1/score are what there is.")

    def _check_token(self, given: bytes) -> None:
        kind, _space, token = given.partition(b" ")
        if kind.lower() != b"bearer" or not hmac.compare_digest(token.strip(), self.token):
            raise Refusal(401, "Send the header Authorization: Bearer TOKEN with the service's token.")

    async def _score(self, headers: Mapping[bytes, bytes], receive: Receive) -> dict[str, Any]:
        assert self.queue is not None
        self.queue.check()
        if self.reading >= MOST_WAITING:
            raise Refusal(503, "Too many requests wait. Try again in a moment.")
        self.reading += 1
        try:
            body = await _body(headers, receive)
            loop = asyncio.get_running_loop()
            examples = await loop.run_in_executor(self.decoding, read_request, body)
        finally:
            self.reading -= 1
        found = await self.queue.ask(examples)
        items = [{"candidates": [told(one) for one in group]} for group in found]
        return {"model": self.card.get("fingerprint", ""), "items": items}


async def _body(headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
    """Raises Refusal: 413 as soon as it is too long, 400 where it does not come."""
    told = headers.get(b"content-length", b"0")
    if not told.isdigit() or int(told) > MOST_BYTES:
        raise _too_long()
    parts, length = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Refusal(400, "The request broke off.")
                length += len(message.get("body", b""))
                if length > MOST_BYTES:
                    raise _too_long()
                parts.append(message.get("body", b""))
                if not message.get("more_body"):
                    return b"".join(parts)
    except TimeoutError:
        raise Refusal(400, f"The body did not come within {BODY_SECONDS:g} seconds.") from None


def _too_long() -> Refusal:
    return Refusal(413, f"The request is too long. {MOST_BYTES // 1024**2} MiB are the most.")


async def _send(send: Send, status: int, said: Mapping[str, Any]) -> None:
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if status == 503:
        headers.append((b"retry-after", b"1"))
    if status in (400, 413):
        headers.append((b"connection", b"close"))  # the rest of the body is not read
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(said, ensure_ascii=False).encode()})


def card_of(told: Mapping[str, Any], low: float, high: float) -> dict[str, Any]:
    return {**{name: told[name] for name in CARD if name in told}, "scale": [low, high]}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m training.gpu.reward.serve", description="A reward model over HTTP."
    )
    parser.add_argument("folder", type=Path, help="the model's folder, as unpacked from its zip")
    parser.add_argument("--port", type=int, default=8100)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    given = parser.parse_args(arguments)
    token = os.environ.get("EDITLOOP_REWARD_TOKEN", "").strip()
    if not token:
        print("Set EDITLOOP_REWARD_TOKEN to a long random word: without one everybody could ask it.", file=sys.stderr)
        return 2
    try:
        scorer = Scorer.load(given.folder, given.device)
    except (WrongCheckpoint, OSError) as error:
        print(str(error), file=sys.stderr)
        return 2
    service = Service(scorer, card_of(scorer.told, scorer.low, scorer.high), token)
    uvicorn.run(service, host=given.host, port=given.port, log_level="info", server_header=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
