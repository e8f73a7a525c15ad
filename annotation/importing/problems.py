"""What is wrong with an import, said so that the person who made the files can put it right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One full sentence (or two), and where it applies: file, line counted from 1, column of the manifest."""

    sentence: str
    file: str = ""
    line: int | None = None
    field: str = ""

    def __str__(self) -> str:
        place = [self.file, f"line {self.line}" if self.line else "", self.field]
        where = ", ".join(part for part in place if part)
        return f"{where}: {self.sentence}" if where else self.sentence


class ImportProblem(Exception):
    """The only error this package raises about what it was given to read."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class Problems:
    """All problems found: the first ``limit`` are kept, every one is counted."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.total = 0
        self._kept: list[Problem] = []

    def add(self, sentence: str, file: str = "", line: int | None = None, field: str = "") -> None:
        self.total += 1
        if len(self._kept) < self.limit:
            self._kept.append(Problem(sentence, file, line, field))

    @property
    def full(self) -> bool:
        """Whether another problem would only be counted, so that its sentence need not be worked out."""
        return len(self._kept) >= self.limit

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._kept)

    def __bool__(self) -> bool:
        return self.total > 0

    def __len__(self) -> int:
        return self.total


def printable(text: str, limit: int = 100) -> str:
    """``text`` as it can be shown, logged and stored: control characters escaped, the middle of a long text cut out."""
    if len(text) > limit:
        text = f"{text[: limit // 2]}…{text[-limit // 4 :]}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def quoted(text: str, limit: int = 100) -> str:
    return f"“{printable(text, limit)}”"
