"""How the loops ask for rewards, and what they say where too many are missing."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from training.gpu.posttrain import signs
from training.gpu.posttrain.rewarding.protocol import Judged, Sample
from training.gpu.posttrain.rewarding.rewarder import Rewards


class TooManyMissing(Exception):
    """So many judgements are missing that nothing can be learned. The message is shown to the user."""


class Rewarding(Protocol):
    """rewarding.Rewarder, or what stands in for it."""

    def submit(self, samples: Sequence[Sample], preservation: NDArray[np.float64] | None = None) -> Future[Rewards]: ...


class Direct:
    """Rewards (0 to 1; NaN: missing) from a function, at once and in this thread."""

    def __init__(self, function: Callable[[Sequence[Sample]], Sequence[float]], name: str = "reward") -> None:
        self.function, self.name = function, name

    def submit(self, samples: Sequence[Sample], preservation: NDArray[np.float64] | None = None) -> Future[Rewards]:
        values = np.asarray(self.function(samples), dtype=np.float64)
        judged: list[Judged | None] = [None if math.isnan(one) else Judged(one, None, 0.0, 1.0) for one in values]
        reasons = {"The function gave none.": int(np.isnan(values).sum())} if np.isnan(values).any() else {}
        found: Future[Rewards] = Future()
        found.set_result(Rewards(values, {self.name: values.tolist()}, {self.name: judged}, reasons))
        return found


def submit(rewarder: Rewarding, samples: Sequence[Sample]) -> Future[Rewards]:
    """Ask for rewards, and tell what was left alone outside the edit where that counts. Without a mask the whole
    picture is outside."""
    spec = getattr(rewarder, "spec", None)
    if not (spec and spec.preservation):
        return rewarder.submit(samples)
    cases = [one.case for one in samples]
    pictures = [one.picture for one in samples]
    kept = signs.preservation_of([one.source for one in cases], pictures, [one.mask for one in cases])
    return rewarder.submit(samples, np.array(kept, dtype=np.float64))


def check_missing(share: float, most: float, reasons: Counter[str], of: str, then: str) -> None:
    """Raises TooManyMissing where more than ``most`` of the judgements ``of`` something are missing."""
    if share <= most:
        return
    why = "; ".join(f"{reason} ({count} times)" for reason, count in reasons.most_common(3))
    raise TooManyMissing(
        f"{share:.0%} of the judgements of {of} are missing, and {most:.0%} are allowed (most_missing). "
        f"{why or 'No reason was given.'} {then}"
    )


@dataclass
class Clock:
    """Seconds by phase."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def take(self) -> dict[str, float]:
        found, self.seconds = {name: round(value, 3) for name, value in self.seconds.items()}, {}
        return found
