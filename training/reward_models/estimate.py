"""What a training will take, before it is started: passes over the set, pictures, memory, and whether a worker has it.

Memory of a vision-language model, besides what it takes as a judge (training/gpu/vlm/needs.py):

    training  all weights: gradient and two moments of each in float32; LoRA: the same of the adapters alone
    work      tokens of a group × what a layer keeps, × layers unless activations are computed twice

An estimate from shapes, not a measurement. The job looks again where it is the model's turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scoring.judging.contract import JudgeError
from training.fit import workers
from training.gpu.vlm import needs, weights
from training.gpu.vlm.settings import Settings
from training.judges import problem_on
from training.memory import GB
from training.models import LabelledSet
from training.rewards.config import Config
from training.rewards.groups import DEV, TRAIN
from webapp.jobs.machine import Machine

WORDS = 300  # tokens of rubric, instruction and reward tokens
STATE = 12  # bytes of a number that is trained: gradient and Adam's two moments, float32
ADAPTED = 0.02  # at rank 16: adapters' numbers as a share of the weights
RANK = 16


@dataclass(frozen=True)
class Estimate:
    """``passes`` over the training part. ``pictures`` that the network sees, looks at the held-out part included.
    ``needed``: memory, for a network whose weights could be read here. ``problem``: why no worker can run it now."""

    groups: int
    dev: int
    seen: int
    pictures: int
    looks: int
    needed: needs.Needs | None
    problem: str

    @property
    def passes(self) -> float:
        return self.seen / max(1, self.groups)

    @property
    def parts(self) -> list[tuple[str, float]]:
        """Gigabytes by part."""
        return [(name, value / GB) for name, value in self.needed.parts.items()] if self.needed else []

    @property
    def total(self) -> float:
        return self.needed.total / GB if self.needed else 0.0


def estimate(labelled_set: LabelledSet, config: Config, machines: Sequence[Machine] | None = None) -> Estimate:
    """``machines``: those that listen now, if not given."""
    splits = labelled_set.facts.get("splits") or {}
    groups, dev = int(splits.get(TRAIN, 0)), int(splits.get(DEV, 0))
    size = labelled_set.candidates / max(1, labelled_set.groups)
    seen, looks = config.steps * config.batch * config.accumulate, -(-config.steps // config.eval_every)
    pictures = round((seen + looks * dev) * (1 + min(size, config.most_candidates)))
    needed = needed_by(config, min(size, config.most_candidates))
    return Estimate(groups, dev, seen, pictures, looks, needed, _problem(needed, config, machines))


def needed_by(config: Config, candidates: float) -> needs.Needs | None:
    """None for the small network, and where the model's folder is not on this machine."""
    if config.backbone != "transformers":
        return None
    lora = config.lora_rank > 0
    dtype = config.dtype if lora else "float32"
    settings = Settings(config.model, config.revision, dtype, config.device, max_side=config.max_side)
    try:
        found = weights.find(settings)
        base = needs.needs(found, settings)
        numbers = weights.parameters(found)
    except (JudgeError, ValueError, OSError):
        return None
    trained = numbers * (ADAPTED * config.lora_rank / RANK if lora else 1.0)
    side = needs.picture_tokens(found.config, config.max_side)
    tokens = (WORDS + (1 + candidates) * side) * config.batch
    judged = needs.PICTURES * side + needs.WORDS + settings.max_tokens
    layers = 1 if config.checkpointing else _layers(found.config)
    parts = {
        "weights": base.parts["weights"],
        "training": round(trained * STATE),
        "work": round(base.parts["work"] / judged * tokens * layers),
        "reserve": base.parts["reserve"],
    }
    return needs.Needs(base.name, base.dtype, parts)


def _layers(config: dict[str, Any]) -> int:
    text = config.get("text_config")
    count = (text if isinstance(text, dict) else config).get("num_hidden_layers")
    return count if type(count) is int and count > 0 else 1


def _problem(needed: needs.Needs | None, config: Config, machines: Sequence[Machine] | None) -> str:
    machines = workers() if machines is None else machines
    if needed is None or not machines:
        return ""
    found = [problem_on(needed, config.device, machine) for machine in machines]
    return "" if not all(found) else min(found, key=len)
