"""Whether an answer agrees with a reference answer, and where it does not. Pure: no Django, no database.

A reference answer, see ``annotation.models.Reference``, names candidates by their keys; an answer as the page sends it
names them by letters. ``shown`` is the map between them: the candidate's key behind each letter.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from annotation.answers import mean_ranks
from annotation.protocols import RANKING, RATING, Protocol

LEAST_TAU = 0.6  # a ranking is right from this τ-b with the reference on, where the reference names no other
WITHOUT_WINNER = ("tie", "both_bad")


class UnusableReference(ValueError):
    """The reference answer cannot be used; the message says why in the author's words."""


@dataclass(frozen=True)
class Line:
    """One thing that was asked: ``said`` and ``right`` as short texts ("3.5", "A > B = C", "tie"), empty if missing."""

    label: str
    said: str
    right: str
    is_right: bool


def is_right(
    protocol: Protocol, reference: Mapping[str, Any], answer: Mapping[str, Any], shown: Mapping[str, int]
) -> bool:
    """Whether ``answer`` (of a judgement, as it was sent) agrees with ``reference`` (``Reference.answer``) throughout.

    An answer without scores, because the annotator flagged the item, agrees with nothing.
    """
    return all(line.is_right for line in lines(protocol, reference, answer, shown))


def lines(
    protocol: Protocol, reference: Mapping[str, Any], answer: Mapping[str, Any], shown: Mapping[str, int]
) -> list[Line]:
    """What was asked, answered and right, one line for a dimension (or one in all for a ranking or a pair)."""
    if protocol.kind == RATING:
        return _rating(protocol, reference, answer)
    if protocol.kind == RANKING:
        return [_ranking(protocol, reference, answer, shown)]
    return [_pair(protocol, reference, answer, shown)]


def _rating(protocol: Protocol, reference: Mapping[str, Any], answer: Mapping[str, Any]) -> list[Line]:
    found, said = [], answer.get("scores") or {}
    for key, right in reference["scores"].items():
        dimension, score = protocol.dimension(key), said.get(key)
        room = reference.get("tolerance", {}).get(key, 0) * dimension.step
        close = score is not None and abs(score - right) <= room + 1e-9
        text = f"{right:g}" if not room else f"{right:g} ± {room:g}"
        found.append(Line(dimension.label, "" if score is None else f"{score:g}", text, close))
    return found


def _ranking(
    protocol: Protocol, reference: Mapping[str, Any], answer: Mapping[str, Any], shown: Mapping[str, int]
) -> Line:
    letters = {key: letter for letter, key in shown.items()}
    right = [sorted(letters[key] for key in tier if key in letters) for tier in reference["order"]]
    said = answer.get("order") or []
    label = protocol.dimension(reference["dimension"]).label if reference.get("dimension") else ""
    agrees = bool(said) and tau_b(mean_ranks(said), mean_ranks(right)) >= reference.get("least_tau", LEAST_TAU) - 1e-9
    return Line(label, _order(said), _order(right), agrees)


def _order(tiers: Iterable[Sequence[str]]) -> str:
    return " > ".join(" = ".join(sorted(tier)) for tier in tiers)


def _pair(
    protocol: Protocol, reference: Mapping[str, Any], answer: Mapping[str, Any], shown: Mapping[str, int]
) -> Line:
    letters = {key: letter for letter, key in shown.items()}
    choice = reference["choice"]
    right = choice if choice in WITHOUT_WINNER else letters.get(choice, "")
    said = answer.get("choice") or ""
    return Line(protocol.dimensions[0].label, said, right, said == right)


def tau_b(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    """Kendall's τ-b of two rankings of the same things (Kendall 1945: ties in either shrink the denominator).

    Where one of them ties all, τ-b has no value: 1 if the other does, too, else 0.
    """
    agree, alone_first, alone_second = 0, 0, 0
    for one, other in combinations(sorted(first), 2):
        a, b = _sign(first[one] - first[other]), _sign(second[one] - second[other])
        agree += a * b
        alone_first += a != 0
        alone_second += b != 0
    if not alone_first or not alone_second:
        return float(alone_first == alone_second)
    return agree / math.sqrt(alone_first * alone_second)


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def check_reference(protocol: Protocol, candidates: Sequence[int], dimension: str, answer: object) -> None:
    """Raise UnusableReference unless ``answer`` can be compared with answers to these candidates."""
    if not isinstance(answer, Mapping):
        raise UnusableReference("Say what the right answer is.")
    if protocol.kind == RATING:
        _check_rating(protocol, answer)
    elif protocol.kind == RANKING:
        _check_ranking(protocol, candidates, dimension, answer)
    elif answer.get("choice") not in (*candidates, *WITHOUT_WINNER):
        raise UnusableReference("Say which of the two is better, or that they are equal or both bad.")


def _check_rating(protocol: Protocol, answer: Mapping[str, Any]) -> None:
    scores, tolerance = answer.get("scores"), answer.get("tolerance", {})
    if not isinstance(scores, Mapping) or not scores or not isinstance(tolerance, Mapping):
        raise UnusableReference("Give the right score in at least one dimension.")
    known = {dimension.key: dimension for dimension in protocol.dimensions}
    if unknown := {str(key) for key in [*scores, *tolerance]} - set(known):
        raise UnusableReference(f"This study does not ask for {', '.join(sorted(unknown))}.")
    for key, score in scores.items():
        asked = known[key]
        if not asked.allows(score):
            raise UnusableReference(
                f"{asked.label} goes from {asked.low:g} to {asked.high:g} in steps of {asked.step:g}."
            )
    for key, steps in tolerance.items():
        if isinstance(steps, bool) or not isinstance(steps, int | float) or not 0 <= steps < math.inf:
            raise UnusableReference(f"The tolerance of {known[key].label} is a number from 0 on.")


def _check_ranking(protocol: Protocol, candidates: Sequence[int], dimension: str, answer: Mapping[str, Any]) -> None:
    if dimension not in protocol.unit_dimensions:
        raise UnusableReference("Say which dimension the order is for.")
    order, least = answer.get("order"), answer.get("least_tau", LEAST_TAU)
    sound = isinstance(order, list) and all(isinstance(tier, list) and tier for tier in order)
    if not sound or sorted(key for tier in order or () for key in tier) != sorted(candidates):
        raise UnusableReference("The right order must hold every candidate once.")
    if isinstance(least, bool) or not isinstance(least, int | float) or not -1 <= least <= 1:
        raise UnusableReference("The least agreement (τ-b) goes from -1 to 1.")
