"""A sweep before it starts: what differs, and the runs that come of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from django.utils.text import slugify

from training.posttraining.config import Config, WrongConfig
from training.runs.starting import Wish

DATASET, REWARD = "dataset", "reward"  # axes that are no setting of the configuration
MOST = 64  # runs of a sweep
LONGEST = 80  # characters of an editor's short name


@dataclass(frozen=True, slots=True)
class Axis:
    """What differs. ``name``: a setting of Config, DATASET (values are UIDs) or REWARD (values as training.runs.judges
    names them). ``labels``: the values as people read them."""

    name: str
    values: tuple[Any, ...]
    labels: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "values": list(self.values), "labels": list(self.labels)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Axis:
        return cls(value["name"], tuple(value["values"]), tuple(value["labels"]))

    def words(self, place: int) -> str:
        """“lora_rank 8”; data and judges by their names alone."""
        label = self.labels[place]
        return label if self.name in (DATASET, REWARD) else f"{self.name} {label}"


@dataclass(frozen=True)
class Plan:
    """``wish``: what all runs share. ``given``: the preset and the settings that differ from it, before axes."""

    name: str
    axes: tuple[Axis, ...]
    wish: Wish
    given: Mapping[str, Any]

    @property
    def count(self) -> int:
        return size(self.axes)


@dataclass(frozen=True)
class Cell:
    """One run. ``place``: its values by axis; ``words``: the same for people. ``wish`` is None where its settings do
    not go together: ``problem`` says why."""

    place: dict[str, Any]
    words: str
    name: str
    wish: Wish | None
    problem: str = ""


def size(axes: Sequence[Axis]) -> int:
    found = 1
    for axis in axes:
        found *= len(axis.values)
    return found


def cells(plan: Plan) -> list[Cell]:
    """The runs in their order: the last axis changes first."""
    places = list(product(*(range(len(axis.values)) for axis in plan.axes)))
    words = [", ".join(axis.words(n) for axis, n in zip(plan.axes, place, strict=True)) for place in places]
    names = names_of(plan.name, words)
    return [_cell(plan, place, said, name) for place, said, name in zip(places, words, names, strict=True)]


def names_of(name: str, words: Sequence[str]) -> list[str]:
    """A name for the editor of each run: telling ones where their short names differ, else numbers."""
    telling = [f"{name} {said}" for said in words]
    slugs = [slugify(one) for one in telling]
    if len(set(slugs)) == len(slugs) and all(len(one) <= LONGEST for one in (*slugs, *telling)):
        return telling
    return [f"{name} {number}" for number in range(1, len(words) + 1)]


def _cell(plan: Plan, place: Sequence[int], words: str, name: str) -> Cell:
    values = {axis.name: axis.values[n] for axis, n in zip(plan.axes, place, strict=True)}
    settings = {key: value for key, value in values.items() if key not in (DATASET, REWARD)}
    try:
        config = Config.from_json({**plan.given, **settings}, plan.wish.base.module)
    except WrongConfig as error:
        return Cell(values, words, name, None, str(error))
    wish = replace(plan.wish, name=name, config=config)
    if DATASET in values:
        wish = replace(wish, data=replace(wish.data, dataset=values[DATASET]))
    if REWARD in values:
        wish = replace(wish, rewards={values[REWARD]: 1.0})
    return Cell(values, words, name, wish)
