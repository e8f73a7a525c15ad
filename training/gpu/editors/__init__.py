"""Editors: what makes a candidate image of a case. One file of this folder is one editor; copy one to add another.

An editor's module has a function ``check(settings)``, which is quick and loads nothing, and a function
``load(settings) -> Editor``, which may take long (weights); ``edit`` is then called many times.
docs/adding-an-editor.md is the checklist.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

FOLDER = Path(__file__).parent
MODULE_NAME = re.compile(r"[a-z][a-z0-9_]*")


class EditorError(Exception):
    """The editor cannot be loaded: it does not exist, or its settings are wrong. The message is shown to the user."""


class CannotEdit(Exception):
    """The editor cannot do this one case. The message is shown to the user; other cases go on."""


class EditorFailed(CannotEdit):
    """The editor failed for a reason that is not the case's own: its service, its machine, a mistake of its program.
    Other cases go on, but a row of such failures ends the job."""


class OutOfMemory(EditorFailed):
    """The memory does not hold so many images at once. A job goes on with smaller batches."""


@dataclass(frozen=True, slots=True)
class EditCase:
    """What to edit. ``mask`` has the source's size and is white where the edit may change pixels (for the tasks
    background and bokeh: all but the subject); None is the whole picture. ``params`` is the case's own JSON;
    ``description`` tells of the wanted result, for editors that take no instruction; ``key`` names the case in its data
    set."""

    source: Image.Image
    mask: Image.Image | None
    instruction: str
    task: str
    params: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class EditedImage:
    """One candidate. ``noise_seed`` is the seed of the initial noise, for editors that start from noise."""

    image: Image.Image
    seed: int
    noise_seed: int | None
    settings: Mapping[str, Any]
    seconds: float


class Editor(Protocol):
    """What ``load`` returns. More is used where it is there:

    - ``batch``: how many images a job puts into one call, never more (1 without it);
    - ``edit_many(cases, seeds)``: one image for each pair, where images of several cases go together;
    - ``threads``: how many calls, each of one image, may run at once, for an editor that waits for others; each image
      is kept as it comes. Its ``stop()`` is called, perhaps often, when no further image is wanted: it ends pauses.
    """

    def edit(self, case: EditCase, seeds: Sequence[int]) -> list[EditedImage]:
        """One image a seed, in the order of the seeds, each of the source's size. The same case, settings and seed give
        the same image. Raises CannotEdit for what is the case's fault, EditorFailed for what is not."""
        ...


def editor_names() -> list[str]:
    """The editors that exist: the modules of this folder."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if MODULE_NAME.fullmatch(path.stem))


def check_editor_name(name: object) -> str:
    """The name, if a file of this folder bears it. Raises EditorError: no other module is ever imported by name."""
    if not isinstance(name, str) or name not in editor_names():
        raise EditorError(f"There is no editor {name!r}. The editors here are: {', '.join(editor_names())}.")
    return name


def check_settings(name: object, settings: Mapping[str, Any]) -> None:
    """Refuse settings that are wrong on any machine; nothing is loaded. Raises EditorError."""
    import_module(f"{__name__}.{check_editor_name(name)}").check(settings)


def load_editor(name: object, settings: Mapping[str, Any]) -> Editor:
    """Load the editor of that module name. Raises EditorError for a name or settings that do not exist."""
    module = import_module(f"{__name__}.{check_editor_name(name)}")
    editor: Editor = module.load(settings)
    return editor
