"""What a run will take, before it is started: images, passes, judgements, memory, time; and whether a worker has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from annotation.models import Editor
from training import fit
from training.memory import FAMILIES, GB
from training.posttraining import costs
from training.posttraining.config import SAMPLED, Config
from training.runs.data import LOOK, TRAIN, Chosen
from webapp.jobs.machine import Machine


@dataclass(frozen=True)
class Estimate:
    """``images``, ``passes``: of the whole run. ``judgements`` by the sources of reward, and ``looked`` by all judges
    at the fixed cases. ``memory``: GB on the GPU at least, None for the CPU editor."""

    cases: int
    looks: int
    look_cases: int
    examples: int
    images: int
    passes: int
    judgements: int
    looked: int
    memory: float | None
    hours: float | None
    words: str
    problem: str

    @property
    def minutes(self) -> float | None:
        return None if self.hours is None else self.hours * 60


def estimate(
    base: Editor, config: Config, chosen: Chosen, judges: tuple[int, int], machines: Sequence[Machine] | None = None
) -> Estimate:
    """``judges``: how many give the reward, and how many are held out. ``machines``: those that listen now, if not
    given."""
    cases, fixed = chosen.count(TRAIN), chosen.count(LOOK)
    found = costs.estimate(base.module, config, cases=cases)
    looks = 2 + config.rounds // config.look_every  # the base, every so many rounds, the end
    before = cases * config.samples if not config.is_online and config.data == SAMPLED else 0
    images = config.rounds * found.images + before
    shown = looks * fixed
    machines = fit.workers() if machines is None else machines
    return Estimate(
        cases=cases,
        looks=looks,
        look_cases=fixed,
        examples=len(chosen.examples),
        images=images + shown,
        passes=config.rounds * found.passes + costs.before_training(config, cases) + shown * config.look_steps,
        judgements=images * judges[0],
        looked=shown * sum(judges),
        memory=None if found.memory is None else found.memory / GB,
        hours=None if found.run_seconds is None else found.run_seconds / 3600,
        words=found.words,
        problem=_problem(base, config, found.memory, machines),
    )


def _problem(base: Editor, config: Config, needed: int | None, machines: Sequence[Machine]) -> str:
    """Why no worker that listens now can train it; empty if one can, or if it cannot be told from here."""
    if needed is None or not machines or config.device == "cpu":
        return ""
    if any(not machine.gpus_known for machine in machines):
        return ""
    largest = max((gpu.total for machine in machines for gpu in machine.gpus), default=0)
    if not largest:
        return _("Training this editor needs a GPU, and no worker that listens has one.")
    if needed <= largest:
        return ""
    family = FAMILIES[costs.MODULES[base.module]]
    words = _("Training needs about %(needed).1f GB of GPU memory, and the largest GPU has %(there).1f GB: %(advice)s")
    advice = costs.advice(family, config, largest)
    return words % {"needed": needed / GB, "there": largest / GB, "advice": advice}
