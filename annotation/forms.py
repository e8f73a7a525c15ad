"""Forms for imports and studies."""

from dataclasses import replace
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

from annotation.models import Dataset, Editor
from annotation.protocols import DUELS, PRESET_LABELS, PRESETS, RANKING, Protocol
from webapp.accounts.models import User


class UploadForm(forms.Form):
    """A zip with a manifest, into a data set that exists or a new one."""

    name = forms.CharField(label=_("Name of the data set"), max_length=120)
    archive = forms.FileField(label=_("Zip file with images and a manifest"))

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if not slugify(name):
            raise ValidationError(_("Use at least one letter or digit."))
        if Dataset.objects.filter(slug=slugify(name)).exists():
            raise ValidationError(_("There is a data set of this name already. Open it to import more into it."))
        return name


class UploadIntoForm(forms.Form):
    archive = forms.FileField(label=_("Zip file with images and a manifest"))


class StudyForm(forms.Form):
    """A new study from a preset; what is left empty keeps the preset's value."""

    name = forms.CharField(label=_("Name"), max_length=120)
    dataset = forms.ModelChoiceField(label=_("Data set"), queryset=Dataset.objects.none())
    preset = forms.ChoiceField(label=_("Protocol"), choices=list(PRESET_LABELS.items()))
    editors = forms.ModelMultipleChoiceField(
        label=_("Editors (none chosen: all)"), queryset=Editor.objects.none(), required=False
    )
    sample = forms.IntegerField(
        label=_("At most so many candidates of a case (empty: all)"),
        min_value=1,
        required=False,
        help_text=_("Drawn at random for every case. Candidates that were set aside are left out in any case."),
    )
    raters = forms.IntegerField(label=_("Raters per item"), min_value=1, max_value=100, required=False)
    duels = forms.ChoiceField(
        label=_("Duels inside shelves"),
        choices=[
            ("", _("As the preset says")),
            ("none", _("None")),
            ("extremes", _("Best and worst shelf")),
            ("all", _("All")),
        ],
        required=False,
        help_text=_("For rankings. Pairs for training come mostly from the best and the worst shelf."),
    )
    session_minutes = forms.IntegerField(label=_("Minutes until a break"), min_value=1, max_value=240, required=False)
    guidelines = forms.CharField(label=_("Guidelines (Markdown)"), widget=forms.Textarea, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._choices("dataset", Dataset.objects.order_by("name"))
        self._choices("editors", Editor.objects.order_by("slug"))

    def _choices(self, name: str, rows: Any) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = rows

    def protocol(self) -> Protocol:
        data = self.cleaned_data
        preset = PRESETS[data["preset"]]
        chosen = {name: data[name] for name in ("raters", "session_minutes") if data.get(name)}
        if preset.kind == RANKING and data.get("duels") in DUELS:
            chosen["duels"] = data["duels"]
        return replace(preset, **chosen)


class MemberForm(forms.Form):
    user = forms.ModelChoiceField(label=_("Person"), queryset=User.objects.filter(is_active=True).order_by("username"))
