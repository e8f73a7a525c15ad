"""What a training job has said so far, from its events: curves, looks, the examples it gets most wrong. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from webapp.jobs.folder import read_events

TRAIN, HELD_OUT, WORST, BASELINES = "train", "held-out", "worst", "baselines"


@dataclass
class Progress:
    """``train``, ``held``: rows in the order of steps. A job that went on from an earlier place has said some steps
    twice: the later word counts. ``worst``: of the last look."""

    train: list[dict[str, Any]] = field(default_factory=list)
    held: list[dict[str, Any]] = field(default_factory=list)
    worst: list[dict[str, Any]] = field(default_factory=list)
    baselines: dict[str, Any] = field(default_factory=dict)

    @property
    def best(self) -> dict[str, Any] | None:
        """The look at the held-out part with the lowest NLL."""
        return min((row for row in self.held if is_number(row.get("nll"))), key=lambda row: row["nll"], default=None)

    @property
    def last(self) -> dict[str, Any] | None:
        return self.train[-1] if self.train else None


def read_progress(folder: Path) -> Progress:
    """Of a job folder; nothing where there are no events yet."""
    return progress_of(read_events(folder / "events.jsonl")[0])


def progress_of(events: Iterable[Mapping[str, Any]]) -> Progress:
    train: dict[int, dict[str, Any]] = {}
    held: dict[int, dict[str, Any]] = {}
    found = Progress()
    for event in events:
        kind, step = event["event"], event.get("step")
        if kind == TRAIN and type(step) is int and is_number(event.get("loss")):
            train[step] = dict(event)
        elif kind == HELD_OUT and type(step) is int:
            held[step] = dict(event)
        elif kind == WORST:
            found.worst = [row for row in event.get("rows", []) if isinstance(row, dict)]
        elif kind == BASELINES:
            found.baselines = dict(event.get("dimensions", {}))
    found.train, found.held = ([rows[step] for step in sorted(rows)] for rows in (train, held))
    return found


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
