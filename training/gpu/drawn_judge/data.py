"""Data of the demo judge: attempts at cases of series of their own, with the true answer of every family."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drawnworld.edits import TASKS, Pair, draw_pair
from drawnworld.families import LOCAL
from drawnworld.questions import FAMILIES, families_of
from drawnworld.render import Image
from drawnworld.scene import SIZE
from drawnworld.truths import Attempt
from training.gpu.drawn_judge.attempts import draw_attempt

TRAIN_SERIES, HELD_OUT_SERIES = 31, 2_000_039  # seeds of drawnworld.edits.draw_pair; the demo is series 1
TRAIN_TASKS = (*LOCAL, *TASKS, "add", "relight")  # by turns: which object, where, from which side is hard to learn
KEYS = tuple(FAMILIES)  # the order of the network's families


@dataclass(frozen=True, slots=True)
class JudgeSet:
    """Cases: ``sources`` and ``targets`` (cases, 64, 64, 3) uint8, ``masks`` (cases, 64, 64), ``instructions``,
    ``tasks`` (cases,) as numbers. Attempts: ``edited`` (n, 64, 64, 3), ``case`` (n,), and ``truths`` (n, families),
    NaN where a family cannot be asked."""

    sources: NDArray[np.uint8]
    targets: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    instructions: list[str]
    tasks: NDArray[np.int64]
    edited: NDArray[np.uint8]
    case: NDArray[np.int64]
    truths: NDArray[np.float32]


def judge_set(cases: int, attempts: int) -> JudgeSet:
    """The first cases of the training series, TRAIN_TASKS by turns, each with so many attempts; the same every time."""
    held_out = {key(pair) for pair in held_out_cases(1024)}
    pairs = [pair for pair in _series(TRAIN_SERIES, cases, TRAIN_TASKS) if key(pair) not in held_out]
    return gather(pairs, lambda pair, number: draw_attempt(pair, random.Random(f"judge/{number}")), attempts)


def held_out_cases(count: int) -> list[Pair]:
    """The first cases of the held-out series, tasks by turns. Never trained on."""
    return _series(HELD_OUT_SERIES, count, TASKS)


def key(pair: Pair) -> tuple[bytes, str]:
    """What makes two cases the same one: the source's pixels and the instruction."""
    return pair.source.tobytes(), pair.edit.instruction


def gather(pairs: Sequence[Pair], make: Callable[[Pair, int], Image], attempts: int) -> JudgeSet:
    """``make(pair, number)`` is attempt ``number`` of all: the case's number times ``attempts``, plus 0, 1, …"""
    count = len(pairs) * attempts
    edited = np.empty((count, SIZE, SIZE, 3), np.uint8)
    truths = np.full((count, len(KEYS)), np.nan, np.float32)
    for index, pair in enumerate(pairs):
        for number in range(index * attempts, (index + 1) * attempts):
            edited[number] = make(pair, number)
            truths[number] = true_answers(pair, edited[number])
    return JudgeSet(
        np.stack([pair.source for pair in pairs]),
        np.stack([pair.target for pair in pairs]),
        np.stack([pair.mask for pair in pairs]),
        [pair.edit.instruction for pair in pairs],
        np.array([TASKS.index(pair.edit.task) for pair in pairs]),
        edited,
        np.arange(count) // attempts,
        truths,
    )


def true_answers(pair: Pair, edited: Image) -> NDArray[np.float32]:
    """The truth of every family, (families,), NaN where it cannot be asked of the task."""
    attempt, row = Attempt(pair, edited), np.full(len(KEYS), np.nan, np.float32)
    for family in families_of(pair.edit.task):
        row[KEYS.index(family.key)] = family.truth(attempt)
    return row


def _series(seed: int, count: int, tasks: Sequence[str]) -> list[Pair]:
    return [draw_pair(seed, index, tasks[index % len(tasks)]) for index in range(count)]
