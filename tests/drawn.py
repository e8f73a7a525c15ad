"""A small data set of the drawn world in the database, with its images, for tests of what is true of them."""

import atexit
import shutil
import tempfile
from dataclasses import replace
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from annotation.models import Dataset, Study
from annotation.protocols import PRESETS
from drawnworld.dataset import write_dataset
from tests import judging
from tests.make import import_again

_number = count()


@cache
def _written(seed: int, cases: int) -> Path:
    """The import folder, drawn once a run. Do not write there."""
    folder = Path(tempfile.mkdtemp(prefix="drawn"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    write_dataset(folder / "set", seed, cases, ("color", "remove"))
    return folder / "set"


def drawn(folder: Path, cases: int = 4, *, seed: int = 5, owner: Any = None, **more: Any) -> Dataset:
    """``cases`` cases of the tasks ``color`` and ``remove``, with the six candidates of each."""
    number = next(_number)
    shutil.copytree(_written(seed, cases), folder / f"drawn-{number}")
    data = Dataset(slug=f"drawn-{number}", name=f"Drawn {number}", created_by=owner, **more)
    import_again(folder / f"drawn-{number}", data)
    return data


def study_of(data: Dataset, preset: str = "hp-score", raters: int = 10, **more: Any) -> Study:
    """A study with so many places for annotators at every item."""
    return judging.study(data, preset, protocol=replace(PRESETS[preset], raters=raters), **more)
