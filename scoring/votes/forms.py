"""The forms of the votes' pages."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _


class VotesForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=120)
    file = forms.FileField(label=_("JSON file in GenAI-Bench's layout"))
    source = forms.CharField(
        label=_("Where it comes from"),
        max_length=300,
        required=False,
        help_text=_("Who published it, and under which licence."),
    )


class CompareForm(forms.Form):
    """Two judges of one set. The names are those of its file."""

    one = forms.ChoiceField(label=_("Judge"))
    other = forms.ChoiceField(label=_("Compared with"))

    def __init__(self, *args: Any, judges: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in (self.fields["one"], self.fields["other"]):
            assert isinstance(field, forms.ChoiceField)
            field.choices = [(name, name) for name in judges]
            field.error_messages["invalid_choice"] = _("There is no judge of this name here. Choose one of the list.")

    def clean(self) -> dict[str, Any]:
        if self.cleaned_data.get("one") and self.cleaned_data.get("one") == self.cleaned_data.get("other"):
            raise forms.ValidationError(_("Choose two different judges."))
        return self.cleaned_data
