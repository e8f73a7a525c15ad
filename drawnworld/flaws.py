"""Edits with planted faults, the way editing models fail: nothing done, the wrong object, drift, half done, noise."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from drawnworld.edits import TASKS, Edit, Pair, apply, sample_edit
from drawnworld.render import Image, render
from drawnworld.scene import COLOURS, SceneError, Thing


@dataclass(frozen=True, slots=True)
class Attempt:
    """One candidate image and the settings that made it."""

    image: Image
    settings: dict[str, Any]


def true_edit(pair: Pair, rng: random.Random) -> Attempt:
    return Attempt(pair.target, {})


def nothing_done(pair: Pair, rng: random.Random) -> Attempt:
    return Attempt(pair.source, {})


def wrong_object(pair: Pair, rng: random.Random) -> Attempt:
    """The edit done to another object, at another place, or with another value."""
    wrong = wrong_edit(rng, pair)
    return Attempt(render(apply(pair.scene, wrong)), {"edit": wrong.to_json()})


def drifted(pair: Pair, rng: random.Random) -> Attempt:
    """The edit done, but the whole picture shifted in colour."""
    amount = rng.uniform(0.03, 0.1)
    shift = [rng.choice((-1, 1)) * rng.uniform(0.4, 1) * amount for _ in range(3)]
    image = pair.target / 255 + np.array(shift)
    return Attempt(_to_bytes(image), {"shift": [round(value, 4) for value in shift]})


def half_done(pair: Pair, rng: random.Random) -> Attempt:
    """A mixture of before and after: a ghost of what was to go, or a pale copy of what was to come."""
    amount = rng.uniform(0.3, 0.7)
    image = (1 - amount) * pair.source + amount * pair.target
    return Attempt(_to_bytes(image / 255), {"amount": round(amount, 4)})


def noisy(pair: Pair, rng: random.Random) -> Attempt:
    """The edit done under grain."""
    amount = rng.uniform(0.04, 0.12)
    grain = np.random.default_rng(rng.getrandbits(63)).normal(0, amount, pair.target.shape)
    return Attempt(_to_bytes(pair.target / 255 + grain), {"amount": round(amount, 4)})


ATTEMPTS: dict[str, Callable[[Pair, random.Random], Attempt]] = {
    "drawn-truth": true_edit,
    "drawn-nothing": nothing_done,
    "drawn-wrong-object": wrong_object,
    "drawn-drift": drifted,
    "drawn-half": half_done,
    "drawn-noise": noisy,
}


def wrong_edit(rng: random.Random, pair: Pair) -> Edit:
    """Another edit than the one asked for: of the same task where the scene allows it, else of any other task."""
    asked, scene = pair.edit, pair.scene
    others = [thing for thing in scene.things if thing != asked.before]
    if asked.task == "add" and asked.after:
        return replace(asked, after=_elsewhere(rng, asked.after, {thing.cell for thing in scene.things}))
    if asked.task == "remove" and others:
        return replace(asked, before=rng.choice(others))
    if asked.task == "color" and others and asked.after:
        before = rng.choice(others)
        return replace(asked, before=before, after=replace(before, colour=asked.after.colour))
    if asked.task == "swap" and others and asked.after:
        before = rng.choice(others)
        after = replace(asked.after, cell=before.cell, dx=before.dx, dy=before.dy)
        if after.colour == (asked.before.colour if asked.before else ""):  # both would stand in the scene: a clash
            taken = {thing.colour for thing in scene.things}
            after = replace(after, colour=rng.choice([colour for colour in COLOURS if colour not in taken]))
        return replace(asked, before=before, after=after)
    return _any_other(rng, pair, asked.task if asked.task in ("background", "relight", "style") else None)


def _elsewhere(rng: random.Random, thing: Thing, taken: set[int]) -> Thing:
    return replace(thing, cell=rng.choice([cell for cell in range(4) if cell not in taken | {thing.cell}]))


def _any_other(rng: random.Random, pair: Pair, task: str | None) -> Edit:
    while True:
        other_task = task or rng.choice([known for known in TASKS if known != pair.edit.task])
        try:
            edit = sample_edit(rng, pair.scene, other_task)
        except SceneError:
            continue
        if apply(pair.scene, edit) != apply(pair.scene, pair.edit):
            return replace(edit, instruction=pair.edit.instruction)


def _to_bytes(image: np.typing.NDArray[np.float64]) -> Image:
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
