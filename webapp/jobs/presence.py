"""Which workers are alive: a key in Redis that each worker renews. A queue without a key has nobody listening."""

from contextlib import suppress

import redis

from webapp.live.streams import client

LIFE_SECONDS = 15


def renew(queue: str, worker: str) -> None:
    with suppress(redis.RedisError):  # without Redis nobody can look, either
        client().set(f"worker:{queue}:{worker}", "1", ex=LIFE_SECONDS)


def workers(queue: str) -> list[str] | None:
    """Names of the workers that listen to ``queue``; None if Redis cannot be asked."""
    prefix = f"worker:{queue}:"
    try:
        return sorted(key.removeprefix(prefix) for key in client().scan_iter(match=prefix + "*", count=1000))
    except redis.RedisError:
        return None
