"""The form of a new webhook."""

from typing import Any
from uuid import UUID

from django import forms
from django.utils.translation import gettext_lazy as _

from webapp.hooks import studies
from webapp.hooks.events import EVENTS


class WebhookForm(forms.Form):
    address = forms.CharField(
        label=_("Address"), max_length=500, help_text=_("https://… of your receiver, on the public internet.")
    )
    events = forms.MultipleChoiceField(
        label=_("Events"), choices=list(EVENTS.items()), widget=forms.CheckboxSelectMultiple
    )
    study = forms.ChoiceField(label=_("Study"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["study"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", _("All studies")), *studies.known()]
        field.help_text = _("Jobs belong to no study: a webhook of one study is not told of them.")

    def values(self) -> dict[str, Any]:
        """What services.add_webhook takes."""
        data = self.cleaned_data
        study = UUID(data["study"]) if data["study"] else None
        return {"address": data["address"], "events": data["events"], "study_uid": study}
