"""Edits as data: what changes in a scene, what a person would say for it, and which pixels it may touch."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from drawnworld.render import Image, Mask, coverage, render
from drawnworld.scene import (
    COLOURS,
    KINDS,
    LIGHTS,
    PAIRS,
    PATTERNS,
    SIZE,
    STYLES,
    Scene,
    SceneError,
    Thing,
    sample_scene,
    thing_from_json,
)
from drawnworld.wording import background_words, instruction_for

TASKS = ("add", "remove", "swap", "color", "background", "bokeh", "relight", "style")


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of a scene. ``before`` is the object that goes, ``after`` the one that comes; ``value`` is the new
    background ("pattern pair"), light or style."""

    task: str
    instruction: str
    before: Thing | None = None
    after: Thing | None = None
    value: str = ""

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise SceneError(f"task is {self.task!r}; it must be one of {', '.join(TASKS)}.")
        needs_before, needs_after = self.task in ("remove", "swap", "color"), self.task in ("add", "swap", "color")
        if needs_before != (self.before is not None) or needs_after != (self.after is not None):
            raise SceneError(f"An edit of the task {self.task} names the wrong objects.")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Edit:
        """The edit that ``to_json`` wrote. Raises SceneError for anything else."""
        try:
            things = {name: thing_from_json(data[name]) if data.get(name) else None for name in ("before", "after")}
            return cls(data["task"], data["instruction"], value=data.get("value", ""), **things)
        except (KeyError, AttributeError) as error:
            raise SceneError(f"This is not an edit of the drawn world: {error}.") from None


@dataclass(frozen=True, slots=True)
class Pair:
    """A case with its exact answer. ``target`` equals ``source`` wherever ``mask`` is False."""

    scene: Scene
    edit: Edit
    source: Image
    target: Image
    mask: Mask


def apply(scene: Scene, edit: Edit) -> Scene:
    """The scene after the edit. Raises SceneError where the edit names an object that the scene lacks."""
    if edit.before is not None and edit.before not in scene.things:
        raise SceneError(f"There is no {edit.before.colour} {edit.before.kind} in the scene.")
    kept = tuple(thing for thing in scene.things if thing != edit.before)
    things = (*kept, edit.after) if edit.after else kept
    match edit.task:
        case "background":
            pattern, _, pair = edit.value.partition(" ")
            return replace(scene, pattern=pattern, pair=pair)
        case "bokeh":
            return replace(scene, blurred=True)
        case "relight":
            return replace(scene, light=edit.value)
        case "style":
            return replace(scene, style=edit.value)
    return replace(scene, things=things)


def edit_mask(scene: Scene, edit: Edit) -> Mask:
    """The pixels that the edit may change: the objects that go and come, all but the objects, or the whole picture."""
    if edit.task in ("relight", "style"):
        return np.ones((SIZE, SIZE), np.bool_)
    if edit.task in ("background", "bokeh"):
        return np.asarray(coverage(scene.things) < 1)
    touched = tuple(thing for thing in (edit.before, edit.after) if thing)
    return np.asarray(coverage(touched) > 0)


def sample_edit(rng: random.Random, scene: Scene, task: str) -> Edit:
    """An edit of that task that the instruction alone pins down. Raises SceneError where the scene allows none."""
    before = rng.choice(scene.things) if task in ("remove", "swap", "color") else None
    after: Thing | None = None
    value = spoken = ""
    if task == "add":
        after = _new_thing(rng, scene)
    elif task == "swap" and before:
        colours = _unused(COLOURS, [thing.colour for thing in scene.things if thing != before])
        kinds = _unused(KINDS, [thing.kind for thing in scene.things])
        after = replace(before, kind=rng.choice(kinds), colour=rng.choice(colours))
    elif task == "color" and before:
        after = replace(before, colour=rng.choice(_unused(COLOURS, [thing.colour for thing in scene.things])))
    elif task == "background":
        pattern, pair = rng.choice(PATTERNS), rng.choice(_unused(PAIRS, [scene.pair]))
        value, spoken = f"{pattern} {pair}", background_words(pattern, pair)
    elif task == "bokeh" and scene.pattern == "plain":
        raise SceneError("A plain background shows no blur.")
    elif task in ("relight", "style"):
        value = rng.choice(LIGHTS if task == "relight" else STYLES)
    instruction = instruction_for(rng, task, before=before, after=after, value=spoken or value)
    return Edit(task, instruction, before, after, value)


def _new_thing(rng: random.Random, scene: Scene) -> Thing:
    """An object for a free cell, without jitter: the instruction names only the cell."""
    cells = _unused(range(4), [thing.cell for thing in scene.things])
    if not cells:
        raise SceneError("The scene has no free cell.")
    kind = rng.choice(_unused(KINDS, [thing.kind for thing in scene.things]))
    return Thing(kind, rng.choice(_unused(COLOURS, [thing.colour for thing in scene.things])), rng.choice(cells))


def _unused(values: Any, used: list[Any]) -> list[Any]:
    return [value for value in values if value not in used]


def draw_pair(seed: int, index: int, task: str | None = None) -> Pair:
    """Case ``index`` of the endless series ``seed``, the same whichever others were drawn before.

    Without ``task`` the task is drawn too. Adding starts from at most two objects, so that a scene has at most three.
    """
    rng = random.Random(f"{seed}/{index}")
    task = task or rng.choice(TASKS)
    scene = sample_scene(rng, most=2 if task == "add" else 3)
    if task == "bokeh" and scene.pattern == "plain":
        scene = replace(scene, pattern=rng.choice(PATTERNS[1:]))
    edit = sample_edit(rng, scene, task)
    return Pair(scene, edit, render(scene), render(apply(scene, edit)), edit_mask(scene, edit))


def draw_pairs(seed: int, count: int, *, start: int = 0) -> Iterator[Pair]:
    return (draw_pair(seed, index) for index in range(start, start + count))
