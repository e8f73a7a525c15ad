"""What a run has said so far, from its events: rounds, looks, the watch's question, missing judgements. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.reward_models.progress import is_number
from webapp.jobs.folder import read_events

ROUND, LOOK, WATCH, MISSING, PREPARED = "round", "look", "watch", "missing", "prepared"
Row = dict[str, Any]


@dataclass
class Progress:
    """``rounds``, ``looks``: rows in the order of rounds. A run that went on from an earlier place has said some rounds
    twice: the later word counts. ``missing``: reasons for judgements that did not come, with their number.
    ``prepared``: what a run that samples nothing in between learns from."""

    rounds: list[Row] = field(default_factory=list)
    looks: list[Row] = field(default_factory=list)
    watches: list[Row] = field(default_factory=list)
    missing: Counter[str] = field(default_factory=Counter)
    prepared: Row = field(default_factory=dict)

    @property
    def last(self) -> Row | None:
        return self.rounds[-1] if self.rounds else None

    @property
    def latest(self) -> Row | None:
        """The last look after training began."""
        return next((row for row in reversed(self.looks) if row["round"] > 0), None)

    @property
    def reasons(self) -> list[tuple[str, int]]:
        """Why judgements are missing, the most frequent first."""
        return self.missing.most_common()

    def look(self, number: object) -> Row | None:
        """The look after that round; the last one where there is none."""
        named = next((row for row in self.looks if row["round"] == number), None)
        return named or (self.looks[-1] if self.looks else None)

    def question(self, acknowledged: int) -> Row | None:
        """The watch's last word, while nobody has answered it. A run that went on past it had an answer."""
        last = self.watches[-1] if self.watches else None
        past = self.last["round"] if self.last else 0
        return last if last and last["round"] > acknowledged and last["round"] >= past else None

    @property
    def warnings(self) -> list[str]:
        """Weaker signs of reward hacking at the last look, in words."""
        rows = (self.latest or {}).get("warnings")
        return (
            [str(row["words"]) for row in rows if isinstance(row, dict) and "words" in row]
            if isinstance(rows, list)
            else []
        )


def read_progress(folder: Path) -> Progress:
    """Of a job folder; nothing where there are no events yet."""
    return progress_of(read_events(folder / "events.jsonl")[0])


def progress_of(events: Iterable[Mapping[str, Any]]) -> Progress:
    rows: dict[str, dict[int, Row]] = {ROUND: {}, LOOK: {}, WATCH: {}}
    absent: dict[tuple[int, str], Any] = {}
    prepared: Row = {}
    for event in events:
        kind, number = event.get("event"), event.get("round")
        if kind == PREPARED:
            prepared = dict(event)
        if type(number) is not int or number < 0:
            continue
        if kind in rows:
            rows[str(kind)][number] = dict(event)
        elif kind == MISSING:
            absent[number, str(event.get("where", ""))] = event.get("reasons")
    missing: Counter[str] = Counter()
    for reasons in absent.values():
        for reason, count in reasons.items() if isinstance(reasons, dict) else ():
            missing[str(reason)] += count if type(count) is int else 0
    rounds, looks, watches = ([rows[kind][number] for number in sorted(rows[kind])] for kind in (ROUND, LOOK, WATCH))
    return Progress(rounds, looks, watches, missing, prepared)


def value_of(row: Mapping[str, Any], *path: str) -> float | None:
    """The number at that place of a row, or None."""
    found: Any = row
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return float(found) if is_number(found) else None
