"""The settings of a run as people read them: labels, help, what stands in front and what is folded away."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from training.posttraining import config as known
from training.posttraining.config import PRESETS, Config, preset

MODULES = ("flux_kontext", "qwen_image_edit", "qwen_image_edit_plus", "drawn")  # editors that can be post-trained
YES_NO = (("", ""), ("yes", _("yes")), ("no", _("no")))
SMALL, LARGE = "drawn", "large"  # the two sizes of editors that presets know

PRESET_LABELS = {
    "fast": _("fast: Flow-GRPO with a window of two random steps"),
    "hp-edit": _("hp-edit: every step of the path, as HP-Edit trains"),
    "nft": _("nft: DiffusionNFT, learns from each finished image"),
    "self-dpo": _("self-dpo: pairs of the editor's own edits"),
    "global-dpo": _("global-dpo: pairs of groups that people or a judge have ordered"),
    "sft-topk": _("sft-topk: fine-tuning on the best edits"),
}

FIRST = ("rounds", "groups", "group", "steps", "size", "learning_rate", "lora_rank")
FOLDED = (
    "objective", "data", "samples", "dynamics", "window", "window_from", "window_share", "noise_level", "shared_noise",
    "opposite", "updates", "region", "clip_range", "threshold", "kl", "spread", "least_spread", "advantage_clip",
    "nft_beta", "times", "dpo_beta", "poor", "half", "least_gap", "top", "examples",
    "lora_alpha", "lora_targets", "weight_decay", "warmup", "decay", "clip", "ema",
    "look_every", "look_cases", "look_steps", "most_missing",
    "batch", "checkpointing", "dtype", "seed", "device",
)  # fmt: skip
NAMES = (*FIRST, *FOLDED)

CHOICES: dict[str, tuple[str, ...]] = {
    "objective": known.OBJECTIVES,
    "data": known.DATA,
    "dynamics": known.DYNAMICS,
    "region": known.REGIONS,
    "spread": known.SPREADS,
    "lora_targets": known.TARGETS,
    "dtype": known.DTYPES,
}
CHOICE_LABELS: dict[str, Any] = {
    "grpo": _("GRPO: by the probability of the path"),
    "nft": _("NFT: by the finished image"),
    "awm": _("AWM: by the finished image, weighted by the advantage"),
    "dpo": _("DPO: by pairs"),
    "sft": _("SFT: by the best edits alone"),
    "sampled": _("the editor's own edits, made and judged first"),
    "given": _("edits that are there already"),
    "clip": _("clip the ratio"),
    "guard": _("guard: ratio normalised by the step's noise, then clipped"),
    "dppo": _("dppo: mask what moves too far"),
    "group": _("of the group"),
    "global": _("of the whole rollout"),
    "attention": _("attention alone"),
    "all": _("all linear layers"),
}

LABELS: dict[str, tuple[Any, Any]] = {
    "rounds": (_("Rounds"), _("Rollouts, or optimiser steps where nothing is sampled in between.")),
    "groups": (_("Cases in a round"), ""),
    "group": (_("Edits of each case"), _("They are compared with each other.")),
    "steps": (_("Sampling steps in training"), ""),
    "size": (_("Side of the pictures in work, in pixels"), ""),
    "learning_rate": (_("Learning rate"), ""),
    "lora_rank": (_("LoRA rank"), ""),
    "objective": (_("Objective"), ""),
    "data": (_("Examples of DPO and SFT"), ""),
    "samples": (_("Edits of each case for pairs"), ""),
    "dynamics": (_("Random steps"), _("sde or cps.")),
    "window": (_("Random steps of the path that are trained"), _("0: all that can be.")),
    "window_from": (
        _("Share of the path before the window"),
        _("A group that begins from one noise is one path till then."),
    ),
    "window_share": (_("Share of the path in which the window begins"), _("After the share before it.")),
    "noise_level": (_("Noise of a random step"), ""),
    "shared_noise": (_("A group begins from one noise"), ""),
    "opposite": (_("Random steps in opposite pairs"), _("What the noise alone does cancels within a pair.")),
    "updates": (_("Optimiser steps a round"), ""),
    "region": (_("What holds the new editor near the old one"), ""),
    "clip_range": (_("Clip range"), _("Small: the ratio is a mean over all numbers of a picture.")),
    "threshold": (_("Largest divergence (dppo)"), ""),
    "kl": (_("Weight of the distance from the base"), ""),
    "spread": (_("Spread that divides advantages"), ""),
    "least_spread": (_("Smallest spread of a group"), _("Groups with less teach nothing and are left out.")),
    "advantage_clip": (_("Largest advantage"), ""),
    "nft_beta": (_("Beta of NFT"), ""),
    "times": (_("Noise levels at which NFT and AWM learn from an edit"), ""),
    "dpo_beta": (_("Beta of DPO"), ""),
    "poor": (_("Cases whose edits are all below this reward are left out"), ""),
    "half": (_("Of each task only the better half of the pairs"), ""),
    "least_gap": (
        _("Least difference of a pair (self-dpo)"),
        _("In reward, 0 to 1. Pairs that hardly differ teach little."),
    ),
    "top": (_("Share of the edits that SFT keeps"), ""),
    "examples": (_("Pairs or edits of one optimiser step (DPO, SFT)"), ""),
    "lora_alpha": (_("LoRA alpha"), ""),
    "lora_targets": (_("Layers with a LoRA"), ""),
    "weight_decay": (_("Weight decay"), ""),
    "warmup": (_("Optimiser steps in which the rate rises"), ""),
    "decay": (_("The learning rate falls to zero by the end"), ""),
    "clip": (_("Largest gradient norm"), _("0: it is not clipped.")),
    "ema": (_("Decay of the averaged weights"), _("0: none. Averaged weights are looked at and kept.")),
    "look_every": (_("Rounds between two looks at the fixed cases"), ""),
    "look_cases": (_("Fixed cases, at most"), ""),
    "look_steps": (_("Sampling steps of a look"), ""),
    "most_missing": (_("Share of missing judgements that ends the run"), ""),
    "batch": (_("Samples in one forward pass"), ""),
    "checkpointing": (_("Compute activations twice"), _("Less memory, about a third more time.")),
    "dtype": (_("Numbers of the frozen weights"), _("The LoRA and the path are always float32.")),
    "seed": (_("Seed"), _("The same seed gives the same run on the CPU.")),
    "device": (_("Device"), _("auto, cpu, cuda or cuda:N.")),
}


def size_of(module: str) -> str:
    """Which of the two sizes of presets an editor module has."""
    return SMALL if module == "drawn" else LARGE


def module_of(size: str) -> str:
    return SMALL if size == SMALL else ""


def field_of(name: str, shown: str) -> forms.Field:
    """The field of a setting: empty stands for the value of the preset, ``shown``."""
    label, help_text = LABELS[name]
    told: dict[str, Any] = {"label": label, "help_text": help_text, "required": False}
    default = getattr(Config(), name)
    as_preset = _t("as the preset: %(value)s") % {"value": shown}
    if name in CHOICES or isinstance(default, bool):
        pairs = [(one, CHOICE_LABELS.get(one, one)) for one in CHOICES.get(name, ())] or YES_NO[1:]
        field: forms.Field = forms.ChoiceField(choices=[("", as_preset), *pairs], **told)
    elif isinstance(default, str):
        field = forms.CharField(max_length=100, **told)
    else:
        kind = forms.IntegerField if isinstance(default, int) else forms.FloatField
        field = kind(widget=forms.NumberInput(attrs={"step": 1 if kind is forms.IntegerField else "any"}), **told)
    if not isinstance(field, forms.ChoiceField):
        field.widget.attrs["placeholder"] = shown
    field.widget.attrs["data-setting"] = name
    return field


def value_of(name: str, given: Any) -> Any:
    """As the configuration has it; None where nothing was given."""
    if given in ("", None):
        return None
    return given == "yes" if isinstance(getattr(Config(), name), bool) else given


def shown_values(config: Config) -> dict[str, str]:
    """What a field that is empty stands for."""
    return {name: _shown(getattr(config, name)) for name in NAMES}


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return _t("yes") if value else _t("no")
    return f"{value:g}" if isinstance(value, float) else str(CHOICE_LABELS.get(value, value))


def preset_values() -> dict[str, dict[str, dict[str, str]]]:
    """By the size of the editor and the preset's name."""
    return {size: {name: shown_values(preset(name, module_of(size))) for name in PRESETS} for size in (SMALL, LARGE)}
