"""Rows for tests, made through the services that the product uses."""

import json
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

from annotation import imports
from annotation.importing.images import view_copy
from annotation.imports import Progress
from annotation.models import Dataset, Study
from annotation.protocols import PRESETS, Protocol
from annotation.studies import add_member, create_study
from tests.conftest import png

_number = count()
QUIET = Progress(lambda done, total, message: None)
_view_copy = lru_cache(maxsize=1024)(view_copy)


def import_folder(folder: Path, cases: int = 2, editors: int = 3, first: int = 0) -> Path:
    """A folder to import: ``cases`` cases, each with one candidate of each of ``editors`` editors."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, edits = [], []
    for case in range(first, first + cases):
        (folder / f"s{case}.png").write_bytes(png(case))
        rows.append({"key": f"case-{case}", "source": f"s{case}.png", "instruction": f"Edit {case}", "task": "add"})
        for editor in range(editors):
            (folder / f"c{case}-{editor}.png").write_bytes(png(1000 + 100 * case + editor))
            edits.append({"case": f"case-{case}", "editor": f"editor-{editor}", "file": f"c{case}-{editor}.png"})
    (folder / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if edits:
        (folder / "candidates.jsonl").write_text("".join(json.dumps(row) + "\n" for row in edits))
    return folder


def import_again(folder: Path, data: Dataset) -> None:
    """Import a folder. The copy for browsers, which takes the most time, is made once a run of a picture."""
    with patch.object(imports, "view_copy", _view_copy):
        imports.import_path(path=folder, dataset=data, progress=QUIET)


def dataset(folder: Path, cases: int = 2, editors: int = 3, owner: Any = None) -> Dataset:
    number = next(_number)
    made = Dataset(slug=f"set-{number}", name=f"Set {number}", created_by=owner)
    import_again(import_folder(folder / f"import-{number}", cases, editors), made)
    return made


def study(
    data: Dataset,
    preset: str = "mos",
    members: tuple[Any, ...] = (),
    owner: Any = None,
    protocol: Protocol | None = None,
) -> Study:
    made = create_study(
        name=f"Study of {data.name}",
        dataset=data,
        preset=preset,
        protocol=protocol or PRESETS[preset],
        by=owner,
        seed=7,
    )
    for user in members:
        add_member(study=made, user=user)
    return made
