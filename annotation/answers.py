"""What a submitted answer must look like, and the marks that it stands for. Pure: no Django, no database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotation.protocols import PAIRWISE, RANKING, RATING, SHELVES, Protocol

FLAGS = ("no_edit", "broken", "unsafe", "cannot_judge")
EXCUSES = ("broken", "unsafe", "cannot_judge")  # with these an answer may have no scores
REMARK_LENGTH = 2000


class AnswerError(ValueError):
    """The answer is refused; the message says why in the annotator's words."""


@dataclass(frozen=True)
class LetterMark:
    """What the answer says of the candidate behind one letter."""

    letter: str
    dimension: str
    score: float | None = None
    rank: float | None = None


@dataclass(frozen=True)
class Answer:
    marks: tuple[LetterMark, ...]
    flag: str
    remark: str


def letters(count: int) -> list[str]:
    """A, B, C …: the names under which ``count`` candidates are shown."""
    return [chr(ord("A") + index) for index in range(count)]


def read_answer(protocol: Protocol, dimension: str, shown: Sequence[str], answer: object) -> Answer:
    """Check an answer against its protocol. ``shown``: the letters on the page; ``dimension``: of a ranking pass.

    Raises AnswerError. Nothing is filled in: what the annotator did not do is missing, and missing is refused.
    """
    if not isinstance(answer, Mapping):
        raise AnswerError("The answer could not be read.")
    flag, remark = _flag(answer.get("flag")), answer.get("remark") or ""
    if not isinstance(remark, str) or len(remark) > REMARK_LENGTH:
        raise AnswerError(f"A remark has at most {REMARK_LENGTH} characters.")
    readers = {RATING: _rating, RANKING: _ranking, PAIRWISE: _pairwise}
    marks = readers[protocol.kind](protocol, dimension, shown, answer, flag in EXCUSES)
    return Answer(tuple(marks), flag, remark)


def mean_ranks(order: Sequence[Sequence[str]]) -> dict[str, float]:
    """Ranks from tiers, best first; the letters of one tier share the mean of the ranks that they occupy."""
    ranks, placed = {}, 0
    for tier in order:
        for letter in tier:
            ranks[letter] = placed + (len(tier) + 1) / 2
        placed += len(tier)
    return ranks


def _flag(flag: object) -> str:
    if flag in (None, ""):
        return ""
    if flag not in FLAGS:
        raise AnswerError("This flag is not known.")
    return str(flag)


def _rating(
    protocol: Protocol, _dimension: str, shown: Sequence[str], answer: Mapping[str, Any], excused: bool
) -> list[LetterMark]:
    scores = answer.get("scores")
    if not isinstance(scores, Mapping):
        raise AnswerError("The answer has no scores.")
    if unknown := set(scores) - {d.key for d in protocol.dimensions}:
        raise AnswerError(f"This study does not ask for {', '.join(sorted(map(str, unknown)))}.")
    marks = []
    for dimension in protocol.dimensions:
        score = scores.get(dimension.key)
        if score is None and excused:
            continue
        if score is None:
            raise AnswerError(f"{dimension.label} has no score yet.")
        if not dimension.allows(score):
            raise AnswerError(f"{dimension.label} goes from {dimension.low:g} to {dimension.high:g}.")
        marks.append(LetterMark(shown[0], dimension.key, score=float(score)))
    return marks


def _ranking(
    _protocol: Protocol, dimension: str, shown: Sequence[str], answer: Mapping[str, Any], excused: bool
) -> list[LetterMark]:
    order, shelves = answer.get("order"), answer.get("shelves")
    _check_image_flags(answer.get("flags"), shown)
    if excused and not order:
        return []
    tiers = _tiers(order, shown)
    if not isinstance(shelves, Mapping) or set(shelves) != set(shown):
        raise AnswerError("Every image needs a place on a shelf.")
    if not all(type(shelf) is int and 0 <= shelf < SHELVES for shelf in shelves.values()):
        raise AnswerError(f"Shelves go from 0 to {SHELVES - 1}.")
    last = SHELVES - 1
    for tier in tiers:
        if max(shelves[letter] for letter in tier) > last or len({shelves[letter] for letter in tier}) > 1:
            raise AnswerError("The order and the shelves contradict each other.")
        last = shelves[tier[0]]
    ranks = mean_ranks(tiers)
    return [LetterMark(letter, dimension, float(shelves[letter]), ranks[letter]) for letter in shown]


def _check_image_flags(flags: object, shown: Sequence[str]) -> None:
    """Flags of single images of a group: {letter: flag}."""
    if flags is None:
        return
    if not isinstance(flags, Mapping) or not set(flags) <= set(shown):
        raise AnswerError("A flag belongs to one of the images.")
    if any(flag not in FLAGS for flag in flags.values()):
        raise AnswerError("This flag is not known.")


def _tiers(order: object, shown: Sequence[str]) -> list[list[str]]:
    if not isinstance(order, list) or not all(isinstance(tier, list) and tier for tier in order):
        raise AnswerError("The order could not be read.")
    flat = [letter for tier in order for letter in tier]
    if sorted(map(str, flat)) != sorted(shown):
        raise AnswerError("The order must hold every image once.")
    return order


def _pairwise(
    protocol: Protocol, _dimension: str, shown: Sequence[str], answer: Mapping[str, Any], excused: bool
) -> list[LetterMark]:
    orders = {"A": [["A"], ["B"]], "B": [["B"], ["A"]], "tie": [["A", "B"]], "both_bad": [["A", "B"]]}
    choice = answer.get("choice")
    if choice is None and excused:
        return []
    if not isinstance(choice, str) or choice not in orders:
        raise AnswerError("Choose one of the two, a tie, or both bad.")
    ranks = mean_ranks(orders[choice])
    return [LetterMark(letter, protocol.dimensions[0].key, rank=ranks[letter]) for letter in shown]
