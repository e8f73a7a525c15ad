"""What a reader makes of a file of judgements, and how it says what is wrong. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from scoring.stats.csvfile import Names
from scoring.stats.grouped import Codes, Floats

RATINGS, RANKINGS, VOTES = "ratings", "rankings", "votes"
VALUES = {RATINGS: "score", RANKINGS: "rank"}
"""The column of numbers, by kind; votes have none, their ``vote`` is a text."""
KEYS = {
    RATINGS: ("annotator", "item", "dimension"),
    RANKINGS: ("annotator", "group", "dimension", "candidate"),
    VOTES: ("annotator", "pair"),
}
"""What tells one judgement from another."""
OF: dict[str, dict[str, tuple[str, ...]]] = {
    RATINGS: {"item": ("group", "editor", "task", "split", "seed")},
    RANKINGS: {"candidate": ("editor", "seed"), "group": ("task", "split")},
    VOTES: {"pair": ("group",)},
}
"""What a thing has once, whatever the row: an item has one editor."""
SHOWN = 20
MOST_RANKS = 1_000_000
"""Of a JSON file. A rank takes a few bytes there and hundreds in memory; long CSV has no such cost."""
MOST_TEXT = 300
"""Characters of a name."""


class Refused(Exception):
    """Nothing was read. ``problems``: the first SHOWN, each with its place; ``count``: all of them."""

    def __init__(self, problems: Iterable[str], count: int | None = None) -> None:
        self.problems = [problem[:1].upper() + problem[1:] for problem in list(problems)[: SHOWN + 1]]
        self.count = len(self.problems) if count is None else count
        super().__init__(" ".join(self.problems))


@dataclass(slots=True)
class Problems:
    """Problems met so far: the first ones kept, all counted."""

    kept: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, sentence: str) -> None:
        self.count += 1
        if len(self.kept) < SHOWN:
            self.kept.append(sentence)

    def raise_if_any(self) -> None:
        if self.count:
            raise Refused(self.kept, self.count)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of texts: int32 codes of shape (rows,) into ``names``."""

    codes: Codes
    names: Names

    @classmethod
    def of(cls, texts: Sequence[str]) -> Column:
        encoded = pa.array(texts, pa.string()).dictionary_encode()
        return cls(encoded.indices.to_numpy(zero_copy_only=False), encoded.dictionary)

    def texts(self) -> list[str]:
        """The names, in the order of their codes."""
        return list(self.names.to_pylist())

    def __len__(self) -> int:
        return len(self.names)


def joined(columns: Sequence[Column], mark: str = "/") -> Column:
    """One column of texts such as "task/uid/model", made of several; the work is done once a distinct text."""
    code = np.zeros(columns[0].codes.size, dtype=np.int64)
    for column in columns:
        code = code * max(len(column), 1) + column.codes
        distinct, first, code = np.unique(code, return_index=True, return_inverse=True)
    names = [column.texts() for column in columns]
    texts = [mark.join(name[c.codes[row]] for name, c in zip(names, columns, strict=True)) for row in first.tolist()]
    assert len(texts) == distinct.size
    return Column(code.astype(np.int32), pa.array(texts, pa.string()))


Place = Callable[[Sequence[int]], list[str]]


@dataclass(frozen=True, slots=True)
class Found:
    """Judgements of one kind. ``columns`` by name, as in KEYS and OF; ``values``: scores or ranks, None for votes.

    ``place`` names rows for people: "line 7". ``told``: what was passed over, in sentences.
    """

    layout: str
    kind: str
    columns: dict[str, Column]
    values: Floats | None
    place: Place
    told: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        return int(next(iter(self.columns.values())).codes.size)

    def also(self, *told: str) -> Found:
        return replace(self, told=(*self.told, *told))
