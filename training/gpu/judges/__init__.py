"""Judges that compute here: what scores an edited picture by a rendered prompt. One file of this folder is one judge.

A judge's module has a function ``check(settings)``, which is quick and loads nothing, and a function
``load(settings) -> Judge``, which may take long (weights). The protocol is scoring.judging.contract.Judge.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from scoring.judging.contract import Judge, JudgeError

FOLDER = Path(__file__).parent
MODULE_NAME = re.compile(r"[a-z][a-z0-9_]*")


def judge_names() -> list[str]:
    """The judges that exist: the modules of this folder."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if MODULE_NAME.fullmatch(path.stem))


def check_judge_name(name: object) -> str:
    """The name, if a file of this folder bears it. Raises JudgeError: no other module is ever imported by name."""
    if not isinstance(name, str) or name not in judge_names():
        raise JudgeError(f"There is no judge {name!r}. The judges here are: {', '.join(judge_names())}.")
    return name


def check_settings(module: object, settings: Mapping[str, Any]) -> None:
    """Refuse settings that are wrong on any machine; nothing is loaded. Raises JudgeError."""
    import_module(f"{__name__}.{check_judge_name(module)}").check(settings)


def load_judge(module: object, settings: Mapping[str, Any]) -> Judge:
    """Load the judge of that module name. Raises JudgeError for a name or settings that do not exist."""
    loaded: Judge = import_module(f"{__name__}.{check_judge_name(module)}").load(settings)
    return loaded
