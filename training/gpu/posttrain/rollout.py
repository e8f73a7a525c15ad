"""Samples of the policy: paths from noise to pictures, and of them what an update needs.

A path is the ODE's, but for a window of steps that add noise (steps.py). Where the window lies depends on the run's
seed and the round alone, so it is the same for all samples of all groups on every process (MixGRPO; Flow-GRPO-Fast).
All random numbers come from seeds that are computed and kept: which process or batch makes a sample changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from hashlib import sha256

import torch
from torch import Tensor

from training.gpu.diffusion.noise import generators
from training.gpu.posttrain import steps
from training.gpu.posttrain.adapter import Adapter, Condition
from training.posttraining.config import GRPO, Config

Sigmas = tuple[Tensor, Tensor, Tensor]  # 0-dim: of a step, of the next one, and the schedule's second
LEAST_SIGMA = 0.05  # from here on noise is seen in the picture, and log-probabilities grow without bound


@dataclass(frozen=True, slots=True)
class Slot:
    """A sample to be made: of the case in ``place`` of the run's list, for ``group``, a number of this round alone."""

    place: int
    group: int
    seed: int  # of the first noise
    path_seed: int  # of the noise on the way
    sign: int = 1  # -1: that noise turned round


@dataclass(frozen=True, slots=True)
class Taken:
    """A random step that was taken, for the samples of one pass: x at sigma became next (samples, tokens, channels),
    which is mean + noise_std noise. Samples that were at one place are one row of x: ``owner`` (samples,) tells each
    sample's row, and ``told`` the condition of each row."""

    x: Tensor
    owner: Tensor
    told: list[Condition]
    mean: Tensor
    noise: Tensor
    next: Tensor
    sigmas: Sigmas
    log_prob: Tensor


@dataclass(frozen=True, slots=True)
class Pass:
    """The samples that go together through the model, in sampling and in training: in the same company, so that the
    two give the same numbers."""

    slots: list[Slot]
    conditions: list[Condition]
    x0: Tensor
    taken: list[Taken]


def seed_of(*parts: object) -> int:
    """A seed of 63 bits from what it is for."""
    return int.from_bytes(sha256("/".join(map(str, parts)).encode()).digest()[:8], "big") >> 1


def window(config: Config, sigmas: Sequence[float], number: int) -> range:
    """The random steps of round ``number``. Never the last step, nor one from a sigma of LEAST_SIGMA or less."""
    able = sum(sigma > LEAST_SIGMA for sigma in sigmas[: len(sigmas) - 2])
    if config.window == 0:
        return range(able)
    length = min(config.window, able)
    first = min(round(config.window_from * (len(sigmas) - 1)), able - length)
    begins = max(1, min(round(config.window_share * (len(sigmas) - 1)), able - length + 1 - first))
    start = first + seed_of(config.seed, "window", number) % begins
    return range(start, start + length)


def cases_of(config: Config, count: int, number: int) -> list[int]:
    """Places of the ``groups`` cases of round ``number`` among ``count``: every case once before any comes again."""
    found: list[int] = []
    at = number * config.groups
    while len(found) < config.groups:
        turn, place = divmod(at + len(found), count)
        found.append(_order(config.seed, turn, count)[place])
    return found


def _order(seed: int, turn: int, count: int) -> list[int]:
    generator = torch.Generator().manual_seed(seed_of(seed, "order", turn))
    order: list[int] = torch.randperm(count, generator=generator).tolist()
    return order


def slots_of(config: Config, places: Sequence[int], number: int) -> list[Slot]:
    """The samples of a round, group after group. Where no step is random the noise is all that tells them apart."""
    found = list[Slot]()
    shared = config.shared_noise and config.objective == GRPO
    for group, place in enumerate(places):
        for one in range(config.group):
            first = "shared" if shared else one
            seed = seed_of(config.seed, "noise", number, group, first)
            pair, turned = divmod(one, 2) if config.opposite else (one, 0)
            path_seed = seed_of(config.seed, "path", number, group, pair)
            found.append(Slot(place, group, seed, path_seed, -1 if turned else 1))
    return found


def passes(slots: Sequence[Slot], conditions: Sequence[Condition], most: int) -> Iterator[list[Slot]]:
    """The samples in lots of ``most`` at most; conditions of one shape in a lot, whole groups where they fit."""
    by_shape: dict[tuple[int, ...], list[Slot]] = {}
    for slot in slots:
        by_shape.setdefault(conditions[slot.place].shape, []).append(slot)
    for same in by_shape.values():
        lot: list[Slot] = []
        groups: dict[int, list[Slot]] = {}
        for slot in same:
            groups.setdefault(slot.group, []).append(slot)
        for members in groups.values():
            if lot and len(lot) + len(members) > most:
                yield lot
                lot = []
            lot = lot + members
            while len(lot) > most:
                yield lot[:most]
                lot = lot[most:]
        if lot:
            yield lot


@torch.no_grad()
def sample(
    adapter: Adapter, config: Config, slots: list[Slot], conditions: list[Condition], *, random: range, count: int
) -> Pass:
    """Take the samples' paths of ``count`` steps, ``random`` ones among them. ``conditions``: one a sample."""
    sigmas = adapter.sigmas(conditions[0], count)
    generated = generators([slot.path_seed for slot in slots])
    # What shares its case and its first noise is one path until the window begins: it is computed once.
    first: dict[tuple[int, int], int] = {}
    owner = [first.setdefault((slot.place, slot.seed), len(first)) for slot in slots]
    leads = [owner.index(number) for number in range(len(first))]
    told, taken = [conditions[place] for place in leads], []
    x = torch.cat([adapter.noise(conditions[place], [slots[place].seed]) for place in leads]).float()
    signs = torch.tensor([slot.sign for slot in slots], device=x.device)
    rows = torch.tensor(owner, device=x.device)
    for step in range(count):
        if step not in random:
            x = _ordinary(adapter, x, sigmas, step, told, is_long=len(x) == len(slots))
            continue
        noise = torch.cat([torch.randn((1, *x.shape[1:]), generator=one) for one in generated]).to(x)
        noise = noise * signs.view(-1, *[1] * (x.dim() - 1))
        now = (sigmas[step], sigmas[step + 1], sigmas[1])
        _, move = policy(adapter, config, x, told, rows, sigmas=now)
        after = move.sample(noise)
        chance = steps.policy_log_prob(config.dynamics, after, move)
        taken.append(Taken(x, rows, told, move.mean, noise, after, now, chance))
        x, told, rows = after, conditions, torch.arange(len(slots), device=x.device)
    return Pass(slots, conditions, x[rows], taken)


def _ordinary(
    adapter: Adapter, x: Tensor, sigmas: Tensor, step: int, told: Sequence[Condition], *, is_long: bool
) -> Tensor:
    """A step of the ODE, in the quick way where there are rows enough that it pays."""
    with adapter.quick() if is_long else nullcontext():
        v = adapter.velocity(x, sigmas[step].expand(len(x)), told)
    return steps.ode(x, v, sigmas[step], sigmas[step + 1])


def policy(
    adapter: Adapter, config: Config, x: Tensor, told: Sequence[Condition], owner: Tensor, *, sigmas: Sigmas
) -> tuple[Tensor, steps.Step]:
    """Each sample's velocity, and the random step from there; x and ``told`` are (rows), ``owner`` each sample's row.
    What several samples share is computed once. With a gradient where that is on."""
    now, after, second = sigmas
    v = adapter.velocity(x, now.expand(len(x)), told)
    if len(owner) > len(x):
        x, v = x[owner], v[owner]
    level = config.noise_level
    return v, steps.transition(config.dynamics, x, v, now, after, noise_level=level, sigma_max=second)
