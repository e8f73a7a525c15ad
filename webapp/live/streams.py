"""Server-sent events over Redis streams: the one helper for every live page.

A channel is a Redis stream of at most KEPT events. An event's stream id is the id that the browser sends back as
Last-Event-ID after a broken connection, so it goes on where it stopped. Writers are synchronous; a reader is an async
generator with a Redis connection of its own and no database connection: one held by every open page would use up the
pool (close them before streaming, see ``stream``).
"""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

import redis
import redis.asyncio
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connections
from django.http import HttpRequest, StreamingHttpResponse

KEPT = 1000
LIFE_SECONDS = 24 * 3600
BEAT_SECONDS = 10.0  # a comment this often keeps proxies from closing a quiet stream
EVENT_ID = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")  # two numbers of 64 bits, or Redis refuses it

logger = logging.getLogger(__name__)


@cache
def client() -> redis.Redis:
    """The process's Redis client (thread-safe, pooled)."""
    return redis.Redis.from_url(settings.REDIS_URL, decode_responses=True, socket_timeout=5)


def publish(channel: str, event: str, data: dict[str, Any]) -> None:
    """Tell everybody who watches ``channel``. A page that is not told is out of date, not wrong: never an error."""
    key = f"live:{channel}"
    try:
        with client().pipeline(transaction=False) as pipe:
            pipe.xadd(key, {"event": event, "data": json.dumps(data)}, maxlen=KEPT, approximate=True)
            pipe.expire(key, LIFE_SECONDS)
            pipe.execute()
    except redis.RedisError as error:
        say_once(error)


@cache
def _warned() -> set[str]:
    return set()


def say_once(error: Exception) -> None:
    """One line for each sort of trouble: a log full of the same sentence hides the others."""
    if type(error).__name__ not in _warned():
        _warned().add(type(error).__name__)
        logger.warning("live events are not sent: %r", error)


async def stream(request: HttpRequest, channel: str) -> StreamingHttpResponse:
    """The response that feeds one EventSource. Check access first; the database connection is closed here."""
    last = request.headers.get("Last-Event-ID") or request.GET.get("from", "")
    return await response_of(_events(channel, last if EVENT_ID.fullmatch(last) else "$"))


async def response_of(events: AsyncIterator[bytes]) -> StreamingHttpResponse:
    """The response that sends these blocks of events. The database connection that the check of access took is closed
    here, or every viewer would hold one."""
    await sync_to_async(connections.close_all)()
    response = StreamingHttpResponse(events, content_type="text/event-stream")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


async def _events(channel: str, last: str) -> AsyncIterator[bytes]:
    key = f"live:{channel}"
    connection: Any = redis.asyncio.Redis.from_url(  # replies are untyped
        settings.REDIS_URL, decode_responses=True, socket_timeout=BEAT_SECONDS + 5
    )
    try:
        if last == "$":  # a fixed start: "$" asked anew at every read would lose what came in between
            newest = await connection.xrevrange(key, count=1)
            last = newest[0][0] if newest else "0-0"
        yield b"retry: 2000\n: open\n\n"
        while True:
            try:
                found = await connection.xread({key: last}, count=100, block=int(BEAT_SECONDS * 1000))
            except redis.TimeoutError:  # a slow moment; asking again from the same place loses nothing
                found = None
            if not found:
                yield b": beat\n\n"
                continue
            rows = found[key] if isinstance(found, dict) else found[0][1]
            for last, fields in rows:
                yield f"id: {last}\nevent: {fields['event']}\ndata: {fields['data']}\n\n".encode()
    except (redis.RedisError, OSError) as error:
        say_once(error)
        await asyncio.sleep(1)  # the browser connects again after its retry time, with the last id that it saw
    finally:
        await connection.aclose()
