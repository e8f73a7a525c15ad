"""How a reward model is trained: one typed value, with presets of the papers. Pure.

- ``editreward``: one score from the mean of the dimensions, uncertainty ranking (EditReward, section 2.2).
- ``edithf``: text levels, then MOS, then pairs from large gaps to small (EditHF-1M, section 4.2).
- ``editloop``: group Bradley-Terry with ties in each dimension, and an anchor at people's ratings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from training.gpu.diffusion.settings import DEVICE, YES_NO, Check, number, one_of, text, whole

RANKINGS = ("uncertainty", "uncertainty-logistic", "bradley-terry", "rao-kupper", "davidson", "plackett-luce", "none")
TEXT, POINT, PAIR, BOTH = "text", "point", "pair", "both"
STAGES = (TEXT, POINT, PAIR, BOTH)
AGGREGATES = ("mean", "min", "sum")
DTYPES = ("float32", "bfloat16")
# What the drawn world's small network has not: it computes in float32, from weights and for pictures of one kind
NOT_DRAWN = (
    "model", "revision", "lora_rank", "lora_alpha", "train_vision", "cache_features", "checkpointing", "max_side",
    "dtype",
)  # fmt: skip


class WrongConfig(Exception):
    """A setting cannot be used. The message is shown to the user."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of training. ``share`` of all steps; ``objective``: one of STAGES, "both" is ranking and anchor together;
    ``large_gaps_first``: pairs come in from the largest gap on, all of them by the end of the stage."""

    objective: str
    share: float = 1.0
    large_gaps_first: bool = False


@dataclass(frozen=True, slots=True)
class Config:
    """``backbone``: a folder of training/gpu/reward. ``model``: a folder on the machine or a Hub id, for those that
    have one. ``fused``: the ranking loss is on the aggregate of the dimensions, not on each. ``batch``: groups a step
    and device; ``accumulate``: such batches a step. ``anchor``, ``centring``: weights of those terms. ``lora_rank`` 0
    trains all weights. ``patience``: looks at the held-out part without a better NLL before it stops; 0: never.
    """

    backbone: str = "drawn"
    model: str = ""
    revision: str = ""
    preset: str = "editloop"
    ranking: str = "rao-kupper"
    fused: bool = False
    aggregate: str = "mean"
    anchor: float = 0.5
    centring: float = 0.01
    stages: tuple[Stage, ...] = (Stage(BOTH),)
    steps: int = 160
    batch: int = 16
    accumulate: int = 1
    learning_rate: float = 3e-4
    weight_decay: float = 0.01
    warmup: float = 0.05
    clip: float = 1.0
    seed: int = 0
    eval_every: int = 25
    patience: int = 6
    most_candidates: int = 23
    lora_rank: int = 16
    lora_alpha: int = 32
    train_vision: bool = True
    cache_features: bool = False
    checkpointing: bool = False
    dtype: str = "float32"
    max_side: int = 448
    device: str = "auto"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Config:
        """A checked configuration; what is not named has the value of the preset. Raises WrongConfig."""
        known = {one.name for one in fields(cls)}
        if unknown := sorted(set(value) - known):
            raise WrongConfig(
                f"There is no setting {', '.join(unknown)}. The settings are: {', '.join(sorted(known))}."
            )
        preset = value.get("preset", cls().preset)
        if not isinstance(preset, str) or preset not in PRESETS:
            raise WrongConfig(f"There is no preset {preset!r:.100}. The presets are: {', '.join(PRESETS)}.")
        base = PRESETS[preset]
        try:
            stages = tuple(Stage(**stage) for stage in value.get("stages", map(asdict, base.stages)))
        except TypeError as error:
            raise WrongConfig(f"The setting stages cannot be read: {error}.") from None
        found = replace(base, **{**value, "stages": stages})
        found.check()
        return found

    def check(self) -> None:
        """Raises WrongConfig for the first value that is not allowed."""
        for name, check in CHECKS.items():
            if not check.test(getattr(self, name)):
                raise WrongConfig(f"The setting {name} must be {check.words}; it is {getattr(self, name)!r:.100}.")
        if abs(sum(stage.share for stage in self.stages) - 1) > 1e-6:
            raise WrongConfig("The shares of the stages must add up to 1.")
        if self.ranking == "none" and not self.anchor and any(stage.objective == BOTH for stage in self.stages):
            raise WrongConfig("Without a ranking and with anchor 0 there is nothing to learn in a stage both.")
        if self.cache_features and self.train_vision:
            raise WrongConfig("Features can be cached only where the vision tower is frozen: untick one of the two.")
        self._check_gaps()
        for name in NOT_DRAWN if self.backbone == "drawn" else ():
            if getattr(self, name) != getattr(DEFAULT, name):
                raise WrongConfig(
                    f"The setting {name} does nothing with the backbone drawn: leave it at "
                    f"{getattr(DEFAULT, name)!r}, or choose the backbone transformers."
                )

    def _check_gaps(self) -> None:
        for stage in self.stages:
            if stage.large_gaps_first and (stage.objective not in (PAIR, BOTH) or self.ranking == "none"):
                raise WrongConfig(
                    f"A stage {stage.objective} with the ranking {self.ranking} does not learn from pairs: leave out "
                    "its large gaps first."
                )


def _is_stage(stage: Stage) -> bool:
    return stage.objective in STAGES and type(stage.share) in (int, float) and 0 < stage.share <= 1


CHECKS: Mapping[str, Check] = {
    "backbone": text(500),
    "model": text(500),
    "revision": text(500),
    "preset": text(500),
    "ranking": one_of(*RANKINGS),
    "fused": YES_NO,
    "aggregate": one_of(*AGGREGATES),
    "anchor": number(0, 100),
    "centring": number(0, 100),
    "stages": Check("a list of stages, each with its share", lambda value: bool(value) and all(map(_is_stage, value))),
    "steps": whole(1, 1_000_000),
    "batch": whole(1, 1024),
    "accumulate": whole(1, 1024),
    "learning_rate": number(1e-8, 1),
    "weight_decay": number(0, 1),
    "warmup": number(0, 0.5),
    "clip": number(0, 1000),
    "seed": whole(0, 2**31 - 1),
    "eval_every": whole(1, 100_000),
    "patience": whole(0, 1000),
    "most_candidates": whole(2, 64),
    "lora_rank": whole(0, 512),
    "lora_alpha": whole(1, 1024),
    "train_vision": YES_NO,
    "cache_features": YES_NO,
    "checkpointing": YES_NO,
    "dtype": one_of(*DTYPES),
    "max_side": whole(32, 2048),
    "device": Check(
        "auto, cpu, cuda or cuda:N", lambda value: isinstance(value, str) and bool(DEVICE.fullmatch(value))
    ),
}

DEFAULT = Config()
PRESETS: Mapping[str, Config] = {
    "editloop": DEFAULT,
    "editreward": Config(preset="editreward", ranking="uncertainty", fused=True, anchor=0.1, stages=(Stage(BOTH),)),
    "edithf": Config(
        preset="edithf",
        ranking="bradley-terry",
        anchor=1.0,
        centring=0.0,
        stages=(Stage(TEXT, 0.3), Stage(POINT, 0.3), Stage(PAIR, 0.4, large_gaps_first=True)),
    ),
}
