"""How fast an endpoint is asked, and what was used. Pure: no Django, no torch."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from webapp.endpoints.errors import EndpointError


class Pace:
    """Requests spread evenly over a minute; all of them held back while a service asks for a pause."""

    def __init__(self, per_minute: int, wait: Callable[[float], None], clock: Callable[[], float] = time.monotonic):
        self.interval = 60.0 / per_minute if per_minute else 0.0
        self.wait, self.clock = wait, clock
        self._next = self._held = float("-inf")
        self._lock = Lock()

    def turn(self) -> None:
        """Return when this request may start."""
        with self._lock:
            start = max(self.clock(), self._next)
            self._next = start + self.interval
        waited = float("-inf")
        while (until := max(start, self._held)) > waited:  # the service may ask for a pause while we wait
            if (pause := until - self.clock()) > 0:
                self.wait(pause)
            waited = until

    def hold(self, seconds: float) -> None:
        """Nobody starts for so long."""
        with self._lock:
            self._held = max(self._held, self.clock() + seconds)


@dataclass
class Usage:
    """What a client has used. ``cost`` is of the answers whose cost is known, ``unpriced`` counts the others."""

    answers: int = 0
    retries: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    tokens_in: int = 0
    tokens_out: int = 0
    images: int = 0
    cost: float = 0.0
    unpriced: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def answered(self, *, tokens: tuple[int, int], images: int, cost: float | None, seconds: float) -> None:
        with self._lock:
            self.answers += 1
            self.tokens_in += tokens[0]
            self.tokens_out += tokens[1]
            self.images += images
            self.cost += cost or 0.0
            self.unpriced += cost is None
            self.seconds += seconds
            self.slowest = max(self.slowest, seconds)

    def failed(self, error: EndpointError) -> None:
        with self._lock:
            self.failures[error.kind] += 1

    def retried(self) -> None:
        with self._lock:
            self.retries += 1

    def value(self) -> dict[str, Any]:
        """As JSON, with the mean time of an answer."""
        with self._lock:
            return {
                "answers": self.answers,
                "retries": self.retries,
                "failures": dict(self.failures),
                "tokens_in": self.tokens_in,
                "tokens_out": self.tokens_out,
                "images": self.images,
                "cost": round(self.cost, 6),
                "unpriced": self.unpriced,
                "mean_seconds": round(self.seconds / self.answers, 3) if self.answers else None,
                "slowest_seconds": round(self.slowest, 3),
            }
