"""From what judges say of a sample to one reward. Pure.

1. Each judge's score, less k times its doubt, is brought linearly from its own scale to 0..5.
2. The judges' scores are averaged with their weights. A sample that one of them did not judge has no reward: averaging
   the rest would compare samples of one group by different judges.
3. The reward is sigmoid(alpha s - beta) of that score (HP-Edit, equation 7), or the share of its group that it beats.
4. What is left alone outside the edit may count beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Protocol

import numpy as np

from scoring.stats.grouped import EDGE, Codes, Floats
from training.gpu.diffusion.settings import YES_NO, Check, number, one_of
from training.posttraining.config import WrongConfig

TOP = 5.0
ADD, TIMES = "add", "times"
FORMS = (ADD, TIMES)


class WrongReward(WrongConfig):
    """A setting of the reward cannot be used. The message is shown to the user."""


class Answer(Protocol):
    """What a judge said of a sample: ``mu`` on its scale from ``low`` to ``high``, and its doubt, None: not told."""

    @property
    def mu(self) -> float: ...
    @property
    def sigma(self) -> float | None: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


@dataclass(frozen=True, slots=True)
class RewardSpec:
    """``alpha``, ``beta`` of the map. ``k``: how many times its doubt is taken from a score; a judge that tells of none
    counts with its score alone. ``weights`` by judge, relative to each other; a judge that is not named has 1.
    ``win_rate``: the share of its group that a sample beats, ties a half, in place of the map.

    ``preservation``: weight from 0 to 1 of what is left alone outside the edit, p: a peak signal-to-noise ratio of
    ``preserved_low`` dB is 0, of ``preserved_high`` 1. ``form``: "add" (1 - weight) r + weight p; "times" r p^weight.
    """

    alpha: float = 2.0
    beta: float = 5.0
    k: float = 0.0
    weights: Mapping[str, float] = field(default_factory=dict)
    win_rate: bool = False
    preservation: float = 0.0
    form: str = ADD
    preserved_low: float = 15.0
    preserved_high: float = 35.0

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "weights": dict(self.weights)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> RewardSpec:
        """Checked; what is not named has its default. Raises WrongReward."""
        if not isinstance(value, Mapping):
            raise WrongReward("The settings of the reward must be an object with names and values.")
        known = {one.name for one in fields(cls)}
        if unknown := sorted(str(name) for name in set(value) - known):
            raise WrongReward(
                f"The reward has no setting {', '.join(unknown)}. Its settings are: {', '.join(sorted(known))}."
            )
        found = cls(**value)
        found.check()
        return found

    def check(self) -> None:
        """Raises WrongReward for the first value that is not allowed."""
        for name, check in CHECKS.items():
            if not check.test(getattr(self, name)):
                raise WrongReward(
                    f"The reward's setting {name} must be {check.words}; it is {getattr(self, name)!r:.100}."
                )
        if self.weights and not any(self.weights.values()):
            raise WrongReward("All judges have the weight 0: give one of them a weight above 0.")
        if self.preserved_high <= self.preserved_low:
            raise WrongReward("The reward's setting preserved_high must be above preserved_low.")

    def map(self, scores: Floats) -> Floats:
        """sigmoid(alpha s - beta) of scores on 0..5, any shape; NaN stays NaN."""
        with np.errstate(over="ignore"):
            return np.asarray(1 / (1 + np.exp(self.beta - self.alpha * np.asarray(scores, dtype=np.float64))))

    def curve(self, points: int = 51) -> list[tuple[float, float]]:
        """Score on 0..5 and its reward, for a chart of the map."""
        scores = np.linspace(0, TOP, points)
        return [(float(s), float(r)) for s, r in zip(scores, self.map(scores), strict=True)]

    def weight_of(self, name: str) -> float:
        return float(self.weights.get(name, 1.0))


def _are_weights(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and number(0, 1000).test(weight) for name, weight in value.items()
    )


CHECKS: Mapping[str, Check] = {
    "alpha": number(0.01, 100),
    "beta": number(-100, 500),
    "k": number(0, 10),
    "weights": Check("an object with a number from 0 to 1000 for each judge", _are_weights),
    "win_rate": YES_NO,
    "preservation": number(0, 1),
    "form": one_of(*FORMS),
    "preserved_low": number(0, 100),
    "preserved_high": number(0, 100),
}


def combine(
    spec: RewardSpec,
    judged: Mapping[str, Sequence[Answer | None]],
    groups: Codes,
    preservation: Floats | None = None,
) -> Floats:
    """Rewards (N,) in 0..1, NaN where one is missing.

    ``judged`` by judge, N answers each, None: missing. ``groups`` (N,) integer ids. ``preservation`` (N,) in dB, needed
    where the spec gives it a weight; NaN where the edit is the whole picture: there the judges alone count, for all
    samples of that case. A judge of weight 0 is not heard, so its silence costs nothing.
    Raises ValueError where lengths or names do not fit.
    """
    scores = score(spec, judged, len(groups))
    rewards = beaten(scores, groups) if spec.win_rate else spec.map(scores)
    if not spec.preservation:
        return rewards
    if preservation is None or np.shape(preservation) != groups.shape:
        raise ValueError("The reward counts what is left alone outside the edit: it must be told for each sample.")
    kept = preserved(spec, preservation)
    if spec.form == TIMES:
        both = rewards * kept**spec.preservation
    else:
        both = (1 - spec.preservation) * rewards + spec.preservation * kept
    return np.where(np.isnan(kept), rewards, both)


def score(spec: RewardSpec, judged: Mapping[str, Sequence[Answer | None]], count: int) -> Floats:
    """Weighted mean of the judges' scores on 0..5, (count,); NaN where a judge that is heard said nothing."""
    heard = {name: answers for name, answers in judged.items() if spec.weight_of(name) > 0}
    if not heard:
        raise ValueError("No judge with a weight above 0 was asked.")
    if any(len(answers) != count for answers in heard.values()):
        raise ValueError("Each judge must have one answer for each sample.")
    total = sum(spec.weight_of(name) for name in heard)
    parts = [
        spec.weight_of(name) / total * np.array([_on_scale(one, spec.k) for one in answers], dtype=np.float64)
        for name, answers in heard.items()
    ]
    return np.asarray(np.sum(parts, axis=0))


def beaten(scores: Floats, groups: Codes) -> Floats:
    """Share of the other judged samples of its group that each beats, ties a half; (N,).

    NaN where the score is; a half for the only judged sample of a group.
    """
    found = np.full(scores.shape, math.nan)
    for group in np.unique(groups):
        rows = np.flatnonzero((groups == group) & np.isfinite(scores))
        gap = scores[rows][:, None] - scores[rows][None, :]
        wins = (gap > EDGE).sum(1) + ((np.abs(gap) <= EDGE).sum(1) - 1) / 2
        found[rows] = wins / (rows.size - 1) if rows.size > 1 else 0.5
    return found


def preserved(spec: RewardSpec, decibels: Floats) -> Floats:
    """Peak signal-to-noise ratios outside the edit on 0..1; infinite ones, where nothing changed, are 1."""
    span = spec.preserved_high - spec.preserved_low
    return np.clip((np.asarray(decibels, dtype=np.float64) - spec.preserved_low) / span, 0, 1)


def _on_scale(answer: Answer | None, k: float) -> float:
    if answer is None or answer.high <= answer.low:
        return math.nan
    value = answer.mu - k * (answer.sigma or 0.0)
    found = TOP * (value - answer.low) / (answer.high - answer.low)
    return found if math.isfinite(found) else math.nan
