"""What is judged while an editor is trained, and what a judge says of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

from PIL import Image

from training.gpu.editors import EditCase

LONGEST = 300  # characters of a reason that are kept
MOST_REASONS = 20  # of one call; further ones are counted together
OTHER = "Other reasons."


@dataclass(frozen=True, slots=True)
class Sample:
    """An edited picture that waits for its reward. ``group``: equal for all samples that are compared with each other.
    ``key`` names the sample in messages."""

    case: EditCase
    group: int
    key: str
    picture: Image.Image


@dataclass(frozen=True, slots=True)
class Judged:
    """``mu`` on the judge's own scale, which goes from ``low`` to ``high``; a reward model may say a little more than
    its ends. ``sigma``: its doubt in the same units; None where it tells of none."""

    mu: float
    sigma: float | None
    low: float
    high: float


class Source(Protocol):
    """Where a reward comes from. One thread asks it at a time.

    A source may also have a ``weight`` among others; ``stop()``, after which it answers soon, and ``close()``; and
    ``take_reasons()``, which gives the reasons of what was missing since it was last called (see Reasons).
    """

    name: str

    def judge(self, samples: Sequence[Sample]) -> list[Judged | None]:
        """An answer for each sample, in order. None: the judge has none, which is never a score of 0. A service that
        is in trouble gives None for all of them; what raises is a mistake of the program."""
        ...


class Reasons:
    """Counts why answers are missing. Safe from several threads."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = Lock()

    def missing(self, reason: str, count: int = 1) -> None:
        """``reason``: a sentence for the user."""
        short = reason if len(reason) <= LONGEST else f"{reason[: LONGEST - 2]} …"
        with self._lock:
            known = short in self._counts or len(self._counts) < MOST_REASONS
            self._counts[short if known else OTHER] += count

    def take_reasons(self) -> Counter[str]:
        """What was counted since the last call."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        return counts
