"""Threads that wait for a service, and are left behind where it does not answer and the run ends."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from time import monotonic

DRAIN_SECONDS = 10.0  # after a stop, for what is under way: less than until the process is killed
TICK_SECONDS = 0.25
STOPPED = "The run was stopped before the judge answered."


def at_once(work: Callable[[], None], count: int, stopped: Event) -> None:
    """Run ``work`` in ``count`` threads and return when all have ended, or DRAIN_SECONDS after ``stopped`` was set. The
    threads end with the process. Raises what the first of them raised."""
    raised: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # for the thread that asked
            raised.append(error)

    threads = [Thread(target=guarded, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    until = None
    for thread in threads:
        while thread.is_alive() and (until is None or monotonic() < until):
            thread.join(TICK_SECONDS)
            if stopped.is_set() and until is None:
                until = monotonic() + DRAIN_SECONDS
    if raised:
        raise raised[0]
