"""A small data set of the drawn world in the database, with its images, for tests of what is true of them."""

from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from annotation.imports import import_path
from annotation.models import Dataset, Study
from annotation.protocols import PRESETS
from drawnworld.dataset import write_dataset
from tests import judging
from tests.make import QUIET

_number = count()


def drawn(folder: Path, cases: int = 4, *, seed: int = 5, owner: Any = None, **more: Any) -> Dataset:
    """``cases`` cases of the tasks ``color`` and ``remove``, with the six candidates of each."""
    number = next(_number)
    write_dataset(folder / f"drawn-{number}", seed, cases, ("color", "remove"))
    data = Dataset(slug=f"drawn-{number}", name=f"Drawn {number}", created_by=owner, **more)
    import_path(path=folder / f"drawn-{number}", dataset=data, progress=QUIET)
    return data


def study_of(data: Dataset, preset: str = "hp-score", raters: int = 10, **more: Any) -> Study:
    """A study with so many places for annotators at every item."""
    return judging.study(data, preset, protocol=replace(PRESETS[preset], raters=raters), **more)
