"""Data of the CPU editor: pairs to train on, of which some have a wrong target, and held-out cases to measure with.

The two are series of the drawn world with seeds of their own. A training pair whose source and instruction are those of
a held-out case is left out; the next of the series takes its place.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drawnworld.edits import TASKS, Pair, draw_pair, draw_pairs
from drawnworld.flaws import drifted, nothing_done, wrong_object
from drawnworld.scene import SIZE

TRAIN_SERIES, HELD_OUT_SERIES = 11, 2_000_003  # seeds of drawnworld.edits.draw_pair
TRAIN_PAIRS, HELD_OUT_CASES = 20_000, 256
WRONG_SHARE = 0.15
WRONG = (nothing_done, wrong_object, drifted)


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Pictures (n, 64, 64, 3) uint8, instructions, and which targets are wrong on purpose (n,)."""

    sources: NDArray[np.uint8]
    targets: NDArray[np.uint8]
    instructions: list[str]
    wrong: NDArray[np.bool_]


def training_set(count: int = TRAIN_PAIRS) -> TrainingSet:
    """The first ``count`` pairs of the training series; the same count gives the same bytes."""
    sources = np.empty((count, SIZE, SIZE, 3), np.uint8)
    targets, wrong, instructions = np.empty_like(sources), np.zeros(count, np.bool_), []
    held_out = {key(pair) for pair in held_out_cases()}
    for index, pair in enumerate(_new_pairs(count, held_out)):
        rng = random.Random(f"{TRAIN_SERIES}/{index}/wrong")
        wrong[index] = rng.random() < WRONG_SHARE
        sources[index] = pair.source
        targets[index] = rng.choice(WRONG)(pair, rng).image if wrong[index] else pair.target
        instructions.append(pair.edit.instruction)
    return TrainingSet(sources, targets, instructions, wrong)


def held_out_cases(count: int = HELD_OUT_CASES) -> list[Pair]:
    """The first ``count`` cases of the held-out series, tasks by turns. Never trained on."""
    return [draw_pair(HELD_OUT_SERIES, index, TASKS[index % len(TASKS)]) for index in range(count)]


def key(pair: Pair) -> tuple[bytes, str]:
    """What makes two cases the same one: the source's pixels and the instruction."""
    return pair.source.tobytes(), pair.edit.instruction


def to_tensor(images: NDArray[np.uint8] | Sequence[NDArray[np.uint8]]) -> Tensor:
    """Pictures (n, h, w, 3) uint8 as (n, 3, h, w) in -1..1."""
    return torch.from_numpy(np.asarray(images)).movedim(-1, 1).float() / 127.5 - 1


def _new_pairs(count: int, held_out: set[tuple[bytes, str]]) -> list[Pair]:
    pairs: list[Pair] = []
    start = 0
    while len(pairs) < count:
        drawn = draw_pairs(TRAIN_SERIES, count - len(pairs), start=start)
        start += count - len(pairs)
        pairs += [pair for pair in drawn if key(pair) not in held_out]
    return pairs
