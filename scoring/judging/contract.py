"""What a judge is asked and what it answers: one protocol for every backend. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Protocol

SCHEMA = "answers-reasoning-score/1"  # the form of the answer that is asked for; part of the cache key


class Status(StrEnum):
    """What became of a request. Only the first two carry a score."""

    PARSED = "parsed"  # the answer was as asked for
    REPAIRED = "repaired"  # its JSON had to be mended; the number is the judge's own
    REFUSED = "refused"  # the judge declines, or says that it cannot judge
    FILTERED = "filtered"  # a content filter of the service
    FAILED = "failed"  # no usable answer: unreadable after all tries, or the service was in trouble


SCORED = (Status.PARSED, Status.REPAIRED)


class JudgeError(Exception):
    """A judge cannot be used at all: wrong settings, no weights. The message is for the user."""


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a judge: a rendered prompt and two pictures.

    ``key``: the full cache key, see ``cache_key``. ``source``, ``edited``: image files, relative to the job folder or
    absolute. ``low``, ``high``: the ends of the integer scale. ``questions``: keys of the prompt's questions in the
    order in which they are numbered from 1. ``turn``: which of several passes over the same prompt this is, from 0.
    ``ref``: whatever the asker knows the request by; it comes back with the answer.
    """

    key: str
    text: str
    source: str
    edited: str
    low: int
    high: int
    questions: tuple[str, ...] = ()
    turn: int = 0
    ref: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Request:
        """Raises TypeError and KeyError for anything that ``to_json`` did not write."""
        return cls(**{**row, "questions": tuple(row["questions"]), "ref": tuple(row.get("ref", ()))})


@dataclass(frozen=True, slots=True)
class QuestionAnswer:
    """What the judge says to one question: ``answer`` in its words ("yes", "no", "partly", "cannot judge" …)."""

    question: str  # its key
    answer: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came. ``score`` is in ``low``..``high`` of the request, and None unless the status is one of SCORED.

    ``distribution``: probability of each digit of the scale where the backend gives it; ``score`` is then its mean.
    ``kind``, ``note``: for other statuses, the sort of failure in a word and a sentence for the user.
    ``seconds``: latency. ``cost``: None where it is not known; 0.0 for a local model. ``sent``: whether the judge was
    reached at all, so that something may have been paid.
    """

    status: Status
    score: float | None = None
    answers: tuple[QuestionAnswer, ...] = ()
    reasoning: str = ""
    distribution: Mapping[str, float] | None = None
    kind: str = ""
    note: str = ""
    raw: str = field(default="", repr=False)
    model: str = ""  # the provider's own id
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = 0.0
    seconds: float = 0.0
    sent: bool = True

    def __post_init__(self) -> None:
        if (self.score is not None) != (self.status in SCORED):
            raise ValueError(f"A reply with the status {self.status} cannot have the score {self.score}.")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Judge(Protocol):
    """A loaded backend. ``batch``: how many requests it likes at once. ``threads``: where it waits for a service, how
    many requests of one may be under way; 0 for a model that computes here.

    ``judge`` returns a reply for each request, in order. What is wrong with one request is its reply's status. Raises
    JudgeError where no request can be answered (the job ends), and whatever stops the job.
    """

    batch: int
    threads: int

    def judge(self, requests: Sequence[Request]) -> list[Reply]: ...


def cache_key(
    *,
    text: str,
    images: Sequence[str],
    preprocessing: str,
    provider: str,
    model: str,
    settings: Mapping[str, Any],
    turn: int,
) -> str:
    """SHA-256 of everything that an answer depends on.

    ``images``: the SHA-256 of each original, which with the version of the ``preprocessing`` stands for the pixels that
    are sent. ``provider``: the kind of backend and its address. ``settings``: what else changes the answer.
    """
    parts = {
        "text": text,
        "images": list(images),
        "preprocessing": preprocessing,
        "provider": provider,
        "model": model,
        "settings": dict(settings),
        "schema": SCHEMA,
        "turn": turn,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
