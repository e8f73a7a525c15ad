"""What simulated annotators answer: seeded functions of what is true of an edit. Pure: no Django, no database.

An opinion is a number in 0 to 1 of one candidate in one dimension. It depends on the annotator, the seed, the candidate
and the dimension alone, and on whether it is asked again: not on the order of the work, the letters, or what else is on
the page. An answer says opinions
in the protocol's own form, as ``annotation.answers`` reads it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from annotation.assign import seeded
from annotation.protocols import PAIRWISE, RANKING, SHELVES, Dimension, Protocol

HONEST, BIASED, NOISY, STRAIGHT, RANDOM, REVERSED = KINDS = (
    "honest",
    "biased",
    "noisy",
    "straight",
    "random",
    "reversed",
)
CARELESS = (STRAIGHT, RANDOM, REVERSED)  # whose answers harm; the others err as people do
SMALL_NOISE, LARGE_NOISE = 0.06, 0.3  # standard deviations of an opinion
LEVELS = 20  # opinions in the same twentieth are a tie
BOTH_BAD = 0.2  # of two edits below it neither is chosen
TALKATIVE = 0.3  # share of the answers of honest annotators with a remark, where there is something to remark
HARDLY, PARTLY = 0.2, 0.8  # how well it was followed, below which it was not done, or done in part
CLEAN = 0.85  # of what was kept and of quality, below which a fault is seen


@dataclass(frozen=True)
class Facts:
    """What is true of a candidate. ``follow``, ``keep`` and ``quality`` in 0 to 1, ``score`` in 0 to 5."""

    follow: float
    keep: float
    quality: float
    score: float

    def worth(self, dimension: str) -> float:
        """What a faultless annotator would think of it in a dimension, 0 to 1; the score for one without a fact."""
        match dimension:
            case "alignment" | "following":
                return self.follow
            case "preservation":
                return self.keep
            case "quality":
                return self.quality
        return self.score / 5


@dataclass(frozen=True)
class Shown:
    """A candidate as an annotator sees it. ``name`` tells it from all others, on any database."""

    name: str
    facts: Facts


@dataclass(frozen=True)
class Annotator:
    """``name`` and ``seed`` together make the character: how far a biased one is off, what a straight-liner says."""

    kind: str
    name: str
    seed: int

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"There are no {self.kind} annotators; the kinds are {', '.join(KINDS)}.")

    def opinion(self, shown: Shown, dimension: str, again: bool = False) -> float:
        """What this annotator thinks of a candidate in a dimension, 0 to 1; ``again``: when it is asked once more."""
        worth = shown.facts.worth(dimension)
        chance = self._chance("opinion", shown.name, dimension, *["again"] * again)
        match self.kind:
            case "biased":
                shift, squeeze = self._bias()
                worth = 0.5 + shift + squeeze * (worth - 0.5)
            case "straight":
                return self._chance("line").uniform(0.3, 0.9)
            case "random":
                return chance.random()
            case "reversed":
                worth = 1 - worth
        noise = LARGE_NOISE if self.kind == NOISY else SMALL_NOISE
        return min(max(worth + chance.gauss(0, noise), 0.0), 1.0)

    @property
    def reads(self) -> bool:
        """Whether they read an instruction: an attention check is for those who do not."""
        return self.kind not in CARELESS

    def answer(
        self, protocol: Protocol, dimension: str, shown: Mapping[str, Shown], again: bool = False
    ) -> dict[str, Any]:
        """The answer to a page. ``dimension``: of a ranking pass; ``shown``: what stands behind each letter; ``again``:
        the item is repeated, and errors are made anew."""
        remark = self._remark(shown)
        if protocol.kind == RANKING:
            return {**self._ranking(dimension, shown, again), "flag": None, "remark": remark}
        if protocol.kind == PAIRWISE:
            return {"choice": self._choice(protocol.dimensions[0].key, shown, again), "flag": None, "remark": remark}
        (only,) = shown.values()
        scores = {one.key: score_on(one, self.opinion(only, one.key, again)) for one in protocol.dimensions}
        return {"scores": scores, "flag": None, "remark": remark}

    def _chance(self, *parts: object) -> random.Random:
        return seeded("simulated", self.seed, self.name, *parts)

    def _bias(self) -> tuple[float, float]:
        """How far this annotator's middle is from the middle, and what share of the scale they use."""
        chance = self._chance("bias")
        return chance.choice((-1, 1)) * chance.uniform(0.1, 0.25), chance.uniform(0.4, 0.7)

    def _ranking(self, dimension: str, shown: Mapping[str, Shown], again: bool) -> dict[str, Any]:
        levels = {letter: _level(self.opinion(one, dimension, again)) for letter, one in shown.items()}
        best_first = sorted(levels, key=lambda letter: (-levels[letter], letter))
        order = [list(tier) for _level_of_tier, tier in groupby(best_first, key=lambda letter: levels[letter])]
        shelves = {letter: int(level / LEVELS * (SHELVES - 1) + 0.5) for letter, level in levels.items()}
        return {"shelves": shelves, "order": order, "duels": [], "flags": {}}

    def _choice(self, dimension: str, shown: Mapping[str, Shown], again: bool) -> str:
        if self.kind == STRAIGHT:
            return "A"  # the same key whatever is shown
        if self.kind == RANDOM:
            names = sorted(one.name for one in shown.values())
            return self._chance("choice", *names, *["again"] * again).choice(("A", "B", "tie", "both_bad"))
        (first, second) = (self.opinion(one, dimension, again) for one in shown.values())
        if max(first, second) < BOTH_BAD:
            return "both_bad"
        if _level(first) == _level(second):
            return "tie"
        return "A" if first > second else "B"

    def _remark(self, shown: Mapping[str, Shown]) -> str:
        """What an honest annotator writes now and then: of the worst of the images, in words that follow from facts."""
        if self.kind != HONEST:
            return ""
        letter, worst = min(shown.items(), key=lambda pair: (pair[1].facts.score, pair[1].name))
        words = remark_on(worst.facts)
        if not words or self._chance("remark", *sorted(one.name for one in shown.values())).random() >= TALKATIVE:
            return ""
        return words if len(shown) == 1 else f"{letter}: {words}"


def as_told(answer: dict[str, Any], right: Mapping[str, Any], letters: Mapping[int, str]) -> dict[str, Any]:
    """An answer changed to what an attention check asks for. ``letters``: the letter of each candidate's key."""
    if "scores" in right:
        return {**answer, "scores": {**answer["scores"], **right["scores"]}}
    if "order" in right:
        order = [[letters[key] for key in tier if key in letters] for tier in right["order"]]
        shelves = {letter: max(0, SHELVES - 1 - place) for place, tier in enumerate(order) for letter in tier}
        return {**answer, "order": order, "shelves": shelves}
    return {**answer, "choice": letters.get(right["choice"], right["choice"])}


def score_on(dimension: Dimension, opinion: float) -> float:
    """An opinion in 0 to 1 as the nearest step of a scale."""
    steps = round((dimension.high - dimension.low) / dimension.step)
    return round(dimension.low + int(opinion * steps + 0.5) * dimension.step, 6)


def remark_on(facts: Facts) -> str:
    """The faults of an edit in words; empty where there is none to see."""
    words = []
    if facts.follow < HARDLY:
        words.append("What was asked for was not done.")
    elif facts.follow < PARTLY:
        words.append("It was done only in part.")
    if facts.keep < CLEAN:
        words.append("Something else changed, too.")
    if facts.quality < CLEAN:
        words.append("The picture is grainy.")
    return " ".join(words)


def _level(opinion: float) -> int:
    return int(opinion * LEVELS + 0.5)
