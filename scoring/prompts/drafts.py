"""The content of a version before it is one, and the changes one makes to it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple


class Line(NamedTuple):
    """One question. ``key`` is empty for a new one; the service gives it a key."""

    key: str
    text: str
    is_on: bool = True


@dataclass(frozen=True, slots=True)
class Draft:
    """What a version says: compare two with ``==``, or with ``says_the_same`` where keys do not matter."""

    preamble: str
    rubric: str
    questions: tuple[Line, ...] = ()

    @property
    def keys(self) -> list[str]:
        return [line.key for line in self.questions]

    def says_the_same(self, other: Draft) -> bool:
        """Whether texts, order and switches are equal; a question that was only given another key is the same."""
        return self._said == other._said

    @property
    def _said(self) -> tuple[str, str, list[tuple[str, bool]]]:
        return self.preamble, self.rubric, [(line.text, line.is_on) for line in self.questions]


def tidy(preamble: str, rubric: str, questions: Iterable[tuple[str, str, bool]]) -> Draft:
    """What was typed, as it is kept: line ends as \\n, nothing around the texts, a question in one line."""
    lines = tuple(Line(key, " ".join(text.split()), is_on) for key, text, is_on in questions)
    return Draft(_block(preamble), _block(rubric), lines)


def _block(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


# Changes: each gives a new draft. All raise KeyError for a key that there is not. ------------------------------------


def switched(draft: Draft, key: str, is_on: bool) -> Draft:
    return _with(draft, key, replaced={"is_on": is_on})


def reworded(draft: Draft, key: str, text: str) -> Draft:
    return _with(draft, key, replaced={"text": text})


def without(draft: Draft, key: str) -> Draft:
    """That question switched off: what an ablation asks."""
    return switched(draft, key, False)


def added(draft: Draft, text: str) -> Draft:
    """With a new question at the end."""
    return replace(draft, questions=(*draft.questions, Line("", text)))


def moved(draft: Draft, key: str, by: int) -> Draft:
    """That question ``by`` places further down (negative: up), as far as there are places."""
    lines = list(draft.questions)
    place = _place(draft, key)
    line = lines.pop(place)
    lines.insert(min(max(place + by, 0), len(lines)), line)
    return replace(draft, questions=tuple(lines))


def _with(draft: Draft, key: str, replaced: dict[str, str | bool]) -> Draft:
    lines = list(draft.questions)
    place = _place(draft, key)
    lines[place] = Line(**{**lines[place]._asdict(), **replaced})
    return replace(draft, questions=tuple(lines))


def _place(draft: Draft, key: str) -> int:
    if not key or key not in draft.keys:
        raise KeyError(key)
    return draft.keys.index(key)
