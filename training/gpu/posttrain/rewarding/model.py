"""A reward model of the registry as a source of reward: whole groups in one pass, with the model's own doubt.

Settings: {"model", "number", "dimension", "folder", "fingerprint", "device"}. The folder is absolute, or relative to
the job's folder. The dimension is one of the model's own, or "overall".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from training.gpu.posttrain.rewarding.protocol import Judged, Reasons, Sample
from training.gpu.reward.answers import Answer, answers
from training.gpu.reward.checkpoint import WrongCheckpoint
from training.gpu.reward.network import Example
from training.gpu.reward.scorer import Scored, Scorer
from webapp.jobs.folder import JobError

OVERALL = "overall"
KNOWN = ("model", "number", "dimension", "folder", "fingerprint", "device")


class Scores(Protocol):
    """What is needed of a Scorer. ``told``, ``low``, ``high``: see there."""

    told: dict[str, Any]
    low: float
    high: float

    def score(self, examples: Sequence[Example]) -> list[list[Scored]]: ...


class RewardSource(Reasons):
    """See protocol.Source."""

    def __init__(self, name: str, scorer: Scores, dimension: str) -> None:
        super().__init__()
        self.name, self.scorer, self.dimension = name, scorer, dimension
        scales = {one["key"]: (float(one["low"]), float(one["high"])) for one in scorer.told["dimensions"]}
        self.low, self.high = scales.get(dimension, (scorer.low, scorer.high))

    @property
    def fingerprint(self) -> str:
        return str(self.scorer.told["fingerprint"])

    def judge(self, samples: Sequence[Sample]) -> list[Judged | None]:
        examples, places = grouped(samples)
        found: list[Judged | None] = [None] * len(samples)
        for group, answered in zip(places, answers(self.scorer, examples) if examples else [], strict=True):
            for place, answer in zip(group, answered, strict=True):
                found[place] = self._judged(answer)
        return found

    def _judged(self, answer: Answer) -> Judged | None:
        if isinstance(answer, str):
            self.missing(answer)
            return None
        of_whole = self.dimension not in answer.mu  # a model may have a dimension of the name "overall"
        mu = answer.overall if of_whole else answer.mu[self.dimension]
        sigma = answer.overall_sigma if of_whole else answer.sigma[self.dimension]
        if not (math.isfinite(mu) and math.isfinite(sigma)):
            self.missing(f"The reward model gave no finite number for {self.dimension}: its files may be damaged.")
            return None
        return Judged(mu, sigma, self.low, self.high)


def grouped(samples: Sequence[Sample]) -> tuple[list[Example], list[list[int]]]:
    """Samples of one group and case as one example, with the places of its candidates in ``samples``."""
    places: dict[tuple[int, str, str], list[int]] = {}
    for place, sample in enumerate(samples):
        places.setdefault((sample.group, sample.case.key, sample.case.instruction), []).append(place)
    examples = []
    for (_group, key, instruction), members in places.items():
        pictures = tuple(samples[place].picture.convert("RGB") for place in members)
        examples.append(Example(key, instruction, samples[members[0]].case.source.convert("RGB"), pictures))
    return examples, list(places.values())


def load(spec: Mapping[str, Any], folder: Path) -> RewardSource:
    """Raises JobError for settings that name no model, and a model that is not here or is another."""
    settings = spec["settings"]
    if unknown := sorted(set(settings) - set(KNOWN)):
        raise JobError(f"A reward model as a reward has no setting {', '.join(map(str, unknown))}.")
    place = settings.get("folder")
    if not isinstance(place, str) or not place:
        raise JobError("The reward model's folder is not named.")
    path = folder / place  # an absolute one stays what it is
    if not path.is_dir():
        raise JobError(f"The folder of the reward model is not on this machine: {path}.")
    try:
        scorer = Scorer.load(path, str(settings.get("device") or "auto"))
    except WrongCheckpoint as error:
        raise JobError(str(error)) from None
    if scorer.fingerprint != settings.get("fingerprint", scorer.fingerprint):
        raise JobError(f"The files of the reward model in {path} are another model's than the one that was chosen.")
    dimension = settings.get("dimension", OVERALL)
    if dimension not in (OVERALL, *scorer.dimensions):
        known = ", ".join((OVERALL, *scorer.dimensions))
        raise JobError(f"The reward model has no dimension {dimension!r:.100}, only: {known}.")
    return RewardSource(spec["name"], scorer, dimension)
