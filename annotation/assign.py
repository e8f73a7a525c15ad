"""Who judges what next, in which order, with what where. Pure and seeded: the same arguments give the same answer.

Per-annotator z-scores are fair only under random assignment, so a study's units have a random order and every annotator
gets a mix of editors: of the next open units those whose editors this annotator has seen least, by chance among equals.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WINDOW = 24  # open units looked at for one choice


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


@dataclass(frozen=True)
class Offer:
    """An open unit: how many people have it already, and the editors whose images it shows."""

    unit: int
    taken: int
    editors: tuple[int, ...]


def choose(offers: Sequence[Offer], seen: Mapping[int, int], *seed: object) -> Offer:
    """The offer to lease next: editors least seen by this annotator first, then the least judged unit, then chance.

    ``seen`` counts how often each editor was before this annotator. Raises ValueError without offers.
    """
    if not offers:
        raise ValueError("There is nothing to choose from.")
    chance = seeded("choose", *seed)

    def cost(offer: Offer) -> tuple[float, int, float]:
        familiarity = sum(seen.get(editor, 0) for editor in offer.editors) / max(1, len(offer.editors))
        return familiarity, offer.taken, chance.random()

    return min(offers, key=cost)
