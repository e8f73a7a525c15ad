"""The forms of benchmarks of editors."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from annotation.models import Dataset, Editor, Split
from scoring.asking.forms import CostLimit
from scoring.models import Judge
from training.editor_benchmarks.likeness import CLIP, DINO, check_model
from training.models import EditorBenchmark, Language, Style

MOST_SEEDS = 32


class EditorsForm(forms.Form):
    """Who takes part, and whom the others are compared with."""

    editors = forms.ModelMultipleChoiceField(
        label=_("Editors"),
        queryset=Editor.objects.makers().order_by("slug"),
        to_field_name="slug",
        widget=forms.CheckboxSelectMultiple,
    )
    base = forms.ModelChoiceField(
        label=_("Base"),
        queryset=Editor.objects.makers().order_by("slug"),
        to_field_name="slug",
        help_text=_("The others are compared with it on the same cases."),
    )

    def __init__(self, data: Any = None, *, benchmark: EditorBenchmark | None = None, **more: Any) -> None:
        if benchmark is not None:
            chosen = list(benchmark.editors.values_list("slug", flat=True))
            more["initial"] = {"editors": chosen, "base": benchmark.base.slug if benchmark.base else ""}
        super().__init__(data, **more)


class NewForm(EditorsForm):
    name = forms.CharField(label=_("Name"), max_length=120)
    style = forms.ChoiceField(label=_("Style"), choices=Style.choices)
    dataset = forms.ModelChoiceField(
        label=_("Data set"), queryset=Dataset.objects.order_by("name"), to_field_name="slug", empty_label=None
    )
    split = forms.ChoiceField(
        label=_("Split"),
        required=False,
        choices=[("", _("all cases")), *Split.choices],
        help_text=_("Use cases that no editor was trained on."),
    )
    language = forms.ChoiceField(
        label=_("Instructions"),
        choices=Language.choices,
        initial=Language.EN,
        help_text=_("Chinese: a data set of the same cases with their Chinese instructions is made, with own images."),
    )
    judge = forms.ModelChoiceField(
        label=_("Judge"),
        required=False,
        queryset=Judge.objects.order_by("name"),
        to_field_name="slug",
        help_text=_("Not needed for DreamBench++. A reward model is a judge, too."),
    )
    seeds = forms.IntegerField(label=_("Images a case and editor"), min_value=1, max_value=MOST_SEEDS, initial=1)
    dino = forms.CharField(
        label=_("DINO weights"),
        required=False,
        max_length=300,
        initial=DINO,
        help_text=_("For DreamBench++: a folder on the GPU machine, or a name in its cache. Nothing is downloaded."),
    )
    clip = forms.CharField(label=_("CLIP weights"), required=False, max_length=300, initial=CLIP)
    order = ("name", "style", "dataset", "split", "language", "editors", "base", "judge", "seeds", "dino", "clip")

    def __init__(self, data: Any = None, **more: Any) -> None:
        super().__init__(data, **more)
        self.order_fields(list(self.order))

    def clean_dino(self) -> str:
        return _model(self.cleaned_data["dino"])

    def clean_clip(self) -> str:
        return _model(self.cleaned_data["clip"])

    def wish(self) -> dict[str, Any]:
        """The arguments of ``services.create``, without the person."""
        data = dict(self.cleaned_data)
        models = {name: data.pop(name) for name in ("dino", "clip")}
        return {**data, "editors": list(data["editors"]), "models": models}


def _model(name: str) -> str:
    return check_model(name) if name else ""


class FillForm(CostLimit):
    most_cost = forms.FloatField(
        label=_("Spend at most"),
        required=False,
        help_text=_("In the currency of the endpoint's prices. Empty: no limit."),
        widget=forms.NumberInput(attrs={"step": "any", "min": 0}),
    )
