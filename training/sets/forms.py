"""The forms of training sets: a new one from studies, one from others' files, another name."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from annotation.models import Study, Task
from training.rewards.layouts import layout
from training.sets.imports import TRAINING
from training.sets.wishes import MEAN, TIE, Wish

STUDIES = 200  # newest, that the form offers


class NewSetForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=120)
    studies = forms.ModelMultipleChoiceField(
        label=_("Studies"),
        queryset=Study.objects.none(),
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Studies that ask for the same dimension are joined: their annotators are one panel."),
    )
    dimensions = forms.MultipleChoiceField(
        label=_("Dimensions (none chosen: all)"), required=False, widget=forms.CheckboxSelectMultiple
    )
    method = forms.ChoiceField(
        label=_("Opinion scores"),
        initial=MEAN,
        choices=[
            ("mean", _("Plain means, as on the study's page")),
            ("corrected", _("Corrected for bias and inconsistency of annotators")),
            ("p910", _("ITU-T P.910")),
            ("zscore", _("Z-scores 0 to 100 (only where people's scale is 0 to 100)")),
        ],
        help_text=_("Scores stay on people's scale: a model's scores are read on it."),
    )
    contested = forms.BooleanField(
        label=_("Keep contested groups"),
        initial=True,
        required=False,
        help_text=_("Groups whose annotators agree less than their study asks for."),
    )
    both_bad = forms.ChoiceField(
        label=_("A pair of which both are bad"),
        initial=TIE,
        choices=[("tie", _("is a tie")), ("drop", _("is left out"))],
    )
    near = forms.BooleanField(
        label=_("Source images that look alike stay in one split"),
        initial=True,
        required=False,
        help_text=_("As far as their perceptual hashes were computed, on the page “Categories”."),
    )
    seed = forms.IntegerField(label=_("Seed of the splits"), initial=0, min_value=0, max_value=2**32)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        studies, dimensions = self.fields["studies"], self.fields["dimensions"]
        assert isinstance(studies, forms.ModelMultipleChoiceField)
        assert isinstance(dimensions, forms.MultipleChoiceField)
        newest = list(Study.objects.order_by("-pk").values_list("pk", "protocol_json")[:STUDIES])
        studies.queryset = Study.objects.filter(pk__in=[pk for pk, _protocol in newest]).select_related("dataset")
        found = {one["key"]: one["label"] for _pk, protocol in reversed(newest) for one in protocol["dimensions"]}
        dimensions.choices = list(found.items())

    def wish(self) -> Wish:
        data = self.cleaned_data
        names = ("method", "contested", "both_bad", "near", "seed")
        return Wish(**{name: data[name] for name in names}, dimensions=tuple(data["dimensions"]))


class ImportForm(forms.Form):
    layout = forms.ChoiceField(label=_("Layout"), choices=[])
    folder = forms.CharField(
        label=_("Folder"), max_length=200, help_text=_("Beneath the incoming folder on the worker's machine.")
    )
    name = forms.CharField(label=_("Name of the training set and its data set"), max_length=120)
    task = forms.ModelChoiceField(
        label=_("Task"),
        queryset=Task.objects.all(),
        required=False,
        help_text=_("Of the cases whose files name no task that is known here."),
    )
    notice = forms.CharField(
        label=_("Notice"),
        max_length=200,
        required=False,
        help_text=_("Shown on every page and in every export of it, such as a licence that forbids commercial use."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["layout"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(name, layout(name).LABEL) for name in TRAINING]

    def values(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {**data, "task": data["task"].pk if data["task"] else ""}


class RenameForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=120)


def address_for(study: Study) -> str:
    """The page of a new set from this study, with the form filled in: its preview is shown at once."""
    fields = NewSetForm.base_fields
    filled = {name: field.initial for name, field in fields.items() if field.initial is not None}
    ticked = {name: "on" if value is True else value for name, value in filled.items() if value is not False}
    return f"{reverse('new_labelled_set')}?{urlencode({**ticked, 'name': study.name, 'studies': study.pk})}"
