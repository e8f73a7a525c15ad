"""How an editor is post-trained: one typed value, with presets. Pure.

- ``fast``: Flow-GRPO with an SDE window of two steps, one noise for a group, the group's own spread.
- ``hp-edit``: as HP-Edit trains (section 3.4): every step of the path, advantages by the
  group's own spread (equation 3), LoRA of rank 32, AdamW at 3e-4.
- ``nft``: DiffusionNFT: samples by the ODE alone, and learns from each finished image.
- ``self-dpo``, ``global-dpo``: Flow-DPO on pairs of the editor's own samples, or of human-ranked groups (HP-Edit).
- ``sft-topk``: fine-tuning on the best edits by the reward.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from training.gpu.diffusion.settings import DEVICE, YES_NO, Check, number, one_of, text, whole

GRPO, NFT, AWM, DPO, SFT = "grpo", "nft", "awm", "dpo", "sft"
OBJECTIVES = (GRPO, NFT, AWM, DPO, SFT)
ONLINE = (GRPO, NFT, AWM)  # sample in every round; the others learn from examples that are there before training
SDE, CPS = "sde", "cps"
DYNAMICS = (SDE, CPS)
CLIP, GUARD, DPPO = "clip", "guard", "dppo"
REGIONS = (CLIP, GUARD, DPPO)
GROUP, GLOBAL = "group", "global"
SPREADS = (GROUP, GLOBAL)
SAMPLED, GIVEN = "sampled", "given"
DATA = (SAMPLED, GIVEN)
TARGETS = ("attention", "all")
FLOAT32, BFLOAT16 = "float32", "bfloat16"
DTYPES = (FLOAT32, BFLOAT16)


class WrongConfig(Exception):
    """A setting cannot be used. The message is shown to the user."""


@dataclass(frozen=True, slots=True)
class Config:
    """Sampling: ``groups`` cases a rollout, ``group`` samples a case, ``steps`` of the path, at ``size`` pixels.
    ``window``: how many steps of the path are random and trained, 0 for all that can be; it begins in the
    ``window_share`` of the path after its first ``window_from``, at a place that depends on the seed and the rollout
    alone. ``noise_level``: a of the SDE or of CPS. ``shared_noise``: a group begins from one noise; it is then one path
    until the window begins, and its first random step is computed once. ``opposite``: the samples of a group go in
    pairs whose random steps take opposite noises, so that what the noise alone does cancels.

    Update: ``updates`` optimiser steps a rollout. ``region``: what holds the policy near that of the rollout, with
    ``clip_range``, or for dppo the ``threshold`` of its divergence. ``kl``: weight of the velocity's squared distance
    from the base. ``spread``: whose standard deviation divides advantages, with the floor ``least_spread``; groups
    with less are left out where it is the group's. ``advantage_clip``: largest advantage.

    ``nft_beta``: how far apart DiffusionNFT's implicit policies lie. ``times``: noise levels at which nft and awm learn
    from each sample of a round. ``decay``: the learning rate falls to zero by the end.
    ``ema``: decay of the averaged weights, which are
    looked at and kept; 0: none. Offline: ``data`` given or sampled; ``samples`` a case, ``dpo_beta``, ``poor``: cases
    whose samples are all below it (on the reward's 0..1) are dropped; ``half``: of each task the pairs with the lower
    chosen score are dropped; ``least_gap``: so are pairs of one's own samples whose rewards lie nearer together;
    ``top``: share of the examples that sft keeps; ``rounds`` is then the optimiser steps, each of ``examples`` pairs or
    pictures.

    ``look_every`` rounds the ``look_cases`` fixed cases are edited with ``look_steps`` and judged. ``batch``: samples
    in one forward pass. ``most_missing``: share of missing judgements that ends the run.
    """

    preset: str = "fast"
    objective: str = GRPO
    rounds: int = 80
    groups: int = 8
    group: int = 12
    steps: int = 10
    size: int = 512
    window: int = 2
    window_from: float = 0.0
    window_share: float = 0.5
    dynamics: str = SDE
    noise_level: float = 0.7
    shared_noise: bool = True
    opposite: bool = False
    updates: int = 2
    region: str = CLIP
    clip_range: float = 1e-4
    threshold: float = 1e-5
    kl: float = 0.0
    spread: str = GROUP
    least_spread: float = 1e-3
    advantage_clip: float = 5.0
    nft_beta: float = 1.0
    times: int = 2
    data: str = SAMPLED
    samples: int = 20
    dpo_beta: float = 2000.0
    poor: float = 0.2
    half: bool = True
    least_gap: float = 0.0
    top: float = 0.45
    examples: int = 16
    lora_rank: int = 32
    lora_alpha: int = 64
    lora_targets: str = "attention"
    learning_rate: float = 3e-4
    weight_decay: float = 0.0
    warmup: int = 0
    decay: bool = False
    clip: float = 1.0
    ema: float = 0.0
    look_every: int = 10
    look_cases: int = 32
    look_steps: int = 28
    batch: int = 8
    checkpointing: bool = True
    dtype: str = BFLOAT16
    most_missing: float = 0.2
    seed: int = 0
    device: str = "auto"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any], editor: str = "") -> Config:
        """A checked configuration; what is not named has the value of the preset for that editor module. Raises
        WrongConfig."""
        known = {one.name for one in fields(cls)}
        if unknown := sorted(set(value) - known):
            raise WrongConfig(
                f"There is no setting {', '.join(unknown)}. The settings are: {', '.join(sorted(known))}."
            )
        found = replace(preset(value.get("preset", cls().preset), editor), **value)
        found.check()
        return found

    def check(self) -> None:
        """Raises WrongConfig for the first value that is not allowed."""
        for name, check in CHECKS.items():
            if not check.test(getattr(self, name)):
                raise WrongConfig(f"The setting {name} must be {check.words}; it is {getattr(self, name)!r:.100}.")
        if self.window >= self.steps:
            raise WrongConfig(
                f"The window has {self.window} of {self.steps} steps: the last step is never trained. "
                "Take fewer steps for it, or 0 for all that can be."
            )
        if self.dynamics == CPS and self.noise_level > 1:
            raise WrongConfig("With the dynamics cps the noise_level is 1 at most: then all noise is new.")

    @property
    def is_online(self) -> bool:
        return self.objective in ONLINE


CHECKS: Mapping[str, Check] = {
    "preset": text(100),
    "objective": one_of(*OBJECTIVES),
    "rounds": whole(1, 1_000_000),
    "groups": whole(1, 4096),
    "group": whole(2, 256),
    "steps": whole(2, 100),
    "size": whole(64, 2048),
    "window": whole(0, 99),
    "window_from": number(0, 1),
    "window_share": number(0, 1),
    "dynamics": one_of(*DYNAMICS),
    "noise_level": number(0.01, 5),
    "shared_noise": YES_NO,
    "opposite": YES_NO,
    "updates": whole(1, 100),
    "region": one_of(*REGIONS),
    "clip_range": number(1e-8, 1),
    "threshold": number(1e-10, 1),
    "kl": number(0, 1000),
    "spread": one_of(*SPREADS),
    "least_spread": number(1e-8, 1),
    "advantage_clip": number(0.1, 100),
    "nft_beta": number(0.01, 10),
    "times": whole(1, 100),
    "data": one_of(*DATA),
    "samples": whole(2, 256),
    "dpo_beta": number(0.01, 1e6),
    "poor": number(0, 1),
    "half": YES_NO,
    "least_gap": number(0, 1),
    "top": number(0.001, 1),
    "examples": whole(1, 4096),
    "lora_rank": whole(1, 512),
    "lora_alpha": whole(1, 1024),
    "lora_targets": one_of(*TARGETS),
    "learning_rate": number(1e-8, 1),
    "weight_decay": number(0, 1),
    "warmup": whole(0, 100_000),
    "decay": YES_NO,
    "clip": number(0, 1000),
    "ema": number(0, 0.9999),
    "look_every": whole(1, 100_000),
    "look_cases": whole(1, 4096),
    "look_steps": whole(1, 100),
    "batch": whole(1, 4096),
    "checkpointing": YES_NO,
    "dtype": one_of(*DTYPES),
    "most_missing": number(0, 1),
    "seed": whole(0, 2**31 - 1),
    "device": Check(
        "auto, cpu, cuda or cuda:N", lambda value: isinstance(value, str) and bool(DEVICE.fullmatch(value))
    ),
}

DEFAULT = Config()
PRESETS: Mapping[str, Config] = {
    "fast": DEFAULT,
    "hp-edit": replace(DEFAULT, preset="hp-edit", window=0, shared_noise=False, kl=0.04),
    "nft": replace(DEFAULT, preset="nft", objective=NFT, steps=6, shared_noise=False, updates=1),
    "self-dpo": replace(DEFAULT, preset="self-dpo", objective=DPO, rounds=400, look_every=50),
    "global-dpo": replace(DEFAULT, preset="global-dpo", objective=DPO, data=GIVEN, rounds=400, look_every=50),
    "sft-topk": replace(DEFAULT, preset="sft-topk", objective=SFT, rounds=400, look_every=50),
}
# The CPU editor is a thousandth of the size: it learns faster, and checkpointing does not help it. Its dtype is that of
# the steps from which nothing is learned; all else is float32.
# docs/experiments.md tells what these values come from.
SMALL: dict[str, Any] = {
    "size": 64, "steps": 4, "look_steps": 8, "look_cases": 64, "batch": 96, "checkpointing": False,
    "dtype": BFLOAT16, "lora_rank": 16, "lora_alpha": 32, "learning_rate": 1e-3, "lora_targets": "all",
    "updates": 1, "least_spread": 1e-2,
}  # fmt: skip
DRAWN: Mapping[str, Mapping[str, Any]] = {
    # Few steps, many rounds; the reward map that goes with it is straight (alpha 1, beta 2.5). One random step, and one
    # noise for a group: all of a group are at one place when it comes, so its velocity is
    # computed once for them all, in sampling and in training. A random step at the beginning makes samples differ more,
    # so that a learned reward can tell them apart.
    "fast": {
        "steps": 3,
        "window": 1,
        "window_from": 0.0,
        "window_share": 0.5,
        "learning_rate": 1e-3,
        "warmup": 10,
        "decay": True,
        "ema": 0.95,
        "rounds": 380,
        "look_every": 40,
    },
    "nft": {"steps": 4, "times": 1, "warmup": 5, "ema": 0.9, "rounds": 60},
    # Few pairs are learned by heart: many cases with few samples, and none dropped
    "self-dpo": {
        "steps": 8,
        "dpo_beta": 500.0,
        "warmup": 5,
        "decay": True,
        "rounds": 90,
        "samples": 4,
        "half": False,
        "examples": 32,
        "ema": 0.95,
    },
    "global-dpo": {"dpo_beta": 500.0, "learning_rate": 5e-4, "rounds": 225},
}


def preset(name: object, editor: str = "") -> Config:
    """The preset as it is for that editor module ("drawn": the CPU editor). Raises WrongConfig."""
    if not isinstance(name, str) or name not in PRESETS:
        raise WrongConfig(f"There is no preset {name!r:.100}. The presets are: {', '.join(PRESETS)}.")
    found = PRESETS[name]
    return replace(found, **{**SMALL, **DRAWN.get(name, {})}) if editor == "drawn" else found
