"""The objectives that sample in every round: Flow-GRPO, DiffusionNFT and advantage-weighted matching.

A round: groups of samples of some cases, judged while the next ones are sampled; advantages within their groups; and
``updates`` steps of the optimiser, each on its share of the samples. Drive it from Python like this:

    trainer = Online(config, adapter, cases, Direct(lambda samples: [score(one) for one in samples]))
    for number in range(config.rounds):
        told = trainer.round(number)
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.gpu.posttrain import losses, steps
from training.gpu.posttrain.adapter import Adapter, Condition
from training.gpu.posttrain.advantages import Advantages, of_groups
from training.gpu.posttrain.asking import Clock, Direct, Rewarding, TooManyMissing, check_missing, submit
from training.gpu.posttrain.cases import RunCase
from training.gpu.posttrain.rewarding.protocol import Sample
from training.gpu.posttrain.rewarding.rewarder import Rewards
from training.gpu.posttrain.rollout import (
    LEAST_SIGMA,
    Pass,
    Slot,
    Taken,
    cases_of,
    passes,
    policy,
    sample,
    seed_of,
    slots_of,
    window,
)
from training.gpu.posttrain.state import Learner
from training.gpu.several import Processes
from training.posttraining.config import AWM, CLIP, DPPO, GRPO, GUARD, NFT, Config
from training.posttraining.figures import known_mean

__all__ = ["Direct", "Online", "TooManyMissing"]


@dataclass
class Tally:
    """What the updates of a round tell of themselves, summed over the kept samples of this process."""

    loss: float = 0.0
    clipped: float = 0.0
    kl: float = 0.0
    count: float = 0.0
    ratio_first: float = 1.0
    lengths: list[float] = field(default_factory=list)


class Online:
    """``cases``: those to train on. ``conditions``: theirs, where they are encoded already."""

    def __init__(
        self,
        config: Config,
        adapter: Adapter,
        cases: Sequence[RunCase],
        rewarder: Rewarding,
        processes: Processes | None = None,
        *,
        conditions: Sequence[Condition] | None = None,
    ) -> None:
        self.config, self.adapter, self.cases, self.rewarder = config, adapter, list(cases), rewarder
        self.processes = processes or Processes("cpu")
        self.conditions = list(conditions or adapter.encode([one.case for one in cases]))
        self.learner = Learner(config, adapter, self.processes)
        self.clock = Clock()
        self.reasons: Counter[str] = Counter()
        self.check: Callable[[], None] = lambda: None  # between passes that sample; it may raise to end the round

    def round(self, number: int) -> dict[str, Any]:
        """Sample, judge and learn; what the event "round" tells. Raises TooManyMissing before anything was learned."""
        places = cases_of(self.config, len(self.cases), number)
        world, rank = self.processes.world, self.processes.rank
        slots = [one for one in slots_of(self.config, places, number) if one.group % world == rank]
        with self.learner.sampling():
            made, waiting = self._sample(slots, number)
        rewards = self._rewards(slots, waiting)
        advantages, every = self._advantages(slots, rewards)
        with self.clock.phase("update"):
            tally = self._update(made, advantages, number)
            self.learner.follow()
        return self._told(number, every, rewards, advantages, tally)

    # Sampling and judging --------------------------------------------------------------------------------------------

    def _sample(self, slots: list[Slot], number: int) -> tuple[list[Pass], list[tuple[list[Slot], Future[Rewards]]]]:
        """The passes, and the judgements under way of groups as they were complete."""
        config, made, waiting = self.config, list[Pass](), list[tuple[list[Slot], Future[Rewards]]]()
        open_groups: dict[int, list[tuple[Slot, Sample]]] = {}
        each = max(1, min(config.batch, math.ceil(len(slots) / config.updates)))
        for lot in passes(slots, self.conditions, each):
            self.check()
            told = [self.conditions[slot.place] for slot in lot]
            with self.clock.phase("sampling"):
                one = sample(self.adapter, config, lot, told, random=self._window(told[0], number), count=config.steps)
                pictures = self.adapter.decode(one.x0, told)
            made.append(one)
            for slot, picture in zip(lot, pictures, strict=True):
                case = self.cases[slot.place]
                judged = Sample(case.case, slot.group, f"{case.key}, seed {slot.seed}, path {slot.path_seed}", picture)
                open_groups.setdefault(slot.group, []).append((slot, judged))
            ready = [key for key, group in open_groups.items() if len(group) == config.group]
            done = [pair for key in ready for pair in open_groups.pop(key)]
            if done:
                waiting.append(([slot for slot, _ in done], submit(self.rewarder, [one for _, one in done])))
        return made, waiting

    def _window(self, condition: Condition, number: int) -> range:
        if self.config.objective != GRPO:
            return range(0)
        return window(self.config, self.adapter.sigmas(condition, self.config.steps).tolist(), number)

    def _rewards(self, slots: list[Slot], waiting: list[tuple[list[Slot], Future[Rewards]]]) -> Rewards:
        """All rewards in the order of the slots. Raises TooManyMissing."""
        row = {slot: number for number, slot in enumerate(slots)}
        values = np.full(len(slots), np.nan)
        raw: dict[str, list[float]] = {}
        reasons: Counter[str] = Counter()
        with self.clock.phase("reward"):
            for some, future in waiting:
                found = future.result()
                rows = [row[slot] for slot in some]
                values[rows] = found.values
                for name, given in found.raw.items():
                    kept = raw.setdefault(name, [math.nan] * len(slots))
                    for place, value in zip(rows, given, strict=True):
                        kept[place] = value
                reasons.update(found.reasons)
        self.reasons = reasons
        return Rewards(values, raw, {}, dict(reasons))

    def _advantages(self, slots: list[Slot], rewards: Rewards) -> tuple[Advantages, np.ndarray[Any, Any]]:
        """Those of this process's samples, with the figures of all; and the rewards of all processes."""
        every = self.processes.gather(rewards.values.tolist())
        groups = self.processes.gather([float(slot.group) for slot in slots])
        values = torch.tensor(list(chain(*every)), dtype=torch.float64)
        config = self.config
        found = of_groups(
            values,
            torch.tensor(list(chain(*groups))).long(),
            config.spread,
            floor=config.least_spread,
            clip=config.advantage_clip,
        )
        then = "Nothing was learned of it. When the judge works again, resume: the run goes on from here."
        check_missing(found.missing, config.most_missing, self.reasons, "this round", then)
        start = self.processes.rank * len(slots)
        mine = slice(start, start + len(slots))
        return Advantages(found.values[mine], found.kept[mine], found.zero_spread, found.missing), values.numpy()

    # Learning --------------------------------------------------------------------------------------------------------

    def _update(self, made: list[Pass], advantages: Advantages, number: int) -> Tally:
        tally, start = Tally(), 0
        device = made[0].x0.device
        work = []
        for one in made:
            rows = slice(start, start + len(one.slots))
            work.append((one, advantages.values[rows].to(device), advantages.kept[rows].to(device)))
            start += len(one.slots)
        matching = {} if self.config.objective == GRPO else self._matching(made, number)
        for turn in range(self.config.updates):
            mine = work[turn :: self.config.updates]
            total = self.processes.mean([float(sum(kept.sum() for _, _, kept in mine))])[0]
            if not total:
                continue  # no group of this share has a spread: there is nothing to tell good from bad by
            for one, values, kept in mine:
                if not kept.any():
                    continue
                if self.config.objective == GRPO:
                    self._learn_steps(one, values, kept, total=total, tally=tally, is_first=turn == 0)
                else:
                    self._learn_matching(one, matching[id(one)], values, kept, total=total, tally=tally)
            tally.lengths.append(self.learner.step())
        return tally

    def _learn_steps(
        self, one: Pass, values: Tensor, kept: Tensor, *, total: float, tally: Tally, is_first: bool
    ) -> None:
        """The gradient of one pass: of each random step that was taken."""
        for taken in one.taken:
            base = self._base(taken.x, taken.sigmas[0], taken.told)[taken.owner] if self.config.kl else None
            v, move = policy(self.adapter, self.config, taken.x, taken.told, taken.owner, sigmas=taken.sigmas)
            found = self._region(taken, move, values, kept)
            if is_first and found.ratio is not None:
                ratio = found.ratio[kept]
                tally.ratio_first = max([tally.ratio_first, *ratio.tolist()], key=lambda one: abs(one - 1))
            self._back(found, v, base, kept, total=total * len(one.taken), tally=tally)

    def _region(self, taken: Taken, move: steps.Step, values: Tensor, kept: Tensor) -> losses.Loss:
        config = self.config
        bound = config.advantage_clip
        if config.region == CLIP:
            chance = steps.policy_log_prob(config.dynamics, taken.next, move)
            clip = config.clip_range
            return losses.grpo(chance, taken.log_prob, values, clip, advantage_clip=bound, kept=kept)
        told = (move.mean, taken.mean, move.noise_std, taken.noise, values)
        if config.region == GUARD:
            return losses.guard(*told, clip_range=config.clip_range, advantage_clip=bound, kept=kept)
        assert config.region == DPPO
        return losses.dppo(*told, threshold=config.threshold, advantage_clip=bound, kept=kept)

    def _matching(self, made: list[Pass], number: int) -> dict[int, list[tuple[Tensor, Tensor, Tensor]]]:
        """For each pass the noise levels (samples,), the noise, and the old policy's velocity there. A group has one
        noise and one level: as its advantages add up to nothing, what the noise alone would teach cancels out."""
        found: dict[int, list[tuple[Tensor, Tensor, Tensor]]] = {}
        times = self.config.times
        with self.learner.sampling(), torch.no_grad():
            for one in made:
                found[id(one)] = []
                for turn in range(times):
                    seeds = [seed_of(self.config.seed, "matching", number, slot.group, turn) for slot in one.slots]
                    made_by = [torch.Generator().manual_seed(seed) for seed in seeds]
                    within = torch.cat([torch.rand(1, generator=each) for each in made_by])
                    t = (LEAST_SIGMA + (1 - LEAST_SIGMA) * (turn + within) / times).to(one.x0.device)
                    noise = torch.cat([torch.randn((1, *one.x0.shape[1:]), generator=each) for each in made_by])
                    noise = noise.to(one.x0)
                    x = torch.lerp(one.x0, noise, t[:, None, None])
                    found[id(one)].append((t, noise, self.adapter.velocity(x, t, one.conditions)))
        return found

    def _learn_matching(
        self,
        one: Pass,
        draws: list[tuple[Tensor, Tensor, Tensor]],
        values: Tensor,
        kept: Tensor,
        *,
        total: float,
        tally: Tally,
    ) -> None:
        """The gradient of one pass for the objectives that learn from finished samples."""
        config = self.config
        for t, noise, old in draws:
            x = torch.lerp(one.x0, noise, t[:, None, None])
            base = self._base(x, t, one.conditions) if config.kl else None
            v = self.adapter.velocity(x, t, one.conditions)
            bound = config.advantage_clip
            if config.objective == NFT:
                beta = config.nft_beta
                found = losses.nft(v, old, one.x0, noise, t, advantages=values, beta=beta, adv_clip=bound)
            else:
                assert config.objective == AWM
                clip = config.clip_range
                told = {"advantages": values, "clip_range": clip, "advantage_clip": bound, "kept": kept}
                found = losses.awm(v, old, one.x0, noise, t, **told)
            self._back(found, v, base, kept, total=total * len(draws), tally=tally)

    def _base(self, x: Tensor, sigma: Tensor, conditions: Sequence[Condition]) -> Tensor:
        with self.adapter.base(), torch.no_grad():
            return self.adapter.velocity(x, sigma.expand(len(x)), conditions)

    def _back(
        self, found: losses.Loss, v: Tensor, base: Tensor | None, kept: Tensor, *, total: float, tally: Tally
    ) -> None:
        """Add this part of the mean over all kept samples to the gradients and the figures."""
        values = found.values
        if base is not None:
            distance = losses.kl_velocity(v, base)
            values = values + self.config.kl * distance
            tally.kl += float(distance.detach()[kept].sum())
        loss = values[kept].sum()
        (loss / total).backward()
        tally.loss += float(loss.detach())
        tally.count += float(kept.sum())
        if found.clipped is not None:
            tally.clipped += float(found.clipped * kept.sum())

    def _told(
        self, number: int, every: np.ndarray[Any, Any], rewards: Rewards, advantages: Advantages, tally: Tally
    ) -> dict[str, Any]:
        known = every[np.isfinite(every)]
        seconds = self.clock.take()
        count = max(tally.count, 1.0)
        return {
            "round": number + 1,
            "reward": {"mean": float(known.mean()), "std": float(known.std())} if len(known) else None,
            "raw": {name: known_mean(values) for name, values in rewards.raw.items()},
            "loss": tally.loss / count,
            "ratio_first": tally.ratio_first,
            "clip_fraction": tally.clipped / count,
            "zero_spread": advantages.zero_spread,
            "missing": advantages.missing,
            "kl": tally.kl / count if self.config.kl else None,
            "grad_norm": known_mean(tally.lengths),
            "lr": self.learner.rate,
            "seconds": seconds,
            "images": len(every),
            "images_per_second": round(len(every) / max(sum(seconds.values()), 1e-9), 3),
        }
