"""Reads the prompts that are shipped: shipped/*.toml. Pure.

A file has the prompts of one source: its scale, a preamble and a rubric that its prompts share unless they have their
own, and for most prompts a [prompts.refined] with questions. Version 1 is preamble and rubric alone, version 2 the
refined one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from scoring.prompts.drafts import Draft, Line, tidy

FOLDER = Path(__file__).parent / "shipped"
FILES = ("hp-edit", "editreward", "edithf", "gedit", "reward")  # in the order in which the prompts are listed
BASE_NOTE = "The rubric alone."


@dataclass(frozen=True, slots=True)
class Version:
    draft: Draft
    note: str


@dataclass(frozen=True, slots=True)
class Shipped:
    """A prompt with its versions from 1 on, each the child of the one before. ``task``: a slug, or None for all."""

    slug: str
    name: str
    task: str | None
    dimension: str
    low: int
    high: int
    versions: tuple[Version, ...]


@cache
def shipped() -> tuple[Shipped, ...]:
    """All of them. Raises KeyError or ValueError with the place for a file that is not as it should be."""
    return tuple(prompt for name in FILES for prompt in read((FOLDER / f"{name}.toml").read_text(encoding="utf-8")))


def read(toml: str) -> list[Shipped]:
    """The prompts of one file's text."""
    file = tomllib.loads(toml)
    shared = {name: value for name, value in file.items() if name != "prompts"}
    return [_prompt({**shared, **row}) for row in file["prompts"]]


def _prompt(row: Mapping[str, Any]) -> Shipped:
    versions = [Version(tidy(row["preamble"], row["rubric"], ()), BASE_NOTE)]
    if "refined" in row:
        versions.append(_refined(row))
    return Shipped(
        slug=row["slug"],
        name=row["name"],
        task=row.get("task"),
        dimension=row["dimension"],
        low=row["low"],
        high=row["high"],
        versions=tuple(versions),
    )


def _refined(row: Mapping[str, Any]) -> Version:
    refined = {**row, **row["refined"]}
    lines = [Line(question["key"], question["text"]) for question in refined["questions"]]
    if len({line.key for line in lines}) < len(lines):
        raise ValueError(f"Two questions of {row['slug']} have the same key.")
    return Version(tidy(refined["preamble"], refined["rubric"], lines), refined["note"])
