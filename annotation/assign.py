"""Who judges what next, in which order, with what where. Pure and seeded: the same arguments give the same answer.

Per-annotator z-scores are fair only under random assignment, so a study's units have a random order, and of the next
open ones an annotator gets the one that keeps their share of work even: over editors, and over ranges of quality. That
is minimisation (Pocock and Simon, 1975): the cost of a unit is how often its editors and its range were seen before,
and chance decides among equals. Two things go first or with it: a unit that joins parts of the study which share no
annotator, because scores of such parts cannot be compared; and a unit that few people have judged so far.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy.optimize import linear_sum_assignment

WINDOW = 24  # open units looked at for one choice
RANGES = 3  # of quality: low, middle, high

Name = TypeVar("Name", bound=Hashable)


def seeded(*parts: object) -> random.Random:
    """A random source that depends on ``parts`` alone: not on the process, the machine or the order of calls."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))  # for fairness, not for secrecy


def shuffled(values: Sequence[int], *seed: object) -> list[int]:
    """The values in seeded random order."""
    order = list(values)
    seeded("order", *seed).shuffle(order)
    return order


def dimension_order(dimensions: Sequence[str], position: int) -> list[str]:
    """The dimensions rotated by ``position``, an annotator's number: each one comes first equally often."""
    turn = position % len(dimensions)
    return [*dimensions[turn:], *dimensions[:turn]]


# Which unit ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Offer:
    """An open unit: how many people have it already, of how many who are wanted, and the editors whose images it shows.

    ``range``: of its quality, see ``ranges``; None where nothing is known. ``joins``: see ``joining``.
    """

    unit: int
    taken: int
    editors: tuple[int, ...]
    target: int = 1
    range: int | None = None
    joins: bool = False


def choose(
    offers: Sequence[Offer], seen: Mapping[int, int], *seed: object, had: Mapping[int, int] | None = None
) -> Offer:
    """The offer to lease next. Raises ValueError without offers.

    ``seen``: how often each editor was before this annotator; ``had``: how often each range of quality.
    """
    if not offers:
        raise ValueError("There is nothing to choose from.")
    chance, had = seeded("choose", *seed), had or {}

    def cost(offer: Offer) -> tuple[bool, float, float, float]:
        familiar = _mean(seen.get(editor, 0) for editor in offer.editors) + _times(offer.range, had)
        return not offer.joins, round(familiar, 6), offer.taken / offer.target, chance.random()

    return min(offers, key=cost)


def _times(range_: int | None, had: Mapping[int, int]) -> float:
    """How often the range was had. An unknown one counts as the mean of all, so it neither draws nor repels."""
    return sum(had.values()) / RANGES if range_ is None else had.get(range_, 0)


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return sum(known) / len(known) if known else 0.0


def ranges(quality: Mapping[Name, float]) -> dict[Name, int]:
    """The range of each item, 0 (lowest) to RANGES - 1: equal parts of the items by what is known of their quality.

    Chance, which an item's name decides, parts items of equal quality: a range that holds most of them would not count.
    """
    ordered = sorted(quality, key=lambda item: (round(quality[item], 6), seeded("range", item).random()))
    return {item: place * RANGES // len(ordered) for place, item in enumerate(ordered)}


# What hangs together ------------------------------------------------------------------------------------------------


def joining(me: int, shared: Mapping[int, Set[int]]) -> set[int]:
    """The units that would join annotators who do not hang together yet, as far as ``shared`` tells, if I took them.

    ``shared``: the annotators of some units, those that I may take and those that I had. Who hangs together by these
    does so in the study, so no unit that joins two parts of the study is overlooked; some join what hangs together by
    other units, which does no harm.
    """
    part: dict[int, int] = {me: me}

    def root(who: int) -> int:
        while part.setdefault(who, who) != who:
            part[who] = part[part[who]]
            who = part[who]
        return who

    for people in shared.values():
        first, *others = people or {me}
        for other in others:
            part[root(other)] = root(first)
    return {unit for unit, people in shared.items() if me not in people and {root(who) for who in people} - {root(me)}}


# What where ---------------------------------------------------------------------------------------------------------


def arranged(
    candidates: Sequence[int],
    editors: Mapping[int, int],
    mine: Mapping[tuple[int, int], int],
    theirs: Mapping[tuple[int, int], int],
    *seed: object,
) -> list[int]:
    """The candidates in the order in which they are shown: letter A, or the left side, first.

    ``mine``: (editor, place): how often this annotator had the editor there; ``theirs``: (candidate, place): how often
    anybody had the candidate there. The order adds least to the sum of squares of these counts, which makes them even;
    chance decides among equals.
    """
    n = len(candidates)
    if n < 2:
        return list(candidates)
    chance = seeded("order", *seed)

    def cost(key: int, place: int) -> float:
        return mine.get((editors[key], place), 0) + theirs.get((key, place), 0) + chance.random() / (2 * n)

    table = np.array([[cost(key, place) for place in range(n)] for key in candidates])
    order = [0] * n
    for row, place in zip(*linear_sum_assignment(table), strict=True):
        order[place] = candidates[row]
    return order


def places(orders: Iterable[Sequence[int]], names: Mapping[int, int] | None = None) -> Counter[tuple[int, int]]:
    """How often each candidate, or what ``names`` says of it (its editor), stood in each place of these orders."""
    found: Counter[tuple[int, int]] = Counter()
    for order in orders:
        known = order if names is None else [names.get(key, 0) for key in order]
        found.update(zip(known, range(len(known)), strict=True))
    return found
