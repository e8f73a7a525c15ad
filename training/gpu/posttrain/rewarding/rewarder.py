"""Rewards in the background: a group is judged while the next one is sampled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from training.gpu.posttrain.rewarding.protocol import Judged, Sample, Source
from training.posttraining.rewards import RewardSpec, combine
from webapp.jobs.folder import JobError

Floats = NDArray[np.float64]

UNTOLD = "The judge gave no answer and no reason."


@dataclass(frozen=True, slots=True)
class Asked:
    """What one source said of some samples. ``reasons``: why answers are missing, each with how many."""

    answers: list[Judged | None]
    reasons: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Rewards:
    """``values`` (samples,): the combined reward, NaN where it is missing. ``raw``: by source, each sample's mu, NaN
    where it is missing; ``judged``: the same with its doubt and its scale. ``reasons``: of what is missing, all sources
    together."""

    values: Floats
    raw: dict[str, list[float]]
    judged: dict[str, list[Judged | None]]
    reasons: dict[str, int]

    @property
    def missing(self) -> float:
        """Share of the samples without a reward."""
        return float(np.isnan(self.values).mean()) if len(self.values) else 0.0


class Rewarder:
    """Asks every source in a thread of its own, one call after the other, and combines what they say.

    A source's missing answers are data. What a source raises is a mistake of the program: the future raises it.
    """

    def __init__(self, sources: Sequence[Source], spec: RewardSpec) -> None:
        """A source that the spec gives no weight has its own ``weight``, or 1. Raises JobError where all are 0."""
        names = [source.name for source in sources]
        if len(set(names)) < len(names) or not names:
            raise ValueError(f"Sources of reward need names that differ, not: {', '.join(names) or 'none at all'}.")
        own = {source.name: float(getattr(source, "weight", 1.0)) for source in sources}
        self.sources, self.spec = tuple(sources), replace(spec, weights={**own, **spec.weights})
        if not any(self.spec.weight_of(name) for name in names):
            raise JobError("Every source of reward has the weight 0. Give one of them a weight above 0.")
        self._threads = [ThreadPoolExecutor(1, f"reward {name}") for name in names]
        self._combining = ThreadPoolExecutor(1, "rewards")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def submit(self, samples: Sequence[Sample], preservation: Floats | None = None) -> Future[Rewards]:
        """Results come in the order in which they were submitted. ``preservation`` (samples,): in dB, what each left
        alone outside its edit; needed where the spec gives it a weight. Raises RuntimeError after ``close``."""
        kept = list(samples)
        parts = [thread.submit(ask, source, kept) for source, thread in zip(self.sources, self._threads, strict=True)]
        return self._combining.submit(self._combined, kept, parts, preservation)

    def close(self) -> None:
        """What waits is cancelled, what is under way ends soon, and the sources are closed. May be called again."""
        for source in self.sources:
            getattr(source, "stop", lambda: None)()
        threads = (*self._threads, self._combining)
        for thread in threads:
            thread.shutdown(wait=False, cancel_futures=True)
        for thread in threads:
            thread.shutdown(wait=True)
        for source in self.sources:
            getattr(source, "close", lambda: None)()

    def _combined(
        self, samples: Sequence[Sample], parts: Sequence[Future[Asked]], preservation: Floats | None
    ) -> Rewards:
        asked = {source.name: part.result() for source, part in zip(self.sources, parts, strict=True)}
        judged = {name: one.answers for name, one in asked.items()}
        reasons = sum((one.reasons for one in asked.values()), Counter[str]())
        groups = np.array([sample.group for sample in samples], dtype=np.int64)
        values = combine(self.spec, judged, groups, preservation)
        raw = {name: [float("nan") if one is None else one.mu for one in answers] for name, answers in judged.items()}
        return Rewards(values, raw, judged, dict(reasons))


def ask(source: Source, samples: Sequence[Sample]) -> Asked:
    """One call of a source, with the reasons of what it could not answer."""
    take = getattr(source, "take_reasons", Counter[str])
    take()  # what an earlier call left behind is not this one's
    answers = source.judge(samples)
    if len(answers) != len(samples):
        raise ValueError(f"{source.name} gave {len(answers)} answers to {len(samples)} samples.")
    reasons: Counter[str] = Counter(take())
    if not reasons and (count := sum(answer is None for answer in answers)):
        reasons[UNTOLD] = count
    return Asked(answers, reasons)
