"""Whether an editor fits the memory of the workers, said before a job is started.

The figures are estimates (training/memory.py). A job looks again when it loads the model, at what is free then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from annotation.models import Editor
from training.gpu.diffusion.needs import needs, spec_of
from training.gpu.diffusion.presets import GPUS
from training.gpu.editors import EditorError
from training.memory import GB, Estimate, fits, fits_host
from webapp.jobs import presence
from webapp.jobs.kinds import GPU
from webapp.jobs.machine import Machine

UNKNOWN = 1  # bytes of a GPU that may be there: what an editor takes without one counts only where one is surely not


@dataclass(frozen=True)
class Line:
    """What an editor takes under one preset; GB of 10⁹ bytes."""

    preset: str
    card: float
    needed: Estimate
    fits: bool

    @property
    def total(self) -> float:
        return self.needed.total / GB

    @property
    def host(self) -> float:
        return self.needed.host / GB


def workers() -> list[Machine]:
    """The machines that listen for model work now; none also where nobody can be asked."""
    return presence.machines(GPU) or []


def problem(editor: Editor, machines: Sequence[Machine] | None = None) -> str:
    """Why none of the machines (``workers()`` if not given) can run the editor; empty if one can, or if it cannot be
    told from here."""
    machines = workers() if machines is None else machines
    if not machines or not editor.module:
        return ""
    try:
        found = [_problem_on(editor, machine) for machine in machines]
    except EditorError as error:
        return str(error)
    return "" if any(not words for words in found) else min(found, key=len)


def _problem_on(editor: Editor, machine: Machine) -> str:
    gpus = [gpu.total for gpu in machine.gpus]
    needed = needs(editor.module, editor.settings, max(gpus, default=None if machine.gpus_known else UNKNOWN))
    if needed is None or (needed.plan.gpu and not machine.gpus_known):
        return ""
    if needed.plan.gpu and not gpus:
        return _("It needs a GPU, and the worker %(worker)s has none.") % {"worker": machine.worker}
    spread = editor.settings.get("device_map", "none") != "none"
    memory = machine.memory_total or needed.total + needed.host  # unknown: not a reason to refuse
    available = (sum(gpus) if spread else max(gpus)) if needed.plan.gpu else memory
    return fits(needed, available) or fits_host(needed, memory) or ""


def table(editor: Editor) -> list[Line]:
    """What the editor takes on cards of each size, or on that of its own preset; empty for an editor without a model of
    diffusers. Raises EditorError where its model is a folder that cannot be read."""
    if not editor.module or spec_of(editor.module) is None:
        return []
    own = editor.settings.get("preset", "auto")
    lines = []
    for preset, (card, _example) in GPUS.items():
        needed = needs(editor.module, {**editor.settings, "preset": preset}, card) if own in ("auto", preset) else None
        if needed is not None and needed.plan.gpu:
            lines.append(Line(preset, card / GB, needed, needed.total <= card))
    return lines
