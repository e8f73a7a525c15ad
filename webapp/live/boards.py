"""Boards: live pages whose figures are computed once for everybody who watches.

A board belongs to one page in one process. It reads the page's channels on one Redis connection; when one of them says
that something changed it computes the figures, on one of a few threads that hold a database connection only meanwhile,
and sends the same bytes to every viewer. So two hundred viewers cost two hundred writes to sockets, and neither queries
nor computations. Figures are whole, not differences: a viewer who comes late or was away gets the present ones at once.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

import redis
import redis.asyncio
import structlog
from django.conf import settings
from django.db import connections
from django.http import StreamingHttpResponse

from webapp.live.streams import BEAT_SECONDS, response_of, say_once

GAP_SECONDS = 0.25  # between the beginnings of two computations: what comes meanwhile is one change
THREADS = 2  # that compute, so also the most database connections that boards of a process hold

Compute = Callable[[], dict[str, Any]]

logger = structlog.get_logger()
_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="board")
_boards: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Board]] = WeakKeyDictionary()


async def show(key: str, channels: Sequence[str], compute: Compute) -> StreamingHttpResponse:
    """The response that feeds one viewer of the board ``key``. Check access first; the database connection that this
    took is closed here, or every viewer would hold one.

    ``compute`` returns the figures; of several viewers' the first one's is used, so it may depend on ``key`` alone.
    """
    return await response_of(_watch(key, channels, compute))


async def _watch(key: str, channels: Sequence[str], compute: Compute) -> AsyncIterator[bytes]:
    boards = _boards.setdefault(asyncio.get_running_loop(), {})
    board = boards.get(key)
    if board is None:
        board = boards[key] = Board(channels, compute)
    board.viewers += 1
    try:
        yield b"retry: 2000\n: open\n\n"
        seen = 0
        while True:
            seen, sent = await board.after(seen)
            yield sent
    finally:
        board.viewers -= 1
        if not board.viewers:
            boards.pop(key, None)
            board.stop()


class Board:
    """The figures of one page, and the task that keeps them up to date while somebody watches."""

    def __init__(self, channels: Sequence[str], compute: Compute) -> None:
        self.channels, self.compute = channels, compute
        self.viewers, self._ended = 0, False
        self._number, self._sent = 0, b""
        self._news = asyncio.Condition()
        self._changed = asyncio.Event()
        self._changed.set()
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._keep_up())]

    def stop(self) -> None:
        self._ended = True  # Redis' client can swallow a cancellation while it waits; it returns with the next beat
        for task in self._tasks:
            task.cancel()

    async def after(self, seen: int) -> tuple[int, bytes]:
        """The figures that came after number ``seen``, or a beat where none come for a while."""
        async with self._news:
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT_SECONDS):
                    await self._news.wait_for(lambda: self._number > seen)
            return (self._number, self._sent) if self._number > seen else (seen, b": beat\n\n")

    async def _listen(self) -> None:
        """Note that something changed. What is lost while Redis is away is made up for when it is back."""
        while not self._ended:
            connection: Any = redis.asyncio.Redis.from_url(
                settings.REDIS_URL, decode_responses=True, socket_timeout=BEAT_SECONDS + 5
            )
            try:
                await self._read(connection)
            except (redis.RedisError, OSError) as error:
                say_once(error)
                await asyncio.sleep(1)
                self._changed.set()
            finally:
                await connection.aclose()

    async def _read(self, connection: Any) -> None:
        last = dict.fromkeys((f"live:{channel}" for channel in self.channels), "0-0")
        for key in last:
            newest = await connection.xrevrange(key, count=1)
            last[key] = newest[0][0] if newest else "0-0"
        self._changed.set()  # between the first figures and this moment something may have come
        while not self._ended:
            found = await connection.xread(last, count=1000, block=int(BEAT_SECONDS * 1000))
            for key, entries in found.items() if isinstance(found, dict) else found or []:
                last[key] = entries[-1][0]
                self._changed.set()

    async def _keep_up(self) -> None:
        loop, trouble = asyncio.get_running_loop(), ""
        while True:
            await self._changed.wait()
            self._changed.clear()
            started = time.monotonic()
            try:
                figures = await loop.run_in_executor(_threads, _computed, self.compute)
            except Exception as error:  # the page keeps what it shows; the log has the reason, once
                if repr(error) != trouble:
                    logger.exception("figures were not computed", channels=list(self.channels))
                trouble = repr(error)
            else:
                await self._announce(figures)
            took = time.monotonic() - started
            await asyncio.sleep(max(GAP_SECONDS - took, took))  # figures of a large page leave half of a core to others

    async def _announce(self, figures: dict[str, Any]) -> None:
        sent = f"event: figures\ndata: {json.dumps(figures, ensure_ascii=False, allow_nan=False)}\n\n".encode()
        if sent == self._sent:
            return
        async with self._news:
            self._number, self._sent = self._number + 1, sent
            self._news.notify_all()


def _computed(compute: Compute) -> dict[str, Any]:
    try:
        return compute()
    finally:
        connections.close_all()
