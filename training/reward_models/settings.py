"""The settings of a training as people read them: labels, help, what stands in front and what is folded away."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from training.rewards.config import AGGREGATES, DTYPES, RANKINGS

BACKBONES = (
    ("drawn", _("The small network of the drawn world")),
    ("transformers", _("A vision-language model by transformers")),
)
PRESET_LABELS = {
    "editloop": _("editloop: groups with ties in each dimension, anchored at people's ratings"),
    "editreward": _("editreward: one score from the dimensions, with its doubt"),
    "edithf": _("edithf: levels in words, then ratings, then pairs from large gaps to small"),
}
RANKING_LABELS = {
    "uncertainty": _("Uncertainty: chance that a Gaussian is above another"),
    "uncertainty-logistic": _("Uncertainty, logistic"),
    "bradley-terry": _("Bradley–Terry, without ties"),
    "rao-kupper": _("Bradley–Terry with ties (Rao–Kupper)"),
    "davidson": _("Bradley–Terry with ties (Davidson)"),
    "plackett-luce": _("Plackett–Luce with ties: whole orders"),
    "none": _("None: ratings alone"),
}
AGGREGATE_LABELS = {"mean": _("Mean"), "min": _("The lowest"), "sum": _("Sum")}
OBJECTIVE_LABELS = {
    "text": _("levels in words"),
    "point": _("ratings"),
    "pair": _("pairs"),
    "both": _("pairs and ratings together"),
}

FIRST = ("backbone", "model", "revision", "steps", "batch", "learning_rate")
FOLDED = (
    "ranking", "fused", "aggregate", "anchor", "centring", "stages",
    "accumulate", "weight_decay", "warmup", "clip", "seed", "eval_every", "patience", "most_candidates",
    "lora_rank", "lora_alpha", "train_vision", "cache_features", "checkpointing", "dtype", "max_side", "device",
)  # fmt: skip

LABELS: dict[str, tuple[Any, Any]] = {
    "backbone": (_("Network"), _("What reads the pictures and the instruction.")),
    "model": (
        _("Model of the vision-language network"),
        _("A folder on the GPU machine, or a name in its Hugging Face cache. Nothing is downloaded."),
    ),
    "revision": (_("Revision of the Hub id"), ""),
    "steps": (_("Steps"), _("It stops earlier where the held-out part gets no better.")),
    "batch": (_("Groups in a batch"), ""),
    "learning_rate": (_("Learning rate"), ""),
    "ranking": (_("Ranking loss"), ""),
    "fused": (_("Rank by the aggregate instead of each dimension"), ""),
    "aggregate": (_("How dimensions become one score"), ""),
    "anchor": (_("Weight of people's ratings"), _("Holds the scores on people's scale. 0: pairs alone.")),
    "centring": (_("Weight of centring"), _("Keeps the mean score in the middle where pairs alone would not.")),
    "stages": (
        _("Stages"),
        _("One a line: objective (text, point, pair, both), its share of the steps, “gaps” for large gaps first."),
    ),
    "accumulate": (_("Batches a step"), _("Their gradients are added up: more groups a step in the same memory.")),
    "weight_decay": (_("Weight decay"), ""),
    "warmup": (_("Share of the steps in which the rate rises"), ""),
    "clip": (_("Largest gradient norm"), _("0: it is not clipped.")),
    "seed": (_("Seed"), _("The same seed and set give the same model on the CPU.")),
    "eval_every": (_("Steps between two looks at the held-out part"), ""),
    "patience": (_("Looks without a better NLL before it stops"), _("0: it goes on to the end.")),
    "most_candidates": (_("Candidates of a group at once"), _("Of larger groups so many are drawn in each step.")),
    "lora_rank": (_("LoRA rank"), _("0: all weights are trained.")),
    "lora_alpha": (_("LoRA alpha"), ""),
    "train_vision": (_("Train the vision tower"), ""),
    "cache_features": (_("Keep the pictures' features"), _("Only where the vision tower is not trained.")),
    "checkpointing": (_("Compute activations twice"), _("Less memory, about a third more time.")),
    "dtype": (_("Numbers of the network"), _("The heads are always computed in float32.")),
    "max_side": (_("Longer side of a picture at most, in pixels"), ""),
    "device": (_("Device"), _("auto, cpu, cuda or cuda:N.")),
}

FIELDS: dict[str, forms.Field] = {
    "backbone": forms.ChoiceField(choices=BACKBONES, required=False),
    "model": forms.CharField(max_length=500, required=False),
    "revision": forms.CharField(max_length=100, required=False),
    "ranking": forms.ChoiceField(choices=[(name, RANKING_LABELS[name]) for name in RANKINGS], required=False),
    "aggregate": forms.ChoiceField(choices=[(name, AGGREGATE_LABELS[name]) for name in AGGREGATES], required=False),
    "dtype": forms.ChoiceField(choices=[(name, name) for name in DTYPES], required=False),
    "device": forms.CharField(max_length=10, required=False),
    "stages": forms.CharField(widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}), required=False),
    **{name: forms.BooleanField(required=False) for name in (
        "fused", "train_vision", "cache_features", "checkpointing",
    )},
    **{name: forms.FloatField(required=False, widget=forms.NumberInput(attrs={"step": "any"})) for name in (
        "learning_rate", "anchor", "centring", "weight_decay", "warmup", "clip",
    )},
    **{name: forms.IntegerField(required=False) for name in (
        "steps", "batch", "accumulate", "seed", "eval_every", "patience", "most_candidates", "lora_rank", "lora_alpha",
        "max_side",
    )},
}  # fmt: skip
