"""Reads of editors."""

import json
from dataclasses import dataclass
from typing import Any

from annotation.faults import reasons
from annotation.models import Editor
from training import fit
from training.gpu.editors import EditorError
from training.models import TrainedEditor
from training.posttraining import costs as posttraining
from training.programs import Program, program, programs
from webapp.jobs.machine import Machine

NEWEST = 24
TRAINABLE = (*posttraining.MODULES, posttraining.DRAWN)


@dataclass(frozen=True)
class Row:
    editor: Editor
    program: Program | None
    settings: str


def rows_of(editors: list[Editor]) -> list[Row]:
    known = {found.module: found for found in programs()}
    return [Row(editor, known.get(editor.module), settings_text(editor)) for editor in editors]


def settings_text(editor: Editor) -> str:
    """Settings in one line; a LoRA by the start of its hash."""
    return ", ".join(f"{name} {_short(value)}" for name, value in editor.settings.items())


def _short(value: Any) -> str:
    if isinstance(value, dict) and isinstance(value.get("file"), str):
        return f"{value['file'].rpartition('/')[2][:12]}… × {value.get('scale', 1)}"
    return value if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True)
class Estimate:
    """An editor with a model of diffusers, in the form that starts a job."""

    editor: Editor
    lines: list[fit.Line]
    problem: str


def estimates() -> list[Estimate]:
    """Editors whose memory can be estimated, with why none of the workers can run them; empty words: one can."""
    found, machines = [], fit.workers()
    for editor in Editor.objects.exclude(module=""):
        lines, problem = _fit(editor, machines)
        if lines or problem:
            found.append(Estimate(editor, lines, problem))
    return found


def _fit(editor: Editor, machines: list[Machine]) -> tuple[list[fit.Line], str]:
    try:
        return fit.table(editor), fit.problem(editor, machines)
    except EditorError as error:
        return [], str(error)


def page_of_editor(editor: Editor) -> dict[str, Any]:
    lines, problem = _fit(editor, fit.workers())
    newest = editor.candidates.select_related("image", "editor", "case__dataset").order_by("-id")
    return {
        "editor": editor,
        "program": program(editor.module),
        "settings": json.dumps(editor.settings, indent=2, ensure_ascii=False),
        "lines": lines,
        "problem": problem,
        "made": editor.candidates.count(),
        "set_aside": reasons(editor.candidates.all(), editor.unmade.all()),
        "newest": list(newest[:NEWEST]),
        "trained": TrainedEditor.objects.filter(editor=editor).select_related("editor").first(),
        "descendants": list(
            TrainedEditor.objects.filter(base=editor).select_related("editor").order_by("-id")[:NEWEST]
        ),
        "trainable": editor.module in TRAINABLE and not editor.settings.get("lora"),
    }
