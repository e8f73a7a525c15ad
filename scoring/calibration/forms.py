"""The forms of a calibration."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from annotation.models import Study
from scoring.models import Judge, Method, Prompt


class CalibrationForm(forms.Form):
    """What is calibrated against whom. ``study`` and ``dimension`` are one choice: a dimension belongs to a study."""

    prompt = forms.ModelChoiceField(Prompt.objects.none(), label=_("Scoring prompt"), to_field_name="slug")
    people = forms.ChoiceField(label=_("Human scores"))
    method = forms.ChoiceField(
        label=_("How several people's scores become one"), choices=Method.choices, initial=Method.MEAN
    )
    judge = forms.ModelChoiceField(Judge.objects.none(), label=_("Judge"), to_field_name="slug")
    held_out = forms.IntegerField(
        label=_("Held-out part, in percent of the source images"),
        min_value=10,
        max_value=90,
        initial=50,
        help_text=_("The prompt is written against the rest, and accepted on this part, which it never saw."),
    )
    name = forms.CharField(
        label=_("Name"), max_length=120, required=False, help_text=_("Empty: made of prompt and study.")
    )

    def __init__(self, *args: Any, people: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["prompt"].queryset = Prompt.objects.select_related("task")  # type: ignore[attr-defined]
        self.fields["judge"].queryset = Judge.objects.all()  # type: ignore[attr-defined]
        self.fields["people"].choices = people  # type: ignore[attr-defined]

    def values(self) -> dict[str, Any]:
        """The arguments of ``create_calibration`` but for who makes it."""
        data = self.cleaned_data
        uid, _sep, dimension = data["people"].partition("/")
        study = Study.objects.get(uid=uid)
        return {
            "name": data["name"] or f"{data['prompt']} · {study}, {study.protocol.dimension(dimension).label}"[:120],
            "prompt": data["prompt"],
            "study": study,
            "dimension": dimension,
            "method": data["method"],
            "judge": data["judge"],
            "held_out": data["held_out"] / 100,
        }


class LimitForm(forms.Form):
    most_cost = forms.FloatField(
        label=_("Spend at most"), min_value=0, required=False, help_text=_("Empty: no limit. The job stops there.")
    )


class ActivateForm(forms.Form):
    note = forms.CharField(label=_("Why"), max_length=500, required=False)
    with_level = forms.BooleanField(label=_("Apply the level map to its scores"), required=False)


class UnclearForm(forms.Form):
    candidate = forms.IntegerField(widget=forms.HiddenInput)
    note = forms.CharField(label=_("What does the guideline leave open?"), max_length=2000)


class SettleForm(forms.Form):
    words = forms.CharField(
        label=_("For the guidelines"), max_length=5000, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )
