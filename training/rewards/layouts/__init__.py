"""Files of judgements as others publish them, read into one form. One file of this folder is one layout. Pure.

A layout's module has NAME, LABEL, ABOUT (words for people), DIMENSIONS, and ``read(folder) -> Iterator[Item]``, which
raises LayoutError with the file and line. Nothing in the files is trusted: names stay beneath the folder, and pictures
are decoded by the importer alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from training.rewards.groups import Dimension, Labels

FOLDER = Path(__file__).parent
MODULE_NAME = re.compile(r"[a-z][a-z0-9_]*")
Picture = Path | bytes  # a file beneath the folder, or the content of one


class LayoutError(Exception):
    """The files are not of this layout. The message is shown to the user."""


@dataclass(frozen=True, slots=True)
class Made:
    """A candidate. ``editor``: its maker's short name; ``seed`` tells two of one editor apart."""

    editor: str
    image: Picture
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Item:
    """One group: a case, its candidates, and what people said of them in each dimension. ``task``: a short name of
    annotation/tasks.json. ``raters``: scores of single people by dimension, (rater, candidate, score), where the files
    have them: for the human ceiling."""

    key: str
    source: Picture
    instruction: str
    task: str
    candidates: tuple[Made, ...]
    labels: Mapping[str, Labels]
    split: str = ""
    raters: Mapping[str, tuple[tuple[str, int, float], ...]] = field(default_factory=dict)


class Layout(Protocol):
    NAME: str
    LABEL: str
    ABOUT: str
    DIMENSIONS: tuple[Dimension, ...]

    def read(self, folder: Path) -> Iterator[Item]: ...


def layout_names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.py") if MODULE_NAME.fullmatch(path.stem))


def layout(name: str) -> Layout:
    """Raises LayoutError for a name that no file of this folder bears: nothing else is ever imported by name."""
    if name not in layout_names():
        raise LayoutError(f"There is no layout {name!r}. The layouts here are: {', '.join(layout_names())}.")
    return cast(Layout, import_module(f"{__name__}.{name}"))
