"""What a proof asks for, as it is kept in its settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

MOST_CASES = 2000
MOST_SEEDS = 10
MOST_PAIRS = 5000
MOST_RATERS = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """``cases``: keys of the rows, drawn already; ``people``: of the annotators, none where they are added later.

    ``looked``: how many of the cases the training was looked at with, which chose the version that it kept.
    ``known``: whether it is known what the trained editor learned from.
    """

    cases: tuple[int, ...]
    seeds: int = 1
    raters: int = 3
    pairwise: bool = True
    ratings: bool = True
    people: tuple[int, ...] = ()
    split: str = ""
    tasks: tuple[str, ...] = ()
    looked: int = 0
    known: bool = True

    def to_json(self) -> dict[str, Any]:
        found = asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Plan:
        mine: dict[str, Any] = {name: value[name] for name in cls.__slots__ if name in value}
        found: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in mine.items()}
        return cls(**found)
