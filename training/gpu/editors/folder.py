"""Images that were made elsewhere, one file a case and seed, in a folder beneath the incoming folder.

The incoming folder is EDITLOOP_INCOMING, or var/incoming. No file outside it is read, by whatever name or link.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training.gpu.editors import CannotEdit, EditCase, EditedImage, EditorError
from training.gpu.reading import read_picture

INCOMING = Path(__file__).resolve().parents[3] / "var" / "incoming"
PATTERN = "{key}_{seed}.png"
FIELDS = re.compile(r"\{([^{}]*)\}")
SAME_ASPECT = 0.02  # editors round their sizes to multiples of 16 or 32


class FolderEditor:
    """Finds a case's image by its key and the seed. The same names give the same images as long as the files stay."""

    def __init__(self, incoming: Path, folder: Path, pattern: str) -> None:
        self.incoming, self.folder, self.pattern = incoming, folder, pattern

    def edit(self, case: EditCase, seeds: Sequence[int]) -> list[EditedImage]:
        return [self._edit(case, seed) for seed in seeds]

    def _edit(self, case: EditCase, seed: int) -> EditedImage:
        from training.gpu.diffusion.sizes import resized

        start = time.perf_counter()
        image = read_picture(self._path(case, seed), "image")
        size, wanted = image.size, case.source.size
        if not same_aspect(size, wanted):
            raise CannotEdit(
                f"The image for {case.key} has {size[0]} x {size[1]} pixels and its source {wanted[0]} x {wanted[1]}: "
                "their shapes differ, so it cannot be an edit of the whole picture."
            )
        settings = {
            "folder": self.folder.relative_to(self.incoming).as_posix(),
            "pattern": self.pattern,
            "size": list(size),
            "source_size": list(wanted),
        }
        return EditedImage(resized(image, wanted), seed, None, settings, time.perf_counter() - start)

    def _path(self, case: EditCase, seed: int) -> Path:
        if not case.key:
            raise CannotEdit("The case has no key, by which its image would be found.")
        if "{seed}" not in self.pattern and seed != 0:
            raise CannotEdit(f"The pattern {self.pattern} names one image a case; there is none for seed {seed}.")
        name = self.pattern.replace("{seed}", str(seed)).replace("{key}", case.key)
        try:
            path = (self.folder / name).resolve()
        except (OSError, ValueError, RuntimeError):  # a zero byte, or a link in a circle
            raise CannotEdit(f"{name!r:.200} is no name of a file.") from None
        if not path.is_relative_to(self.incoming):
            raise CannotEdit(f"{name!r:.200} leads out of the incoming folder: it is not read.")
        if not os.path.isfile(path):
            raise CannotEdit(f"There is no image {name!r:.200} in the folder {self.folder.name}.")
        return path


def same_aspect(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return abs(one[0] * other[1] / (one[1] * other[0]) - 1) <= SAME_ASPECT


def check(settings: Mapping[str, Any]) -> None:
    """Raises EditorError; whether the folder is there, the machine that reads it will know."""
    if unknown := sorted(set(settings) - {"folder", "pattern"}):
        raise EditorError(f"folder has no setting {', '.join(unknown)}. Its settings are: folder, pattern.")
    if not isinstance(settings.get("folder"), str) or not settings["folder"]:
        raise EditorError("The setting folder must name a folder beneath the incoming folder.")
    _pattern(settings.get("pattern", PATTERN))


def load(settings: Mapping[str, Any]) -> FolderEditor:
    """``settings``: {"folder": name beneath the incoming folder, "pattern": default "{key}_{seed}.png"}."""
    check(settings)
    incoming = Path(os.environ.get("EDITLOOP_INCOMING") or INCOMING).resolve()
    return FolderEditor(incoming, _folder(incoming, settings["folder"]), _pattern(settings.get("pattern", PATTERN)))


def _folder(incoming: Path, name: str) -> Path:
    try:
        folder = (incoming / name).resolve()
    except (OSError, ValueError, RuntimeError):
        raise EditorError(f"{name!r:.200} is no name of a folder.") from None
    if not folder.is_relative_to(incoming):
        raise EditorError(f"The folder {name!r:.200} leads out of {incoming}: only folders beneath it are read.")
    if not os.path.isdir(folder):
        raise EditorError(f"There is no folder {name!r:.200} in {incoming}. Put the images there, or correct its name.")
    return folder


def _pattern(pattern: object) -> str:
    fields = FIELDS.findall(pattern) if isinstance(pattern, str) else []
    bare = FIELDS.sub("", pattern) if isinstance(pattern, str) else "{"
    if "key" not in fields or set(fields) - {"key", "seed"} or "{" in bare or "}" in bare:
        raise EditorError(
            f"The pattern must name a file by {{key}} and {{seed}} and no other field, as in {PATTERN}; "
            f"it is {pattern!r:.100}."
        )
    assert isinstance(pattern, str)
    return pattern
