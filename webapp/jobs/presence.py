"""Which workers are alive: a key in Redis that each worker renews. A queue without a key has nobody listening.

The key's value says what the worker's machine has (webapp/jobs/machine.py).
"""

from contextlib import suppress
from typing import Any

import redis

from webapp.jobs import machine
from webapp.jobs.machine import Machine
from webapp.live.streams import client

LIFE_SECONDS = 15


def renew(queue: str, worker: str) -> None:
    with suppress(redis.RedisError):  # without Redis nobody can look, either
        client().set(f"worker:{queue}:{worker}", machine.here.latest().to_json(), ex=LIFE_SECONDS)


def workers(queue: str) -> list[str] | None:
    """Names of the workers that listen to ``queue``; None if Redis cannot be asked."""
    prefix = f"worker:{queue}:"
    try:
        return sorted(key.removeprefix(prefix) for key in client().scan_iter(match=prefix + "*", count=1000))
    except redis.RedisError:
        return None


def machines(queue: str) -> list[Machine] | None:
    """The workers that listen to ``queue``, by name, with their machines; None if Redis cannot be asked."""
    names = workers(queue)
    if not names:
        return names if names is None else []
    try:
        with client().pipeline(transaction=False) as pipe:
            for name in names:
                pipe.get(f"worker:{queue}:{name}")
                pipe.pttl(f"worker:{queue}:{name}")
            answers: list[Any] = pipe.execute()
    except redis.RedisError:
        return None
    rows = zip(names, answers[::2], answers[1::2], strict=True)
    return [
        machine.read(text, worker=name, seconds=max(0.0, LIFE_SECONDS - left / 1000))
        for name, text, left in rows
        if text is not None  # it can run out between the two questions
    ]


def largest_gpu(queue: str) -> int | None:
    """Memory in bytes of the largest GPU that a worker of ``queue`` has; None where none has one or nobody can ask."""
    sizes = [gpu.total for found in machines(queue) or [] for gpu in found.gpus if gpu.total]
    return max(sizes, default=None)
