"""The objectives that learn from examples which are there before training: Flow-DPO on pairs, fine-tuning on the best.

The examples are given, or the editor's own: then ``prepare`` samples each case with several seeds and keeps latents and
rewards in the folder ``pool``, one file a case, so that a stopped run goes on with the next case. A round is one step
of the optimiser.
"""

from __future__ import annotations

import json
import math
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.gpu import state
from training.gpu.posttrain import losses
from training.gpu.posttrain.adapter import Adapter, Condition
from training.gpu.posttrain.asking import Clock, Rewarding, check_missing, submit
from training.gpu.posttrain.cases import Example, RunCase, picture
from training.gpu.posttrain.rewarding.protocol import Sample
from training.gpu.posttrain.rewarding.rewarder import Rewards
from training.gpu.posttrain.rollout import LEAST_SIGMA, Slot, passes, sample, seed_of
from training.gpu.posttrain.state import Learner
from training.gpu.several import Processes
from training.posttraining import pairs
from training.posttraining.config import DPO, SAMPLED, Config

UNDER_WAY = 2  # passes that are judged while the next one samples
ROWS, NOTES = "latents", "notes"
Made = tuple[Slot, Tensor, Sample]  # a sample with its latents


class NothingToLearn(Exception):
    """No pair or picture is left to learn from. The message is shown to the user."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An edit to learn from, of the case in ``place``: ``row`` of its file in the pool, or an ``example``."""

    place: int
    score: float | None
    rank: float | None
    row: int = 0
    example: Example | None = None


class Offline:
    """``cases``: those to train on. ``pool``: a folder of the run. ``examples``: where they are given."""

    def __init__(  # noqa: PLR0917 - as Online, with what the examples come from
        self,
        config: Config,
        adapter: Adapter,
        cases: Sequence[RunCase],
        pool: Path,
        rewarder: Rewarding | None = None,
        examples: Sequence[Example] = (),
        processes: Processes | None = None,
        conditions: Sequence[Condition] | None = None,
    ) -> None:
        self.config, self.adapter, self.cases, self.pool = config, adapter, list(cases), pool
        self.rewarder, self.examples = rewarder, list(examples)
        self.processes = processes or Processes("cpu")
        self.conditions = list(conditions or adapter.encode([one.case for one in cases]))
        self.learner = Learner(config, adapter, self.processes)
        self.clock = Clock()
        self.reasons: Counter[str] = Counter()
        self.check: Callable[[], None] = lambda: None  # between passes that sample; it may raise, and they are kept
        self.missing = 0.0
        self.lessons: list[tuple[int, Tensor, Tensor | None]] = []  # place, latents, and for pairs those of the worse

    # The examples ----------------------------------------------------------------------------------------------------

    def prepare(self, done: Callable[[int, int], None] = lambda done, total: None) -> dict[str, Any]:
        """Have the lessons ready; what to tell of them. ``done`` is told how many cases of all are sampled. Raises
        TooManyMissing, NothingToLearn."""
        if self.config.data == SAMPLED:
            if not self.learner.steps:  # afterwards the lessons stay what they were, whatever a judge could say by now
                self._sample(done)
            self.processes.agree(False)  # each waits until all have sampled
            candidates = self._pooled()
        else:
            places = {one.key: place for place, one in enumerate(self.cases)}
            candidates = [
                Candidate(places[one.case], one.score, one.rank, example=one)
                for one in self.examples
                if one.case in places
            ]
        chosen = self._chosen(candidates)
        if not chosen:
            raise NothingToLearn(self._nothing_words(len(candidates)))
        with self.clock.phase("encoding"):
            self.lessons = [
                (first.place, self._latents(first), self._latents(second) if second else None)
                for first, second in chosen
            ]
        return {"candidates": len(candidates), "lessons": len(chosen), "missing": self.missing}

    def _sample(self, done: Callable[[int, int], None]) -> None:
        """Fill the pool with the cases of this process that are not in it yet."""
        assert self.rewarder is not None
        self.pool.mkdir(parents=True, exist_ok=True)
        mine = range(self.processes.rank, len(self.cases), self.processes.world)
        todo = [place for place in mine if not self._file(place).exists()]
        slots = [self._slot(place, one) for place in todo for one in range(self.config.samples)]
        waiting: deque[tuple[list[Made], Future[Rewards]]] = deque()
        parts: dict[int, list[Made]] = {}
        finished = len(mine) - len(todo)
        for lot in passes(slots, self.conditions, self.config.batch):
            self.check()
            told = [self.conditions[slot.place] for slot in lot]
            with self.clock.phase("sampling"):
                made = sample(self.adapter, self.config, lot, told, random=range(0), count=self.config.steps)
                pictures = self.adapter.decode(made.x0, told)
            for slot, x0, one in zip(lot, made.x0, pictures, strict=True):
                case = self.cases[slot.place].case
                judged = Sample(case, slot.place, f"{case.key}, seed {slot.seed}", one)
                parts.setdefault(slot.place, []).append((slot, x0, judged))
            # A case is judged whole: a reward may compare its samples with each other.
            ready = [place for place, kept in parts.items() if len(kept) == self.config.samples]
            whole = [one for place in ready for one in parts.pop(place)]
            if whole:
                waiting.append((whole, submit(self.rewarder, [judged for _, _, judged in whole])))
            while len(waiting) > UNDER_WAY:
                finished += self._keep(*waiting.popleft())
                done(finished, len(mine))
        while waiting:
            finished += self._keep(*waiting.popleft())
            done(finished, len(mine))

    def _slot(self, place: int, one: int) -> Slot:
        seed = seed_of(self.config.seed, "pool", self.cases[place].number, one)
        return Slot(place, place, seed, seed)

    def _keep(self, made: list[Made], future: Future[Rewards]) -> int:
        """Write these cases; how many. A case that has no reward at all is not written: it is tried again when the run
        goes on before it has learned anything."""
        with self.clock.phase("reward"):
            found = future.result()
        self.reasons.update(found.reasons)
        parts: dict[int, list[tuple[Slot, Tensor, float]]] = {}
        for (slot, x0, _), value in zip(made, found.values.tolist(), strict=True):
            parts.setdefault(slot.place, []).append((slot, x0, value))
        for place, kept in parts.items():
            values = [value for _, _, value in kept]
            if all(math.isnan(value) for value in values):
                continue
            notes = {"seeds": [slot.seed for slot, _, _ in kept], "values": [_or_none(value) for value in values]}
            state.write(self._file(place), {ROWS: torch.stack([x0 for _, x0, _ in kept])}, {NOTES: json.dumps(notes)})
        return len(parts)

    def _pooled(self) -> list[Candidate]:
        """What the pool holds. Raises TooManyMissing."""
        found, total = [], len(self.cases) * self.config.samples
        for place in range(len(self.cases)):
            if self._file(place).exists():
                values = json.loads(state.read(self._file(place))[1][NOTES])["values"]
                found += [Candidate(place, one, None, row) for row, one in enumerate(values) if one is not None]
        self.missing = 1 - len(found) / total if total else 0.0
        then = "When the judge works again, resume: only what is missing is made again."
        check_missing(self.missing, self.config.most_missing, self.reasons, "the samples", then)
        return found

    def _file(self, place: int) -> Path:
        return self.pool / f"{self.cases[place].number}.safetensors"

    def _latents(self, one: Candidate) -> Tensor:
        if one.example:
            pictures = [picture(one.example.image)]
            latents: Tensor = self.adapter.latents(pictures, [self.conditions[one.place]])[0].float().cpu()
            return latents
        return state.read(self._file(one.place))[0][ROWS][one.row]

    def _chosen(self, candidates: Sequence[Candidate]) -> list[tuple[Candidate, Candidate | None]]:
        """What is learned: pairs of a better and a worse one, or single ones."""
        config = self.config
        examples = [self._example(number, one) for number, one in enumerate(candidates)]
        if config.objective != DPO:
            return [(candidates[int(one.key)], None) for one in pairs.top_share(examples, config.top)]
        ranked = any(one.rank is not None for one in candidates)
        half = config.half and config.data == SAMPLED  # what a person chose is whole
        found = (
            pairs.global_pairs(examples, poor=config.poor)
            if ranked
            else pairs.self_pairs(examples, poor=config.poor, half=half, least_gap=config.least_gap)
        )
        return [(candidates[int(one.chosen.key)], candidates[int(one.rejected.key)]) for one in found]

    def _example(self, number: int, one: Candidate) -> pairs.Example:
        case = self.cases[one.place]
        score, rank = (math.nan if value is None else value for value in (one.score, one.rank))
        return pairs.Example(f"{case.number:012}", f"{number:012}", case.case.task, score, rank)

    def _nothing_words(self, count: int) -> str:
        what = "pair" if self.config.objective == DPO else "picture"
        return (
            f"No {what} is left to learn from, of {count} edits with a reward. Lower “poor” "
            f"(now {self.config.poor:g}), or take more cases or more samples a case."
        )

    # Learning --------------------------------------------------------------------------------------------------------

    def round(self, number: int) -> dict[str, Any]:
        """One step of the optimiser; what the event "round" tells."""
        config, world = self.config, self.processes.world
        drawn = lessons_of(config, len(self.lessons), number)
        values: list[float] = []
        right: list[float] = []
        with self.clock.phase("update"):
            mine = list(enumerate(drawn))[self.processes.rank :: world]
            for rows in self._alike(mine):
                found = self._loss(rows, number, len(drawn))
                (found.values.sum() * world / len(drawn)).backward()
                values += found.values.detach().tolist()
                right += [] if found.margin is None else (found.margin > 0).float().tolist()
            length = self.learner.step()
        seconds = self.clock.take()
        told = {"round": number + 1, "loss": sum(values) / max(len(values), 1), "grad_norm": length}
        return told | {
            "right": sum(right) / len(right) if right else None,
            "lr": self.learner.rate,
            "missing": self.missing,
            "seconds": seconds,
            "images": len(drawn) * (2 if config.objective == DPO else 1),
        }

    def _alike(self, rows: Sequence[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
        """(place in the step, lesson) in lots of one shape that fit into one pass."""
        each = max(1, self.config.batch // (2 if self.config.objective == DPO else 1))
        by_shape: dict[tuple[int, ...], list[tuple[int, int]]] = {}
        for row in rows:
            by_shape.setdefault(self.conditions[self.lessons[row[1]][0]].shape, []).append(row)
        for same in by_shape.values():
            for start in range(0, len(same), each):
                yield same[start : start + each]

    def _loss(self, rows: Sequence[tuple[int, int]], number: int, count: int) -> losses.Loss:
        """The loss of some of a step's lessons. Noise and its level are a lesson's own; a pair shares them."""
        lessons = [self.lessons[lesson] for _, lesson in rows]
        made_by = [torch.Generator().manual_seed(seed_of(self.config.seed, "lesson", number, at)) for at, _ in rows]
        shape = (1, *lessons[0][1].shape)
        noise = torch.cat([torch.randn(shape, generator=each) for each in made_by])
        within = torch.cat([torch.rand(1, generator=each) for each in made_by])
        places = torch.tensor([float(at) for at, _ in rows])
        t = LEAST_SIGMA + (1 - LEAST_SIGMA) * (places + within) / count  # every part of the range in every step
        conditions = [self.conditions[place] for place, _, _ in lessons]
        best = torch.stack([one for _, one, _ in lessons])
        device = self.processes.device
        if self.config.objective != DPO:
            best, noise, t = best.to(device), noise.to(device), t.to(device)
            v = self.adapter.velocity(torch.lerp(best, noise, t[:, None, None]), t, conditions)
            return losses.sft(v, noise - best)
        worst = torch.stack([one for _, _, one in lessons if one is not None])
        x0 = torch.cat([best, worst]).to(device)
        noise, t, conditions = noise.repeat(2, 1, 1).to(device), t.repeat(2).to(device), conditions * 2
        x, target = torch.lerp(x0, noise, t[:, None, None]), noise - x0
        with self.adapter.base(), torch.no_grad():
            base = self.adapter.velocity(x, t, conditions)
        v = self.adapter.velocity(x, t, conditions)
        (better, worse), (base_w, base_l), (target_w, target_l) = (one.chunk(2) for one in (v, base, target))
        beta = self.config.dpo_beta
        return losses.dpo(better, worse, base_w, base_l, target_w=target_w, target_l=target_l, beta=beta)


def lessons_of(config: Config, count: int, number: int) -> list[int]:
    """The lessons of step ``number`` among ``count``: each once before any comes again."""
    found: list[int] = []
    at = number * config.examples
    orders: dict[int, list[int]] = {}
    while len(found) < config.examples:
        turn, place = divmod(at + len(found), count)
        if turn not in orders:
            generator = torch.Generator().manual_seed(seed_of(config.seed, "lessons", turn))
            orders[turn] = torch.randperm(count, generator=generator).tolist()
        found.append(orders[turn][place])
    return found


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value
