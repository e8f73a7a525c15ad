"""Looks: the fixed cases edited from fixed noise, judged by every judge, beside the base's own edits of them.

Gains are paired over cases. Judges of the reward are told apart from those that are never trained on. The base is
looked at once, as round 0, and kept in outputs/base-look.json with its pictures.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from training.gpu.posttrain import signs
from training.gpu.posttrain.adapter import Adapter, Condition
from training.gpu.posttrain.asking import Rewarding, submit
from training.gpu.posttrain.cases import RunCase
from training.gpu.posttrain.rewarding.protocol import Judged, Sample, Source
from training.gpu.posttrain.rewarding.rewarder import ask
from training.gpu.posttrain.rollout import Pass, Slot, passes, sample, seed_of
from training.posttraining.config import Config
from training.posttraining.figures import gain, known_mean
from training.rewards.estimates import Estimate, Resampling, mean_of
from webapp.jobs.folder import read_json, write_json

BASE = "base-look.json"
SAMPLES = "samples"
SHOWN = 16  # cases whose pictures a look writes
MEASURED = 32  # cases at which the distance from the base is measured
MIDDLE = 0.5  # the sigma of that
SIGNS = ("preservation", "grid", "sharpness")

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look found. ``scores`` by judge, on its own scale, and ``shares``, on 0..1, each (cases,) and NaN where
    missing; ``reward`` (cases,): what training sees."""

    scores: dict[str, Floats]
    shares: dict[str, Floats]
    reward: Floats
    signs: dict[str, float | None]


@dataclass
class Looks:
    """``cases``: the fixed ones, with their ``conditions``. ``held_out``: judges that are never trained on.
    ``check`` is called between passes, and may raise to stop."""

    config: Config
    adapter: Adapter
    cases: Sequence[RunCase]
    conditions: Sequence[Condition]
    rewarder: Rewarding
    held_out: Sequence[Source]
    outputs: Path
    check: Callable[[], None] = lambda: None
    base: Seen | None = None
    reasons: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.sources = np.unique([one.source or one.key for one in self.cases], return_inverse=True)[1]
        self.folder = self.outputs / SAMPLES

    def begin(self) -> tuple[dict[str, Any], bool]:
        """Look at the base; what the event "look" of round 0 tells, and whether it is new: an earlier attempt may have
        looked."""
        kept = read_json(self.outputs / BASE)
        if kept is not None:
            self.base = _read(kept)
            return kept["event"], False
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.adapter.base():
            _, pictures = self._edited()
        for case, picture in zip(self.cases, pictures, strict=True):
            case.case.source.convert("RGB").save(self.folder / f"source-{case.number}.png")
            picture.save(self.folder / f"before-{case.number}.png")
        self.base = self._seen(pictures)
        event = self._told(0, self.base, 0.0)
        write_json(self.outputs / BASE, _written(self.base) | {"event": event})
        return event, True

    def look(self, number: int) -> tuple[dict[str, Any], float]:
        """What the event "look" tells of the weights as they are, and how good they are: the mean gain of the held-out
        judges where there are any, else of the reward; NaN where nobody answered."""
        assert self.base is not None, "the base is looked at first"
        made, pictures = self._edited()
        seen = self._seen(pictures)
        for place in self._shown():
            pictures[place].save(self.folder / self._after(number, place))
        return self._told(number, seen, self._distance(made)), self._gain(seen)

    # Editing and judging ---------------------------------------------------------------------------------------------

    def _edited(self) -> tuple[list[Pass], list[Image.Image]]:
        """An edit of each case, from the noise of its own number, by the ODE alone."""
        slots = [Slot(place, place, seed_of("look", one.number), 0) for place, one in enumerate(self.cases)]
        made: list[Pass] = []
        pictures: dict[int, Image.Image] = {}
        for lot in passes(slots, self.conditions, self.config.batch):
            self.check()
            told = [self.conditions[slot.place] for slot in lot]
            one = sample(self.adapter, self.config, lot, told, random=range(0), count=self.config.look_steps)
            made.append(one)
            decoded = self.adapter.decode(one.x0, told)
            pictures |= {slot.place: picture for slot, picture in zip(lot, decoded, strict=True)}
        return made, [pictures[place] for place in range(len(self.cases))]

    def _seen(self, pictures: Sequence[Image.Image]) -> Seen:
        samples = [
            Sample(one.case, place, f"{one.key}, look", picture)
            for place, (one, picture) in enumerate(zip(self.cases, pictures, strict=True))
        ]
        waiting = submit(self.rewarder, samples)
        judged: dict[str, Sequence[Judged | None]] = {}
        if self.held_out:
            with ThreadPoolExecutor(len(self.held_out), "held-out judge") as threads:
                asked = list(threads.map(lambda source: ask(source, samples), self.held_out))
            for source, one in zip(self.held_out, asked, strict=True):
                judged[source.name] = one.answers
                self.reasons.update(one.reasons)
        rewards = waiting.result()
        self.reasons.update(rewards.reasons)
        judged = {**rewards.judged, **judged}
        return Seen(
            scores={name: _column(answers, _score) for name, answers in judged.items()},
            shares={name: _column(answers, _share) for name, answers in judged.items()},
            reward=np.asarray(rewards.values, dtype=np.float64),
            signs=self._signs(pictures),
        )

    def _signs(self, pictures: Sequence[Image.Image]) -> dict[str, float | None]:
        sources = [one.case.source.convert("RGB") for one in self.cases]
        masks = [self._mask(one) for one in self.cases]
        tensors = [signs.to_tensor([picture]) for picture in pictures]
        large = [one for one in tensors if min(one.shape[-2:]) >= 4 * self.adapter.grid]
        return {
            "preservation": known_mean(signs.preservation_of(sources, pictures, masks)),
            "grid": known_mean([float(signs.grid(one, self.adapter.grid)) for one in large]),
            "sharpness": known_mean([float(signs.sharpness(one)) for one in tensors]),
        }

    def _mask(self, one: RunCase) -> Image.Image | None:
        """Where the edit may change pixels: the case's own word, or where the base's edit changes them."""
        if one.case.mask is not None:
            return one.case.mask
        with Image.open(self.folder / f"before-{one.number}.png") as before:
            source = one.case.source.convert("RGB").resize(before.size)
            where = signs.changed(signs.to_tensor([source]), signs.to_tensor([before]))[0]
        return Image.fromarray(where.numpy().astype(np.uint8) * 255)

    @torch.no_grad()
    def _distance(self, made: Sequence[Pass]) -> float | None:
        """Mean squared distance of the velocities from the base's, half way of the edits just made."""
        found: list[float] = []
        for one in made:
            rows = min(len(one.slots), MEASURED - len(found))
            if rows <= 0:
                break
            seeds = [seed_of("distance", self.cases[slot.place].number) for slot in one.slots[:rows]]
            noise = [self.adapter.noise(one.conditions[row], [seed]) for row, seed in enumerate(seeds)]
            x = torch.lerp(one.x0[:rows], torch.cat(noise).to(one.x0), MIDDLE)
            sigma = torch.full((rows,), MIDDLE, device=x.device)
            conditions: Sequence[Condition] = one.conditions[:rows]
            with self.adapter.base():
                base = self.adapter.velocity(x, sigma, conditions)
            found += signs.distance(self.adapter.velocity(x, sigma, conditions), base).tolist()
        return known_mean(found)

    # Telling ---------------------------------------------------------------------------------------------------------

    def _told(self, number: int, seen: Seen, distance: float | None) -> dict[str, Any]:
        assert self.base is not None
        held = {source.name for source in self.held_out}
        tasks: dict[str, dict[str, float | None]] = {}
        for task in sorted({one.case.task for one in self.cases}):
            rows = np.array([one.case.task == task for one in self.cases])
            tasks[task] = {
                name: known_mean((after[rows] - self.base.scores[name][rows]).tolist())
                for name, after in seen.scores.items()
            }
        return {
            "round": number,
            "judges": {name: self._judge(name, seen, name not in held) for name in seen.scores},
            "reward": known_mean(seen.reward.tolist()),
            "tasks": tasks,
            "distance": distance,
            **seen.signs,
            "samples": [self._sample(number, place) for place in self._shown()],
        }

    def _judge(self, name: str, seen: Seen, trained: bool) -> dict[str, Any]:
        """Mean and gain with their intervals, by drawing source images."""
        assert self.base is not None
        after = seen.scores[name]
        found, mean = gain(self.base.scores[name], after, self.sources), _interval(after, self.sources)
        return {
            "mean": _finite(mean.value),
            "low": _finite(mean.low),
            "high": _finite(mean.high),
            "gain": _finite(found.value),
            "gain_low": _finite(found.low),
            "gain_high": _finite(found.high),
            "n": found.n,
            "trained": trained,
        }

    def _gain(self, seen: Seen) -> float:
        assert self.base is not None
        base, deciding = self.base, self._deciding()
        if not deciding:
            return float(gain(base.reward, seen.reward, self.sources, Resampling(2)).value)
        gains = [gain(base.shares[name], seen.shares[name], self.sources, Resampling(2)).value for name in deciding]
        return float(np.average(gains, weights=list(deciding.values())))

    def _deciding(self) -> dict[str, float]:
        """Weights of the judges whose gains decide which LoRA is the best; none where the reward does.

        A held-out judge that said nothing of the base can never tell of a gain: the others decide. A share of wins is
        always a half here, where each case is alone: its judges' scores take its place.
        """
        assert self.base is not None
        held = [source.name for source in self.held_out]
        if known := [name for name in held if np.isfinite(self.base.shares[name]).any()]:
            return dict.fromkeys(known, 1.0)
        spec = getattr(self.rewarder, "spec", None)
        if not (spec and spec.win_rate):
            return {}
        return {name: spec.weight_of(name) for name in self.base.shares if name not in held and spec.weight_of(name)}

    def _shown(self) -> list[int]:
        """Places of the cases whose pictures are written, of as many tasks as there are."""
        turns: Counter[str] = Counter()
        order = []
        for place, one in enumerate(self.cases):
            order.append((turns[one.case.task], place))
            turns[one.case.task] += 1
        return [place for _, place in sorted(order)[:SHOWN]]

    def _sample(self, number: int, place: int) -> dict[str, str]:
        one = self.cases[place]
        before = f"before-{one.number}.png"
        after = self._after(number, place) if number else before
        names = {"source": f"source-{one.number}.png", "before": before, "after": after}
        return {"case": str(one.number), "key": one.key} | {key: f"{SAMPLES}/{name}" for key, name in names.items()}

    def _after(self, number: int, place: int) -> str:
        return f"round-{number:06}-{self.cases[place].number}.png"


def _interval(values: Floats, sources: NDArray[np.int64]) -> Estimate:
    return mean_of(values, sources, Resampling())


def _column(answers: Sequence[Judged | None], value: Callable[[Judged], float]) -> Floats:
    return np.array([math.nan if one is None else value(one) for one in answers], dtype=np.float64)


def _score(one: Judged) -> float:
    return one.mu


def _share(one: Judged) -> float:
    """Where the score lies on the judge's scale, so that judges of two scales can be averaged."""
    return (one.mu - one.low) / (one.high - one.low) if one.high > one.low else math.nan


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _written(seen: Seen) -> dict[str, Any]:
    def row(values: Floats) -> list[float | None]:
        return [_finite(value) for value in values.tolist()]

    scores, shares = ({name: row(one) for name, one in found.items()} for found in (seen.scores, seen.shares))
    return {"scores": scores, "shares": shares, "reward": row(seen.reward), "signs": seen.signs}


def _read(told: Mapping[str, Any]) -> Seen:
    def column(values: Sequence[float | None]) -> Floats:
        return np.array([math.nan if value is None else value for value in values], dtype=np.float64)

    scores, shares = ({name: column(one) for name, one in told[key].items()} for key in ("scores", "shares"))
    return Seen(scores, shares, column(told["reward"]), dict(told["signs"]))
